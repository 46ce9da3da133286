//! What `apply`, `plan` and `why` are asked about: the administrator's policy and the two directories.

use crate::runs;
use crate::sources::{self, Sources, Unreadable};
use crate::state::desired::Policy;
use netif::places::Places;
use std::ffi::OsString;
use std::path::PathBuf;

/// For the usage text.
pub(crate) const ARGS: &str = "[--wan IF,IF...] [--prefer IF] [--forward] [CONFDIR [RUNDIR]]";

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Request {
    pub(crate) policy: Policy,
    conf: Option<PathBuf>,
    run: Option<PathBuf>,
}

impl Request {
    /// Options and directories.
    pub(crate) fn parse(args: &[OsString]) -> Result<Self, lexopt::Error> {
        let (mut request, words) = Self::with_words(args)?;
        for word in words {
            match (&request.conf, &request.run) {
                (None, _) => request.conf = Some(word.into()),
                (Some(_), None) => request.run = Some(word.into()),
                (Some(_), Some(_)) => return Err(lexopt::Error::UnexpectedArgument(word)),
            }
        }
        Ok(request)
    }

    /// Options, the directories among them, and the words that are left.
    pub(crate) fn with_words(args: &[OsString]) -> Result<(Self, Vec<OsString>), lexopt::Error> {
        use lexopt::prelude::*;
        let (mut request, mut words) = (Self::default(), Vec::new());
        let mut parser = lexopt::Parser::from_args(args);
        while let Some(arg) = parser.next()? {
            match arg {
                Long("prefer") => request.policy.prefer = Some(parser.value()?.parse()?),
                Long("forward") => request.policy.forward = true,
                Long("wan") => {
                    let list = parser.value()?.string()?;
                    let names = list.split([',', ' ']).filter(|name| !name.is_empty());
                    request.policy.wan = names.map(|name| name.parse().map_err(wrong)).collect::<Result<_, _>>()?;
                }
                Long("conf") => request.conf = Some(parser.value()?.into()),
                Long("run-dir") => request.run = Some(parser.value()?.into()),
                Value(word) => words.push(word),
                Short(_) | Long(_) => return Err(arg.unexpected()),
            }
        }
        Ok((request, words))
    }

    /// What the last run of apply was asked, unless this command line says something of its own.
    pub(crate) fn or_last(mut self) -> Self {
        if self.conf.is_none()
            && self.policy == Policy::default()
            && let Some(run) = runs::read(&self.run_dir()).pop()
        {
            self.conf = Some(run.conf);
            self.policy = run.policy;
        }
        self
    }

    /// The administrator's directory, absolute if the working directory is known.
    pub(crate) fn conf_dir(&self) -> PathBuf {
        let conf = self.conf.clone().unwrap_or_else(|| sources::CONF_DIR.into());
        std::path::absolute(&conf).unwrap_or(conf)
    }

    /// Where services publish.
    pub(crate) fn run_dir(&self) -> PathBuf {
        self.run.clone().unwrap_or_else(|| Places::of_process().run_dir)
    }

    /// What the files say.
    pub(crate) fn sources(&self) -> Result<Sources, Unreadable> {
        let conf = self.conf.clone().unwrap_or_else(|| sources::CONF_DIR.into());
        sources::read(&conf, &self.run_dir())
    }
}

fn wrong(e: netif::ifname::IfNameError) -> lexopt::Error {
    lexopt::Error::Custom(format!("--wan: {e}").into())
}
