//! The messages of RFC 4120 that the probe writes and reads: AS-REQ, TGS-REQ, their replies, KRB-ERROR. What is read is
//! borrowed from the reply's octets, so that a ticket is copied nowhere by accident. Checks no reply against its request.

use super::crypto::{CryptoError, Key, Usage};
use super::der::{self, Bad, Octets, Reader, application};
use crate::model::ticket::{EncryptionType, KerberosError};

/// `pvno` of every message.
const VERSION: i64 = 5;

/// Message types and application tags (RFC 4120 5.10, 7.5.7).
const TICKET: u8 = 1;
const AUTHENTICATOR: u8 = 2;
const AS_REQ: u8 = 10;
const AS_REP: u8 = 11;
const TGS_REQ: u8 = 12;
const TGS_REP: u8 = 13;
const AP_REQ: u8 = 14;
const ENC_AS_REP_PART: u8 = 25;
const ENC_TGS_REP_PART: u8 = 26;
const KRB_ERROR: u8 = 30;

/// Pre-authentication data (RFC 4120 7.5.2).
const PA_TGS_REQ: i64 = 1;
const PA_ENC_TIMESTAMP: i64 = 2;
const PA_ETYPE_INFO2: i64 = 19;

/// Name types (RFC 4120 6.2).
const NT_PRINCIPAL: i64 = 1;
const NT_SRV_INST: i64 = 2;

/// Which of the two exchanges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exchange {
    /// For the ticket-granting ticket, with the principal's own key.
    Logon,
    /// For any further ticket, with the one that is at hand.
    Ticket,
}

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

/// A name as a peer wrote it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct NameRead<'a> {
    parts: Vec<&'a [u8]>,
}

impl NameRead<'_> {
    /// Whether it is this name. Active Directory compares without case, and the type is only a hint (RFC 4120 6.2).
    pub(super) fn is(&self, name: &Name) -> bool {
        self.parts.len() == name.parts.len()
            && self.parts.iter().zip(&name.parts).all(|(read, part)| same(read, part.as_bytes()))
    }

    /// The realm that a ticket-granting ticket is for: `krbtgt/REALM`.
    pub(super) fn granting_for(&self) -> Option<String> {
        match self.parts.as_slice() {
            [class, realm] if same(class, b"krbtgt") => Some(String::from_utf8_lossy(realm).into_owned()),
            _ => None,
        }
    }
}

/// Equal without case, beyond ASCII too.
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    one.eq_ignore_ascii_case(other)
        || String::from_utf8_lossy(one).to_lowercase() == String::from_utf8_lossy(other).to_lowercase()
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

/// What came back.
pub(super) enum Reply<'a> {
    /// AS-REP or TGS-REP.
    Issued(Issued<'a>),
    /// KRB-ERROR.
    Error(ErrorRead<'a>),
}

/// KDC-REP.
pub(super) struct Issued<'a> {
    pub(super) padata: Vec<PaData<'a>>,
    pub(super) client_realm: &'a [u8],
    pub(super) client: NameRead<'a>,
    pub(super) ticket: TicketRead<'a>,
    pub(super) sealed: Sealed<'a>,
}

/// The outer fields of a ticket, and all of it.
pub(super) struct TicketRead<'a> {
    pub(super) octets: &'a [u8],
    pub(super) realm: &'a [u8],
    pub(super) server: NameRead<'a>,
    pub(super) sealed: Sealed<'a>,
}

/// EncryptedData.
pub(super) struct Sealed<'a> {
    pub(super) kind: EncryptionType,
    pub(super) key_version: Option<u32>,
    pub(super) cipher: &'a [u8],
}

/// PA-DATA.
pub(super) struct PaData<'a> {
    kind: i64,
    value: &'a [u8],
}

/// KRB-ERROR. Nothing in it is authenticated.
pub(super) struct ErrorRead<'a> {
    pub(super) error: KerberosError,
    /// Unix seconds of the KDC's clock.
    pub(super) seconds: i64,
    pub(super) micros: u32,
    pub(super) text: Option<&'a [u8]>,
    data: Option<&'a [u8]>,
}

/// EncKDCRepPart.
pub(super) struct Inside<'a> {
    pub(super) key_kind: EncryptionType,
    pub(super) key: &'a [u8],
    pub(super) nonce: i64,
    pub(super) authenticated: i64,
    pub(super) begins: Option<i64>,
    pub(super) ends: i64,
    pub(super) realm: &'a [u8],
    pub(super) server: NameRead<'a>,
}

/// ETYPE-INFO2-ENTRY: a key that the KDC has for the client.
pub(super) struct KeyHint<'a> {
    pub(super) kind: EncryptionType,
    pub(super) salt: Option<&'a [u8]>,
    pub(super) parameters: Option<&'a [u8]>,
}

/// Reads a reply to a request of this exchange.
pub(super) fn reply(octets: &[u8], exchange: Exchange) -> Result<Reply<'_>, Bad> {
    let mut message = Reader::new(octets);
    let kind = match exchange {
        Exchange::Logon => AS_REP,
        Exchange::Ticket => TGS_REP,
    };
    let reply = if message.tag() == Some(application(KRB_ERROR)) {
        Reply::Error(error(message.expect(application(KRB_ERROR))?.sequence()?)?)
    } else {
        Reply::Issued(issued(message.expect(application(kind))?.sequence()?, kind)?)
    };
    message.end()?;
    Ok(reply)
}

fn issued(mut reader: Reader<'_>, kind: u8) -> Result<Issued<'_>, Bad> {
    version(&mut reader, 0)?;
    message_type(&mut reader, kind)?;
    Ok(Issued {
        padata: reader.optional(2, padata_list)?.unwrap_or_default(),
        client_realm: reader.field(3, Reader::string)?,
        client: reader.field(4, name)?,
        ticket: reader.field(5, ticket)?,
        sealed: reader.field(6, sealed)?,
    })
}

fn error(mut reader: Reader<'_>) -> Result<ErrorRead<'_>, Bad> {
    version(&mut reader, 0)?;
    message_type(&mut reader, KRB_ERROR)?;
    // ctime and cusec: what we sent, if anything.
    reader.optional(2, Reader::skip)?;
    reader.optional(3, Reader::skip)?;
    let seconds = reader.field(4, Reader::time)?;
    let micros = reader.field(5, unsigned)?;
    let code = reader.field(6, unsigned)?;
    for field in 7..=10 {
        reader.optional(field, Reader::skip)?;
    }
    let text = reader.optional(11, Reader::string)?;
    let data = reader.optional(12, Reader::octets)?;
    Ok(ErrorRead { error: KerberosError(code), seconds, micros: micros.min(999_999), text, data })
}

fn ticket<'a>(reader: &mut Reader<'a>) -> Result<TicketRead<'a>, Bad> {
    let octets = reader.rest();
    let mut inner = reader.expect(application(TICKET))?.sequence()?;
    version(&mut inner, 0)?;
    Ok(TicketRead {
        octets,
        realm: inner.field(1, Reader::string)?,
        server: inner.field(2, name)?,
        sealed: inner.field(3, sealed)?,
    })
}

fn sealed<'a>(reader: &mut Reader<'a>) -> Result<Sealed<'a>, Bad> {
    let mut inner = reader.sequence()?;
    Ok(Sealed {
        kind: inner.field(0, encryption_type)?,
        key_version: inner.optional(1, version_number)?,
        cipher: inner.field(2, Reader::octets)?,
    })
}

fn name<'a>(reader: &mut Reader<'a>) -> Result<NameRead<'a>, Bad> {
    let mut inner = reader.sequence()?;
    inner.field(0, Reader::integer)?;
    Ok(NameRead { parts: inner.field(1, |parts| parts.list(Reader::string))? })
}

fn padata_list<'a>(reader: &mut Reader<'a>) -> Result<Vec<PaData<'a>>, Bad> {
    reader.list(|reader| {
        let mut inner = reader.sequence()?;
        Ok(PaData { kind: inner.field(1, Reader::integer)?, value: inner.field(2, Reader::octets)? })
    })
}

/// What is inside the encrypted part of a reply. Some KDCs use the tag of a TGS-REP's for both (RFC 4120 5.4.2).
pub(super) fn inside(plain: &[u8]) -> Result<Inside<'_>, Bad> {
    let mut message = Reader::new(plain);
    let tag = match message.tag() {
        Some(tag) if tag == application(ENC_AS_REP_PART) => ENC_AS_REP_PART,
        _ => ENC_TGS_REP_PART,
    };
    let mut reader = message.expect(application(tag))?.sequence()?;
    let (key_kind, key) = reader.field(0, |key| {
        let mut inner = key.sequence()?;
        Ok((inner.field(0, encryption_type)?, inner.field(1, Reader::octets)?))
    })?;
    reader.field(1, Reader::skip)?;
    let nonce = reader.field(2, Reader::integer)?;
    reader.optional(3, Reader::skip)?;
    reader.field(4, Reader::skip)?;
    let authenticated = reader.field(5, Reader::time)?;
    let begins = reader.optional(6, Reader::time)?;
    let ends = reader.field(7, Reader::time)?;
    reader.optional(8, Reader::skip)?;
    let realm = reader.field(9, Reader::string)?;
    let server = reader.field(10, name)?;
    Ok(Inside { key_kind, key, nonce, authenticated, begins, ends, realm, server })
}

impl<'a> ErrorRead<'a> {
    /// The keys that KDC_ERR_PREAUTH_REQUIRED offers, in the KDC's order of preference (METHOD-DATA, RFC 4120 5.9.1).
    pub(super) fn key_hints(&self) -> Result<Vec<KeyHint<'a>>, Bad> {
        let Some(data) = self.data else { return Ok(Vec::new()) };
        key_hints(&padata_list(&mut Reader::new(data))?)
    }
}

/// ETYPE-INFO2 (RFC 4120 5.2.7.5), if it is there.
pub(super) fn key_hints<'a>(padata: &[PaData<'a>]) -> Result<Vec<KeyHint<'a>>, Bad> {
    let Some(info) = padata.iter().find(|data| data.kind == PA_ETYPE_INFO2) else { return Ok(Vec::new()) };
    Reader::new(info.value).list(|reader| {
        let mut inner = reader.sequence()?;
        Ok(KeyHint {
            kind: inner.field(0, encryption_type)?,
            salt: inner.optional(1, Reader::string)?,
            parameters: inner.optional(2, Reader::octets)?,
        })
    })
}

fn version(reader: &mut Reader<'_>, field: u8) -> Result<(), Bad> {
    match reader.field(field, Reader::integer)? {
        VERSION => Ok(()),
        _ => Err(Bad::Number(1)),
    }
}

fn message_type(reader: &mut Reader<'_>, kind: u8) -> Result<(), Bad> {
    match reader.field(1, Reader::integer)? {
        found if found == i64::from(kind) => Ok(()),
        _ => Err(Bad::Number(1)),
    }
}

fn encryption_type(reader: &mut Reader<'_>) -> Result<EncryptionType, Bad> {
    let number = reader.integer()?;
    i32::try_from(number).map(EncryptionType).map_err(|_| Bad::Number(8))
}

fn unsigned(reader: &mut Reader<'_>) -> Result<u32, Bad> {
    u32::try_from(reader.integer()?).map_err(|_| Bad::Number(8))
}

/// UInt32. An RODC's has its own number in the upper half (MS-KILE 3.1.5.8), and some encode it as if it had a sign.
fn version_number(reader: &mut Reader<'_>) -> Result<u32, Bad> {
    let number = reader.integer()?;
    match (u32::try_from(number), i32::try_from(number)) {
        (Ok(number), _) => Ok(number),
        (_, Ok(number)) => Ok(number.cast_unsigned()),
        _ => Err(Bad::Number(8)),
    }
}
