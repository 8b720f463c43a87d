//! Whether Kerberos works for SQL Server, why not, who is on NTLM, and what to do about it: continuously, as Prometheus
//! metrics.
//!
//! ```text
//! config ─▶ sqlserver ─▶ expected ─▶ directory ─▶ dns ─▶ findings ─▶ metrics ─▶ web
//!           (TDS)        (pure)      (LDAP)              (pure)      (text)     (HTTP)
//!           └── pipeline (pure): what each probe is to be asked, given the evidence so far; what the evidence means ──┘
//! refresh: one task a probe, when it asks; app: puts the parts together; model: the shared vocabulary
//! ```

pub mod cli;

pub mod config;

pub mod model;

pub mod sqlserver;

pub mod expected;

pub mod directory;

pub mod dns;

pub mod host;

pub mod findings;

pub mod remedy;

pub mod pipeline;

pub mod metrics;

pub mod report;

pub mod web;

#[cfg(test)]
mod samples;
