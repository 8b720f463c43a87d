//! `local_account`: the service runs as a machine-local account in a domain. Nothing in AD stands for it: no Kerberos.

use crate::expected::{running_identity, service_identity};
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::account::ServiceIdentity;
use crate::model::change::Change;
use crate::model::observed::Known;

pub(super) const RULE: Rule = Rule {
    name: "local_account",
    severity: Severity::Warning,
    escalates: false,
    scope: Scope::Domain,
    meaning: "The service runs as a machine-local account, which Active Directory does not know: Kerberos to this \
              instance cannot work.",
    seen: "The running account by the error log (49904), else the service account in sys.dm_server_services.",
    repair: "Run the service as a group managed service account, a domain account or its virtual account.",
    source: "https://learn.microsoft.com/sql/database-engine/configure-windows/configure-windows-service-accounts-and-permissions",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    Judged::one(judge(case))
}

fn judge(case: &Case<'_>) -> Known<Option<Subject>> {
    let instance = case.instance()?;
    let (shown, identity) =
        running_identity(case.own, instance).or_else(|_| service_identity(case.own, instance))?;
    if identity != ServiceIdentity::Local {
        return Ok(None);
    }
    let advice =
        "change the account in SQL Server Configuration Manager, best to a group managed service account";
    let text = "a machine-local account has no identity on the network";
    Ok(Some(Subject::new(shown, text).then(Change::Advice(advice.to_owned()))))
}

#[cfg(test)]
mod tests {
    use crate::samples::{Bench, Seen};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        assert_eq!(judge(Bench::new().service_account("SQL01\\bob")), Seen::applies(&["SQL01\\bob"]));
        assert_eq!(judge(Bench::new().service_account(".\\bob")), Seen::applies(&[".\\bob"]));
        assert_eq!(judge(Bench::new()), Seen::clear());
        assert_eq!(judge(Bench::new().service_account("NT SERVICE\\MSSQLSERVER")), Seen::clear());
        // What runs counts, not what the next start takes.
        assert_eq!(judge(Bench::new().logged("SQL01\\bob")), Seen::applies(&["SQL01\\bob"]));
        assert_eq!(judge(Bench::new().service_account(".\\bob").logged("CORP\\svc_sql")), Seen::clear());
        let blind = Bench::new().with(|bench| bench.instance.service = Err(Bench::refused()));
        assert_eq!(judge(blind), Seen::unknown());
        assert_eq!(judge(Bench::new().service_account(".\\bob").workgroup()), Seen::not_applicable());
    }
}
