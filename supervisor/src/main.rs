//! runsv, runsvdir, sv, svlogd and the daemontools names in one executable.

fn main() {}
