//! Long options that udhcpc does not have.

use super::reader::{text, value};
use super::{UsageError, expected};
use crate::environment::Routes;
use crate::machine::{Defence, Policy};
use crate::options::parse::option_code;
use core::time::Duration;
use lexopt::Parser;
use std::net::Ipv4Addr;
use std::path::PathBuf;

/// The options while they are read.
#[derive(Default)]
pub(super) struct More {
    pub(super) initial_delay: Duration,
    pub(super) first_retry: Option<Duration>,
    pub(super) rapid_commit: Option<bool>,
    pub(super) defend: Option<Defence>,
    pub(super) policy: Policy,
    pub(super) routes: Routes,
    pub(super) strict: bool,
    pub(super) inherit: Option<Vec<String>>,
    pub(super) stats: Option<PathBuf>,
    pub(super) busybox: bool,
    pub(super) duid: bool,
    pub(super) anonymous: bool,
    pub(super) forcerenew: bool,
}

/// Their names.
const NAMES: [&str; 17] = [
    "initial-delay",
    "first-retry",
    "rapid-commit",
    "no-rapid-commit",
    "defend",
    "reject-server",
    "prefer-server",
    "require-option",
    "min-lease",
    "routes",
    "strict",
    "inherit",
    "stats",
    "busybox-compat",
    "duid",
    "anonymous",
    "forcerenew",
];

impl More {
    /// Whether `name` is one of ours.
    pub(super) fn has(name: &str) -> bool {
        NAMES.contains(&name)
    }

    pub(super) fn option(&mut self, name: &str, parser: &mut Parser) -> Result<(), UsageError> {
        let option = format!("--{name}");
        match name {
            "initial-delay" => {
                self.initial_delay = Duration::from_secs(value(parser, &option, "a number of seconds")?);
            }
            "first-retry" => {
                let ms: u64 = value(parser, &option, "a number of milliseconds")?;
                self.first_retry = Some(Duration::from_millis(ms.clamp(50, 64_000)));
            }
            "rapid-commit" => self.rapid_commit = Some(true),
            "no-rapid-commit" => self.rapid_commit = Some(false),
            "defend" => {
                self.defend = Some(match text(parser)?.as_str() {
                    "give-up" => Defence::GiveUp,
                    "once" => Defence::Once,
                    "always" => Defence::Always,
                    _ => return Err(UsageError(expected(&option, "give-up, once or always"))),
                });
            }
            "reject-server" => {
                let given = text(parser)?;
                let (address, len) = given.split_once('/').unwrap_or((&given, "32"));
                match (address.parse::<Ipv4Addr>(), len.parse::<u8>()) {
                    (Ok(address), Ok(len @ 0..=32)) => self.policy.reject.push((address, len)),
                    (Ok(_) | Err(_), _) => return Err(UsageError(expected(&option, "an address or network"))),
                }
            }
            "prefer-server" => self.policy.prefer.push(value(parser, &option, "an address")?),
            "require-option" => self.policy.require.push(option_code(&text(parser)?).map_err(UsageError)?),
            "min-lease" => self.policy.min_lease = value(parser, &option, "a number of seconds")?,
            "routes" => {
                self.routes = match text(parser)?.as_str() {
                    "all" => Routes::All,
                    "default" => Routes::Default,
                    "none" => Routes::None,
                    _ => return Err(UsageError(expected(&option, "all, default or none"))),
                };
            }
            "strict" => self.strict = true,
            "inherit" => {
                let names = text(parser)?;
                let names = names.split(',').filter(|n| !n.is_empty()).map(str::to_owned);
                self.inherit.get_or_insert_default().extend(names);
            }
            "stats" => self.stats = Some(parser.value()?.into()),
            "busybox-compat" => self.busybox = true,
            "duid" => self.duid = true,
            "anonymous" => self.anonymous = true,
            "forcerenew" => self.forcerenew = true,
            _ => return Err(UsageError(format!("invalid option \'{option}\'"))),
        }
        Ok(())
    }
}
