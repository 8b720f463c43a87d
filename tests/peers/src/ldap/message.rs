//! LDAP messages (RFC 4511): requests decoded, answers encoded, and the paging control (RFC 2696).
//!
//! What a request means is decided elsewhere.

use super::ber::{self, Element, Malformed, Reader};
use super::filter::Filter;

/// The paged results control (RFC 2696).
pub(super) const PAGED_RESULTS: &str = "1.2.840.113556.1.4.319";
/// LDAP_SERVER_SD_FLAGS_OID: which parts of a security descriptor are wanted (MS-ADTS 3.1.1.3.4.1.11).
pub(super) const SD_FLAGS: &str = "1.2.840.113556.1.4.801";
/// LDAP_SERVER_DOMAIN_SCOPE_OID: no continuation references (MS-ADTS 3.1.1.3.4.1.2).
pub(super) const DOMAIN_SCOPE: &str = "1.2.840.113556.1.4.1339";
/// StartTLS (RFC 4511 section 4.14).
pub(super) const START_TLS: &str = "1.3.6.1.4.1.1466.20037";
/// Notice of disconnection (RFC 4511 section 4.4.1).
const NOTICE_OF_DISCONNECTION: &str = "1.3.6.1.4.1.1466.20036";

/// Result codes (RFC 4511 appendix A) that this server sends.
pub(super) mod code {
    pub(in crate::ldap) const SUCCESS: i64 = 0;
    pub(in crate::ldap) const OPERATIONS_ERROR: i64 = 1;
    pub(in crate::ldap) const PROTOCOL_ERROR: i64 = 2;
    pub(in crate::ldap) const SIZE_LIMIT_EXCEEDED: i64 = 4;
    pub(in crate::ldap) const AUTHENTICATION_METHOD_NOT_SUPPORTED: i64 = 7;
    pub(in crate::ldap) const STRONGER_AUTHENTICATION_REQUIRED: i64 = 8;
    pub(in crate::ldap) const REFERRAL: i64 = 10;
    pub(in crate::ldap) const UNAVAILABLE_CRITICAL_EXTENSION: i64 = 12;
    pub(in crate::ldap) const NO_SUCH_OBJECT: i64 = 32;
    pub(in crate::ldap) const INVALID_CREDENTIALS: i64 = 49;
    pub(in crate::ldap) const BUSY: i64 = 51;
    pub(in crate::ldap) const UNWILLING_TO_PERFORM: i64 = 53;
}

/// Application tags of the answers.
pub(super) mod answer {
    pub(in crate::ldap) const BIND: u8 = 0x61;
    pub(in crate::ldap) const SEARCH_ENTRY: u8 = 0x64;
    pub(in crate::ldap) const SEARCH_DONE: u8 = 0x65;
    pub(in crate::ldap) const SEARCH_REFERENCE: u8 = 0x73;
    pub(in crate::ldap) const EXTENDED: u8 = 0x78;
}

/// How far below its base a search looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The base entry alone.
    Base,
    /// The entries directly below the base.
    OneLevel,
    /// The base and everything below it.
    Subtree,
}

/// A request that a client sent.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) id: i64,
    pub(super) operation: Operation,
    pub(super) controls: Vec<Control>,
}

#[derive(Debug)]
pub(super) enum Operation {
    Bind {
        name: String,
        authentication: Authentication,
    },
    Unbind,
    Abandon,
    Search(Search),
    Extended {
        name: String,
    },
    /// An operation that this server does not perform, with the tag its answer must have.
    Other {
        answer: u8,
    },
}

#[derive(Debug)]
pub(super) enum Authentication {
    Simple(Vec<u8>),
    Sasl,
}

#[derive(Debug, Clone)]
pub(super) struct Search {
    pub(super) base: String,
    pub(super) scope: Scope,
    pub(super) size_limit: usize,
    pub(super) types_only: bool,
    pub(super) filter: Filter,
    pub(super) attributes: Vec<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Control {
    pub(super) kind: String,
    pub(super) critical: bool,
    pub(super) value: Vec<u8>,
}

impl Request {
    /// Decodes one complete LDAPMessage.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut message = Reader(bytes).expect(ber::SEQUENCE)?.reader();
        let id = message.expect(ber::INTEGER)?.integer()?;
        let operation = Operation::decode(message.next()?)?;
        let controls = if message.is_empty() { Vec::new() } else { controls(message.expect(0xa0)?)? };
        Ok(Self { id, operation, controls })
    }

    /// The paging that the request asks for: page size and cookie.
    pub(super) fn paging(&self) -> Option<Result<(usize, Vec<u8>), Malformed>> {
        let control = self.controls.iter().find(|control| control.kind == PAGED_RESULTS)?;
        Some(decode_paging(&control.value))
    }

    pub(super) fn has_control(&self, kind: &str) -> bool {
        self.controls.iter().any(|control| control.kind == kind)
    }
}

impl Operation {
    fn decode(operation: Element<'_>) -> Result<Self, Malformed> {
        match operation.tag {
            0x60 => {
                let mut bind = operation.reader();
                bind.expect(ber::INTEGER)?;
                let name = bind.expect(ber::OCTET_STRING)?.text()?;
                let credentials = bind.next()?;
                let authentication = match credentials.tag {
                    0x80 => Authentication::Simple(credentials.content.to_vec()),
                    0xa3 => Authentication::Sasl,
                    _ => return Err(Malformed),
                };
                Ok(Self::Bind { name, authentication })
            }
            0x42 => Ok(Self::Unbind),
            0x50 => Ok(Self::Abandon),
            0x63 => Ok(Self::Search(Search::decode(operation)?)),
            0x77 => Ok(Self::Extended { name: operation.reader().expect(0x80)?.text()? }),
            0x66 => Ok(Self::Other { answer: 0x67 }),
            0x68 => Ok(Self::Other { answer: 0x69 }),
            0x4a => Ok(Self::Other { answer: 0x6b }),
            0x6c => Ok(Self::Other { answer: 0x6d }),
            0x6e => Ok(Self::Other { answer: 0x6f }),
            _ => Err(Malformed),
        }
    }
}

impl Search {
    fn decode(operation: Element<'_>) -> Result<Self, Malformed> {
        let mut search = operation.reader();
        let base = search.expect(ber::OCTET_STRING)?.text()?;
        let scope = match search.expect(ber::ENUMERATED)?.integer()? {
            0 => Scope::Base,
            1 => Scope::OneLevel,
            2 => Scope::Subtree,
            _ => return Err(Malformed),
        };
        search.expect(ber::ENUMERATED)?;
        let size_limit = usize::try_from(search.expect(ber::INTEGER)?.integer()?).map_err(|_| Malformed)?;
        search.expect(ber::INTEGER)?;
        let types_only = search.expect(ber::BOOLEAN)?.content != [0];
        let filter = Filter::decode(search.next()?)?;
        let mut list = search.expect(ber::SEQUENCE)?.reader();
        let mut attributes = Vec::new();
        while !list.is_empty() {
            attributes.push(list.expect(ber::OCTET_STRING)?.text()?);
        }
        Ok(Self { base, scope, size_limit, types_only, filter, attributes })
    }
}

fn controls(list: Element<'_>) -> Result<Vec<Control>, Malformed> {
    let mut list = list.reader();
    let mut controls = Vec::new();
    while !list.is_empty() {
        let mut parts = list.expect(ber::SEQUENCE)?.reader();
        let kind = parts.expect(ber::OCTET_STRING)?.text()?;
        let (mut critical, mut value) = (false, Vec::new());
        while !parts.is_empty() {
            let part = parts.next()?;
            match part.tag {
                ber::BOOLEAN => critical = part.content != [0],
                ber::OCTET_STRING => value = part.content.to_vec(),
                _ => return Err(Malformed),
            }
        }
        controls.push(Control { kind, critical, value });
    }
    Ok(controls)
}

fn decode_paging(value: &[u8]) -> Result<(usize, Vec<u8>), Malformed> {
    let mut parts = Reader(value).expect(ber::SEQUENCE)?.reader();
    let size = usize::try_from(parts.expect(ber::INTEGER)?.integer()?).map_err(|_| Malformed)?;
    let cookie = parts.expect(ber::OCTET_STRING)?.content.to_vec();
    Ok((size, cookie))
}

/// The outcome of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) code: i64,
    pub(super) matched: String,
    pub(super) text: String,
    pub(super) referrals: Vec<String>,
}

impl Outcome {
    pub(super) fn success() -> Self {
        Self::new(code::SUCCESS, "")
    }

    pub(super) fn new(code: i64, text: &str) -> Self {
        Self { code, matched: String::new(), text: text.to_owned(), referrals: Vec::new() }
    }

    fn parts(&self) -> Vec<Vec<u8>> {
        let mut parts = vec![
            ber::integer(ber::ENUMERATED, self.code),
            ber::octets(self.matched.as_bytes()),
            ber::octets(self.text.as_bytes()),
        ];
        if !self.referrals.is_empty() {
            let uris: Vec<_> = self.referrals.iter().map(|uri| ber::octets(uri.as_bytes())).collect();
            parts.push(ber::constructed(0xa3, &uris));
        }
        parts
    }

    /// The whole message of a result, without controls.
    pub(super) fn encode(&self, id: i64, tag: u8) -> Vec<u8> {
        message(id, ber::constructed(tag, &self.parts()), None)
    }

    /// The end of a search; `cookie` is the paging control's, if the request had that control.
    pub(super) fn encode_search_done(&self, id: i64, cookie: Option<&[u8]>) -> Vec<u8> {
        let done = ber::constructed(answer::SEARCH_DONE, &self.parts());
        let control = cookie.map(|cookie| {
            // The size is an estimate of the whole result; AD sends 0 for "not known".
            let value =
                ber::constructed(ber::SEQUENCE, &[ber::integer(ber::INTEGER, 0), ber::octets(cookie)]);
            let control = ber::constructed(
                ber::SEQUENCE,
                &[ber::octets(PAGED_RESULTS.as_bytes()), ber::octets(&value)],
            );
            ber::constructed(0xa0, &[control])
        });
        message(id, done, control)
    }

    /// An extended answer with its name and value.
    pub(super) fn encode_extended(&self, id: i64, name: Option<&str>, value: Option<&str>) -> Vec<u8> {
        let mut parts = self.parts();
        parts.extend(name.map(|name| ber::element(0x8a, name.as_bytes())));
        parts.extend(value.map(|value| ber::element(0x8b, value.as_bytes())));
        message(id, ber::constructed(answer::EXTENDED, &parts), None)
    }
}

/// Tells a client whose bytes made no sense that the connection ends.
pub(super) fn notice_of_disconnection() -> Vec<u8> {
    Outcome::new(code::PROTOCOL_ERROR, "").encode_extended(0, Some(NOTICE_OF_DISCONNECTION), None)
}

/// One found entry: its name and the attributes that go out.
pub(super) fn encode_entry(id: i64, dn: &str, attributes: &[(String, Vec<Vec<u8>>)]) -> Vec<u8> {
    let list: Vec<_> = attributes
        .iter()
        .map(|(name, values)| {
            let values: Vec<_> = values.iter().map(|value| ber::octets(value)).collect();
            ber::constructed(
                ber::SEQUENCE,
                &[ber::octets(name.as_bytes()), ber::constructed(ber::SET, &values)],
            )
        })
        .collect();
    let entry = [ber::octets(dn.as_bytes()), ber::constructed(ber::SEQUENCE, &list)];
    message(id, ber::constructed(answer::SEARCH_ENTRY, &entry), None)
}

/// A continuation reference.
pub(super) fn encode_reference(id: i64, uri: &str) -> Vec<u8> {
    message(id, ber::constructed(answer::SEARCH_REFERENCE, &[ber::octets(uri.as_bytes())]), None)
}

fn message(id: i64, operation: Vec<u8>, controls: Option<Vec<u8>>) -> Vec<u8> {
    let mut parts = vec![ber::integer(ber::INTEGER, id), operation];
    parts.extend(controls);
    ber::constructed(ber::SEQUENCE, &parts)
}
