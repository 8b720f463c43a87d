//! What is not the daemon: each command is a file and a function that gives the exit code.

pub mod check;

pub mod healthcheck;

pub mod keytab_info;

pub mod queries;

/// Exit codes.
pub mod exit {
    /// Done; healthy.
    pub const OK: u8 = 0;
    /// Bad usage or configuration.
    pub const USAGE: u8 = 2;
    /// Cannot listen.
    pub const CANNOT_LISTEN: u8 = 3;
    /// Nobody answers (`healthcheck`).
    pub const DEAD: u8 = 1;
}
