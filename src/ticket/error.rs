//! Why a KDC gave no usable answer, by what the operator can do about it. A refusal of a service ticket is no error: it is
//! the answer. No text holds a secret, a key or octets of a ticket.

use super::der::Bad;
use crate::model::observed::{Failure, FailureKind, Gap, Refuser};
use crate::model::ticket::{KerberosError, Refusal};

/// What went wrong with a KDC.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum Error {
    /// No connection, or it ended before the answer.
    #[error("{kdc}: {cause}")]
    Unreachable {
        /// Host and port.
        kdc: String,
        /// What the system says.
        cause: String,
    },
    /// The deadline passed.
    #[error("{kdc}: no answer in time")]
    Timeout {
        /// Host and port.
        kdc: String,
    },
    /// No KDC of that realm is known, or none answers.
    #[error("no KDC of {realm} {why}")]
    NoKdc {
        /// The realm.
        realm: String,
        /// `is known`, `answers` …
        why: &'static str,
    },
    /// The identity was rejected. It is offered to no other KDC.
    #[error("the identity was rejected: {0}")]
    Credentials(Refusal),
    /// The reply to a logon without pre-authentication does not open with our key.
    #[error("{kdc}: its answer cannot be decrypted: the password or the key in the keytab is wrong")]
    WrongKey {
        /// Host and port.
        kdc: String,
    },
    /// No usable secret.
    #[error("no usable credentials: {cause}")]
    NoCredentials {
        /// What is missing.
        cause: String,
    },
    /// Our clock and the KDC's are too far apart.
    #[error("{0}; {clock}", clock = offset(.0))]
    Skew(Refusal),
    /// The KDC answered with another error.
    #[error("{0}")]
    Refused(Refusal),
    /// Not a Kerberos message, or not the answer to what was asked.
    #[error("{kdc}: malformed answer: {cause}")]
    Malformed {
        /// Host and port.
        kdc: String,
        /// What is wrong.
        cause: String,
    },
    /// The KDC or this program cannot do what would be needed.
    #[error("{kdc}: {cause}")]
    Unsupported {
        /// Host and port.
        kdc: String,
        /// What, and the way out.
        cause: String,
    },
    /// A chain of referrals that leads nowhere.
    #[error("{cause}")]
    Referral {
        /// Between which realms.
        cause: String,
    },
    /// A fault of our own.
    #[error("{0}")]
    Internal(String),
}

/// The distance of the clocks in words.
fn offset(refusal: &Refusal) -> String {
    let skew = refusal.clock.peer - refusal.clock.ours;
    let direction = if skew < 0.0 { "behind" } else { "ahead of" };
    format!("its clock is {:.0} s {direction} ours", skew.abs())
}

impl Error {
    pub(super) fn kind(&self) -> FailureKind {
        match self {
            Self::Unreachable { .. } | Self::NoKdc { .. } => FailureKind::Unreachable,
            Self::Timeout { .. } => FailureKind::Timeout,
            Self::Credentials(_) | Self::WrongKey { .. } | Self::NoCredentials { .. } => {
                FailureKind::Credentials
            }
            Self::Skew(_) | Self::Refused(_) | Self::Referral { .. } => FailureKind::Refused,
            Self::Malformed { .. } => FailureKind::Malformed,
            Self::Unsupported { .. } => FailureKind::Unsupported,
            Self::Internal(_) => FailureKind::Internal,
        }
    }

    /// The identity is this probe's own, not the process's: a KDC that refuses it is a peer like any other.
    const fn refuser(&self) -> Option<Refuser> {
        match self {
            Self::Credentials(_) | Self::WrongKey { .. } => Some(Refuser::Peer),
            _ => None,
        }
    }

    pub(super) fn gap(&self) -> Gap {
        let gap = Gap::new(self.kind().reason(), self.to_string());
        match self {
            Self::Skew(refusal) | Self::Refused(refusal) | Self::Credentials(refusal) => {
                gap.with_code(refusal.error)
            }
            _ => gap,
        }
    }

    /// Whether the next KDC may be asked.
    pub(super) const fn is_absence(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Timeout { .. })
    }

    pub(super) fn malformed(kdc: &impl ToString, cause: impl ToString) -> Self {
        Self::Malformed { kdc: kdc.to_string(), cause: cause.to_string() }
    }

    /// What an error means that a KDC gives to a logon. The account's own state is told by LDAP, not by these codes.
    pub(super) fn of_logon(refusal: Refusal) -> Self {
        match refusal.error {
            KerberosError::KDC_ERR_NAME_EXP
            | KerberosError::KDC_ERR_C_PRINCIPAL_UNKNOWN
            | KerberosError::KDC_ERR_CLIENT_REVOKED
            | KerberosError::KDC_ERR_KEY_EXPIRED
            | KerberosError::KDC_ERR_PREAUTH_FAILED => Self::Credentials(refusal),
            KerberosError::KRB_AP_ERR_SKEW => Self::Skew(refusal),
            KerberosError::KDC_ERR_ETYPE_NOSUPP => Self::Unsupported {
                kdc: refusal.kdc.to_string(),
                cause: format!(
                    "{}: the exporter's account needs an AES key (set its password anew)",
                    refusal.error
                ),
            },
            _ => Self::Refused(refusal),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(error.kind(), error.to_string()).refused_by(error.refuser())
    }
}

/// What is wrong with a message, as a sentence.
pub(super) fn not_read(what: &'static str, bad: &Bad) -> String {
    format!("{what}: {bad}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::host::HostName;
    use crate::model::instance::ClockReading;
    use crate::model::observed::Reason;

    fn refusal(code: u32, skew: f64) -> Refusal {
        let host = |text| HostName::parse(text).unwrap();
        let clock = ClockReading { peer: 1000.0 + skew, ours: 1000.0, round_trip: 0.1 };
        Refusal {
            error: KerberosError(code),
            realm: host("corp.contoso.com"),
            kdc: host("dc1"),
            text: None,
            clock,
            second: None,
        }
    }

    #[test]
    fn refused_logons() {
        for (code, kind, part) in [
            (6, FailureKind::Credentials, "KDC_ERR_C_PRINCIPAL_UNKNOWN (6)"),
            (18, FailureKind::Credentials, "KDC_ERR_CLIENT_REVOKED (18)"),
            (23, FailureKind::Credentials, "KDC_ERR_KEY_EXPIRED (23)"),
            (24, FailureKind::Credentials, "KDC_ERR_PREAUTH_FAILED (24)"),
            (37, FailureKind::Refused, "its clock is 600 s ahead of ours"),
            (14, FailureKind::Unsupported, "AES"),
            (60, FailureKind::Refused, "KRB_ERR_GENERIC (60)"),
            (999, FailureKind::Refused, "Kerberos error 999"),
        ] {
            let error = Error::of_logon(refusal(code, 600.0));
            assert_eq!(error.kind(), kind, "{code}");
            assert!(error.to_string().contains(part), "{error}");
            let is_refused = kind == FailureKind::Credentials;
            assert_eq!(Failure::from(error).refuser, is_refused.then_some(Refuser::Peer), "{code}");
        }
        let missing = Failure::from(Error::NoCredentials { cause: "no file".to_owned() });
        assert_eq!((missing.kind, missing.refuser), (FailureKind::Credentials, None), "nothing was offered");
        assert!(Error::of_logon(refusal(37, -600.0)).to_string().contains("600 s behind ours"));
        assert_eq!(Error::of_logon(refusal(24, 0.0)).gap().reason, Reason::NoCredentials);
        let skew = Error::of_logon(refusal(37, 0.0)).gap();
        assert_eq!((skew.reason, skew.code), (Reason::PeerFailed, Some(KerberosError::KRB_AP_ERR_SKEW)));
        assert_eq!(Error::malformed(&"dc1", "text").gap().code, None);
    }
}
