//! The messages of RFC 4120 that the probe reads: AS-REP, TGS-REP, KRB-ERROR, and what is sealed inside. Everything is borrowed
//! from the reply's octets, so that a ticket is copied nowhere by accident. Checks no reply against its request.

use super::der::{Bad, Reader, application};
use super::message::{Name, VERSION};
use crate::model::ticket::{EncryptionType, KerberosError};

/// Message types and application tags (RFC 4120 5.10, 7.5.7).
const TICKET: u8 = 1;
const AS_REP: u8 = 11;
const TGS_REP: u8 = 13;
const ENC_AS_REP_PART: u8 = 25;
const ENC_TGS_REP_PART: u8 = 26;
const KRB_ERROR: u8 = 30;

/// Pre-authentication data: what keys the KDC has (RFC 4120 7.5.2).
const PA_ETYPE_INFO2: i64 = 19;

/// Which of the two exchanges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exchange {
    /// For the ticket-granting ticket, with the principal's own key.
    Logon,
    /// For any further ticket, with the one that is at hand.
    Ticket,
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

/// A name as a peer wrote it.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct NameRead<'a> {
    parts: Vec<&'a [u8]>,
}

impl NameRead<'_> {
    /// Whether it is this name. Active Directory compares without case, and the type is only a hint (RFC 4120 6.2).
    pub(super) fn is(&self, name: &Name) -> bool {
        self.parts.len() == name.parts().len()
            && self.parts.iter().zip(name.parts()).all(|(read, part)| same(read, part.as_bytes()))
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
pub(super) fn read(octets: &[u8], exchange: Exchange) -> Result<Reply<'_>, Bad> {
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

/// What came back to a request without a proof of identity, asked about somebody else.
pub(super) enum Told<'a> {
    /// KRB-ERROR.
    Error(ErrorRead<'a>),
    /// AS-REP, and for whom. What is sealed in it is material for guessing the password: it is not decoded.
    Issued(NameRead<'a>),
}

/// Reads such a reply: of an AS-REP no more than the client's name.
pub(super) fn told(octets: &[u8]) -> Result<Told<'_>, Bad> {
    let mut message = Reader::new(octets);
    if message.tag() != Some(application(AS_REP)) {
        let told = Told::Error(error(message.expect(application(KRB_ERROR))?.sequence()?)?);
        message.end()?;
        return Ok(told);
    }
    let mut reader = message.expect(application(AS_REP))?.sequence()?;
    message.end()?;
    version(&mut reader, 0)?;
    message_type(&mut reader, AS_REP)?;
    reader.optional(2, Reader::skip)?;
    reader.field(3, Reader::string)?;
    Ok(Told::Issued(reader.field(4, name)?))
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

/// Reads a ticket.
pub(super) fn ticket<'a>(reader: &mut Reader<'a>) -> Result<TicketRead<'a>, Bad> {
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

#[cfg(test)]
mod tests {
    use super::super::der::{self, Octets, field, integer, octets, sequence, string, time, wrap};
    use super::*;

    fn name(parts: &[&str]) -> Octets {
        let parts: Vec<Octets> = parts.iter().map(|part| string(part.as_bytes())).collect();
        let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_slice()).collect();
        sequence(&[&field(0, &integer(2)), &field(1, &sequence(&parts))])
    }

    /// KRB-ERROR with every field, ctime and cusec too.
    fn error() -> Octets {
        let inner = sequence(&[
            &field(0, &integer(5)),
            &field(1, &integer(30)),
            &field(2, &time(1_795_336_147)),
            &field(3, &integer(999_999)),
            &field(4, &time(1_795_336_148)),
            &field(5, &integer(250_000)),
            &field(6, &integer(25)),
            &field(7, &string(b"CORP.CONTOSO.COM")),
            &field(8, &name(&["svc_exporter"])),
            &field(9, &string(b"CORP.CONTOSO.COM")),
            &field(10, &name(&["krbtgt", "CORP.CONTOSO.COM"])),
            &field(11, &string(b"text")),
            &field(12, &octets(&methods())),
        ]);
        wrap(application(KRB_ERROR), &[&inner])
    }

    fn methods() -> Octets {
        let hint = |kind, salt: &[u8]| sequence(&[&field(0, &integer(kind)), &field(1, &string(salt))]);
        let info = sequence(&[&hint(18, b"SALT"), &sequence(&[&field(0, &integer(-133))])]);
        let data = |kind, value: &[u8]| sequence(&[&field(1, &integer(kind)), &field(2, &octets(value))]);
        sequence(&[&data(2, b""), &data(19, &info)])
    }

    fn issued() -> Octets {
        let sealed = |version: Option<i64>| {
            let version = version.map(|version| field(1, &integer(version)));
            let version = version.as_ref().map_or(&[][..], |version| version.as_slice());
            sequence(&[&field(0, &integer(18)), version, &field(2, &octets(b"sealed"))])
        };
        let ticket = sequence(&[
            &field(0, &integer(5)),
            &field(1, &string(b"CORP.CONTOSO.COM")),
            &field(2, &name(&["MSSQLSvc", "sql01:1433"])),
            &field(3, &sealed(Some(-65_535))),
        ]);
        let inner = sequence(&[
            &field(0, &integer(5)),
            &field(1, &integer(13)),
            &field(2, &methods()),
            &field(3, &string(b"CORP.CONTOSO.COM")),
            &field(4, &name(&["svc_exporter"])),
            &field(5, &wrap(application(TICKET), &[&ticket])),
            &field(6, &sealed(None)),
        ]);
        wrap(application(TGS_REP), &[&inner])
    }

    fn inner_part() -> Octets {
        let last = sequence(&[&sequence(&[&field(0, &integer(0)), &field(1, &time(0))])]);
        let inner = sequence(&[
            &field(0, &sequence(&[&field(0, &integer(17)), &field(1, &octets(&[7; 16]))])),
            &field(1, &last),
            &field(2, &integer(77)),
            &field(4, &der::flags(0)),
            &field(5, &time(10)),
            &field(6, &time(20)),
            &field(7, &time(30)),
            &field(9, &string(b"CORP.CONTOSO.COM")),
            &field(10, &name(&["krbtgt", "PARTNER.EXAMPLE"])),
            &field(12, &methods()),
        ]);
        wrap(application(ENC_TGS_REP_PART), &[&inner])
    }

    fn touch(octets: &[u8]) -> Result<bool, Bad> {
        for exchange in [Exchange::Logon, Exchange::Ticket] {
            if let Ok(Reply::Error(error)) = super::read(octets, exchange) {
                error.key_hints()?;
            }
        }
        let _ = inside(octets).map(|inside| inside.server.granting_for());
        super::read(octets, Exchange::Ticket).map(|reply| matches!(reply, Reply::Error(_)))
    }

    #[test]
    fn an_error_with_all_its_fields() {
        let octets = error();
        let Ok(Reply::Error(read)) = super::read(&octets, Exchange::Logon) else { panic!("no error") };
        assert_eq!((read.error.0, read.seconds, read.micros), (25, 1_795_336_148, 250_000));
        assert_eq!(read.text, Some(&b"text"[..]));
        let hints = read.key_hints().unwrap();
        let hints: Vec<_> = hints.iter().map(|hint| (hint.kind.0, hint.salt)).collect();
        assert_eq!(hints, [(18, Some(&b"SALT"[..])), (-133, None)]);
    }

    #[test]
    fn a_ticket_and_what_is_inside() {
        let octets = issued();
        let Ok(Reply::Issued(read)) = super::read(&octets, Exchange::Ticket) else { panic!("no ticket") };
        assert!(super::read(&octets, Exchange::Logon).is_err(), "the answer to another kind of request");
        assert!(read.client.is(&Name::principal(vec!["SVC_exporter".to_owned()])));
        assert!(read.ticket.server.is(&Name::service("mssqlsvc/SQL01:1433")));
        assert_eq!(read.ticket.sealed.key_version, Some(0xffff_0001), "an RODC's, with a sign");
        assert_eq!((read.sealed.kind, read.sealed.cipher), (EncryptionType::AES256, &b"sealed"[..]));
        let octets = inner_part();
        let read = inside(&octets).unwrap();
        assert_eq!((read.nonce, read.authenticated, read.begins, read.ends), (77, 10, Some(20), 30));
        assert_eq!(read.server.granting_for().as_deref(), Some("PARTNER.EXAMPLE"));
    }

    #[test]
    fn no_change_of_an_answer_makes_it_panic() {
        assert_eq!((touch(&error()), touch(&issued())), (Ok(true), Ok(false)));
        for whole in [error(), issued(), inner_part()] {
            for cut in 0..whole.len() {
                assert!(touch(&whole[..cut]).is_err(), "{cut}");
            }
            for at in 0..whole.len() {
                for value in [0, 1, 0x1b, 0x30, 0x7f, 0x80, 0x81, 0x84, 0xa0, 0xff] {
                    let mut changed = whole.to_vec();
                    changed[at] = value;
                    let _ = touch(&changed);
                }
            }
        }
    }
}
