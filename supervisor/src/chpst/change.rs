//! What is to change before the program runs, whichever name it was asked under.

use std::ffi::{OsStr, OsString};
use sys::limit::Resource;

/// A command line that makes sense. The order in which things are done is [`super::apply`]'s.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Change<'a> {
    /// `-P`
    pub(crate) session: bool,
    /// `-e`
    pub(crate) variables: Option<Variables<'a>>,
    /// `-/`
    pub(crate) root: Option<&'a OsStr>,
    /// `-C`
    pub(crate) directory: Option<&'a OsStr>,
    /// `-n`: how much to add.
    pub(crate) nice: Option<i32>,
    /// `-U`: only named in the environment.
    pub(crate) announced: Option<Who<'a>>,
    /// `-u`
    pub(crate) user: Option<Who<'a>>,
    /// `-l`, `-L`
    pub(crate) lock: Option<Lock<'a>>,
    /// `-0`, `-1`, `-2`
    pub(crate) close: [bool; 3],
    /// `-m` and the like, in the order given: a later one for the same resource wins.
    pub(crate) limits: Vec<(Resource, u64)>,
    /// `-b`: instead of the program's own name.
    pub(crate) name: Option<&'a OsStr>,
    /// `-v`
    pub(crate) verbose: bool,
    /// `setlock -x`: whatever goes wrong, end with 0 and say nothing.
    pub(crate) silent: bool,
    /// The program and its arguments, at least one word.
    pub(crate) program: &'a [OsString],
}

/// A directory of variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Variables<'a> {
    pub(crate) directory: &'a OsStr,
    /// A subdirectory is passed over by `chpst -e`, and is fatal to `envdir`.
    pub(crate) pass_over_directories: bool,
}

/// Whom to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Who<'a> {
    /// See [`super::account::resolve`].
    pub(crate) text: &'a OsStr,
    /// What an error calls it.
    pub(crate) wording: Wording,
}

/// The words `chpst` or `setuidgid` have for the same thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wording {
    UserGroup,
    Account,
}

/// A lock file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lock<'a> {
    pub(crate) file: &'a OsStr,
    /// For as long as somebody else has it; otherwise that is fatal.
    pub(crate) wait: bool,
}
