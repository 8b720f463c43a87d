//! Log set-up: lines on stderr as logfmt or JSON, at or above a level. The driver crates stay quiet at every level: what they
//! would say is in the failure of the probe, and some of it holds rows.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::cli::{LogFormat, LogLevel};

/// Starts logging. A second call changes nothing.
pub fn start(level: LogLevel, format: LogFormat) {
    let level = match level {
        LogLevel::Debug => "debug",
        LogLevel::Info => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
    };
    let filter = EnvFilter::new(format!("off,mssql_kerberos_exporter={level}"));
    let registry = tracing_subscriber::registry().with(filter);
    let started = match format {
        LogFormat::Json => {
            let lines =
                tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(std::io::stderr);
            registry.with(lines).try_init()
        }
        LogFormat::Logfmt => {
            let lines = tracing_logfmt::builder()
                .with_timestamp(true)
                .with_target(false)
                .with_span_path(false)
                .layer()
                .with_writer(std::io::stderr);
            registry.with(lines).try_init()
        }
    };
    // Another subscriber is there already, as in tests: its lines are as good.
    drop(started);
}
