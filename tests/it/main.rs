//! The integration binary. Each module says what belongs in it.
//!
//! Those under the feature `gssapi` need other programs (a domain controller, Prometheus, a parser): `tests/run` installs them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unreachable,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and wait by the real clock for real programs"
)]

mod alerting;

mod catalogue;

mod commands;

mod config;

mod controllers;

#[cfg(feature = "gssapi")]
mod dashboards;

mod demo;

mod discovery;

#[cfg(feature = "gssapi")]
mod formats;

mod hostile;

mod hostile_ldap;

#[cfg(feature = "gssapi")]
mod lab;

#[cfg(feature = "gssapi")]
mod prometheus;

mod refresh;

mod reload;

mod restraint;

mod scenarios;

mod sql_tls;

#[cfg(feature = "gssapi")]
mod statements;

mod tickets;

mod tidy;

mod web;

mod world;
