//! The daemon's composition root: validated settings in, running exporter out. Takes bound listeners, a way to read the
//! configuration again, and a future that says when to stop, so that tests bind port 0 and stop it at will.

use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use crate::cli::BUILD;
use crate::config::{Config, Errors};
use crate::metrics::{Build, Configured};
use crate::refresh::{self, Refresh};
use crate::web::{self, Feed, Order};

/// How the configuration is read again, and when, besides an order over HTTP.
pub struct Reload {
    /// Reads and checks it.
    pub load: Arc<dyn Fn() -> Result<Config, Errors> + Send + Sync>,
    /// One message, one time.
    pub hangups: mpsc::Receiver<()>,
}

/// Serves until `stop` completes.
pub async fn run(
    config: &Config,
    listeners: Vec<TcpListener>,
    reload: Reload,
    stop: impl Future<Output = ()>,
) {
    for listener in &listeners {
        if let Ok(address) = listener.local_addr() {
            tracing::info!(%address, version = BUILD.version, "listening");
            if !address.ip().is_loopback() {
                // JUDGEMENT 17: said loudly.
                tracing::warn!(
                    %address,
                    "open beyond loopback without TLS and authentication: /metrics names accounts and SPNs to whoever \
                     reaches it (labels.accounts: hash hides the names); /explain shows only verdicts there"
                );
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
    let configured = watch::Sender::new(Configured { at: configured_now(), is_latest_good: true });
    let (orders, taken) = mpsc::channel(1);
    let feed = Feed { latest: refresh.latest(), configured: configured.subscribe(), reload: orders };
    tokio::select! {
        () = web::serve(listeners, &config.web, build, feed, stop) => {}
        () = follow(config, refresh, reload, taken, &configured) => {}
    }
    tracing::info!("stopped");
}

fn configured_now() -> f64 {
    refresh::now().unix_seconds()
}

/// Reads the configuration again whenever it is asked to. Never ends by itself.
async fn follow(
    config: &Config,
    mut refresh: Refresh,
    mut reload: Reload,
    mut orders: mpsc::Receiver<Order>,
    configured: &watch::Sender<Configured>,
) {
    loop {
        let order = tokio::select! {
            Some(order) = orders.recv() => Some(order),
            Some(()) = reload.hangups.recv() => None,
            else => std::future::pending().await,
        };
        let load = Arc::clone(&reload.load);
        let outcome = match tokio::task::spawn_blocking(move || load()).await {
            Ok(Ok(new)) => Ok(new),
            Ok(Err(errors)) => Err(errors.to_string()),
            Err(_) => Err("reading the configuration panicked".to_owned()),
        };
        let outcome = match outcome {
            Ok(new) => {
                if new.web != config.web || new.log != config.log {
                    tracing::warn!(
                        "what has changed in `web` and `log` takes a restart; the rest is in force"
                    );
                }
                refresh.reload(&new.parts()).await;
                configured.send_replace(Configured { at: configured_now(), is_latest_good: true });
                tracing::info!(instances = new.instances.len(), "configuration reloaded");
                Ok(())
            }
            Err(mistakes) => {
                configured.send_modify(|configured| configured.is_latest_good = false);
                tracing::error!(%mistakes, "configuration not reloaded: the one in force stays");
                Err(mistakes)
            }
        };
        if let Some(order) = order {
            // Whoever asked may have gone.
            let _ = order.send(outcome);
        }
    }
}
