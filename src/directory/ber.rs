//! LDAP messages in BER, looked at without recursion: how long the first one is, and whether it is nested no deeper than any
//! answer of a directory is. Decodes nothing but a result code.

/// Octets of one message that are taken. A domain controller's entry with 1,500 values of 200 octets has 0.3 MB; a whole
/// page of 1,000 such entries comes as 1,000 messages.
pub(super) const MOST_OCTETS: usize = 8 * 1024 * 1024;

/// Levels of one message. A search result entry has six (message, entry, attributes, attribute, values, value), controls and
/// referrals fewer (RFC 4511 4.1, 4.5.2).
const MOST_LEVELS: usize = 32;

/// What the first octets are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scan {
    /// A whole message of so many octets.
    Whole(usize),
    /// The beginning of one.
    More,
}

/// One element: where its content begins and ends, and whether it holds elements.
struct Element {
    start: usize,
    end: usize,
    is_constructed: bool,
}

/// Looks at the first message. LDAP's subset of BER has definite lengths only and no tag beyond 30 (RFC 4511 5.1).
pub(super) fn scan(octets: &[u8]) -> Result<Scan, String> {
    match octets.first() {
        None => return Ok(Scan::More),
        Some(0x30) => {}
        Some(tag) => return Err(format!("no LDAP message: it begins with 0x{tag:02x}")),
    }
    let Some(message) = element(octets, 0)? else { return Ok(Scan::More) };
    if message.end > MOST_OCTETS {
        return Err(format!("a message of {} octets; at most {MOST_OCTETS} are taken", message.end));
    }
    let Some(octets) = octets.get(..message.end) else { return Ok(Scan::More) };
    let mut ends = vec![message.end];
    let mut at = message.start;
    while let Some(end) = ends.last().copied() {
        if at >= end {
            ends.pop();
            continue;
        }
        let inner = element(octets, at)?.filter(|inner| inner.end <= end);
        let Some(inner) = inner else { return Err("an element is longer than what it stands in".to_owned()) };
        if inner.is_constructed {
            if ends.len() >= MOST_LEVELS {
                return Err(format!("nested deeper than {MOST_LEVELS} levels"));
            }
            ends.push(inner.end);
            at = inner.start;
        } else {
            at = inner.end;
        }
    }
    Ok(Scan::Whole(message.end))
}

/// The element at this place; `None` if its header is cut off.
fn element(octets: &[u8], at: usize) -> Result<Option<Element>, String> {
    let (Some(tag), Some(first)) = (octets.get(at), octets.get(at + 1)) else { return Ok(None) };
    // X.690 8.1.2.4: a tag number above 30 takes more octets.
    if tag & 0x1f == 0x1f {
        return Err("a tag of several octets".to_owned());
    }
    // X.690 8.1.3: the length in one octet below 128, else the number of octets that hold it.
    let (length, start) = match first {
        0x80 => return Err("an indefinite length".to_owned()),
        short @ 0..0x80 => (usize::from(*short), at + 2),
        long => {
            let n = usize::from(long & 0x7f);
            if n > 4 {
                return Err(format!("a length in {n} octets"));
            }
            let Some(bytes) = octets.get(at + 2..at + 2 + n) else { return Ok(None) };
            (bytes.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)), at + 2 + n)
        }
    };
    let end = start.checked_add(length).ok_or("a length beyond all bounds")?;
    Ok(Some(Element { start, end, is_constructed: tag & 0x20 != 0 }))
}

/// The result code of a whole message with an LDAPResult: message ID, then an element whose first part is the code
/// (RFC 4511 4.1.9).
pub(super) fn result_code(message: &[u8]) -> Option<u8> {
    let whole = element(message, 0).ok()??;
    let id = element(message, whole.start).ok()??;
    let operation = element(message, id.end).ok()??;
    let code = element(message, operation.start).ok()??;
    // ENUMERATED, one octet: the codes in use are below 128.
    match message.get(operation.start..code.end)? {
        [0x0a, 1, code] => Some(*code),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize) -> Vec<u8> {
        let mut message = Vec::new();
        for _ in 0..levels {
            let mut outer = vec![0x30, 0x84];
            outer.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
            outer.extend(&message);
            message = outer;
        }
        message
    }

    #[test]
    fn whole_cut_and_wrong() {
        // A bind response: id 1, success, empty names.
        let bind = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00";
        assert_eq!(scan(bind), Ok(Scan::Whole(14)));
        assert_eq!(result_code(bind), Some(0));
        for cut in 0..bind.len() {
            assert_eq!(scan(&bind[..cut]), Ok(Scan::More), "{cut}");
        }
        let two = [&bind[..], &bind[..5]].concat();
        assert_eq!(scan(&two), Ok(Scan::Whole(14)));
        for (octets, part) in [
            (&b"HTTP/1.1 400"[..], "begins with 0x48"),
            (b"\x30\x80\x00\x00", "indefinite"),
            (b"\x30\x85\x01\x00\x00\x00\x00", "5 octets"),
            (b"\x30\x84\x7f\xff\xff\xff", "at most"),
            (b"\x30\x03\x1f\x81\x01", "several octets"),
            (b"\x30\x03\x02\x05\x01", "longer than what it stands in"),
            (b"\x30\x01\x02", "longer than what it stands in"),
        ] {
            assert!(scan(octets).is_err_and(|cause| cause.contains(part)), "{octets:?}: {:?}", scan(octets));
        }
    }

    #[test]
    fn depth_is_bounded() {
        let fine = nested(MOST_LEVELS);
        assert_eq!(scan(&fine), Ok(Scan::Whole(fine.len())));
        assert!(scan(&nested(MOST_LEVELS + 2)).is_err());
        assert!(scan(&nested(2_000)).is_err());
    }
}
