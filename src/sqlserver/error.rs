//! What can go wrong between us and a SQL Server, by what the operator can do about it. A refused statement is no error:
//! it is an outcome of that statement alone. No text here ever holds a password.

use std::time::Duration;

use crate::model::observed::{Failure, FailureKind, Refuser};

/// Longest text of a peer that goes into one of ours.
const MAX_TEXT: usize = 400;

/// Why an exchange with a SQL Server failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No connection, or it was lost.
    #[error("{server}: {asked}: {text}")]
    Unreachable {
        /// The address as configured.
        server: String,
        /// The step or statement.
        asked: String,
        /// What the system said.
        text: String,
    },
    /// The deadline passed.
    #[error("{server}: {asked}: no answer within {} ms", limit.as_millis())]
    TimedOut {
        /// The address as configured.
        server: String,
        /// The step or statement that was under way.
        asked: String,
        /// The deadline of the whole exchange.
        limit: Duration,
    },
    /// An integrated login that was abandoned at its deadline still blocks in the Kerberos library.
    #[error("{server}: integrated login: previous attempt still running")]
    StillRunning {
        /// The address as configured.
        server: String,
    },
    /// The server answered and declined for another reason than credentials or a missing right.
    #[error("{server}: {asked}: error {number}: {text}")]
    Refused {
        /// The address as configured.
        server: String,
        /// The step or statement.
        asked: String,
        /// SQL Server's error number.
        number: u32,
        /// SQL Server's text.
        text: String,
    },
    /// The server rejected the identity.
    #[error("{server}: login of {identity}: {text}")]
    Credentials {
        /// The address as configured.
        server: String,
        /// Who.
        identity: String,
        /// Error number and text.
        text: String,
    },
    /// A KDC rejected the identity of this process.
    #[error("{server}: integrated login: {text}")]
    Kerberos {
        /// The address as configured.
        server: String,
        /// The Kerberos library's text.
        text: String,
    },
    /// The secret could not be read, or there is no ticket.
    #[error("{server}: login of {identity}: {text}")]
    NoSecret {
        /// The address as configured.
        server: String,
        /// Who.
        identity: String,
        /// Which file or variable, and why not.
        text: String,
    },
    /// A statement on which the whole probe rests was refused for want of a right.
    #[error("{server}: statement {statement}: error {number}: {text} (needs {right})")]
    Forbidden {
        /// The address as configured.
        server: String,
        /// The statement.
        statement: &'static str,
        /// SQL Server's error number.
        number: u32,
        /// SQL Server's text.
        text: String,
        /// The right that allows it on this version.
        right: &'static str,
    },
    /// TLS could not be agreed or the certificate not be verified.
    #[error("{server}: TLS: {text}")]
    Tls {
        /// The address as configured.
        server: String,
        /// What was wrong.
        text: String,
    },
    /// The answer could not be decoded.
    #[error("{server}: {asked}: {text}")]
    Malformed {
        /// The address as configured.
        server: String,
        /// The step or statement.
        asked: String,
        /// What was wrong.
        text: String,
    },
    /// This build, or the server's version, cannot do it.
    #[error("{server}: {text}")]
    Unsupported {
        /// The address as configured.
        server: String,
        /// What, and the way out.
        text: String,
    },
    /// A fault of our own.
    #[error("{server}: {text}")]
    Internal {
        /// The address as configured.
        server: String,
        /// What.
        text: String,
    },
}

impl Error {
    /// The closed set of the metrics.
    pub const fn kind(&self) -> FailureKind {
        match self {
            Self::Unreachable { .. } => FailureKind::Unreachable,
            Self::TimedOut { .. } | Self::StillRunning { .. } => FailureKind::Timeout,
            Self::Refused { .. } => FailureKind::Refused,
            Self::Credentials { .. } | Self::Kerberos { .. } | Self::NoSecret { .. } => {
                FailureKind::Credentials
            }
            Self::Forbidden { .. } => FailureKind::Forbidden,
            Self::Tls { .. } => FailureKind::Tls,
            Self::Malformed { .. } => FailureKind::Malformed,
            Self::Unsupported { .. } => FailureKind::Unsupported,
            Self::Internal { .. } => FailureKind::Internal,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let refuser = match error {
            Error::Credentials { .. } => Some(Refuser::Peer),
            Error::Kerberos { .. } => Some(Refuser::Kdc),
            _ => None,
        };
        Self::new(error.kind(), error.to_string()).refused_by(refuser)
    }
}

/// Login refusals that mean the identity (JUDGEMENT 13): wrong name or password or no access, untrusted domain, locked
/// out, password expired, password must be changed ("Database Engine events and errors", 18000 to 18999).
pub(super) const CREDENTIAL_ERRORS: [u32; 5] = [18456, 18452, 18486, 18487, 18488];

/// Refusals for want of a right: SELECT/EXECUTE denied, no permission for the action, missing server permission,
/// the same since 2022, module signing.
pub(super) const PERMISSION_ERRORS: [u32; 5] = [229, 297, 300, 371, 15562];

/// The version lacks what was asked: column, object, function, procedure ("Database Engine events and errors").
pub(super) const ABSENT_ERRORS: [u32; 4] = [207, 208, 195, 2812];

/// A peer's text on one line, without control characters, not endless.
pub(super) fn plain(text: &str) -> String {
    let mut clean: String =
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_TEXT + 1).collect();
    if clean.chars().count() > MAX_TEXT {
        clean = clean.chars().take(MAX_TEXT).chain(['…']).collect();
    }
    clean.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_server_and_statement() {
        let error = Error::Forbidden {
            server: r"sql01\PROD".to_owned(),
            statement: "connections",
            number: 300,
            text: "VIEW SERVER STATE permission was denied on object 'server', database 'master'.".to_owned(),
            right: "VIEW SERVER STATE",
        };
        let failure = Failure::from(error);
        assert_eq!(failure.kind, FailureKind::Forbidden);
        assert_eq!(
            failure.text,
            "sql01\\PROD: statement connections: error 300: VIEW SERVER STATE permission was denied on object \
             'server', database 'master'. (needs VIEW SERVER STATE)"
        );
        let timed_out = Error::TimedOut {
            server: "sql01".to_owned(),
            asked: "statement registry".to_owned(),
            limit: Duration::from_secs(5),
        };
        assert_eq!(timed_out.to_string(), "sql01: statement registry: no answer within 5000 ms");
    }

    #[test]
    fn texts_of_peers_are_tamed() {
        assert_eq!(plain("a\r\nb\u{1b}[31m\t"), "a  b [31m");
        assert_eq!(plain(&"x".repeat(1000)).chars().count(), MAX_TEXT + 1);
    }
}
