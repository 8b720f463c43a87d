//! `recommended_spn_elsewhere`: a recommended SPN with a full name is on another account, alone or beside ours: clients that
//! ask for it fail. Aliases and short names have findings of their own.

use crate::expected::SpnKind;
use crate::findings::proposals;
use crate::findings::spns::{JudgedSpn, Status};
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::observed::Known;

pub(super) const RULE: Rule = Rule {
    name: "recommended_spn_elsewhere",
    severity: Severity::Warning,
    escalates: false,
    scope: Scope::Domain,
    meaning: "A recommended SPN is on another account: clients that ask for it (named pipes, the DAC, drivers that name \
              the instance) get a ticket that the service cannot decrypt.",
    seen: "A complete Global Catalog search, and the service account read in its own domain.",
    repair: "Ask the owner of the other account whether it still needs the SPN.",
    source: "https://learn.microsoft.com/sql/database-engine/configure-windows/register-a-service-principal-name-for-kerberos-connections",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    let recommended = case.spns_where(|spn| {
        !spn.is_required() && !spn.expected.is_short && spn.expected.kind != SpnKind::Alias
    });
    Judged::each(recommended, "no recommended SPN", |spn| elsewhere(case, spn))
}

/// A subject if another account than ours holds it.
pub(super) fn elsewhere(case: &Case<'_>, spn: &JudgedSpn) -> Known<Option<Subject>> {
    match &spn.status {
        Status::Unknown(gap) => Err(gap.clone()),
        Status::Good | Status::Missing => Ok(None),
        Status::Duplicate | Status::Misplaced => {
            let text = format!("expected because of: {}", spn.expected.why);
            Ok(Some(proposals::ask_others(case, spn, Subject::new(spn.expected.spn.label(), text))))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::samples::{Bench, NAME, PORT, Seen};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let beside = || Bench::new().spns("svc_sql", &[PORT, NAME]).spns("svc_old", &[NAME]);
        assert_eq!(judge(beside()), Seen::applies(&[NAME]));
        assert_eq!(
            judge(Bench::new().spns("svc_sql", &[PORT]).spns("svc_old", &[NAME])),
            Seen::applies(&[NAME])
        );
        assert_eq!(judge(Bench::new()), Seen::clear());
        assert_eq!(judge(Bench::new().spns("svc_sql", &[PORT])), Seen::clear());
        assert_eq!(judge(Bench::new().no_directory()), Seen::unknown());
        let two = beside().endpoint(5022, "NEGOTIATE").not_asked("MSSQLSvc/sql01.corp.contoso.com:5022");
        assert_eq!(judge(two), Seen::applies(&[NAME]).and_unknown());
        assert_eq!(judge(Bench::new().workgroup()), Seen::not_applicable());
        assert_eq!(Bench::commands(&beside().finding(&super::RULE).subjects[0]), Vec::<String>::new());
    }
}
