//! The way to a directory server: TCP, StartTLS, TLS, and what a Kerberos bind seals. Carries whole messages, each of bounded
//! size, and does not look inside. It keeps no deadline: the caller drops it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_ok;
use rustls::ClientConfig;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::bind;
use super::error::Error;
use super::message;
use super::server::Server;

/// Head start of an address before the next one is tried beside it (Connection Attempt Delay, RFC 8305 8).
const HEAD_START: Duration = Duration::from_millis(250);

/// Addresses of one server that are tried. The name of a domain has those of all its domain controllers.
const MOST_ADDRESSES: usize = 8;

/// Octets read at once: those of the longest TLS record (RFC 8446 5.1).
const READ: usize = 16 * 1024;

/// Octets of a SASL buffer's length (RFC 4422 3.7).
const LENGTH: usize = 4;

/// Octets of the longest SASL buffer that is taken: the longest message that is, sealed, with room to spare. The server is
/// told at the bind (RFC 4752 3.1).
pub(super) const MOST_SEALED: u32 = 0x9f_ffb8;

/// Octets that go both ways.
pub(super) trait Octets: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Octets for S {}

/// What encrypts after the bind.
pub(super) trait Seal: Send {
    /// The content of a SASL buffer to the server.
    fn wrap(&mut self, plain: &[u8]) -> io::Result<Vec<u8>>;

    /// What is in one from the server.
    fn unwrap(&mut self, sealed: &[u8]) -> io::Result<Vec<u8>>;
}

/// A connection that carries messages.
pub(super) struct Channel {
    stream: Box<dyn Octets>,
    /// What came, unsealed, and was not taken yet.
    plain: Vec<u8>,
    /// The beginning of a SASL buffer.
    sealed: Vec<u8>,
    seal: Option<Box<dyn Seal>>,
    /// The server's own certificate, where there is TLS.
    #[cfg_attr(not(any(feature = "gssapi", windows)), expect(dead_code, reason = "only Kerberos needs it"))]
    certificate: Option<CertificateDer<'static>>,
}

/// What a peer sent is not what LDAP allows, or more than is taken.
pub(super) fn malformed(cause: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, cause.into())
}

impl Channel {
    /// A channel over anything.
    pub(super) fn over(stream: impl Octets + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            plain: Vec::new(),
            sealed: Vec::new(),
            seal: None,
            certificate: None,
        }
    }

    /// Connects to one of these addresses, else to what the system resolves; with TLS if there is a configuration for it.
    pub(super) async fn open(
        server: &Server,
        addresses: &[IpAddr],
        tls: Option<Arc<ClientConfig>>,
    ) -> Result<Self, Error> {
        let name = server.to_string();
        let stream = connect(server, addresses).await.map_err(|error| failure(&name, "connection", error))?;
        let mut channel = Self::over(stream);
        let Some(config) = tls else { return Ok(channel) };
        if !server.is_ldaps {
            bind::start_tls(&mut channel, &name).await?;
            if !channel.plain.is_empty() {
                // The client speaks first in TLS: what follows the answer was put there to be taken for protected.
                let cause = "more than the answer before TLS".to_owned();
                return Err(Error::Malformed { server: name, asked: "StartTLS", cause });
            }
        }
        let fault = |cause: String| Error::Tls { server: name.clone(), cause };
        let host = ServerName::try_from(server.host.clone()).map_err(|error| fault(error.to_string()))?;
        let connected = TlsConnector::from(config).connect(host, channel.stream).await;
        let stream = connected.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
                fault(format!("{error} (a domain controller without a certificate hangs up)"))
            }
            _ => failure(&name, "connection", error),
        })?;
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let certificate = certificate.map(|certificate| certificate.clone().into_owned());
        Ok(Self { certificate, ..Self::over(stream) })
    }

    /// The server's own certificate, where there is TLS; it has been verified.
    #[cfg(any(feature = "gssapi", windows))]
    pub(super) fn certificate(&self) -> Option<&[u8]> {
        self.certificate.as_deref()
    }

    /// From now on everything is in SASL buffers.
    #[cfg(any(feature = "gssapi", windows, test))]
    pub(super) fn seal(&mut self, seal: Box<dyn Seal>) -> io::Result<()> {
        if !self.plain.is_empty() {
            return Err(malformed("more than the answer to the bind before the seal"));
        }
        self.seal = Some(seal);
        Ok(())
    }

    /// Sends one message.
    pub(super) async fn send(&mut self, message: &[u8]) -> io::Result<()> {
        match &mut self.seal {
            None => self.stream.write_all(message).await?,
            Some(seal) => {
                let sealed = seal.wrap(message)?;
                let length = u32::try_from(sealed.len()).map_err(io::Error::other)?;
                self.stream.write_all(&[&length.to_be_bytes()[..], &sealed].concat()).await?;
            }
        }
        self.stream.flush().await
    }

    /// Whether no message has begun to come.
    fn is_between(&self) -> bool {
        self.plain.is_empty() && self.sealed.is_empty()
    }

    /// The next message; `None` if the peer closed the connection between two. One that is cut off is malformed.
    pub(super) async fn message(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut octets = [0; READ];
        loop {
            if let Some(length) = message::length(&self.plain).map_err(malformed)? {
                return Ok(Some(self.plain.drain(..length).collect()));
            }
            let n = match self.stream.read(&mut octets).await {
                // TLS that ends without its last word reads like this; where nothing had begun, nothing was cut.
                Err(error) if is_end(&error) && !self.is_between() => return Err(malformed(CUT_OFF)),
                Ok(0) if self.is_between() => return Ok(None),
                Ok(0) => return Err(malformed(CUT_OFF)),
                read => read?,
            };
            let octets = octets.get(..n).unwrap_or_default();
            match &mut self.seal {
                None => self.plain.extend(octets),
                Some(seal) => {
                    self.sealed.extend(octets);
                    while let Some(length) = buffer(&self.sealed)? {
                        let buffer: Vec<u8> = self.sealed.drain(..length).collect();
                        self.plain.extend(seal.unwrap(buffer.get(LENGTH..).unwrap_or_default())?);
                    }
                }
            }
        }
    }
}

/// What is said of a message without its end.
const CUT_OFF: &str = "the connection ended in the midst of a message";

fn is_end(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset)
}

/// The length of the SASL buffer at the start, once it is all there (RFC 4422 3.7).
fn buffer(octets: &[u8]) -> io::Result<Option<usize>> {
    let Some(length) = octets.first_chunk::<LENGTH>() else { return Ok(None) };
    let length = u32::from_be_bytes(*length);
    if length > MOST_SEALED {
        return Err(malformed(format!(
            "a SASL buffer of {length} octets; at most {MOST_SEALED} were agreed"
        )));
    }
    let whole = LENGTH.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
    Ok(Some(whole).filter(|whole| *whole <= octets.len()))
}

/// The first of the addresses that takes the connection; each has a head start before the next one.
pub(super) async fn connect(server: &Server, addresses: &[IpAddr]) -> io::Result<TcpStream> {
    let addresses: Vec<SocketAddr> = match addresses {
        [] => tokio::net::lookup_host((server.host.as_str(), server.port)).await?.collect(),
        known => known.iter().map(|address| SocketAddr::new(*address, server.port)).collect(),
    };
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    let attempts = (0..).zip(addresses).take(MOST_ADDRESSES).map(|(n, address)| {
        Box::pin(async move {
            tokio::time::sleep(HEAD_START * n).await;
            TcpStream::connect(address).await
        })
    });
    let (stream, _) = select_ok(attempts).await?;
    // The bind follows the end of the handshake at once: two small writes, of which Nagle's algorithm would hold the second
    // back until the first is acknowledged, 40 ms on Linux.
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// What it means that reading or writing failed.
pub(super) fn failure(server: &str, asked: &'static str, error: io::Error) -> Error {
    let server = server.to_owned();
    if let Some(cause) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return Error::Tls { server, cause: cause.to_string() };
    }
    match error.kind() {
        io::ErrorKind::InvalidData => Error::Malformed { server, asked, cause: error.to_string() },
        _ => Error::Unreachable { server, cause: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bind response.
    const MESSAGE: &[u8] = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00";

    /// Seals by turning each octet over.
    struct Turned;

    impl Seal for Turned {
        fn wrap(&mut self, plain: &[u8]) -> io::Result<Vec<u8>> {
            Ok(plain.iter().map(|octet| !octet).collect())
        }

        fn unwrap(&mut self, sealed: &[u8]) -> io::Result<Vec<u8>> {
            self.wrap(sealed)
        }
    }

    /// What comes out, octet by octet going in, and how it ends.
    async fn passed(seal: Option<Turned>, sent: &[u8]) -> (Vec<Vec<u8>>, Result<(), io::Error>) {
        let (mut to, from) = tokio::io::duplex(1);
        let mut channel = Channel::over(from);
        if let Some(seal) = seal {
            channel.seal(Box::new(seal)).unwrap();
        }
        let write = async {
            // The channel hangs up at a violation.
            let _ = to.write_all(sent).await;
            drop(to);
        };
        let read = async {
            let mut messages = Vec::new();
            loop {
                match channel.message().await {
                    Ok(Some(message)) => messages.push(message),
                    Ok(None) => break (messages, Ok(())),
                    Err(error) => break (messages, Err(error)),
                }
            }
        };
        tokio::select! { outcome = read => outcome, _ = async { write.await; std::future::pending::<()>().await } => panic!() }
    }

    fn sealed(plain: &[u8]) -> Vec<u8> {
        let length = u32::try_from(plain.len()).unwrap().to_be_bytes();
        length.into_iter().chain(plain.iter().map(|octet| !octet)).collect()
    }

    #[tokio::test]
    async fn messages_come_whole_and_unchanged() {
        let two = [MESSAGE, MESSAGE].concat();
        for n in 0..=two.len() {
            let (messages, outcome) = passed(None, &two[..n]).await;
            assert_eq!(messages, vec![MESSAGE; n / MESSAGE.len()]);
            let kind = outcome.err().map(|error| error.kind());
            assert_eq!(kind, (n % MESSAGE.len() > 0).then_some(io::ErrorKind::InvalidData), "{n}");
        }
        let (messages, outcome) = passed(None, &[MESSAGE, b"HTTP"].concat()).await;
        assert_eq!((messages.len(), outcome.unwrap_err().kind()), (1, io::ErrorKind::InvalidData));
    }

    #[tokio::test]
    async fn what_is_sealed_is_opened_and_framed_anew() {
        // The limits of SASL buffers mean nothing to those of messages.
        let wire = [sealed(&MESSAGE[..5]), sealed(&[&MESSAGE[5..], MESSAGE].concat()), sealed(b"")].concat();
        let (messages, outcome) = passed(Some(Turned), &wire).await;
        assert_eq!(messages, [MESSAGE, MESSAGE]);
        outcome.unwrap();
        // In plain text its first octets are a length beyond all bounds.
        let (messages, outcome) = passed(Some(Turned), MESSAGE).await;
        assert!(messages.is_empty() && outcome.unwrap_err().to_string().contains("a SASL buffer of"));
        let (_, outcome) = passed(Some(Turned), &sealed(b"HTTP")).await;
        assert!(outcome.unwrap_err().to_string().contains("not an LDAP message"));
        let (ours, mut theirs) = tokio::io::duplex(64);
        let mut channel = Channel::over(ours);
        channel.seal(Box::new(Turned)).unwrap();
        channel.send(MESSAGE).await.unwrap();
        let mut sent = [0; 18];
        theirs.read_exact(&mut sent).await.unwrap();
        assert_eq!(sent[..], sealed(MESSAGE));
    }

    #[tokio::test]
    async fn nothing_may_precede_the_seal() {
        let (ours, mut theirs) = tokio::io::duplex(64);
        let mut channel = Channel::over(ours);
        theirs.write_all(&[MESSAGE, &MESSAGE[..3]].concat()).await.unwrap();
        channel.message().await.unwrap();
        assert!(channel.seal(Box::new(Turned)).unwrap_err().to_string().contains("before the seal"));
    }

    #[tokio::test]
    async fn a_dead_address_delays_little() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Server {
            is_ldaps: false,
            host: "dc1.invalid".to_owned(),
            port,
            addressed: crate::directory::server::Addressed::ByName,
        };
        // TEST-NET-1 (RFC 5737): silent, or refused by the nearest router.
        let addresses: Vec<IpAddr> =
            ["192.0.2.1", "127.0.0.9", "127.0.0.1"].map(|a| a.parse().unwrap()).into();
        let stream = connect(&server, &addresses).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap().to_string(), format!("127.0.0.1:{port}"));
        assert!(stream.nodelay().unwrap());
        assert!(connect(&server, &addresses[1..2]).await.is_err());
    }
}
