//! `netd apply`: makes the kernel's addresses and routes what the `.ipconf` files say.
//!
//! Files, desired state, the kernel's state, plan, steps; then the kernel is read once more and what is still different is
//! reported. When there is nothing to do nothing is written. Exit codes: 0 everything is as wanted; 1 something is not (a
//! bad file, an interface that does not exist, a refusal) and the rest is; 100 nothing was done.

use crate::host::Host;
use crate::kernel::{Done, Refusal};
use crate::request::Request;
use crate::runs::{self, Clock, Run};
use crate::sources::Sources;
use crate::state::desired::{Desired, Policy, desired};
use crate::state::object::Actual;
use crate::state::plan::{Change, Plan, Step, new_links, plan};
use crate::state::text;
use crate::{flows, say, status};
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use sys::Errno;

/// Something could not be applied.
const INCOMPLETE: u8 = 1;

const NO_RIGHTS: &str = "no right to change the network: it takes root, or CAP_NET_ADMIN";

/// How often the difference is worked off before what is left of it is reported.
const ROUNDS: usize = 2;

/// How often it may happen besides that answers of the kernel are lost. Each time the kernel is asked anew what it has.
const OVERRUNS: usize = 1000;

/// Answers to a deletion that mean: it has gone by itself meanwhile, or with something else.
const GONE: [Errno; 4] = [Errno::ESRCH, Errno::EADDRNOTAVAIL, Errno::ENODEV, Errno::ENOENT];

pub(crate) fn run(args: &[OsString]) -> ExitCode {
    let request = match Request::parse(args) {
        Ok(request) => request,
        Err(e) => return crate::wrong_usage(&e),
    };
    let sources = match request.sources() {
        Ok(sources) => sources,
        Err(e) => return crate::give_up(&e.to_string()),
    };
    let clock = Clock::start();
    let files = runs::files(sources.paths());
    let mut log = Log::default();
    sources.bad.iter().for_each(|line| log.not(line.clone()));
    let applied = Host::open(&sources.good, &request.run_dir()).and_then(|mut host| {
        let before = host.dump()?;
        let uplink = flows::uplink(&before);
        let (wanted, actual) = make_links(&mut host, &sources, &request.policy, before, &mut log)?;
        wanted.problems.iter().for_each(|p| log.not(text::problem(p, &actual)));
        let now = make_so(host, &wanted, actual, &mut log)?;
        if let Some(left) = flows::left(uplink, &now, &sources.good) {
            flows::end(&left);
        }
        status::measure(&request.run_dir(), &sources.good, &wanted, &now, log.not.len(), !log.did.is_empty())
            .unwrap_or_else(|(path, why)| unwritten(&path, why));
        Ok(())
    });
    match applied {
        Ok(()) => {
            let run_dir = request.run_dir();
            let Log { did, not } = log;
            let code = if not.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(INCOMPLETE) };
            let run = Run { conf: request.conf_dir(), policy: request.policy, files, did, not, ..Run::default() };
            if let Err((path, why)) = clock.stop(&run_dir, run) {
                unwritten(&path, why);
            }
            code
        }
        Err(refusal) => crate::give_up(&format!("unable to read the kernel's network state: {refusal}")),
    }
}

/// What is said while it is done, and remembered afterwards.
#[derive(Debug, Default)]
struct Log {
    did: Vec<String>,
    not: Vec<String>,
}

impl Log {
    fn did(&mut self, what: Vec<String>) {
        say::done(&what);
        self.did.extend(what);
    }

    /// Said once.
    fn no_rights(&mut self) {
        if self.not.iter().all(|line| line != NO_RIGHTS) {
            say::fatal(NO_RIGHTS);
            self.not.push(NO_RIGHTS.to_owned());
        }
    }

    fn not(&mut self, what: String) {
        say::warning(&what);
        self.not.push(what);
    }
}

/// Makes the bridges and VLANs that are not there: what is on them can be said only afterwards, and one may be on another. Each
/// is tried once. Returns what is wanted then, and the kernel's state.
fn make_links(
    host: &mut Host,
    sources: &Sources,
    policy: &Policy,
    mut actual: Actual,
    log: &mut Log,
) -> Result<(Desired, Actual), Refusal> {
    let mut tried = Vec::new();
    loop {
        let wanted = desired(&sources.good, &sources.hold, &actual.links, policy);
        let mut changes = new_links(&wanted, &actual);
        changes.retain(|change| !tried.contains(&change.step));
        if changes.is_empty() {
            return Ok((wanted, actual));
        }
        tried.extend(changes.iter().map(|change| change.step.clone()));
        let new = Plan { changes, ..Plan::default() };
        let results = host.carry_out(&new.changes, &actual);
        if no_rights(&results) {
            log.no_rights();
            return Ok((wanted, actual));
        }
        let refused = report(&new, &results, &actual, log);
        refused.iter().for_each(|(change, why)| log.not(format!("{}: {why}", text::asked(change, &actual))));
        actual = host.dump()?;
    }
}

/// The kernel's state at the end. What the first round could not do is tried once more: a gateway may only be found on its
/// link after the address that hid it has gone, and somebody else may have been at work. Then it is said.
fn make_so(mut host: Host, wanted: &Desired, actual: Actual, log: &mut Log) -> Result<Actual, Refusal> {
    let mut left = plan(wanted, &actual);
    let (mut now, mut refused) = (actual, Vec::new());
    let (mut rounds, mut overruns) = (0, 0);
    while rounds < ROUNDS && overruns < OVERRUNS && !left.changes.is_empty() {
        let results = host.carry_out(&left.changes, &now);
        if no_rights(&results) {
            log.no_rights();
            return Ok(now);
        }
        // Switches are not part of what is read: refused once is refused.
        refused.retain(|(change, _)| is_switch(change));
        refused.extend(report(&left, &results, &now, log));
        let overrun = results.iter().any(|r| r.as_ref().is_err_and(|r| r.errno == Errno::ENOBUFS));
        if overrun {
            overruns += 1;
        } else {
            rounds += 1;
        }
        if !overrun && !results.contains(&Ok(Done::Changed)) {
            left.changes = refused.iter().map(|(change, _)| change.clone()).collect();
            break;
        }
        now = host.look_again(&left, &refused)?;
        left = plan(wanted, &now);
        left.changes.retain(|c| !is_switch(c));
        // Nobody said so, but it is done.
        let silent = refused.iter().filter(|(c, why)| why.errno == Errno::ENOBUFS && !left.changes.contains(c));
        log.did(silent.map(|(c, _)| text::change(c, &now)).collect());
    }
    // Whatever was refused and is not missing any more was not needed, or is explained by a conflict.
    refused.retain(|(r, _)| is_switch(r) || left.changes.iter().any(|c| c.step == r.step));
    left.conflicts.iter().for_each(|p| log.not(text::problem(p, &now)));
    refused.iter().for_each(|(change, why)| log.not(format!("{}: {why}", text::asked(change, &now))));
    left.changes.retain(|c| refused.iter().all(|(r, _)| r.step != c.step));
    for change in &left.changes {
        log.not(format!("{}: not so afterwards; somebody else changes it too", text::asked(change, &now)));
    }
    Ok(now)
}

/// A file for those who ask afterwards; the network is as it should be without it.
fn unwritten(path: &Path, why: Errno) {
    say::warning(&format!("unable to write {}: {}", path.display(), sys::errtext::errtext(why)));
}

/// Says what was done, all at once, and returns what was refused.
fn report(plan: &Plan, results: &[Result<Done, Refusal>], actual: &Actual, log: &mut Log) -> Vec<(Change, Refusal)> {
    let (mut done, mut refused) = (Vec::new(), Vec::new());
    for (change, result) in plan.changes.iter().zip(results) {
        match result {
            Ok(Done::Changed) => done.push(text::change(change, actual)),
            Ok(Done::Already) => {}
            Err(why) if is_deletion(&change.step) && GONE.contains(&why.errno) => {}
            Err(why) => refused.push((change.clone(), why.clone())),
        }
    }
    log.did(done);
    refused
}

const fn is_switch(change: &Change) -> bool {
    matches!(change.step, Step::Sysctl(..))
}

const fn is_deletion(step: &Step) -> bool {
    matches!(
        step,
        Step::DeleteAddress(_) | Step::DeleteRoute(_) | Step::DeleteRule(_) | Step::DeleteLink(_) | Step::Leave(_)
    )
}

/// Whether the only thing wrong is who we are: said once, not once for each object.
fn no_rights(results: &[Result<Done, Refusal>]) -> bool {
    let refused = |r: &Result<Done, Refusal>| {
        r.as_ref().is_err_and(|r| matches!(r.errno, Errno::EPERM | Errno::EACCES | Errno::EROFS))
    };
    let mut asked = results.iter().filter(|r| **r != Ok(Done::Already)).peekable();
    asked.peek().is_some() && asked.all(refused)
}
