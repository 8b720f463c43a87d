//! `encryption_mismatch`: what the account allows and what it has keys for leave nothing that a KDC would use. RC4 being off
//! is no fault.

use crate::findings::encryption::{Keys, aes_changes, in_order, known_keys};
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
    repair: "Where the account has no AES keys, set a new password, which makes them; then allow AES for it. Computers and \
             managed accounts change their password by themselves.",
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
            let subject = Subject::new(account.names.nt_name(), text);
            if types.is_some_and(|types| types.has_aes()) {
                // AES was offered and is allowed: the KDC says that there are no keys.
                let password = Change::account(AccountChange::NewPassword, &account.names);
                subject.then_all(in_order(case, vec![password]))
            } else {
                subject.then_all(in_order(case, aes_changes(&account.names, &known_keys(case), types)))
            }
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
    // A ticket with AES is the proof that there are keys, whatever the dates make probable.
    let keys = &known_keys(case);
    let subject = |text: &str| Subject::new(account.names.nt_name(), text);
    let to_aes = |types| in_order(case, aes_changes(&account.names, keys, types));
    let control = account.condition.control.clone()?;
    if control.has(AccountControl::DES_ONLY) {
        let types = account.condition.encryption_types.clone().ok().flatten();
        let subject = subject("userAccountControl has USE_DES_KEY_ONLY").then_all(to_aes(types));
        return Ok(Some(subject.then(Change::account(AccountChange::ClearDesOnly, &account.names))));
    }
    let Some(types) = account.condition.encryption_types.clone()?.filter(|types| types.names_a_cipher())
    else {
        return Ok(None);
    };
    if types.ciphers().eq([Cipher::Des]) {
        let text = "msDS-SupportedEncryptionTypes names DES alone";
        return Ok(Some(subject(text).then_all(to_aes(Some(types)))));
    }
    if types.has(Cipher::Rc4) {
        return Ok(None);
    }
    Ok(match keys.clone()? {
        Keys::Present => None,
        Keys::ProbablyAbsent { why } => {
            let text = format!("msDS-SupportedEncryptionTypes names {types}");
            Some(subject(&text).line(why).then_all(to_aes(Some(types))))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::account::AccountClass;
    use crate::model::condition::EncryptionTypes;
    use crate::samples::{Bench, NAME, PORT, Seen};

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
        // A ticket with AES beats what the dates make probable, and what they do not tell.
        assert_eq!(judge(types(0x18).old_password().ticket_granted(PORT, 18, 2)), Seen::clear());
        assert_eq!(judge(types(0x18).no_policy().ticket_granted(PORT, 17, 2)), Seen::clear());
        assert_eq!(judge(types(0x18).old_password().ticket_granted(PORT, 23, 2)), applies());
        assert_eq!(judge(types(0x3).service_account(".\\bob")), Seen::not_applicable());
        assert_eq!(judge(types(0x3).workgroup()), Seen::not_applicable());
    }

    #[test]
    fn remedies_by_class_and_keys() {
        let steps = |bench: Bench| Bench::steps(&bench.finding(&RULE).subjects[0]);
        let types = |bench: Bench, bits: u32| {
            bench.with(|bench| bench.condition.encryption_types = Ok(Some(EncryptionTypes(bits))))
        };
        let user = || types(Bench::new(), 0x3);
        assert_eq!(steps(user()), ["UseAes"]);
        assert_eq!(steps(user().old_password()), ["NewPassword", "UseAes"]);
        assert_eq!(steps(types(Bench::new(), 0x18).old_password()), ["NewPassword"]);
        assert_eq!(steps(types(Bench::new(), 0x18).ticket_refused(PORT, 14)), ["NewPassword"]);
        assert_eq!(steps(types(Bench::new(), 0x4).ticket_refused(PORT, 14)), ["UseAes"]);
        let des_only = || Bench::new().with(|bench| bench.condition.control = Ok(AccountControl(0x20_0200)));
        assert_eq!(steps(des_only()), ["ClearDesOnly"]);
        assert_eq!(steps(des_only().old_password()), ["NewPassword", "ClearDesOnly"]);
        // A refused ticket of a computer or managed account: nothing resets its password in the directory.
        for (account, class) in [
            ("NT SERVICE\\MSSQLSERVER", AccountClass::Computer),
            ("CORP\\gmsa_sql$", AccountClass::GroupManaged),
            ("CORP\\msa_sql$", AccountClass::StandaloneManaged),
            ("CORP\\dmsa_sql$", AccountClass::DelegatedManaged),
        ] {
            let holder = if class == AccountClass::Computer { "sql01$" } else { &account[5..] };
            let bench = types(Bench::new(), 0x18).service_account(account).spns(holder, &[PORT, NAME]);
            let bench = bench.with(|bench| bench.class = Some(class)).ticket_refused(PORT, 14);
            let subject = bench.finding(&RULE).subjects.remove(0);
            assert_eq!(Bench::steps(&subject), ["Advice"], "{class:?}");
            assert!(Bench::commands(&subject).is_empty(), "{class:?}");
        }
    }
}
