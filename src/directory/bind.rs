//! What is said to a server before the first search: StartTLS, its own name, the bind. Few and fixed messages, written by
//! hand; the LDAP crate gets a connection that is bound.

use std::io;

use super::ber::{ENUMERATED, INTEGER, OCTET_STRING, SEQUENCE, element, text};
use super::error::{Error, printable};
use super::message::{
    self, Allowance, Answer, BIND_REQUEST, BIND_RESPONSE, EXTENDED_REQUEST, EXTENDED_RESPONSE, SEARCH_DONE,
    SEARCH_ENTRY, SEARCH_REQUEST,
};
use super::transport::{Channel, failure, malformed};
use crate::model::host::HostName;
use crate::model::secret::Secret;

/// The name of StartTLS (RFC 4511 4.14.1).
const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";

/// The version that every bind names (RFC 4511 4.2).
pub(super) const VERSION: &[u8] = &[INTEGER, 1, 3];

/// The result of an operation.
pub(super) struct Reply {
    pub(super) code: u32,
    pub(super) text: String,
    /// serverSaslCreds.
    #[cfg_attr(not(any(feature = "gssapi", windows)), expect(dead_code, reason = "only Kerberos needs it"))]
    pub(super) credentials: Option<Vec<u8>>,
}

/// Asks for TLS. The answer comes unprotected, from whoever is on the way.
pub(super) async fn start_tls(channel: &mut Channel, server: &str) -> Result<(), Error> {
    let operation = element(EXTENDED_REQUEST, &[&element(0x80, &[START_TLS])]);
    match ask(channel, 1, &operation, EXTENDED_RESPONSE).await {
        Ok(Reply { code: 0, .. }) => Ok(()),
        Ok(Reply { code, text, .. }) => {
            let cause = format!("StartTLS was declined: result {code}: {}", printable(&text));
            Err(Error::Tls { server: server.to_owned(), cause })
        }
        Err(error) => Err(failure(server, "StartTLS", error)),
    }
}

/// `dnsHostName` of the rootDSE, which may be read without a bind (MS-ADTS 3.1.1.3.2). Kerberos then proves that the
/// server is who it said; Windows' own locator trusts an unauthenticated answer in the same way (MS-ADTS 6.3.6).
pub(super) async fn own_name(channel: &mut Channel, server: &str) -> Result<HostName, Error> {
    let name = read_name(channel).await.map_err(|error| failure(server, "rootDSE", error))?;
    name.ok_or_else(|| Error::Malformed {
        server: server.to_owned(),
        asked: "rootDSE",
        cause: "no dnsHostName; name the server by its own name for a Kerberos bind".to_owned(),
    })
}

async fn read_name(channel: &mut Channel) -> io::Result<Option<HostName>> {
    const ID: u8 = 2;
    const NAME: &[u8] = b"dnsHostName";
    // RFC 4511 4.5.1: no base, the object itself, no dereferencing, no limits, values too, (objectClass=*).
    let operation = element(
        SEARCH_REQUEST,
        &[
            &[OCTET_STRING, 0, ENUMERATED, 1, 0, ENUMERATED, 1, 0, INTEGER, 1, 0, INTEGER, 1, 0, 1, 1, 0],
            &element(0x87, &[b"objectClass"]),
            &element(SEQUENCE, &[&element(OCTET_STRING, &[NAME])]),
        ],
    );
    channel.send(&message::write(ID, &operation)).await?;
    let mut allowance = Allowance::default();
    let mut name = None;
    loop {
        let message = next(channel).await?;
        let answer = read(&message, &mut allowance)?;
        match (answer.id, answer.tag) {
            (id, SEARCH_DONE) if id == u32::from(ID) => return Ok(name),
            (id, SEARCH_ENTRY) if id == u32::from(ID) => {
                let value = answer.value("dnsHostName").and_then(|value| text(value).ok());
                name = name.or_else(|| value.and_then(HostName::parse));
            }
            _ => return Err(malformed("not an answer to what was asked")),
        }
    }
}

/// Binds with user and password. The caller has seen to TLS; an empty password would be an anonymous bind (RFC 4513
/// 5.1.2) and is refused here too.
pub(super) async fn simple(
    channel: &mut Channel,
    server: &str,
    user: &str,
    password: &Secret,
) -> Result<(), Error> {
    if user.is_empty() || password.expose().is_empty() {
        return Err(Error::NoCredentials { cause: "directory.bind: user or password is empty".to_owned() });
    }
    let name = element(OCTET_STRING, &[user.as_bytes()]);
    let operation = element(BIND_REQUEST, &[VERSION, &name, &element(0x80, &[password.expose().as_bytes()])]);
    let reply = ask(channel, 3, &operation, BIND_RESPONSE).await;
    match reply.map_err(|error| failure(server, "bind", error))? {
        Reply { code: 0, .. } => Ok(()),
        Reply { code, text, .. } => Err(Error::of_result(server, "bind", code, &text)),
    }
}

/// Asks for an operation that has one answer.
pub(super) async fn ask(channel: &mut Channel, id: u8, operation: &[u8], tag: u8) -> io::Result<Reply> {
    channel.send(&message::write(id, operation)).await?;
    let message = next(channel).await?;
    let answer = read(&message, &mut Allowance::default())?;
    match answer.outcome {
        Some(outcome) if answer.id == u32::from(id) && answer.tag == tag => Ok(Reply {
            code: outcome.code,
            text: outcome.text.to_owned(),
            credentials: outcome.credentials.map(<[u8]>::to_vec),
        }),
        _ => Err(malformed("not an answer to what was asked")),
    }
}

async fn next(channel: &mut Channel) -> io::Result<Vec<u8>> {
    let closed = || io::Error::new(io::ErrorKind::ConnectionAborted, "the server closed the connection");
    channel.message().await?.ok_or_else(closed)
}

/// Reads an answer; that the server says it hangs up is an error.
pub(super) fn read<'a>(message: &'a [u8], allowance: &mut Allowance) -> io::Result<Answer<'a>> {
    let answer = message::answer(message, allowance).map_err(malformed)?;
    match answer.outcome {
        Some(outcome) if answer.is_notice() => {
            let text = format!("the server hangs up: result {} {}", outcome.code, printable(outcome.text));
            Err(io::Error::new(io::ErrorKind::ConnectionAborted, text))
        }
        _ => Ok(answer),
    }
}
