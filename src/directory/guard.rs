//! Stands between a server and the LDAP crate: passes the server's bytes on message by message, each with a bounded size and
//! nesting. The crate's BER parser recurses without a limit, so one deeply nested answer, before any bind, would overflow
//! the stack and end the process; that is an abort and no panic. It also does the TLS, as it has to read what it checks.
//!
//! After a Kerberos bind without TLS the traffic is sealed (RFC 4752): the peer has proven who it is, and only bytes pass.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use super::ber::{self, Scan};
use super::client::dial;
use super::error::{Error, printable};
use super::server::Server;

/// How TLS begins.
#[derive(Debug, Clone)]
pub(super) enum Opening {
    /// Without TLS.
    Plain,
    /// TLS from the first byte.
    Ldaps(Arc<ClientConfig>),
    /// The extended operation StartTLS first (RFC 4511 4.14).
    StartTls(Arc<ClientConfig>),
}

/// A guarded connection. Its task ends when this is dropped.
#[derive(Debug)]
pub(super) struct Guard {
    task: JoinHandle<()>,
    seen: Arc<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    violation: OnceLock<String>,
    is_sealed: AtomicBool,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Guard {
    /// Connects, with TLS where wanted. Gives the end that the LDAP crate is to use: a pair inside this process, so that
    /// nothing is readable from outside.
    pub(super) async fn open(
        server: &Server,
        addresses: &[IpAddr],
        opening: Opening,
    ) -> Result<(Self, std::os::unix::net::UnixStream), Error> {
        let name = server.to_string();
        let io =
            |cause: std::io::Error| Error::Unreachable { server: name.clone(), cause: cause.to_string() };
        let mut stream = dial(server, addresses).await.map_err(io)?;
        let (ours, theirs) = UnixStream::pair().map_err(io)?;
        let theirs = theirs.into_std().map_err(io)?;
        let seen = Arc::new(Seen::default());
        let task = match opening {
            Opening::Plain => tokio::spawn(relay(stream, ours, Arc::clone(&seen))),
            Opening::Ldaps(config) => {
                let stream = secure(stream, server, config).await?;
                tokio::spawn(relay(stream, ours, Arc::clone(&seen)))
            }
            Opening::StartTls(config) => {
                start_tls(&mut stream, &name).await?;
                let stream = secure(stream, server, config).await?;
                tokio::spawn(relay(stream, ours, Arc::clone(&seen)))
            }
        };
        Ok((Self { task, seen }, theirs))
    }

    /// What the server sent that was not passed on, if anything.
    pub(super) fn violation(&self) -> Option<&str> {
        self.seen.violation.get().map(String::as_str)
    }

    /// From now on the traffic is sealed.
    #[cfg(any(feature = "gssapi", windows))]
    pub(super) fn seal(&self) {
        self.seen.is_sealed.store(true, Ordering::Release);
    }
}

async fn secure(
    stream: TcpStream,
    server: &Server,
    config: Arc<ClientConfig>,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Error> {
    let tls = |cause: String| Error::Tls { server: server.to_string(), cause };
    let name = ServerName::try_from(server.host.clone()).map_err(|error| tls(error.to_string()))?;
    TlsConnector::from(config).connect(name, stream).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::ConnectionReset => {
            tls(format!("{error} (a domain controller without a certificate hangs up)"))
        }
        _ => tls(error.to_string()),
    })
}

/// LDAPMessage { 1, extendedReq { requestName 1.3.6.1.4.1.1466.20037 } } (RFC 4511 4.14.1), in BER.
const START_TLS: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

async fn start_tls(stream: &mut TcpStream, name: &str) -> Result<(), Error> {
    let io = |cause: std::io::Error| Error::Unreachable { server: name.to_owned(), cause: cause.to_string() };
    stream.write_all(START_TLS).await.map_err(io)?;
    let mut answer = Vec::new();
    let message = loop {
        match ber::scan(&answer) {
            Ok(Scan::Whole(length)) => break answer.get(..length).unwrap_or_default().to_vec(),
            Ok(Scan::More) => {}
            Err(cause) => {
                return Err(Error::Malformed { server: name.to_owned(), asked: "StartTLS", cause });
            }
        }
        if stream.read_buf(&mut answer).await.map_err(io)? == 0 {
            return Err(io(std::io::ErrorKind::UnexpectedEof.into()));
        }
    };
    match ber::result_code(&message) {
        Some(0) => Ok(()),
        Some(code) => {
            let text = printable(&String::from_utf8_lossy(&message));
            let cause = format!("StartTLS was declined: result {code}: {text}");
            Err(Error::Tls { server: name.to_owned(), cause })
        }
        None => Err(Error::Malformed {
            server: name.to_owned(),
            asked: "StartTLS",
            cause: "no extended response".to_owned(),
        }),
    }
}

async fn relay<S: AsyncRead + AsyncWrite + Send>(server: S, ours: UnixStream, seen: Arc<Seen>) {
    let (from_server, to_server) = tokio::io::split(server);
    let (from_us, to_us) = tokio::io::split(ours);
    // Whichever direction ends first ends both: the LDAP crate then sees the end of its stream.
    tokio::select! {
        () = requests(from_us, to_server) => {}
        () = answers(from_server, to_us, &seen) => {}
    }
}

async fn requests<S: AsyncWrite>(mut from: ReadHalf<UnixStream>, mut to: WriteHalf<S>) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(n @ 1..) = from.read(&mut buffer).await {
        let sent =
            to.write_all(buffer.get(..n).unwrap_or_default()).await.is_ok() && to.flush().await.is_ok();
        if !sent {
            return;
        }
    }
}

async fn answers<S: AsyncRead>(mut from: ReadHalf<S>, mut to: WriteHalf<UnixStream>, seen: &Seen) {
    let mut buffer = Vec::new();
    while let Ok(1..) = from.read_buf(&mut buffer).await {
        let mut passed = 0;
        while let Some(rest) = buffer.get(passed..).filter(|rest| !rest.is_empty()) {
            if seen.is_sealed.load(Ordering::Acquire) {
                passed = buffer.len();
                break;
            }
            match ber::scan(rest) {
                Ok(Scan::Whole(length)) => passed += length,
                Ok(Scan::More) => break,
                Err(cause) => {
                    let _ = seen.violation.set(cause);
                    return;
                }
            }
        }
        if to.write_all(buffer.get(..passed).unwrap_or_default()).await.is_err() {
            return;
        }
        buffer.drain(..passed);
    }
}
