//! Whether the account keeps its own SPNs up: the access list of its object says it, or the error log's refusals (26067)
//! for the last start. One judgement for every rule that asks.

use crate::model::account::AccountKey;
use crate::model::observed::Known;
use crate::model::spn::Spn;
use crate::model::start::RegistrationRefusal;

use super::Case;

/// Whether the engine can register its SPNs at the next start. The list is about now and comes first; a refusal at the last
/// start decides where the list could not be read.
///
/// # Errors
/// The gap of the list, where the log does not tell either.
pub fn registers_itself(case: &Case<'_>) -> Known<bool> {
    case.service_account()?;
    let listed = case.account().and_then(|account| account.condition.registers_itself.clone());
    match listed {
        Ok(false) => Ok(is_for_its_own_names(case)),
        Err(_) if case.directory().is_ok() && !refused_rights(case).is_empty() => Ok(false),
        listed => listed,
    }
}

/// Whether its validated write, which is for the names of its own object, is for the name of this instance.
fn is_for_its_own_names(case: &Case<'_>) -> bool {
    let (Ok(account), Ok(names)) = (case.account(), case.names()) else { return false };
    account.condition.validated_hosts.contains(&names.primary)
}

/// The SPNs of this instance whose registration was refused for want of a right.
pub fn refused_rights<'a>(case: &Case<'a>) -> Vec<&'a RegistrationRefusal> {
    refusals(case).into_iter().filter(|refusal| refusal.is_for_want_of_a_right()).collect()
}

/// What became of this SPN's registration at the last start, if it failed.
pub fn word(case: &Case<'_>, spn: &Spn) -> Option<String> {
    let refusals = refusals(case);
    let refusal = refusals.into_iter().find(|refusal| refusal.spn == *spn)?;
    Some(format!("the engine could not register it at its last start: {}", refusal.in_words()))
}

/// Refusals of names that are ours: by the machine's name, which the engine puts its suffix to, or one that AD proves. What
/// else the log holds is not this instance's.
fn refusals<'a>(case: &Case<'a>) -> Vec<&'a RegistrationRefusal> {
    let Ok(instance) = case.instance() else { return Vec::new() };
    let machine = AccountKey::computer(None, &instance.properties.machine_name);
    let names = case.names().ok();
    let is_ours = |refusal: &&RegistrationRefusal| {
        refusal.spn.host().is_some_and(|host| {
            AccountKey::computer(None, host.short()) == machine
                || names.is_some_and(|names| names.primary == host || names.own.contains(&host))
        })
    };
    instance.registration_refusals.iter().flatten().filter(is_ours).collect()
}
