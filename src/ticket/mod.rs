//! What a Key Distribution Center answers: our own AS and TGS exchange (RFC 4120) over TCP, with a password or a keytab and
//! without a C library, on every platform; without either through the process's logon session. One ticket-granting ticket per
//! lifetime; of every other ticket only the outer fields leave this module, and its octets are wiped at once (JUDGEMENT 10).

mod der;

mod time;

mod crypto;

mod message;

mod reply;

mod keytab;

mod error;

mod link;

mod logon;

mod granting;

mod account;

#[cfg(any(windows, all(unix, feature = "gssapi"), test))]
mod token;

mod logon_session;

mod session;

mod requests;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::host::HostName;
use crate::model::keytab::KeytabEntry;
use crate::model::secret::{INTEGRATED, SecretSource};

pub use logon_session::{IS_IN_THIS_BUILD as HAS_LOGON_SESSION, NOT_IN_THIS_BUILD as NO_LOGON_SESSION};
pub use requests::{REQUESTS, Request};
pub use session::Session;

/// What a keytab holds, without its keys.
///
/// # Errors
/// A sentence without any key.
pub fn keytab_entries(octets: &[u8]) -> Result<Vec<KeytabEntry>, String> {
    keytab::list(octets)
}

/// As whom to ask and how long to wait. The KDCs come with each question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `ticket.principal` with `ticket.keytab` or `ticket.password_file`, or without them.
    pub identity: Identity,
    /// `ticket.timeout`: for one request to one KDC, connecting included.
    pub timeout: Duration,
}

/// As whom to log on. The secret is read at each logon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// With a password.
    Password {
        /// The account.
        principal: Principal,
        /// Where its password is.
        password: SecretSource,
    },
    /// With a keytab.
    Keytab {
        /// The account; without one the first of the home realm in the keytab.
        principal: Option<Principal>,
        /// The file.
        keytab: PathBuf,
    },
    /// As whoever this process is: SSPI on Windows, GSSAPI on Unix.
    LogonSession,
}

impl Settings {
    /// Who logs on, and where the secret comes from: what a rejection parks (JUDGEMENT 13).
    pub fn identity(&self) -> (String, Option<SecretSource>) {
        match &self.identity {
            Identity::Password { principal, password } => (principal.to_string(), Some(password.clone())),
            Identity::Keytab { principal, keytab } => {
                let name =
                    principal.as_ref().map_or_else(|| keytab.display().to_string(), ToString::to_string);
                (name, Some(SecretSource::Keytab(keytab.clone())))
            }
            Identity::LogonSession => (INTEGRATED.to_owned(), None),
        }
    }

    /// The realm that the operator named, if any: the home of the question then.
    pub const fn realm(&self) -> Option<&HostName> {
        match &self.identity {
            Identity::Password { principal, .. } | Identity::Keytab { principal: Some(principal), .. } => {
                principal.realm.as_ref()
            }
            Identity::Keytab { principal: None, .. } | Identity::LogonSession => None,
        }
    }
}

/// The name of an account in Kerberos: `svc_exporter`, `HOST$`, `host/a.b.c`, each with or without `@REALM`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The components.
    parts: Vec<String>,
    /// The realm, if it is given.
    realm: Option<HostName>,
}

impl Principal {
    /// # Errors
    /// A sentence that says what is wrong with the name.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (name, realm) = match text.rsplit_once('@') {
            Some((name, realm)) => {
                (name, Some(HostName::parse(realm).ok_or("what follows the @ is no realm")?))
            }
            None => (text, None),
        };
        if name.contains('\\') {
            return Err("a principal is written account@REALM, not DOMAIN\\account");
        }
        let parts: Vec<String> = name.split('/').map(str::to_owned).collect();
        let is_name =
            |part: &String| !part.is_empty() && !part.contains('@') && !part.chars().any(char::is_control);
        if parts.iter().all(is_name) { Ok(Self { parts, realm }) } else { Err("not the name of a principal") }
    }

    /// The realm, if it is given.
    pub const fn realm(&self) -> Option<&HostName> {
        self.realm.as_ref()
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.parts.join("/"))?;
        match &self.realm {
            Some(realm) => write!(f, "@{realm}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_principals() {
        let parsed = |text| Principal::parse(text).unwrap().to_string();
        assert_eq!(parsed("svc_exporter@CORP.CONTOSO.COM"), "svc_exporter@corp.contoso.com");
        assert_eq!(parsed("SQL01$"), "SQL01$");
        assert_eq!(parsed("host/sql01.corp.contoso.com"), "host/sql01.corp.contoso.com");
        for bad in ["", "CORP\\svc", "svc@", "@corp", "a//b", "a@b@c", "a\nb"] {
            assert!(Principal::parse(bad).is_err(), "{bad:?}");
        }
    }
}
