//! Service tickets through the logon session of this process, where it has neither keytab nor password: SSPI's Kerberos package on
//! Windows, GSSAPI on Unix (feature `gssapi`). The library asks a KDC of its choice or answers out of its own cache, so of
//! clocks and trusts nothing is learnt here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::account;
use super::error::Error;
use super::link::Links;
use super::message::Name;
use crate::model::host::HostName;
use crate::model::observed::{Gap, Known, printable};
use crate::model::spn::Spn;
use crate::model::ticket::{
    Ask, EncryptionType, Granted, KerberosError, Refusal, Teller, Ticket, TicketFacts, TicketQuestion,
};

/// How it is called in a text.
const NAME: &str = "the logon session";

/// Whether this build can ask it.
pub const IS_IN_THIS_BUILD: bool = cfg!(any(windows, all(unix, feature = "gssapi")));

/// What a build without it says. The configuration says the same before anybody asks.
pub const NOT_IN_THIS_BUILD: &str = "the logon session of the process needs a build with the cargo feature gssapi (cargo build --release --features gssapi)";

/// The one call that may be inside the library. Such calls block, up to 27 s against a dead KDC: each has a thread of its own,
/// is abandoned at the deadline, and counts as running until it comes back.
#[derive(Debug, Clone, Default)]
pub(super) struct LogonSession(Arc<AtomicBool>);

/// Held by the thread for as long as the library has not come back.
struct Running(LogonSession);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.0.store(false, Ordering::Release);
    }
}

/// What can be read on the outside of a ticket.
struct Outside {
    realm: String,
    encryption_type: EncryptionType,
    key_version: Option<u32>,
}

/// Why there is none.
#[cfg_attr(
    not(any(windows, all(unix, feature = "gssapi"))),
    expect(dead_code, reason = "this build has no such library")
)]
enum Cause {
    /// The library's words.
    Library(String),
    /// Its token is none, or is for something else.
    Malformed(String),
}

/// What an error of the logon session is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum About {
    /// The service: the KDC's answer.
    Service(KerberosError),
    /// The identity of this process: the KDC's answer.
    Us(KerberosError),
    /// There is nothing to log on with.
    NoCredentials,
    /// No KDC answers.
    Absence,
    /// What these words mean is not known.
    Words,
}

impl LogonSession {
    /// Service tickets alone: which KDC there is, its clock, and what another realm says of a trust stay in the library.
    pub(super) async fn facts(
        &self,
        question: &TicketQuestion,
        mut links: Links<'_>,
        timeout: Duration,
        until: Instant,
    ) -> Result<TicketFacts, Error> {
        let unknown = |what: &str| {
            Gap::not_applicable(format!(
                "{NAME} does not tell {what}; ticket.keytab or ticket.password_file does"
            ))
        };
        let tickets = self.tickets(question, timeout, until).await?;
        let no_path = unknown("what both ends of a trust say");
        let realms = question.cross_realms.iter().map(|realm| (realm.clone(), Err(no_path.clone())));
        Ok(TicketFacts {
            kdc: Err(unknown("the KDC's clock")),
            tickets,
            realms: realms.collect(),
            since: BTreeMap::new(),
            clients: account::ask_each(question, &mut links).await,
            clients_since: BTreeMap::new(),
        })
    }

    /// A ticket for each SPN. What keeps all others from an answer too ends the round.
    async fn tickets(
        &self,
        question: &TicketQuestion,
        timeout: Duration,
        until: Instant,
    ) -> Result<BTreeMap<Spn, Known<Ticket>>, Error> {
        if !IS_IN_THIS_BUILD {
            return Err(Error::Unsupported { kdc: NAME.to_owned(), cause: NOT_IN_THIS_BUILD.to_owned() });
        }
        let mut tickets = BTreeMap::new();
        let (mut first, mut end): (Option<Error>, Option<Error>) = (None, None);
        for (spn, ask) in &question.spns {
            if let Some(error) = &end {
                tickets.insert(spn.clone(), Err(error.gap()));
                continue;
            }
            let realm = ask.realm.as_ref().unwrap_or(&question.home);
            let known = match self.ticket(spn, ask, realm, timeout, until).await {
                Ok(ticket) => Ok(ticket),
                // The secret was refused: it rests.
                Err(error @ Error::Credentials(_)) => return Err(error),
                Err(error) => {
                    let gap = error.gap();
                    if !matches!(error, Error::Session { .. } | Error::Malformed { .. }) {
                        end = Some(error.clone());
                    }
                    first.get_or_insert(error);
                    Err(gap)
                }
            };
            tickets.insert(spn.clone(), known);
        }
        match first {
            Some(error) if tickets.values().all(Result::is_err) => Err(error),
            Some(_) | None => Ok(tickets),
        }
    }

    async fn ticket(
        &self,
        spn: &Spn,
        ask: &Ask,
        realm: &HostName,
        timeout: Duration,
        until: Instant,
    ) -> Result<Ticket, Error> {
        let begun = Instant::now();
        let refusal = |error, text: &str| Refusal {
            error,
            realm: realm.clone(),
            kdc: Teller::LogonSession,
            text: Some(printable(text)),
            clock: None,
            second: None,
        };
        let outside = match self.outside(spn, target(spn, ask), until.min(begun + timeout)).await? {
            Ok(outside) => outside,
            Err(Cause::Malformed(cause)) => return Err(Error::malformed(&NAME, cause)),
            Err(Cause::Library(text)) => match about(&text) {
                About::Service(error) => return Ok(Ticket::Refused(refusal(error, &text))),
                About::Us(error) => return Err(Error::Credentials(refusal(error, &text))),
                About::NoCredentials => return Err(Error::NoCredentials { cause: printable(&text) }),
                About::Absence => {
                    return Err(Error::Unreachable { kdc: NAME.to_owned(), cause: printable(&text) });
                }
                About::Words => return Err(Error::Session { cause: printable(&text) }),
            },
        };
        let realm = HostName::parse(&outside.realm);
        Ok(Ticket::Granted(Granted {
            encryption_type: outside.encryption_type,
            key_version: outside.key_version,
            realm: realm.ok_or_else(|| Error::malformed(&NAME, "a ticket of what is no realm"))?,
            kdc: Teller::LogonSession,
            seconds: begun.elapsed().as_secs_f64(),
        }))
    }

    /// Asks the library on a thread of its own, never on the runtime's blocking pool: the runtime would wait for it at exit.
    async fn outside(
        &self,
        spn: &Spn,
        target: String,
        until: Instant,
    ) -> Result<Result<Outside, Cause>, Error> {
        if self.0.swap(true, Ordering::AcqRel) {
            return Err(Error::StillRunning);
        }
        let running = Running(self.clone());
        let name = Name::service(spn.as_str());
        let (answer, wait) = tokio::sync::oneshot::channel();
        std::thread::Builder::new()
            .name("service-ticket".to_owned())
            .spawn(move || {
                let said = library(&target, &name);
                drop(running);
                // If nobody waits any more the result is of no use.
                let _ = answer.send(said);
            })
            .map_err(|error| Error::Internal(format!("no thread for {NAME}: {error}")))?;
        match timeout_at(until, wait).await {
            Err(_) => Err(Error::Timeout { kdc: NAME.to_owned() }),
            Ok(Err(_)) => Err(Error::Internal(format!("the thread of {NAME} ended"))),
            Ok(Ok(said)) => Ok(said),
        }
    }
}

/// The service by its name; where the realm of the holder is known, MIT is told it, as there is no referral from a name with a
/// port (SSPI finds it by the Global Catalog).
fn target(spn: &Spn, ask: &Ask) -> String {
    match &ask.realm {
        Some(realm) if cfg!(unix) => format!("{}@{}", spn.as_str(), realm.as_str().to_uppercase()),
        Some(_) | None => spn.as_str().to_owned(),
    }
}

/// The first token that an initiator would send, read and thrown away: it goes to nobody. The library frees it, and no octet of it
/// is copied.
#[cfg(any(windows, all(unix, feature = "gssapi")))]
fn library(target: &str, name: &Name) -> Result<Outside, Cause> {
    let begun = cross_krb5::ClientCtx::new(cross_krb5::InitiateFlags::empty(), None, target, None);
    let (_context, token) = begun.map_err(|error| Cause::Library(format!("{error:#}")))?;
    let read = super::token::outside(&token).map_err(|bad| Cause::Malformed(format!("its token: {bad}")))?;
    if !read.server.is(name) {
        return Err(Cause::Malformed("a ticket for another service than the one asked for".to_owned()));
    }
    Ok(Outside {
        realm: String::from_utf8_lossy(read.realm).into_owned(),
        encryption_type: read.sealed.kind,
        key_version: read.sealed.key_version,
    })
}

/// Without a library nothing can be asked.
#[cfg(not(any(windows, all(unix, feature = "gssapi"))))]
fn library(_: &str, _: &Name) -> Result<Outside, Cause> {
    Err(Cause::Library(NOT_IN_THIS_BUILD.to_owned()))
}

/// The words of MIT krb5's error tables (krb5_err.et, k5e1_err.et, gssapi_err_krb5.et) and of SSPI in English (winerror.h), as the
/// crate hands on no codes. Those of a name are in between: "Server x/y@Z not found in Kerberos database".
const WORDS: &[(&str, About)] = &[
    // SEC_E_TARGET_UNKNOWN: what SSPI makes of KDC_ERR_S_PRINCIPAL_UNKNOWN.
    (
        "the specified target is unknown or unreachable",
        About::Service(KerberosError::KDC_ERR_S_PRINCIPAL_UNKNOWN),
    ),
    ("server not found in kerberos database", About::Service(KerberosError::KDC_ERR_S_PRINCIPAL_UNKNOWN)),
    (
        "principal has multiple entries in kerberos database",
        About::Service(KerberosError::KDC_ERR_PRINCIPAL_NOT_UNIQUE),
    ),
    ("server's entry in database has expired", About::Service(KerberosError::KDC_ERR_SERVICE_EXP)),
    ("client or server has a null key", About::Service(KerberosError::KDC_ERR_NULL_KEY)),
    ("kdc policy rejects request", About::Service(KerberosError::KDC_ERR_POLICY)),
    ("kdc has no support for encryption type", About::Service(KerberosError::KDC_ERR_ETYPE_NOSUPP)),
    // SEC_E_KDC_UNKNOWN_ETYPE.
    (
        "the encryption type requested is not supported by the kdc",
        About::Service(KerberosError::KDC_ERR_ETYPE_NOSUPP),
    ),
    ("credentials for server have been revoked", About::Service(KerberosError::KDC_ERR_SERVICE_REVOKED)),
    ("client not found in kerberos database", About::Us(KerberosError::KDC_ERR_C_PRINCIPAL_UNKNOWN)),
    ("client's credentials have been revoked", About::Us(KerberosError::KDC_ERR_CLIENT_REVOKED)),
    ("password has expired", About::Us(KerberosError::KDC_ERR_KEY_EXPIRED)),
    ("preauthentication failed", About::Us(KerberosError::KDC_ERR_PREAUTH_FAILED)),
    ("cannot contact any kdc", About::Absence),
    ("cannot find kdc", About::Absence),
    ("cannot resolve", About::Absence),
    // SEC_E_NO_AUTHENTICATING_AUTHORITY.
    ("no authority could be contacted", About::Absence),
    ("no kerberos credentials", About::NoCredentials),
    // SEC_E_NO_CREDENTIALS. MIT puts "No credentials were supplied" in front of what a KDC said as well.
    ("no credentials are available", About::NoCredentials),
    ("credentials cache", About::NoCredentials),
    ("can't find client principal", About::NoCredentials),
    ("keytab", About::NoCredentials),
    ("ticket expired", About::NoCredentials),
];

fn about(text: &str) -> About {
    let text = without_names(&text.to_lowercase());
    WORDS.iter().find(|(words, _)| text.contains(words)).map_or(About::Words, |(_, about)| *about)
}

/// `server <name> not found` and `client '<name>' not found` without the name, which could hold any words.
fn without_names(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let is_name = |at: usize| {
        let before = at.checked_sub(1).and_then(|before| words.get(before));
        let after = words.get(at + 1);
        matches!(before, Some(&("server" | "client"))) && after == Some(&"not")
    };
    let kept = words.iter().enumerate().filter(|(at, _)| !is_name(*at)).map(|(_, word)| *word);
    kept.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_libraries_say() {
        let (unknown, nobody) =
            (KerberosError::KDC_ERR_S_PRINCIPAL_UNKNOWN, KerberosError::KDC_ERR_C_PRINCIPAL_UNKNOWN);
        for (text, expected) in [
            ("minor: Server not found in Kerberos database", About::Service(unknown)),
            ("Server MSSQLSvc/client01:1433@CORP not found in Kerberos database", About::Service(unknown)),
            ("Client 'server@CORP' not found in Kerberos database", About::Us(nobody)),
            (
                "ClientCtx::step failed The specified target is unknown or unreachable\r\n",
                About::Service(unknown),
            ),
            ("The target principal name is incorrect.", About::Words),
            ("Das angegebene Ziel ist unbekannt oder nicht erreichbar.", About::Words),
            ("KDC has no support for encryption type", About::Service(KerberosError::KDC_ERR_ETYPE_NOSUPP)),
            ("No Kerberos credentials available (default cache: FILE:/tmp/krb5cc_0)", About::NoCredentials),
            (
                "No credentials were supplied: Preauthentication failed",
                About::Us(KerberosError::KDC_ERR_PREAUTH_FAILED),
            ),
            (
                "No credentials were supplied, or the credentials were unavailable or inaccessible: \
                 Cannot contact any KDC for realm 'CORP.CONTOSO.COM'",
                About::Absence,
            ),
            ("No credentials are available in the security package (0x8009030E)", About::NoCredentials),
            ("Clock skew too great", About::Words),
            ("", About::Words),
        ] {
            assert_eq!(about(text), expected, "{text}");
        }
    }

    #[test]
    fn one_call_at_a_time() {
        let session = LogonSession::default();
        let running = Running(session.clone());
        session.0.store(true, Ordering::Release);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let mut question = TicketQuestion::new(HostName::parse("corp.contoso.com").unwrap());
        let ask = Ask { realm: None, offer: crate::model::ticket::Offer::Aes };
        question.spns.insert(Spn::parse("MSSQLSvc/sql01:1433").unwrap(), ask);
        let outcome = runtime.block_on(async {
            session.tickets(&question, Duration::from_secs(1), Instant::now() + Duration::from_secs(1)).await
        });
        assert!(outcome.is_err_and(|error| error.to_string().contains("still running")));
        drop(running);
        assert!(!session.0.load(Ordering::Acquire), "free again when the library has come back");
    }
}
