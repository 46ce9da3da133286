//! What a script finds in its environment: a few names of the daemon's own, and what the daemon gives it. Names never come
//! from the network, values never hold a NUL.

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;

/// PATH when the daemon has none: a service started with an empty environment still finds `ip` and `sv`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Inherited without being asked for: where things are, not what they are.
const INHERITED: [&str; 13] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "TZ",
    "SVDIR",
    "FW_RUNDIR",
    "FW_SERVICE",
    "NTPD_RUNDIR",
    "PORTREEVE_STATE",
];

/// A script's environment under construction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment(Vec<CString>);

/// How much of the daemon's environment a script sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inherit<'a> {
    /// The common names, and these.
    Listed(&'a [&'a str]),
    /// Everything, as with udhcpc; OpenWrt's script needs it.
    All,
}

impl Environment {
    /// Starts from the daemon's own (`std::env::vars_os()`, read once by main). There is always a PATH.
    pub fn inherit<K: AsRef<OsStr>, V: AsRef<OsStr>>(own: impl IntoIterator<Item = (K, V)>, what: Inherit<'_>) -> Self {
        let mut env = Self::default();
        env.set("PATH", DEFAULT_PATH.as_bytes());
        for (name, value) in own {
            let wanted = |n: &str| match what {
                Inherit::Listed(more) => INHERITED.contains(&n) || more.contains(&n),
                Inherit::All => true,
            };
            if let Some(name) = name.as_ref().to_str().filter(|n| wanted(n)) {
                env.set(name, value.as_ref().as_bytes());
            }
        }
        env
    }

    /// Sets `name`, replacing what it was. Returns whether it could be: a value with a NUL in it, or a name that is no
    /// variable's, is left out.
    pub fn set(&mut self, name: &str, value: &[u8]) -> bool {
        let name_ok = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let mut line = name.as_bytes().to_vec();
        line.push(b'=');
        self.0.retain(|old| !old.as_bytes().starts_with(&line));
        line.extend(value);
        match CString::new(line) {
            Ok(line) if name_ok => {
                self.0.push(line);
                true
            }
            Ok(_) | Err(_) => false,
        }
    }

    /// Forgets `name`.
    pub fn unset(&mut self, name: &str) {
        self.0.retain(|old| !old.as_bytes().strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b"=")));
    }

    /// The value of `name`.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find_map(|line| line.as_bytes().strip_prefix(name.as_bytes())?.strip_prefix(b"="))
    }

    /// `NAME=value` strings for exec.
    pub fn strings(&self) -> &[CString] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: [(&str, &str); 5] =
        [("PATH", "/bin"), ("TZ", "UTC"), ("LD_PRELOAD", "x"), ("metric", "5"), ("BASH_FUNC_a%%", "x")];

    #[test]
    fn inherits_what_is_listed() {
        let env = Environment::inherit(OWN, Inherit::Listed(&["metric"]));
        assert_eq!(env.strings(), [c"PATH=/bin".to_owned(), c"TZ=UTC".to_owned(), c"metric=5".to_owned()]);
        let env = Environment::inherit(OWN, Inherit::All);
        assert_eq!(env.value("LD_PRELOAD"), Some(&b"x"[..]));
        assert_eq!(env.strings().len(), 4, "no name of a variable");
        let none: [(&str, &str); 0] = [];
        assert_eq!(Environment::inherit(none, Inherit::All).value("PATH"), Some(DEFAULT_PATH.as_bytes()));
    }

    #[test]
    fn sets_and_refuses() {
        let mut env = Environment::default();
        assert!(env.set("ip", b"192.0.2.7") && env.set("ip", b"192.0.2.8") && env.set("ipx", b""));
        assert_eq!((env.value("ip"), env.value("i")), (Some(&b"192.0.2.8"[..]), None));
        assert!(!env.set("message", b"a\0b") && !env.set("a=b", b"") && !env.set("", b"") && !env.set("9", b""));
        assert_eq!(env.strings().len(), 2);
        assert!(!env.set("ip", b"\0"));
        assert_eq!(env.value("ip"), None, "better nothing than the old value");
    }
}
