//! Which keys an account has, as far as the directory shows it (passwords set before the domain had AES gave none), or as a
//! KDC says it where one was asked. Pure.

use crate::findings::times::date;
use crate::model::account::AccountClass;
use crate::model::change::{AccountChange, Change};
use crate::model::condition::{Condition, EncryptionTypes, PasswordSet};
use crate::model::directory::{Account, AccountNames, DirectoryFacts};
use crate::model::domain::DomainPolicy;
use crate::model::instance::Platform;
use crate::model::observed::{Gap, Known};
use crate::model::ticket::{ClientAnswer, EncryptionType, Offer};

use super::Case;

/// Whether an account has AES keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    /// It has.
    Present,
    /// Its password is older than the domain's first domain controller that made them. The group's date is a proxy:
    /// "probably" (JUDGEMENT 6). Or a KDC that was asked names no such key.
    ProbablyAbsent {
        /// The dates, or the KDC's word, as a sentence.
        why: String,
    },
}

/// DS_BEHAVIOR_WIN2008: from this functional level on a domain makes AES keys (MS-ADTS 6.1.4.3, MS-KILE 3.3.5.4).
const FIRST_WITH_AES: u32 = 3;

/// Whether this account has AES keys. Only user accounts are asked: computers and managed accounts have them.
///
/// # Errors
/// If pwdLastSet, or when the domain began to make AES keys, is not known.
pub fn aes_keys(facts: &DirectoryFacts, account: &Account) -> Known<Keys> {
    if account.names.class != AccountClass::User {
        return Ok(Keys::Present);
    }
    let policy = policy_of(facts, account)?;
    if policy.functional_level.as_ref().is_ok_and(|level| *level < FIRST_WITH_AES) {
        let why = "it has no AES keys: the domain's functional level is below Windows Server 2008".to_owned();
        return Ok(Keys::ProbablyAbsent { why });
    }
    let PasswordSet::At(set) = account.condition.password_set.clone()? else {
        return Err(Gap::peer_failed("pwdLastSet is 0: it does not say how old the keys are"));
    };
    let since = policy.aes_since.clone()?;
    Ok(match set < since {
        false => Keys::Present,
        true => Keys::ProbablyAbsent {
            why: format!(
                "it probably has no AES keys: its password is of {}, the domain makes them since {}",
                date(set),
                date(since)
            ),
        },
    })
}

/// The KDC's own word, which beats the dates: the keys that it named when AES and RC4 were offered (ETYPE-INFO2, RFC 4120 5.2.7.5).
/// `None`: it was not asked or did not say, or the password is newer than its word.
pub fn told_by_kdc(said: Option<(&Known<ClientAnswer>, f64)>, condition: &Condition) -> Option<Keys> {
    let (Ok(ClientAnswer::Refused { refusal, keys }), at) = said? else { return None };
    let is_newer = matches!(condition.password_set, Ok(PasswordSet::At(set)) if set > at);
    if keys.is_empty() || is_newer {
        return None;
    }
    if keys.iter().any(|kind| [EncryptionType::AES256, EncryptionType::AES128].contains(kind)) {
        return Some(Keys::Present);
    }
    // A type that the account does not allow may be left out although there is a key of it.
    let types = condition.encryption_types.clone().ok()?.filter(|types| types.names_a_cipher());
    let names: Vec<String> = keys.iter().map(ToString::to_string).collect();
    types.is_none_or(|types| types.has_aes()).then(|| Keys::ProbablyAbsent {
        why: format!(
            "it has no AES keys: asked with aes256, aes128 and rc4, {} names {} alone",
            refusal.kdc,
            names.join(", ")
        ),
    })
}

/// Why krbtgt of the account's domain probably has no AES keys: its password is older than they are. Its keys are those of every
/// ticket-granting ticket. A date that cannot be read says nothing.
pub(super) fn old_krbtgt(facts: &DirectoryFacts, account: &Account) -> Option<String> {
    let policy = policy_of(facts, account).ok()?;
    let (set, since) = (*policy.krbtgt_set.as_ref().ok()?, *policy.aes_since.as_ref().ok()?);
    (set < since).then(|| {
        format!(
            "krbtgt of the domain probably has no AES keys: its password is of {}, the domain makes them since {}",
            date(set),
            date(since)
        )
    })
}

/// What is known of the account's AES keys: the KDC's word beats the dates.
///
/// # Errors
/// Neither is known.
pub(super) fn known_keys(case: &Case<'_>) -> Known<Keys> {
    by_ticket(case).map_or_else(|| case.picture.aes_keys.clone(), Ok)
}

/// What tickets say. One with AES proves the keys. RC4 is offered beside AES only where nothing else is to be had or the KDC
/// refused AES alone (KDC_ERR_ETYPE_NOSUPP): RC4 in answer to that, or for an account that names AES, means no keys, probably.
/// For one that names no type it may be the domain controllers' default.
fn by_ticket(case: &Case<'_>) -> Option<Keys> {
    let granted = case.granted().ok()?;
    if granted.iter().any(|(_, granted)| !granted.encryption_type.is_weak()) {
        return Some(Keys::Present);
    }
    let types = case.account().ok()?.condition.encryption_types.clone().ok()?;
    let types = types.filter(|types| types.names_a_cipher());
    let offers = &case.tickets().ok()?.question.spns;
    let (spn, granted) = granted.into_iter().find(|(spn, granted)| {
        let offered_both = offers.get(*spn).is_some_and(|ask| ask.offer == Offer::AesAndRc4);
        granted.encryption_type.is_weak() && types.map_or(offered_both, EncryptionTypes::has_aes)
    })?;
    let why = format!(
        "{} was offered AES for {} and issued a ticket with {}: it probably has no AES key for the account",
        granted.kdc,
        spn.label(),
        granted.encryption_type
    );
    Some(Keys::ProbablyAbsent { why })
}

/// What gives an account AES, in an order that leaves a type at each step: first the keys, which a new password makes, then
/// the types. No password where the keys are there; where that is not known, one is safe and its lack is not.
pub(super) fn aes_changes(
    account: &AccountNames,
    keys: &Known<Keys>,
    types: Option<EncryptionTypes>,
) -> Vec<Change> {
    let keys = (*keys != Ok(Keys::Present)).then_some(AccountChange::NewPassword);
    let types = types.is_none_or(|types| !types.has_aes()).then_some(AccountChange::UseAes);
    keys.into_iter().chain(types).map(|change| Change::account(change, account)).collect()
}

/// The changes of an account with what has to be done before them. SQL Server on Linux decrypts with a keytab: where the account gets
/// another key, or tickets with another type, before the keytab has it, every login fails without a fallback.
pub(super) fn in_order(case: &Case<'_>, changes: Vec<Change>) -> Vec<Change> {
    let is_of_keys = |change: &Change| {
        matches!(change, Change::Account(step)
            if matches!(step.change(), AccountChange::NewPassword | AccountChange::UseAes))
    };
    let is_linux = case.instance().is_ok_and(|instance| instance.platform == Ok(Platform::Linux));
    let first = (is_linux && changes.iter().any(is_of_keys)).then(|| {
        Change::Advice(
            "SQL Server runs on Linux here: first add to its keytab what the account gets, for each SPN and for the account \
             itself, AES of the present key version, and for a new password its key with the next one; only then change the \
             account (\"Rotate keytabs for SQL Server on Linux\")"
                .to_owned(),
        )
    });
    first.into_iter().chain(changes).collect()
}

/// What holds in the domain that the account lives in.
fn policy_of<'a>(facts: &'a DirectoryFacts, account: &Account) -> Known<&'a DomainPolicy> {
    let home = facts.domain_of(&account.names).and_then(|home| facts.policies.get(home.as_str()));
    match home {
        Some(policy) => policy.as_ref().map_err(Clone::clone),
        None => Err(Gap::peer_failed(format!("the domain of {} has not been read", account.names.nt_name()))),
    }
}
