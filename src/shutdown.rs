//! When to stop: SIGTERM or SIGINT on Unix, Ctrl-C on Windows. The first asks to finish, the second ends the process at
//! once. Stops nothing itself.

/// What a shell reports for a process that SIGINT ended (128 + 2), as after a second signal nothing was finished.
const ABANDONED: i32 = 130;

/// Completes at the first signal. From then on a second one ends the process at once. To be awaited once.
///
/// Where the system refuses to register for signals, their default action stays in force and this never completes.
pub async fn requested() {
    let Some(mut signals) = Signals::listen() else { return std::future::pending().await };
    let signal = signals.next().await;
    tracing::info!(signal, "stopping; a second signal ends at once");
    tokio::spawn(async move {
        let signal = signals.next().await;
        tracing::warn!(signal, "second signal: ending at once");
        std::process::exit(ABANDONED);
    });
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

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_signal_completes_it() {
        let terminate = async {
            let own = std::process::id().to_string();
            tokio::process::Command::new("kill").args(["-TERM", &own]).status().await.unwrap()
        };
        // Polled in this order: the handlers are registered before the signal is sent.
        let ((), status) = tokio::join!(biased; requested(), terminate);
        assert!(status.success());
    }
}
