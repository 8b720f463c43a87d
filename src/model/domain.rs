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
    /// pwdLastSet of krbtgt, whose keys tickets for tickets are made with, Unix seconds.
    pub krbtgt_set: Known<f64>,
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

impl TrustDirection {
    /// Of the attribute's number, seen from the domain that holds the object.
    pub const fn of(number: i64) -> Option<Self> {
        match number {
            0 => Some(Self::Disabled),
            1 => Some(Self::Inbound),
            2 => Some(Self::Outbound),
            3 => Some(Self::Both),
            _ => None,
        }
    }

    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
            Self::Both => "both directions",
        }
    }
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

    /// Whether the other side is no Kerberos realm: TRUST_TYPE_DOWNLEVEL, a domain of the kind of Windows NT.
    pub const fn is_downlevel(&self) -> bool {
        self.kind == 1
    }

    /// TRUST_ATTRIBUTE_USES_RC4_ENCRYPTION: an MIT realm with RC4 keys only.
    pub const fn uses_rc4(&self) -> bool {
        self.kind == 3 && self.attributes & 0x80 != 0
    }

    /// TRUST_ATTRIBUTE_WITHIN_FOREST.
    pub const fn is_within_forest(&self) -> bool {
        self.attributes & 0x20 != 0
    }

    /// Whether our users can come to services of the other domain.
    pub const fn lets_out(&self) -> bool {
        matches!(self.direction, TrustDirection::Inbound | TrustDirection::Both)
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
    /// Its own name where it has said it, else the host by which it is asked, with an unusual port: the label `server`.
    pub server: String,
    /// By which URL of the question it was asked; the KDC by that of its LDAP service.
    pub url: String,
    /// Which service of it.
    pub role: ControllerRole,
    /// Seconds the look took, or why it failed.
    pub seconds: Result<f64, Failure>,
    /// Its clock, where this look tells it.
    pub clock: Option<ClockReading>,
    /// Refreshes since that look; 0 in the refresh that looked.
    pub refreshes_ago: u32,
}

/// What the KDC said when it was asked for a ticket over a trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Crossing {
    /// The other domain's KDC gave one: the trust works.
    Granted,
    /// Refused, in words.
    Refused(String),
    /// Refused with KDC_ERR_ETYPE_NOSUPP, in words: AES alone was offered.
    WithoutAes(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_trust_allows() {
        let trust = |direction, kind, attributes| Trust {
            partner: "partner.example".into(),
            netbios_name: Some("PARTNER".into()),
            direction: TrustDirection::of(direction).unwrap(),
            kind,
            attributes,
            encryption_types: None,
        };
        let ways: Vec<(bool, bool)> =
            (0..4).map(|n| trust(n, 2, 8)).map(|trust| (trust.lets_in(), trust.lets_out())).collect();
        assert_eq!(ways, [(false, false), (false, true), (true, false), (true, true)]);
        assert_eq!(TrustDirection::of(4), None);
        let selective = trust(3, 2, 0x18);
        assert!(selective.is_forest_trust() && selective.is_selective() && !selective.is_within_forest());
        assert!(trust(3, 2, 0x20).is_within_forest());
        // 0x80 has a meaning for an MIT realm only.
        assert!(trust(3, 3, 0x80).uses_rc4() && !trust(3, 2, 0x80).uses_rc4());
        assert!(trust(3, 1, 0).is_downlevel());
    }
}
