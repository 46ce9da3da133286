//! Where things are when no option says otherwise: the environment, then the scheme's places (design §5).
#![expect(clippy::disallowed_methods, reason = "driver: reads the environment, for all sub-commands")]

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The administrator's files, below fw's service directory, which is where fw's `run` is.
pub(crate) const CONF_DIR: &str = "conf";

/// Where services publish: `FW_RUNDIR`.
pub(crate) fn run_dir() -> PathBuf {
    path("FW_RUNDIR", "/var/run/service/fw")
}

/// The service that is kicked: `FW_SERVICE`.
pub(crate) fn fw() -> PathBuf {
    path("FW_SERVICE", "/var/service/fw")
}

/// Where the time servers of a lease go: `NTPD_RUNDIR`.
pub(crate) fn ntp_dir() -> PathBuf {
    path("NTPD_RUNDIR", "/var/run/service/ntpd")
}

/// The name of the working directory: handlers are run in their service's. As in a shell it is the one in `PWD`, if that is
/// where we are, so that a service that is a symbolic link publishes under its own name.
pub(crate) fn here() -> Option<String> {
    let real = std::env::current_dir().ok()?;
    let logical = std::env::var_os("PWD").map(PathBuf::from).filter(|pwd| same_directory(pwd, &real));
    Some(logical.unwrap_or(real).file_name()?.to_str()?.to_owned())
}

fn same_directory(a: &Path, b: &Path) -> bool {
    let id = |path: &Path| std::fs::metadata(path).map(|m| (m.dev(), m.ino()));
    matches!((id(a), id(b)), (Ok(a), Ok(b)) if a == b)
}

/// The whole environment, for handlers and templates.
pub(crate) fn environment() -> std::env::VarsOs {
    std::env::vars_os()
}

fn path(variable: &str, default: &str) -> PathBuf {
    std::env::var_os(variable).filter(|v| !v.is_empty()).map_or_else(|| PathBuf::from(default), PathBuf::from)
}
