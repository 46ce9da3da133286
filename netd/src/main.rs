//! netd, dhcpc, zcip, linkwatch and pinger in one executable.

fn main() {}
