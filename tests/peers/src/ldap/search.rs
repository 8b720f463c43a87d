//! One search over the directory: base, scope, filter, and which attributes of what was found go out.
//!
//! Pure: limits of pages and the wire are the connection's concern.

use std::borrow::Cow;

use super::accounts;
use super::attributes::{LAGGING, in_partial_attribute_set, is_constructed};
use super::configuration::root_dse;
use super::directory::{Directory, Domain};
use super::entry::{Entry, components, domain_dn, is_within};
use super::identifiers::{guid_from_text, sid_from_text};
use super::message::{Outcome, Scope, Search, code};
use super::records::Port;

/// MaxValRange (MS-ADTS 3.1.1.3.4.6): how many values of one attribute an answer holds at most.
pub const MAXIMUM_VALUES: usize = 1500;

/// What one client may see of the directory.
pub(super) struct View<'a> {
    pub(super) directory: &'a Directory,
    /// Which domain's controller answers.
    pub(super) domain: usize,
    pub(super) port: Port,
    /// Names below which nothing is visible.
    pub(super) hidden: &'a [String],
    /// Host name of the controller that answers.
    pub(super) controller: &'a str,
    /// What the rootDSE gives as current time.
    pub(super) now: i64,
    /// Whether the request says which parts of a security descriptor it wants. Who may not read all of them (every
    /// ordinary user: the audit part) gets none without it.
    pub(super) wants_parts: bool,
}

/// An entry as it goes out.
pub(super) type Answer = (String, Vec<(String, Vec<Vec<u8>>)>);

/// What a search found.
pub(super) struct Found {
    pub(super) entries: Vec<Answer>,
    pub(super) references: Vec<String>,
    pub(super) outcome: Outcome,
}

impl Found {
    fn nothing(outcome: Outcome) -> Self {
        Self { entries: Vec::new(), references: Vec::new(), outcome }
    }
}

/// Attributes that were asked of the global catalogue although it does not hold them.
pub(super) fn violations(search: &Search) -> Vec<String> {
    if is_root_dse(search) {
        return Vec::new();
    }
    let asked = search.attributes.iter().map(|name| split_range(name).0);
    asked
        .filter(|name| !matches!(*name, "*" | "+" | "1.1"))
        .chain(search.filter.attributes())
        .filter(|name| !in_partial_attribute_set(name))
        .map(str::to_owned)
        .collect()
}

pub(super) fn is_root_dse(search: &Search) -> bool {
    search.base.is_empty() && search.scope == Scope::Base
}

/// The partition that holds a name: a domain, or the configuration with the schema.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Partition {
    Domain(usize),
    Configuration,
}

impl View<'_> {
    /// Searches. `continuations` says whether the client wants references to subordinate partitions.
    pub(super) fn search(&self, search: &Search, continuations: bool) -> Found {
        let Some(domain) = self.directory.domains.get(self.domain) else {
            return Found::nothing(Outcome::new(code::OPERATIONS_ERROR, "no such domain"));
        };
        if is_root_dse(search) {
            let entry = root_dse(self.directory, domain, self.domain, self.controller, self.now);
            let matches = search.filter.matches(&entry.clone().with("objectClass", ["top"]), &|_| true);
            let entries = if matches == Some(true) {
                vec![(String::new(), select(&entry, search, &|_| true, None))]
            } else {
                Vec::new()
            };
            return Found { entries, references: Vec::new(), outcome: Outcome::success() };
        }
        let (base, partition) = match self.base(&search.base) {
            Ok(found) => found,
            Err(outcome) => return Found::nothing(outcome),
        };
        let global = self.port == Port::GlobalCatalog;
        let readable = |name: &str| {
            let is_hidden = name.eq_ignore_ascii_case("nTSecurityDescriptor") && !self.wants_parts;
            !is_hidden
                && name != LAGGING
                && !is_constructed(name)
                && (!global || in_partial_attribute_set(name))
        };
        let entries = self
            .partitions()
            .filter(|(place, _)| global || *place == partition)
            .flat_map(|(place, entries)| entries.iter().map(move |entry| (place, entry)))
            .map(|(place, entry)| (place, if global { catalogued(entry) } else { Cow::Borrowed(entry) }))
            .filter(|(_, entry)| in_scope(entry.components(), &base, search.scope) && self.visible(entry))
            .filter(|(_, entry)| search.filter.matches(entry, &readable) == Some(true))
            .map(|(place, entry)| {
                let domain_root = match place {
                    Partition::Domain(place) => self.directory.domains.get(place).and_then(Domain::root),
                    Partition::Configuration => None,
                };
                let computed = !global && search.scope == Scope::Base;
                let readable = |name: &str| readable(name) || (computed && is_constructed(name));
                (entry.dn().to_owned(), select(&entry, search, &readable, domain_root))
            })
            .collect();
        let at_root = base == components(&domain.dn());
        let references = if continuations && !global && at_root && search.scope == Scope::Subtree {
            self.subordinates(domain)
        } else {
            Vec::new()
        };
        Found { entries, references, outcome: Outcome::success() }
    }

    /// The partitions that this port serves.
    fn partitions(&self) -> impl Iterator<Item = (Partition, &[Entry])> {
        let global = self.port == Port::GlobalCatalog;
        self.directory
            .domains
            .iter()
            .enumerate()
            .filter(move |(place, _)| global || *place == self.domain)
            .map(|(place, domain)| (Partition::Domain(place), domain.entries.as_slice()))
            .chain([(Partition::Configuration, self.directory.configuration.as_slice())])
    }

    /// AD shows what may not be read as if it did not exist.
    fn visible(&self, entry: &Entry) -> bool {
        !self.hidden.iter().any(|hidden| is_within(entry.components(), &components(hidden)))
    }

    /// The base of a search in comparable form and the partition it is in.
    fn base(&self, base: &str) -> Result<(Vec<String>, Partition), Outcome> {
        if base.is_empty() {
            // Without a base the global catalogue is searched whole; a domain partition has no such entry.
            return match self.port {
                Port::GlobalCatalog => Ok((Vec::new(), Partition::Configuration)),
                Port::Ldap => Err(no_such_object("")),
            };
        }
        if let Some(inner) = base.strip_prefix('<').and_then(|base| base.strip_suffix('>')) {
            return self.base_by_identifier(inner);
        }
        let wanted = components(base);
        let (place, root) = self
            .all_partitions()
            .filter(|(_, root)| is_within(&wanted, root))
            .max_by_key(|(_, root)| root.len())
            .ok_or_else(|| referral(&wanted, base))?;
        let Some((_, entries)) = self.partitions().find(|(served, _)| *served == place) else {
            return Err(referral(&root, base));
        };
        let exists =
            |name: &[String]| entries.iter().find(|entry| entry.components() == name && self.visible(entry));
        if exists(&wanted).is_some() {
            return Ok((wanted, place));
        }
        let ancestor = (1..wanted.len()).find_map(|depth| exists(&wanted[depth..]));
        Err(no_such_object(ancestor.map_or("", Entry::dn)))
    }

    /// `<SID=…>` and `<GUID=…>` (MS-ADTS 3.1.1.3.1.2.4).
    fn base_by_identifier(&self, inner: &str) -> Result<(Vec<String>, Partition), Outcome> {
        let (attribute, value) = match inner.split_once('=') {
            Some((kind, text)) if kind.eq_ignore_ascii_case("SID") => ("objectSid", sid_from_text(text)),
            Some((kind, text)) if kind.eq_ignore_ascii_case("GUID") => ("objectGUID", guid_from_text(text)),
            _ => ("", None),
        };
        let value = value.ok_or_else(|| no_such_object(""))?;
        self.partitions()
            .flat_map(|(place, entries)| entries.iter().map(move |entry| (place, entry)))
            .find(|(_, entry)| entry.values(attribute).contains(&value) && self.visible(entry))
            .map(|(place, entry)| (entry.components().to_vec(), place))
            .ok_or_else(|| no_such_object(""))
    }

    /// All partitions of the forest with the names of their roots, served here or not.
    fn all_partitions(&self) -> impl Iterator<Item = (Partition, Vec<String>)> {
        let domains = self.directory.domains.iter().enumerate();
        domains
            .map(|(place, domain)| (Partition::Domain(place), components(&domain.dn())))
            .chain([(Partition::Configuration, components(&self.directory.configuration_dn()))])
    }

    /// References to the partitions directly below a domain, as a controller appends them to a search of the whole domain.
    fn subordinates(&self, domain: &Domain) -> Vec<String> {
        let dn = domain.dn();
        let mut references = vec![format!("ldap://DomainDnsZones.{0}/DC=DomainDnsZones,{dn}", domain.dns())];
        if dn == domain.forest_root_dn() {
            references.push(format!("ldap://ForestDnsZones.{0}/DC=ForestDnsZones,{dn}", domain.dns()));
            references.push(format!("ldap://{}/CN=Configuration,{dn}", domain.dns()));
        }
        let below = format!(".{}", domain.dns());
        let children = self.directory.domains.iter().filter(|child| child.dns().ends_with(&below));
        references.extend(children.map(|child| format!("ldap://{}/{}", child.dns(), child.dn())));
        references
    }
}

fn in_scope(name: &[String], base: &[String], scope: Scope) -> bool {
    match scope {
        Scope::Base => name == base,
        Scope::OneLevel => name.len() == base.len() + 1 && is_within(name, base),
        Scope::Subtree => is_within(name, base),
    }
}

/// NO_SUCH_OBJECT as AD words it.
fn no_such_object(best: &str) -> Outcome {
    let text = format!(
        "0000208D: NameErr: DSID-0310028C, problem 2001 (NO_OBJECT), data 0, best match of:\n\t'{best}'\n"
    );
    Outcome { matched: best.to_owned(), ..Outcome::new(code::NO_SUCH_OBJECT, &text) }
}

/// Who may know a name that is not ours: the domain that its DC components spell.
fn referral(root: &[String], base: &str) -> Outcome {
    let labels: Vec<&str> = root.iter().filter_map(|component| component.strip_prefix("dc=")).collect();
    if labels.is_empty() {
        return no_such_object("");
    }
    let dns = labels.join(".");
    debug_assert_eq!(components(&domain_dn(&dns)).len(), labels.len());
    let text = format!("0000202B: RefErr: DSID-0310082F, data 0, 1 access points\n\tref 1: '{dns}'\n");
    Outcome { referrals: vec![format!("ldap://{dns}/{base}")], ..Outcome::new(code::REFERRAL, &text) }
}

/// The attributes of `entry` that the search asked for and may read.
/// The entry as the global catalogue has it by now.
fn catalogued(entry: &Entry) -> Cow<'_, Entry> {
    let lagging = entry.values(LAGGING);
    if lagging.is_empty() {
        return Cow::Borrowed(entry);
    }
    let arrived = entry.values("servicePrincipalName").iter().filter(|spn| !lagging.contains(spn));
    Cow::Owned(entry.clone().with("servicePrincipalName", arrived))
}

fn select(
    entry: &Entry,
    search: &Search,
    readable: &dyn Fn(&str) -> bool,
    domain_root: Option<&Entry>,
) -> Vec<(String, Vec<Vec<u8>>)> {
    let mut selected: Vec<(String, Vec<Vec<u8>>)> = Vec::new();
    let all = search.attributes.is_empty() || search.attributes.iter().any(|name| name == "*");
    if all {
        let stored = entry.attributes().iter().filter(|(name, _)| readable(name) && !is_constructed(name));
        selected.extend(stored.map(|(name, values)| ranged(name, values, None)));
    }
    for asked in &search.attributes {
        let (name, range) = split_range(asked);
        if !readable(name) {
            continue;
        }
        if is_constructed(name) {
            let values = accounts::constructed(entry, domain_root, name);
            if !values.is_empty() {
                selected.push((name.to_owned(), values));
            }
            continue;
        }
        let stored = entry.attributes().iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        if let Some((known, values)) = stored.filter(|_| !all || range.is_some()) {
            // Beyond the last value there is nothing to give, and so no attribute.
            if range.is_none_or(|(low, _)| low < values.len()) {
                selected.push(ranged(known, values, range));
            }
        }
    }
    if search.types_only {
        selected.iter_mut().for_each(|(_, values)| values.clear());
    }
    selected
}

/// `member;range=1500-*` as name and bounds; other options are left out.
fn split_range(asked: &str) -> (&str, Option<(usize, Option<usize>)>) {
    let mut parts = asked.split(';');
    let name = parts.next().unwrap_or(asked);
    let range = parts.find_map(|option| {
        let (kind, bounds) = option.split_once('=')?;
        let (low, high) = bounds.split_once('-')?;
        let high = if high == "*" { None } else { Some(high.parse().ok()?) };
        kind.eq_ignore_ascii_case("range").then_some((low.parse().ok()?, high))
    });
    (name, range)
}

/// Range retrieval (MS-ADTS 3.1.1.3.1.3.3): at most [`MAXIMUM_VALUES`] values, and their place in the name when a part is
/// given.
fn ranged(name: &str, values: &[Vec<u8>], range: Option<(usize, Option<usize>)>) -> (String, Vec<Vec<u8>>) {
    if range.is_none() && values.len() <= MAXIMUM_VALUES {
        return (name.to_owned(), values.to_vec());
    }
    let (low, high) = range.unwrap_or((0, None));
    let end = high.map_or(values.len(), |high| high.saturating_add(1)).min(low + MAXIMUM_VALUES);
    let part = values.get(low..end.min(values.len())).unwrap_or_default().to_vec();
    let upper = if end >= values.len() { "*".to_owned() } else { (end - 1).to_string() };
    (format!("{name};range={low}-{upper}"), part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_name_what_they_hold() {
        let values: Vec<Vec<u8>> = (0..3200).map(|value: u32| value.to_string().into_bytes()).collect();
        let bounds = |range| {
            let (name, part) = ranged("member", &values, range);
            (name, part.len())
        };
        assert_eq!(bounds(None), ("member;range=0-1499".to_owned(), 1500));
        assert_eq!(bounds(Some((1500, None))), ("member;range=1500-2999".to_owned(), 1500));
        assert_eq!(bounds(Some((3000, None))), ("member;range=3000-*".to_owned(), 200));
        assert_eq!(bounds(Some((10, Some(19)))), ("member;range=10-19".to_owned(), 10));
        assert_eq!(ranged("member", &values[..3], None).0, "member");
    }

    #[test]
    fn options_of_a_name_are_read() {
        assert_eq!(split_range("member;range=1500-*"), ("member", Some((1500, None))));
        assert_eq!(split_range("member;Range=0-9"), ("member", Some((0, Some(9)))));
        assert_eq!(split_range("objectSid;binary"), ("objectSid", None));
    }
}
