//! A keytab in MIT's format 0x502 (big-endian), as `ktutil`, `ktpass`, `samba-tool` and `adutil` write it. Takes only the newest
//! keys of one principal that can be used; whatever else is in the file is not kept.

use super::Principal;
use super::crypto::{Key, USABLE};
use super::reply::same;
use crate::model::host::HostName;
use crate::model::keytab::KeytabEntry;
use crate::model::ticket::EncryptionType;

/// The first two octets (MIT krb5, "Keytab file format").
const VERSION: [u8; 2] = [0x05, 0x02];

/// The keys of a principal.
pub(super) struct Found {
    /// The components of its name, as the keytab has them.
    pub(super) parts: Vec<String>,
    /// Usable keys of the newest version.
    pub(super) keys: Vec<Key>,
}

/// One entry, borrowed from the file.
struct Entry<'a> {
    realm: &'a [u8],
    parts: Vec<&'a [u8]>,
    version: u32,
    kind: EncryptionType,
    key: &'a [u8],
}

/// Looks for the principal; without one the first of the home realm counts, as MIT's client keytab has it.
///
/// # Errors
/// A sentence without any key.
pub(super) fn find(octets: &[u8], principal: Option<&Principal>, home: &HostName) -> Result<Found, String> {
    let entries = entries(octets)?;
    let realm = principal.and_then(|principal| principal.realm.as_ref()).unwrap_or(home);
    let is_ours = |entry: &&Entry<'_>| {
        same(entry.realm, realm.as_str().as_bytes())
            && principal.is_none_or(|principal| {
                entry.parts.len() == principal.parts.len()
                    && entry
                        .parts
                        .iter()
                        .zip(&principal.parts)
                        .all(|(one, other)| same(one, other.as_bytes()))
            })
    };
    let whom = principal.map_or_else(|| format!("anybody of {realm}"), ToString::to_string);
    let Some(first) = entries.iter().find(is_ours) else {
        return Err(format!("it has no key for {whom}, only {} entries for others", entries.len()));
    };
    let ours = || {
        entries
            .iter()
            .filter(is_ours)
            .filter(|entry| entry.parts.iter().zip(&first.parts).all(|(one, other)| same(one, other)))
    };
    // What is older than the newest version is there for tickets that were issued before, not for logging on.
    let newest = ours().map(|entry| entry.version).max().unwrap_or_default();
    let current = || ours().filter(|entry| entry.version == newest);
    let keys: Vec<Key> = USABLE
        .iter()
        .filter_map(|kind| current().find(|entry| entry.kind == *kind))
        .filter_map(|entry| Key::new(entry.kind, entry.key).ok())
        .collect();
    if keys.is_empty() {
        let kinds: Vec<String> = current().map(|entry| entry.kind.to_string()).collect();
        return Err(format!(
            "version {newest} for {whom} has only {}; aes256 or aes128 is needed",
            kinds.join(", ")
        ));
    }
    let parts = first.parts.iter().map(|part| String::from_utf8_lossy(part).into_owned()).collect();
    Ok(Found { parts, keys })
}

/// Every entry, without its key.
///
/// # Errors
/// A sentence without any key.
pub(super) fn list(octets: &[u8]) -> Result<Vec<KeytabEntry>, String> {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let found = entries(octets)?;
    let described = found.iter().map(|entry| {
        let name: Vec<String> = entry.parts.iter().map(|part| text(part)).collect();
        KeytabEntry::new(format!("{}@{}", name.join("/"), text(entry.realm)), entry.version, entry.kind)
    });
    Ok(described.collect())
}

fn entries(octets: &[u8]) -> Result<Vec<Entry<'_>>, String> {
    let Some((version, mut rest)) = octets.split_at_checked(2) else {
        return Err("it is empty".to_owned());
    };
    if version != VERSION {
        return Err("it is no keytab of format 0x502".to_owned());
    }
    let mut found = Vec::new();
    while let Some((size, after)) = rest.split_first_chunk::<4>() {
        let size = i32::from_be_bytes(*size);
        let length = usize::try_from(size.unsigned_abs()).unwrap_or(usize::MAX);
        let number = found.len() + 1;
        let (content, after) =
            after.split_at_checked(length).ok_or_else(|| format!("entry {number} is cut off"))?;
        // A negative size is a hole: an entry that was deleted.
        if size > 0 {
            found.push(entry(content).ok_or_else(|| format!("entry {number} is cut off"))?);
        }
        rest = after;
    }
    Ok(found)
}

fn entry(octets: &[u8]) -> Option<Entry<'_>> {
    let mut rest = octets;
    let n_parts = short(&mut rest)?;
    let realm = counted(&mut rest)?;
    let parts = (0..n_parts).map(|_| counted(&mut rest)).collect::<Option<Vec<_>>>()?;
    // Name type and time of writing.
    take(&mut rest, 8)?;
    let [old_version] = take(&mut rest, 1)? else { return None };
    let kind = EncryptionType(short(&mut rest)?.into());
    let key = counted(&mut rest)?;
    // A version in 32 bits may follow; the one in 8 bits wraps around.
    let version = match rest.first_chunk::<4>().map(|version| u32::from_be_bytes(*version)) {
        Some(version @ 1..) => version,
        Some(0) | None => u32::from(*old_version),
    };
    Some(Entry { realm, parts, version, kind, key })
}

fn take<'a>(rest: &mut &'a [u8], n: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(n)?;
    *rest = after;
    Some(taken)
}

fn short(rest: &mut &[u8]) -> Option<u16> {
    take(rest, 2)?.first_chunk().map(|octets| u16::from_be_bytes(*octets))
}

fn counted<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = short(rest)?;
    take(rest, length.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(text: &[u8]) -> Vec<u8> {
        [&u16::try_from(text.len()).unwrap().to_be_bytes()[..], text].concat()
    }

    fn written(name: &str, version: u32, kind: u16, key: &[u8]) -> Vec<u8> {
        let (name, realm) = name.split_once('@').unwrap();
        let parts: Vec<&str> = name.split('/').collect();
        let mut entry = u16::try_from(parts.len()).unwrap().to_be_bytes().to_vec();
        entry.extend(counted(realm.as_bytes()));
        parts.iter().for_each(|part| entry.extend(counted(part.as_bytes())));
        entry.extend([0, 0, 0, 1, 0x69, 0, 0, 0, version.to_be_bytes()[3]]);
        entry.extend(kind.to_be_bytes());
        entry.extend(counted(key));
        entry.extend(version.to_be_bytes());
        [&i32::try_from(entry.len()).unwrap().to_be_bytes()[..], &entry].concat()
    }

    fn keytab(entries: &[Vec<u8>]) -> Vec<u8> {
        [&VERSION[..], &entries.concat()].concat()
    }

    fn home() -> HostName {
        HostName::parse("corp.contoso.com").unwrap()
    }

    fn look(octets: &[u8], principal: Option<&str>) -> Result<(String, Vec<&'static str>), String> {
        let principal = principal.map(|text| Principal::parse(text).unwrap());
        let found = find(octets, principal.as_ref(), &home())?;
        let kinds = found.keys.iter().map(|key| match key.kind() {
            EncryptionType::AES256 => "aes256",
            EncryptionType::AES128 => "aes128",
            _ => "other",
        });
        Ok((found.parts.join("/"), kinds.collect()))
    }

    #[test]
    fn the_newest_usable_keys_of_the_principal() {
        let realm = "CORP.CONTOSO.COM";
        let reader = format!("svc_exporter@{realm}");
        let mut hole = written(&reader, 9, 18, &[9; 32]);
        let size = i32::try_from(hole.len() - 4).unwrap();
        hole[..4].copy_from_slice(&(-size).to_be_bytes());
        let file = keytab(&[
            written(&format!("SQL01$@{realm}"), 7, 18, &[1; 32]),
            written(&reader, 2, 18, &[2; 32]),
            written(&reader, 300, 23, &[3; 16]),
            written(&reader, 300, 17, &[3; 16]),
            hole,
            written(&reader, 300, 18, &[3; 32]),
            written(&format!("host/a.b@{realm}"), 1, 23, &[4; 16]),
        ]);
        let both = vec!["aes256", "aes128"];
        for name in ["svc_exporter", "SVC_Exporter@corp.contoso.com"] {
            assert_eq!(look(&file, Some(name)), Ok(("svc_exporter".to_owned(), both.clone())), "{name}");
        }
        assert_eq!(look(&file, None), Ok(("SQL01$".to_owned(), vec!["aes256"])), "the first one");
        for (name, part) in [
            ("host/a.b", "version 1 for host/a.b has only rc4; aes256 or aes128 is needed"),
            ("nobody", "no key for nobody, only 6 entries"),
            ("svc_exporter@other.example", "no key for svc_exporter@other.example"),
        ] {
            assert!(
                look(&file, Some(name)).is_err_and(|error| error.contains(part)),
                "{:?}",
                look(&file, Some(name))
            );
        }
    }

    #[test]
    fn a_list_has_everything_but_the_keys() {
        let file = keytab(&[
            written(
                "MSSQLSvc/sql01.corp.contoso.com:1433@CORP.CONTOSO.COM",
                300,
                18,
                b"secretsecretsecretsecretsecretse",
            ),
            written("svc_sql@CORP.CONTOSO.COM", 2, 23, &[2; 16]),
        ]);
        let list = list(&file).unwrap();
        let told: Vec<_> = list
            .iter()
            .map(|entry| (entry.principal.as_str(), entry.key_version, entry.encryption.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("MSSQLSvc/sql01.corp.contoso.com:1433@CORP.CONTOSO.COM", 300, "aes256"),
                ("svc_sql@CORP.CONTOSO.COM", 2, "rc4"),
            ]
        );
        assert!(!format!("{list:?}").contains("secret"));
    }

    #[test]
    fn hostile_octets_are_errors() {
        let fine = keytab(&[written("a/b@CORP.CONTOSO.COM", 1, 18, &[7; 32])]);
        assert!(look(&fine, None).is_ok());
        for cut in 0..fine.len() {
            assert!(look(&fine[..cut], None).is_err(), "cut to {cut}");
        }
        for (at, _) in fine.iter().enumerate() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut changed = fine.clone();
                changed[at] = value;
                // Any outcome but a panic.
                let _ = look(&changed, None);
            }
        }
        for (octets, part) in [
            (&b""[..], "empty"),
            (b"\x05\x01", "format 0x502"),
            (b"hello", "format 0x502"),
            (b"\x05\x02\x80\x00\x00\x00", "cut off"),
            (b"\x05\x02\x7f\xff\xff\xff", "cut off"),
            (b"\x05\x02\x00\x00\x00\x02\xff\xff", "cut off"),
            (b"\x05\x02", "no key for anybody"),
        ] {
            assert!(look(octets, None).is_err_and(|error| error.contains(part)), "{octets:?}");
        }
    }
}
