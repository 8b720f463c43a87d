//! The realms that are asked for because logins are of them: whether the trust to each works, as against existing. No service
//! ticket, a few realms, and in the direction alone in which our principal can go (`findings::crossings`). Pure.

use std::collections::BTreeSet;

use crate::findings::crossings::{self, MOST_OF_LOGINS};
use crate::findings::domains::domain_of_login;
use crate::model::directory::DirectoryFacts;
use crate::model::evidence::{Evidence, Probe};
use crate::model::host::HostName;
use crate::model::observed::Now;

use super::LastAnswer;

/// Those of logins that are seen now; of what cannot be seen now, those of before.
pub(super) fn realms(
    evidence: &Evidence,
    facts: Option<&DirectoryFacts>,
    home: &HostName,
    last: LastAnswer<'_>,
    now: Now,
) -> BTreeSet<HostName> {
    let last = last.map(|good| &good.question).filter(|question| question.home == *home);
    let before: BTreeSet<&HostName> = last.into_iter().flat_map(|question| &question.cross_realms).collect();
    let Some(facts) = facts else { return before.into_iter().cloned().collect() };
    let mut found = BTreeSet::new();
    for slots in &evidence.instances {
        let answer = slots.connections.answer(Probe::Connections, now);
        match answer.and_then(|good| good.facts.ntlm_clients.as_ref().map_err(Clone::clone)) {
            Ok(clients) => found.extend(clients.iter().filter_map(domain_of_login)),
            Err(_) => found.extend(before.iter().map(|realm| realm.to_string())),
        }
    }
    let found: BTreeSet<HostName> =
        found.iter().filter_map(|name| crossings::end(facts, home, name).ok()).collect();
    // What is asked already stays: one more domain that logs in must not push another out and in again.
    let (old, new): (Vec<_>, Vec<_>) = found.into_iter().partition(|realm| before.contains(realm));
    old.into_iter().chain(new).take(MOST_OF_LOGINS).collect()
}
