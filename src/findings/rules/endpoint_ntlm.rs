//! `endpoint_ntlm`: replicas or mirroring partners talk NTLM: the endpoint is set so, or its SPN is not good.

use crate::expected::SpnKind;
use crate::findings::proposals;
use crate::findings::spns::Status;
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;
use crate::model::instance::Endpoint;
use crate::model::observed::Known;
use crate::model::spn::Spn;

pub(super) const RULE: Rule = Rule {
    name: "endpoint_ntlm",
    severity: Severity::Info,
    escalates: false,
    scope: Scope::Domain,
    meaning: "The replicas' endpoint authenticates with NTLM: it is set to NTLM, or it negotiates and the SPN of \
              its port is not good.",
    seen: "sys.database_mirroring_endpoints (connection_auth_desc), sys.tcp_endpoints, and the endpoint's SPN.",
    repair: "Register MSSQLSvc/<fqdn>:<endpoint port> by hand on the service account, and let the endpoint negotiate.",
    source: "https://learn.microsoft.com/sql/database-engine/availability-groups/windows/prereqs-restrictions-recommendations-always-on-availability",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    let endpoints = case.instance().and_then(|instance| instance.endpoints.as_deref().map_err(Clone::clone));
    Judged::each(endpoints, "no mirroring or availability group endpoint", |endpoint| judge(case, endpoint))
}

fn judge(case: &Case<'_>, endpoint: &Endpoint) -> Known<Option<Subject>> {
    let method = endpoint.authentication.to_uppercase();
    let name = format!("{} (port {})", endpoint.name, endpoint.port);
    if method.contains("NTLM") {
        let text = format!("the endpoint is set to {method}");
        let advice = "ALTER ENDPOINT … FOR DATABASE_MIRRORING (AUTHENTICATION = WINDOWS NEGOTIATE)";
        return Ok(Some(Subject::new(name, text).then(Change::Advice(advice.into()))));
    }
    if !method.contains("NEGOTIATE") {
        return Ok(None);
    }
    let spn = Spn::with_port(&case.names()?.primary, endpoint.port);
    let Some(judged) = case.spn(&spn)? else { return Ok(None) };
    match (&judged.status, judged.expected.kind) {
        (Status::Unknown(gap), _) => Err(gap.clone()),
        (Status::Missing, SpnKind::Endpoint) => {
            let text = format!("the endpoint negotiates, and no account holds {}", spn.label());
            Ok(Some(proposals::add(case, judged, Subject::new(name, text))))
        }
        (Status::Good | Status::Missing | Status::Duplicate | Status::Misplaced, _) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use crate::samples::{Bench, Seen};

    const SPN: &str = "MSSQLSvc/sql01.corp.contoso.com:5022";
    const NAME: &str = "Hadr_endpoint (port 5022)";

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let endpoint = |method: &str| Bench::new().endpoint(5022, method);
        assert_eq!(judge(endpoint("NTLM")), Seen::applies(&[NAME]));
        assert_eq!(judge(endpoint("NEGOTIATE")), Seen::applies(&[NAME]));
        assert_eq!(judge(endpoint("NEGOTIATE").spns("svc_sql", &[SPN])), Seen::clear());
        assert_eq!(judge(endpoint("CERTIFICATE")), Seen::clear());
        assert_eq!(judge(endpoint("NEGOTIATE").no_directory()), Seen::unknown());
        let two = endpoint("NTLM").endpoint(5023, "NEGOTIATE").not_asked(&SPN.replace("5022", "5023"));
        assert_eq!(judge(two), Seen::applies(&[NAME]).and_unknown());
        assert_eq!(judge(Bench::new()), Seen::not_applicable());
    }

    #[test]
    fn nothing_is_added_to_a_protected_account() {
        let commands = |is_protected: bool| {
            let bench = Bench::new().endpoint(5022, "NEGOTIATE");
            let finding = bench.with(|bench| bench.is_protected = is_protected).finding(&super::RULE);
            Bench::commands(&finding.subjects[0])
        };
        assert_eq!(commands(false), [format!("setspn -U -S {SPN} CORP\\svc_sql")]);
        assert_eq!(commands(true), Vec::<String>::new());
    }
}
