//! `malformed_spn`: an engine SPN on our account that no client ever asks for: a backslash, `fqdn/INSTANCE`, an extra part.

use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;
use crate::model::spn::{MSSQLSVC, Spn};

pub(super) const RULE: Rule = Rule {
    name: "malformed_spn",
    severity: Severity::Info,
    escalates: false,
    scope: Scope::Domain,
    meaning: "The service account holds something that looks like an SPN of SQL Server and that no client asks for.",
    seen: "The account's own servicePrincipalName. An SPN with an IP address is not counted: clients with TryIPSPN ask \
           for it.",
    repair: "Register the right form, MSSQLSvc/<fqdn>:<port> or MSSQLSvc/<fqdn>:<INSTANCE>, and remove this one.",
    source: "https://learn.microsoft.com/sql/database-engine/configure-windows/register-a-service-principal-name-for-kerberos-connections",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    let held = case.account().and_then(|account| account.spns.as_ref().map_err(Clone::clone));
    let held = held.map(|spns| spns.iter().filter(|spn| looks_like_ours(spn)));
    Judged::each(held, "the account holds no SPN of SQL Server", |spn| {
        Ok(fault(spn).map(|fault| {
            let advice = "the AD administrator may remove it once the right form is registered";
            Subject::new(spn.as_str(), fault).then(Change::Advice(advice.to_owned()))
        }))
    })
}

fn looks_like_ours(spn: &Spn) -> bool {
    spn.as_str().get(..MSSQLSVC.len()).is_some_and(|class| class.eq_ignore_ascii_case(MSSQLSVC))
}

fn fault(spn: &Spn) -> Option<&'static str> {
    let rest = spn.as_str().get(MSSQLSVC.len()..).unwrap_or_default();
    if spn.as_str().contains('\\') {
        Some("has a backslash; the separators are / and :")
    } else if !rest.starts_with('/') {
        Some("has no / after the service class")
    } else if rest.get(1..).is_some_and(|rest| rest.contains('/')) {
        Some("has a second /; an instance is written MSSQLSvc/host:INSTANCE")
    } else if rest.matches(':').count() > 1 && !rest.contains('[') {
        Some("has more than one :")
    } else if spn.host().is_none() {
        Some("has no host name")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::samples::{Bench, Seen};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let port = "MSSQLSvc/sql01.corp.contoso.com:1433";
        for bad in
            ["MSSQLSvc\\sql01:1433", "MSSQLSvc/sql01.corp.contoso.com/PROD", "MSSQLSvc/a:1433:x", "MSSQLSvc/"]
        {
            assert_eq!(judge(Bench::new().spns("svc_sql", &[port, bad])), Seen::applies(&[bad]), "{bad}");
        }
        let fine = ["MSSQLSvc/10.1.2.3:1433", "MSSQLSvc/sql01:1433", "HTTP/a/b"];
        assert_eq!(judge(Bench::new().spns("svc_sql", &fine)), Seen::clear());
        assert_eq!(judge(Bench::new().no_directory()), Seen::unknown());
        // Never partly unknown: it is one list of one account, read whole or not at all.
        assert_eq!(judge(Bench::new().hidden("svc_sql")), Seen::unknown());
        assert_eq!(judge(Bench::new().spns("svc_sql", &["MSSQLSvc/"]).workgroup()), Seen::not_applicable());
        assert_eq!(judge(Bench::new().spns("svc_sql", &["HTTP/a"])), Seen::not_applicable());
    }
}
