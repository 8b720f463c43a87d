//! What is asked of the directory about servers to which callers are passed on: the computer objects that prove their names,
//! who holds their SPNs, and whom those accounts admit. Pure.

use std::collections::BTreeSet;

use crate::findings::delegation;
use crate::findings::picture::{MOST_TARGETS, Outline, account_of};
use crate::model::account::AccountKey;
use crate::model::directory::DirectoryQuestion;
use crate::model::evidence::{Evidence, Probe};
use crate::model::observed::Now;

/// Hosts of linked servers whose computer objects are looked at.
const MOST_HOSTS: usize = 64;

/// Holders of targets that are read in their own domain.
const MOST_HOLDERS: usize = 16;

/// Adds to the question what follows from linked servers and from lists of constrained delegation.
pub(super) fn passed_on(
    evidence: &Evidence,
    outlines: &[Outline],
    question: &mut DirectoryQuestion,
    now: Now,
) {
    let said = evidence.directory.answer(Probe::Directory, now).ok().map(|good| &good.facts);
    let in_scope = || outlines.iter().filter(|outline| outline.scope.is_ok());
    let links = || in_scope().flat_map(|outline| outline.linked.iter().flatten());
    let hosts: BTreeSet<AccountKey> = links().filter_map(|link| link.computer()).collect();
    question.computers.extend(hosts.into_iter().take(MOST_HOSTS));

    // Linked servers first: the list of an account may be long, and full of what nobody here asks for.
    let listed = in_scope().filter_map(|outline| {
        let account = account_of(said?, &outline.accounts.judged.as_ref().ok()?.key).ok()?;
        delegation::looked_up(account).ok()
    });
    let wanted = links().flat_map(|link| link.forms()).cloned().chain(listed.flatten());
    for spn in wanted {
        if question.targets.len() < MOST_TARGETS {
            question.targets.insert(spn);
        }
    }

    let Some(facts) = said else { return };
    let mut read = 0;
    for holder in facts.holders.iter().flatten() {
        let key = AccountKey::sam(Some(&holder.names.domain), &holder.names.sam);
        // Whom they admit matters for SQL Servers alone.
        let is_target = holder.spns.iter().any(|spn| spn.is_engine() && question.targets.contains(spn));
        if is_target && read < MOST_HOLDERS && question.accounts.insert(key) {
            read += 1;
        }
    }
}
