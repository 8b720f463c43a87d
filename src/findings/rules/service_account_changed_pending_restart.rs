//! `service_account_changed_pending_restart`: the process still runs as the account that it was started with. Token evidence:
//! only an exporter on the instance's Windows host has it.

use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::account::ServiceIdentity;
use crate::model::change::Change;
use crate::model::observed::Known;

pub(super) const RULE: Rule = Rule {
    name: "service_account_changed_pending_restart",
    severity: Severity::Warning,
    escalates: false,
    scope: Scope::Domain,
    meaning: "The service was given another account and has not been restarted: it runs as the old one, and SPNs that fit the \
              new one are wrong until then.",
    seen: "The owner of the process's token against the account of the service entry.",
    repair: "Restart the service in a maintenance window, and move its SPNs at the same time.",
    source: "https://learn.microsoft.com/sql/database-engine/configure-windows/scm-services-change-the-service-startup-account",
    check,
};

/// LocalSystem, LocalService, NetworkService, and the services' own SIDs (MS-DTYP 2.4.2.4).
const OF_THE_HOST: [&str; 4] = ["S-1-5-18", "S-1-5-19", "S-1-5-20", "S-1-5-80-"];

fn check(case: &Case<'_>) -> Judged {
    Judged::one(judge(case))
}

fn judge(case: &Case<'_>) -> Known<Option<Subject>> {
    let runs_as = case.engine()?.runs_as.clone()?;
    let configured = case.account()?;
    let is_as_configured = match case.service_account()?.identity {
        // On the host these are service identities of their own; the computer account stands for them on the network.
        ServiceIdentity::BuiltIn | ServiceIdentity::Virtual | ServiceIdentity::LocalService => {
            OF_THE_HOST.iter().any(|prefix| runs_as.as_str().starts_with(prefix))
        }
        ServiceIdentity::Local | ServiceIdentity::Domain(_) => runs_as == configured.names.sid,
    };
    if is_as_configured {
        return Ok(None);
    }
    let text = format!("the process runs as {runs_as}");
    Ok(Some(
        Subject::new(configured.names.nt_name(), "the service entry names this account")
            .line(text)
            .then(Change::RestartService),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::account::Sid;
    use crate::samples::{Bench, Seen, sid};

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
}
