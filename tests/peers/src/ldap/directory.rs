//! The directory of one forest: its domains, its configuration, and what a freshly installed forest contains.
//!
//! A plain value: no sockets, no clock of its own. Tests change it while it is served.

use super::accounts::{self, object};
use super::configuration::configuration;
use super::entry::{Entry, components, domain_dn};
use super::identifiers::DomainSid;
use super::sddl;
use super::specification::{AccountSpec, DomainSpec, TrustSpec};

/// The only site of the forest, as a new forest names it.
pub const SITE: &str = "Default-First-Site-Name";

/// DS_BEHAVIOR_WIN2016 (MS-ADTS 6.1.4.2): the functional level that everything here claims.
pub(super) const FUNCTIONAL_LEVEL: &str = "7";

/// One domain of a forest and its partition.
#[derive(Debug, Clone)]
pub struct Domain {
    dns: String,
    netbios: String,
    pub(super) forest_root: String,
    next_rid: u32,
    pub(super) entries: Vec<Entry>,
}

impl Domain {
    fn new(specification: &DomainSpec, forest_root: &str) -> Self {
        let mut domain = Self {
            dns: specification.dns.clone(),
            netbios: specification.netbios.clone(),
            forest_root: forest_root.to_owned(),
            next_rid: accounts::FIRST_RID,
            entries: Vec::new(),
        };
        domain.entries = installed(&domain);
        for account in &specification.accounts {
            domain.add(account);
        }
        domain
    }

    /// DNS name.
    pub fn dns(&self) -> &str {
        &self.dns
    }

    /// NetBIOS name.
    pub fn netbios(&self) -> &str {
        &self.netbios
    }

    /// Distinguished name of the partition.
    pub fn dn(&self) -> String {
        domain_dn(&self.dns)
    }

    /// Security identifier, without a relative one.
    pub fn sid(&self) -> DomainSid {
        DomainSid::of(&self.dns)
    }

    /// Everything in the domain's partition, its root first.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Host name of the domain controller.
    pub fn controller(&self) -> String {
        format!("dc1.{}", self.dns)
    }

    pub(super) fn controller_short_name(&self) -> &'static str {
        "DC1"
    }

    pub(super) fn forest_root_dn(&self) -> String {
        domain_dn(&self.forest_root)
    }

    /// The partition's root object, which carries the domain's policy.
    pub(super) fn root(&self) -> Option<&Entry> {
        self.entries.first()
    }

    /// Adds an account and returns its distinguished name.
    pub fn add(&mut self, account: &AccountSpec) -> String {
        let entry = accounts::account(self, self.next_rid, account);
        self.next_rid += 1;
        let dn = entry.dn().to_owned();
        self.entries.push(entry);
        dn
    }

    /// Descriptors written as SDDL become what is stored, now that every account they may name is there.
    fn store_descriptors(&mut self) {
        let sids: Vec<(String, Vec<u8>)> = self
            .entries
            .iter()
            .filter_map(|entry| {
                Some((entry.text("sAMAccountName")?.to_lowercase(), entry.values("objectSid").concat()))
            })
            .collect();
        let named = |name: &str| {
            let wanted = [name.to_lowercase(), format!("{}$", name.to_lowercase())];
            sids.iter().find(|(known, _)| wanted.contains(known)).map(|(_, sid)| sid.clone())
        };
        let domain = self.sid();
        for entry in &mut self.entries {
            let texts: Vec<(String, String)> = entry
                .attributes()
                .iter()
                .filter(|(name, _)| sddl::is_descriptor(name))
                .filter_map(|(name, values)| {
                    Some((name.clone(), String::from_utf8(values.first()?.clone()).ok()?))
                })
                .collect();
            for (name, text) in texts {
                let stored = sddl::encode(&text, domain, &named);
                entry.set(&name, [stored.unwrap_or_else(|| panic!("{name}: not understood: {text}"))]);
            }
        }
    }

    /// The account with this sAMAccountName; the trailing dollar sign may be left out.
    pub fn account(&mut self, name: &str) -> Option<&mut Entry> {
        let with_dollar = format!("{name}$");
        self.entries.iter_mut().find(|entry| {
            entry.text("sAMAccountName").is_some_and(|known| {
                known.eq_ignore_ascii_case(name) || known.eq_ignore_ascii_case(&with_dollar)
            })
        })
    }
}

/// A whole forest.
#[derive(Debug, Clone)]
pub struct Directory {
    /// The domains; the first is the forest's root.
    pub domains: Vec<Domain>,
    /// The configuration partition, with the root of the schema.
    pub(super) configuration: Vec<Entry>,
}

impl Directory {
    /// The forest whose root domain is `root`, with trusts to the forests whose root domains are `trusting`.
    pub fn of(root: &DomainSpec, trusting: &[DomainSpec]) -> Self {
        let mut domains: Vec<Domain> = std::iter::once(root)
            .chain(&root.other_domains)
            .map(|specification| Domain::new(specification, &root.dns))
            .collect();
        let names: Vec<(String, String)> =
            domains.iter().map(|domain| (domain.dns.clone(), domain.netbios.clone())).collect();
        for domain in &mut domains {
            let inside = names
                .iter()
                .filter(|(dns, _)| *dns != domain.dns)
                .map(|name| (name.clone(), TrustSpec::within_forest()));
            let outside = trusting
                .iter()
                .map(|forest| ((forest.dns.clone(), forest.netbios.clone()), forest.trust.clone()));
            let trusts: Vec<_> =
                if domain.dns == root.dns { inside.chain(outside).collect() } else { inside.collect() };
            let entries: Vec<_> =
                trusts.iter().map(|((dns, netbios), spec)| trust(domain, dns, netbios, spec)).collect();
            domain.entries.extend(entries);
            domain.store_descriptors();
        }
        let configuration = configuration(&domains);
        Self { domains, configuration }
    }

    /// Distinguished name of the configuration partition.
    pub fn configuration_dn(&self) -> String {
        format!("CN=Configuration,{}", self.domains.first().map(Domain::dn).unwrap_or_default())
    }

    /// The entry called `dn`, in whichever partition it is.
    pub fn entry(&mut self, dn: &str) -> Option<&mut Entry> {
        let wanted = components(dn);
        self.domains
            .iter_mut()
            .flat_map(|domain| &mut domain.entries)
            .chain(&mut self.configuration)
            .find(|entry| entry.components() == wanted)
    }

    /// The account with this sAMAccountName, looked for in one domain after the other.
    pub fn account(&mut self, name: &str) -> Option<&mut Entry> {
        self.domains.iter_mut().find_map(|domain| domain.account(name))
    }
}

/// What a new domain contains, as far as a reader of accounts looks at it. The root comes first.
fn installed(domain: &Domain) -> Vec<Entry> {
    let (dn, forest) = (domain.dn(), domain.forest_root_dn());
    let root = object(&dn, &["top", "domain", "domainDNS"], "Domain-DNS", &forest)
        .with("objectSid", [domain.sid().bytes(None)])
        .with("msDS-Behavior-Version", [FUNCTIONAL_LEVEL])
        .with("ms-DS-MachineAccountQuota", ["10"])
        .with("nTMixedDomain", ["0"])
        .with("instanceType", ["5"]);
    let mut entries = vec![accounts::policy(root)];
    for name in ["CN=Users", "CN=Computers", "CN=Managed Service Accounts", "CN=System"] {
        entries.push(object(&format!("{name},{dn}"), &["top", "container"], "Container", &forest));
    }
    entries.push(object(
        &format!("OU=Domain Controllers,{dn}"),
        &["top", "organizationalUnit"],
        "Organizational-Unit",
        &forest,
    ));
    // Well-known relative identifiers (MS-DTYP 2.4.2.4). RID 521 dates the domain's first 2008 controller, hence AES keys.
    let mut groups = vec![
        ("Domain Admins", 512),
        ("Domain Users", 513),
        ("Domain Computers", 515),
        ("Read-only Domain Controllers", 521),
        ("Protected Users", 525),
    ];
    if dn == forest {
        groups.push(("Enterprise Admins", 519));
    }
    for (name, rid) in groups {
        let group = object(&format!("CN={name},CN=Users,{dn}"), &["top", "group"], "Group", &forest)
            .with("sAMAccountName", [name])
            .with("objectSid", [domain.sid().bytes(Some(rid))])
            .with("groupType", ["-2147483646"]);
        entries.push(group);
    }
    let mut krbtgt = accounts::account(domain, 502, &AccountSpec::user("krbtgt"));
    krbtgt.set("userAccountControl", [(0x200 | accounts::DISABLED).to_string()]);
    krbtgt.set("servicePrincipalName", ["kadmin/changepw"]);
    krbtgt.set::<&str>("userPrincipalName", []);
    entries.push(krbtgt);
    entries.push(accounts::controller(domain));
    entries
}

/// The object of a trust (MS-ADTS 6.1.6.7).
fn trust(domain: &Domain, dns: &str, netbios: &str, spec: &TrustSpec) -> Entry {
    let dn = format!("CN={dns},CN=System,{}", domain.dn());
    object(&dn, &["top", "leaf", "trustedDomain"], "Trusted-Domain", &domain.forest_root_dn())
        .with("trustPartner", [dns])
        .with("flatName", [netbios])
        .with("securityIdentifier", [DomainSid::of(dns).bytes(None)])
        .with("trustDirection", [spec.direction.to_string()])
        .with("trustType", [spec.kind.to_string()])
        .with("trustAttributes", [spec.attributes.to_string()])
        .with("msDS-SupportedEncryptionTypes", [spec.encryption_types.to_string()])
}
