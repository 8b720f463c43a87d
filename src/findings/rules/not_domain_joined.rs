//! `not_domain_joined`: the host is in no domain: there is nothing to judge here, and nothing is wrong.

use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;

pub(super) const RULE: Rule = Rule {
    name: "not_domain_joined",
    severity: Severity::Info,
    escalates: false,
    scope: Scope::Always,
    meaning: "The host is in no Active Directory domain, or the edition is out of scope: Kerberos does not apply \
              here.",
    seen: "DEFAULT_DOMAIN() of SQL Server and the exporter's configuration.",
    repair: "Nothing. If the host is in a domain, set directory.domain.",
    source: "https://learn.microsoft.com/sql/database-engine/configure-windows/register-a-service-principal-name-for-kerberos-connections",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    if let Err(gap) = case.instance() {
        return Judged::from(gap);
    }
    match &case.picture.scope {
        Ok(()) => Judged::CLEAR,
        Err(why) => {
            let change =
                Change::Configure { key: "directory.domain", example: "domain: corp.contoso.com".into() };
            Judged::one(Ok(Some(Subject::new(case.own.name.clone(), why.as_str()).then(change))))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::findings::verdict::Verdict;
    use crate::model::observed::{Failure, FailureKind};
    use crate::pipeline::assess;
    use crate::samples::{Bench, Seen, now};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        assert_eq!(judge(Bench::new().workgroup()), Seen::applies(&["MSSQLSERVER"]));
        let azure = Bench::new().with(|bench| bench.instance.properties.engine_edition = 8);
        assert_eq!(judge(azure), Seen::applies(&["MSSQLSERVER"]));
        assert_eq!(judge(Bench::new()), Seen::clear());
        // That a directory answers for another instance puts this one into no domain.
        let mixed = Bench::new().second_instance(|instance| {
            instance.properties.default_domain = Some("WORKGROUP".into());
        });
        let mut settings = mixed.settings.clone();
        settings.directory.servers.clear();
        let assessment = assess(&Arc::new(settings), Arc::new(mixed.evidence()), now());
        let verdicts: Vec<Verdict> = assessment.instances.iter().map(|instance| instance.verdict).collect();
        assert_eq!(
            verdicts,
            [Verdict::Unknown, Verdict::NotApplicable],
            "the one in the domain has lost its directory"
        );
        let down = Bench::new().with(|bench| bench.is_silent = true);
        assert_eq!(judge(down), Seen::unknown());
        // Never not applicable: every instance is in a domain or is not.
        // A look that failed just now does not take the last good answer away.
        let failing =
            Bench::new().with(|bench| bench.failure = Some(Failure::new(FailureKind::Timeout, "x")));
        assert_eq!(judge(failing), Seen::clear());
    }
}
