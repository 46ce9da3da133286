//! The system suites.
