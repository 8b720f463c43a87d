//! `duplicate_spn`: a required SPN is on two or more accounts of the forest. Accounts of other forests never count.

use crate::findings::proposals;
use crate::findings::spns::{JudgedSpn, Status};
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;

pub(super) const RULE: Rule = Rule {
    name: "duplicate_spn",
    severity: Severity::Critical,
    escalates: false,
    scope: Scope::Domain,
    meaning: "Two or more accounts hold the same SPN. In one domain the KDC refuses it and clients fall back to NTLM; \
              across domains some clients get a ticket that the service cannot decrypt and fail.",
    seen: "A complete Global Catalog search shows holders with different objectSids.",
    repair: "Remove the SPN from every account but the one the service runs as. Where check gives no command, ask \
             the owner of the other account first: the SPN may serve something there.",
    source: "https://learn.microsoft.com/troubleshoot/sql/database-engine/connect/cannot-generate-sspi-context-error",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    let required = case.spns_where(JudgedSpn::is_required);
    Judged::each(required, "no required SPN", |spn| match &spn.status {
        Status::Unknown(gap) => Err(gap.clone()),
        Status::Duplicate => Ok(Some(subject(case, spn))),
        Status::Good | Status::Missing | Status::Misplaced => Ok(None),
    })
    .and_gaps(case.expectation_gaps(|_| true))
}

fn subject(case: &Case<'_>, duplicate: &JudgedSpn) -> Subject {
    let right = case.right_sid();
    let spn = &duplicate.expected.spn;
    let mut subject = Subject::new(spn.label(), format!("expected because of: {}", duplicate.expected.why));
    for holder in duplicate.holders.as_deref().unwrap_or_default() {
        let role = if Some(&holder.sid) == right { "the service's own account" } else { "another account" };
        let state = if holder.enabled == Some(false) { ", disabled (it counts all the same)" } else { "" };
        subject =
            subject.line(format!("held by {} ({role}, {}{state})", holder.nt_name(), holder.class.name()));
    }
    if let Some(word) = case.kdc_says(spn) {
        subject = subject.line(word);
    }
    let ours_holds = duplicate.is_present(right) == Some(true);
    for other in duplicate.others(right) {
        subject = subject.then(if ours_holds {
            proposals::removal(case, duplicate, other)
        } else {
            Change::AskOwner { spn: spn.clone(), holder: other.clone() }
        });
    }
    subject
}

#[cfg(test)]
mod tests {
    use crate::samples::{Bench, PORT, Seen};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let both = || Bench::new().spns("svc_sql", &[PORT]).spns("svc_old", &[PORT]);
        assert_eq!(judge(both()), Seen::applies(&[PORT]));
        assert_eq!(judge(Bench::new().spns("svc_sql", &[PORT])), Seen::clear());
        // Two holders are a duplicate even if the service's account is hidden from us.
        assert_eq!(judge(both().hidden("svc_sql")), Seen::applies(&[PORT]));
        // Other forests never count: one holder here beside the right one there is no duplicate, two are.
        let abroad = || Bench::new().abroad(&[PORT]).spns("svc_old", &[PORT]);
        assert_eq!(judge(abroad()), Seen::clear());
        assert_eq!(judge(abroad().spns("svc_new", &[PORT])), Seen::applies(&[PORT]));
        assert_eq!(judge(Bench::new().no_directory()), Seen::unknown());
        let partly = both().ports(&[1433, 1500]).not_asked("MSSQLSvc/sql01.corp.contoso.com:1500");
        assert_eq!(judge(partly), Seen::applies(&[PORT]).and_unknown());
        assert_eq!(judge(Bench::new().workgroup()), Seen::not_applicable());
    }

    #[test]
    fn removes_only_what_is_provably_ours() {
        let bench = Bench::new().spns("svc_sql", &[PORT]).spns("svc_old", &[PORT]);
        let finding = bench.finding(&super::RULE);
        assert_eq!(Bench::commands(&finding.subjects[0]), [format!("setspn -D {PORT} CORP\\svc_old")]);
        // A client-visible port behind NAT may belong to another server: ask first.
        let nat = "MSSQLSvc/sql01.corp.contoso.com:31433";
        let bench = Bench::new().expect_port(31433).spns("svc_sql", &[PORT, nat]).spns("svc_old", &[nat]);
        let finding = bench.finding(&super::RULE);
        assert_eq!(Bench::commands(&finding.subjects[0]), Vec::<String>::new());
    }
}
