//! Carrier (linkwatch) and reachability (pinger).
