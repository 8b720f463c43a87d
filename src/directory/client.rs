//! The LDAP client: connect, bind, search, and nothing else; the only file that names `ldap3`. It keeps no deadline of
//! its own: the caller drops a [`Reader`] at the deadline, and dropping it closes the connection.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use ldap3::adapters::{Adapter, EntriesOnly, PagedResults};
use ldap3::controls::RawControl;
use ldap3::{Ldap, LdapConnAsync, LdapConnSettings, LdapError, LdapResult, SearchEntry, StdStream};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::decode::Entry;
use super::error::{Error, printable};
#[cfg(unix)]
use super::guard::{Guard, Opening};
use super::requests;
use super::server::Server;
use super::tls;
use crate::model::secret::Secret;

/// Entries of one page. Windows gives at most 1,000 (MaxPageSize, MS-ADTS 3.1.1.3.4.6).
const PAGE: i32 = 1_000;

/// Entries and octets of one search that are taken; a directory that sends more is not believed to be one of ours.
const MOST_ENTRIES: usize = 10_000;
const MOST_OCTETS: usize = 16 * 1024 * 1024;

/// LDAP_SERVER_SD_FLAGS_OID (MS-ADTS 3.1.1.3.4.1.11): which parts of a security descriptor are wanted. Without it the
/// whole is, and who may not read the audit part gets nothing.
const SD_FLAGS: &str = "1.2.840.113556.1.4.801";

/// Its value, a SEQUENCE of one INTEGER: DACL_SECURITY_INFORMATION.
const DACL_ONLY: [u8; 5] = [0x30, 0x03, 0x02, 0x01, 0x04];

/// How long the driver's task may take to tell why it ended.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Whether the connection is protected before the bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protection<'a> {
    /// Nothing but what a Kerberos bind brings.
    None,
    /// TLS: by the scheme, or StartTLS with `ldap://`. Roots from this file or the system.
    Tls(Option<&'a Path>),
}

/// RFC 4511 4.5.1.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// The object itself.
    Base,
    /// Its children.
    Children,
    /// It and all below.
    Subtree,
}

/// One search.
#[derive(Debug, Clone)]
pub(super) struct Search<'a> {
    /// What it asks, for error texts.
    pub(super) asked: &'static str,
    /// Base object.
    pub(super) base: &'a str,
    /// Scope.
    pub(super) scope: Scope,
    /// Filter, escaped.
    pub(super) filter: &'a str,
    /// Attributes.
    pub(super) attributes: Vec<String>,
}

/// What a search gave.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    /// The entries.
    pub(super) entries: Vec<Entry>,
    /// Parts that other servers hold. They are never followed.
    pub(super) references: usize,
}

/// The Kerberos binds that have not come back from the C library, by server. GSSAPI calls block, up to 27 s against a
/// dead KDC; at most one waits for each server, however often it is given up on.
#[derive(Debug, Clone, Default)]
pub(super) struct BindThreads(Arc<Mutex<BTreeSet<String>>>);

/// A connection that can only read.
pub(super) struct Reader {
    ldap: Ldap,
    driver: JoinHandle<Result<(), LdapError>>,
    server: String,
    /// Absent on a connection whose TLS is the crate's own.
    #[cfg(unix)]
    guard: Option<Guard>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Reader {
    /// Connects through the guard, with TLS where wanted.
    #[cfg(unix)]
    pub(super) async fn connect(
        server: &Server,
        addresses: &[IpAddr],
        protection: Protection<'_>,
    ) -> Result<Self, Error> {
        let name = server.to_string();
        let opening = match protection {
            Protection::None => Opening::Plain,
            Protection::Tls(ca_file) => {
                let config = tls::client_config(ca_file)
                    .map_err(|cause| Error::Tls { server: name.clone(), cause })?;
                if server.is_ldaps { Opening::Ldaps(config) } else { Opening::StartTls(config) }
            }
        };
        let (guard, stream) = Guard::open(server, addresses, opening).await?;
        let settings = LdapConnSettings::new().set_std_stream(StdStream::Unix(stream));
        let opening = LdapConnAsync::with_settings(settings, "ldapi://guard");
        let (connection, ldap) = contain(&name, "connection", opening)
            .await?
            .map_err(|error| failure(&name, "connection", error, false))?;
        let driver = tokio::spawn(connection.drive());
        Ok(Self { ldap, driver, server: name, guard: Some(guard) })
    }

    /// Without Unix sockets there is no guard.
    #[cfg(not(unix))]
    pub(super) async fn connect(
        server: &Server,
        addresses: &[IpAddr],
        protection: Protection<'_>,
    ) -> Result<Self, Error> {
        Self::connect_directly(server, addresses, protection).await
    }

    /// Connects with the crate's own TLS: a Kerberos bind inside TLS needs the channel bindings (RFC 5929) that the crate
    /// takes from it. Without the guard, then, and with certificates verified before anything is decoded.
    pub(super) async fn connect_directly(
        server: &Server,
        addresses: &[IpAddr],
        protection: Protection<'_>,
    ) -> Result<Self, Error> {
        let name = server.to_string();
        let is_tls = protection != Protection::None;
        let mut settings = LdapConnSettings::new();
        if let Protection::Tls(ca_file) = protection {
            let config =
                tls::client_config(ca_file).map_err(|cause| Error::Tls { server: name.clone(), cause })?;
            settings = settings.set_config(config).set_starttls(!server.is_ldaps);
        }
        if !addresses.is_empty() {
            let stream = dial(server, addresses).await.and_then(TcpStream::into_std);
            let stream = stream.map_err(|error| failure(&name, "connection", error.into(), false))?;
            settings = settings.set_std_stream(StdStream::Tcp(stream));
        }
        let opening = contain(&name, "connection", LdapConnAsync::with_settings(settings, &name)).await?;
        let (connection, ldap) = opening.map_err(|error| match error {
            // Only StartTLS has a result while connecting.
            LdapError::LdapResult { result } => Error::Tls {
                server: name.clone(),
                cause: format!("StartTLS was declined: result {}: {}", result.rc, printable(&result.text)),
            },
            other => failure(&name, "connection", other, is_tls),
        })?;
        Ok(Self {
            ldap,
            driver: tokio::spawn(connection.drive()),
            server: name,
            #[cfg(unix)]
            guard: None,
        })
    }

    /// Binds with user and password. The caller has seen to TLS; an empty password would be an anonymous bind
    /// (RFC 4513 5.1.2) and is refused here too.
    pub(super) async fn bind_simple(&mut self, user: &str, password: &Secret) -> Result<(), Error> {
        if user.is_empty() || password.expose().is_empty() {
            return Err(Error::NoCredentials {
                cause: "directory.bind: user or password is empty".to_owned(),
            });
        }
        let outcome = contain(&self.server, "bind", self.ldap.simple_bind(user, password.expose())).await?;
        self.bound(outcome).await
    }

    /// Binds with the Kerberos identity of this process; `host` is the server's own name, for `ldap/<host>`. Over a
    /// connection without TLS the bind brings encryption.
    #[cfg(any(feature = "gssapi", windows))]
    pub(super) async fn bind_integrated(&mut self, host: &str, threads: &BindThreads) -> Result<(), Error> {
        let place = threads.take(&self.server)?;
        let mut ldap = self.ldap.clone();
        let host = host.to_owned();
        let (answer, wait) = tokio::sync::oneshot::channel();
        // A thread of its own, never the runtime's blocking pool: the runtime would wait for it at exit. The
        // connection stays with the driver's task on our runtime; the handle speaks to it through channels.
        std::thread::Builder::new()
            .name("kerberos-bind".to_owned())
            .spawn(move || {
                let _place = place;
                let runtime = tokio::runtime::Builder::new_current_thread().build();
                let outcome = runtime.map(|runtime| runtime.block_on(ldap.sasl_gssapi_bind(&host)));
                // If nobody waits any more the result is of no use.
                let _ = answer.send(outcome);
            })
            .map_err(|error| Error::Internal { cause: error.to_string() })?;
        match wait.await {
            Ok(Ok(outcome)) => {
                self.bound(outcome).await?;
                #[cfg(unix)]
                if let Some(guard) = &self.guard {
                    guard.seal();
                }
                Ok(())
            }
            Ok(Err(error)) => Err(Error::Internal { cause: error.to_string() }),
            Err(_) => Err(self.malformed("bind", "the Kerberos exchange broke off")),
        }
    }

    /// Without GSSAPI in the build there is no Kerberos bind on Unix.
    #[cfg(not(any(feature = "gssapi", windows)))]
    pub(super) async fn bind_integrated(&mut self, _: &str, _: &BindThreads) -> Result<(), Error> {
        Err(Error::Unsupported {
            remedy: "directory.bind: integrated needs a build with the cargo feature gssapi (the .deb and .rpm have \
                     it); else use directory.bind: simple with ldaps:// or start_tls: true",
        })
    }

    /// Searches, page by page where the scope is not one object.
    pub(super) async fn search(&mut self, search: &Search<'_>) -> Result<Found, Error> {
        let server = self.server.clone();
        // The crate panics on malformed BER; that is a malformed answer and no more.
        match contain(&server, search.asked, self.run(search)).await? {
            Ok(found) => Ok(found),
            Err(Ended::By(error)) => Err(error),
            Err(Ended::Driver(error)) => Err(self.explain(search.asked, error).await),
        }
    }

    async fn run(&mut self, search: &Search<'_>) -> Result<Found, Ended> {
        let mut adapters: Vec<Box<dyn Adapter<'_, String, Vec<String>>>> = vec![Box::new(EntriesOnly::new())];
        let scope = match search.scope {
            Scope::Base => ldap3::Scope::Base,
            Scope::Children => ldap3::Scope::OneLevel,
            Scope::Subtree => ldap3::Scope::Subtree,
        };
        if search.scope != Scope::Base {
            adapters.push(Box::new(PagedResults::new(PAGE)));
        }
        if search.attributes.iter().any(|name| name == requests::SECURITY_DESCRIPTOR) {
            self.ldap.with_controls(RawControl {
                ctype: SD_FLAGS.to_owned(),
                crit: false,
                val: Some(DACL_ONLY.to_vec()),
            });
        }
        let mut stream = self
            .ldap
            .streaming_search_with(adapters, search.base, scope, search.filter, search.attributes.clone())
            .await?;
        let mut entries = Vec::new();
        let mut octets = 0;
        while let Some(result) = stream.next().await? {
            let entry = entry(SearchEntry::construct(result));
            octets += size(&entry);
            entries.push(entry);
            if entries.len() > MOST_ENTRIES || octets > MOST_OCTETS {
                return Err(Ended::By(Error::Malformed {
                    server: self.server.clone(),
                    asked: search.asked,
                    cause: format!("more than {MOST_ENTRIES} entries or {MOST_OCTETS} octets"),
                }));
            }
        }
        let LdapResult { rc, text, refs, .. } = stream.finish().await;
        match rc {
            0 => Ok(Found { entries, references: refs.len() }),
            code => Err(Ended::By(Error::of_result(&self.server, search.asked, code, &text))),
        }
    }

    async fn bound(&mut self, outcome: Result<LdapResult, LdapError>) -> Result<(), Error> {
        match outcome {
            Ok(LdapResult { rc: 0, .. }) => Ok(()),
            Ok(LdapResult { rc, text, .. }) => Err(Error::of_result(&self.server, "bind", rc, &text)),
            Err(error) => Err(self.explain("bind", error).await),
        }
    }

    /// The reason of a broken exchange. Where the connection's task has ended, it knows better than the operation.
    async fn explain(&mut self, asked: &'static str, error: LdapError) -> Error {
        let is_cut = matches!(
            error,
            LdapError::OpSend { .. }
                | LdapError::ResultRecv { .. }
                | LdapError::EndOfStream
                | LdapError::IdScrubSend { .. }
        );
        if !is_cut {
            return failure(&self.server, asked, error, false);
        }
        let ended = tokio::time::timeout(LAST_WORDS, &mut self.driver).await;
        #[cfg(unix)]
        if let Some(violation) = self.guard.as_ref().and_then(Guard::violation) {
            return self.malformed(asked, violation);
        }
        match ended {
            Ok(Ok(Err(cause))) => failure(&self.server, asked, cause, false),
            Ok(Err(join)) if join.is_panic() => self.malformed(asked, "not BER, or not an LDAP message"),
            _ => Error::Unreachable {
                server: self.server.clone(),
                cause: format!("the server closed the connection during {asked}"),
            },
        }
    }

    fn malformed(&self, asked: &'static str, cause: &str) -> Error {
        Error::Malformed { server: self.server.clone(), asked, cause: cause.to_owned() }
    }
}

/// By the addresses that the configured name servers gave, else by the system's resolver.
pub(super) async fn dial(server: &Server, addresses: &[IpAddr]) -> std::io::Result<TcpStream> {
    let mut last = None;
    for address in addresses {
        match TcpStream::connect((*address, server.port)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    match last {
        Some(error) => Err(error),
        None => TcpStream::connect((server.host.as_str(), server.port)).await,
    }
}

/// Why a search ended early.
enum Ended {
    By(Error),
    Driver(LdapError),
}

impl From<LdapError> for Ended {
    fn from(error: LdapError) -> Self {
        Self::Driver(error)
    }
}

/// Turns a panic inside the crate into a malformed answer. What it leaves behind is dropped with the connection.
async fn contain<T>(server: &str, asked: &'static str, work: impl Future<Output = T>) -> Result<T, Error> {
    AssertUnwindSafe(work).catch_unwind().await.map_err(|_| Error::Malformed {
        server: server.to_owned(),
        asked,
        cause: "not BER, or not an LDAP message".to_owned(),
    })
}

/// Only the `Display` of the crate's errors is used: a send error's `Debug` could hold the bind request.
fn failure(server: &str, asked: &'static str, error: LdapError, is_opening_tls: bool) -> Error {
    let server = server.to_owned();
    match error {
        LdapError::Io { source } => {
            if let Some(cause) = source.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                return Error::Tls { server, cause: cause.to_string() };
            }
            match source.kind() {
                std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::ConnectionReset if is_opening_tls => {
                    Error::Tls {
                        server,
                        cause: format!("{source} (a domain controller without a certificate hangs up)"),
                    }
                }
                // The codec's own word for what it cannot decode.
                std::io::ErrorKind::Other | std::io::ErrorKind::InvalidData => {
                    Error::Malformed { server, asked, cause: source.to_string() }
                }
                _ => Error::Unreachable { server, cause: source.to_string() },
            }
        }
        LdapError::Rustls { source } => Error::Tls { server, cause: source.to_string() },
        LdapError::DNSName { source } => Error::Tls { server, cause: source.to_string() },
        LdapError::LdapResult { result } => Error::of_result(&server, asked, result.rc, &result.text),
        LdapError::UrlParsing { .. } | LdapError::UnknownScheme(_) => Error::invalid_url(&server),
        LdapError::FilterParsing => Error::Internal { cause: format!("filter of {asked} does not parse") },
        #[cfg(any(feature = "gssapi", windows))]
        LdapError::GssapiOperationError(cause) => kerberos(server, &cause),
        #[cfg(any(feature = "gssapi", windows))]
        error @ LdapError::NoGssapiToken => Error::Malformed { server, asked, cause: error.to_string() },
        error => Error::Unreachable { server, cause: error.to_string() },
    }
}

/// Sorts what the Kerberos library says, by the texts of MIT krb5's error table (krb5_err.et) and of SSPI: the crate
/// hands on no codes.
#[cfg(any(feature = "gssapi", windows))]
fn kerberos(server: String, cause: &str) -> Error {
    let text = cause.to_lowercase();
    let says = |parts: &[&str]| parts.iter().any(|part| text.contains(part));
    let cause = format!("Kerberos: {}", printable(cause));
    if says(&["revoked", "preauthentication failed", "password has expired", "key expired"]) {
        Error::Credentials { server, cause }
    } else if says(&[
        "no kerberos credentials",
        "no credentials",
        "credentials cache",
        "can't find client principal",
        "keytab",
        "ticket expired",
    ]) {
        Error::NoCredentials { cause }
    } else if says(&[
        "cannot contact any kdc",
        "cannot find kdc",
        "cannot resolve",
        "no authority could be contacted",
    ]) {
        Error::Unreachable { server, cause }
    } else {
        Error::Refused { server, asked: "Kerberos bind", code: 0, text: cause }
    }
}

/// The crate sorts values into text and binary by their octets, value by value: both are one here.
fn entry(entry: SearchEntry) -> Entry {
    let text = entry
        .attrs
        .into_iter()
        .map(|(name, values)| (name, values.into_iter().map(String::into_bytes).collect()));
    Entry { dn: entry.dn, attributes: text.chain(entry.bin_attrs).collect() }
}

fn size(entry: &Entry) -> usize {
    let values = entry.attributes.iter().flat_map(|(_, values)| values.iter().map(Vec::len));
    entry.dn.len() + values.sum::<usize>()
}

/// The place of one running bind; free again when its thread ends.
#[cfg(any(feature = "gssapi", windows))]
struct BindPlace {
    threads: BindThreads,
    server: String,
}

#[cfg(any(feature = "gssapi", windows))]
impl Drop for BindPlace {
    fn drop(&mut self) {
        self.threads.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.server);
    }
}

impl BindThreads {
    #[cfg(any(feature = "gssapi", windows))]
    fn take(&self, server: &str) -> Result<BindPlace, Error> {
        let is_free = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(server.to_owned());
        match is_free {
            true => Ok(BindPlace { threads: self.clone(), server: server.to_owned() }),
            false => Err(Error::StillRunning { server: server.to_owned() }),
        }
    }

    /// How many have not come back.
    pub(super) fn running(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
