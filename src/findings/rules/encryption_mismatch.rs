//! `encryption_mismatch`: what the account allows and what it has keys for leave nothing that a KDC would use. RC4 being off
//! is no fault.

use crate::findings::encryption::Keys;
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::{AccountChange, Change};
use crate::model::condition::{AccountControl, Cipher};
use crate::model::observed::Known;
use crate::model::ticket::{KerberosError, Offer, Ticket};

pub(super) const RULE: Rule = Rule {
    name: "encryption_mismatch",
    severity: Severity::Critical,
    escalates: false,
    scope: Scope::Domain,
    meaning: "No encryption type is left for tickets to this service: the KDC refuses them (KDC_ERR_ETYPE_NOSUPP).",
    seen: "The account allows DES alone, which no supported KDC uses; or it allows AES alone and its password is older than \
           the domain's AES keys; or the KDC refused a ticket with error 14 although everything that the account allows was \
           offered.",
    repair: "Allow AES for the account; where it has no AES keys, set a new password, which makes them.",
    source: "https://learn.microsoft.com/openspecs/windows_protocols/ms-kile/6cfc7b50-11ed-4b4d-846d-6f08f0812919",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    Judged::one(judge(case))
}

/// What the account allows and has, and the KDC's own word: either is enough.
fn judge(case: &Case<'_>) -> Known<Option<Subject>> {
    let by_attribute = by_attribute(case);
    let Some(text) = refused(case)? else { return by_attribute };
    let account = case.account()?;
    Ok(Some(match by_attribute {
        Ok(Some(subject)) => subject.line(text),
        Ok(None) | Err(_) => {
            let types = account.condition.encryption_types.clone().ok().flatten();
            let allows_aes = types.is_none_or(|types| types.has_aes());
            let change = if allows_aes { AccountChange::NewPassword } else { AccountChange::UseAes };
            Subject::new(account.names.nt_name(), text)
                .then(Change::Account { change, account: account.names.clone() })
        }
    }))
}

/// Error 14 for one of its SPNs, where what was offered is all that a client could offer: RC4 too, or the account does not
/// allow it.
fn refused(case: &Case<'_>) -> Known<Option<String>> {
    let (Ok(good), Ok(tickets)) = (case.tickets(), case.account_tickets()) else { return Ok(None) };
    let types = case.account()?.condition.encryption_types.clone();
    let forbids_rc4 =
        types.is_ok_and(|types| types.is_some_and(|types| types.names_a_cipher() && !types.has(Cipher::Rc4)));
    Ok(tickets.into_iter().find_map(|(spn, ticket)| match ticket {
        Ticket::Refused(refusal) if refusal.error == KerberosError::KDC_ERR_ETYPE_NOSUPP => {
            let offer = good.question.spns.get(spn).map(|ask| ask.offer);
            (forbids_rc4 || offer == Some(Offer::AesAndRc4)).then(|| format!("{}: {refusal}", spn.label()))
        }
        Ticket::Refused(_) | Ticket::Granted(_) => None,
    }))
}

fn by_attribute(case: &Case<'_>) -> Known<Option<Subject>> {
    let account = case.account()?;
    let subject = |text: &str, changes: &[AccountChange]| {
        changes.iter().fold(Subject::new(account.names.nt_name(), text), |subject, change| {
            subject.then(Change::Account { change: *change, account: account.names.clone() })
        })
    };
    let control = account.condition.control.clone()?;
    if control.has(AccountControl::DES_ONLY) {
        let text = "userAccountControl has USE_DES_KEY_ONLY";
        return Ok(Some(subject(text, &[AccountChange::ClearDesOnly, AccountChange::UseAes])));
    }
    let Some(types) = account.condition.encryption_types.clone()?.filter(|types| types.names_a_cipher())
    else {
        return Ok(None);
    };
    if types.ciphers().eq([Cipher::Des]) {
        let text = "msDS-SupportedEncryptionTypes names DES alone";
        return Ok(Some(subject(text, &[AccountChange::UseAes])));
    }
    if types.has(Cipher::Rc4) {
        return Ok(None);
    }
    Ok(match case.picture.aes_keys.clone()? {
        Keys::Present => None,
        Keys::ProbablyAbsent { why } => {
            let text = format!("msDS-SupportedEncryptionTypes names {types}");
            Some(subject(&text, &[AccountChange::NewPassword]).line(why))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::condition::EncryptionTypes;
    use crate::samples::{Bench, PORT, Seen};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&RULE);
        let applies = || Seen::applies(&["CORP\\svc_sql"]);
        let types = |bits: u32| {
            Bench::new().with(|bench| bench.condition.encryption_types = Ok(Some(EncryptionTypes(bits))))
        };
        assert_eq!(judge(types(0x3)), applies());
        let des_only = Bench::new().with(|bench| bench.condition.control = Ok(AccountControl(0x20_0200)));
        assert_eq!(judge(des_only), applies());
        assert_eq!(judge(types(0x18).old_password()), applies());
        assert_eq!(judge(types(0x1c).old_password()), Seen::clear());
        assert_eq!(judge(types(0).old_password()), Seen::clear());
        assert_eq!(judge(types(0x18)), Seen::clear());
        assert_eq!(judge(types(0x4)), Seen::clear());
        assert_eq!(judge(types(0x7_0000)), Seen::clear());
        // The KDC's word, where RC4 could not have helped.
        assert_eq!(judge(types(0x18).ticket_refused(PORT, 14)), applies());
        assert_eq!(judge(types(0x1c).ticket_refused(PORT, 14)), Seen::clear());
        assert_eq!(judge(types(0x4).ticket_refused(PORT, 14)), applies());
        assert_eq!(judge(types(0x18).ticket_refused(PORT, 7)), Seen::clear());
        assert_eq!(judge(types(0x18).ticket_granted(PORT, 18, 2)), Seen::clear());
        let hidden = Bench::new().with(|bench| bench.condition.encryption_types = Err(Bench::refused()));
        assert_eq!(judge(hidden), Seen::unknown());
        assert_eq!(judge(types(0x18).no_policy()), Seen::unknown());
        assert_eq!(judge(types(0x3).service_account(".\\bob")), Seen::not_applicable());
        assert_eq!(judge(types(0x3).workgroup()), Seen::not_applicable());
    }
}
