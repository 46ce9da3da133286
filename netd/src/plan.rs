//! `netd plan`: the commands that would do what `netd apply` with the same arguments would do now, in order; changes nothing.
//!
//! The output is a shell script (`netd plan | sh`); where a record asks for something that cannot be, a warning says so on
//! standard error, as in apply. Exit codes: 0, also when there is nothing to do; 1 something was left out; 100 nothing could
//! be said.

use crate::host::Host;
use crate::kernel::Refusal;
use crate::request::Request;
use crate::say;
use crate::sources::Sources;
use crate::state::desired::desired;
use crate::state::plan::{Step, assume, new_links, plan};
use crate::state::{command, text};
use std::ffi::OsString;
use std::process::ExitCode;

pub(crate) fn run(args: &[OsString]) -> ExitCode {
    let request = match Request::parse(args) {
        Ok(request) => request,
        Err(e) => return crate::wrong_usage(&e),
    };
    let sources = match request.sources() {
        Ok(sources) => sources,
        Err(e) => return crate::give_up(&e.to_string()),
    };
    sources.bad.iter().for_each(|line| say::warning(line));
    let complete = sources.bad.is_empty();
    match show(&request, &sources) {
        Ok(true) if complete => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(refusal) => crate::give_up(&format!("unable to read the kernel's network state: {refusal}")),
    }
}

/// Prints the plan; whether nothing was left out of it.
fn show(request: &Request, sources: &Sources) -> Result<bool, Refusal> {
    let host = Host::open(&sources.good, &request.run_dir())?;
    let (mut actual, mut lines) = (host.dump()?, String::new());
    let wanted = loop {
        let wanted = desired(&sources.good, &sources.hold, &actual.links, &request.policy);
        let new = new_links(&wanted, &actual);
        for change in &new {
            lines += &(command::line(change, &actual) + "\n");
            assume(&change.step, &mut actual);
        }
        if new.is_empty() {
            break wanted;
        }
    };
    let plan = plan(&wanted, &actual);
    for change in &plan.changes {
        let done = matches!(&change.step, Step::Sysctl(switch) if host.kernel.has_switch(switch));
        if !done {
            lines += &(command::line(change, &actual) + "\n");
        }
    }
    let printed = say::output(&lines);
    let problems = wanted.problems.iter().chain(&plan.conflicts);
    let complete = problems.map(|p| say::warning(&text::problem(p, &actual))).count() == 0;
    Ok(printed && complete)
}
