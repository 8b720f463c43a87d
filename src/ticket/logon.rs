//! The AS exchange (RFC 4120 3.1): from a password or a keytab to a ticket-granting ticket. The proof of the secret goes to one
//! KDC, once: neither a refusal nor silence makes another one see it.

use tokio::time::Instant;

use super::crypto::{Key, USABLE, Usage};
use super::error::{Error, not_read};
use super::granting::{GrantingTicket, Opened, UNOPENED, nonce, open};
use super::keytab;
use super::link::{Answer, Links, now};
use super::message::{self, Body, Canonicalize, Name};
use super::reply::{self, ErrorRead, Exchange, Issued, KeyHint, Reply};
use super::{Identity, Principal, Settings};
use crate::model::host::HostName;
use crate::model::instance::ClockReading;
use crate::model::secret::{Secret, SecretSource};
use crate::model::ticket::{EncryptionType, KdcAddress, KerberosError};

/// Wanted lifetime, seconds: the default of the domain policy MaxTicketAge. The KDC shortens it to what it allows.
pub(super) const LIFETIME: i64 = 10 * 3_600;

/// The parameters of the derivation that is in use everywhere: 4,096 rounds (RFC 3962 4).
const ROUNDS: [u8; 4] = [0, 0, 0x10, 0];

/// What a logon gave.
pub(super) struct LoggedOn {
    pub(super) ticket: GrantingTicket,
    pub(super) kdc: HostName,
    pub(super) clock: ClockReading,
}

/// Who we are, with the secret in memory for as long as the logon takes.
struct Credentials {
    name: Name,
    secret: Held,
}

enum Held {
    Password(Secret),
    Keys(Vec<Key>),
}

/// Logs on at the question's home realm.
pub(super) async fn log_on(
    settings: &Settings,
    home: &HostName,
    links: &mut Links<'_>,
) -> Result<LoggedOn, Error> {
    let us = Credentials::read(&settings.identity, home).map_err(|cause| Error::NoCredentials { cause })?;
    let realm = home.as_str().to_uppercase();
    let server = Name::ticket_granting(&realm);
    let offer = us.offer();
    let mut body = Body {
        client: Some(&us.name),
        realm: &realm,
        server: &server,
        // A name is taken as it is configured: an alias would log on as somebody else.
        canonicalize: Canonicalize::No,
        till: now().seconds.saturating_add(LIFETIME),
        nonce: nonce()?,
        offer: &offer,
    };
    let begun = Instant::now();
    let first = links.ask(home, &message::logon_request(&body)).await?;
    let made = Made { us: &us, realm: &realm, home, begun };
    match reply::read(&first.octets, Exchange::Logon).map_err(|bad| Error::malformed(&first.kdc, bad))? {
        Reply::Error(error) if error.error == KerberosError::KDC_ERR_PREAUTH_REQUIRED => {
            let key = us.key_for(&first, &error, &realm)?;
            // Read here, as nothing is as exact: stime with susec.
            let clock = first.error_clock(&error);
            body.nonce = nonce()?;
            let proof = message::logon_proof(&body, &key, now())
                .map_err(|error| Error::Internal(format!("logon: {error}")))?;
            let answer = links.ask_one(&first.kdc, &proof).await?;
            let read = reply::read(&answer.octets, Exchange::Logon);
            match read.map_err(|bad| Error::malformed(&answer.kdc, bad))? {
                Reply::Error(error) if error.error == KerberosError::KDC_ERR_PREAUTH_REQUIRED => {
                    Err(Error::Unsupported {
                        kdc: answer.kdc.to_string(),
                        cause: "it wants more than an encrypted timestamp".to_owned(),
                    })
                }
                Reply::Error(error) => Err(Error::of_logon(answer.refusal(home, &error))),
                Reply::Issued(issued) => {
                    let (ticket, _) = made.ticket(&answer, &issued, &key, &body)?;
                    Ok(LoggedOn { ticket, kdc: answer.kdc.host.clone(), clock })
                }
            }
        }
        Reply::Error(error) => Err(Error::of_logon(first.refusal(home, &error))),
        // The account needs no pre-authentication.
        Reply::Issued(issued) => {
            let hints = reply::key_hints(&issued.padata);
            let hints = hints.map_err(|bad| Error::malformed(&first.kdc, not_read("ETYPE-INFO2", &bad)))?;
            let hint = hints.iter().find(|hint| hint.kind == issued.sealed.kind);
            let fallback = KeyHint { kind: issued.sealed.kind, salt: None, parameters: None };
            let key =
                us.key(hint.unwrap_or(&fallback), &realm).ok_or_else(|| us.no_key(&first.kdc, &hints))?;
            let (ticket, clock) = made.ticket(&first, &issued, &key, &body).map_err(|error| match error {
                // Nothing has proven the key yet, so it is the key that is doubted.
                Error::Malformed { cause, kdc } if cause == UNOPENED => Error::WrongKey { kdc },
                other => other,
            })?;
            Ok(LoggedOn { ticket, kdc: first.kdc.host.clone(), clock })
        }
    }
}

/// What both ways of making a ticket-granting ticket share.
struct Made<'a> {
    us: &'a Credentials,
    realm: &'a str,
    home: &'a HostName,
    begun: Instant,
}

impl Made<'_> {
    fn ticket(
        &self,
        answer: &Answer,
        issued: &Issued<'_>,
        key: &Key,
        body: &Body<'_>,
    ) -> Result<(GrantingTicket, ClockReading), Error> {
        let opened = Opened {
            usage: Usage::AsReply,
            key,
            nonce: body.nonce,
            client: &self.us.name,
            client_realm: self.realm,
            realm: self.realm,
        };
        let plain = open(answer, issued, &opened)?;
        let inside = reply::inside(&plain).map_err(|bad| Error::malformed(&answer.kdc, bad))?;
        if !inside.server.is(body.server) {
            return Err(Error::malformed(&answer.kdc, "a ticket for another service than the one asked for"));
        }
        let clock = answer.coarse_clock(inside.begins.unwrap_or(inside.authenticated));
        let ticket = GrantingTicket::new(
            issued,
            &inside,
            self.home.clone(),
            self.us.name.clone(),
            self.realm.to_owned(),
            self.begun,
        );
        Ok((ticket.map_err(|cause| Error::malformed(&answer.kdc, cause))?, clock))
    }
}

impl Credentials {
    fn read(identity: &Identity, home: &HostName) -> Result<Self, String> {
        match identity {
            Identity::Password { principal, password } => {
                let Principal { parts, .. } = principal;
                Ok(Self { name: Name::principal(parts.clone()), secret: Held::Password(password.read()?) })
            }
            Identity::Keytab { principal, keytab } => {
                let octets = SecretSource::Keytab(keytab.clone()).octets()?;
                let found = keytab::find(&octets, principal.as_ref(), home)
                    .map_err(|cause| format!("keytab {}: {cause}", keytab.display()))?;
                Ok(Self { name: Name::principal(found.parts), secret: Held::Keys(found.keys) })
            }
            Identity::LogonSession => Err("the logon session gives away neither password nor key".to_owned()),
        }
    }

    fn offer(&self) -> Vec<EncryptionType> {
        match &self.secret {
            Held::Password(_) => USABLE.to_vec(),
            Held::Keys(keys) => keys.iter().map(Key::kind).collect(),
        }
    }

    /// The key for the first of the KDC's hints that we have one for.
    fn key_for(&self, answer: &Answer, error: &ErrorRead<'_>, realm: &str) -> Result<Key, Error> {
        let hints = error.key_hints();
        let hints = hints.map_err(|bad| Error::malformed(&answer.kdc, not_read("METHOD-DATA", &bad)))?;
        let found = hints.iter().find_map(|hint| self.key(hint, realm));
        found.ok_or_else(|| self.no_key(&answer.kdc, &hints))
    }

    fn key(&self, hint: &KeyHint<'_>, realm: &str) -> Option<Key> {
        match &self.secret {
            Held::Password(password) => {
                if !USABLE.contains(&hint.kind) || hint.parameters.is_some_and(|rounds| rounds != ROUNDS) {
                    return None;
                }
                // The default salt: realm and components without a separator (RFC 4120 4).
                let default = [realm, &self.name.parts().concat()].concat();
                let salt = hint.salt.unwrap_or(default.as_bytes());
                Key::from_password(hint.kind, password.expose(), salt).ok()
            }
            Held::Keys(keys) => {
                keys.iter().find(|key| key.kind() == hint.kind).and_then(|key| key.copy().ok())
            }
        }
    }

    fn no_key(&self, kdc: &KdcAddress, hints: &[KeyHint<'_>]) -> Error {
        let theirs: Vec<String> = hints.iter().map(|hint| hint.kind.to_string()).collect();
        let ours: Vec<String> = self.offer().iter().map(ToString::to_string).collect();
        Error::Unsupported {
            kdc: kdc.to_string(),
            cause: format!(
                "no key in common: it has [{}] for the exporter's account, we can use [{}]",
                theirs.join(", "),
                ours.join(", ")
            ),
        }
    }
}
