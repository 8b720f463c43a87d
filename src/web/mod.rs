//! The HTTP edge: listeners in, pages out, drained at the end with a time limit. With `routes` and `bodies` the only place
//! that names hyper.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::metrics::{Build, Configured};
use crate::pipeline::Assessment;

mod bodies;
mod client;
mod negotiate;
pub mod pages;
mod routes;

pub use client::any_answer;

use bodies::Bodies;
use routes::Ends;

/// How the pages are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `web.listen_addresses`; at least one.
    pub listen_addresses: Vec<SocketAddr>,
    /// `web.telemetry_path`, with its leading slash.
    pub telemetry_path: String,
    /// `web.route_prefix`: empty, or with a leading and without a trailing slash.
    pub route_prefix: String,
    /// `web.max_requests`: requests in flight beyond it get 503.
    pub max_requests: usize,
    /// `web.enable_lifecycle`: whether `POST /-/reload` reads the configuration again.
    pub enable_lifecycle: bool,
}

/// What is shown, as it changes, and who takes orders.
#[derive(Debug)]
pub struct Feed {
    /// The latest assessment.
    pub latest: watch::Receiver<Arc<Assessment>>,
    /// How loading the configuration went.
    pub configured: watch::Receiver<Configured>,
    /// Takes an order to read the configuration again.
    pub reload: mpsc::Sender<Order>,
}

/// An order to read the configuration again. The answer is `Err` with every mistake if it stays as it is.
pub type Order = oneshot::Sender<Result<(), String>>;

/// A peer that does not finish its request line and headers within this is cut off; it bounds an idle connection too.
const HEADER_TIMEOUT: Duration = Duration::from_secs(60);
/// Connections beyond this wait to be accepted.
const MOST_CONNECTIONS: usize = 256;
/// How long requests in flight may take once a stop was asked for.
const GRACE: Duration = Duration::from_secs(5);
/// Room for request line and headers of one request.
const MOST_HEADER_BYTES: usize = 64 * 1024;

/// What the routes need.
#[derive(Debug)]
struct Site {
    prefix: String,
    telemetry_path: String,
    build: Build,
    started: u64,
    enable_lifecycle: bool,
    feed: Feed,
    bodies: Bodies,
    ready: OnceLock<()>,
    in_flight: Semaphore,
}

/// Binds every address, or none.
///
/// # Errors
/// The address that could not be bound, and why.
pub async fn bind(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, (SocketAddr, io::Error)> {
    let mut listeners = Vec::new();
    for address in addresses {
        listeners.push(TcpListener::bind(address).await.map_err(|error| (*address, error))?);
    }
    Ok(listeners)
}

/// Serves until `stop` completes, then drains: new connections are refused, requests in flight get their time.
pub async fn serve(
    listeners: Vec<TcpListener>,
    settings: &Settings,
    build: Build,
    feed: Feed,
    stop: impl Future<Output = ()>,
) {
    let started = feed.configured.borrow().at.max(0.0) as u64;
    let site = Arc::new(Site {
        prefix: settings.route_prefix.clone(),
        telemetry_path: settings.telemetry_path.clone(),
        build: build.clone(),
        started,
        enable_lifecycle: settings.enable_lifecycle,
        feed,
        bodies: Bodies::new(build),
        ready: OnceLock::new(),
        in_flight: Semaphore::new(settings.max_requests),
    });
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let (accepted_sender, mut accepted) = mpsc::channel::<(TcpStream, SocketAddr)>(16);
    let mut acceptors = JoinSet::new();
    for listener in listeners {
        acceptors.spawn(accept(listener, accepted_sender.clone()));
    }
    drop(accepted_sender);
    let mut stop = pin!(stop);
    loop {
        // A full room must not keep us from seeing the order to stop.
        let next = async {
            let permit = Arc::clone(&room).acquire_owned().await.ok()?;
            let (stream, peer) = accepted.recv().await?;
            Some((permit, stream, peer))
        };
        let (permit, stream, peer) = tokio::select! {
            next = next => match next {
                Some(next) => next,
                None => break,
            },
            () = &mut stop => break,
        };
        let Ok(local) = stream.local_addr() else { continue };
        let site = Arc::clone(&site);
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let site = Arc::clone(&site);
            // No page takes a body: what comes of one is not read.
            let request = request.map(drop);
            async move { Ok::<_, Infallible>(respond(&site, &request, Ends { local, peer }).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(MOST_HEADER_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, %peer, "connection ended");
            }
            drop(permit);
        });
    }
    acceptors.abort_all();
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!("requests were still in flight at the end of the grace period");
    }
}

async fn respond(
    site: &Site,
    request: &hyper::Request<()>,
    ends: Ends,
) -> hyper::Response<http_body_util::Full<hyper::body::Bytes>> {
    let Ok(_permit) = site.in_flight.try_acquire() else {
        let mut reply =
            routes::plain(hyper::StatusCode::SERVICE_UNAVAILABLE, "too many requests in flight\n");
        reply.headers_mut().insert(hyper::header::RETRY_AFTER, hyper::header::HeaderValue::from_static("1"));
        return reply;
    };
    routes::answer(site, request, ends).await
}

/// Accepts until nobody takes connections any more. An error (no file descriptors left, say) passes: wait and go on.
async fn accept(listener: TcpListener, sender: mpsc::Sender<(TcpStream, SocketAddr)>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let _ = stream.set_nodelay(true);
                if sender.send((stream, peer)).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
