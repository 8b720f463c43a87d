//! `ticket_wrong_key`: the KDC encrypts tickets with a key that SQL Server's keytab does not have. Told on Linux alone: on Windows
//! the key of a service cannot be known, and a computer or gMSA accepts its previous one too (JUDGEMENT 10).

use crate::findings::keytabs::{Keytab, is_version};
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::observed::Gap;

pub(super) const RULE: Rule = Rule {
    name: "ticket_wrong_key",
    severity: Severity::Critical,
    escalates: false,
    scope: Scope::Domain,
    meaning: "The KDC issues tickets that SQL Server cannot decrypt: its keytab has no key of their encryption type. Logins fail \
              with \"Cannot generate SSPI context\", without a fallback.",
    seen: "A service ticket was issued, and what keytab-info says of SQL Server's keytab has its key version with other \
           encryption types only.",
    repair: "Add keys of the type that the KDC uses, AES only; where it issues weaker tickets, first give the \
             account AES keys and allow AES. Give ktpass -setpass and -setupn: without them it changes the \
             account's password and its UPN.",
    source: "https://learn.microsoft.com/sql/linux/sql-server-linux-ad-auth-understanding",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    let keytab = match Keytab::of(case) {
        Ok(keytab) => keytab,
        Err(instead) => return instead,
    };
    let granted = case.granted();
    Judged::each(granted, "no ticket was issued", |(spn, granted)| {
        let version = granted.key_version.unwrap_or(keytab.current);
        // That the keytab does not have this version at all is another finding.
        if !keytab.has_version(version) {
            return Ok(None);
        }
        let ours = keytab.ours.iter().filter(|entry| is_version(entry, version));
        let kinds: Vec<String> = ours.clone().map(|entry| entry.kind().to_string()).collect();
        if ours.clone().any(|entry| entry.kind() == granted.encryption_type) {
            return Ok(None);
        }
        let subject = Subject::new(
            spn.label(),
            format!(
                "{} issues tickets with {} of key version {version}",
                granted.kdc, granted.encryption_type
            ),
        );
        let line = format!("{} has for that version only {}", keytab.described(), kinds.join(", "));
        let remedy = keytab.remedy(case, &[spn], version, granted.encryption_type.is_weak());
        Ok::<_, Gap>(Some(subject.line(line).then_all(remedy)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{Bench, PORT, Seen};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&RULE);
        let rc4_keys = || Bench::new().keytab(&[(PORT, 2, 23)]);
        assert_eq!(judge(rc4_keys().ticket_granted(PORT, 18, 2)), Seen::applies(&[PORT]));
        assert_eq!(judge(Bench::new().keytab(&[(PORT, 2, 18)]).ticket_granted(PORT, 18, 2)), Seen::clear());
        assert_eq!(
            judge(Bench::new().keytab(&[("svc_sql", 2, 18)]).ticket_granted(PORT, 18, 2)),
            Seen::clear()
        );
        // Another version is `keytab_stale`.
        assert_eq!(judge(Bench::new().keytab(&[(PORT, 1, 18)]).ticket_granted(PORT, 18, 2)), Seen::clear());
        assert_eq!(judge(rc4_keys().ticket_refused(PORT, 7)), Seen::not_applicable());
        assert_eq!(judge(rc4_keys()), Seen::not_applicable());
        assert_eq!(judge(rc4_keys().no_kdc()), Seen::unknown());
        let old = rc4_keys().ticket_granted(PORT, 18, 2).with(|bench| bench.keytab_age_seconds = 90_000.0);
        assert_eq!(judge(old), Seen::unknown());
        // On Windows it cannot be known.
        assert_eq!(judge(Bench::new().ticket_granted(PORT, 18, 2)), Seen::not_applicable());
    }

    #[test]
    fn remedies_are_aes() {
        let steps = |bench: Bench| Bench::steps(&bench.finding(&RULE).subjects[0]);
        let aes = Bench::new().keytab(&[(PORT, 2, 23)]).ticket_granted(PORT, 18, 2);
        assert_eq!(steps(aes), ["Keytab", "Keytab", "Keytab", "Keytab", "Advice"]);
        let rc4 = Bench::new().keytab(&[(PORT, 2, 18)]).ticket_granted(PORT, 23, 2);
        let rc4 = rc4.with(|bench| bench.condition.encryption_types = Ok(None));
        assert_eq!(steps(rc4)[..2], ["UseAes", "Keytab"]);
    }
}
