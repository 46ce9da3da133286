//! Reading `supervise/` and writing to it: the few system calls behind every command.
#![expect(clippy::disallowed_methods, reason = "driver: owns the files of one service for the length of a call")]

use super::place::Place;
use super::report::{Normally, Report, Trouble, Whose};
use crate::history::{self, History, Readiness};
use crate::service;
use crate::status::{LEN, State, Status};
use std::ffi::CStr;
use std::os::fd::{AsFd, OwnedFd};
use sys::clock::wall;
use sys::errtext::errtext;
use sys::file::{CWD, read_into, stat, write_some};
use sys::{Errno, fifo, msg};

/// Finds somebody reading `supervise/ok`; the descriptor tells when the last reader is gone.
pub(crate) fn alive(place: &mut Place) -> Result<OwnedFd, Trouble> {
    match fifo::writer(CWD, place.file(service::OK)) {
        Ok(fd) => Ok(fd),
        Err(Errno::ENXIO) => Err(Trouble::NotRunning),
        Err(e) => Err(entered(place, e)),
    }
}

/// The state of the service.
pub(crate) fn status(place: &mut Place) -> Result<Status, Trouble> {
    read_status(place.file(service::STATUS))
}

/// What is known beyond the status; none if nothing was ever written by a runsv of ours.
pub(crate) fn history(place: &mut Place, file: &CStr) -> Option<History> {
    let mut buf = [0; history::LEN_MAX];
    read_into(CWD, place.file(file), &mut buf).ok().map(History::parse)
}

/// Whether the run of this status is ready; to be read after it.
pub(crate) fn readiness(place: &mut Place, s: &Status) -> Readiness {
    match s.state {
        State::Run => history(place, service::HISTORY).map_or(Readiness::Untold, |h| h.readiness(s.since)),
        State::Down | State::Finish => Readiness::Untold,
    }
}

/// The error of a file of the service: perhaps it is the directory's.
fn entered(place: &mut Place, e: Errno) -> Trouble {
    match stat(CWD, place.file(c".")) {
        Ok(_) => Trouble::File(b"unable to open supervise/ok", e),
        Err(e) => Trouble::NoDirectory(e),
    }
}

/// The log service's state; none if there is no log service.
pub(crate) fn log_status(place: &mut Place) -> Option<Result<Status, Trouble>> {
    match fifo::writer(CWD, place.file(service::LOG_OK)) {
        Ok(_) => Some(read_status(place.file(service::LOG_STATUS))),
        Err(Errno::ENXIO) => Some(Err(Trouble::NotRunning)),
        Err(e) => match stat(CWD, place.file(c"log/.")) {
            Ok(_) => Some(Err(Trouble::File(b"unable to open supervise/ok", e))),
            Err(Errno::ENOENT) => template_log_status(place),
            Err(e) => Some(Err(Trouble::NoLogDirectory(e))),
        },
    }
}

/// The state of a log service that is a template's (`runsvdir -l`); none unless there is one now.
fn template_log_status(place: &mut Place) -> Option<Result<Status, Trouble>> {
    fifo::writer(CWD, place.file(service::TEMPLATE_LOG_OK)).ok()?;
    Some(read_status(place.file(service::TEMPLATE_LOG_STATUS)))
}

fn read_status(path: &[u8]) -> Result<Status, Trouble> {
    let mut buf = [0; LEN];
    match read_into(CWD, path, &mut buf) {
        Ok(bytes) => Status::unpack(bytes).ok_or(Trouble::BadFormat),
        Err(e) => Err(Trouble::File(b"unable to open supervise/status", e)),
    }
}

/// Writes the bytes to `supervise/control`, all in one.
pub(crate) fn send(place: &mut Place, bytes: &[u8]) -> Result<(), Trouble> {
    let fd = match fifo::writer(CWD, place.file(service::CONTROL)) {
        Ok(fd) => fd,
        Err(Errno::ENXIO) => return Err(Trouble::NotRunning),
        Err(e) => return Err(Trouble::File(b"unable to open supervise/control", e)),
    };
    match write_some(fd.as_fd(), bytes) {
        Ok(n) if n == bytes.len() => Ok(()),
        Ok(_) => Err(Trouble::File(b"unable to write to supervise/control", Errno::EAGAIN)),
        Err(e) => Err(Trouble::File(b"unable to write to supervise/control", e)),
    }
}

/// Whether `./down` is there. Trouble finding out is a warning.
pub(crate) fn normally(place: &mut Place, name: &[u8]) -> Normally {
    match stat(CWD, place.file(service::DOWN)) {
        Ok(_) => Normally::Down,
        Err(Errno::ENOENT) => Normally::Up,
        Err(e) => {
            msg::eprint(&[b"warning: unable to stat ", name, b"/down: ", errtext(e).as_bytes(), b"\n"]);
            Normally::Unknown
        }
    }
}

/// Prints what `status` prints for one service.
pub(crate) fn show(place: &mut Place, name: &[u8], report: &mut Report) {
    match alive(place).and_then(|_| status(place)) {
        Ok(s) => {
            report.found(&s);
            let ready = readiness(place, &s);
            report.unit(name, &s, normally(place, name), ready, wall());
            show_log(place, name, report);
        }
        Err(trouble) => report.trouble(name, Whose::Service, trouble),
    }
    report.put(b"\n");
}

fn show_log(place: &mut Place, name: &[u8], report: &mut Report) {
    match log_status(place) {
        None => {}
        Some(Ok(s)) => {
            report.put(b"; ");
            // `log/down` is the log's own.
            let down = match stat(CWD, place.file(c"log/down")) {
                Ok(_) => Normally::Down,
                Err(Errno::ENOENT) => Normally::Up,
                Err(_) => Normally::Unknown,
            };
            report.unit(b"log", &s, down, Readiness::Untold, wall());
        }
        Some(Err(trouble)) => report.trouble(name, Whose::Log, trouble),
    }
}
