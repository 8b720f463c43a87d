//! What holds for a whole domain and between domains: its functional level, since when accounts get AES keys, its trusts,
//! and how its domain controllers are.

use super::condition::EncryptionTypes;
use super::instance::ClockReading;
use super::observed::{Failure, Known};

/// What the directory says of one domain.
#[derive(Debug, Clone, PartialEq)]
pub struct DomainPolicy {
    /// msDS-Behavior-Version of the domain: 3 is Windows Server 2008, 7 is 2016 (MS-ADTS 6.1.4.3).
    pub functional_level: Known<u32>,
    /// whenCreated of the group Read-only Domain Controllers (RID 521), Unix seconds: it comes with the first domain
    /// controller of Windows Server 2008 or later, and passwords set before it have no AES keys (JUDGEMENT 6: probably).
    pub aes_since: Known<f64>,
    /// Its trusts, as trustedDomain objects.
    pub trusts: Known<Vec<Trust>>,
}

/// Who may use a trust (trustDirection, MS-ADTS 6.1.6.7.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrustDirection {
    /// 0.
    Disabled,
    /// 1, inbound: the other domain trusts ours; our users can go there.
    Inbound,
    /// 2, outbound: ours trusts the other one; its users can come here.
    Outbound,
    /// 3.
    Both,
}

/// One trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// trustPartner: DNS name of the other domain, lower case.
    pub partner: String,
    /// flatName: its NetBIOS name.
    pub netbios_name: Option<String>,
    /// trustDirection.
    pub direction: TrustDirection,
    /// trustType (MS-ADTS 6.1.6.7.15): 1 downlevel, 2 uplevel (AD), 3 MIT realm.
    pub kind: u32,
    /// trustAttributes (MS-ADTS 6.1.6.7.9).
    pub attributes: u32,
    /// msDS-SupportedEncryptionTypes of the trust; `None`: not set.
    pub encryption_types: Option<EncryptionTypes>,
}

impl Trust {
    /// TRUST_ATTRIBUTE_FOREST_TRANSITIVE.
    pub const fn is_forest_trust(&self) -> bool {
        self.attributes & 0x8 != 0
    }

    /// TRUST_ATTRIBUTE_CROSS_ORGANIZATION: selective authentication.
    pub const fn is_selective(&self) -> bool {
        self.attributes & 0x10 != 0
    }

    /// TRUST_ATTRIBUTE_WITHIN_FOREST.
    pub const fn is_within_forest(&self) -> bool {
        self.attributes & 0x20 != 0
    }

    /// Whether users of the other domain can come to services of ours.
    pub const fn lets_in(&self) -> bool {
        matches!(self.direction, TrustDirection::Outbound | TrustDirection::Both)
    }
}

/// What a domain controller is looked at for; the label `role`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ControllerRole {
    /// LDAP.
    Directory,
    /// Global Catalog.
    GlobalCatalog,
    /// Key Distribution Center.
    Kdc,
}

impl ControllerRole {
    /// The label value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::GlobalCatalog => "global_catalog",
            Self::Kdc => "kdc",
        }
    }
}

/// How one role of one domain controller is.
#[derive(Debug, Clone, PartialEq)]
pub struct ControllerState {
    /// Its host name, lower case; an address where it is configured by address.
    pub server: String,
    /// Which service of it.
    pub role: ControllerRole,
    /// Seconds the look took, or why it failed.
    pub seconds: Result<f64, Failure>,
    /// Its clock, where this look tells it.
    pub clock: Option<ClockReading>,
}
