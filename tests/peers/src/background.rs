//! A thread with its own single-threaded runtime for one peer, ended when the handle is dropped.
//!
//! It does not restart anything and has no opinion on what runs in it.

use std::future::Future;
use std::io;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

/// The running thread of a peer. Dropping it closes every socket of the peer and waits for the thread.
///
/// A thread of its own, not a task of the caller's runtime: tests wait for child processes and other blocking calls, and
/// with tokio's paused clock a task on the same runtime would see the time jump.
pub(crate) struct Background {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Background {
    /// Starts the thread; `serve` is called inside its runtime and may spawn further tasks there.
    pub(crate) fn start<Serve, Served>(name: &str, serve: Serve) -> io::Result<Self>
    where
        Serve: FnOnce() -> Served + Send + 'static,
        Served: Future<Output = ()>,
    {
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    _ = stopped => {}
                    () = serve() => {}
                }
            });
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // An error means that the peer has ended by itself, which is what was wanted.
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
