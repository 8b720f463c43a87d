//! "Could not look" as a value. A probe's run is found or failed with a kind; a single fact is known or a [`Gap`] that
//! says why it is not. Nothing here is ever turned into a zero or into "healthy".

use std::fmt;
use std::time::{Instant, SystemTime};

use super::kerberos_error::KerberosError;

/// One moment on both clocks: the monotonic one for ages, the wall clock for anything compared with a peer's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Monotonic; ages of evidence are differences of this.
    pub mono: Instant,
    /// Wall clock (UTC).
    pub wall: SystemTime,
}

impl Now {
    /// Seconds since the Unix epoch; negative before it.
    pub fn unix_seconds(&self) -> f64 {
        unix_seconds(self.wall)
    }
}

/// Seconds since the Unix epoch of a wall-clock time; negative before it.
pub fn unix_seconds(time: SystemTime) -> f64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => after.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}

/// Why a whole run of a probe failed: the closed set that is the metric label `kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureKind {
    /// No connection: name not resolved, port closed, network unreachable.
    Unreachable,
    /// The deadline passed.
    Timeout,
    /// The peer answered and declined for a reason other than credentials and permission.
    Refused,
    /// The peer rejected the identity (LDAP 49, SQL 18456, KDC 18/23/24), or no usable secret was to be had.
    Credentials,
    /// The identity is fine and lacks a right.
    Forbidden,
    /// TLS could not be agreed or a certificate not be verified.
    Tls,
    /// The answer could not be decoded.
    Malformed,
    /// The peer or this build cannot do what was asked.
    Unsupported,
    /// A fault of our own.
    Internal,
}

impl FailureKind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 9] = [
        Self::Unreachable,
        Self::Timeout,
        Self::Refused,
        Self::Credentials,
        Self::Forbidden,
        Self::Tls,
        Self::Malformed,
        Self::Unsupported,
        Self::Internal,
    ];

    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Refused => "refused",
            Self::Credentials => "credentials",
            Self::Forbidden => "forbidden",
            Self::Tls => "tls",
            Self::Malformed => "malformed",
            Self::Unsupported => "unsupported",
            Self::Internal => "internal",
        }
    }

    /// What a failed run means for the facts it would have given (JUDGEMENT 14).
    pub const fn reason(self) -> Reason {
        match self {
            Self::Credentials => Reason::NoCredentials,
            Self::Forbidden => Reason::NoPermission,
            Self::Unreachable
            | Self::Timeout
            | Self::Refused
            | Self::Tls
            | Self::Malformed
            | Self::Unsupported
            | Self::Internal => Reason::PeerFailed,
        }
    }
}

/// A failed run: its kind for the metrics and one sentence for people. The text never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The closed set of the metrics.
    pub kind: FailureKind,
    /// Which peer, what was asked, what came back.
    pub text: String,
    /// Who refused an identity that was offered; `None` also where nothing was there to offer.
    pub refuser: Option<Refuser>,
}

/// Who refused an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refuser {
    /// The peer itself: this identity is no good there.
    Peer,
    /// A KDC, asked with the secret of the process: it is no good anywhere, and each attempt counts towards a lockout.
    Kdc,
}

impl Failure {
    /// A failure of this kind with this text.
    pub fn new(kind: FailureKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), refuser: None }
    }

    /// The same, with who refused the identity.
    #[must_use]
    pub fn refused_by(self, refuser: Option<Refuser>) -> Self {
        Self { refuser, ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.name(), self.text)
    }
}

/// Why a fact is not known: the closed set of JUDGEMENT 14.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Switched off, or an optional grant is not given.
    Disabled,
    /// The question does not arise.
    NotApplicable,
    /// Refused, or hidden.
    NoPermission,
    /// Wanted, but missing, unreadable or rejected.
    NoCredentials,
    /// No answer, or an answer without the fact.
    PeerFailed,
    /// The last good evidence is too old.
    Stale,
}

impl Reason {
    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::NotApplicable => "not_applicable",
            Self::NoPermission => "no_permission",
            Self::NoCredentials => "no_credentials",
            Self::PeerFailed => "peer_failed",
            Self::Stale => "stale",
        }
    }

    /// Whether this is a blind spot that somebody should mend (JUDGEMENT 14). The others never touch the verdict.
    pub const fn is_failing(self) -> bool {
        match self {
            Self::Disabled | Self::NotApplicable => false,
            Self::NoPermission | Self::NoCredentials | Self::PeerFailed | Self::Stale => true,
        }
    }
}

/// A fact that is not known, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gap {
    /// The closed set of the metrics.
    pub reason: Reason,
    /// What is missing and what would give it, as one sentence.
    pub text: String,
    /// The error of a KDC that stands behind it, where it is one: what a client would meet here.
    pub code: Option<KerberosError>,
}

impl Gap {
    /// A gap for this reason with this text.
    pub fn new(reason: Reason, text: impl Into<String>) -> Self {
        Self { reason, text: text.into(), code: None }
    }

    /// The same, with the error of a KDC that stands behind it.
    #[must_use]
    pub fn with_code(self, code: KerberosError) -> Self {
        Self { code: Some(code), ..self }
    }

    /// Not asked because it is switched off.
    pub fn disabled(text: impl Into<String>) -> Self {
        Self::new(Reason::Disabled, text)
    }

    /// The question does not arise.
    pub fn not_applicable(text: impl Into<String>) -> Self {
        Self::new(Reason::NotApplicable, text)
    }

    /// No answer, or an answer without the fact.
    pub fn peer_failed(text: impl Into<String>) -> Self {
        Self::new(Reason::PeerFailed, text)
    }

    /// Refused or hidden.
    pub fn no_permission(text: impl Into<String>) -> Self {
        Self::new(Reason::NoPermission, text)
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.text, self.reason.name())
    }
}

/// A single fact: known, or why not.
pub type Known<T> = Result<T, Gap>;

/// Text from a peer for people: without control characters (Active Directory ends its texts with NUL), at most 200
/// characters.
pub fn printable(text: &str) -> String {
    let clean: String =
        text.trim_end_matches('\0').chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let clean = clean.trim();
    match clean.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", clean.get(..end).unwrap_or_default()),
        None => clean.to_owned(),
    }
}
