//! The little of DER (X.690) that Kerberos messages need. The reader borrows and never recurses, so that no nesting and no
//! length of a hostile peer can harm; what is written is wiped when dropped. It knows no message: that is `message`.

use zeroize::Zeroizing;

/// Octets that are wiped when dropped: a request holds a ticket.
pub(super) type Octets = Zeroizing<Vec<u8>>;

/// Tags of the universal types in use (X.690 8, X.680 8.4).
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const GENERALIZED_TIME: u8 = 0x18;
const GENERAL_STRING: u8 = 0x1b;
const SEQUENCE: u8 = 0x30;

/// The tag of a constructed application type, such as a Kerberos message.
pub(super) const fn application(number: u8) -> u8 {
    0x60 | number
}

/// The tag of a constructed context-specific type: the fields of a Kerberos SEQUENCE.
const fn context(number: u8) -> u8 {
    0xa0 | number
}

/// What is wrong with an encoding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Bad {
    /// The end came too early.
    #[error("cut off")]
    Short,
    /// Indefinite, or in more than four octets.
    #[error("a length that DER does not have")]
    Length,
    /// Another element than the one that has to stand here.
    #[error("tag 0x{found:02x} instead of 0x{expected:02x}")]
    Tag {
        /// What has to stand here.
        expected: u8,
        /// What stands here.
        found: u8,
    },
    /// Something stands after the value.
    #[error("something after the value")]
    Trailing,
    /// A number beyond 64 bits, or an empty one.
    #[error("a number of {0} octets")]
    Number(usize),
    /// A time that is none.
    #[error("no time")]
    Time,
}

/// What is left to read of an element's content.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(octets: &'a [u8]) -> Self {
        Self { rest: octets }
    }

    pub(super) const fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// What is left.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next tag, without reading it.
    pub(super) fn tag(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// The content of the next element, which has to have this tag.
    pub(super) fn expect(&mut self, expected: u8) -> Result<Self, Bad> {
        let (found, content, rest) = element(self.rest)?;
        if found != expected {
            return Err(Bad::Tag { expected, found });
        }
        self.rest = rest;
        Ok(Self { rest: content })
    }

    /// Nothing may follow.
    pub(super) const fn end(self) -> Result<(), Bad> {
        if self.is_at_end() { Ok(()) } else { Err(Bad::Trailing) }
    }

    /// The SEQUENCE that is next. What stands after its known fields is an extension and ignored.
    pub(super) fn sequence(&mut self) -> Result<Self, Bad> {
        self.expect(SEQUENCE)
    }

    /// The field `[number]`, read whole by `read`.
    pub(super) fn field<T>(
        &mut self,
        number: u8,
        read: impl FnOnce(&mut Self) -> Result<T, Bad>,
    ) -> Result<T, Bad> {
        let mut content = self.expect(context(number))?;
        let value = read(&mut content)?;
        content.end()?;
        Ok(value)
    }

    /// The field `[number]` if it is there.
    pub(super) fn optional<T>(
        &mut self,
        number: u8,
        read: impl FnOnce(&mut Self) -> Result<T, Bad>,
    ) -> Result<Option<T>, Bad> {
        if self.tag() == Some(context(number)) { self.field(number, read).map(Some) } else { Ok(None) }
    }

    /// All of a SEQUENCE OF.
    pub(super) fn list<T>(&mut self, read: impl Fn(&mut Self) -> Result<T, Bad>) -> Result<Vec<T>, Bad> {
        let mut content = self.sequence()?;
        let mut values = Vec::new();
        while !content.is_at_end() {
            values.push(read(&mut content)?);
        }
        Ok(values)
    }

    /// INTEGER of up to 64 bits.
    pub(super) fn integer(&mut self) -> Result<i64, Bad> {
        let content = self.expect(INTEGER)?.rest;
        let Some(first) = content.first().filter(|_| content.len() <= 8) else {
            return Err(Bad::Number(content.len()));
        };
        // Two's complement: the first octet's top bit is the sign (X.690 8.3.3).
        let sign = if first & 0x80 == 0 { 0 } else { -1 };
        Ok(content.iter().fold(sign, |value, octet| (value << 8) | i64::from(*octet)))
    }

    /// OCTET STRING.
    pub(super) fn octets(&mut self) -> Result<&'a [u8], Bad> {
        Ok(self.expect(OCTET_STRING)?.rest)
    }

    /// KerberosString; Active Directory puts UTF-8 into it.
    pub(super) fn string(&mut self) -> Result<&'a [u8], Bad> {
        Ok(self.expect(GENERAL_STRING)?.rest)
    }

    /// KerberosTime in Unix seconds.
    pub(super) fn time(&mut self) -> Result<i64, Bad> {
        let content = self.expect(GENERALIZED_TIME)?.rest;
        super::time::parse(content).ok_or(Bad::Time)
    }

    /// Any one element, unread.
    pub(super) fn skip(&mut self) -> Result<(), Bad> {
        (_, _, self.rest) = element(self.rest)?;
        Ok(())
    }
}

/// Tag, content and what follows.
fn element(octets: &[u8]) -> Result<(u8, &[u8], &[u8]), Bad> {
    let (tag, octets) = octets.split_first().ok_or(Bad::Short)?;
    let (first, octets) = octets.split_first().ok_or(Bad::Short)?;
    // X.690 8.1.3: the length in one octet below 128, else the number of octets that hold it.
    let (length, octets) = match first {
        short @ 0..=0x7f => (usize::from(*short), octets),
        0x81..=0x84 => {
            let (length, octets) = octets.split_at_checked(usize::from(first & 0x7f)).ok_or(Bad::Short)?;
            let length = length.iter().fold(0_u64, |length, octet| (length << 8) | u64::from(*octet));
            (usize::try_from(length).map_err(|_| Bad::Length)?, octets)
        }
        _ => return Err(Bad::Length),
    };
    let (content, rest) = octets.split_at_checked(length).ok_or(Bad::Short)?;
    Ok((*tag, content, rest))
}

/// An element with this tag and these contents, one after the other.
pub(super) fn wrap(tag: u8, contents: &[&[u8]]) -> Octets {
    let length = contents.iter().map(|content| content.len()).sum::<usize>();
    let bytes = length.to_be_bytes();
    let significant: &[u8] = bytes.get(bytes.iter().take_while(|byte| **byte == 0).count()..).unwrap_or(&[]);
    // Exactly as long as needed: growing would leave copies behind that nobody wipes.
    let mut octets = Zeroizing::new(Vec::with_capacity(length + 2 + significant.len()));
    octets.push(tag);
    match u8::try_from(length) {
        Ok(short @ 0..0x80) => octets.push(short),
        _ => {
            octets.push(0x80 | u8::try_from(significant.len()).unwrap_or(0x7f));
            octets.extend_from_slice(significant);
        }
    }
    for content in contents {
        octets.extend_from_slice(content);
    }
    octets
}

pub(super) fn sequence(contents: &[&[u8]]) -> Octets {
    wrap(SEQUENCE, contents)
}

/// The field `[number]`.
pub(super) fn field(number: u8, content: &[u8]) -> Octets {
    wrap(context(number), &[content])
}

/// In the fewest octets: Windows encodes a request anew before it checks the checksum over it.
pub(super) fn integer(value: i64) -> Octets {
    let bytes = value.to_be_bytes();
    let mut content = &bytes[..];
    while let [first, rest @ ..] = content {
        let is_sign_alone = match rest.first() {
            Some(next) => (*first == 0 && next & 0x80 == 0) || (*first == 0xff && next & 0x80 != 0),
            None => false,
        };
        if !is_sign_alone {
            break;
        }
        content = rest;
    }
    wrap(INTEGER, &[content])
}

pub(super) fn octets(value: &[u8]) -> Octets {
    wrap(OCTET_STRING, &[value])
}

pub(super) fn string(value: &[u8]) -> Octets {
    wrap(GENERAL_STRING, &[value])
}

/// KerberosFlags: 32 bits, none unused (RFC 4120 5.2.8).
pub(super) fn flags(value: u32) -> Octets {
    wrap(BIT_STRING, &[&[0], &value.to_be_bytes()])
}

/// KerberosTime from Unix seconds.
pub(super) fn time(seconds: i64) -> Octets {
    wrap(GENERALIZED_TIME, &[super::time::format(seconds).as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_minimal_and_read_back() {
        for (value, encoded) in [
            (0, &[2, 1, 0][..]),
            (127, &[2, 1, 0x7f]),
            (128, &[2, 2, 0, 0x80]),
            (-1, &[2, 1, 0xff]),
            (-128, &[2, 1, 0x80]),
            (-133, &[2, 2, 0xff, 0x7b]),
            (0x7fff_ffff, &[2, 4, 0x7f, 0xff, 0xff, 0xff]),
            (0xffff_ffff, &[2, 5, 0, 0xff, 0xff, 0xff, 0xff]),
        ] {
            assert_eq!(integer(value).as_slice(), encoded, "{value}");
            assert_eq!(Reader::new(encoded).integer(), Ok(value));
        }
        assert_eq!(Reader::new(&[2, 0]).integer(), Err(Bad::Number(0)));
        assert_eq!(Reader::new(&[2, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0]).integer(), Err(Bad::Number(9)));
    }

    #[test]
    fn lengths_of_every_size() {
        for length in [0, 1, 127, 128, 255, 256, 65_535, 65_536, 1_000_000] {
            let value = vec![7; length];
            let written = octets(&value);
            let mut reader = Reader::new(&written);
            assert_eq!(reader.octets(), Ok(&value[..]), "{length}");
            assert!(reader.is_at_end());
            let cut = &written[..written.len() - 1];
            assert_eq!(Reader::new(cut).octets(), Err(Bad::Short), "{length}");
        }
        for (bad, why) in [
            (&[][..], Bad::Short),
            (&[4], Bad::Short),
            (&[4, 0x80, 0, 0], Bad::Length),
            (&[4, 0x85, 0, 0, 0, 0, 1, 9], Bad::Length),
            (&[4, 0x84, 0xff, 0xff, 0xff, 0xff], Bad::Short),
            (&[4, 0x82, 1], Bad::Short),
            (&[5, 0], Bad::Tag { expected: 4, found: 5 }),
        ] {
            assert_eq!(Reader::new(bad).octets(), Err(why), "{bad:?}");
        }
    }

    #[test]
    fn fields_are_read_whole() {
        let two = sequence(&[&field(0, &integer(5)), &field(2, &string(b"x"))]);
        let mut reader = Reader::new(&two).sequence().unwrap();
        assert_eq!(reader.field(0, Reader::integer), Ok(5));
        assert_eq!(reader.optional(1, Reader::integer), Ok(None));
        assert_eq!(reader.optional(2, Reader::string), Ok(Some(&b"x"[..])));
        let more = field(0, &[&integer(5)[..], &integer(6)].concat());
        assert_eq!(Reader::new(&more).field(0, Reader::integer), Err(Bad::Trailing));
        assert_eq!(flags(0x0001_0000).as_slice(), [3, 5, 0, 0, 1, 0, 0]);
    }
}
