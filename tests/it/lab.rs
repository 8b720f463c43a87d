//! The exporter against a real Active Directory server (Samba) that the tests start by themselves. What is expected is read by
//! other programs (`ldapsearch`), never by our own modules. What Samba cannot prove about Windows is in no test here.
//!
//! Compiled with the feature `gssapi` only: `cargo test` alone needs no other program, `tests/run` runs everything.

pub(crate) mod domain;

pub(crate) mod exporter;

pub(crate) mod reading;

mod scenarios;

mod accounts;

mod binds;

mod logins;

mod exits;

mod lockout;

mod outage;

mod delegation;

mod clock;

mod trusts;

mod mit;

mod tickets;

mod daemon_tickets;

mod check_tickets;
