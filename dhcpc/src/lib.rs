//! DHCPv4 client (RFC 2131).
