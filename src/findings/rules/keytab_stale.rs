//! `keytab_stale`: SQL Server's keytab (Linux) has no key of the account's current version. An extra old one is right: tickets issued
//! before the change need it.

use crate::findings::keytabs::Keytab;
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::spn::Spn;

pub(super) const RULE: Rule = Rule {
    name: "keytab_stale",
    severity: Severity::Critical,
    escalates: false,
    scope: Scope::Domain,
    meaning: "The password of the service account was changed and SQL Server's keytab was not: it cannot decrypt new tickets, and \
              logins fail without a fallback.",
    seen: "What keytab-info says of SQL Server's keytab has no entry with the account's key version (msDS-KeyVersionNumber).",
    repair: "Add the keys of the new password with its key version, AES only, and keep the old entries beside them \
             for tickets that are still in use. Give ktpass -setpass and -setupn: without them it changes the \
             account's password and its UPN. Next time write the keytab first, with the next key version, and set \
             the password after it: no restart is needed then.",
    source: "https://learn.microsoft.com/sql/linux/sql-server-linux-ad-auth-rotate-keytabs",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    let keytab = match Keytab::of(case) {
        Ok(keytab) => keytab,
        Err(instead) => return instead,
    };
    // Nothing of ours in it is `keytab_incomplete`.
    if keytab.ours.is_empty() || keytab.has_version(keytab.current) {
        return Judged::CLEAR;
    }
    let subject = Subject::new(
        keytab.account.nt_name(),
        format!("its key version is {} ({})", keytab.current, keytab.said_by),
    );
    let line = format!("{} has only version {} for it", keytab.described(), keytab.versions());
    let spns: Vec<&Spn> = case
        .spns()
        .unwrap_or_default()
        .iter()
        .filter(|spn| spn.is_required())
        .map(|spn| &spn.expected.spn)
        .collect();
    let remedy = keytab.remedy(case, &spns, keytab.current, false);
    Judged::one(Ok(Some(subject.line(line).then_all(remedy))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::condition::PasswordSet;
    use crate::samples::{Bench, PORT, Seen, now};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&RULE);
        let applies = || Seen::applies(&["CORP\\svc_sql"]);
        // The account's version is 2.
        assert_eq!(judge(Bench::new().keytab(&[(PORT, 1, 18)])), applies());
        assert_eq!(judge(Bench::new().keytab(&[("svc_sql", 1, 18), (PORT, 1, 18)])), applies());
        assert_eq!(judge(Bench::new().keytab(&[(PORT, 2, 18)])), Seen::clear());
        // An extra old one is right; other people's entries do not count.
        assert_eq!(judge(Bench::new().keytab(&[(PORT, 1, 18), (PORT, 2, 18)])), Seen::clear());
        assert_eq!(judge(Bench::new().keytab(&[("SQL01$", 1, 18), (PORT, 2, 18)])), Seen::clear());
        assert_eq!(judge(Bench::new().keytab(&[("SQL01$", 1, 18)])), Seen::clear());
        // 8 bits wrap around.
        let many = Bench::new().keytab(&[(PORT, 2, 18)]).with(|bench| bench.condition.key_version = Ok(258));
        assert_eq!(judge(many), Seen::clear());
        // The version by the ticket, where the attribute is hidden.
        let hidden = |bench: Bench| bench.with(|bench| bench.condition.key_version = Err(Bench::refused()));
        assert_eq!(judge(hidden(Bench::new().keytab(&[(PORT, 1, 18)]))), Seen::unknown());
        assert_eq!(
            judge(hidden(Bench::new().keytab(&[(PORT, 1, 18)]).ticket_granted(PORT, 18, 2))),
            applies()
        );
        // Looked at before the change: the next look tells.
        let changed = Bench::new().keytab(&[(PORT, 1, 18)]).with(|bench| {
            bench.condition.password_set = Ok(PasswordSet::At(now().unix_seconds() - 1.0));
        });
        assert_eq!(judge(changed), Seen::unknown());
        let old = Bench::new().keytab(&[(PORT, 1, 18)]).with(|bench| bench.keytab_age_seconds = 90_000.0);
        assert_eq!(judge(old), Seen::unknown());
        let gone = Bench::new().keytab(&[(PORT, 1, 18)]).with(|bench| bench.machine.keytabs.clear());
        assert_eq!(judge(gone), Seen::unknown());
        assert_eq!(judge(Bench::new().keytab(&[(PORT, 1, 18)]).hidden("svc_sql")), Seen::unknown());
        // Not asked for, or no keytab at all.
        let linux = Bench::new().keytab(&[]).with(|bench| bench.settings.instances[0].keytab_info = None);
        assert_eq!(judge(linux), Seen::not_applicable());
        assert_eq!(judge(Bench::new()), Seen::not_applicable());
    }

    #[test]
    fn lines_for_every_name() {
        let subject = Bench::new().keytab(&[(PORT, 1, 18)]).finding(&RULE).subjects.remove(0);
        let lines = Bench::commands(&subject);
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert!(lines.iter().all(|line| line.starts_with("# ") && line.contains("kvno 2 ")), "{lines:?}");
        assert!(
            lines[0].contains("createauto -k /var/opt/mssql/secrets/mssql.keytab -p 1433 -H sql01."),
            "{lines:?}"
        );
        assert!(lines[2].contains("-setpass -setupn /kvno 2 /pass *"), "{lines:?}");
        assert!(lines[2].contains("@CORP.CONTOSO.COM "), "{lines:?}");
        let hostile = Bench::new().keytab(&[(PORT, 1, 18)]).with(|bench| {
            let info = bench.machine.keytabs.values_mut().next().unwrap();
            info.as_mut().unwrap().keytab = "/x;calc".into();
        });
        let lines = Bench::commands(&hostile.finding(&RULE).subjects[0]);
        assert!(lines.iter().all(|line| !line.contains("calc")), "{lines:?}");
    }
}
