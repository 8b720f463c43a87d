//! The grammar of what a directory server may say to us (RFC 4511): every octet that the LDAP crate is to see is held against
//! it first. The crate's BER parser recurses without a limit and its decoders panic at what is not of this form; what is, is
//! seven levels deep at most. Says nothing about what an answer means.

use std::cell::Cell;

use super::ber::{self, BOOLEAN, ENUMERATED, Element, Elements, Fault, INTEGER, OCTET_STRING, SEQUENCE, SET};

/// Octets of one message that are taken. The longest honest one is an account whose servicePrincipalName has 5,000 values,
/// the most that MaxValRange can be set to (MS-ADTS 3.1.1.3.4.6), of some 300 octets: 1.5 MB. A page of 1,000 entries is
/// 1,000 messages.
const MOST_OCTETS: usize = 8 * 1024 * 1024;

/// Octets and elements of all that answers one request. A page has at most 1,000 entries (MaxPageSize, same section), each
/// with some 40 elements and perhaps 50 further values; the crate spends some 250 octets on an element, were it empty.
const MOST_ANSWERED: usize = 32 * 1024 * 1024;
const MOST_ELEMENTS: usize = 200_000;

/// The operations (RFC 4511 4.2 to 4.14).
pub(super) const BIND_REQUEST: u8 = 0x60;
pub(super) const BIND_RESPONSE: u8 = 0x61;
pub(super) const SEARCH_REQUEST: u8 = 0x63;
pub(super) const SEARCH_ENTRY: u8 = 0x64;
pub(super) const SEARCH_DONE: u8 = 0x65;
pub(super) const SEARCH_REFERENCE: u8 = 0x73;
pub(super) const EXTENDED_REQUEST: u8 = 0x77;
pub(super) const EXTENDED_RESPONSE: u8 = 0x78;

/// Parts of an LDAPResult beside code and texts: referral [3], serverSaslCreds [7], responseName [10], responseValue [11].
const REFERRAL: u8 = 0xa3;
const SASL_CREDENTIALS: u8 = 0x87;
const RESPONSE_NAME: u8 = 0x8a;
const RESPONSE_VALUE: u8 = 0x8b;

/// The controls of a message, [0] (RFC 4511 4.1.1).
const CONTROLS: u8 = 0xa0;

/// The type of the one control that we send and whose value the crate decodes (RFC 2696 2).
const PAGED_RESULTS: &str = "1.2.840.113556.1.4.319";

/// What may still come in answer to one request.
#[derive(Debug)]
pub(super) struct Allowance {
    octets: usize,
    elements: Cell<usize>,
}

impl Default for Allowance {
    fn default() -> Self {
        Self { octets: MOST_ANSWERED, elements: Cell::new(MOST_ELEMENTS) }
    }
}

/// A message from a server.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    /// The request it answers; 0 is none.
    pub(super) id: u32,
    /// The operation.
    pub(super) tag: u8,
    /// Where the operation is an LDAPResult.
    pub(super) outcome: Option<Outcome<'a>>,
    content: &'a [u8],
}

/// LDAPResult (RFC 4511 4.1.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outcome<'a> {
    pub(super) code: u32,
    pub(super) text: &'a str,
    /// Of a bind response.
    pub(super) credentials: Option<&'a [u8]>,
}

/// Writes a message (RFC 4511 4.1.1).
pub(super) fn write(id: u8, operation: &[u8]) -> Vec<u8> {
    ber::element(SEQUENCE, &[&[INTEGER, 1, id], operation])
}

/// The length of the message at the start, once it is all there.
pub(super) fn length(octets: &[u8]) -> Result<Option<usize>, Fault> {
    if let Some(tag) = octets.first().filter(|tag| **tag != SEQUENCE) {
        return Err(format!("not an LDAP message: it begins with 0x{tag:02x}"));
    }
    let Some((header, content)) = ber::header(octets)? else { return Ok(None) };
    let length = header.saturating_add(content);
    if length > MOST_OCTETS {
        return Err(format!("a message of {length} octets; at most {MOST_OCTETS} are taken"));
    }
    Ok(Some(length).filter(|length| *length <= octets.len()))
}

/// Number and operation of a request of ours.
pub(super) fn request(message: &[u8]) -> Result<(u32, u8), Fault> {
    let left = Cell::new(MOST_ELEMENTS);
    let mut parts = Elements::of(message, &left).expect_inside(SEQUENCE)?;
    let id = parts.expect_number(INTEGER)?;
    Ok((id, parts.next()?.ok_or("no operation")?.tag))
}

/// Holds a whole message from a server against the grammar.
pub(super) fn answer<'a>(message: &'a [u8], allowance: &mut Allowance) -> Result<Answer<'a>, Fault> {
    allowance.octets = allowance
        .octets
        .checked_sub(message.len())
        .ok_or_else(|| format!("an answer of more than {MOST_ANSWERED} octets"))?;
    let mut outer = Elements::of(message, &allowance.elements);
    let mut parts = outer.expect_inside(SEQUENCE)?;
    outer.end()?;
    let id = parts.expect_number(INTEGER)?;
    let Element { tag, content } = parts.next()?.ok_or("a message without an operation")?;
    let inside = parts.within(content);
    let outcome = match tag {
        BIND_RESPONSE | SEARCH_DONE | EXTENDED_RESPONSE => Some(result(inside)?),
        SEARCH_ENTRY => entry(inside, |_, _| ()).map(|()| None)?,
        SEARCH_REFERENCE => texts(inside).map(|()| None)?,
        tag => return Err(format!("an operation 0x{tag:02x} that answers nothing of ours")),
    };
    match parts.next()? {
        None => {}
        Some(Element { tag: CONTROLS, content }) => controls(parts.within(content))?,
        // Active Directory puts the name of its notice of disconnection here; nobody decodes it.
        Some(Element { tag: RESPONSE_NAME, .. }) if id == 0 => {}
        Some(Element { tag, .. }) => return Err(format!("0x{tag:02x} where LDAP has controls")),
    }
    parts.end()?;
    Ok(Answer { id, tag, outcome, content })
}

impl<'a> Answer<'a> {
    /// Whether nothing further comes in answer to the request.
    pub(super) const fn is_last(&self) -> bool {
        self.outcome.is_some()
    }

    /// Whether the server says that it hangs up (RFC 4511 4.4.1).
    pub(super) const fn is_notice(&self) -> bool {
        self.id == 0 && self.tag == EXTENDED_RESPONSE
    }

    /// The first value of an attribute, where this is an entry.
    pub(super) fn value(&self, name: &str) -> Option<&'a [u8]> {
        let mut found = None;
        let left = Cell::new(MOST_ELEMENTS);
        let take = |attribute: &str, value| {
            if found.is_none() && attribute.eq_ignore_ascii_case(name) {
                found = Some(value);
            }
        };
        if self.tag == SEARCH_ENTRY {
            entry(Elements::of(self.content, &left), take).ok()?;
        }
        found
    }
}

fn result<'a>(mut parts: Elements<'a, '_>) -> Result<Outcome<'a>, Fault> {
    let code = parts.expect_number(ENUMERATED)?;
    let _matched = parts.expect_text(OCTET_STRING)?;
    let text = parts.expect_text(OCTET_STRING)?;
    let mut credentials = None;
    while let Some(Element { tag, content }) = parts.next()? {
        match tag {
            REFERRAL => texts(parts.within(content))?,
            SASL_CREDENTIALS => credentials = Some(content),
            RESPONSE_NAME => ber::text(content).map(|_| ())?,
            RESPONSE_VALUE => {}
            tag => return Err(format!("0x{tag:02x} in a result")),
        }
    }
    Ok(Outcome { code, text, credentials })
}

/// RFC 4511 4.5.2, with each value of each attribute.
fn entry<'a>(mut parts: Elements<'a, '_>, mut each: impl FnMut(&'a str, &'a [u8])) -> Result<(), Fault> {
    let _name = parts.expect_text(OCTET_STRING)?;
    let mut attributes = parts.expect_inside(SEQUENCE)?;
    parts.end()?;
    while let Some(Element { tag, content }) = attributes.next()? {
        if tag != SEQUENCE {
            return Err(format!("0x{tag:02x} where LDAP has an attribute"));
        }
        let mut attribute = attributes.within(content);
        let description = attribute.expect_text(OCTET_STRING)?;
        let mut values = attribute.expect_inside(SET)?;
        attribute.end()?;
        while let Some(Element { tag, content }) = values.next()? {
            if tag != OCTET_STRING {
                return Err(format!("0x{tag:02x} where LDAP has a value"));
            }
            each(description, content);
        }
    }
    Ok(())
}

/// The URIs of a referral or of a search reference (RFC 4511 4.1.10, 4.5.3).
fn texts(mut parts: Elements<'_, '_>) -> Result<(), Fault> {
    while let Some(Element { tag, content }) = parts.next()? {
        if tag != OCTET_STRING {
            return Err(format!("0x{tag:02x} where LDAP has a URI"));
        }
        ber::text(content)?;
    }
    Ok(())
}

/// RFC 4511 4.1.11. The value of a control is an OCTET STRING in which the crate parses that of paged results.
fn controls(mut controls: Elements<'_, '_>) -> Result<(), Fault> {
    while let Some(Element { tag, content }) = controls.next()? {
        if tag != SEQUENCE {
            return Err(format!("0x{tag:02x} where LDAP has a control"));
        }
        let mut parts = controls.within(content);
        let kind = parts.expect_text(OCTET_STRING)?;
        let mut value = parts.next()?;
        if value.is_some_and(|criticality| criticality.tag == BOOLEAN && criticality.content.len() == 1) {
            value = parts.next()?;
        }
        parts.end()?;
        let value = match value {
            None => None,
            Some(Element { tag: OCTET_STRING, content }) => Some(content),
            Some(Element { tag, .. }) => return Err(format!("0x{tag:02x} in a control")),
        };
        if kind == PAGED_RESULTS {
            let mut value = controls.within(value.unwrap_or_default());
            let mut page = value.expect_inside(SEQUENCE)?;
            value.end()?;
            page.expect_number(INTEGER)?;
            page.expect(OCTET_STRING)?;
            page.end()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::ber::element;

    fn read(message: &[u8]) -> Result<Answer<'_>, Fault> {
        answer(message, &mut Allowance::default())
    }

    fn cause(message: &[u8]) -> String {
        read(message).unwrap_err()
    }

    /// Success, with these further parts.
    fn done(further: &[u8]) -> Vec<u8> {
        write(7, &element(SEARCH_DONE, &[&[10, 1, 0, 4, 0, 4, 2, b'o', b'k'], further]))
    }

    fn with_control(parts: &[&[u8]]) -> Vec<u8> {
        let operation = element(SEARCH_DONE, &[&[10, 1, 0, 4, 0, 4, 0]]);
        element(SEQUENCE, &[&[2, 1, 7], &operation, &element(CONTROLS, &[&element(SEQUENCE, parts)])])
    }

    fn octets(content: &[u8]) -> Vec<u8> {
        element(OCTET_STRING, &[content])
    }

    fn attribute(name: &[u8], values: &[&[u8]]) -> Vec<u8> {
        let values: Vec<u8> = values.iter().flat_map(|value| octets(value)).collect();
        element(SEQUENCE, &[&octets(name), &element(SET, &[&values])])
    }

    fn entry_of(attributes: &[u8]) -> Vec<u8> {
        write(7, &element(SEARCH_ENTRY, &[&octets(b"CN=x"), &element(SEQUENCE, &[attributes])]))
    }

    fn nested(tag: u8, depth: usize) -> Vec<u8> {
        (0..depth).fold(Vec::new(), |inner, _| element(tag, &[&inner]))
    }

    #[test]
    fn a_message_is_whole_at_its_last_octet_and_not_before() {
        let message = done(&[]);
        for n in 0..message.len() {
            assert_eq!(length(&message[..n]), Ok(None), "{n}");
        }
        assert_eq!(length(&[&message[..], &message[..7]].concat()), Ok(Some(message.len())));
        for (octets, part) in [
            (&b"HTTP/1.1 400"[..], "begins with 0x48"),
            (&[0x30, 0x80], "indefinite"),
            (&[0x30, 0x84, 0x00, 0x80, 0x00, 0x00], "8388614 octets; at most 8388608"),
            (&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff], "at most 8388608"),
        ] {
            assert!(length(octets).is_err_and(|cause| cause.contains(part)), "{octets:?}");
        }
    }

    #[test]
    fn answers_that_servers_give() {
        let found = done(&element(REFERRAL, &[&octets(b"ldap://dc2/")]));
        let found = read(&found).unwrap();
        let outcome = Outcome { code: 0, text: "ok", credentials: None };
        assert_eq!((found.id, found.tag, found.outcome), (7, SEARCH_DONE, Some(outcome)));
        assert!(found.is_last() && !found.is_notice());
        let bind = write(1, &element(BIND_RESPONSE, &[&[10, 1, 14, 4, 0, 4, 0, 0x87, 1, 9]]));
        assert_eq!(read(&bind).unwrap().outcome.unwrap().credentials, Some(&[9][..]));
        let entry =
            entry_of(&[attribute(b"cn", &[b"x"]), attribute(b"dNSHostName", &[b"a", b"\xff"])].concat());
        let entry = read(&entry).unwrap();
        assert_eq!((entry.value("dnshostname"), entry.value("sn")), (Some(&b"a"[..]), None));
        assert!(!entry.is_last());
        read(&entry_of(&attribute(b"member;range=0-*", &[]))).unwrap();
        read(&write(7, &element(SEARCH_REFERENCE, &[&octets(b"ldap://dc2/")]))).unwrap();
        // As Active Directory hangs up: the name of the notice stands outside.
        let notice = element(EXTENDED_RESPONSE, &[&[10, 1, 52, 4, 0, 4, 0]]);
        let notice = element(SEQUENCE, &[&[2, 1, 0], &notice, &[0x8a, 1, b'1']]);
        assert!(read(&notice).unwrap().is_notice());
        let page = element(SEQUENCE, &[&[2, 1, 0, 4, 1, 9]]);
        for criticality in [&[][..], &[1, 1, 0xff]] {
            read(&with_control(&[&octets(PAGED_RESULTS.as_bytes()), criticality, &octets(&page)])).unwrap();
        }
        read(&with_control(&[&octets(b"1.2.3")])).unwrap();
        // Nobody decodes the values of others.
        read(&with_control(&[&octets(b"1.2.3"), &octets(&nested(SEQUENCE, 5_000))])).unwrap();
    }

    #[test]
    fn nesting_is_refused_wherever_it_hides() {
        let deep = nested(SEQUENCE, 5_000);
        let strange = nested(0x24, 5_000);
        for message in [
            write(7, &element(SEARCH_ENTRY, &[&deep])),
            write(7, &element(SEARCH_ENTRY, &[&octets(b""), &element(SEQUENCE, &[&deep])])),
            write(7, &element(SEARCH_REFERENCE, &[&strange])),
            write(7, &deep),
            entry_of(&strange),
            entry_of(&element(SEQUENCE, &[&octets(b"cn"), &element(SET, &[&strange])])),
            done(&deep),
            done(&element(REFERRAL, &[&strange])),
            with_control(&[&strange]),
            with_control(&[&octets(PAGED_RESULTS.as_bytes()), &octets(&deep)]),
            with_control(&[&octets(PAGED_RESULTS.as_bytes()), &[1, 1, 0xff], &octets(&deep)]),
            with_control(&[
                &octets(PAGED_RESULTS.as_bytes()),
                &octets(&element(SEQUENCE, &[&[2, 1, 0], &strange])),
            ]),
            element(SEQUENCE, &[&deep, &element(SEARCH_DONE, &[&[10, 1, 0, 4, 0, 4, 0]])]),
        ] {
            cause(&message);
        }
    }

    /// Each of these makes ldap3 0.12.1 panic.
    #[test]
    fn what_the_crate_would_panic_at_is_refused() {
        for message in [
            element(SEQUENCE, &[]),
            element(SEQUENCE, &[&[2, 1, 7]]),
            element(SEQUENCE, &[&[4, 0], &element(SEARCH_DONE, &[])]),
            element(SEQUENCE, &[&[2, 0], &element(SEARCH_DONE, &[&[10, 1, 0, 4, 0, 4, 0]])]),
            write(7, &[0x65, 0]),
            write(7, &[0x45, 0]),
            write(7, &[0x64, 0]),
            write(7, &element(0x79, &[])),
            write(7, &element(SEARCH_DONE, &[&[2, 1, 0, 4, 0, 4, 0]])),
            write(7, &element(SEARCH_DONE, &[&[10, 1, 0, 4, 1, 0xff, 4, 0]])),
            write(7, &element(SEARCH_DONE, &[&[10, 1, 0, 4, 0, 4, 1, 0xff]])),
            done(&[3, 0]),
            done(&[0x83, 0]),
            done(&element(0xa7, &[])),
            done(&[0x8a, 1, 0xff]),
            done(&element(REFERRAL, &[&octets(b"\xff")])),
            write(7, &element(SEARCH_ENTRY, &[&octets(b"\xff"), &element(SEQUENCE, &[])])),
            write(7, &element(SEARCH_ENTRY, &[&octets(b"x")])),
            write(7, &element(SEARCH_REFERENCE, &[&octets(b"\xff")])),
            entry_of(&octets(b"cn")),
            entry_of(&element(SEQUENCE, &[])),
            entry_of(&element(SEQUENCE, &[&octets(b"cn")])),
            entry_of(&element(SEQUENCE, &[&octets(b"cn"), &octets(b"x")])),
            entry_of(&attribute(b"\xff", &[])),
            with_control(&[]),
            with_control(&[&octets(b"\xff")]),
            with_control(&[&octets(b"1.2.3"), &[1, 0]]),
            with_control(&[&octets(b"1.2.3"), &[2, 1, 0]]),
            with_control(&[&octets(PAGED_RESULTS.as_bytes())]),
            with_control(&[&octets(PAGED_RESULTS.as_bytes()), &octets(b"")]),
            with_control(&[&octets(PAGED_RESULTS.as_bytes()), &octets(&element(SEQUENCE, &[&[2, 1, 0]]))]),
        ] {
            cause(&message);
        }
    }

    #[test]
    fn an_answer_is_bounded_in_elements_and_octets() {
        let many = entry_of(&attribute(b"cn", &vec![&b""[..]; MOST_ELEMENTS]));
        assert!(cause(&many).contains("more elements"));
        let large = entry_of(&attribute(b"cn", &[&vec![b'x'; 6_000_000]]));
        let mut allowance = Allowance::default();
        let fits = MOST_ANSWERED / large.len();
        for _ in 0..fits {
            answer(&large, &mut allowance).unwrap();
        }
        assert!(answer(&large, &mut allowance).is_err_and(|cause| cause.contains("octets")));
    }
}
