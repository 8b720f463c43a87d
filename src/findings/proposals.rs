//! What may be proposed about an SPN (JUDGEMENT 16): an active change only on proof, else "ask the owner first". They may
//! point to, or belong to, a healthy server.

use crate::model::account::AccountClass;
use crate::model::change::Change;
use crate::model::directory::AccountNames;

use super::accounts::pending_change;
use super::registration::registers_itself;
use super::spns::JudgedSpn;
use super::{Case, Subject};

/// Taking the SPN from this holder: active only if its host part is an own name and it is served now by this instance
/// (a, b), and every holder's own domain was read (d). That the expected account has it, or gets it in the same plan
/// (c), is the caller's to see to.
pub(super) fn removal(case: &Case<'_>, judged: &JudgedSpn, holder: &AccountNames) -> Change {
    let spn = judged.expected.spn.clone();
    if let Ok(Some(pending)) = pending_change(case) {
        // What the next account has is in its place after the restart.
        let is_next = pending.next.is_some_and(|next| next.names.sid == holder.sid);
        return if is_next {
            Change::RestartService
        } else {
            Change::AskOwner { spn, holder: holder.clone() }
        };
    }
    let is_complete = judged.holders.as_deref().unwrap_or_default().iter().all(|holder| {
        case.read_at_home(&holder.sid).is_some_and(|account| {
            account.spns.as_ref().is_ok_and(|spns| spns.contains(&spn)) && !account.is_protected
        })
    });
    if judged.expected.is_proven_ours && is_complete && case.unsupported_account().is_none() {
        Change::RemoveSpn { spn, account: holder.clone() }
    } else {
        Change::AskOwner { spn, holder: holder.clone() }
    }
}

/// The subject with what is to be done about each account but ours that holds the SPN: ask its owner.
pub(super) fn ask_others(case: &Case<'_>, judged: &JudgedSpn, mut subject: Subject) -> Subject {
    for holder in judged.others(case.right_sid()) {
        let change = Change::AskOwner { spn: judged.expected.spn.clone(), holder: holder.clone() };
        subject = subject.line(format!("held by {}", holder.nt_name())).then(change);
    }
    subject
}

/// The subject with the steps that give the SPN to the service account, or with the reason why none are proposed.
pub(super) fn add(case: &Case<'_>, judged: &JudgedSpn, mut subject: Subject) -> Subject {
    match addition(case, judged) {
        Ok(changes) => {
            subject.changes.extend(changes);
            subject
        }
        Err(why) => subject.line(why),
    }
}

fn addition(case: &Case<'_>, judged: &JudgedSpn) -> Result<Vec<Change>, String> {
    let spn = judged.expected.spn.clone();
    let account = case.picture.holder.clone().map_err(|gap| format!("the account is not known: {gap}"))?;
    if let Ok(Some(pending)) = pending_change(case) {
        return Err(format!(
            "the service entry names {}: restart the service first, as nothing that is added to {} now is right \
             afterwards",
            pending.configured,
            account.nt_name()
        ));
    }
    if let Some(why) = case.unsupported_account() {
        return Err(why);
    }
    if case.account().is_ok_and(|account| account.is_protected) {
        return Err(format!(
            "{} is protected (adminCount = 1): an administrative account must not run a service; no command is \
             proposed",
            account.nt_name()
        ));
    }
    let is_managed = matches!(account.class, AccountClass::GroupManaged | AccountClass::DelegatedManaged);
    if is_managed && judged.expected.is_automatic {
        let (name, class) = (account.nt_name(), account.class.name());
        match registers_itself(case) {
            Ok(true) => {
                let advice = format!(
                    "{name} is a {class} that may write its SPNs: the engine registers this one by itself at the next start; if \
                     it stays missing, its error log says why (26067)"
                );
                return Ok(vec![Change::RestartService, Change::Advice(advice)]);
            }
            // By itself nothing comes of a restart.
            Ok(false) => {}
            Err(gap) => {
                return Err(format!(
                    "{name} is a {class}, and whether it may write its SPNs is not known ({gap}): if it may, the engine registers \
                     this one by itself at the next start, and its error log says why it did not (26067)"
                ));
            }
        }
    }
    Ok(vec![Change::AddSpn { spn, account }])
}

/// A host's or domain's name for a command that people type in: only what such names are made of (JUDGEMENT 16), else a
/// place to fill in.
pub(super) fn word(name: &str) -> &str {
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "._-:".contains(c));
    if is_plain && !name.is_empty() { name } else { "<name>" }
}
