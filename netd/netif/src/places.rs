//! Where things are when no option says otherwise: the environment, then the scheme's places.
#![expect(clippy::disallowed_methods, reason = "driver: reads the environment, for all daemons and netd")]

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What the environment and the working directory say, to be overruled by options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Where services publish for fw: `FW_RUNDIR`, else /var/run/service/fw.
    pub run_dir: PathBuf,
    /// The service that is kicked: `FW_SERVICE`, else /var/service/fw.
    pub fw: PathBuf,
    /// Where the time servers of a lease go: `NTPD_RUNDIR`, else /var/run/service/ntpd.
    pub ntp_dir: PathBuf,
    /// What survives a reboot: `PORTREEVE_STATE`, else /var/lib/portreeve.
    pub state: PathBuf,
    /// The name of the working directory, which for a service is its own.
    pub here: Option<String>,
}

impl Default for Places {
    /// The scheme's, and no name.
    fn default() -> Self {
        Self::new(|_| None, None)
    }
}

impl Places {
    /// This process's.
    pub fn of_process() -> Self {
        Self::new(|name| std::env::var_os(name), here())
    }

    /// An empty variable counts as none.
    fn new(variable: impl Fn(&str) -> Option<OsString>, here: Option<String>) -> Self {
        let path =
            |name: &str, or: &str| variable(name).filter(|v| !v.is_empty()).map_or_else(|| or.into(), PathBuf::from);
        Self {
            run_dir: path("FW_RUNDIR", "/var/run/service/fw"),
            fw: path("FW_SERVICE", "/var/service/fw"),
            ntp_dir: path("NTPD_RUNDIR", "/var/run/service/ntpd"),
            state: path("PORTREEVE_STATE", "/var/lib/portreeve"),
            here,
        }
    }
}

/// As in a shell the name is the one in `PWD`, if that is where we are, so that a service that is a symbolic link goes by its
/// own name.
fn here() -> Option<String> {
    let real = std::env::current_dir().ok()?;
    let logical = std::env::var_os("PWD").map(PathBuf::from).filter(|pwd| same_directory(pwd, &real));
    Some(logical.unwrap_or(real).file_name()?.to_str()?.to_owned())
}

fn same_directory(a: &Path, b: &Path) -> bool {
    let id = |path: &Path| std::fs::metadata(path).map(|m| (m.dev(), m.ino()));
    matches!((id(a), id(b)), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_say_something_count() {
        let places = Places::new(
            |name| match name {
                "FW_RUNDIR" => Some("/r".into()),
                "FW_SERVICE" => Some(OsString::new()),
                _ => None,
            },
            Some("dhcp_eth0".to_owned()),
        );
        let expected = Places { run_dir: "/r".into(), here: Some("dhcp_eth0".to_owned()), ..Places::default() };
        assert_eq!(places, expected);
        assert_eq!(places.fw, Path::new("/var/service/fw"));
    }
}
