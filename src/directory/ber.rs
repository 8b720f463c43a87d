//! BER as LDAP uses it: definite lengths and tags of one octet (RFC 4511 5.1). Elements beside each other, read without
//! recursion and counted, and elements written. Knows no LDAP.

use std::cell::Cell;

/// UNIVERSAL INTEGER.
pub(super) const INTEGER: u8 = 0x02;
/// UNIVERSAL OCTET STRING.
pub(super) const OCTET_STRING: u8 = 0x04;
/// UNIVERSAL OBJECT IDENTIFIER.
#[cfg(any(feature = "gssapi", windows))]
pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
/// UNIVERSAL ENUMERATED.
pub(super) const ENUMERATED: u8 = 0x0a;
/// UNIVERSAL BOOLEAN.
pub(super) const BOOLEAN: u8 = 0x01;
/// UNIVERSAL SEQUENCE, constructed.
pub(super) const SEQUENCE: u8 = 0x30;
/// UNIVERSAL SET, constructed.
pub(super) const SET: u8 = 0x31;

/// What is wrong with octets, in words.
pub(super) type Fault = String;

/// Identifier and content.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
}

/// Octets of the header at the start, and of its content; `None` if the header is not all there. Lengths may have leading
/// zeros: Active Directory always writes four octets.
pub(super) fn header(octets: &[u8]) -> Result<Option<(usize, usize)>, Fault> {
    let Some(tag) = octets.first() else { return Ok(None) };
    // X.690 8.1.2.4: a tag number above 30 takes more octets.
    if tag & 0x1f == 0x1f {
        return Err("not LDAP: a tag of several octets".to_owned());
    }
    let Some(first) = octets.get(1) else { return Ok(None) };
    // X.690 8.1.3: the length in one octet below 128, else the number of octets that hold it.
    let n = match first {
        short @ 0..0x80 => return Ok(Some((2, usize::from(*short)))),
        0x80 => return Err("not LDAP: an indefinite length".to_owned()),
        long => usize::from(long & 0x7f),
    };
    if n > size_of::<u32>() {
        return Err(format!("not LDAP: a length in {n} octets"));
    }
    let Some(length) = octets.get(2..2 + n) else { return Ok(None) };
    Ok(Some((2 + n, length.iter().fold(0, |length: usize, octet| (length << 8) | usize::from(*octet)))))
}

/// Elements beside each other. `left` is how many more may be read, here and inside of them.
pub(super) struct Elements<'a, 'left> {
    rest: &'a [u8],
    left: &'left Cell<usize>,
}

impl<'a, 'left> Elements<'a, 'left> {
    pub(super) const fn of(octets: &'a [u8], left: &'left Cell<usize>) -> Self {
        Self { rest: octets, left }
    }

    /// The next one, `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<Element<'a>>, Fault> {
        let Some(&tag) = self.rest.first() else { return Ok(None) };
        self.left.set(self.left.get().checked_sub(1).ok_or("more elements than are taken")?);
        let too_long = || "not BER: an element longer than what contains it".to_owned();
        let (n, length) = header(self.rest)?.ok_or_else(too_long)?;
        let (content, rest) =
            self.rest.get(n..).and_then(|rest| rest.split_at_checked(length)).ok_or_else(too_long)?;
        self.rest = rest;
        Ok(Some(Element { tag, content }))
    }

    /// The content of the next one, which must have this tag.
    pub(super) fn expect(&mut self, tag: u8) -> Result<&'a [u8], Fault> {
        match self.next()? {
            Some(element) if element.tag == tag => Ok(element.content),
            Some(element) => Err(format!("0x{:02x} where LDAP has 0x{tag:02x}", element.tag)),
            None => Err(format!("nothing where LDAP has 0x{tag:02x}")),
        }
    }

    /// The same, for what must be text (LDAPString is UTF-8, RFC 4511 4.1.2).
    pub(super) fn expect_text(&mut self, tag: u8) -> Result<&'a str, Fault> {
        text(self.expect(tag)?)
    }

    /// The same, for a number that is never negative and fits.
    pub(super) fn expect_number(&mut self, tag: u8) -> Result<u32, Fault> {
        let octets = self.expect(tag)?;
        if !(1..=size_of::<u32>()).contains(&octets.len()) {
            return Err(format!("a number in {} octets", octets.len()));
        }
        Ok(octets.iter().fold(0, |number, octet| (number << 8) | u32::from(*octet)))
    }

    /// The elements inside the next one, which must have this tag.
    pub(super) fn expect_inside(&mut self, tag: u8) -> Result<Self, Fault> {
        let content = self.expect(tag)?;
        Ok(self.within(content))
    }

    /// The elements inside this content, counted with the others.
    pub(super) const fn within(&self, content: &'a [u8]) -> Self {
        Self { rest: content, left: self.left }
    }

    /// That nothing follows.
    pub(super) fn end(&self) -> Result<(), Fault> {
        if self.rest.is_empty() { Ok(()) } else { Err("more parts than LDAP has there".to_owned()) }
    }
}

/// LDAPString.
pub(super) fn text(octets: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(octets).map_err(|_| "a text that is not UTF-8".to_owned())
}

/// Writes an element with these parts as its content.
pub(super) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes();
    [&[tag, 0x84][..], &length, &content].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        for (octets, expected) in [
            (&[][..], Ok(None)),
            (&[0x30], Ok(None)),
            (&[0x30, 5], Ok(Some((2, 5)))),
            (&[0x30, 0x84, 0, 0, 1], Ok(None)),
            (&[0x30, 0x84, 0, 0, 1, 2], Ok(Some((6, 258)))),
            (&[0x30, 0x80], Err("not LDAP: an indefinite length".to_owned())),
            (&[0x30, 0x85], Err("not LDAP: a length in 5 octets".to_owned())),
            (&[0x1f], Err("not LDAP: a tag of several octets".to_owned())),
        ] {
            assert_eq!(header(octets), expected, "{octets:?}");
        }
    }

    #[test]
    fn elements_stay_inside_of_what_contains_them_and_are_counted() {
        let left = Cell::new(3);
        let octets = element(SEQUENCE, &[&[2, 1, 7], &[4, 1, b'a'], &[4, 9, b'b']]);
        let mut outer = Elements::of(&octets, &left);
        let mut inner = outer.expect_inside(SEQUENCE).unwrap();
        outer.end().unwrap();
        assert_eq!(inner.expect_number(INTEGER), Ok(7));
        assert_eq!(inner.expect_text(OCTET_STRING), Ok("a"));
        assert!(inner.end().is_err());
        assert_eq!(inner.expect(OCTET_STRING), Err("more elements than are taken".to_owned()));
        left.set(1);
        assert!(inner.expect(OCTET_STRING).unwrap_err().contains("longer than what contains it"));
    }
}
