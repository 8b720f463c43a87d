//! One future for every way of asking the process to stop. A second signal ends it at once.

/// Completes at SIGTERM or SIGINT on Unix, at Ctrl-C on Windows.
pub async fn requested() {
    first().await;
    tokio::spawn(async {
        first().await;
        // Whoever asks twice does not want to wait for the drain; 130 is the shell's code for an interrupted program.
        std::process::exit(130);
    });
}

#[cfg(unix)]
async fn first() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        }
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(%error, "signals cannot be listened to; only a kill ends this process");
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(not(unix))]
async fn first() {
    if let Err(error) = tokio::signal::ctrl_c().await {
        tracing::error!(%error, "Ctrl-C cannot be listened to");
        std::future::pending::<()>().await;
    }
}
