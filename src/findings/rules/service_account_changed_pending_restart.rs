//! `service_account_changed_pending_restart`: the process still runs as the account that it was started with. The owner of its
//! token says so to an exporter on the instance's Windows host, the error log to one that may read it.

use crate::findings::accounts::pending_change;
use crate::findings::spns::Status;
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;
use crate::model::directory::{Account, AccountNames};
use crate::model::observed::Known;

pub(super) const RULE: Rule = Rule {
    name: "service_account_changed_pending_restart",
    severity: Severity::Warning,
    escalates: false,
    scope: Scope::Domain,
    meaning: "The service was given another account and has not been restarted: it runs as the old one, and SPNs that fit the \
              new one are wrong until then.",
    seen: "The owner of the process's token, or else the account in the error log of the last start (49904, English), \
           against the account of the service entry; both as the directory resolves them.",
    repair: "Restart the service in a maintenance window, and move its SPNs at the same time.",
    source: "https://learn.microsoft.com/sql/database-engine/configure-windows/scm-services-change-the-service-startup-account",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    Judged::one(judge(case))
}

fn judge(case: &Case<'_>) -> Known<Option<Subject>> {
    let Some(pending) = pending_change(case)? else { return Ok(None) };
    let mut subject = Subject::new(pending.configured, "the service entry names this account")
        .line(format!("the process runs as {}", pending.running));
    for need in pending.next.map(|next| needs(case, next)).unwrap_or_default() {
        subject = subject.line(need);
    }
    Ok(Some(subject.then(Change::RestartService)))
}

/// The SPNs that the next account has to have after the restart and has not: those that clients need, and those that are in
/// good order today.
fn needs(case: &Case<'_>, next: &Account) -> Vec<String> {
    let held = match &next.spns {
        Ok(held) => held,
        Err(gap) => return vec![format!("which SPNs it has is not known: {gap}")],
    };
    let Ok(spns) = case.spns() else { return Vec::new() };
    let wanted = spns.iter().filter(|judged| judged.is_required() || matches!(judged.status, Status::Good));
    wanted
        .filter(|judged| !held.contains(&judged.expected.spn))
        .map(|judged| {
            let holders: Vec<String> = judged.holders.iter().flatten().map(AccountNames::nt_name).collect();
            let now = if holders.is_empty() { "nobody".to_owned() } else { holders.join(", ") };
            format!("after the restart it needs {}, which {now} holds now", judged.expected.spn.label())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Outcome;
    use crate::model::account::Sid;
    use crate::samples::{Bench, NAME, PORT, Seen, sid};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&RULE);
        let other = || Bench::new().engine(|engine| engine.runs_as = Ok(sid("svc_old")));
        assert_eq!(judge(other()), Seen::applies(&["CORP\\svc_sql"]));
        assert_eq!(judge(Bench::new().engine(|_| {})), Seen::clear());
        let service = Sid::from_bytes(&[1, 2, 0, 0, 0, 0, 0, 5, 80, 0, 0, 0, 1, 2, 3, 4]).unwrap();
        let virtual_account = |runs_as: &Sid| {
            let runs_as = runs_as.clone();
            Bench::new()
                .service_account("NT SERVICE\\MSSQLSERVER")
                .engine(move |engine| engine.runs_as = Ok(runs_as))
        };
        assert_eq!(judge(virtual_account(&service)), Seen::clear());
        assert_eq!(judge(virtual_account(&sid("svc_old"))), Seen::applies(&["CORP\\sql01$"]));
        assert_eq!(judge(other().hidden("svc_sql")), Seen::unknown());
        let refused = Bench::new().engine(|engine| engine.runs_as = Err(Bench::refused()));
        assert_eq!(judge(refused), Seen::unknown());
        assert_eq!(judge(Bench::new()), Seen::not_applicable());
        assert_eq!(judge(other().workgroup()), Seen::not_applicable());
    }

    #[test]
    fn by_the_error_log() {
        let judge = |bench: Bench| bench.judge(&RULE);
        let pending = || Bench::new().logged("CORP\\svc_old");
        assert_eq!(judge(pending()), Seen::applies(&["CORP\\svc_sql"]));
        // Spellings of one account.
        for (entry, logged) in [
            ("CORP\\svc_sql", "corp\\SVC_SQL"),
            ("svc_sql@corp.contoso.com", "CORP\\svc_sql"),
            ("CORP\\svc_sql", "svc_sql@corp.contoso.com"),
            ("NT SERVICE\\MSSQLSERVER", "NT Service\\MSSQLSERVER"),
            ("NT SERVICE\\MSSQLSERVER", "CORP\\SQL01$"),
            ("NT AUTHORITY\\NETWORK SERVICE", "NT AUTHORITY\\NETWORK SERVICE"),
            ("NT AUTHORITY\\NETWORK SERVICE", "CORP\\sql01$"),
            ("LocalSystem", "WORKGROUP\\SQL01$"),
            (".\\bob", "SQL01\\bob"),
            ("CORP\\gmsa_sql$", "CORP\\gmsa_sql$"),
        ] {
            assert_eq!(
                judge(Bench::new().service_account(entry).logged(logged)),
                Seen::clear(),
                "{entry} {logged}"
            );
        }
        for (entry, logged, subject) in [
            ("CORP\\svc_sql", "NT Service\\MSSQLSERVER", "CORP\\svc_sql"),
            ("NT SERVICE\\MSSQLSERVER", "CORP\\svc_old", "CORP\\sql01$"),
            ("CORP\\svc_sql", "SQL01\\bob", "CORP\\svc_sql"),
            (".\\bob", "CORP\\svc_old", ".\\bob"),
            (".\\bob", ".\\alice", ".\\bob"),
        ] {
            let seen = judge(Bench::new().service_account(entry).logged(logged));
            assert_eq!(seen, Seen::applies(&[subject]), "{entry} {logged}");
        }
        // A name that cannot be resolved proves nothing.
        assert_eq!(judge(Bench::new().logged("OTHER\\svc_old")), Seen::unknown());
        assert_eq!(judge(pending().hidden("svc_old")), Seen::unknown());
        assert_eq!(judge(pending().hidden("svc_sql")), Seen::unknown());
        assert_eq!(judge(pending().no_directory()), Seen::unknown());
        // The token comes first; where it is refused the log decides.
        assert_eq!(judge(pending().engine(|_| {})), Seen::clear());
        assert_eq!(
            judge(pending().engine(|engine| engine.runs_as = Err(Bench::refused()))),
            Seen::applies(&["CORP\\svc_sql"])
        );
        let token_of_nobody = || Bench::new().engine(|engine| engine.runs_as = Ok(sid("svc_unheard_of")));
        assert_eq!(judge(token_of_nobody().logged("SQL01\\bob")), Seen::applies(&["CORP\\svc_sql"]));
        let local = token_of_nobody().logged("SQL01\\bob").finding(&super::super::account_disabled::RULE);
        assert_eq!(local.outcome, Outcome::NotApplicable, "a machine-local account runs");
        let told = pending()
            .with(|bench| bench.settings.instances[0].service_account = Some("CORP\\svc_sql".into()));
        assert_eq!(judge(told), Seen::not_applicable());
        assert_eq!(judge(pending().workgroup()), Seen::not_applicable());
    }

    #[test]
    fn spns_are_judged_for_the_running_account() {
        use super::super::{misplaced_spn, missing_spn};
        // In order now, and what the next account will need is said.
        let before = || Bench::new().spns("svc_old", &[PORT, NAME]);
        for bench in
            [before().logged("CORP\\svc_old"), before().engine(|engine| engine.runs_as = Ok(sid("svc_old")))]
        {
            let subject = &bench.finding(&RULE).subjects[0];
            let needs: Vec<&String> = subject.evidence.iter().filter(|line| line.contains("needs")).collect();
            let of =
                |label: &str| format!("after the restart it needs {label}, which CORP\\svc_old holds now");
            assert_eq!(needs, [&of(PORT), &of(NAME)]);
            assert!(
                subject.evidence.iter().any(|line| line.contains("runs as CORP\\svc_old")),
                "{subject:?}"
            );
            assert_eq!(bench.finding(&misplaced_spn::RULE).outcome, Outcome::Clear);
        }
        // Moved too early: clients fail until the restart, and taking the SPN back is no remedy.
        let early = || Bench::new().spns("svc_sql", &[PORT]).logged("CORP\\svc_old");
        let misplaced = early().finding(&misplaced_spn::RULE);
        assert_eq!(misplaced.subjects[0].changes, [Change::RestartService]);
        assert!(early().finding(&RULE).subjects[0].evidence.iter().all(|line| !line.contains("needs")));
        // On nobody: nothing is added to the account that goes.
        let nobody = Bench::new().spns("svc_other", &[]).logged("CORP\\svc_old").finding(&missing_spn::RULE);
        assert_eq!(nobody.subjects.len(), 1);
        assert_eq!(Bench::commands(&nobody.subjects[0]), Vec::<String>::new());
        // A token without a name among what was read: the entry's account is judged, as before.
        let stranger = Bench::new().engine(|engine| engine.runs_as = Ok(sid("svc_unheard_of")));
        assert_eq!(stranger.finding(&misplaced_spn::RULE).outcome, Outcome::Clear);
        assert_eq!(stranger.finding(&RULE).outcome, Outcome::Applies);
    }
}
