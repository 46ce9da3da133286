//! Kicks are never lost and never pile up, with the real `fw/run`.

use super::World;
use lab::{PATIENCE, wait_for, wait_for_within};
use std::fs;
use std::time::Duration;

/// Every kick follows a change of the facts, so the state at the end tells whether a run began after the last kick.
#[test]
fn five_hundred_kicks_at_random_moments() {
    lab::test_within(Duration::from_secs(240), |lab| {
        let world = World::new(lab);
        let _runsvdir = world.supervise();
        // Knuth's generator; the pauses of 0 to 20 ms fall into runs and between them.
        let mut random = 20u64;
        for n in 1..=500 {
            world.publish("a", &format!("if=eth0 ipmask=10.{}.{}.1/24", n / 100, n % 100));
            world.fw.tell("u");
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            std::thread::sleep(Duration::from_micros((random >> 33) % 20_000));
        }
        wait_for_within("the last facts in the kernel", PATIENCE, || world.has_address("10.5.0.1/24"));
        world.wait_idle();
        assert_eq!(lab.net().ip("-4 -o address show dev eth0").lines().count(), 1, "only the last one");
        assert!(!world.log().contains("warning"), "{}", world.log());
    });
}

/// Many kicks during a run cause one more run.
#[test]
fn kicks_during_a_run_are_one_kick() {
    lab::test(|lab| {
        let world = World::new(lab);
        // Runs count themselves, and wait for the gate that the test holds.
        let run = lab.read("/run/sv/fw/run");
        let gate = "main() {\n    echo begin >>/run/runs\n    read -r _ </run/gate\n";
        lab.cmd("mkfifo").arg("/run/gate").ok();
        fs::write("/run/sv/fw/run", run.replacen("main() {\n", gate, 1)).unwrap();
        let _runsvdir = lab.cmd("runsvdir").args(["-P", "/var/service"]).spawn();
        let runs = || fs::read_to_string("/run/runs").unwrap_or_default().lines().count();
        let open_gate = || fs::write("/run/gate", "go\n").unwrap();

        wait_for("the first run", || runs() == 1);
        for _ in 0..200 {
            world.fw.tell("u");
        }
        open_gate();
        wait_for("the second run", || runs() == 2);
        open_gate();
        world.wait_idle();
        assert_eq!(runs(), 2);
    });
}
