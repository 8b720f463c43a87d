//! `weak_encryption`: a ticket was issued with RC4, or RC4 is all that the account allows. That RC4 is off is good news and never a
//! finding.

use crate::findings::encryption::{Keys, aes_changes, in_order, known_keys};
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::condition::Cipher;
use crate::model::directory::Account;
use crate::model::observed::Known;

pub(super) const RULE: Rule = Rule {
    name: "weak_encryption",
    severity: Severity::Warning,
    escalates: false,
    scope: Scope::Domain,
    meaning: "Tickets to this service are encrypted with RC4, which is weak and being removed: whoever asks for one can try \
              passwords against it offline.",
    seen: "msDS-SupportedEncryptionTypes names RC4 and no AES type, or a ticket that the exporter asked for was encrypted with RC4.",
    repair: "Where the account probably has no AES keys, set a new password first, which makes them; then allow AES for the \
             account. In the other order no type would be left.",
    source: "https://learn.microsoft.com/openspecs/windows_protocols/ms-kile/6cfc7b50-11ed-4b4d-846d-6f08f0812919",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    Judged::one(judge(case))
}

/// What the account allows, and what a KDC issued: either is enough.
fn judge(case: &Case<'_>) -> Known<Option<Subject>> {
    let by_attribute = by_attribute(case);
    let weak =
        case.granted().unwrap_or_default().into_iter().find(|(_, granted)| granted.encryption_type.is_weak());
    let Some((spn, granted)) = weak else { return by_attribute };
    let account = case.account()?;
    let text =
        format!("{} issued a ticket for {} with {}", granted.kdc, spn.label(), granted.encryption_type);
    Ok(Some(match by_attribute {
        Ok(Some(subject)) => subject.line(text),
        Ok(None) | Err(_) => with_remedy(case, account, text),
    }))
}

fn by_attribute(case: &Case<'_>) -> Known<Option<Subject>> {
    let account = case.account()?;
    let Some(types) = account.condition.encryption_types.clone()? else { return Ok(None) };
    if types.has_aes() || !types.has(Cipher::Rc4) {
        return Ok(None);
    }
    let text = format!("msDS-SupportedEncryptionTypes names {types} and no AES");
    Ok(Some(with_remedy(case, account, text)))
}

fn with_remedy(case: &Case<'_>, account: &Account, text: String) -> Subject {
    let keys = &known_keys(case);
    let types = account.condition.encryption_types.clone().ok().flatten();
    let subject = Subject::new(account.names.nt_name(), text);
    let subject = match keys {
        Ok(Keys::Present) => subject,
        Ok(Keys::ProbablyAbsent { why }) => subject.line(why),
        Err(gap) => subject.line(format!("whether it has AES keys is not known: {gap}")),
    };
    subject.then_all(in_order(case, aes_changes(&account.names, keys, types)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::condition::EncryptionTypes;
    use crate::samples::{Bench, PORT, Seen};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&RULE);
        let types = |types: Option<u32>| {
            Bench::new().with(|bench| bench.condition.encryption_types = Ok(types.map(EncryptionTypes)))
        };
        assert_eq!(judge(types(Some(0x4))), Seen::applies(&["CORP\\svc_sql"]));
        assert_eq!(judge(types(Some(0x7))), Seen::applies(&["CORP\\svc_sql"]));
        for good in [None, Some(0), Some(0x18), Some(0x1c), Some(0x10), Some(0x3)] {
            assert_eq!(judge(types(good)), Seen::clear(), "{good:?}");
        }
        let hidden = Bench::new().with(|bench| bench.condition.encryption_types = Err(Bench::refused()));
        assert_eq!(judge(hidden), Seen::unknown());
        // A ticket tells, whatever the attribute says.
        assert_eq!(judge(types(None).ticket_granted(PORT, 23, 2)), Seen::applies(&["CORP\\svc_sql"]));
        assert_eq!(judge(types(None).ticket_granted(PORT, 18, 2)), Seen::clear());
        assert_eq!(judge(types(None).ticket_refused(PORT, 14)), Seen::clear());
        assert_eq!(judge(types(Some(0x18)).no_kdc()), Seen::clear());
        let both = types(Some(4)).ticket_granted(PORT, 23, 2).finding(&RULE);
        assert_eq!(both.subjects[0].evidence.len(), 2, "{both:?}");
        assert_eq!(judge(types(Some(4)).service_account(".\\bob")), Seen::not_applicable());
        assert_eq!(judge(types(Some(4)).workgroup()), Seen::not_applicable());
    }

    #[test]
    fn keys_come_before_types() {
        let steps = |bench: Bench| Bench::steps(&bench.finding(&RULE).subjects[0]);
        let rc4 =
            || Bench::new().with(|bench| bench.condition.encryption_types = Ok(Some(EncryptionTypes(4))));
        assert_eq!(steps(rc4()), ["UseAes"]);
        assert_eq!(steps(rc4().old_password()), ["NewPassword", "UseAes"]);
        assert_eq!(steps(rc4().no_policy()), ["NewPassword", "UseAes"]);
        // A computer's types are written by its host.
        assert_eq!(steps(rc4().service_account("LocalSystem")), ["Advice"]);
        // SQL Server on Linux: its keytab before the account.
        let on_linux = |bench: Bench| bench.keytab(&[(PORT, 2, 23)]);
        assert_eq!(steps(on_linux(rc4())), ["Advice", "UseAes"]);
        assert_eq!(steps(on_linux(rc4().old_password())), ["Advice", "NewPassword", "UseAes"]);
        // A ticket for an account that allows AES: its keys are what is missing.
        let both =
            Bench::new().with(|bench| bench.condition.encryption_types = Ok(Some(EncryptionTypes(0x1c))));
        assert_eq!(steps(both.old_password().ticket_granted(PORT, 23, 2)), ["NewPassword"]);
    }
}
