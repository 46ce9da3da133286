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
use crate::{places, say, sources};
use owned::OwnedAddresses;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use sys::Errno;

/// For the usage text.
pub(crate) const ARGS: &str = "[--prefer IF] [--forward] [CONFDIR [RUNDIR]]";

/// Something could not be applied.
const INCOMPLETE: u8 = 1;

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
        let all = apply.make_so(&wanted, &actual)?;
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
        conf: conf.unwrap_or_else(|| places::CONF_DIR.into()),
        run: run.unwrap_or_else(places::run_dir),
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
    fn make_so(&mut self, wanted: &Desired, actual: &Actual) -> Result<bool, Refusal> {
        let todo = plan(wanted, actual);
        todo.conflicts.iter().for_each(|p| say::warning(&text::problem(p, actual)));
        let steps: Vec<&Step> = todo.changes.iter().map(|c| &c.step).collect();
        let results = self.kernel.apply(&steps, actual);
        if no_rights(&results) {
            say::fatal("no right to change the network: it takes root, or CAP_NET_ADMIN");
            return Ok(false);
        }
        let failed = report(&todo, &results, actual);
        if results.iter().all(|r| *r == Ok(Done::Already)) {
            return Ok(todo.conflicts.is_empty());
        }
        let complete = self.verify(wanted, &todo, &failed)?;
        Ok(complete && failed.is_empty() && todo.conflicts.is_empty())
    }

    /// Looks at the kernel once more. What was refused is known already.
    fn verify(&mut self, wanted: &Desired, done: &Plan, failed: &[&Step]) -> Result<bool, Refusal> {
        let raw = self.kernel.dump(&self.tables)?;
        if let Err((path, why)) = self.owned.update(&raw, done, failed) {
            say::warning(&format!("unable to write {}: {}", path.display(), sys::errtext::errtext(why)));
        }
        let now = self.dump()?;
        let mut complete = true;
        let left = plan(wanted, &now).changes;
        // Switches are not part of what is read; they were written or refused.
        for change in left.iter().filter(|c| !matches!(c.step, Step::Sysctl(..)) && !failed.contains(&&c.step)) {
            complete = false;
            say::warning(&format!("{}: not so afterwards; somebody else changes it too", line(change, &now)));
        }
        Ok(complete)
    }
}

/// Says what was done and what was refused, and returns the refused steps.
fn report<'p>(plan: &'p Plan, results: &[Result<Done, Refusal>], actual: &Actual) -> Vec<&'p Step> {
    let mut failed = Vec::new();
    for (change, result) in plan.changes.iter().zip(results) {
        match result {
            Ok(Done::Changed) => say::done(&text::change(change, actual)),
            Ok(Done::Already) => {}
            // It has gone by itself meanwhile, or with something else.
            Err(r)
                if is_deletion(&change.step)
                    && matches!(r.errno, Errno::ESRCH | Errno::EADDRNOTAVAIL | Errno::ENODEV) => {}
            Err(refusal) => {
                say::warning(&format!("{}: {refusal}", line(change, actual)));
                failed.push(&change.step);
            }
        }
    }
    failed
}

/// `FILE:LINE: eth0: add address 192.0.2.7/24`.
fn line(change: &Change, actual: &Actual) -> String {
    let origin = change.origin.as_ref().map(|o| format!("{o}: ")).unwrap_or_default();
    format!("{origin}{}", text::step(&change.step, actual))
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
