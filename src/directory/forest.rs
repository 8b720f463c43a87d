//! Which domain a name belongs to, and which entry of a search a name means. Pure. NetBIOS names are compared as the
//! crossRefs spell them, never guessed from the first label of a DNS name.

use std::collections::BTreeSet;

use super::decode::Entry;
use super::dn;
use crate::model::account::AccountKey;
use crate::model::directory::Domain;
use crate::model::host::HostName;
use crate::model::observed::{Gap, Known};

/// The domains that names can belong to.
#[derive(Debug, Clone)]
pub(super) struct Forest {
    /// Of our forest; only our own one (without its NetBIOS name) when the crossRefs could not be read.
    domains: Vec<Domain>,
    /// Why `domains` is not complete, if so.
    gap: Option<Gap>,
    /// DNS name of our own domain.
    own: String,
    /// Domains of `directory.also` outside our forest, with why one of them is not known.
    elsewhere: Vec<(HostName, Known<Domain>)>,
}

/// Where a name says that its account is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Home {
    /// In this domain.
    In(Domain),
    /// Anywhere in our forest, our own domain first.
    Anywhere,
    /// In no domain that we may look at.
    Outside,
    /// Cannot be told.
    Unknown(Gap),
}

/// Which entry is meant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Located<'a> {
    /// This one.
    One(&'a Entry),
    /// None of them.
    None,
    /// More than one.
    Many,
}

impl Forest {
    /// `context` is our own domain's naming context.
    pub(super) fn new(context: &str, domains: &Known<Vec<Domain>>) -> Self {
        let own = dn::dns_name(context);
        let (domains, gap) = match domains {
            Ok(domains) => (domains.clone(), None),
            Err(gap) => {
                let alone = Domain {
                    dns_name: own.clone(),
                    netbios_name: String::new(),
                    naming_context: context.to_owned(),
                };
                (vec![alone], Some(gap.clone()))
            }
        };
        Self { domains, gap, own, elsewhere: Vec::new() }
    }

    /// DNS name of our own domain.
    pub(super) fn own(&self) -> &str {
        &self.own
    }

    /// Our own domain.
    pub(super) fn own_domain(&self) -> Option<&Domain> {
        self.domains.iter().find(|domain| domain.dns_name == self.own)
    }

    /// The domain of our forest with this naming context.
    pub(super) fn of_context(&self, context: &str) -> Option<&Domain> {
        let name = dn::dns_name(context);
        self.domains.iter().find(|domain| domain.dns_name.eq_ignore_ascii_case(&name))
    }

    /// Whether a domain of this DNS name is in our forest.
    pub(super) fn has(&self, dns_name: &str) -> bool {
        self.domains.iter().any(|domain| domain.dns_name.eq_ignore_ascii_case(dns_name))
    }

    /// Adds a domain of `directory.also`, or why nothing is known of it.
    pub(super) fn add(&mut self, name: HostName, domain: Known<Domain>) {
        self.elsewhere.push((name, domain));
    }

    /// The domain of an object.
    pub(super) fn domain_of(&self, entry: &Entry) -> Option<&Domain> {
        let elsewhere = self.elsewhere.iter().filter_map(|(_, domain)| domain.as_ref().ok());
        dn::domain_of(&entry.dn, self.domains.iter().chain(elsewhere))
    }

    /// Where a name says that its account is.
    pub(super) fn home(&self, key: &AccountKey) -> Home {
        match key {
            AccountKey::Sam { domain: None, .. } => Home::Anywhere,
            AccountKey::Sam { domain: Some(name), .. } => self.named(name, true),
            // Any text may follow the @; where it is no domain's name, the account can still be in our forest.
            AccountKey::Upn(upn) => self.named(upn.rsplit('@').next().unwrap_or_default(), false),
        }
    }

    fn named(&self, name: &str, is_netbios_too: bool) -> Home {
        let is = |domain: &&Domain| {
            domain.dns_name.eq_ignore_ascii_case(name)
                || (is_netbios_too
                    && !domain.netbios_name.is_empty()
                    && domain.netbios_name.to_lowercase() == name.to_lowercase())
        };
        if let Some(domain) = self.domains.iter().find(is) {
            return Home::In(domain.clone());
        }
        if let Some(domain) = self.elsewhere.iter().filter_map(|(_, domain)| domain.as_ref().ok()).find(is) {
            return Home::In(domain.clone());
        }
        // A domain that we could not ask may be the one, by its DNS name or by a NetBIOS name that we do not know.
        let could_be = |(dns_name, domain): &(HostName, Known<Domain>)| match domain {
            Err(gap)
                if dns_name.as_str().eq_ignore_ascii_case(name)
                    || (is_netbios_too && !name.contains('.')) =>
            {
                Some(gap.clone())
            }
            _ => None,
        };
        match self.gap.clone().or_else(|| self.elsewhere.iter().find_map(could_be)) {
            Some(gap) => Home::Unknown(gap),
            None => Home::Outside,
        }
    }

    /// The realms in which an SPN could be somebody's UPN: ours and those of these service accounts.
    pub(super) fn realms(&self, accounts: &BTreeSet<AccountKey>) -> BTreeSet<String> {
        let homes = accounts.iter().filter_map(|key| match self.home(key) {
            Home::In(domain) => Some(domain.dns_name),
            Home::Anywhere | Home::Outside | Home::Unknown(_) => None,
        });
        homes.filter(|name| self.has(name)).chain([self.own().to_owned()]).collect()
    }

    /// Which of `entries` the name means.
    pub(super) fn locate<'a>(&self, key: &AccountKey, entries: &'a [Entry]) -> Located<'a> {
        match key {
            AccountKey::Sam { domain: None, name } => {
                let named: Vec<&Entry> = entries.iter().filter(|entry| entry.is_named(name)).collect();
                let ours: Vec<&Entry> =
                    named.iter().copied().filter(|entry| self.is_in(entry, &self.own)).collect();
                single(if ours.is_empty() { &named } else { &ours })
            }
            AccountKey::Sam { domain: Some(_), name } => match self.home(key) {
                Home::In(domain) => self.locate_in(&domain, name, entries),
                Home::Anywhere | Home::Outside | Home::Unknown(_) => Located::None,
            },
            AccountKey::Upn(upn) => {
                let is_explicit = |entry: &&Entry| {
                    entry
                        .text("userPrincipalName")
                        .is_some_and(|value| value.to_lowercase() == upn.to_lowercase())
                };
                let explicit: Vec<&Entry> = entries.iter().filter(is_explicit).collect();
                match (single(&explicit), self.home(key), upn.rsplit_once('@')) {
                    (Located::None, Home::In(domain), Some((user, _))) => {
                        self.locate_in(&domain, user, entries)
                    }
                    (located, _, _) => located,
                }
            }
        }
    }

    fn locate_in<'a>(&self, domain: &Domain, name: &str, entries: &'a [Entry]) -> Located<'a> {
        let is_meant = |entry: &&Entry| entry.is_named(name) && self.is_in(entry, &domain.dns_name);
        single(&entries.iter().filter(is_meant).collect::<Vec<_>>())
    }

    fn is_in(&self, entry: &Entry, dns_name: &str) -> bool {
        match self.domain_of(entry) {
            Some(domain) => domain.dns_name == dns_name,
            None => dn::dns_name(&entry.dn) == dns_name,
        }
    }
}

/// One object may come twice, from two searches: it is told by its SID, else by its name.
fn single<'a>(entries: &[&'a Entry]) -> Located<'a> {
    let Some((first, rest)) = entries.split_first() else { return Located::None };
    let is_same = |other: &&Entry| match (first.sid(), other.sid()) {
        (Some(ours), Some(theirs)) => ours == theirs,
        _ => first.dn == other.dn,
    };
    if rest.iter().all(is_same) { Located::One(first) } else { Located::Many }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(netbios: &str, dns: &str, context: &str) -> Domain {
        Domain { dns_name: dns.into(), netbios_name: netbios.into(), naming_context: context.into() }
    }

    fn forest() -> Forest {
        let domains = vec![
            domain("NTDOM", "corp.contoso.com", "DC=corp,DC=contoso,DC=com"),
            domain("CORP", "child.corp.contoso.com", "DC=child,DC=corp,DC=contoso,DC=com"),
        ];
        Forest::new("DC=corp,DC=contoso,DC=com", &Ok(domains))
    }

    fn entry(dn: &str, sam: &str, upn: Option<&str>) -> Entry {
        let mut attributes = vec![("samAccountName".to_owned(), vec![sam.as_bytes().to_vec()])];
        attributes.extend(upn.map(|upn| ("userprincipalname".to_owned(), vec![upn.as_bytes().to_vec()])));
        Entry { dn: dn.into(), attributes }
    }

    #[test]
    fn a_netbios_name_is_not_the_first_label() {
        let forest = forest();
        let entries = [
            entry("CN=a,DC=corp,DC=contoso,DC=com", "svc", None),
            entry("CN=b,DC=child,DC=corp,DC=contoso,DC=com", "SVC", None),
        ];
        let dn = |key: AccountKey| match forest.locate(&key, &entries) {
            Located::One(entry) => entry.dn.clone(),
            other => format!("{other:?}"),
        };
        assert_eq!(dn(AccountKey::sam(Some("corp"), "svc")), "CN=b,DC=child,DC=corp,DC=contoso,DC=com");
        assert_eq!(dn(AccountKey::sam(Some("corp.contoso.com"), "svc")), "CN=a,DC=corp,DC=contoso,DC=com");
        assert_eq!(dn(AccountKey::sam(Some("ntdom"), "svc")), "CN=a,DC=corp,DC=contoso,DC=com");
        assert_eq!(dn(AccountKey::sam(None, "svc")), "CN=a,DC=corp,DC=contoso,DC=com");
        assert_eq!(dn(AccountKey::sam(Some("other"), "svc")), "None");
        assert_eq!(forest.home(&AccountKey::sam(Some("other"), "svc")), Home::Outside);
    }

    #[test]
    fn names_that_are_not_unique() {
        let forest = forest();
        let twins = [
            entry("CN=a,DC=child,DC=corp,DC=contoso,DC=com", "sql01$", None),
            entry("CN=b,DC=other,DC=contoso,DC=com", "sql01$", None),
        ];
        assert_eq!(forest.locate(&AccountKey::sam(None, "sql01$"), &twins), Located::Many);
        let twice = [twins[0].clone(), twins[0].clone()];
        assert_eq!(forest.locate(&AccountKey::sam(None, "sql01$"), &twice), Located::One(&twice[0]));
    }

    #[test]
    fn user_principal_names_explicit_and_implicit() {
        let forest = forest();
        let entries = [
            entry("CN=a,DC=child,DC=corp,DC=contoso,DC=com", "x1", Some("Svc@Corp.contoso.com")),
            entry("CN=b,DC=corp,DC=contoso,DC=com", "svc", None),
            entry("CN=c,DC=corp,DC=contoso,DC=com", "plain", None),
        ];
        let at = |upn: &str| forest.locate(&AccountKey::Upn(upn.into()), &entries);
        assert_eq!(at("svc@corp.contoso.com"), Located::One(&entries[0]));
        assert_eq!(at("plain@corp.contoso.com"), Located::One(&entries[2]));
        assert_eq!(at("plain@contoso.com"), Located::None);
        assert_eq!(at("@"), Located::None);
    }

    #[test]
    fn without_cross_references_nothing_is_called_outside() {
        let forest = Forest::new("DC=corp,DC=contoso,DC=com", &Err(Gap::peer_failed("no answer")));
        assert!(matches!(forest.home(&AccountKey::sam(Some("corp.contoso.com"), "svc")), Home::In(_)));
        assert!(matches!(forest.home(&AccountKey::sam(Some("corp"), "svc")), Home::Unknown(_)));
    }

    #[test]
    fn other_forests_as_far_as_known() {
        let mut forest = forest();
        let partner = domain("PARTNER", "partner.example", "DC=partner,DC=example");
        forest.add(HostName::parse("partner.example").unwrap(), Ok(partner.clone()));
        assert_eq!(forest.home(&AccountKey::sam(Some("partner"), "svc")), Home::In(partner));
        forest.add(HostName::parse("dark.example").unwrap(), Err(Gap::peer_failed("down")));
        assert!(matches!(forest.home(&AccountKey::sam(Some("dark.example"), "svc")), Home::Unknown(_)));
        assert!(matches!(forest.home(&AccountKey::sam(Some("dark"), "svc")), Home::Unknown(_)));
        assert_eq!(forest.home(&AccountKey::sam(Some("third.example"), "svc")), Home::Outside);
    }
}
