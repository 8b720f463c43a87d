//! Entries of a directory and their names: what an entry holds, and when two distinguished names are the same.
//!
//! No schema: which attributes are constructed or in the global catalogue is told by `attributes`.

/// One object of the directory.
#[derive(Debug, Clone)]
pub struct Entry {
    dn: String,
    /// The comparable form of `dn`, kept because every search compares all entries.
    components: Vec<String>,
    attributes: Vec<(String, Vec<Vec<u8>>)>,
}

impl Entry {
    /// An entry that has nothing but its name.
    pub fn new(dn: &str) -> Self {
        let entry = Self { dn: dn.to_owned(), components: components(dn), attributes: Vec::new() };
        entry.with("distinguishedName", [dn])
    }

    /// The distinguished name as it is shown.
    pub fn dn(&self) -> &str {
        &self.dn
    }

    /// The same entry with `name` set to `values`.
    #[must_use]
    pub fn with<Value: AsRef<[u8]>>(mut self, name: &str, values: impl IntoIterator<Item = Value>) -> Self {
        self.set(name, values);
        self
    }

    /// Sets `name` to `values`; no values remove the attribute.
    pub fn set<Value: AsRef<[u8]>>(&mut self, name: &str, values: impl IntoIterator<Item = Value>) {
        let values: Vec<Vec<u8>> = values.into_iter().map(|value| value.as_ref().to_vec()).collect();
        let place = self.attributes.iter().position(|(known, _)| known.eq_ignore_ascii_case(name));
        match place {
            Some(place) if values.is_empty() => drop(self.attributes.remove(place)),
            Some(place) => self.attributes[place].1 = values,
            None if values.is_empty() => {}
            None => self.attributes.push((name.to_owned(), values)),
        }
    }

    /// Adds one value to `name`.
    pub fn add(&mut self, name: &str, value: &str) {
        let mut values = self.values(name).to_vec();
        values.push(value.as_bytes().to_vec());
        self.set(name, values);
    }

    /// Removes one value of `name`, compared without regard to case.
    pub fn remove(&mut self, name: &str, value: &str) {
        let mut values = self.values(name).to_vec();
        values.retain(|known| !known.eq_ignore_ascii_case(value.as_bytes()));
        self.set(name, values);
    }

    /// The values of `name`; none if the entry does not have it.
    pub fn values(&self, name: &str) -> &[Vec<u8>] {
        self.attributes
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map_or(&[], |(_, values)| values.as_slice())
    }

    /// The first value of `name` as text, if it is UTF-8.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values(name).first().and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The first value of `name` as a number.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.text(name).and_then(|text| text.parse().ok())
    }

    /// All attributes, with their names as the schema spells them.
    pub fn attributes(&self) -> &[(String, Vec<Vec<u8>>)] {
        &self.attributes
    }

    /// The name in comparable form, the entry's own component first.
    pub(super) fn components(&self) -> &[String] {
        &self.components
    }
}

/// The components of a distinguished name in comparable form: lower case, no blanks around separators, escapes resolved.
pub(super) fn components(dn: &str) -> Vec<String> {
    split_dn(dn).iter().map(|component| comparable(component)).collect()
}

/// Splits a distinguished name into its components and resolves the escapes (RFC 4514 section 2.4).
pub(super) fn split_dn(dn: &str) -> Vec<String> {
    let mut components = Vec::new();
    let mut bytes: Vec<u8> = Vec::new();
    let mut input = dn.bytes().peekable();
    while let Some(byte) = input.next() {
        match byte {
            b',' => components.push(std::mem::take(&mut bytes)),
            b'\\' => {
                let Some(first) = input.next() else { break };
                let second = input.peek().copied().filter(u8::is_ascii_hexdigit);
                match (char::from(first).to_digit(16), second.and_then(|byte| char::from(byte).to_digit(16)))
                {
                    (Some(high), Some(low)) => {
                        input.next();
                        bytes.push((high * 16 + low) as u8);
                    }
                    _ => bytes.push(first),
                }
            }
            byte => bytes.push(byte),
        }
    }
    if !bytes.is_empty() || !components.is_empty() {
        components.push(bytes);
    }
    components.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
}

fn comparable(component: &str) -> String {
    match component.split_once('=') {
        Some((kind, value)) => format!("{}={}", kind.trim().to_lowercase(), value.trim().to_lowercase()),
        None => component.trim().to_lowercase(),
    }
}

/// Whether the name `inner` is `outer` or lies below it.
pub(super) fn is_within(inner: &[String], outer: &[String]) -> bool {
    inner.ends_with(outer)
}

/// Escapes text for use as a value in a distinguished name (RFC 4514 section 2.4).
pub fn escape_dn(value: &str) -> String {
    let mut escaped = String::new();
    let last = value.chars().count().saturating_sub(1);
    for (place, character) in value.chars().enumerate() {
        match character {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=' => escaped.extend(['\\', character]),
            ' ' if place == 0 || place == last => escaped.push_str("\\ "),
            '#' if place == 0 => escaped.push_str("\\#"),
            character if character.is_ascii_control() => {
                escaped.push_str(&format!("\\{:02X}", character as u32));
            }
            character => escaped.push(character),
        }
    }
    escaped
}

/// `corp.contoso.com` as `DC=corp,DC=contoso,DC=com`.
pub fn domain_dn(dns: &str) -> String {
    dns.split('.').map(|label| format!("DC={label}")).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_case_blanks_and_escapes() {
        assert_eq!(components("CN=Doe\\, Joe , DC=Corp"), components("cn=doe\\2c joe,dc=corp"));
        assert_eq!(components("CN=a,DC=corp").len(), 2);
        assert!(components("").is_empty());
        assert!(is_within(&components("CN=a,DC=corp,DC=com"), &components("dc=corp, dc=com")));
        assert!(!is_within(&components("DC=xcorp,DC=com"), &components("DC=corp,DC=com")));
    }

    #[test]
    fn hostile_text_survives_escaping() {
        for text in ["a,b", " lead", "trail ", "#x", "q\"+<>;=\\", "line\nbreak", "ä"] {
            let dn = format!("CN={},DC=corp", escape_dn(text));
            let own = components(&dn).remove(0);
            assert_eq!(own, format!("cn={}", text.trim().to_lowercase()), "{dn}");
        }
    }
}
