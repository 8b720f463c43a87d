//! `keytab_incomplete`: a required SPN, or the strongest encryption type that the account allows, is not in SQL Server's keytab
//! (Linux).

use crate::findings::keytabs::{Keytab, is_version};
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::condition::Cipher;
use crate::model::observed::{Gap, Known};
use crate::model::spn::Spn;
use crate::model::ticket::EncryptionType;

pub(super) const RULE: Rule = Rule {
    name: "keytab_incomplete",
    severity: Severity::Warning,
    escalates: false,
    scope: Scope::Domain,
    meaning: "SQL Server's keytab lacks a key that clients' tickets need, or will need when weaker types are switched off.",
    seen: "What keytab-info says of SQL Server's keytab has no entry for a required SPN, or none of the strongest encryption type \
           that the account allows.",
    repair: "Add the missing entries with the account's key version, AES only. Give ktpass -setpass and -setupn: \
             without them it changes the account's password and its UPN.",
    source: "https://learn.microsoft.com/sql/linux/sql-server-linux-ad-auth-understanding",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    let keytab = match Keytab::of(case) {
        Ok(keytab) => keytab,
        Err(instead) => return instead,
    };
    let required = case.spns_where(|spn| spn.is_required());
    Judged::each(required, "no required SPN", |spn| judge(case, &keytab, &spn.expected.spn))
}

fn judge(case: &Case<'_>, keytab: &Keytab<'_>, spn: &Spn) -> Known<Option<Subject>> {
    let entries: Vec<_> = keytab.of_spn(spn).collect();
    let lacks = if entries.is_empty() {
        format!("{} has no entry for it", keytab.described())
    } else {
        let current: Vec<_> = entries.iter().filter(|entry| is_version(entry, keytab.current)).collect();
        let Some(strongest) = strongest(case)? else { return Ok(None) };
        // Without any current entry it is stale, which is another finding.
        if current.is_empty() || current.iter().any(|entry| entry.kind() == strongest) {
            return Ok(None);
        }
        let kinds: Vec<String> = current.iter().map(|entry| entry.kind().to_string()).collect();
        format!(
            "{} has {} for it, and the account allows {strongest} too",
            keytab.described(),
            kinds.join(", ")
        )
    };
    let remedy = keytab.remedy(case, &[spn], keytab.current, false);
    Ok::<_, Gap>(Some(Subject::new(spn.label(), lacks).then_all(remedy)))
}

/// By the account's own setting; without one the domain controllers' default is not shown.
fn strongest(case: &Case<'_>) -> Known<Option<EncryptionType>> {
    let types = case.account()?.condition.encryption_types.clone()?;
    Ok(types.and_then(|types| types.ciphers().next()).and_then(|cipher| match cipher {
        Cipher::Aes256 => Some(EncryptionType::AES256),
        Cipher::Aes128 => Some(EncryptionType::AES128),
        Cipher::Rc4 => Some(EncryptionType::RC4),
        Cipher::Des => None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::condition::EncryptionTypes;
    use crate::samples::{Bench, PORT, Seen};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&RULE);
        // The account allows AES alone.
        assert_eq!(judge(Bench::new().keytab(&[(PORT, 2, 18), (PORT, 2, 17)])), Seen::clear());
        assert_eq!(judge(Bench::new().keytab(&[("svc_sql", 2, 18)])), Seen::applies(&[PORT]));
        assert_eq!(judge(Bench::new().keytab(&[])), Seen::applies(&[PORT]));
        assert_eq!(judge(Bench::new().keytab(&[(PORT, 2, 23)])), Seen::applies(&[PORT]));
        assert_eq!(judge(Bench::new().keytab(&[(PORT, 1, 18)])), Seen::clear());
        let types = |bits: Option<u32>| {
            Bench::new()
                .keytab(&[(PORT, 2, 23)])
                .with(move |bench| bench.condition.encryption_types = Ok(bits.map(EncryptionTypes)))
        };
        assert_eq!(judge(types(Some(4))), Seen::clear());
        assert_eq!(judge(types(None)), Seen::clear());
        let second = Bench::new().ports(&[1433, 1500]).keytab(&[(PORT, 2, 18)]);
        assert_eq!(judge(second), Seen::applies(&["MSSQLSvc/sql01.corp.contoso.com:1500"]));
        let old = Bench::new().keytab(&[]).with(|bench| bench.keytab_age_seconds = 90_000.0);
        assert_eq!(judge(old), Seen::unknown());
        assert_eq!(judge(Bench::new()), Seen::not_applicable());
    }

    #[test]
    fn lines() {
        let lines = |bench: Bench| Bench::commands(&bench.finding(&RULE).subjects[0]);
        let missing = lines(Bench::new().keytab(&[]));
        assert!(missing[0].starts_with("# adutil keytab createauto ") && missing.len() == 4, "{missing:?}");
        assert!(missing.iter().all(|line| !line.to_lowercase().contains("rc4")), "{missing:?}");
        // An account without AES gets it first; with a new password the version moves on.
        let weak = Bench::new().keytab(&[]).old_password();
        let weak = weak.with(|bench| bench.condition.encryption_types = Ok(Some(EncryptionTypes(4))));
        let subject = weak.finding(&RULE).subjects.remove(0);
        assert_eq!(Bench::steps(&subject)[..3], ["NewPassword", "UseAes", "Keytab"]);
        assert!(Bench::commands(&subject)[2].contains("--kvno <kvno> "), "{subject:?}");
    }
}
