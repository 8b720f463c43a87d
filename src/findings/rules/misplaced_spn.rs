//! `misplaced_spn`: a required SPN of the instance is on another account only. Listener and alias SPNs have findings of
//! their own.

use crate::findings::proposals;
use crate::findings::registration;
use crate::findings::spns::{JudgedSpn, Status};
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;

pub(super) const RULE: Rule = Rule {
    name: "misplaced_spn",
    severity: Severity::Critical,
    escalates: false,
    scope: Scope::Domain,
    meaning: "An SPN that clients ask for is on another account than the one the service runs as: they get a ticket \
              that the service cannot decrypt and fail with \"Cannot generate SSPI context\", without a fallback.",
    seen: "The service account was read on a domain controller of its own domain and is without the SPN; a complete \
           Global Catalog search shows it on another account.",
    repair: "Remove it there and add it to the service account, one right after the other and on the same domain \
             controller. Adding first is refused while another account holds it. Where check gives no command, ask \
             the owner of the other account first.",
    source: "https://learn.microsoft.com/troubleshoot/sql/database-engine/connect/cannot-generate-sspi-context-error",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    let required = case.spns_where(|spn| spn.is_of_instance() && spn.is_required());
    Judged::each(required, "no required SPN", |spn| match &spn.status {
        Status::Unknown(gap) => Err(gap.clone()),
        Status::Misplaced => Ok(Some(subject(case, spn))),
        Status::Good | Status::Missing | Status::Duplicate => Ok(None),
    })
    .and_gaps(case.expectation_gaps(|kind| !kind.is_a_name_of_its_own()))
}

fn subject(case: &Case<'_>, misplaced: &JudgedSpn) -> Subject {
    let expected = &misplaced.expected;
    let mut subject = Subject::new(expected.spn.label(), format!("expected because of: {}", expected.why));
    if let Ok(right) = &case.picture.holder {
        subject = subject.line(format!("the service runs as {}", right.nt_name()));
    }
    if let Some(word) = registration::word(case, &expected.spn) {
        subject = subject.line(word);
    }
    if let Some(why) = case.unsupported_account() {
        subject = subject.line(why);
    }
    let mut removals = Vec::new();
    for holder in misplaced.others(case.right_sid()) {
        subject = subject.line(format!("held by {} ({})", holder.nt_name(), holder.class.name()));
        removals.push(proposals::removal(case, misplaced, holder));
    }
    let may_move = removals.iter().all(|change| matches!(change, Change::RemoveSpn { .. }));
    subject.changes = removals;
    if misplaced.is_held_abroad {
        return subject.line(
            "the service's account holds it in its own forest, where it needs no change; clients of this forest are \
             answered from this forest and get a ticket that the service cannot decrypt",
        );
    }
    // Adding it while it stays elsewhere is refused by setspn and by the domain controller.
    if may_move { proposals::add(case, misplaced, subject) } else { subject }
}

#[cfg(test)]
mod tests {
    use crate::samples::{Bench, PORT, Seen};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let elsewhere = || Bench::new().spns("svc_old", &[PORT]);
        assert_eq!(judge(elsewhere()), Seen::applies(&[PORT]));
        assert_eq!(judge(Bench::new()), Seen::clear());
        assert_eq!(judge(Bench::new().no_directory()), Seen::unknown());
        assert_eq!(judge(elsewhere().hidden("svc_sql")), Seen::unknown());
        let partly = elsewhere().ports(&[1433, 1500]).not_asked("MSSQLSvc/sql01.corp.contoso.com:1500");
        assert_eq!(judge(partly), Seen::applies(&[PORT]).and_unknown());
        assert_eq!(judge(Bench::new().workgroup()), Seen::not_applicable());
    }

    #[test]
    fn what_the_right_account_holds_in_its_own_forest_is_only_taken_from_ours() {
        let bench = || Bench::new().abroad(&[PORT]).spns("svc_old", &[PORT]);
        assert_eq!(bench().judge(&super::RULE), Seen::applies(&[PORT]));
        let taken = bench().finding(&super::RULE);
        assert_eq!(Bench::commands(&taken.subjects[0]), [format!("setspn -D {PORT} CORP\\svc_old")]);
        assert!(taken.subjects[0].evidence.iter().any(|line| line.contains("in its own forest")));
        // Not even there: an SPN of ours on an account of ours, and the right one is to get it.
        let moved = Bench::new().abroad(&[]).spns("svc_old", &[PORT]);
        assert_eq!(moved.judge(&super::RULE), Seen::applies(&[PORT]));
        assert_eq!(Bench::new().abroad(&[PORT]).judge(&super::RULE), Seen::clear());
    }

    #[test]
    fn deletes_then_adds() {
        let finding = Bench::new().spns("svc_old", &[PORT]).finding(&super::RULE);
        assert_eq!(
            Bench::commands(&finding.subjects[0]),
            [format!("setspn -D {PORT} CORP\\svc_old"), format!("setspn -U -S {PORT} CORP\\svc_sql")]
        );
    }

    #[test]
    fn proposes_nothing_while_the_other_account_cannot_be_read_at_home() {
        let finding = Bench::new().spns("svc_old", &[PORT]).hidden("svc_old").finding(&super::RULE);
        assert_eq!(Bench::commands(&finding.subjects[0]), Vec::<String>::new());
    }
}
