//! The daemon's composition root: validated settings in, running exporter out. Takes bound listeners and a future that
//! says when to stop, so that tests bind port 0 and stop it at will.

use tokio::net::TcpListener;

use crate::cli::BUILD;
use crate::config::Config;
use crate::metrics::Build;
use crate::refresh::{self, Refresh};
use crate::web;

/// Serves until `stop` completes.
pub async fn run(config: &Config, listeners: Vec<TcpListener>, stop: impl Future<Output = ()>) {
    for listener in &listeners {
        if let Ok(address) = listener.local_addr() {
            tracing::info!(%address, version = BUILD.version, "listening");
            if !address.ip().is_loopback() {
                tracing::info!(%address, "open beyond loopback, without TLS: /explain shows only verdicts there");
            }
        }
    }
    if config.judge.ticket.as_ref().is_ok_and(|ticket| ticket.asks_accounts) {
        tracing::warn!(
            key = "ticket.ask_service_accounts",
            event = "4768, failure 0x19",
            "asks KDCs for a logon of each service account without pre-authentication, at most once an hour for each: to \
             detection this looks like AS-REP roasting"
        );
    }
    let refresh = Refresh::start(&config.parts());
    let build =
        Build { version: BUILD.version, revision: BUILD.revision, rustc: BUILD.rustc, target: BUILD.target };
    let configured_at = refresh::now().unix_seconds();
    web::serve(listeners, &config.web, build, configured_at, refresh.latest(), stop).await;
    tracing::info!("stopped");
}
