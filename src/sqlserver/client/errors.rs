//! What the driver's errors are in our words. It tells them apart by kind where it can, and by text where tiberius has
//! nothing else.

use super::super::error::{Error, plain};

/// How far an answer had come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// Not even the columns of its first result.
    NoToken,
    /// Part of it.
    Tokens,
}

/// An answer that ends in its midst is malformed; a connection that is closed before it is lost.
pub(super) fn cut_off(error: tiberius::error::Error, progress: Progress) -> tiberius::error::Error {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    let is_in_its_midst = match &error {
        tiberius::error::Error::Io { kind: BrokenPipe | ConnectionReset | UnexpectedEof, message } => {
            // So much the codec says: the connection ended within a packet.
            progress == Progress::Tokens || message.contains(WITHIN_A_PACKET)
        }
        _ => false,
    };
    if is_in_its_midst {
        tiberius::error::Error::Protocol("the connection ended in the midst of the answer".into())
    } else {
        error
    }
}

/// What asynchronous-codec says at the end of a stream that leaves part of a frame.
const WITHIN_A_PACKET: &str = "bytes remaining";

pub(super) fn statement_error(server: &str, asked: &str, error: tiberius::error::Error) -> Error {
    use tiberius::error::Error as Driver;
    let (server, asked) = (server.to_owned(), asked.to_owned());
    match error {
        Driver::Server(token) => {
            Error::Refused { server, asked, number: token.code(), text: plain(token.message()) }
        }
        Driver::Io { kind: std::io::ErrorKind::InvalidData, message } => {
            Error::Malformed { server, asked, text: plain(&message) }
        }
        Driver::Io { message, .. } => {
            Error::Unreachable { server, asked, text: format!("connection lost: {}", plain(&message)) }
        }
        Driver::Tls(text) => Error::Tls { server, text: tls_text(&text) },
        other => Error::Malformed { server, asked, text: plain(&other.to_string()) },
    }
}

/// tiberius appends advice about its own API; ours names our keys.
pub(super) fn tls_text(text: &str) -> String {
    let ours = text.split(" To connect anyway you can").next().unwrap_or(text);
    let is_certificate = ours.contains("certificate");
    let advice =
        if is_certificate { " (see instances[].ca_file, instances[].trust_server_certificate)" } else { "" };
    format!("{}{advice}", plain(ours))
}
