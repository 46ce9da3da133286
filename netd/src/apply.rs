//! `netd apply`: makes the kernel's addresses and routes what the `.ipconf` files say.
//!
//! Files, desired state, the kernel's state, plan, steps; then the kernel is read once more and what is still different is
//! reported. When there is nothing to do nothing is written. Exit codes: 0 everything is as wanted; 1 something is not (a
//! bad file, an interface that does not exist, a refusal) and the rest is; 100 nothing was done.

mod owned;

use crate::kernel::{Done, Kernel, Refusal};
use crate::state::desired::{Desired, Policy, desired, tables};
use crate::state::object::Actual;
use crate::state::plan::{Change, Plan, Step, plan};
use crate::state::text;
use crate::{say, sources};
use netif::places::Places;
use owned::OwnedAddresses;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use sys::Errno;

/// For the usage text.
pub(crate) const ARGS: &str = "[--prefer IF] [--forward] [CONFDIR [RUNDIR]]";

/// Something could not be applied.
const INCOMPLETE: u8 = 1;

/// How often the difference is worked off before what is left of it is reported.
const ROUNDS: usize = 2;

/// Answers to a deletion that mean: it has gone by itself meanwhile, or with something else.
const GONE: [Errno; 3] = [Errno::ESRCH, Errno::EADDRNOTAVAIL, Errno::ENODEV];

#[derive(Debug)]
struct Options {
    policy: Policy,
    conf: PathBuf,
    run: PathBuf,
}

pub(crate) fn run(args: &[OsString]) -> ExitCode {
    let options = match options(args) {
        Ok(options) => options,
        Err(e) => return crate::wrong_usage(&e),
    };
    let sources = match sources::read(&options.conf, &options.run) {
        Ok(sources) => sources,
        Err(e) => return crate::give_up(&e.to_string()),
    };
    sources.bad.iter().for_each(|line| say::warning(line));
    let applied = Kernel::open().and_then(|kernel| {
        let mut apply = Apply { kernel, tables: tables(&sources.good), owned: OwnedAddresses::read(&options.run) };
        let actual = apply.dump()?;
        let mut wanted = desired(&sources.good, &actual.links, &options.policy);
        wanted.hold = sources.hold;
        wanted.problems.iter().for_each(|p| say::warning(&text::problem(p, &actual)));
        let all = apply.make_so(&wanted, actual)?;
        Ok(all && wanted.problems.is_empty())
    });
    match applied {
        Ok(true) if sources.bad.is_empty() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(INCOMPLETE),
        Err(refusal) => crate::give_up(&format!("unable to read the kernel's network state: {refusal}")),
    }
}

fn options(args: &[OsString]) -> Result<Options, lexopt::Error> {
    use lexopt::prelude::*;
    let mut policy = Policy::default();
    let (mut conf, mut run) = (None, None);
    let mut parser = lexopt::Parser::from_args(args);
    while let Some(arg) = parser.next()? {
        match arg {
            Long("prefer") => policy.prefer = Some(parser.value()?.parse()?),
            Long("forward") => policy.forward = true,
            Long("run-dir") => run = Some(parser.value()?.into()),
            Value(dir) if conf.is_none() => conf = Some(dir.into()),
            Value(dir) if run.is_none() => run = Some(dir.into()),
            Value(_) | Short(_) | Long(_) => return Err(arg.unexpected()),
        }
    }
    Ok(Options {
        policy,
        conf: conf.unwrap_or_else(|| sources::CONF_DIR.into()),
        run: run.unwrap_or_else(|| Places::of_process().run_dir),
    })
}

struct Apply {
    kernel: Kernel,
    tables: Vec<u32>,
    owned: OwnedAddresses,
}

impl Apply {
    /// The kernel's state, with the addresses that are ours by the list marked so.
    fn dump(&self) -> Result<Actual, Refusal> {
        let mut actual = self.kernel.dump(&self.tables)?;
        self.owned.claim(&mut actual);
        Ok(actual)
    }

    /// Whether everything is as wanted at the end.
    ///
    /// What the first round could not do is tried once more: a gateway may only be found on its link after the address
    /// that hid it has gone, and somebody else may have been at work. Then it is said.
    fn make_so(&mut self, wanted: &Desired, actual: Actual) -> Result<bool, Refusal> {
        let mut left = plan(wanted, &actual);
        let (mut now, mut refused) = (actual, Vec::new());
        for _ in 0..ROUNDS {
            if left.changes.is_empty() {
                break;
            }
            let steps: Vec<&Step> = left.changes.iter().map(|c| &c.step).collect();
            let results = self.kernel.apply(&steps, &now);
            if no_rights(&results) {
                say::fatal("no right to change the network: it takes root, or CAP_NET_ADMIN");
                return Ok(false);
            }
            // Switches are not part of what is read: refused once is refused.
            refused.retain(|(change, _)| is_switch(change));
            refused.extend(report(&left, &results, &now));
            if !results.contains(&Ok(Done::Changed)) {
                left.changes = refused.iter().map(|(change, _)| change.clone()).collect();
                break;
            }
            now = self.look_again(&left, &refused)?;
            left = plan(wanted, &now);
            left.changes.retain(|c| !is_switch(c));
        }
        // Whatever was refused and is not missing any more was not needed, or is explained by a conflict.
        refused.retain(|(r, _)| is_switch(r) || left.changes.iter().any(|c| c.step == r.step));
        left.conflicts.iter().for_each(|p| say::warning(&text::problem(p, &now)));
        refused.iter().for_each(|(change, why)| say::warning(&format!("{}: {why}", line(change, &now))));
        left.changes.retain(|c| refused.iter().all(|(r, _)| r.step != c.step));
        for change in &left.changes {
            say::warning(&format!("{}: not so afterwards; somebody else changes it too", line(change, &now)));
        }
        Ok(left.conflicts.is_empty() && refused.is_empty() && left.changes.is_empty())
    }

    /// The kernel's state after a round, and the list of our addresses where there is one.
    fn look_again(&mut self, done: &Plan, refused: &[(Change, Refusal)]) -> Result<Actual, Refusal> {
        let mut now = self.kernel.dump(&self.tables)?;
        if let Err((path, why)) = self.owned.update(&now, done, refused) {
            say::warning(&format!("unable to write {}: {}", path.display(), sys::errtext::errtext(why)));
        }
        self.owned.claim(&mut now);
        Ok(now)
    }
}

/// Says what was done, all at once, and returns what was refused.
fn report(plan: &Plan, results: &[Result<Done, Refusal>], actual: &Actual) -> Vec<(Change, Refusal)> {
    let (mut done, mut refused) = (Vec::new(), Vec::new());
    for (change, result) in plan.changes.iter().zip(results) {
        match result {
            Ok(Done::Changed) => done.push(text::change(change, actual)),
            Ok(Done::Already) => {}
            Err(why) if is_deletion(&change.step) && GONE.contains(&why.errno) => {}
            Err(why) => refused.push((change.clone(), why.clone())),
        }
    }
    say::done(&done);
    refused
}

/// `FILE:LINE: eth0: add address 192.0.2.7/24`.
fn line(change: &Change, actual: &Actual) -> String {
    let origin = change.origin.as_ref().map(|o| format!("{o}: ")).unwrap_or_default();
    format!("{origin}{}", text::step(&change.step, actual))
}

const fn is_switch(change: &Change) -> bool {
    matches!(change.step, Step::Sysctl(..))
}

const fn is_deletion(step: &Step) -> bool {
    matches!(step, Step::DeleteAddress(_) | Step::DeleteRoute(_))
}

/// Whether the only thing wrong is who we are: said once, not once for each object.
fn no_rights(results: &[Result<Done, Refusal>]) -> bool {
    let refused = |r: &Result<Done, Refusal>| {
        r.as_ref().is_err_and(|r| matches!(r.errno, Errno::EPERM | Errno::EACCES | Errno::EROFS))
    };
    let mut asked = results.iter().filter(|r| **r != Ok(Done::Already)).peekable();
    asked.peek().is_some() && asked.all(refused)
}
