//! What is asked of Key Distribution Centers and what they answered: a service ticket for an SPN, or the error that a client
//! would get; whether a trust works. Never a ticket or a key: those do not leave the probe (JUDGEMENT 10).

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use super::host::HostName;
use super::instance::ClockReading;
pub use super::kerberos_error::KerberosError;
use super::observed::{Known, Now};
use super::spn::Spn;
pub use super::ticket_client::{ClientAnswer, ClientName};

/// The port of a KDC (RFC 4120 7.2.3).
pub const KDC_PORT: u16 = 88;

/// The question: the union over all instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketQuestion {
    /// The realm of the exporter's own principal, as the DNS name of its domain.
    pub home: HostName,
    /// The KDCs of each realm, best first. A realm without an entry can be named by a KDC but not be asked.
    pub realms: BTreeMap<HostName, Vec<KdcAddress>>,
    /// A service ticket for each of these is wanted.
    pub spns: BTreeMap<Spn, Ask>,
    /// Realms for which a working trust is to be proven.
    pub cross_realms: BTreeSet<HostName>,
    /// The accounts that hold them, by SID, as the directory has them now: after a change all their SPNs are asked for.
    pub holders: BTreeMap<String, Standing>,
    /// Service accounts for which a KDC is asked for a logon without a proof (`ticket.ask_service_accounts`).
    pub clients: BTreeSet<ClientName>,
}

/// What a change of asks for all SPNs of an account once more (JUDGEMENT 10). What is not known counts as unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// msDS-KeyVersionNumber.
    pub key_version: Option<u32>,
    /// pwdLastSet, Unix seconds; 0: must be changed.
    pub password_set: Option<i64>,
    /// msDS-SupportedEncryptionTypes; 0: not set.
    pub encryption_types: Option<u32>,
    /// Its required SPNs that are where they belong.
    pub spns: BTreeSet<Spn>,
}

impl Standing {
    /// The same, with what was known earlier in the place of what is not known now.
    #[must_use]
    pub fn or(mut self, earlier: Option<&Self>) -> Self {
        if let Some(earlier) = earlier {
            self.key_version = self.key_version.or(earlier.key_version);
            self.password_set = self.password_set.or(earlier.password_set);
            self.encryption_types = self.encryption_types.or(earlier.encryption_types);
        }
        self
    }
}

impl TicketQuestion {
    /// A question to this realm, with nothing asked yet.
    pub const fn new(home: HostName) -> Self {
        Self {
            home,
            realms: BTreeMap::new(),
            spns: BTreeMap::new(),
            cross_realms: BTreeSet::new(),
            holders: BTreeMap::new(),
            clients: BTreeSet::new(),
        }
    }

    /// Whether everything asked here was asked in `earlier` too.
    pub fn is_part_of(&self, earlier: &Self) -> bool {
        self.home == earlier.home
            && self.realms.iter().all(|(realm, kdcs)| earlier.realms.get(realm) == Some(kdcs))
            && self.spns.iter().all(|(spn, ask)| earlier.spns.get(spn) == Some(ask))
            && self.cross_realms.is_subset(&earlier.cross_realms)
            && self.holders.iter().all(|(sid, standing)| earlier.holders.get(sid) == Some(standing))
            && self.clients.is_subset(&earlier.clients)
    }

    /// Whether this SPN was asked for in `earlier` in the same way and of the same account.
    pub fn repeats(&self, earlier: &Self, spn: &Spn) -> bool {
        let holder = |question: &Self| {
            question.holders.iter().find(|(_, held)| held.spns.contains(spn)).map(|(sid, held)| {
                let mut held = held.clone();
                // Another port of the same account does not make this one new.
                held.spns.clear();
                (sid.clone(), held)
            })
        };
        self.home == earlier.home
            && self.spns.get(spn) == earlier.spns.get(spn)
            && holder(self) == holder(earlier)
    }
}

/// Where a KDC is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KdcAddress {
    /// Its name.
    pub host: HostName,
    /// TCP port.
    pub port: u16,
    /// Its addresses, where DNS gave them; else the system resolves the name.
    pub addresses: Vec<IpAddr>,
}

impl KdcAddress {
    /// A KDC at the usual port, resolved by the system.
    pub const fn new(host: HostName) -> Self {
        Self { host, port: KDC_PORT, addresses: Vec::new() }
    }
}

impl fmt::Display for KdcAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            KDC_PORT => write!(f, "{}", self.host),
            port if self.host.as_str().contains(':') => write!(f, "[{}]:{port}", self.host),
            port => write!(f, "{}:{port}", self.host),
        }
    }
}

/// How a service ticket is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The realm of the account that holds the SPN, where the directory told it; else the home KDC is asked and its
    /// referrals are followed, as a client does.
    pub realm: Option<HostName>,
    /// The encryption types offered.
    pub offer: Offer,
}

/// The encryption types that a request offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Offer {
    /// AES only: what JUDGEMENT 10 wants wherever it can be.
    Aes,
    /// AES and RC4: only for an account that has nothing else, because such requests look like Kerberoasting.
    AesAndRc4,
}

/// The answer.
#[derive(Debug, Clone, PartialEq)]
pub struct TicketFacts {
    /// The home KDC in use, with its clock.
    pub kdc: Known<KdcReading>,
    /// What came back for each SPN asked for. A gap: no KDC gave an answer about it.
    pub tickets: BTreeMap<Spn, Known<Ticket>>,
    /// What came back for each realm asked for.
    pub realms: BTreeMap<HostName, Known<TrustPath>>,
    /// When each ticket was asked for that an earlier look gave and this one did not ask for again.
    pub since: BTreeMap<Spn, Now>,
    /// What came back for each service account asked about. A gap: no usable answer, and none is waited for again.
    pub clients: BTreeMap<ClientName, Known<ClientAnswer>>,
    /// When each of them was asked about in an earlier look, where this one did not ask again.
    pub clients_since: BTreeMap<ClientName, Now>,
}

/// A KDC that answered.
#[derive(Debug, Clone, PartialEq)]
pub struct KdcReading {
    /// The name it was asked by.
    pub host: HostName,
    /// `stime` and `susec` of a KRB-ERROR where one was part of the exchange; else `authtime`, in whole seconds
    /// (RFC 4120 5.9.1, 5.4.2). From the latest logon or error, so it may be older than the facts.
    pub clock: Known<ClockReading>,
}

/// What a KDC answered to one request for a ticket.
#[derive(Debug, Clone, PartialEq)]
pub enum Ticket {
    /// It issued one. That does not mean that the service can decrypt it.
    Granted(Granted),
    /// It answered with an error.
    Refused(Refusal),
}

/// Whose word an answer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Teller {
    /// This KDC was asked.
    Kdc(HostName),
    /// The logon session of this process was asked: it asks a KDC of its choice, which it does not name, or answers from
    /// its cache of tickets.
    LogonSession,
}

impl Teller {
    /// The KDC, if it has a name.
    pub const fn host(&self) -> Option<&HostName> {
        match self {
            Self::Kdc(host) => Some(host),
            Self::LogonSession => None,
        }
    }
}

impl fmt::Display for Teller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kdc(host) => host.fmt(f),
            Self::LogonSession => f.write_str("the KDC of the logon session"),
        }
    }
}

/// The outer fields of a ticket that was issued.
#[derive(Debug, Clone, PartialEq)]
pub struct Granted {
    /// What the ticket is encrypted with: a key of the account that holds the SPN.
    pub encryption_type: EncryptionType,
    /// The version of that key, where the KDC tells it.
    pub key_version: Option<u32>,
    /// The realm that issued it.
    pub realm: HostName,
    /// Who issued it.
    pub kdc: Teller,
    /// How long that took.
    pub seconds: f64,
}

/// A KRB-ERROR.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// Its code.
    pub error: KerberosError,
    /// The realm whose KDC gave it.
    pub realm: HostName,
    /// Who gave it.
    pub kdc: Teller,
    /// Its e-text, cleaned and cut; of a logon session, the library's words.
    pub text: Option<String>,
    /// Its clock; a logon session tells none.
    pub clock: Option<ClockReading>,
    /// What another KDC of the realm said, where the first one did not know the service: replication tells them apart.
    pub second: Option<Box<SecondOpinion>>,
}

/// The word of one further KDC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondOpinion {
    /// Who.
    pub kdc: HostName,
    /// Its error; `None`: it issued the ticket.
    pub error: Option<KerberosError>,
}

impl Refusal {
    /// Whether a realm on the way to another one refuses the account that asks, here the exporter's: that says nothing of other
    /// clients, nor of the trust, whose ticket it could read. KDC_ERR_POLICY is selective authentication without the right
    /// "Allowed to Authenticate", or an authentication policy (MS-KILE 3.3.5.7).
    pub const fn is_of_the_client(&self) -> bool {
        matches!(self.error, KerberosError::KDC_ERR_POLICY | KerberosError::KDC_ERR_CLIENT_REVOKED)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.kdc, self.realm, self.error)?;
        match &self.text {
            Some(text) => write!(f, ": {text}"),
            None => Ok(()),
        }
    }
}

/// What two realms said about the trust between them.
#[derive(Debug, Clone, PartialEq)]
pub struct TrustPath {
    /// The realms passed on the way, without home and the one asked for: empty for a direct trust.
    pub via: Vec<HostName>,
    /// The cross-realm ticket `krbtgt/OTHER`, by the last realm on the way; refused: there is no such trust.
    pub issued: Ticket,
    /// What the other realm's KDC said when it was shown that ticket and asked for a ticket of its own. Refused: the two
    /// realms do not share the trust's key any more, or the other one does not want us.
    pub accepted: Known<Ticket>,
}

impl TrustPath {
    /// The error that a client would meet, if any is known.
    pub fn refusal(&self) -> Option<&Refusal> {
        match (&self.issued, &self.accepted) {
            (Ticket::Refused(refusal), _) | (_, Ok(Ticket::Refused(refusal))) => Some(refusal),
            (Ticket::Granted(_), _) => None,
        }
    }
}

/// An encryption type by its IANA number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EncryptionType(pub i32);

impl EncryptionType {
    /// des-cbc-crc (RFC 3961 6.2.3).
    pub const DES_CBC_CRC: Self = Self(1);
    /// des-cbc-md5 (RFC 3961 6.2.1).
    pub const DES_CBC_MD5: Self = Self(3);
    /// aes128-cts-hmac-sha1-96 (RFC 3962).
    pub const AES128: Self = Self(17);
    /// aes256-cts-hmac-sha1-96 (RFC 3962).
    pub const AES256: Self = Self(18);
    /// aes128-cts-hmac-sha256-128 (RFC 8009).
    pub const AES128_SHA256: Self = Self(19);
    /// aes256-cts-hmac-sha384-192 (RFC 8009).
    pub const AES256_SHA384: Self = Self(20);
    /// rc4-hmac (RFC 4757).
    pub const RC4: Self = Self(23);
    /// rc4-hmac-exp (RFC 4757).
    pub const RC4_EXP: Self = Self(24);

    /// The label value: Microsoft's short word where there is one, else the number.
    pub fn name(self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::AES256 => "aes256",
            Self::AES128 => "aes128",
            Self::AES256_SHA384 => "aes256_sha384",
            Self::AES128_SHA256 => "aes128_sha256",
            Self::RC4 | Self::RC4_EXP => "rc4",
            Self::DES_CBC_CRC | Self::DES_CBC_MD5 => "des",
            Self(other) => return Cow::Owned(other.to_string()),
        })
    }

    /// Whether it is RC4 or DES: what JUDGEMENT 6 calls weak.
    pub const fn is_weak(self) -> bool {
        matches!(self, Self::RC4 | Self::RC4_EXP | Self::DES_CBC_CRC | Self::DES_CBC_MD5)
    }
}

impl fmt::Display for EncryptionType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encryption_types_have_the_words_of_the_metric() {
        for (number, name, is_weak) in [
            (18, "aes256", false),
            (17, "aes128", false),
            (23, "rc4", true),
            (3, "des", true),
            (16, "16", false),
        ] {
            let found = EncryptionType(number);
            assert_eq!((found.name().as_ref(), found.is_weak()), (name, is_weak));
        }
    }

    #[test]
    fn a_part_of_a_question() {
        let host = |text| HostName::parse(text).unwrap();
        let ask = Ask { realm: None, offer: Offer::Aes };
        let spn = Spn::parse("MSSQLSvc/sql01.corp.contoso.com:1433").unwrap();
        let mut whole = TicketQuestion::new(host("corp.contoso.com"));
        whole.spns.insert(spn.clone(), ask.clone());
        whole.realms.insert(host("corp.contoso.com"), vec![KdcAddress::new(host("dc1"))]);
        whole.cross_realms.insert(host("partner.example"));
        let part = TicketQuestion { cross_realms: BTreeSet::new(), ..whole.clone() };
        assert!(part.is_part_of(&whole) && whole.is_part_of(&whole) && !whole.is_part_of(&part));
        let mut other = part.clone();
        other.spns.insert(spn, Ask { offer: Offer::AesAndRc4, ..ask });
        assert!(!other.is_part_of(&whole), "asked in another way is another question");
        let mut more = whole.clone();
        more.clients.insert(ClientName::new(host("corp.contoso.com"), "SVC_sql"));
        assert!(whole.is_part_of(&more) && !more.is_part_of(&whole));
        let elsewhere = TicketQuestion::new(host("partner.example"));
        assert!(!elsewhere.is_part_of(&whole));
    }
}
