//! `permission_missing`: a statement we want was refused for want of a right. What it feeds is unknown, never zero.

use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;
use crate::model::instance::StatementOutcome;

pub(super) const RULE: Rule = Rule {
    name: "permission_missing",
    severity: Severity::Warning,
    escalates: false,
    scope: Scope::Always,
    meaning: "SQL Server refused a statement of the exporter: what the statement would show is not known.",
    seen: "The error number of the refusal (229, 297, 300, 371), or rows that are hidden where there must be some \
           (IsHadrEnabled = 1).",
    repair: "Grant the right to the exporter's login.",
    source: "https://learn.microsoft.com/sql/relational-databases/system-dynamic-management-views/system-dynamic-management-views",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    let instance = match case.instance() {
        Ok(instance) => instance,
        Err(gap) => return Judged::from(gap),
    };
    let login = instance.properties.login.replace(']', "]]");
    Judged::each(Ok(&instance.statements), "no statement was sent", |(name, outcome)| {
        Ok(match outcome {
            StatementOutcome::Refused { number, for_permission: true, right } => {
                let text = format!("error {number}: the login {} lacks {right}", instance.properties.login);
                let grant = Change::TransactSql(format!("USE master; GRANT {right} TO [{login}];"));
                Some(Subject::new(*name, text).then(grant))
            }
            StatementOutcome::Answered
            | StatementOutcome::Refused { for_permission: false, .. }
            | StatementOutcome::Undecodable(_)
            | StatementOutcome::Unanswered(_)
            | StatementOutcome::NotSent(_) => None,
        })
    })
}

#[cfg(test)]
mod tests {
    use crate::model::instance::StatementOutcome;
    use crate::samples::{Bench, Seen};

    fn outcome(number: u32, for_permission: bool) -> Bench {
        let refused = StatementOutcome::Refused { number, for_permission, right: "VIEW SERVER STATE" };
        Bench::new().with(move |bench| {
            bench.instance.properties.login = "CORP\\mon]itor".into();
            bench.instance.statements.insert("listeners", refused);
        })
    }

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        assert_eq!(judge(outcome(300, true)), Seen::applies(&["listeners"]));
        assert_eq!(judge(outcome(208, false)), Seen::clear());
        assert_eq!(judge(Bench::new().with(|bench| bench.is_silent = true)), Seen::unknown());
        // An instance that was not asked anything refused nothing.
        assert_eq!(judge(Bench::new()), Seen::not_applicable());
        // A workgroup server's connections are counted all the same.
        assert_eq!(judge(outcome(300, true).workgroup()), Seen::applies(&["listeners"]));
        let commands = Bench::commands(&outcome(300, true).finding(&super::RULE).subjects[0]);
        assert_eq!(commands, ["USE master; GRANT VIEW SERVER STATE TO [CORP\\mon]]itor];"]);
    }
}
