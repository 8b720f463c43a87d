//! How a scenario file describes the domains and accounts of a directory.
//!
//! Only the shape of the file; what an account looks like in the directory is made in `accounts`.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};

/// One domain; `other_domains` are further domains of the same forest, of which this one is the root.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DomainSpec {
    /// DNS name of the domain.
    pub dns: String,
    /// NetBIOS name of the domain, the first half of `CORP\joe`.
    pub netbios: String,
    /// The accounts in it.
    pub accounts: Vec<AccountSpec>,
    /// Further domains of the forest. A domain inside this list has none.
    pub other_domains: Vec<DomainSpec>,
    /// Its domain controllers, dc1, dc2 and so on; without any there is dc1. Only the root of a forest may have several.
    pub controllers: Vec<ControllerSpec>,
    /// Of a trusting forest: how the trust looks from the scenario's domain.
    pub trust: TrustSpec,
}

/// One domain controller.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ControllerSpec {
    /// Seconds by which its clock is ahead of this machine's.
    pub clock: i64,
    /// Its ports refuse connections.
    pub down: bool,
}

/// The attributes of a trust (MS-ADTS 6.1.6.7); by default a forest trust in both directions with AES.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrustSpec {
    /// trustDirection: 1 inbound, 2 outbound, 3 both, 0 disabled.
    pub direction: u8,
    /// trustType.
    pub kind: u8,
    /// trustAttributes.
    pub attributes: u32,
    /// msDS-SupportedEncryptionTypes; 0 is written as it is.
    pub encryption_types: u32,
}

impl Default for TrustSpec {
    fn default() -> Self {
        Self { direction: 3, kind: 2, attributes: 0x8, encryption_types: 0x18 }
    }
}

impl TrustSpec {
    /// A trust within a forest.
    pub(super) fn within_forest() -> Self {
        Self { attributes: 0x20, ..Self::default() }
    }

    /// The same trust as the other side stores it.
    #[must_use]
    pub fn from_the_other_side(&self) -> Self {
        let direction = match self.direction {
            1 => 2,
            2 => 1,
            same => same,
        };
        Self { direction, ..self.clone() }
    }
}

impl Default for DomainSpec {
    fn default() -> Self {
        Self {
            dns: "corp.contoso.com".to_owned(),
            netbios: "CORP".to_owned(),
            accounts: Vec::new(),
            other_domains: Vec::new(),
            controllers: Vec::new(),
            trust: TrustSpec::default(),
        }
    }
}

/// One account.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountSpec {
    /// sAMAccountName without the trailing dollar sign.
    pub name: String,
    /// What kind of account it is.
    #[serde(default)]
    pub class: AccountClass,
    /// dNSHostName, for computers and group managed service accounts.
    #[serde(default)]
    pub dns: Option<String>,
    /// servicePrincipalName.
    #[serde(default)]
    pub spns: Vec<String>,
    /// Those of them that the Global Catalog does not have yet.
    #[serde(default)]
    pub lagging_spns: Vec<String>,
    /// Further attributes, verbatim; they replace what the account would have by itself.
    #[serde(default)]
    pub attributes: BTreeMap<String, Values>,
}

impl AccountSpec {
    /// A user account without anything special.
    pub fn user(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            class: AccountClass::User,
            dns: None,
            spns: Vec::new(),
            lagging_spns: Vec::new(),
            attributes: BTreeMap::new(),
        }
    }
}

/// The kinds of accounts that a SQL Server can run as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccountClass {
    /// An ordinary user account.
    #[default]
    User,
    /// A computer account; virtual accounts and LocalSystem are this one on the network.
    Computer,
    /// A group managed service account.
    Gmsa,
    /// A standalone managed service account.
    Smsa,
    /// A delegated managed service account (Windows Server 2025).
    Dmsa,
}

/// The values of one attribute: in the file one scalar, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Values(pub Vec<String>);

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;

        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Values;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_str<E>(self, value: &str) -> Result<Values, E> {
                Ok(Values(vec![value.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Values, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = list.next_element()? {
                    values.push(value);
                }
                Ok(Values(values))
            }
        }

        deserializer.deserialize_any(OneOrMany)
    }
}
