//! The part of BER that LDAP uses (RFC 4511 section 5.1: definite lengths, tags below 31), read and written.
//!
//! It is deliberately not the codec of the client under test: an error there must not cancel out here.

/// Universal BOOLEAN.
pub(super) const BOOLEAN: u8 = 0x01;
/// Universal INTEGER.
pub(super) const INTEGER: u8 = 0x02;
/// Universal OCTET STRING.
pub(super) const OCTET_STRING: u8 = 0x04;
/// Universal ENUMERATED.
pub(super) const ENUMERATED: u8 = 0x0a;
/// Universal SEQUENCE, constructed.
pub(super) const SEQUENCE: u8 = 0x30;
/// Universal SET, constructed.
pub(super) const SET: u8 = 0x31;

/// The bytes are not the BER that was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// One element: its identifier octet and its content.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
}

impl<'a> Element<'a> {
    pub(super) fn reader(&self) -> Reader<'a> {
        Reader(self.content)
    }

    pub(super) fn integer(&self) -> Result<i64, Malformed> {
        if self.content.is_empty() || self.content.len() > 8 {
            return Err(Malformed);
        }
        let negative = self.content.first().is_some_and(|&byte| byte & 0x80 != 0);
        let start = if negative { -1_i64 } else { 0 };
        Ok(self.content.iter().fold(start, |value, &byte| (value << 8) | i64::from(byte)))
    }

    pub(super) fn text(&self) -> Result<String, Malformed> {
        String::from_utf8(self.content.to_vec()).map_err(|_| Malformed)
    }
}

/// Reads one element after another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn next(&mut self) -> Result<Element<'a>, Malformed> {
        let (header, length) = header(self.0)?.ok_or(Malformed)?;
        let tag = *self.0.first().ok_or(Malformed)?;
        let end = header.checked_add(length).ok_or(Malformed)?;
        let content = self.0.get(header..end).ok_or(Malformed)?;
        self.0 = self.0.get(end..).ok_or(Malformed)?;
        Ok(Element { tag, content })
    }

    pub(super) fn expect(&mut self, tag: u8) -> Result<Element<'a>, Malformed> {
        let element = self.next()?;
        if element.tag == tag { Ok(element) } else { Err(Malformed) }
    }
}

/// How many bytes the first element in `buffer` takes in all; `None` while its header is not complete.
pub(super) fn first_length(buffer: &[u8]) -> Result<Option<usize>, Malformed> {
    match header(buffer)? {
        Some((header, length)) => Ok(Some(header.checked_add(length).ok_or(Malformed)?)),
        None => Ok(None),
    }
}

/// The length of an element's header and of its content, as the header says.
fn header(bytes: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let (Some(tag), Some(&first)) = (bytes.first(), bytes.get(1)) else { return Ok(None) };
    // LDAP has no tag number above 30, so an identifier of several octets is an error.
    if tag & 0x1f == 0x1f {
        return Err(Malformed);
    }
    if first < 0x80 {
        return Ok(Some((2, usize::from(first))));
    }
    let count = usize::from(first & 0x7f);
    // 0x80 is the indefinite form, which LDAP forbids; more than four octets would be a message above 4 GiB.
    if count == 0 || count > 4 {
        return Err(Malformed);
    }
    match bytes.get(2..2 + count) {
        Some(octets) => {
            Ok(Some((2 + count, octets.iter().fold(0, |length, &byte| (length << 8) | usize::from(byte)))))
        }
        None => Ok(None),
    }
}

/// One element from its identifier octet and content.
pub(super) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(content.len() + 6);
    bytes.push(tag);
    bytes.extend(length_octets(content.len()));
    bytes.extend_from_slice(content);
    bytes
}

/// One constructed element from complete elements.
pub(super) fn constructed(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    element(tag, &parts.concat())
}

/// An INTEGER or ENUMERATED in the shortest form.
pub(super) fn integer(tag: u8, value: i64) -> Vec<u8> {
    let octets = value.to_be_bytes();
    // A leading octet is redundant when it only repeats the sign bit of the next one (X.690 section 8.3.2).
    let redundant = octets
        .windows(2)
        .take_while(|pair| {
            matches!(pair, [0, next] if next & 0x80 == 0) || matches!(pair, [0xff, next] if next & 0x80 != 0)
        })
        .count();
    element(tag, octets.get(redundant..).unwrap_or(&octets))
}

/// An OCTET STRING.
pub(super) fn octets(content: &[u8]) -> Vec<u8> {
    element(OCTET_STRING, content)
}

/// The length octets in front of a content of `length` bytes.
pub(super) fn length_octets(length: usize) -> Vec<u8> {
    if length < 0x80 {
        return vec![length as u8];
    }
    let significant: Vec<u8> = length.to_be_bytes().into_iter().skip_while(|&byte| byte == 0).collect();
    let mut octets = vec![0x80 | significant.len() as u8];
    octets.extend(significant);
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_survive_a_round_trip_in_the_shortest_form() {
        for (value, length) in [
            (0, 1),
            (127, 1),
            (128, 2),
            (-1, 1),
            (-128, 1),
            (-129, 2),
            (66048, 3),
            (i64::MAX, 8),
            (i64::MIN, 8),
        ] {
            let bytes = integer(INTEGER, value);
            assert_eq!(bytes.len(), 2 + length, "{value}");
            assert_eq!(Reader(&bytes).expect(INTEGER).unwrap().integer(), Ok(value));
        }
    }

    #[test]
    fn a_header_is_complete_or_awaited_or_refused() {
        assert_eq!(first_length(&[0x30]), Ok(None));
        assert_eq!(first_length(&[0x30, 0x05]), Ok(Some(7)));
        assert_eq!(first_length(&[0x30, 0x82, 0x01]), Ok(None));
        assert_eq!(first_length(&[0x30, 0x82, 0x01, 0x00]), Ok(Some(260)));
        assert_eq!(first_length(&[0x30, 0x80]), Err(Malformed));
        assert_eq!(first_length(&[0x30, 0x88]), Err(Malformed));
        assert_eq!(first_length(&[0x3f, 0x01]), Err(Malformed));
        assert_eq!(element(SEQUENCE, &[0; 300]).len(), 304);
    }
}
