//! `account_not_found`: the service account's name stands for nothing. AD hides what may not be read, so an object that is
//! not visible to us is unknown; only a name that translates to no SID is "not found" (JUDGEMENT 3), or one that a KDC of its
//! realm does not know, as a KDC sees what the directory hides.

use crate::expected::ServiceAccount;
use crate::findings::picture::account_of;
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;
use crate::model::directory::Lookup;
use crate::model::observed::Known;

pub(super) const RULE: Rule = Rule {
    name: "account_not_found",
    severity: Severity::Warning,
    escalates: false,
    scope: Scope::Domain,
    meaning: "No account has the name of the service account: it was deleted or renamed. The service will not start \
              again.",
    seen: "The directory shows no such account, and either a complete search did not and SQL Server's host translates the \
           name to no SID while it translates that of krbtgt in the same domain, or a KDC of its realm does not know it \
           (KDC_ERR_C_PRINCIPAL_UNKNOWN; only with `ticket.ask_service_accounts`). An object that is merely invisible to \
           the exporter is unknown.",
    repair: "Give the service an account that exists, or let the exporter's account read the object.",
    source: "https://learn.microsoft.com/sql/database-engine/configure-windows/configure-windows-service-accounts-and-permissions",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    Judged::one(judge(case))
}

/// The account of the service entry: it is the one that the next start takes.
fn judge(case: &Case<'_>) -> Known<Option<Subject>> {
    let account = case.configured_account()?;
    let facts = case.directory()?;
    let gap = match account_of(facts, &account.key) {
        Ok(_) => return Ok(None),
        Err(gap) => gap,
    };
    // Without a search that came to its end a domain that nobody reaches would look the same: Windows keeps what it has
    // translated before.
    let is_searched = matches!(facts.accounts.get(&account.key), Some(Ok(Lookup::NotFound)));
    let untranslated = untranslated(case, account).filter(|_| is_searched);
    let evidence: Vec<String> = untranslated.into_iter().chain(unknown_to_kdc(case, account)).collect();
    if evidence.is_empty() {
        return Err(gap);
    }
    let subject = Subject::new(account.shown.clone(), "the directory shows no such account");
    let advice = "give the service an account that exists, in SQL Server Configuration Manager";
    let subject = evidence.into_iter().fold(subject, Subject::line);
    Ok(Some(subject.then(Change::Advice(advice.to_owned()))))
}

/// SQL Server's host says that the name stands for nothing.
fn untranslated(case: &Case<'_>, account: &ServiceAccount) -> Option<String> {
    let translation = case.instance().ok()?.name_translation.as_ref().ok()?;
    let is_about_it = translation.account.eq_ignore_ascii_case(&account.shown);
    (is_about_it && translation.proves_absence()).then(|| {
        "SQL Server's host translates the name to no SID, while it translates krbtgt of the same domain"
            .to_owned()
    })
}

/// A KDC does. It is asked about the account that the process runs as.
fn unknown_to_kdc(case: &Case<'_>, account: &ServiceAccount) -> Option<String> {
    let is_about_it = case.service_account().is_ok_and(|asked| asked.key == account.key);
    case.unknown_to_kdc().filter(|_| is_about_it)
}

#[cfg(test)]
mod tests {
    use crate::samples::{Bench, Seen};

    #[test]
    fn invisible_is_unknown() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        assert_eq!(judge(Bench::new()), Seen::clear());
        assert_eq!(judge(Bench::new().hidden("svc_sql")), Seen::unknown());
        assert_eq!(judge(Bench::new().no_directory()), Seen::unknown());
        assert_eq!(judge(Bench::new().service_account(".\\bob")), Seen::not_applicable());
        assert_eq!(judge(Bench::new().workgroup()), Seen::not_applicable());
    }

    #[test]
    fn a_name_without_a_sid_is_not_found() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let gone = |has_sid, has_control| {
            Bench::new().hidden("svc_sql").translated("CORP\\svc_sql", has_sid, has_control)
        };
        assert_eq!(judge(gone(false, true)), Seen::applies(&["CORP\\svc_sql"]));
        // No domain controller was reached; a stored login answers for a deleted account too.
        assert_eq!(judge(gone(false, false)), Seen::unknown());
        assert_eq!(judge(gone(true, true)), Seen::unknown());
        // It is seen: what the host says is stale.
        assert_eq!(judge(Bench::new().translated("CORP\\svc_sql", false, true)), Seen::clear());
        // No search came to its end; the answer is about another name; another forest has its own finding.
        assert_eq!(judge(gone(false, true).no_directory()), Seen::unknown());
        let other = Bench::new().hidden("svc_sql").translated("CORP\\svc_other", false, true);
        assert_eq!(judge(other), Seen::unknown());
        let abroad = Bench::new().service_account("OTHER\\svc").translated("OTHER\\svc", false, true);
        assert_eq!(judge(abroad), Seen::unknown());
        // The next start takes the account of the service entry, whatever the process runs as.
        assert_eq!(judge(gone(false, true).logged("CORP\\svc_old")), Seen::applies(&["CORP\\svc_sql"]));
        let unasked = Bench::new().hidden("svc_sql").with(|bench| {
            bench.instance.name_translation = Err(Bench::refused());
        });
        assert_eq!(judge(unasked), Seen::unknown());
    }

    #[test]
    fn a_kdc_sees_what_the_directory_hides() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let hidden = || Bench::new().hidden("svc_sql");
        assert_eq!(judge(hidden().client_refused("svc_sql", 6, &[])), Seen::applies(&["CORP\\svc_sql"]));
        for known in [18, 25, 60] {
            assert_eq!(judge(hidden().client_refused("svc_sql", known, &[])), Seen::unknown(), "{known}");
        }
        assert_eq!(judge(hidden().client_given_away("svc_sql")), Seen::unknown());
        // An object that is there beats a KDC that has not got it yet.
        assert_eq!(judge(Bench::new().client_refused("svc_sql", 6, &[])), Seen::clear());
        // Another account's answer is none.
        assert_eq!(judge(hidden().client_refused("svc_other", 6, &[])), Seen::unknown());
        let elsewhere = Bench::new().service_account("ELSEWHERE\\svc").client_refused("svc", 6, &[]);
        assert_eq!(judge(elsewhere), Seen::unknown());
    }
}
