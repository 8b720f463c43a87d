//! Why a look-up has no usable answer. NXDOMAIN and NODATA are answers, not errors.

use std::time::Duration;

use crate::model::observed::{Failure, FailureKind};

/// Why a look-up has no usable answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The system names no server.
    #[error("no name server to ask: {text}; set dns.servers")]
    NoServers {
        /// What the system's configuration lacks.
        text: String,
    },
    /// The deadline passed.
    #[error("no answer within {} ms", limit.as_millis())]
    TimedOut {
        /// The deadline of the look-up.
        limit: Duration,
    },
    /// No connection to any server.
    #[error("no connection: {text}")]
    Unreachable {
        /// What the system said.
        text: String,
    },
    /// The server answered and declined: SERVFAIL, REFUSED, a referral.
    #[error("the server answered: {text}")]
    Refused {
        /// The response code.
        text: String,
    },
    /// The answer could not be decoded.
    #[error("unusable answer: {text}")]
    Malformed {
        /// What was wrong.
        text: String,
    },
    /// The name cannot be asked for.
    #[error("not asked: {text}")]
    Unsupported {
        /// Why not.
        text: String,
    },
    /// A fault of our own.
    #[error("{text}")]
    Internal {
        /// What.
        text: String,
    },
}

impl Error {
    /// The closed set of the metrics.
    pub const fn kind(&self) -> FailureKind {
        match self {
            Self::NoServers { .. } | Self::Unreachable { .. } => FailureKind::Unreachable,
            Self::TimedOut { .. } => FailureKind::Timeout,
            Self::Refused { .. } => FailureKind::Refused,
            Self::Malformed { .. } => FailureKind::Malformed,
            Self::Unsupported { .. } => FailureKind::Unsupported,
            Self::Internal { .. } => FailureKind::Internal,
        }
    }

    /// Which of several errors tells most about the servers: one that answered, however badly, before one that did not.
    pub(super) const fn weight(&self) -> u8 {
        match self {
            Self::Refused { .. } => 6,
            Self::Malformed { .. } => 5,
            Self::Unreachable { .. } => 4,
            Self::TimedOut { .. } => 3,
            Self::NoServers { .. } => 2,
            Self::Internal { .. } => 1,
            Self::Unsupported { .. } => 0,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}
