//! Search filters (RFC 4511 section 4.5.1.7): decoded, judged against an entry, and written as text (RFC 4515).
//!
//! Judging has three outcomes: what cannot be evaluated is neither true nor false, and stays so under negation.

use std::fmt;

use super::attributes;
use super::ber::{self, Element, Malformed};
use super::entry::Entry;

/// How deep a filter may nest, so that a hostile one cannot exhaust the stack.
const MAXIMUM_DEPTH: usize = 100;

/// LDAP_MATCHING_RULE_BIT_AND (MS-ADTS 3.1.1.3.4.4.1).
const BIT_AND: &str = "1.2.840.113556.1.4.803";
/// LDAP_MATCHING_RULE_BIT_OR (MS-ADTS 3.1.1.3.4.4.2).
const BIT_OR: &str = "1.2.840.113556.1.4.804";

#[derive(Debug, Clone)]
pub(super) enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Equal { attribute: String, value: Vec<u8> },
    Substrings { attribute: String, initial: Option<Vec<u8>>, any: Vec<Vec<u8>>, last: Option<Vec<u8>> },
    GreaterOrEqual { attribute: String, value: Vec<u8> },
    LessOrEqual { attribute: String, value: Vec<u8> },
    Present { attribute: String },
    Approximate { attribute: String, value: Vec<u8> },
    Extensible { rule: Option<String>, attribute: Option<String>, value: Vec<u8>, names: bool },
}

impl Filter {
    pub(super) fn decode(element: Element<'_>) -> Result<Self, Malformed> {
        Self::decode_below(element, 0)
    }

    fn decode_below(element: Element<'_>, depth: usize) -> Result<Self, Malformed> {
        if depth > MAXIMUM_DEPTH {
            return Err(Malformed);
        }
        match element.tag {
            0xa0 => Ok(Self::And(decode_list(element, depth)?)),
            0xa1 => Ok(Self::Or(decode_list(element, depth)?)),
            0xa2 => Ok(Self::Not(Box::new(Self::decode_below(element.reader().next()?, depth + 1)?))),
            0xa3 => assertion(element).map(|(attribute, value)| Self::Equal { attribute, value }),
            0xa4 => decode_substrings(element),
            0xa5 => assertion(element).map(|(attribute, value)| Self::GreaterOrEqual { attribute, value }),
            0xa6 => assertion(element).map(|(attribute, value)| Self::LessOrEqual { attribute, value }),
            0x87 => Ok(Self::Present { attribute: element.text()? }),
            0xa8 => assertion(element).map(|(attribute, value)| Self::Approximate { attribute, value }),
            0xa9 => decode_extensible(element),
            _ => Err(Malformed),
        }
    }

    /// Whether `entry` matches: `None` when that cannot be said. `readable` tells which attributes can be searched at all.
    pub(super) fn matches(&self, entry: &Entry, readable: &dyn Fn(&str) -> bool) -> Option<bool> {
        let values = |attribute: &str| readable(attribute).then(|| entry.values(attribute));
        match self {
            // RFC 4511 4.5.1.7: one false decides "and", one true decides "or", else an undefined part makes it undefined.
            Self::And(parts) => decide(parts.iter().map(|part| part.matches(entry, readable)), false),
            Self::Or(parts) => decide(parts.iter().map(|part| part.matches(entry, readable)), true),
            Self::Not(part) => part.matches(entry, readable).map(|matches| !matches),
            Self::Equal { attribute, value } | Self::Approximate { attribute, value } => {
                Some(values(attribute)?.iter().any(|stored| attributes::equal(attribute, stored, value)))
            }
            Self::Substrings { attribute, initial, any, last } => Some(
                values(attribute)?
                    .iter()
                    .any(|stored| has_substrings(stored, initial.as_deref(), any, last.as_deref())),
            ),
            Self::GreaterOrEqual { attribute, value } => {
                Some(values(attribute)?.iter().any(|stored| order(stored, value).is_ge()))
            }
            Self::LessOrEqual { attribute, value } => {
                Some(values(attribute)?.iter().any(|stored| order(stored, value).is_le()))
            }
            Self::Present { attribute } => Some(!values(attribute)?.is_empty()),
            Self::Extensible { rule, attribute, value, .. } => {
                let attribute = attribute.as_deref()?;
                let values = values(attribute)?;
                match rule.as_deref() {
                    Some(BIT_AND) => bits(values, value, |stored, mask| stored & mask == mask),
                    Some(BIT_OR) => bits(values, value, |stored, mask| stored & mask != 0),
                    Some(_) => None,
                    None => Some(values.iter().any(|stored| attributes::equal(attribute, stored, value))),
                }
            }
        }
    }

    /// The names of all attributes that the filter asks about.
    pub(super) fn attributes(&self) -> Vec<&str> {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().flat_map(Self::attributes).collect(),
            Self::Not(part) => part.attributes(),
            Self::Equal { attribute, .. }
            | Self::Substrings { attribute, .. }
            | Self::GreaterOrEqual { attribute, .. }
            | Self::LessOrEqual { attribute, .. }
            | Self::Present { attribute }
            | Self::Approximate { attribute, .. } => vec![attribute],
            Self::Extensible { attribute, .. } => attribute.as_deref().into_iter().collect(),
        }
    }
}

fn decide(parts: impl Iterator<Item = Option<bool>>, decisive: bool) -> Option<bool> {
    let mut outcome = Some(!decisive);
    for part in parts {
        match part {
            Some(value) if value == decisive => return Some(decisive),
            Some(_) => {}
            None => outcome = None,
        }
    }
    outcome
}

fn bits(values: &[Vec<u8>], mask: &[u8], test: impl Fn(i64, i64) -> bool) -> Option<bool> {
    let mask = number(mask)?;
    Some(values.iter().filter_map(|stored| number(stored)).any(|stored| test(stored, mask)))
}

fn number(value: &[u8]) -> Option<i64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// Numbers by value, everything else by its lower-case text; generalized times of one form sort rightly as text.
fn order(stored: &[u8], asserted: &[u8]) -> std::cmp::Ordering {
    match (number(stored), number(asserted)) {
        (Some(stored), Some(asserted)) => stored.cmp(&asserted),
        _ => folded(stored).cmp(&folded(asserted)),
    }
}

fn folded(value: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(value) {
        Ok(text) => text.to_lowercase().into_bytes(),
        Err(_) => value.to_vec(),
    }
}

fn has_substrings(stored: &[u8], initial: Option<&[u8]>, any: &[Vec<u8>], last: Option<&[u8]>) -> bool {
    let stored = folded(stored);
    let mut rest = stored.as_slice();
    if let Some(initial) = initial {
        match rest.strip_prefix(folded(initial).as_slice()) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    for part in any {
        let part = folded(part);
        let found = if part.is_empty() {
            Some(0)
        } else {
            rest.windows(part.len()).position(|window| window == part)
        };
        match found.and_then(|place| rest.get(place + part.len()..)) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    last.is_none_or(|last| rest.ends_with(&folded(last)))
}

fn decode_list(element: Element<'_>, depth: usize) -> Result<Vec<Filter>, Malformed> {
    let mut reader = element.reader();
    let mut parts = Vec::new();
    while !reader.is_empty() {
        parts.push(Filter::decode_below(reader.next()?, depth + 1)?);
    }
    Ok(parts)
}

fn assertion(element: Element<'_>) -> Result<(String, Vec<u8>), Malformed> {
    let mut parts = element.reader();
    let attribute = parts.expect(ber::OCTET_STRING)?.text()?;
    Ok((attribute, parts.expect(ber::OCTET_STRING)?.content.to_vec()))
}

fn decode_substrings(element: Element<'_>) -> Result<Filter, Malformed> {
    let mut parts = element.reader();
    let attribute = parts.expect(ber::OCTET_STRING)?.text()?;
    let mut pieces = parts.expect(ber::SEQUENCE)?.reader();
    let (mut initial, mut any, mut last) = (None, Vec::new(), None);
    while !pieces.is_empty() {
        let piece = pieces.next()?;
        let value = piece.content.to_vec();
        match piece.tag {
            0x80 if initial.is_none() && any.is_empty() && last.is_none() => initial = Some(value),
            0x81 if last.is_none() => any.push(value),
            0x82 if last.is_none() => last = Some(value),
            _ => return Err(Malformed),
        }
    }
    Ok(Filter::Substrings { attribute, initial, any, last })
}

fn decode_extensible(element: Element<'_>) -> Result<Filter, Malformed> {
    let mut parts = element.reader();
    let (mut rule, mut attribute, mut value, mut names) = (None, None, None, false);
    while !parts.is_empty() {
        let part = parts.next()?;
        match part.tag {
            0x81 => rule = Some(part.text()?),
            0x82 => attribute = Some(part.text()?),
            0x83 => value = Some(part.content.to_vec()),
            0x84 => names = part.content != [0],
            _ => return Err(Malformed),
        }
    }
    Ok(Filter::Extensible { rule, attribute, value: value.ok_or(Malformed)?, names })
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, sign: &str, parts: &[Filter]| {
            write!(f, "({sign}")?;
            parts.iter().try_for_each(|part| write!(f, "{part}"))?;
            write!(f, ")")
        };
        match self {
            Self::And(parts) => list(f, "&", parts),
            Self::Or(parts) => list(f, "|", parts),
            Self::Not(part) => write!(f, "(!{part})"),
            Self::Equal { attribute, value } => write!(f, "({attribute}={})", escaped(value)),
            Self::Substrings { attribute, initial, any, last } => {
                write!(f, "({attribute}={}*", escaped(initial.as_deref().unwrap_or_default()))?;
                any.iter().try_for_each(|part| write!(f, "{}*", escaped(part)))?;
                write!(f, "{})", escaped(last.as_deref().unwrap_or_default()))
            }
            Self::GreaterOrEqual { attribute, value } => write!(f, "({attribute}>={})", escaped(value)),
            Self::LessOrEqual { attribute, value } => write!(f, "({attribute}<={})", escaped(value)),
            Self::Present { attribute } => write!(f, "({attribute}=*)"),
            Self::Approximate { attribute, value } => write!(f, "({attribute}~={})", escaped(value)),
            Self::Extensible { rule, attribute, value, names } => {
                let names = if *names { ":dn" } else { "" };
                let rule = rule.as_ref().map(|rule| format!(":{rule}")).unwrap_or_default();
                write!(f, "({}{names}{rule}:={})", attribute.as_deref().unwrap_or_default(), escaped(value))
            }
        }
    }
}

/// A value as RFC 4515 section 3 writes it: the five special characters, control characters and whatever is no UTF-8 as
/// backslash and two hexadecimal digits.
fn escaped(value: &[u8]) -> String {
    let readable = std::str::from_utf8(value).is_ok();
    let mut bytes = Vec::new();
    for &byte in value {
        if matches!(byte, b'*' | b'(' | b')' | b'\\')
            || byte.is_ascii_control()
            || (!readable && !byte.is_ascii())
        {
            bytes.extend(format!("\\{byte:02x}").into_bytes());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn substrings(initial: &str, any: &[&str], last: &str) -> bool {
        let part = |text: &str| (!text.is_empty()).then(|| text.as_bytes().to_vec());
        let any: Vec<Vec<u8>> = any.iter().map(|text| text.as_bytes().to_vec()).collect();
        has_substrings(b"MSSQLSvc/sql01.corp:1433", part(initial).as_deref(), &any, part(last).as_deref())
    }

    #[test]
    fn pieces_must_follow_each_other() {
        assert!(substrings("mssqlsvc/", &["CORP"], ":1433"));
        assert!(substrings("", &["sql0", "corp"], ""));
        assert!(!substrings("", &["corp", "sql0"], ""));
        assert!(!substrings("mssqlsvc/sql01.corp:14", &[], "1433"));
    }

    #[test]
    fn what_cannot_be_searched_stays_undefined_under_negation() {
        let entry = Entry::new("CN=a").with("cn", ["a"]);
        let hidden = Filter::Equal { attribute: "pwdLastSet".to_owned(), value: b"0".to_vec() };
        let known = Filter::Equal { attribute: "cn".to_owned(), value: b"A".to_vec() };
        let readable = |name: &str| name != "pwdLastSet";
        assert_eq!(hidden.matches(&entry, &readable), None);
        assert_eq!(Filter::Not(Box::new(hidden.clone())).matches(&entry, &readable), None);
        assert_eq!(Filter::Or(vec![hidden.clone(), known.clone()]).matches(&entry, &readable), Some(true));
        assert_eq!(Filter::And(vec![hidden, known]).matches(&entry, &readable), None);
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        let entry = Entry::new("CN=a").with("userAccountControl", ["514"]);
        let at_least = |value: &str| Filter::GreaterOrEqual {
            attribute: "userAccountControl".to_owned(),
            value: value.into(),
        };
        assert_eq!(at_least("66").matches(&entry, &|_| true), Some(true));
        assert_eq!(at_least("515").matches(&entry, &|_| true), Some(false));
        let disabled = Filter::Extensible {
            rule: Some(BIT_AND.to_owned()),
            attribute: Some("userAccountControl".to_owned()),
            value: b"2".to_vec(),
            names: false,
        };
        assert_eq!(disabled.matches(&entry, &|_| true), Some(true));
        assert_eq!(disabled.to_string(), "(userAccountControl:1.2.840.113556.1.4.803:=2)");
    }

    #[test]
    fn text_form_escapes_what_would_change_its_meaning() {
        let filter = Filter::Equal { attribute: "cn".to_owned(), value: b"a*(b)\\\0".to_vec() };
        assert_eq!(filter.to_string(), "(cn=a\\2a\\28b\\29\\5c\\00)");
    }
}
