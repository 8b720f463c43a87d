//! Whether Kerberos works for SQL Server, why not, who is on NTLM, and what to do about it: continuously, as Prometheus
//! metrics.
//!
//! ```text
//! config ─▶ sqlserver ─▶ expected ─▶ directory ─▶ dns ─▶ ticket ─▶ findings ─▶ metrics ─▶ web
//!           (TDS)        (pure)      (LDAP)              (KDC)     (pure)      (text)     (HTTP)
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

pub mod ticket;

pub mod host;

pub mod findings;

pub mod remedy;

pub mod pipeline;

pub mod metrics;

pub mod report;

pub mod refresh;

pub mod web;

pub mod telemetry;

pub mod signals;

pub mod commands;

pub mod app;

#[cfg(test)]
mod samples;

/// Makes aws-lc-rs the process's TLS provider: with more than one in the tree rustls cannot choose by itself. Calling it
/// again changes nothing.
///
/// # Errors
/// Another provider was installed before.
pub fn install_crypto() -> Result<(), &'static str> {
    static INSTALLED: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    let installed =
        *INSTALLED.get_or_init(|| rustls::crypto::aws_lc_rs::default_provider().install_default().is_ok());
    if installed { Ok(()) } else { Err("another TLS provider is installed in this process") }
}
