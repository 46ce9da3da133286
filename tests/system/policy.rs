//! What a service directory may say beyond runit: readiness, delays, limits on a stop, the whole tree. And what `runsv` tells
//! about it in `supervise/history`.

use lab::{Service, wait_for};

fn history(of: &Service) -> String {
    std::fs::read_to_string(of.path().join("supervise/history")).unwrap_or_default()
}

fn wait_history(of: &Service, text: &str) {
    wait_for(&format!("history {text:?}"), || history(of) == text);
}

#[test]
fn history_counts_starts_and_says_how_the_last_run_ended() {
    lab::test(|lab| {
        let foo = lab.service("foo").down().run("exit 7").log("exec cat").build();
        let _runsv = lab.runsv(&foo);
        assert_eq!(history(&foo), "starts 0\n");
        wait_history(&foo.log(), "starts 1\n");
        foo.tell("o");
        wait_history(&foo, "starts 1\nexit 7 0\n");
        foo.log().wait_stat("run");
        foo.log().tell("k");
        wait_history(&foo.log(), "starts 2\nexit -1 9\n");
    });
}
