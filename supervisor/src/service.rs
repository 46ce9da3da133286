//! What is where in a service directory (design §5, spec runit §1.2). Paths are relative to the service directory, or to
//! its `log/`, which is a service directory of its own with `supervise/`, `run` and `down`.
//!
//! C strings, because every use is a system call; `NAME.to_bytes()` for a message.

use std::ffi::CStr;

/// What is supervised: executed as `./run` in the service directory.
pub(crate) const RUN: &CStr = c"./run";
/// Executed as `./finish CODE STATUS` after every death of `run`.
pub(crate) const FINISH: &CStr = c"./finish";
/// Exits 0 when the service is available; `sv` executes it.
pub(crate) const CHECK: &CStr = c"./check";
/// If there, the service is not started with its runsv.
pub(crate) const DOWN: &CStr = c"down";
/// Delay between starts, see `runsv::policy`, as for the next three.
pub(crate) const THROTTLE: &CStr = c"throttle";
/// Limit of a stop.
pub(crate) const TIMEOUT_STOP: &CStr = c"timeout-stop";
/// Descriptor on which `run` says that it is ready.
pub(crate) const NOTIFICATION_FD: &CStr = c"notification-fd";
/// If there, what `run` started goes with it.
pub(crate) const KILL_GROUP: &CStr = c"kill-group";
/// The log service's directory.
pub(crate) const LOG: &CStr = c"log";
/// Everything below is in here.
pub(crate) const SUPERVISE: &CStr = c"supervise";
/// Held by runsv for its life (`flock`).
pub(crate) const LOCK: &CStr = c"supervise/lock";
/// Fifo of one-byte commands.
pub(crate) const CONTROL: &CStr = c"supervise/control";
/// Fifo that runsv holds open for reading: a writer's non-blocking open works while runsv lives, is `ENXIO` afterwards.
pub(crate) const OK: &CStr = c"supervise/ok";
/// Decimal pid and LF; empty when nothing runs.
pub(crate) const PID: &CStr = c"supervise/pid";
/// [`crate::status::Status::text`].
pub(crate) const STAT: &CStr = c"supervise/stat";
/// [`crate::status::Status::pack`].
pub(crate) const STATUS: &CStr = c"supervise/status";
/// Who runs; see [`crate::runsv`].
pub(crate) const CHILD: &CStr = c"supervise/child";
/// [`crate::history::History::text`].
pub(crate) const HISTORY: &CStr = c"supervise/history";
/// Has `supervise/` of a log service that is a template's.
pub(crate) const TEMPLATE_LOG: &CStr = c"supervise/log";
/// `supervise/` of the log service, seen from the main service's directory.
pub(crate) const LOG_OK: &CStr = c"log/supervise/ok";
/// See [`LOG_OK`].
pub(crate) const LOG_STATUS: &CStr = c"log/supervise/status";
/// See [`LOG_OK`].
pub(crate) const LOG_PID: &CStr = c"log/supervise/pid";
/// See [`LOG_OK`].
pub(crate) const LOG_HISTORY: &CStr = c"log/supervise/history";
/// `down` of the log service.
pub(crate) const LOG_DOWN: &CStr = c"log/down";
/// As [`LOG_OK`] for a template's log service.
pub(crate) const TEMPLATE_LOG_OK: &CStr = c"supervise/log/supervise/ok";
/// See [`TEMPLATE_LOG_OK`].
pub(crate) const TEMPLATE_LOG_STATUS: &CStr = c"supervise/log/supervise/status";
/// See [`TEMPLATE_LOG_OK`].
pub(crate) const TEMPLATE_LOG_HISTORY: &CStr = c"supervise/log/supervise/history";
/// See [`TEMPLATE_LOG_OK`].
pub(crate) const TEMPLATE_LOG_PID: &CStr = c"supervise/log/supervise/pid";
