//! The forms in which Active Directory keeps identifiers and times: SID, GUID, FILETIME, generalized time.
//!
//! Everything made here follows from a name, so that two runs of a scenario give the same directory.

use std::time::{SystemTime, UNIX_EPOCH};

/// "Never" in FILETIME attributes such as accountExpires (MS-ADA1 2.5).
pub const NEVER: i64 = i64::MAX;

/// 100-nanosecond intervals in a second, the unit of FILETIME (MS-DTYP 2.3.3).
pub(super) const INTERVALS_PER_SECOND: i64 = 10_000_000;

/// Seconds from 1 January 1601, where FILETIME begins, to 1 January 1970.
const UNIX_EPOCH_IN_FILETIME: i64 = 11_644_473_600;

/// A security identifier below `S-1-5-21`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DomainSid([u32; 3]);

impl DomainSid {
    /// The domain's identifier; it follows from the domain's DNS name.
    pub fn of(dns: &str) -> Self {
        let part = |seed: &str| (hash(&format!("{seed}{}", dns.to_lowercase())) >> 32) as u32;
        Self([part("sid-1:"), part("sid-2:"), part("sid-3:")])
    }

    /// The binary form (MS-DTYP 2.4.2.2) of the domain's SID, or with `rid` that of an account in it.
    pub fn bytes(self, rid: Option<u32>) -> Vec<u8> {
        let parts: Vec<u32> = [21].into_iter().chain(self.0).chain(rid).collect();
        // Revision 1, number of subauthorities, authority 5 (NT) in six bytes, big-endian.
        let mut bytes = vec![1, parts.len() as u8, 0, 0, 0, 0, 0, 5];
        bytes.extend(parts.iter().flat_map(|part| part.to_le_bytes()));
        bytes
    }

    /// The text form of an account's SID.
    pub fn text(self, rid: u32) -> String {
        let [first, second, third] = self.0;
        format!("S-1-5-21-{first}-{second}-{third}-{rid}")
    }
}

/// The binary form of a SID given as text; `None` if the text is no SID.
pub(super) fn sid_from_text(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.split('-');
    if !parts.next()?.eq_ignore_ascii_case("S") || parts.next()? != "1" {
        return None;
    }
    let authority: u64 = parts.next()?.parse().ok()?;
    let subauthorities: Vec<u32> = parts.map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let mut bytes = vec![1, u8::try_from(subauthorities.len()).ok()?];
    bytes.extend(&authority.to_be_bytes()[2..]);
    bytes.extend(subauthorities.iter().flat_map(|part| part.to_le_bytes()));
    Some(bytes)
}

/// The objectGUID of the object called `dn`.
pub(super) fn guid(dn: &str) -> [u8; 16] {
    let dn = dn.to_lowercase();
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&hash(&format!("guid-1:{dn}")).to_le_bytes());
    bytes[8..].copy_from_slice(&hash(&format!("guid-2:{dn}")).to_le_bytes());
    bytes
}

/// The base `<GUID=…>` names an entry by its objectGUID (MS-ADTS 3.1.1.3.1.2.4): hexadecimal bytes, or the dashed form.
pub(super) fn guid_from_text(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|&character| character != '-')
        .map(|character| character.to_digit(16).map(|digit| digit as u8))
        .collect::<Option<_>>()?;
    let mut bytes: Vec<u8> =
        digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte * 16 + digit)).collect();
    if bytes.len() != 16 {
        return None;
    }
    if text.contains('-') {
        // The first three groups of the dashed form are little-endian in the bytes (MS-DTYP 2.3.4).
        bytes[..4].reverse();
        bytes[4..6].reverse();
        bytes[6..8].reverse();
    }
    Some(bytes)
}

/// FNV-1a, 64 bit, with a final mix: short names that differ in one letter differ in the upper half as well.
fn hash(text: &str) -> u64 {
    let sum = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    (sum ^ (sum >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ (sum >> 32)
}

/// A time in seconds since 1970 as FILETIME.
pub fn filetime(unix_seconds: i64) -> i64 {
    (unix_seconds + UNIX_EPOCH_IN_FILETIME) * INTERVALS_PER_SECOND
}

/// A time in seconds since 1970 as AD writes generalized time: `20261122082907.0Z`.
pub fn generalized_time(unix_seconds: i64) -> String {
    let (days, second) = (unix_seconds.div_euclid(86_400), unix_seconds.rem_euclid(86_400));
    let (year, month, day) = civil_from_days(days);
    format!("{year:04}{month:02}{day:02}{:02}{:02}{:02}.0Z", second / 3600, second / 60 % 60, second % 60)
}

/// The Gregorian date of a day counted from 1 January 1970: H. Hinnant's `civil_from_days`, with years that begin in March.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Seconds since 1970 by this machine's clock.
#[expect(clippy::disallowed_methods, reason = "a peer lives by the clock of this machine")]
pub(super) fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_active_directory_writes_them() {
        assert_eq!(generalized_time(0), "19700101000000.0Z");
        assert_eq!(generalized_time(1_709_251_199), "20240229235959.0Z");
        assert_eq!(generalized_time(1_795_336_147), "20261122082907.0Z");
        assert_eq!(filetime(0), 116_444_736_000_000_000);
    }

    #[test]
    fn identifiers_follow_from_names_and_differ_between_them() {
        let (corp, eu) = (DomainSid::of("corp.contoso.com"), DomainSid::of("eu.contoso.com"));
        assert_eq!(corp, DomainSid::of("CORP.contoso.com"));
        assert_ne!(corp, eu);
        assert_eq!(sid_from_text(&corp.text(1104)), Some(corp.bytes(Some(1104))));
        assert_eq!(sid_from_text("S-1-5-18"), Some(vec![1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0]));
        assert_eq!(sid_from_text("CORP\\joe"), None);
        assert_ne!(guid("CN=a,DC=corp"), guid("CN=b,DC=corp"));
    }
}
