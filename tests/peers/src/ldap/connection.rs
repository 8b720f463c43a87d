//! One client's connection: requests in, answers out, as the port's behaviour allows.
//!
//! Requests are answered one after another, as AD does for a client that waits.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::ber;
use super::controller::{State, locked};
use super::hostile::{Behaviour, garbage};
use super::message::{
    Authentication, DOMAIN_SCOPE, Operation, Outcome, PAGED_RESULTS, Request, START_TLS, answer, code,
    notice_of_disconnection,
};
use super::records::{BindSeen, Port};
use super::search::Answer;

/// MaxReceiveBuffer (MS-ADTS 3.1.1.3.4.6): the longest request, in bytes.
const MAXIMUM_REQUEST: usize = 10_485_760;

/// Who am I (RFC 4532).
const WHO_AM_I: &str = "1.3.6.1.4.1.4203.1.11.3";

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<Any: AsyncRead + AsyncWrite + Unpin + Send> Stream for Any {}

/// Accepts connections on one socket for as long as it is polled.
pub(super) async fn accept(listener: TcpListener, port: Port, encrypted: bool, state: Arc<State>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                state.records.accepted.fetch_add(1, Ordering::SeqCst);
                state.records.open.fetch_add(1, Ordering::SeqCst);
                let open = Open(Arc::clone(&state));
                connections.spawn(async move {
                    // A connection that fails has told its client so by closing.
                    let _ = greet(stream, port, encrypted, &open.0).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Counts one connection as open until it is dropped.
struct Open(Arc<State>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.records.open.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn greet(stream: TcpStream, port: Port, encrypted: bool, state: &Arc<State>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    match state.behaviour(port) {
        Behaviour::Refuse => return Ok(()),
        Behaviour::BlackHole => return swallow(stream).await,
        _ => {}
    }
    let stream: Box<dyn Stream> =
        if encrypted { Box::new(state.acceptor.accept(stream).await?) } else { Box::new(stream) };
    let connection = Connection {
        stream,
        state: Arc::clone(state),
        port,
        encrypted,
        identity: String::new(),
        bound: false,
        sent: 0,
        pages: HashMap::new(),
        next_cookie: 1,
    };
    connection.serve().await
}

/// Reads until the client gives up.
async fn swallow(mut stream: impl AsyncRead + Unpin) -> io::Result<()> {
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer).await? > 0 {}
    Ok(())
}

pub(super) struct Connection {
    stream: Box<dyn Stream>,
    pub(super) state: Arc<State>,
    pub(super) port: Port,
    pub(super) encrypted: bool,
    pub(super) identity: String,
    pub(super) bound: bool,
    sent: usize,
    /// What is left of paged searches, by cookie.
    pub(super) pages: HashMap<Vec<u8>, Rest>,
    pub(super) next_cookie: u64,
}

/// What a paged search has not yet handed out.
pub(super) struct Rest {
    pub(super) entries: std::vec::IntoIter<Answer>,
    pub(super) references: Vec<String>,
}

impl Connection {
    async fn serve(mut self) -> io::Result<()> {
        let mut buffer = Vec::new();
        while let Some(bytes) = self.receive(&mut buffer).await? {
            let behaviour = self.state.behaviour(self.port);
            match behaviour {
                Behaviour::BlackHole => return swallow(self.stream).await,
                Behaviour::Refuse => return Ok(()),
                Behaviour::Garbage => {
                    self.send(&garbage()).await?;
                    continue;
                }
                _ => {}
            }
            let Ok(request) = Request::decode(&bytes) else {
                return self.send(&notice_of_disconnection()).await;
            };
            let unknown = |kind: &str| {
                !matches!(kind, PAGED_RESULTS | DOMAIN_SCOPE) && !kind.starts_with("1.2.840.113556.1.4.")
            };
            if request.controls.iter().any(|control| control.critical && unknown(&control.kind)) {
                let text =
                    "00000057: LdapErr: DSID-0C0907C1, comment: Error processing control, data 0, v4563";
                let outcome = Outcome::new(code::UNAVAILABLE_CRITICAL_EXTENSION, text);
                self.send(&outcome.encode(request.id, answer::SEARCH_DONE)).await?;
                continue;
            }
            match &request.operation {
                Operation::Unbind => return Ok(()),
                Operation::Abandon => {}
                Operation::Bind { name, authentication } => {
                    let outcome = self.bind(name, authentication);
                    self.send(&outcome.encode(request.id, answer::BIND)).await?;
                }
                Operation::Search(search) => {
                    self.record(search, &request);
                    match behaviour {
                        Behaviour::HangAtSearch => return swallow(self.stream).await,
                        _ => self.search(&request, search, &behaviour).await?,
                    }
                }
                Operation::Extended { name } if name == START_TLS => {
                    if self.encrypted {
                        let outcome = Outcome::new(code::OPERATIONS_ERROR, "TLS is already in use");
                        self.send(&outcome.encode_extended(request.id, Some(START_TLS), None)).await?;
                    } else {
                        self.send(&Outcome::success().encode_extended(request.id, Some(START_TLS), None))
                            .await?;
                        self.stream = Box::new(self.state.acceptor.accept(self.stream).await?);
                        self.encrypted = true;
                    }
                }
                Operation::Extended { name } if name == WHO_AM_I => {
                    let identity = if self.bound { format!("u:{}", self.identity) } else { String::new() };
                    self.send(&Outcome::success().encode_extended(request.id, None, Some(&identity))).await?;
                }
                Operation::Extended { name } => {
                    let outcome = Outcome::new(code::PROTOCOL_ERROR, "unknown extended operation");
                    self.send(&outcome.encode_extended(request.id, Some(name), None)).await?;
                }
                Operation::Other { answer } => {
                    let outcome = Outcome::new(code::UNWILLING_TO_PERFORM, "this directory is read only");
                    self.send(&outcome.encode(request.id, *answer)).await?;
                }
            }
        }
        Ok(())
    }

    /// The bytes of the next request; `None` when the client has closed.
    async fn receive(&mut self, buffer: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
        loop {
            match ber::first_length(buffer) {
                Ok(Some(length)) if length > MAXIMUM_REQUEST => return Ok(None),
                Ok(Some(length)) if buffer.len() >= length => {
                    self.state.records.received.fetch_add(length as u64, Ordering::SeqCst);
                    return Ok(Some(buffer.drain(..length).collect()));
                }
                Ok(_) => {}
                Err(_) => {
                    self.send(&notice_of_disconnection()).await?;
                    return Ok(None);
                }
            }
            if self.stream.read_buf(buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let allowed = match self.state.behaviour(self.port) {
            Behaviour::CutAfter(limit) => limit.saturating_sub(self.sent).min(bytes.len()),
            _ => bytes.len(),
        };
        let bytes_allowed = bytes.get(..allowed).unwrap_or(bytes);
        self.stream.write_all(bytes_allowed).await?;
        self.stream.flush().await?;
        self.sent += allowed;
        self.state.records.sent.fetch_add(allowed as u64, Ordering::SeqCst);
        if allowed < bytes.len() {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }

    fn bind(&mut self, name: &str, authentication: &Authentication) -> Outcome {
        (self.bound, self.identity) = (false, String::new());
        let outcome = match authentication {
            Authentication::Sasl => Outcome::new(
                code::AUTHENTICATION_METHOD_NOT_SUPPORTED,
                "00002027: LdapErr: DSID-0C0905F4, comment: Unsupported authentication mechanism, data 0, v4563",
            ),
            // Without a name it is anonymous, with a name and no password "unauthenticated" (RFC 4513 section 5.1.2): AD lets both in.
            Authentication::Simple(password) if name.is_empty() || password.is_empty() => Outcome::success(),
            Authentication::Simple(_) if !self.encrypted => Outcome::new(
                code::STRONGER_AUTHENTICATION_REQUIRED,
                "00002028: LdapErr: DSID-0C090259, comment: The server requires binds to turn on integrity checking if SSL\\TLS are not already active on the connection, data 0, v4563",
            ),
            Authentication::Simple(password) => {
                let outcome = self
                    .state
                    .write(|directory| locked(&self.state.credentials).bind(directory, name, password));
                if outcome.code == code::SUCCESS {
                    (self.bound, self.identity) = (true, name.to_owned());
                }
                outcome
            }
        };
        locked(&self.state.records.binds).push(BindSeen {
            port: self.port,
            encrypted: self.encrypted,
            identity: name.to_owned(),
            result: outcome.code,
        });
        outcome
    }
}
