//! What is asked of Active Directory and what it answered: holders of SPNs over the forest, service accounts, computer
//! objects, the domains. Compared by objectSid, never by name.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::account::{AccountClass, AccountKey, Sid};
use super::condition::Condition;
use super::domain::{ControllerState, DomainPolicy};
use super::host::HostName;
use super::instance::ClockReading;
use super::observed::Known;
use super::spn::Spn;

/// The question: the union over all instances.
#[derive(Debug, Clone, PartialEq, Eq, Default, PartialOrd, Ord)]
pub struct DirectoryQuestion {
    /// Domain controllers to ask, best first: URLs such as `ldaps://dc1.corp.contoso.com`.
    pub servers: Vec<String>,
    /// Global Catalogs to ask, best first: URLs with port 3268 or 3269 unless another is given.
    pub global_catalogs: Vec<String>,
    /// Domain controllers of other domains that accounts live in, by the domain's DNS name; a domain without an entry is
    /// reached by its DNS name, at which each of its domain controllers registers an address.
    pub domain_servers: BTreeMap<HostName, Vec<String>>,
    /// Hosts that DNS names for the site of this host; empty where the site is not known or the servers are configured.
    pub near: BTreeSet<HostName>,
    /// Addresses of servers found by SRV, as the configured name servers gave them; a server without an entry is resolved
    /// by the system.
    pub addresses: BTreeMap<HostName, Vec<IpAddr>>,
    /// Holders of each of these are wanted, over the whole forest.
    pub spns: BTreeSet<Spn>,
    /// SPNs of other servers to which callers are passed on: who holds each? At most 64.
    pub targets: BTreeSet<Spn>,
    /// Every engine SPN with one of these hosts is wanted too (near misses, stale ones): prefix search.
    pub hosts: BTreeSet<HostName>,
    /// Service accounts: read whole, on a domain controller of their own domain.
    pub accounts: BTreeSet<AccountKey>,
    /// Computer objects and virtual computer objects: names only.
    pub computers: BTreeSet<AccountKey>,
}

impl DirectoryQuestion {
    /// Whether everything asked here was asked in `earlier` too.
    pub fn is_part_of(&self, earlier: &Self) -> bool {
        self.servers.iter().all(|server| earlier.servers.contains(server))
            && self.global_catalogs.iter().all(|server| earlier.global_catalogs.contains(server))
            && self
                .domain_servers
                .iter()
                .all(|(domain, urls)| earlier.domain_servers.get(domain) == Some(urls))
            && self.spns.is_subset(&earlier.spns)
            && self.targets.is_subset(&earlier.targets)
            && self.hosts.is_subset(&earlier.hosts)
            && self.accounts.is_subset(&earlier.accounts)
            && self.computers.is_subset(&earlier.computers)
    }
}

/// The answer.
#[derive(Debug, Clone, PartialEq)]
pub struct DirectoryFacts {
    /// The domain controller that answered, and what its rootDSE says.
    pub server: DirectoryServer,
    /// The domains of the forest (crossRef objects under CN=Partitions).
    pub domains: Known<Vec<Domain>>,
    /// Every object of the forest that holds one of the SPNs asked for, or one with a host asked for, or whose UPN
    /// equals one (`<spn>@<realm>`). Complete, or a gap.
    pub holders: Known<Vec<Holder>>,
    /// Service accounts asked for.
    pub accounts: BTreeMap<AccountKey, Known<Lookup<Account>>>,
    /// Computer objects asked for.
    pub computers: BTreeMap<AccountKey, Known<Lookup<Computer>>>,
    /// What the exporter's own account may do that it should not (JUDGEMENT 15 `exporter_overprivileged`): the service
    /// accounts whose servicePrincipalName it may write (`allowedAttributesEffective`), by sAMAccountName.
    pub writable_accounts: Known<Vec<String>>,
    /// What holds for whole domains, by DNS name: our own, the root of the forest, those that service accounts live in.
    pub policies: BTreeMap<String, Known<DomainPolicy>>,
    /// How the domain controllers are that have been looked at, one for each role.
    pub controllers: Vec<ControllerState>,
}

impl DirectoryFacts {
    /// The DNS name of the domain that this account lives in, as far as the directory has named it. By its distinguished
    /// name: the longest fits, as a child domain's objects end like its parent's.
    pub fn domain_of(&self, account: &AccountNames) -> Option<HostName> {
        let dn = account.dn.to_lowercase();
        let named = self.domains.iter().flatten().map(|domain| domain.dns_name.as_str());
        let known = named.chain(self.policies.keys().map(String::as_str));
        let is_home = |name: &&str| {
            dn.ends_with(
                &name.to_lowercase().split('.').map(|label| format!(",dc={label}")).collect::<String>(),
            )
        };
        known.filter(is_home).max_by_key(|name| name.len()).and_then(HostName::parse)
    }

    /// Whether this account lives in our forest: the Global Catalog has no other ones.
    ///
    /// # Errors
    /// Why the domains of the forest are not known, where the account is not of our own domain.
    pub fn is_of_forest(&self, account: &AccountNames) -> Known<bool> {
        let home = self.domain_of(account);
        let is_home = |name: &str| home.as_ref().is_some_and(|home| home.as_str().eq_ignore_ascii_case(name));
        if is_home(&self.server.domain) {
            return Ok(true);
        }
        let domains = self.domains.as_ref().map_err(Clone::clone)?;
        Ok(domains.iter().any(|domain| is_home(&domain.dns_name)))
    }
}

/// The domain controller in use.
#[derive(Debug, Clone, PartialEq)]
pub struct DirectoryServer {
    /// `dnsHostName` of the rootDSE, or the host asked.
    pub name: String,
    /// Its URL.
    pub url: String,
    /// URL of the Global Catalog in use.
    pub global_catalog: Option<String>,
    /// DNS name of its domain.
    pub domain: String,
    /// DNS name of the forest root.
    pub forest: String,
    /// `currentTime` of its rootDSE.
    pub clock: Known<ClockReading>,
    /// The AD site of this host, as the domain controller sees it (netlogon ping); `None` if it does not say.
    pub site: Option<String>,
}

/// One domain of the forest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// `dnsRoot`.
    pub dns_name: String,
    /// `nETBIOSName`: not the first DNS label.
    pub netbios_name: String,
    /// `nCName`.
    pub naming_context: String,
}

/// What a look-up of an object gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup<T> {
    /// The object.
    Found(T),
    /// The search was complete and nothing visible to us has that name.
    NotFound,
    /// The name belongs to a domain outside this forest and `directory.also` does not name it.
    OutsideForest,
    /// More than one object has that name; none of them is taken.
    Ambiguous,
}

impl<T> Lookup<T> {
    /// The object, if there is exactly one.
    pub fn found(&self) -> Option<&T> {
        match self {
            Self::Found(object) => Some(object),
            Self::NotFound | Self::OutsideForest | Self::Ambiguous => None,
        }
    }
}

/// Names of an account, for people, labels and remedies. Attacker-chosen text: escape it everywhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccountNames {
    /// objectSid.
    pub sid: Sid,
    /// objectGUID in its usual text form.
    pub guid: Option<String>,
    /// Distinguished name.
    pub dn: String,
    /// NetBIOS name of its domain; its DNS name where the NetBIOS name is not known.
    pub domain: String,
    /// `sAMAccountName`.
    pub sam: String,
    /// Class.
    pub class: AccountClass,
    /// Not disabled (userAccountControl 0x2, MS-ADTS 2.2.16); `None` if the attribute is hidden.
    pub enabled: Option<bool>,
}

impl AccountNames {
    /// `DOMAIN\name`.
    pub fn nt_name(&self) -> String {
        format!("{}\\{}", self.domain, self.sam)
    }
}

/// An object that holds SPNs, as the Global Catalog shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Who.
    pub names: AccountNames,
    /// Those of its SPNs that were asked for or have a host asked for.
    pub spns: Vec<Spn>,
    /// Those of them that a domain controller of its own domain has and the Global Catalog has not yet.
    pub lagging: Vec<Spn>,
    /// `userPrincipalName`.
    pub upn: Option<String>,
    /// Whether `spns` were read on a domain controller of its own domain, which beats the Global Catalog.
    pub read_at_home: bool,
}

/// A service account, read on a domain controller of its own domain.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    /// Who.
    pub names: AccountNames,
    /// All its SPNs; a gap if the attribute could not be read there.
    pub spns: Known<Vec<Spn>>,
    /// `dNSHostName` and `msDS-AdditionalDnsHostName`.
    pub host_names: Vec<HostName>,
    /// `whenChanged`, Unix seconds.
    pub changed: Option<f64>,
    /// `adminCount` = 1: protected by AdminSDHolder.
    pub is_protected: bool,
    /// Its state, password, encryption types, delegation.
    pub condition: Condition,
}

/// The names of a computer object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Computer {
    /// Who.
    pub names: AccountNames,
    /// `dNSHostName`.
    pub dns_host_name: Option<HostName>,
    /// `msDS-AdditionalDnsHostName`: aliases that AD proves.
    pub additional_names: Vec<HostName>,
    /// tokenGroups: every group it is in, nested ones included.
    pub groups: Known<Vec<Sid>>,
}
