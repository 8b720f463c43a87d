//! The messages of RFC 4120 that the probe writes: AS-REQ and TGS-REQ. What it reads is in `reply`.

use super::crypto::{CryptoError, Key, Usage};
use super::der::{self, Octets, application};
use crate::model::ticket::EncryptionType;

/// `pvno` of every message.
pub(super) const VERSION: i64 = 5;

/// Message types and application tags (RFC 4120 5.10, 7.5.7).
const AUTHENTICATOR: u8 = 2;
const AS_REQ: u8 = 10;
const TGS_REQ: u8 = 12;
pub(super) const AP_REQ: u8 = 14;

/// Pre-authentication data (RFC 4120 7.5.2).
const PA_TGS_REQ: i64 = 1;
const PA_ENC_TIMESTAMP: i64 = 2;

/// Name types (RFC 4120 6.2).
const NT_PRINCIPAL: i64 = 1;
const NT_SRV_INST: i64 = 2;

/// A principal's name without its realm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    kind: i64,
    parts: Vec<String>,
}

impl Name {
    /// A user or computer.
    pub(super) const fn principal(parts: Vec<String>) -> Self {
        Self { kind: NT_PRINCIPAL, parts }
    }

    /// An SPN: `class/host[:port][/name]`.
    pub(super) fn service(spn: &str) -> Self {
        Self { kind: NT_SRV_INST, parts: spn.split('/').map(str::to_owned).collect() }
    }

    /// The ticket-granting service for a realm.
    pub(super) fn ticket_granting(realm: &str) -> Self {
        Self { kind: NT_SRV_INST, parts: vec!["krbtgt".to_owned(), realm.to_owned()] }
    }

    pub(super) fn parts(&self) -> &[String] {
        &self.parts
    }

    fn encode(&self) -> Octets {
        let parts: Vec<Octets> = self.parts.iter().map(|part| der::string(part.as_bytes())).collect();
        let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_slice()).collect();
        der::sequence(&[&der::field(0, &der::integer(self.kind)), &der::field(1, &der::sequence(&parts))])
    }
}

/// KDC-REQ-BODY.
pub(super) struct Body<'a> {
    /// The client; in a TGS-REQ the ticket shown says it.
    pub(super) client: Option<&'a Name>,
    /// The realm of the KDC that is asked.
    pub(super) realm: &'a str,
    /// What a ticket is wanted for.
    pub(super) server: &'a Name,
    /// Whether the KDC may answer with a referral (RFC 6806).
    pub(super) canonicalize: Canonicalize,
    /// Wanted end, Unix seconds.
    pub(super) till: i64,
    /// Comes back in the reply.
    pub(super) nonce: u32,
    /// In order of preference.
    pub(super) offer: &'a [EncryptionType],
}

/// The option of that name (RFC 6806 3): bit 15.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Canonicalize {
    No = 0,
    Yes = 0x0001_0000,
}

impl Body<'_> {
    fn encode(&self) -> Octets {
        let offer: Vec<Octets> = self.offer.iter().map(|kind| der::integer(kind.0.into())).collect();
        let offer: Vec<&[u8]> = offer.iter().map(|kind| kind.as_slice()).collect();
        let client = self.client.map(|client| der::field(1, &client.encode()));
        der::sequence(&[
            &der::field(0, &der::flags(self.canonicalize as u32)),
            client.as_ref().map_or(&[][..], |client| client.as_slice()),
            &der::field(2, &der::string(self.realm.as_bytes())),
            &der::field(3, &self.server.encode()),
            &der::field(5, &der::time(self.till)),
            &der::field(7, &der::integer(self.nonce.into())),
            &der::field(8, &der::sequence(&offer)),
        ])
    }
}

/// A moment on our clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// Unix seconds.
    pub(super) seconds: i64,
    /// Microseconds beyond them.
    pub(super) micros: u32,
}

/// AS-REQ, the first one: asks how to prove who we are.
pub(super) fn logon_request(body: &Body<'_>) -> Octets {
    request(AS_REQ, None, &body.encode())
}

/// AS-REQ with an encrypted timestamp (RFC 4120 5.2.7.2).
pub(super) fn logon_proof(body: &Body<'_>, key: &Key, now: Moment) -> Result<Octets, CryptoError> {
    let stamp = der::sequence(&[
        &der::field(0, &der::time(now.seconds)),
        &der::field(1, &der::integer(now.micros.into())),
    ]);
    let data = encrypted(key, Usage::Timestamp, &stamp)?;
    Ok(request(AS_REQ, Some(&padata(PA_ENC_TIMESTAMP, &data)), &body.encode()))
}

/// The ticket that a TGS-REQ shows, with its session key and whose it is.
pub(super) struct Shown<'a> {
    pub(super) ticket: &'a [u8],
    pub(super) key: &'a Key,
    pub(super) client: &'a Name,
    pub(super) client_realm: &'a str,
}

/// TGS-REQ (RFC 4120 5.4.1, 7.2.2 of the checksum: 5.5.1).
pub(super) fn ticket_request(body: &Body<'_>, shown: &Shown<'_>, now: Moment) -> Result<Octets, CryptoError> {
    let body = body.encode();
    let (kind, checksum) = shown.key.checksum(Usage::TgsChecksum, &body)?;
    let checksum =
        der::sequence(&[&der::field(0, &der::integer(kind.into())), &der::field(1, &der::octets(&checksum))]);
    let authenticator = der::wrap(
        application(AUTHENTICATOR),
        &[&der::sequence(&[
            &der::field(0, &der::integer(VERSION)),
            &der::field(1, &der::string(shown.client_realm.as_bytes())),
            &der::field(2, &shown.client.encode()),
            &der::field(3, &checksum),
            &der::field(4, &der::integer(now.micros.into())),
            &der::field(5, &der::time(now.seconds)),
        ])],
    );
    let show = der::wrap(
        application(AP_REQ),
        &[&der::sequence(&[
            &der::field(0, &der::integer(VERSION)),
            &der::field(1, &der::integer(AP_REQ.into())),
            &der::field(2, &der::flags(0)),
            &der::field(3, shown.ticket),
            &der::field(4, &encrypted(shown.key, Usage::TgsAuthenticator, &authenticator)?),
        ])],
    );
    Ok(request(TGS_REQ, Some(&padata(PA_TGS_REQ, &show)), &body))
}

fn request(kind: u8, padata: Option<&[u8]>, body: &[u8]) -> Octets {
    let padata = padata.map(|padata| der::field(3, &der::sequence(&[padata])));
    der::wrap(
        application(kind),
        &[&der::sequence(&[
            &der::field(1, &der::integer(VERSION)),
            &der::field(2, &der::integer(kind.into())),
            padata.as_ref().map_or(&[][..], |padata| padata.as_slice()),
            &der::field(4, body),
        ])],
    )
}

fn padata(kind: i64, value: &[u8]) -> Octets {
    der::sequence(&[&der::field(1, &der::integer(kind)), &der::field(2, &der::octets(value))])
}

fn encrypted(key: &Key, usage: Usage, plain: &[u8]) -> Result<Octets, CryptoError> {
    let cipher = key.encrypt(usage, plain)?;
    Ok(der::sequence(&[
        &der::field(0, &der::integer(key.kind().0.into())),
        &der::field(2, &der::octets(&cipher)),
    ]))
}
