//! Tickets that open the way to other tickets: the one of the logon and those for other realms; and the TGS exchange (RFC 4120
//! 3.3) that shows them. A reply is checked against its request before anything in it is believed.

use std::time::Duration;

use rustls::crypto::aws_lc_rs::default_provider;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::crypto::{Key, USABLE, Usage};
use super::der::Octets;
use super::error::Error;
use super::link::{Answer, Links, now};
use super::message::{self, Body, Canonicalize, Name, Shown};
use super::reply::{self, Exchange, Inside, Issued, Reply, same};
use crate::model::host::HostName;
use crate::model::instance::ClockReading;
use crate::model::ticket::{
    EncryptionType, Granted, KdcAddress, KerberosError, Offer, Refusal, SecondOpinion, Teller,
};

/// A ticket-granting ticket with its session key, wiped when dropped. It prints nothing of itself: there is no `Debug`.
pub(super) struct GrantingTicket {
    /// The realm whose KDCs take it.
    realm: HostName,
    octets: Octets,
    key: Key,
    client: Name,
    client_realm: String,
    ends: i64,
    begun: Instant,
    lifetime: Duration,
}

impl GrantingTicket {
    /// Takes it out of a reply that was checked.
    pub(super) fn new(
        issued: &Issued<'_>,
        inside: &Inside<'_>,
        realm: HostName,
        client: Name,
        client_realm: String,
        begun: Instant,
    ) -> Result<Self, String> {
        let key =
            Key::new(inside.key_kind, inside.key).map_err(|error| format!("its session key: {error}"))?;
        let begins = inside.begins.unwrap_or(inside.authenticated);
        let lifetime = u64::try_from(inside.ends.saturating_sub(begins)).unwrap_or_default();
        Ok(Self {
            realm,
            octets: Zeroizing::new(issued.ticket.octets.to_vec()),
            key,
            client,
            client_realm,
            ends: inside.ends,
            begun,
            lifetime: Duration::from_secs(lifetime),
        })
    }

    pub(super) const fn realm(&self) -> &HostName {
        &self.realm
    }

    /// Whether at least a tenth of its life is left. By the monotonic clock: ours may be wrong, and the KDC's may be.
    pub(super) fn is_fresh(&self) -> bool {
        self.begun.elapsed() < self.lifetime.mul_f64(0.9)
    }
}

/// What a ticket is wanted for.
pub(super) enum Wanted<'a> {
    /// A service; a referral to another realm is an answer too.
    Service(&'a Name, Offer),
    /// The way to another realm.
    Realm(&'a HostName),
}

/// What a KDC answered.
pub(super) enum Answered {
    /// The ticket asked for. It is gone already; this is what could be read on its outside.
    Service(Granted),
    /// A ticket for another realm: the one asked for, or one on the way to it.
    Realm(Granted, Box<GrantingTicket>),
    /// An error.
    Refused(Refusal),
}

/// An answer with the KDC's clock where it tells it.
pub(super) struct Told {
    pub(super) answered: Answered,
    pub(super) kdc: HostName,
    pub(super) clock: Option<ClockReading>,
}

/// What a reply has to agree with.
pub(super) struct Opened<'a> {
    pub(super) usage: Usage,
    pub(super) key: &'a Key,
    pub(super) nonce: u32,
    pub(super) client: &'a Name,
    pub(super) client_realm: &'a str,
    /// The realm asked.
    pub(super) realm: &'a str,
}

/// What [`open`] says of a reply that the key does not open.
pub(super) const UNOPENED: &str = "the encrypted part cannot be decrypted";

/// Opens the encrypted part of a reply and checks what both kinds of reply have in common (RFC 4120 3.1.5, 3.3.4).
pub(super) fn open(answer: &Answer, issued: &Issued<'_>, expected: &Opened<'_>) -> Result<Octets, Error> {
    let malformed = |cause: &str| Error::malformed(&answer.kdc, cause);
    if issued.sealed.kind != expected.key.kind() {
        return Err(malformed("encrypted with another type of key than the one that was used"));
    }
    let plain = expected.key.decrypt(expected.usage, issued.sealed.cipher);
    let plain = plain.map_err(|_| malformed(UNOPENED))?;
    let inside = reply::inside(&plain).map_err(|bad| Error::malformed(&answer.kdc, bad))?;
    if inside.nonce != i64::from(expected.nonce) {
        return Err(malformed("the answer to another request (nonce)"));
    }
    if !issued.client.is(expected.client) || !same(issued.client_realm, expected.client_realm.as_bytes()) {
        return Err(malformed("a ticket for another client"));
    }
    if inside.server != issued.ticket.server
        || inside.realm != issued.ticket.realm
        || !same(inside.realm, expected.realm.as_bytes())
    {
        return Err(malformed("a ticket of another realm or service than its sealed part says"));
    }
    Ok(plain)
}

/// Shows a ticket to a KDC of its realm and asks for another one. Where that KDC does not know the service, one further KDC of
/// the realm is asked too: the SPN may not have reached the first one.
pub(super) async fn exchange(
    links: &mut Links<'_>,
    shown: &GrantingTicket,
    wanted: &Wanted<'_>,
) -> Result<Told, Error> {
    let (mut told, asked) = exchange_with(links, shown, wanted, None).await?;
    if let (Answered::Refused(refusal), Wanted::Service(..)) = (&mut told.answered, wanted)
        && refusal.error == KerberosError::KDC_ERR_S_PRINCIPAL_UNKNOWN
        && let Some(other) = links.other(&shown.realm, &asked)
        // Whatever keeps it from answering, the first one's word stands.
        && let Ok((second, _)) = exchange_with(links, shown, wanted, Some(&other)).await
    {
        let error = match second.answered {
            Answered::Service(_) => Some(None),
            Answered::Refused(second) => Some(Some(second.error)),
            Answered::Realm(..) => None,
        };
        refusal.second = error.map(|error| Box::new(SecondOpinion { kdc: second.kdc, error }));
    }
    Ok(told)
}

/// With the first KDC that answers, or with this one.
async fn exchange_with(
    links: &mut Links<'_>,
    shown: &GrantingTicket,
    wanted: &Wanted<'_>,
    only: Option<&KdcAddress>,
) -> Result<(Told, KdcAddress), Error> {
    let realm = shown.realm.as_str().to_uppercase();
    let other = match wanted {
        Wanted::Service(..) => None,
        Wanted::Realm(realm) => Some(Name::ticket_granting(&realm.as_str().to_uppercase())),
    };
    let (server, offer) = match (wanted, &other) {
        (Wanted::Service(name, offer), _) => (*name, types(*offer)),
        (Wanted::Realm(_), Some(name)) => (name, &USABLE[..]),
        (Wanted::Realm(_), None) => return Err(Error::Internal("no name".to_owned())),
    };
    let body = Body {
        client: None,
        realm: &realm,
        server,
        canonicalize: Canonicalize::Yes,
        till: shown.ends,
        nonce: nonce()?,
        offer,
    };
    let ticket = Shown {
        ticket: &shown.octets,
        key: &shown.key,
        client: &shown.client,
        client_realm: &shown.client_realm,
    };
    let request = message::ticket_request(&body, &ticket, now())
        .map_err(|error| Error::Internal(format!("request: {error}")))?;
    let begun = Instant::now();
    let answer = match only {
        None => links.ask(&shown.realm, &request).await?,
        Some(kdc) => links.ask_one(kdc, &request).await?,
    };
    let read = reply::read(&answer.octets, Exchange::Ticket);
    let issued = match read.map_err(|bad| Error::malformed(&answer.kdc, bad))? {
        Reply::Issued(issued) => issued,
        Reply::Error(error) => {
            let refusal = answer.refusal(&shown.realm, &error);
            let clock = refusal.clock;
            let kdc = answer.kdc.host.clone();
            return Ok((Told { answered: Answered::Refused(refusal), kdc, clock }, answer.kdc));
        }
    };
    let opened = Opened {
        usage: Usage::TgsReply,
        key: &shown.key,
        nonce: body.nonce,
        client: &shown.client,
        client_realm: &shown.client_realm,
        realm: &realm,
    };
    let plain = open(&answer, &issued, &opened)?;
    let inside = reply::inside(&plain).map_err(|bad| Error::malformed(&answer.kdc, bad))?;
    let granted = Granted {
        encryption_type: issued.ticket.sealed.kind,
        key_version: issued.ticket.sealed.key_version,
        realm: shown.realm.clone(),
        kdc: Teller::Kdc(answer.kdc.host.clone()),
        seconds: answer.seconds,
    };
    let clock = inside.begins.map(|begins| answer.coarse_clock(begins));
    let is_exact = inside.server.is(server);
    let answered = match (wanted, next_realm(&inside, &shown.realm, &answer)?) {
        (Wanted::Service(..), _) if is_exact => Answered::Service(granted),
        (_, Some(next)) => {
            let (client, client_realm) = (shown.client.clone(), shown.client_realm.clone());
            let ticket = GrantingTicket::new(&issued, &inside, next, client, client_realm, begun);
            let ticket = ticket.map_err(|cause| Error::malformed(&answer.kdc, cause))?;
            Answered::Realm(granted, Box::new(ticket))
        }
        _ => {
            return Err(Error::malformed(&answer.kdc, "a ticket for another service than the one asked for"));
        }
    };
    Ok((Told { answered, kdc: answer.kdc.host.clone(), clock }, answer.kdc))
}

/// The realm that a referral leads to (RFC 6806 8); `None` if the ticket is none.
fn next_realm(inside: &Inside<'_>, here: &HostName, answer: &Answer) -> Result<Option<HostName>, Error> {
    let Some(realm) = inside.server.granting_for() else { return Ok(None) };
    match HostName::parse(&realm) {
        Some(realm) if realm == *here => Ok(None),
        Some(realm) => Ok(Some(realm)),
        None => Err(Error::malformed(&answer.kdc, "a referral to what is no realm")),
    }
}

const fn types(offer: Offer) -> &'static [EncryptionType] {
    match offer {
        Offer::Aes => &USABLE,
        // AES stays in front: it is what the session key is chosen from.
        Offer::AesAndRc4 => &[EncryptionType::AES256, EncryptionType::AES128, EncryptionType::RC4],
    }
}

/// Random, so that no earlier reply fits. 31 bits: some KDCs take the number as signed (RFC 4120 5.4.1 warns of it).
pub(super) fn nonce() -> Result<u32, Error> {
    let mut octets = [0; 4];
    let filled = default_provider().secure_random.fill(&mut octets);
    filled.map_err(|_| Error::Internal("no random numbers".to_owned()))?;
    Ok(u32::from_be_bytes(octets) & 0x7fff_ffff)
}
