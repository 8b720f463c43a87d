//! A service account as a client of its realm, and what a KDC says of it when somebody asks for a logon in its name without a proof.
//! Never anything of a reply that holds a ticket.

use std::fmt;

use super::host::HostName;
use super::ticket::{EncryptionType, Refusal};

/// An account as a client of its realm: who logs on there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientName {
    /// The DNS name of its domain.
    pub realm: HostName,
    /// `sAMAccountName` in lower case: Active Directory compares without case, and one account is asked about once.
    pub name: String,
}

impl ClientName {
    /// Of an account by its `sAMAccountName`.
    pub fn new(realm: HostName, sam: &str) -> Self {
        Self { realm, name: sam.to_lowercase() }
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.realm)
    }
}

/// What a KDC answered to an AS-REQ without a proof of identity.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientAnswer {
    /// It issued a ticket-granting ticket: the account needs no pre-authentication. Nothing of that reply is kept.
    GivenAway {
        /// The KDC that gave it.
        kdc: HostName,
    },
    /// It answered with an error, as it should.
    Refused {
        /// The error; KDC_ERR_PREAUTH_REQUIRED (25) of a healthy account.
        refusal: Refusal,
        /// Of the encryption types that were offered, those for which the account has keys, in the KDC's order
        /// (ETYPE-INFO2, RFC 4120 5.2.7.5), or the best of them alone (Samba); empty where the error does not tell.
        keys: Vec<EncryptionType>,
    },
}

impl ClientAnswer {
    /// The value of the label `code`: the name in the RFC, `none` for no error, `other` for one that the RFC does not list.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::GivenAway { .. } => "none",
            Self::Refused { refusal, .. } => match refusal.error.name() {
                Some(name) => name,
                None => "other",
            },
        }
    }

    /// The keys that it named.
    pub fn keys(&self) -> &[EncryptionType] {
        match self {
            Self::GivenAway { .. } => &[],
            Self::Refused { keys, .. } => keys,
        }
    }
}

impl fmt::Display for ClientAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GivenAway { kdc } => write!(
                f,
                "{kdc}: no pre-authentication is required: whoever asks gets what its password can be guessed from offline"
            ),
            Self::Refused { refusal, keys } => {
                write!(f, "{refusal}")?;
                if !keys.is_empty() {
                    let names: Vec<String> = keys.iter().map(ToString::to_string).collect();
                    write!(f, "; it names keys of {}", names.join(", "))?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ticket::{KerberosError, Teller};

    #[test]
    fn answers_in_words_and_as_labels() {
        let host = |text| HostName::parse(text).unwrap();
        assert_eq!(
            ClientName::new(host("CORP.contoso.com"), "SVC_sql").to_string(),
            "svc_sql@corp.contoso.com"
        );
        let refused = |code, keys: &[i32]| ClientAnswer::Refused {
            refusal: Refusal {
                error: KerberosError(code),
                realm: host("corp.contoso.com"),
                kdc: Teller::Kdc(host("dc1")),
                text: None,
                clock: None,
                second: None,
            },
            keys: keys.iter().copied().map(EncryptionType).collect(),
        };
        for (said, code, words) in [
            (refused(25, &[18, 23]), "KDC_ERR_PREAUTH_REQUIRED", "it names keys of aes256, rc4"),
            (refused(6, &[]), "KDC_ERR_C_PRINCIPAL_UNKNOWN", "client not found"),
            (refused(4_711, &[]), "other", "Kerberos error 4711"),
            (ClientAnswer::GivenAway { kdc: host("dc1") }, "none", "no pre-authentication is required"),
        ] {
            assert_eq!(said.code(), code);
            assert!(said.to_string().contains(words), "{said}");
        }
    }
}
