//! What was found by name and what it is told as: accounts and computers, each found, absent or a gap. Pure; where a name is
//! looked for is `session`'s to say.

use std::collections::{BTreeMap, BTreeSet};

use super::decode::Entry;
use super::forest::{Forest, Home, Located};
use super::holders::{self, Details};
use crate::model::account::AccountKey;
use crate::model::directory::{Account, Computer, Domain, Lookup};
use crate::model::observed::{Gap, Known};

/// An account or computer that was found by name, and where it is at home.
pub(super) struct Target {
    pub(super) entry: Entry,
    pub(super) domain: Option<Domain>,
}

/// Everything that was asked for by name.
pub(super) type Targets = BTreeMap<AccountKey, Known<Lookup<Target>>>;

/// What a look into one answer settles: nothing, where the name is not in it.
pub(super) fn settle(located: Located<'_>, forest: &Forest) -> Option<Lookup<Target>> {
    match located {
        Located::One(entry) => {
            Some(Lookup::Found(Target { entry: entry.clone(), domain: forest.domain_of(entry).cloned() }))
        }
        Located::Many => Some(Lookup::Ambiguous),
        Located::None => None,
    }
}

/// What it means that a name was not found where it was looked for.
pub(super) fn absent<T>(home: Home, catalog: &Known<Vec<Entry>>) -> Known<Lookup<T>> {
    match (home, catalog) {
        (Home::Unknown(gap), _) => Err(gap),
        // Its own domain, or a complete catalog, was asked.
        (Home::In(_), _) | (Home::Anywhere, Ok(_)) => Ok(Lookup::NotFound),
        (Home::Outside, Ok(_)) => Ok(Lookup::OutsideForest),
        (Home::Anywhere | Home::Outside, Err(gap)) => Err(gap.clone()),
    }
}

pub(super) fn accounts(
    targets: &Targets,
    read: &BTreeMap<String, Known<Entry>>,
    forest: &Forest,
) -> BTreeMap<AccountKey, Known<Lookup<Account>>> {
    let unread = Err(Gap::peer_failed("not read"));
    judge(targets, |target| {
        holders::account(&target.entry, read.get(&target.entry.dn).unwrap_or(&unread), forest)
    })
}

pub(super) fn computers(
    targets: &Targets,
    details: &BTreeMap<String, Details>,
    forest: &Forest,
) -> BTreeMap<AccountKey, Known<Lookup<Computer>>> {
    judge(targets, |target| holders::computer(&target.entry, details.get(&target.entry.dn), forest))
}

fn judge<T>(targets: &Targets, made: impl Fn(&Target) -> Known<T>) -> BTreeMap<AccountKey, Known<Lookup<T>>> {
    let one = |known: &Known<Lookup<Target>>| match known {
        Ok(Lookup::Found(target)) => made(target).map(Lookup::Found),
        Ok(Lookup::NotFound) => Ok(Lookup::NotFound),
        Ok(Lookup::OutsideForest) => Ok(Lookup::OutsideForest),
        Ok(Lookup::Ambiguous) => Ok(Lookup::Ambiguous),
        Err(gap) => Err(gap.clone()),
    };
    targets.iter().map(|(key, known)| (key.clone(), one(known))).collect()
}

/// The service accounts whose SPNs we may write. One that could not be read leaves the answer open, unless there is a
/// writable one anyway.
pub(super) fn writable(found: &[&Target], read: &BTreeMap<String, Known<Entry>>) -> Known<Vec<String>> {
    let mut names = BTreeSet::new();
    let mut gap = None;
    for target in found {
        match read.get(&target.entry.dn) {
            Some(Ok(home)) if holders::is_writable(home) => {
                names.extend(target.entry.text("sAMAccountName").map(str::to_owned));
            }
            Some(Ok(_)) => {}
            Some(Err(reason)) => gap = Some(reason.clone()),
            None => gap = Some(Gap::peer_failed("an account was not read")),
        }
    }
    match gap {
        Some(gap) if names.is_empty() => Err(gap),
        _ => Ok(names.into_iter().collect()),
    }
}
