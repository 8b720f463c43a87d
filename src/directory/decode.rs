//! What an entry of the directory holds, decoded: SIDs, GUIDs, flags, times, ranged values. Pure. An attribute that is
//! not there may be hidden: every reader here says "none", never a default.

use crate::model::account::{AccountClass, Sid};
use crate::model::directory::{AccountNames, Domain};
use crate::model::host::HostName;
use crate::model::spn::Spn;

use super::dn;

/// Bit of userAccountControl: the account is disabled (ADS_UF_ACCOUNT_DISABLE, MS-ADTS 2.2.16).
const DISABLED: i64 = 0x2;

/// Bit of a crossRef's systemFlags: it stands for a domain (FLAG_CR_NTDS_DOMAIN, MS-ADTS 2.2.10).
const CROSS_REFERENCE_OF_DOMAIN: i64 = 0x2;

/// One entry as it came: values as octets, because text and binary arrive alike.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Entry {
    /// Distinguished name.
    pub(super) dn: String,
    /// Attribute descriptions as the server wrote them, options included, each with its values.
    pub(super) attributes: Vec<(String, Vec<Vec<u8>>)>,
}

/// Values of an attribute, and where the rest begins if a server cut them (MS-ADTS 3.1.1.3.1.3.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ranged<'a> {
    /// This part.
    pub(super) values: Vec<&'a [u8]>,
    /// First index of the next part.
    pub(super) next: Option<u32>,
}

impl Entry {
    /// The values of an attribute, whole or in part. `None`: it did not come, because it has no value or is hidden.
    pub(super) fn ranged(&self, name: &str) -> Option<Ranged<'_>> {
        let mut found: Option<Ranged<'_>> = None;
        for (description, values) in &self.attributes {
            let mut options = description.split(';');
            if !options.next().is_some_and(|base| base.eq_ignore_ascii_case(name)) {
                continue;
            }
            let next = options.find_map(range_end);
            let part = found.get_or_insert_with(|| Ranged { values: Vec::new(), next: None });
            part.values.extend(values.iter().map(Vec::as_slice));
            part.next = part.next.max(next);
        }
        // A server may send the plain name without values beside the ranged one; neither alone means "none".
        found.filter(|part| !part.values.is_empty())
    }

    /// The octets of all values at hand.
    pub(super) fn values(&self, name: &str) -> Vec<&[u8]> {
        self.ranged(name).map(|part| part.values).unwrap_or_default()
    }

    /// Values that are text. Others are left out: no attribute asked for as text can hold them.
    pub(super) fn texts(&self, name: &str) -> Vec<&str> {
        self.values(name).into_iter().filter_map(|value| std::str::from_utf8(value).ok()).collect()
    }

    /// The first value as text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.texts(name).into_iter().next()
    }

    /// The first value as a number (Integer and LargeInteger are decimal text, RFC 4517 3.3.16).
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.text(name)?.trim().parse().ok()
    }

    /// objectSid.
    pub(super) fn sid(&self) -> Option<Sid> {
        self.values("objectSid").into_iter().find_map(Sid::from_bytes)
    }

    /// objectGUID in its usual form.
    pub(super) fn guid(&self) -> Option<String> {
        self.values("objectGUID").into_iter().find_map(guid)
    }

    /// servicePrincipalName, as far as it came.
    pub(super) fn spns(&self) -> Vec<Spn> {
        self.texts("servicePrincipalName").into_iter().filter_map(Spn::parse).collect()
    }

    /// Host names in this attribute.
    pub(super) fn host_names(&self, name: &str) -> Vec<HostName> {
        self.texts(name).into_iter().filter_map(HostName::parse).collect()
    }

    /// Whether this is the account of that sAMAccountName.
    pub(super) fn is_named(&self, sam: &str) -> bool {
        self.text("sAMAccountName").is_some_and(|name| name.to_lowercase() == sam.to_lowercase())
    }

    /// Who it is; `None` if its objectSid or its sAMAccountName did not come. `domain` is where its name lies.
    pub(super) fn names(&self, domain: Option<&Domain>) -> Option<AccountNames> {
        let domain = match domain {
            Some(domain) if !domain.netbios_name.is_empty() => domain.netbios_name.clone(),
            Some(domain) => domain.dns_name.clone(),
            None => dn::dns_name(&self.dn),
        };
        Some(AccountNames {
            sid: self.sid()?,
            guid: self.guid(),
            dn: self.dn.clone(),
            domain,
            sam: self.text("sAMAccountName")?.to_owned(),
            class: AccountClass::of(self.texts("objectClass")),
            enabled: self.number("userAccountControl").map(|flags| flags & DISABLED == 0),
        })
    }

    /// Whether a missing servicePrincipalName proves that there is none: attributes of the same property set came
    /// (Public-Information, MS-ADTS 3.1.1.2.3.3), so the right to read it is there.
    pub(super) fn shows_public_information(&self) -> bool {
        !self.values("objectClass").is_empty() && !self.values("objectGUID").is_empty()
    }
}

/// The domains among the crossRef objects. A crossRef whose flags are hidden counts if it has a NetBIOS name: only
/// domains have one.
pub(super) fn domains(entries: &[Entry]) -> Vec<Domain> {
    let domain = |entry: &Entry| {
        let is_domain =
            entry.number("systemFlags").is_none_or(|flags| flags & CROSS_REFERENCE_OF_DOMAIN != 0);
        let netbios_name = entry.text("nETBIOSName").filter(|_| is_domain)?;
        Some(Domain {
            dns_name: entry.text("dnsRoot")?.trim_end_matches('.').to_lowercase(),
            netbios_name: netbios_name.to_owned(),
            naming_context: entry.text("nCName")?.to_owned(),
        })
    };
    entries.iter().filter_map(domain).collect()
}

/// `range=0-1499` → 1500; `range=1500-*` → none.
fn range_end(option: &str) -> Option<u32> {
    let (key, range) = option.split_once('=')?;
    let (_, high) = range.split_once('-')?;
    key.eq_ignore_ascii_case("range").then(|| high.parse::<u32>().ok()?.checked_add(1))?
}

/// The text form of a GUID: its first three fields are little-endian (MS-DTYP 2.3.4.2).
fn guid(bytes: &[u8]) -> Option<String> {
    let bytes: [u8; 16] = bytes.try_into().ok()?;
    let [a, b, c, d, e, f, g, h, i, j, tail @ ..] = bytes;
    let mut text = format!(
        "{:08x}-{:04x}-{:04x}-{:02x}{:02x}-",
        u32::from_le_bytes([a, b, c, d]),
        u16::from_le_bytes([e, f]),
        u16::from_le_bytes([g, h]),
        i,
        j
    );
    for byte in tail {
        text.push_str(&format!("{byte:02x}"));
    }
    Some(text)
}

/// GeneralizedTime as Active Directory writes it, `20261122082907.0Z` (RFC 4517 3.3.13), in Unix seconds.
pub(super) fn generalized_time(text: &str) -> Option<f64> {
    let text = text.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once(['.', ',']).unwrap_or((text, "0"));
    if whole.len() != 14 || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let field = |from: usize, to: usize| whole.get(from..to)?.parse::<i64>().ok();
    let (year, month, day) = (field(0, 4)?, field(4, 6)?, field(6, 8)?);
    let (hour, minute, second) = (field(8, 10)?, field(10, 12)?, field(12, 14)?);
    let is_valid = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..=60).contains(&second);
    if !is_valid {
        return None;
    }
    // Days since 1970-01-01 in the proleptic Gregorian calendar, with years that begin in March so that the leap day
    // is the last one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let era_days = 365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let days = era_days + (153 * month + 2) / 5 + day - 1 - 719_468;
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second;
    let fraction: f64 = format!("0.{fraction}").parse().ok()?;
    #[expect(clippy::cast_precision_loss, reason = "four-digit years give far less than 2^53 seconds")]
    Some(seconds as f64 + fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(attributes: &[(&str, &[&[u8]])]) -> Entry {
        Entry {
            dn: "CN=svc,DC=corp,DC=contoso,DC=com".into(),
            attributes: attributes
                .iter()
                .map(|(name, values)| {
                    ((*name).to_owned(), values.iter().map(|value| value.to_vec()).collect())
                })
                .collect(),
        }
    }

    #[test]
    fn names_of_attributes_ignore_case_and_ranges_are_followed() {
        let cut = entry(&[
            ("ServicePrincipalNAME", &[]),
            ("serviceprincipalname;range=0-1499", &[b"MSSQLSvc/a", b"MSSQLSvc/b"]),
        ]);
        let part = cut.ranged("servicePrincipalName").unwrap();
        assert_eq!((part.values.len(), part.next), (2, Some(1500)));
        let last = entry(&[("servicePrincipalName;Range=1500-*", &[b"MSSQLSvc/c"])]);
        assert_eq!(last.ranged("servicePrincipalName").unwrap().next, None);
        assert_eq!(entry(&[("servicePrincipalName2", &[b"x"])]).ranged("servicePrincipalName"), None);
        assert_eq!(entry(&[("servicePrincipalName", &[])]).ranged("servicePrincipalName"), None);
        assert_eq!(entry(&[("a;range=0-4294967295", &[b"x"])]).ranged("a").unwrap().next, None);
        assert_eq!(entry(&[("a;range=", &[b"x"])]).ranged("a").unwrap().next, None);
    }

    #[test]
    fn identifiers() {
        let sid = [1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0x50, 4, 0, 0];
        let guid: [u8; 16] =
            [0x33, 0x22, 0x11, 0, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];
        let entry = entry(&[("objectsid", &[&sid]), ("objectGuid", &[&guid])]);
        assert_eq!(entry.sid().unwrap().as_str(), "S-1-5-21-1-2-3-1104");
        assert_eq!(entry.guid().unwrap(), "00112233-4455-6677-8899-aabbccddeeff");
        for hostile in [&b""[..], b"short", &[0xff; 28], &[1, 255, 0, 0, 0, 0, 0, 5]] {
            assert_eq!(
                super::Entry {
                    dn: String::new(),
                    attributes: vec![("objectSid".into(), vec![hostile.to_vec()])]
                }
                .sid(),
                None
            );
            assert_eq!(super::guid(hostile), None);
        }
    }

    #[test]
    fn flags_and_hidden_flags() {
        let sid: &[u8] = &[1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0];
        let enabled = |flags: Option<&[u8]>| {
            let mut attributes: Vec<(&str, Vec<&[u8]>)> =
                vec![("objectSid", vec![sid]), ("sAMAccountName", vec![b"svc\"sql"])];
            attributes.extend(flags.map(|flags| ("userAccountControl", vec![flags])));
            let attributes: Vec<(&str, &[&[u8]])> =
                attributes.iter().map(|(name, values)| (*name, values.as_slice())).collect();
            entry(&attributes).names(None).unwrap().enabled
        };
        assert_eq!(enabled(Some(b"512")), Some(true));
        assert_eq!(enabled(Some(b"514")), Some(false));
        assert_eq!(enabled(Some(b"4098")), Some(false));
        assert_eq!(enabled(Some(b"x")), None);
        assert_eq!(enabled(None), None);
        assert_eq!(entry(&[("objectSid", &[sid])]).names(None), None);
    }

    #[test]
    fn times() {
        for (text, expected) in [
            ("19700101000000.0Z", Some(0.0)),
            ("20261122082907.0Z", Some(1_795_336_147.0)),
            ("20240229235959.5Z", Some(1_709_251_199.5)),
            ("16010101000000.0Z", Some(-11_644_473_600.0)),
            ("20240101000000Z", Some(1_704_067_200.0)),
            ("20241301000000.0Z", None),
            ("2024010100000.0Z", None),
            ("20240101000000.0", None),
            ("２０２４０１０１Z", None),
            ("-0240101000000Z", None),
            ("", None),
        ] {
            assert_eq!(generalized_time(text), expected, "{text}");
        }
    }

    #[test]
    fn domains_come_from_cross_references() {
        let cross = |flags: &'static [u8], netbios: Option<&'static [u8]>| {
            let mut entry = entry(&[
                ("systemFlags", &[flags]),
                ("dnsRoot", &[b"Corp.contoso.com."]),
                ("nCName", &[b"DC=corp,DC=contoso,DC=com"]),
            ]);
            entry.attributes.extend(netbios.map(|name| ("nETBIOSName".to_owned(), vec![name.to_vec()])));
            entry
        };
        let found = domains(&[cross(b"3", Some(b"NTDOM")), cross(b"1", None), cross(b"5", Some(b"X"))]);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].dns_name.as_str(), found[0].netbios_name.as_str()),
            ("corp.contoso.com", "NTDOM")
        );
    }
}
