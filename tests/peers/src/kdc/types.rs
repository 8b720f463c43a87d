//! The values of RFC 4120 as picky-krb encodes them: names, times, keys, encrypted parts. Another implementation than the
//! exporter's own, so that the two check each other.

use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use picky_asn1::bit_string::BitString;
use picky_asn1::date::GeneralizedTime;
use picky_asn1::restricted_string::Ia5String;
use picky_asn1::wrapper::{
    Asn1SequenceOf, ExplicitContextTag0, ExplicitContextTag1, ExplicitContextTag2, GeneralizedTimeAsn1,
    IntegerAsn1, OctetStringAsn1, Optional,
};
use picky_krb::crypto::CipherSuite;
use picky_krb::data_types::{
    EncryptedData, EncryptionKey, KerberosFlags, KerberosStringAsn1, KerberosTime, PrincipalName,
};
use rustls::crypto::aws_lc_rs::default_provider;

/// Random octets.
pub(super) fn random(n: usize) -> io::Result<Vec<u8>> {
    let mut octets = vec![0; n];
    let filled = default_provider().secure_random.fill(&mut octets);
    filled.map_err(|_| io::Error::other("no random numbers"))?;
    Ok(octets)
}

/// The wall clock, Unix seconds and microseconds.
#[expect(clippy::disallowed_methods, reason = "a peer lives by the clock of this machine")]
pub(crate) fn wall_clock() -> (i64, u32) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (i64::try_from(since.as_secs()).unwrap_or_default(), since.subsec_micros())
}

pub(super) fn string(text: &str) -> KerberosStringAsn1 {
    KerberosStringAsn1::from(Ia5String::from_string(text.to_owned()).unwrap_or_default())
}

pub(super) fn integer(value: u32) -> IntegerAsn1 {
    IntegerAsn1::from_bytes_be_unsigned(value.to_be_bytes().to_vec())
}

pub(super) fn number(value: &IntegerAsn1) -> u32 {
    value.as_unsigned_bytes_be().iter().fold(0, |number, octet| (number << 8) | u32::from(*octet))
}

pub(super) fn kind(value: &IntegerAsn1) -> i32 {
    number(value).cast_signed()
}

pub(super) fn flags(value: u32) -> KerberosFlags {
    KerberosFlags::from(BitString::with_bytes(value.to_be_bytes().to_vec()))
}

/// A name of NT-SRV-INST or NT-PRINCIPAL (RFC 4120 6.2).
pub(super) fn name(kind: u32, text: &str) -> PrincipalName {
    let parts: Vec<_> = text.split('/').map(string).collect();
    PrincipalName {
        name_type: ExplicitContextTag0::from(integer(kind)),
        name_string: ExplicitContextTag1::from(Asn1SequenceOf::from(parts)),
    }
}

pub(super) fn text(name: &PrincipalName) -> String {
    let parts: Vec<String> = name.name_string.0.0.iter().map(|part| part.0.to_string()).collect();
    parts.join("/")
}

/// `None` outside the years that the type can hold.
pub(super) fn time(seconds: i64) -> Option<KerberosTime> {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Civil calendar from a day count (Howard Hinnant, "chrono-compatible low-level date algorithms").
    let shifted = days + 719_468;
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + shifted.div_euclid(146_097) * 400 + i64::from(month <= 2);
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let small = |number: i64| u8::try_from(number).ok();
    let date = GeneralizedTime::new(
        u16::try_from(year).ok()?,
        small(month)?,
        small(day)?,
        small(second / 3_600)?,
        small(second / 60 % 60)?,
        small(second % 60)?,
    );
    Some(GeneralizedTimeAsn1::from(date?))
}

/// Unix seconds.
pub(super) fn seconds(time: &KerberosTime) -> i64 {
    let date = &time.0;
    let (year, month) = (i64::from(date.year()), i64::from(date.month()));
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let days = 365 * year + leap_days + (153 * month + 2) / 5 + i64::from(date.day()) - 1 - 719_468;
    let clock = [date.hour(), date.minute(), date.second()];
    days * 86_400 + clock.iter().fold(0, |total, part| total * 60 + i64::from(*part))
}

/// An encryption type with a key for it.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) suite: CipherSuite,
    pub(super) octets: Vec<u8>,
}

pub(super) fn suite(kind: i32) -> Option<CipherSuite> {
    match kind {
        super::AES256 => Some(CipherSuite::Aes256CtsHmacSha196),
        super::AES128 => Some(CipherSuite::Aes128CtsHmacSha196),
        _ => None,
    }
}

impl Key {
    pub(super) fn of(kind: i32, password: &str, salt: &str) -> Option<Self> {
        let suite = suite(kind)?;
        let octets = suite.cipher().generate_key_from_password(password.as_bytes(), salt.as_bytes()).ok()?;
        Some(Self { suite, octets })
    }

    pub(super) fn random(kind: i32) -> Option<Self> {
        let suite = suite(kind)?;
        let octets = random(suite.cipher().key_size()).ok()?;
        Some(Self { suite, octets })
    }

    pub(super) fn read(key: &EncryptionKey) -> Option<Self> {
        Some(Self { suite: suite(kind(&key.key_type.0))?, octets: key.key_value.0.0.clone() })
    }

    pub(super) fn encode(&self) -> EncryptionKey {
        EncryptionKey {
            key_type: ExplicitContextTag0::from(integer(u32::from(&self.suite))),
            key_value: ExplicitContextTag1::from(OctetStringAsn1::from(self.octets.clone())),
        }
    }

    pub(super) fn seal(&self, usage: i32, version: Option<u32>, plain: &[u8]) -> Option<EncryptedData> {
        let cipher = self.suite.cipher().encrypt(&self.octets, usage, plain).ok()?;
        Some(sealed(u32::from(&self.suite), version, cipher))
    }

    pub(super) fn open(&self, usage: i32, data: &EncryptedData) -> Option<Vec<u8>> {
        self.suite.cipher().decrypt(&self.octets, usage, &data.cipher.0.0).ok()
    }
}

pub(super) fn sealed(kind: u32, version: Option<u32>, cipher: Vec<u8>) -> EncryptedData {
    EncryptedData {
        etype: ExplicitContextTag0::from(integer(kind)),
        kvno: Optional::from(version.map(|version| ExplicitContextTag1::from(integer(version)))),
        cipher: ExplicitContextTag2::from(OctetStringAsn1::from(cipher)),
    }
}
