//! Handler scripts: run strictly one after another, each with an environment of its own and a time limit, without ever
//! blocking the poll loop of the daemon. Who executes them is [`crate::sandbox`]'s business.
//!
//! [`queue`] decides (a machine), [`Runner`] acts on it. The daemon's loop calls [`Runner::run`] with what happened, hands in
//! every child it reaps, waits no longer than [`Runner::deadline`], and calls [`Runner::tick`] when that has come. Whatever
//! the peers let hang for ever (udhcpc waits for its script without limit) ends here by TERM, then KILL, with a message.

pub mod environment;
pub mod queue;
#[cfg(test)]
mod tests;

use crate::sandbox::Rights;
use core::time::Duration;
pub use environment::Environment;
pub use queue::{Ended, Finished, Hook};
use queue::{Input, Output, Queue};
use std::rc::Rc;
use sys::Pid;
use sys::clock::Instant;
use sys::spawn::Status;

/// Runs the hooks of one daemon.
#[derive(Debug)]
pub struct Runner {
    rights: Rc<Rights>,
    queue: Queue,
    deadline: Option<Instant>,
}

impl Runner {
    /// `limit`: how long one script may take before it is stopped; none: for ever, as udhcpc.
    pub const fn new(rights: Rc<Rights>, limit: Option<Duration>) -> Self {
        Self { rights, queue: Queue::new(limit), deadline: None }
    }

    /// Runs `hook` now, or after those that are waiting. Returns what has come to an end meanwhile: a script that cannot be
    /// started ends at once.
    pub fn run(&mut self, now: Instant, hook: Hook) -> Vec<Finished> {
        self.feed(now, Input::Run(hook))
    }

    /// A child was reaped. Other children's are ignored, so every one may be handed in.
    pub fn exited(&mut self, now: Instant, pid: Pid, status: Status) -> Vec<Finished> {
        self.feed(now, Input::Exited(pid, status))
    }

    /// The deadline has come, or something else woke the loop.
    pub fn tick(&mut self, now: Instant) -> Vec<Finished> {
        self.feed(now, Input::Tick)
    }

    /// When [`Self::tick`] must be called at the latest.
    pub const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Nothing runs and nothing waits.
    pub fn idle(&self) -> bool {
        self.queue.idle()
    }

    /// The script that runs, for a daemon that reaps by number.
    pub const fn pid(&self) -> Option<Pid> {
        self.queue.pid()
    }

    fn feed(&mut self, now: Instant, input: Input) -> Vec<Finished> {
        let mut finished = Vec::new();
        self.queue.handle(now, input);
        loop {
            match self.queue.poll() {
                Output::Start(hook) => {
                    let started = match self.rights.start(&hook) {
                        Ok(pid) => Input::Started(pid),
                        Err(e) => Input::NotStarted(e),
                    };
                    self.queue.handle(now, started);
                }
                // It may have ended by itself just now.
                Output::Kill(_, signal) => drop(self.rights.signal(signal)),
                Output::Finished(f) => finished.push(f),
                Output::Wait(deadline, _) => {
                    self.deadline = deadline;
                    return finished;
                }
            }
        }
    }
}
