//! What the system tells the process: to stop (SIGTERM or SIGINT on Unix, Ctrl-C on Windows; the first asks to finish, the
//! second ends the process at once), or to read its configuration again (SIGHUP). Stops and reads nothing itself.

use tokio::sync::mpsc;

/// What a shell reports for a process that SIGINT ended (128 + 2), as after a second signal nothing was finished.
const ABANDONED: i32 = 130;

/// Completes at the first signal. From then on a second one ends the process at once. To be awaited once.
///
/// Where the system refuses to register for signals, their default action stays in force and this never completes.
pub async fn stop() {
    let Some(mut signals) = Signals::listen() else { return std::future::pending().await };
    let signal = signals.next().await;
    tracing::info!(signal, "stopping; a second signal ends at once");
    tokio::spawn(async move {
        let signal = signals.next().await;
        tracing::warn!(signal, "second signal: ending at once");
        std::process::exit(ABANDONED);
    });
}

/// One message for each SIGHUP; several that come while one is being served are one. Windows has no such signal.
pub fn hangups() -> mpsc::Receiver<()> {
    let (sender, receiver) = mpsc::channel(1);
    #[cfg(unix)]
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()) {
        Ok(mut signal) => {
            tokio::spawn(async move {
                while signal.recv().await.is_some() {
                    // Full: one is waiting already, and will read what is in the file by then.
                    if let Err(mpsc::error::TrySendError::Closed(())) = sender.try_send(()) {
                        return;
                    }
                }
            });
        }
        Err(error) => tracing::error!(%error, "no handler for SIGHUP"),
    }
    #[cfg(not(unix))]
    drop(sender);
    receiver
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn listen() -> Option<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        let registered = signal(SignalKind::terminate()).and_then(|terminate| {
            signal(SignalKind::interrupt()).map(|interrupt| Self { terminate, interrupt })
        });
        registered.inspect_err(|error| tracing::error!(%error, "no signal handler")).ok()
    }

    async fn next(&mut self) -> &'static str {
        // `None` would mean that no signal can come any more.
        tokio::select! {
            Some(()) = self.terminate.recv() => "SIGTERM",
            Some(()) = self.interrupt.recv() => "SIGINT",
            else => std::future::pending().await,
        }
    }
}

#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn listen() -> Option<Self> {
        let registered = tokio::signal::windows::ctrl_c().map(Self);
        registered.inspect_err(|error| tracing::error!(%error, "no signal handler")).ok()
    }

    async fn next(&mut self) -> &'static str {
        match self.0.recv().await {
            Some(()) => "Ctrl-C",
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_signal_completes_it() {
        let terminate = async {
            let own = std::process::id().to_string();
            tokio::process::Command::new("kill").args(["-TERM", &own]).status().await.unwrap()
        };
        // Polled in this order: the handlers are registered before the signal is sent.
        let ((), status) = tokio::join!(biased; stop(), terminate);
        assert!(status.success());
    }
}
