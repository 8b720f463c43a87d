//! What can go wrong with the directory, by what the operator can do about it. Texts that a server sent are cut and
//! freed of control characters; a password is in none of them.

use std::time::Duration;

pub(super) use crate::model::observed::printable;
use crate::model::observed::{Failure, FailureKind, Gap, Refuser};

/// A failed exchange with a directory server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing to ask: neither configured nor found.
    #[error("no directory server is known; set directory.servers or directory.domain")]
    NoServer,
    /// A URL that cannot be used.
    #[error("{url}: not ldap://host[:port] or ldaps://host[:port]")]
    InvalidUrl {
        /// As given.
        url: String,
    },
    /// No connection, or it broke.
    #[error("{server}: {cause}")]
    Unreachable {
        /// URL.
        server: String,
        /// What the system says.
        cause: String,
    },
    /// The deadline passed.
    #[error("{server}: no answer to {asked} within {} ms", .within.as_millis())]
    Timeout {
        /// URL.
        server: String,
        /// What was asked.
        asked: &'static str,
        /// The deadline.
        within: Duration,
    },
    /// An earlier Kerberos bind to this server has not come back from the C library yet.
    #[error("{server}: an earlier Kerberos bind is still running (is a KDC reachable?)")]
    StillRunning {
        /// URL.
        server: String,
    },
    /// TLS could not be agreed, or the certificate not be verified.
    #[error("{server}: TLS: {cause}")]
    Tls {
        /// URL.
        server: String,
        /// What failed.
        cause: String,
    },
    /// The identity was rejected. It is not offered to the next server.
    #[error("{server}: the identity was rejected: {cause}")]
    Credentials {
        /// URL.
        server: String,
        /// The code, named.
        cause: String,
    },
    /// No usable secret or ticket.
    #[error("no usable credentials: {cause}")]
    NoCredentials {
        /// What is missing.
        cause: String,
    },
    /// A simple bind would send the password in clear text.
    #[error("{server}: directory.bind: simple needs ldaps:// or start_tls: true")]
    SimpleWithoutTls {
        /// URL.
        server: String,
    },
    /// Result 8 or 13 (RFC 4511 A.2): the server wants signing or TLS.
    #[error(
        "{server}: declines the connection's protection (result {code}): directory.bind: simple needs ldaps:// or \
         directory.start_tls: true; integrated signs and seals by itself and wants ldap:// without start_tls"
    )]
    ProtectionRequired {
        /// URL.
        server: String,
        /// Result code.
        code: u32,
    },
    /// The identity lacks a right.
    #[error("{server}: {asked} is not permitted to this identity: {text}")]
    Forbidden {
        /// URL.
        server: String,
        /// What was asked.
        asked: &'static str,
        /// What it said.
        text: String,
    },
    /// The object is not there, or hidden.
    #[error("{server}: {asked}: no such object visible")]
    NoSuchObject {
        /// URL.
        server: String,
        /// What was asked.
        asked: &'static str,
    },
    /// The answer is cut: size, time or administrative limit, or a part that is elsewhere (referral).
    #[error("{server}: the answer to {asked} is incomplete: {text}")]
    Incomplete {
        /// URL.
        server: String,
        /// What was asked.
        asked: &'static str,
        /// Which limit.
        text: String,
    },
    /// Any other result than success.
    #[error("{server}: declined {asked}: result {code}: {text}")]
    Refused {
        /// URL.
        server: String,
        /// What was asked.
        asked: &'static str,
        /// Result code of RFC 4511 4.1.9.
        code: u32,
        /// What it said.
        text: String,
    },
    /// The answer could not be decoded.
    #[error("{server}: the answer to {asked} cannot be decoded: {cause}")]
    Malformed {
        /// URL.
        server: String,
        /// What was asked.
        asked: &'static str,
        /// Where it broke.
        cause: String,
    },
    /// This build cannot do it.
    #[error("{remedy}")]
    Unsupported {
        /// What to do.
        remedy: &'static str,
    },
    /// A fault of our own.
    #[error("internal: {cause}")]
    Internal {
        /// What happened.
        cause: String,
    },
    /// Every server that was tried failed; the first one names the kind.
    #[error("{}", join(.first, .others))]
    AllFailed {
        /// The best server's.
        first: Box<Error>,
        /// The others', in order.
        others: Vec<Error>,
    },
}

fn join(first: &Error, others: &[Error]) -> String {
    others.iter().fold(first.to_string(), |text, error| format!("{text}; {error}"))
}

impl Error {
    /// The failures it consists of, one for each server that was tried.
    pub(super) fn parts(&self) -> impl Iterator<Item = &Self> {
        let (first, others) = match self {
            Self::AllFailed { first, others } => (&**first, others.as_slice()),
            own => (own, &[][..]),
        };
        std::iter::once(first).chain(others)
    }

    pub(super) fn invalid_url(url: &str) -> Self {
        Self::InvalidUrl { url: printable(url) }
    }

    /// The kind of failure for the metrics.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Unreachable { .. } => FailureKind::Unreachable,
            Self::Timeout { .. } | Self::StillRunning { .. } => FailureKind::Timeout,
            Self::Tls { .. } => FailureKind::Tls,
            Self::Credentials { .. } | Self::NoCredentials { .. } => FailureKind::Credentials,
            Self::Forbidden { .. } => FailureKind::Forbidden,
            Self::ProtectionRequired { .. }
            | Self::NoSuchObject { .. }
            | Self::Incomplete { .. }
            | Self::Refused { .. } => FailureKind::Refused,
            Self::Malformed { .. } => FailureKind::Malformed,
            Self::NoServer
            | Self::InvalidUrl { .. }
            | Self::SimpleWithoutTls { .. }
            | Self::Unsupported { .. } => FailureKind::Unsupported,
            Self::Internal { .. } => FailureKind::Internal,
            Self::AllFailed { first, .. } => first.kind(),
        }
    }

    /// Who rejected the identity. A missing secret or ticket was offered to nobody.
    fn refuser(&self) -> Option<Refuser> {
        match self {
            Self::Credentials { .. } => Some(Refuser::Peer),
            Self::AllFailed { first, .. } => first.refuser(),
            _ => None,
        }
    }

    /// Whether no further server may be asked: a rejected identity is never offered again (JUDGEMENT 13), and what
    /// this build or configuration cannot do it cannot do elsewhere.
    pub(super) const fn stops(&self) -> bool {
        matches!(self, Self::Credentials { .. } | Self::NoCredentials { .. } | Self::Unsupported { .. })
    }

    /// Whether the connection itself is done for, so that no further request can go over it.
    pub(super) const fn breaks_connection(&self) -> bool {
        !matches!(
            self,
            Self::Forbidden { .. }
                | Self::NoSuchObject { .. }
                | Self::Incomplete { .. }
                | Self::Refused { .. }
                | Self::ProtectionRequired { .. }
        )
    }

    /// The same as a gap, for a part of the answer only.
    pub(super) fn gap(&self) -> Gap {
        Gap::new(self.kind().reason(), self.to_string())
    }

    /// The error that a result code stands for (RFC 4511 A.2; Windows' texts MS-ADTS 3.1.1.3.1.9).
    pub(super) fn of_result(server: &str, asked: &'static str, code: u32, text: &str) -> Self {
        let server = server.to_owned();
        let text = printable(text);
        match code {
            8 | 13 => Self::ProtectionRequired { server, code },
            48 | 49 => {
                let cause = match sub_code(&text) {
                    Some((number, meaning)) => format!("LDAP {code}, {number}: {meaning}"),
                    None => format!("LDAP {code}: {text}"),
                };
                Self::Credentials { server, cause }
            }
            50 => Self::Forbidden { server, asked, text },
            // Windows answers a search without a bind with operationsError and ERROR_DS_... 0x4DC.
            1 if text.contains("000004DC") => Self::Forbidden { server, asked, text },
            32 => Self::NoSuchObject { server, asked },
            3 => Self::Incomplete { server, asked, text: format!("timeLimitExceeded {text}") },
            4 => Self::Incomplete { server, asked, text: format!("sizeLimitExceeded {text}") },
            11 => Self::Incomplete { server, asked, text: format!("adminLimitExceeded {text}") },
            10 => Self::Incomplete { server, asked, text: "referral".to_owned() },
            _ => Self::Refused { server, asked, code, text },
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(error.kind(), error.to_string()).refused_by(error.refuser())
    }
}

/// The Win32 error that Active Directory puts behind `data` in the text of LDAP 49 (MS-ERREF 2.2).
fn sub_code(text: &str) -> Option<(&str, &'static str)> {
    let (_, tail) = text.split_once("data ")?;
    let number = tail.split(|c: char| !c.is_ascii_alphanumeric()).next()?;
    let meaning = match number.to_ascii_lowercase().as_str() {
        "525" => "no such user",
        "52e" => "user name or password is wrong",
        "530" => "log-on is not allowed at this time",
        "531" => "log-on is not allowed from this computer",
        "532" => "the password has expired",
        "533" => "the account is disabled",
        "701" => "the account has expired",
        "773" => "the password must be changed",
        "775" => "the account is locked",
        "80090346" => "channel binding does not match (a proxy that ends TLS?)",
        _ => return None,
    };
    Some((number, meaning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_active_directory() {
        let text = |data: &str| {
            format!(
                "80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data {data}, v1db1\0"
            )
        };
        for (data, expected) in [
            ("52e", "user name or password is wrong"),
            ("532", "the password has expired"),
            ("533", "the account is disabled"),
            ("701", "the account has expired"),
            ("773", "the password must be changed"),
            ("775", "the account is locked"),
        ] {
            let error = Error::of_result("ldaps://dc1", "bind", 49, &text(data));
            assert_eq!(error.kind(), FailureKind::Credentials);
            assert!(error.stops());
            assert_eq!(
                error.to_string(),
                format!("ldaps://dc1: the identity was rejected: LDAP 49, {data}: {expected}")
            );
        }
        let unknown = Error::of_result("ldaps://dc1", "bind", 49, "nope\0");
        assert_eq!(unknown.to_string(), "ldaps://dc1: the identity was rejected: LDAP 49: nope");
    }

    #[test]
    fn kinds_of_results() {
        for (code, kind) in [
            (8, FailureKind::Refused),
            (13, FailureKind::Refused),
            (50, FailureKind::Forbidden),
            (51, FailureKind::Refused),
            (4, FailureKind::Refused),
            (48, FailureKind::Credentials),
        ] {
            assert_eq!(Error::of_result("s", "a", code, "").kind(), kind, "{code}");
        }
        let protection =
            Error::of_result("ldap://dc1", "bind", 8, "BindSimple: Transport encryption required.");
        assert!(protection.to_string().contains("directory.start_tls: true"), "{protection}");
    }

    #[test]
    fn texts_of_peers_are_tamed() {
        assert_eq!(printable("a\nb\u{1b}[31m\0"), "a b [31m");
        assert_eq!(printable(&"é".repeat(300)).chars().count(), 201);
    }
}
