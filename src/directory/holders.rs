//! Holders, accounts and computers out of the entries that came. Pure: what was hidden becomes a gap, and what an
//! object's own domain says beats the Global Catalog.

use std::collections::{BTreeMap, BTreeSet};

use super::condition;
use super::decode::Entry;
use super::forest::Forest;
use crate::model::account::Sid;
use crate::model::condition::Condition;
use crate::model::directory::{Account, AccountNames, Computer, DirectoryQuestion, Holder};
use crate::model::host::HostName;
use crate::model::observed::{Gap, Known};
use crate::model::spn::Spn;

/// What was asked, ready for comparison.
pub(super) struct Wanted<'a> {
    question: &'a DirectoryQuestion,
    /// `<spn>@<realm>`, lower case.
    shadows: BTreeSet<String>,
}

impl<'a> Wanted<'a> {
    pub(super) fn new(question: &'a DirectoryQuestion, realms: &BTreeSet<String>) -> Self {
        let shadow = |spn: &Spn| {
            realms.iter().map(move |realm| format!("{spn}@{realm}").to_lowercase()).collect::<Vec<_>>()
        };
        Self { question, shadows: question.spns.iter().flat_map(shadow).collect() }
    }

    /// Those SPNs of an entry that were asked for: by name, as expected here or as a target elsewhere, or an engine SPN whose
    /// host part is one of the hosts (the filter's prefix finds sql10 for sql1).
    pub(super) fn spns(&self, entry: &Entry) -> Vec<Spn> {
        let has_host =
            |spn: &Spn| spn.is_engine() && spn.host().is_some_and(|host| self.question.hosts.contains(&host));
        let mut spns = entry.spns();
        let is_asked = |spn: &Spn| self.question.spns.contains(spn) || self.question.targets.contains(spn);
        spns.retain(|spn| is_asked(spn) || has_host(spn));
        spns
    }

    /// Whether it holds an SPN that is expected here; a target elsewhere does not count.
    pub(super) fn holds_one(&self, entry: &Entry) -> bool {
        entry.spns().iter().any(|spn| self.question.spns.contains(spn))
    }

    fn shadow(&self, entry: &Entry) -> bool {
        entry.text("userPrincipalName").is_some_and(|upn| self.shadows.contains(&upn.to_lowercase()))
    }
}

/// The holders among the Global Catalog's entries. `at_home`: what a domain controller of the object's own domain said,
/// by SID.
pub(super) fn holders(
    wanted: &Wanted<'_>,
    entries: &[Entry],
    forest: &Forest,
    at_home: &BTreeMap<Sid, Entry>,
) -> Known<Vec<Holder>> {
    let mut holders: BTreeMap<Sid, Holder> = BTreeMap::new();
    for entry in entries {
        let is_shadow = wanted.shadow(entry);
        let in_catalog = wanted.spns(entry);
        if in_catalog.is_empty() && !is_shadow {
            continue;
        }
        let names = names(entry, forest)?;
        let home = at_home.get(&names.sid).filter(|home| has_readable_spns(home));
        // Of a long list the catalog's entry may hold a part: what is not in that proves nothing.
        let is_whole = entry.ranged("servicePrincipalName").is_none_or(|part| part.next.is_none());
        let mut lagging = home.map(|home| wanted.spns(home)).filter(|_| is_whole).unwrap_or_default();
        lagging.retain(|spn| !in_catalog.contains(spn));
        let spns = home.map_or(in_catalog, |home| wanted.spns(home));
        if spns.is_empty() && !is_shadow {
            continue;
        }
        let upn = entry.text("userPrincipalName").map(str::to_owned);
        holders.insert(names.sid.clone(), Holder { names, spns, lagging, upn, read_at_home: home.is_some() });
    }
    Ok(holders.into_values().collect())
}

/// A service account. `home` is what its own domain said; without it the names of the catalog stay and the rest is a gap.
pub(super) fn account(entry: &Entry, home: &Known<Entry>, forest: &Forest) -> Known<Account> {
    let mut host_names = entry.host_names("dNSHostName");
    match home {
        Err(gap) => Ok(Account {
            names: names(entry, forest)?,
            spns: Err(gap.clone()),
            host_names,
            changed: None,
            is_protected: false,
            condition: Condition::unknown(gap),
        }),
        Ok(home) => {
            host_names = home.host_names("dNSHostName");
            host_names.extend(home.host_names("msDS-AdditionalDnsHostName"));
            let spns = match has_readable_spns(home) {
                true => Ok(home.spns()),
                false => Err(Gap::no_permission(format!(
                    "servicePrincipalName of {:?} cannot be read; allow Read Public Information",
                    home.dn
                ))),
            };
            let names = names(home, forest).or_else(|_| names(entry, forest))?;
            Ok(Account {
                condition: condition::condition(home, names.class),
                names,
                spns,
                host_names,
                changed: home.text("whenChanged").and_then(super::decode::generalized_time),
                is_protected: home.number("adminCount") == Some(1),
            })
        }
    }
}

/// What is read of a computer object itself, hourly.
#[derive(Debug, Clone)]
pub(super) struct Details {
    additional_names: Vec<HostName>,
    groups: Known<Vec<Sid>>,
}

/// Out of its entry.
pub(super) fn details(home: &Entry) -> Details {
    Details {
        additional_names: home.host_names("msDS-AdditionalDnsHostName"),
        groups: condition::groups(home),
    }
}

/// A computer object with what was read of it, if it was.
pub(super) fn computer(entry: &Entry, details: Option<&Details>, forest: &Forest) -> Known<Computer> {
    let unread = || Gap::peer_failed(format!("{:?} was not read", entry.dn));
    Ok(Computer {
        names: names(entry, forest)?,
        dns_host_name: entry.host_names("dNSHostName").into_iter().next(),
        additional_names: details.map(|details| details.additional_names.clone()).unwrap_or_default(),
        groups: details.map_or_else(|| Err(unread()), |details| details.groups.clone()),
    })
}

/// Whether we may write servicePrincipalName of this object (constructed attribute, MS-ADTS 3.1.1.4.5.14).
pub(super) fn is_writable(home: &Entry) -> bool {
    home.texts("allowedAttributesEffective")
        .iter()
        .any(|name| name.eq_ignore_ascii_case("servicePrincipalName"))
}

fn has_readable_spns(home: &Entry) -> bool {
    home.ranged("servicePrincipalName").is_some_and(|part| part.next.is_none())
        || home.shows_public_information()
}

fn names(entry: &Entry, forest: &Forest) -> Known<AccountNames> {
    entry.names(forest.domain_of(entry)).ok_or_else(|| {
        Gap::no_permission(format!("objectSid or sAMAccountName of {:?} cannot be read", entry.dn))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::observed::Reason;

    const CONTEXT: &str = "DC=corp,DC=contoso,DC=com";

    fn sid(last: u8) -> Vec<u8> {
        vec![1, 2, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, last, 4, 0, 0]
    }

    fn entry(last: u8, attributes: &[(&str, &[&str])]) -> Entry {
        let mut entry = Entry { dn: format!("CN=a\n\"{last}\u{fc},{CONTEXT}"), attributes: Vec::new() };
        entry.attributes.push(("objectSid".into(), vec![sid(last)]));
        entry.attributes.push(("sAMAccountName".into(), vec![format!("svc{last}").into_bytes()]));
        for (name, values) in attributes {
            entry
                .attributes
                .push(((*name).into(), values.iter().map(|value| value.as_bytes().to_vec()).collect()));
        }
        entry
    }

    fn forest() -> Forest {
        Forest::new(CONTEXT, &Err(Gap::peer_failed("-")))
    }

    fn question() -> DirectoryQuestion {
        DirectoryQuestion {
            spns: [Spn::parse("MSSQLSvc/sql1.corp.contoso.com:1433").unwrap()].into(),
            hosts: [HostName::parse("sql1.corp.contoso.com").unwrap()].into(),
            ..DirectoryQuestion::default()
        }
    }

    fn found(entries: &[Entry], at_home: &[Entry]) -> Known<Vec<(String, Vec<String>, bool)>> {
        let question = question();
        let wanted = Wanted::new(&question, &["corp.contoso.com".to_owned()].into());
        let at_home = at_home.iter().map(|entry| (entry.sid().unwrap(), entry.clone())).collect();
        let holders = holders(&wanted, entries, &forest(), &at_home)?;
        let plain = |holder: Holder| {
            let spns = holder.spns.iter().map(ToString::to_string).collect();
            (holder.names.sam, spns, holder.read_at_home)
        };
        Ok(holders.into_iter().map(plain).collect())
    }

    const HELD: &str = "mssqlsvc/SQL1.corp.contoso.com:1433";

    #[test]
    fn only_what_was_asked_for_counts() {
        let entries = [
            entry(
                1,
                &[(
                    "servicePrincipalName",
                    &[HELD, "HTTP/sql1.corp.contoso.com", "MSSQLSvc/sql1.corp.contoso.com:OLD"],
                )],
            ),
            entry(2, &[("servicePrincipalName", &["MSSQLSvc/sql1.corp.contoso.com.evil:1433"])]),
            entry(3, &[("userPrincipalName", &["MSSQLSvc/SQL1.corp.contoso.com:1433@CORP.CONTOSO.COM"])]),
            entry(4, &[]),
        ];
        let spns = vec![HELD.to_owned(), "MSSQLSvc/sql1.corp.contoso.com:OLD".to_owned()];
        assert_eq!(
            found(&entries, &[]),
            Ok(vec![("svc1".into(), spns, false), ("svc3".into(), vec![], false)])
        );
    }

    #[test]
    fn the_own_domain_beats_the_catalog() {
        let entries = [entry(1, &[("servicePrincipalName", &[HELD])])];
        let visible = ("objectGUID", &["0123456789abcdef"][..]);
        let gone = entry(1, &[("objectClass", &["user"]), visible]);
        assert_eq!(found(&entries, &[gone]), Ok(vec![]));
        // Nothing of the property set came: that proves nothing, and the catalog's word stands.
        assert_eq!(found(&entries, &[entry(1, &[])]), Ok(vec![("svc1".into(), vec![HELD.into()], false)]));
        let held = entry(1, &[("servicePrincipalName", &[HELD])]);
        assert_eq!(found(&entries, &[held]), Ok(vec![("svc1".into(), vec![HELD.into()], true)]));
    }

    #[test]
    fn what_the_catalog_has_not_yet_lags() {
        let other = "MSSQLSvc/sql1.corp.contoso.com:1500";
        let lagging = |in_catalog: &[&str], ranged: bool| {
            let name = if ranged { "servicePrincipalName;range=0-0" } else { "servicePrincipalName" };
            let question = question();
            let wanted = Wanted::new(&question, &BTreeSet::new());
            let home = entry(1, &[("servicePrincipalName", &[HELD, other])]);
            let at_home = BTreeMap::from([(home.sid().unwrap(), home)]);
            let found = holders(&wanted, &[entry(1, &[(name, in_catalog)])], &forest(), &at_home).unwrap();
            found[0].lagging.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(lagging(&[HELD, other], false), Vec::<String>::new());
        assert_eq!(lagging(&[other], false), [HELD]);
        assert_eq!(lagging(&[other], true), Vec::<String>::new());
    }

    #[test]
    fn a_holder_without_a_readable_sid_is_a_gap() {
        let mut hidden = entry(1, &[("servicePrincipalName", &[HELD])]);
        hidden.attributes.retain(|(name, _)| name != "objectSid");
        assert_eq!(found(&[hidden], &[]).unwrap_err().reason, Reason::NoPermission);
    }

    #[test]
    fn an_account_without_the_attribute_has_no_spns_only_if_it_could_be_read() {
        let catalog = entry(1, &[]);
        let spns = |home: Known<Entry>| account(&catalog, &home, &forest()).unwrap().spns;
        let visible: &[(&str, &[&str])] =
            &[("objectClass", &["user"]), ("objectGUID", &["0123456789abcdef"])];
        assert_eq!(spns(Ok(entry(1, visible))), Ok(vec![]));
        assert_eq!(
            spns(Ok(entry(1, &[("objectClass", &["user"])]))).unwrap_err().reason,
            Reason::NoPermission
        );
        assert_eq!(
            spns(Ok(entry(1, &[("servicePrincipalName", &["a/b"])]))),
            Ok(vec![Spn::parse("a/b").unwrap()])
        );
        assert_eq!(
            spns(Ok(entry(1, &[("servicePrincipalName;range=0-0", &["a/b"])]))).unwrap_err().reason,
            Reason::NoPermission
        );
        assert_eq!(spns(Err(Gap::peer_failed("down"))), Err(Gap::peer_failed("down")));
    }

    #[test]
    fn details_of_an_account() {
        let home = entry(
            1,
            &[
                ("dNSHostName", &["SQL1.corp.contoso.com"]),
                ("MSDS-AdditionalDnsHostName", &["alias.corp.contoso.com", "bad name"]),
                ("whenChanged", &["19700101000001.0Z"]),
                ("adminCount", &["1"]),
                ("allowedAttributesEffective", &["SERVICEPRINCIPALNAME"]),
            ],
        );
        let account = account(&home, &Ok(home.clone()), &forest()).unwrap();
        let names: Vec<&str> = account.host_names.iter().map(HostName::as_str).collect();
        assert_eq!(names, ["sql1.corp.contoso.com", "alias.corp.contoso.com"]);
        assert_eq!((account.changed, account.is_protected, is_writable(&home)), (Some(1.0), true, true));
        assert_eq!(account.names.domain, "corp.contoso.com");
    }
}
