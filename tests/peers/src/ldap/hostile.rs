//! What a domain controller may do wrong, and the bytes it sends when it means harm.
//!
//! Each is a way in which a client has been seen, or could be made, to hang, crash or believe nonsense.

use super::attributes::is_filetime;
use super::ber;
use super::message::encode_entry;
use super::search::Answer;

/// How one port of a domain controller behaves; can be changed at any time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Behaviour {
    /// As it should.
    #[default]
    Normal,
    /// Accepts connections, reads, and never says a word.
    BlackHole,
    /// Binds, but never answers a search.
    HangAtSearch,
    /// Closes the connection after this many bytes of LDAP have been sent on it, in the midst of a message.
    CutAfter(usize),
    /// Answers every request with bytes that are no LDAP.
    Garbage,
    /// Answers every search with one entry whose `description` has this many bytes.
    HugeEntry(usize),
    /// Answers every search with a message in which this many sequences lie inside each other.
    DeepNesting(usize),
    /// Finds what was asked for, but every value has the wrong form.
    WrongTypes,
    /// Closes every connection as soon as it is accepted.
    Refuse,
    /// Shows nothing at and below these names, as AD does with what the client may not read.
    HideDn(Vec<String>),
    /// Answers every search with "busy" (51).
    Busy,
}

/// Bytes that begin like no LDAP message.
pub(super) fn garbage() -> Vec<u8> {
    b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n\xff\xfe\x00\x80".to_vec()
}

/// An entry with one huge value.
pub(super) fn huge_entry(id: i64, dn: &str, size: usize) -> Vec<u8> {
    encode_entry(id, dn, &[("description".to_owned(), vec![vec![b'x'; size]])])
}

/// A well-formed message whose operation is a sequence in a sequence in a sequence.
pub(super) fn deep_nesting(id: i64, depth: usize) -> Vec<u8> {
    // Written from the inside out, so that the headers come out in reverse; building each level anew would be quadratic.
    let mut reversed: Vec<u8> = Vec::new();
    let mut length = 0;
    for _ in 0..depth {
        let mut header = vec![ber::SEQUENCE];
        header.extend(ber::length_octets(length));
        length += header.len();
        header.reverse();
        reversed.extend(header);
    }
    reversed.reverse();
    ber::constructed(ber::SEQUENCE, &[ber::integer(ber::INTEGER, id), ber::element(0x64, &reversed)])
}

/// The same entry with values of the wrong form.
pub(super) fn wrong_types((dn, attributes): Answer) -> Answer {
    let wrong = |name: &str, values: Vec<Vec<u8>>| -> Vec<Vec<u8>> {
        let plain = name.split(';').next().unwrap_or(name).to_ascii_lowercase();
        let value: &[u8] = match plain.as_str() {
            "objectsid" | "securityidentifier" => &[1, 5, 0],
            "objectguid" => &[0xde, 0xad],
            "whencreated" | "whenchanged" | "currenttime" => b"yesterday, about noon",
            "useraccountcontrol" | "msds-user-account-control-computed" | "msds-supportedencryptiontypes" => {
                b"0x10200 or so"
            }
            "samaccountname" | "dnshostname" | "serviceprincipalname" => &[0xff, 0xfe, b'\n', 0],
            name if is_filetime(name) => b"never ever",
            _ => return values,
        };
        vec![value.to_vec()]
    };
    (dn, attributes.into_iter().map(|(name, values)| (name.clone(), wrong(&name, values))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_as_deep_as_asked_and_well_formed() {
        let bytes = deep_nesting(7, 3000);
        assert_eq!(ber::first_length(&bytes), Ok(Some(bytes.len())));
        let mut reader = ber::Reader(&bytes).expect(ber::SEQUENCE).unwrap().reader();
        assert_eq!(reader.expect(ber::INTEGER).unwrap().integer(), Ok(7));
        let mut inner = reader.expect(0x64).unwrap().reader();
        let mut depth = 0;
        while !inner.is_empty() {
            inner = inner.expect(ber::SEQUENCE).unwrap().reader();
            depth += 1;
        }
        assert_eq!(depth, 3000);
    }
}
