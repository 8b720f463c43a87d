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
use super::hostile::{Behaviour, deep_nesting, garbage, huge_entry, wrong_types};
use super::identifiers::now;
use super::message::{
    Authentication, DOMAIN_SCOPE, Operation, Outcome, PAGED_RESULTS, Request, START_TLS, Search, answer,
    code, encode_entry, encode_reference, notice_of_disconnection,
};
use super::records::{BindSeen, Port, SearchSeen, Violation};
use super::search::{Answer, View, is_root_dse, violations};

/// MaxPageSize (MS-ADTS 3.1.1.3.4.6): how many entries one answer holds at most.
const MAXIMUM_PAGE: usize = 1000;

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

struct Connection {
    stream: Box<dyn Stream>,
    state: Arc<State>,
    port: Port,
    encrypted: bool,
    identity: String,
    bound: bool,
    sent: usize,
    /// What is left of paged searches, by cookie.
    pages: HashMap<Vec<u8>, Rest>,
    next_cookie: u64,
}

/// What a paged search has not yet handed out.
struct Rest {
    entries: std::vec::IntoIter<Answer>,
    references: Vec<String>,
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

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
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

    fn record(&self, search: &Search, request: &Request) {
        locked(&self.state.records.searches).push(SearchSeen {
            port: self.port,
            encrypted: self.encrypted,
            identity: self.identity.clone(),
            base: search.base.clone(),
            scope: search.scope,
            filter: search.filter.to_string(),
            attributes: search.attributes.clone(),
            page_size: request.paging().and_then(Result::ok).map(|(size, _)| size),
        });
        if self.port == Port::GlobalCatalog {
            let found = violations(search)
                .into_iter()
                .map(|attribute| Violation { attribute, filter: search.filter.to_string() });
            locked(&self.state.records.violations).extend(found);
        }
    }

    async fn search(&mut self, request: &Request, search: &Search, behaviour: &Behaviour) -> io::Result<()> {
        let id = request.id;
        match behaviour {
            Behaviour::Busy => {
                let outcome = Outcome::new(code::BUSY, "000020E6: LdapErr: the directory service is busy");
                return self.send(&outcome.encode_search_done(id, None)).await;
            }
            Behaviour::HugeEntry(size) => {
                self.send(&huge_entry(id, &search.base, *size)).await?;
                return self.send(&Outcome::success().encode_search_done(id, None)).await;
            }
            Behaviour::DeepNesting(depth) => return self.send(&deep_nesting(id, *depth)).await,
            _ => {}
        }
        if !self.bound && !is_root_dse(search) {
            let text = "000004DC: LdapErr: DSID-0C090A5C, comment: In order to perform this operation a successful bind must be completed on the connection., data 0, v4563";
            return self.send(&Outcome::new(code::OPERATIONS_ERROR, text).encode_search_done(id, None)).await;
        }
        let paging = match request.paging() {
            Some(Err(_)) => {
                let outcome =
                    Outcome::new(code::PROTOCOL_ERROR, "00000057: LdapErr: Error decoding paging control");
                return self.send(&outcome.encode_search_done(id, None)).await;
            }
            Some(Ok(paging)) => Some(paging),
            None => None,
        };
        let (page, mut rest) = match &paging {
            Some((size, cookie)) if !cookie.is_empty() => {
                let Some(rest) = self.pages.remove(cookie) else {
                    let outcome =
                        Outcome::new(code::UNWILLING_TO_PERFORM, "00000057: LdapErr: unknown paging cookie");
                    return self.send(&outcome.encode_search_done(id, Some(b""))).await;
                };
                // A page of no entries abandons the search (RFC 2696 section 3).
                if *size == 0 {
                    return self.send(&Outcome::success().encode_search_done(id, Some(b""))).await;
                }
                ((*size).min(MAXIMUM_PAGE), rest)
            }
            paging => {
                let found = self.find(search, !request.has_control(DOMAIN_SCOPE), behaviour);
                if found.outcome.code != code::SUCCESS {
                    let cookie = paging.as_ref().map(|_| b"".as_slice());
                    return self.send(&found.outcome.encode_search_done(id, cookie)).await;
                }
                let size = paging.as_ref().map_or(MAXIMUM_PAGE, |(size, _)| (*size).clamp(1, MAXIMUM_PAGE));
                (size, Rest { entries: found.entries.into_iter(), references: found.references })
            }
        };
        let limit = if search.size_limit == 0 { usize::MAX } else { search.size_limit };
        let mut bytes = Vec::new();
        for (dn, attributes) in rest.entries.by_ref().take(page.min(limit)) {
            bytes.extend(encode_entry(id, &dn, &attributes));
        }
        let complete = rest.entries.len() == 0;
        if complete {
            bytes.extend(rest.references.drain(..).flat_map(|uri| encode_reference(id, &uri)));
        }
        let done = match paging {
            // A size limit of the client below the page ends the search also when it is paged.
            _ if !complete && limit <= page => size_limit_exceeded().encode_search_done(id, None),
            None if !complete => size_limit_exceeded().encode_search_done(id, None),
            None => Outcome::success().encode_search_done(id, None),
            Some(_) if complete => Outcome::success().encode_search_done(id, Some(b"")),
            Some(_) => {
                let cookie = self.next_cookie.to_be_bytes().to_vec();
                self.next_cookie += 1;
                let done = Outcome::success().encode_search_done(id, Some(&cookie));
                self.pages.insert(cookie, rest);
                done
            }
        };
        bytes.extend(done);
        self.send(&bytes).await
    }

    fn find(&self, search: &Search, continuations: bool, behaviour: &Behaviour) -> super::search::Found {
        let hidden = match behaviour {
            Behaviour::HideDn(names) => names.as_slice(),
            _ => &[],
        };
        let now = now() + self.state.clock_offset.load(Ordering::SeqCst);
        let mut found = self.state.read(self.port, |directory| {
            View { directory, domain: self.state.domain, port: self.port, hidden, now }
                .search(search, continuations)
        });
        if *behaviour == Behaviour::WrongTypes {
            found.entries = found.entries.into_iter().map(wrong_types).collect();
        }
        found
    }
}

fn size_limit_exceeded() -> Outcome {
    Outcome::new(code::SIZE_LIMIT_EXCEEDED, "")
}
