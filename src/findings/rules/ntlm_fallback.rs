//! `ntlm_fallback`: remote connections on NTLM that could be Kerberos, with the likely cause. A symptom: rules let its
//! causes inhibit it.

use crate::findings::ntlm::{self, Cause};
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;
use crate::model::connections::{AuthScheme, Origin};
use crate::model::observed::Known;

pub(super) const RULE: Rule = Rule {
    name: "ntlm_fallback",
    severity: Severity::Warning,
    escalates: true,
    scope: Scope::Domain,
    meaning: "Remote clients are on NTLM although they could use Kerberos. It works until NTLM is switched off, but \
              without mutual authentication or delegation.",
    seen: "sys.dm_exec_connections, remote rows only, from thresholds.ntlm_min_connections and thresholds.ntlm_share \
           on. Clients that can never use Kerberos and those named in connections.ignore do not count.",
    repair: "Repair the cause named here. Afterwards clients keep NTLM until their negative cache ends \
             (SpnCacheTimeout), their tickets are purged (klist purge) and their connection pools are recycled.",
    source: "https://learn.microsoft.com/troubleshoot/sql/database-engine/connect/cannot-generate-sspi-context-error",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    Judged::one(judge(case))
}

fn judge(case: &Case<'_>) -> Known<Option<Subject>> {
    let connections = case.connections()?;
    let tally = ntlm::tally(case)?;
    let ntlm = tally.could_be_kerberos();
    let kerberos = connections.count(AuthScheme::Kerberos, Origin::Remote);
    let thresholds = &case.settings.thresholds;
    if ntlm == 0 || ntlm < thresholds.ntlm_min_connections {
        return Ok(None);
    }
    let share = ntlm as f64 / (ntlm + kerberos) as f64;
    if share < thresholds.ntlm_share {
        return Ok(None);
    }
    let mut subject = Subject::new(
        case.own.name.clone(),
        format!(
            "{ntlm} of {} remote Windows-authenticated connections are on NTLM ({:.0} %)",
            ntlm + kerberos,
            share * 100.0
        ),
    );
    for (cause, n) in tally.by_cause.iter().filter(|(cause, _)| cause.could_be_kerberos()) {
        subject = subject.line(format!("{n}: {}", explain(*cause)));
    }
    let advice = "after the repair: klist purge on the client (klist -li 0x3e7 purge for its services), wait for \
                  the Global Catalog and the client's negative cache, recycle connection pools";
    Ok(Some(subject.then(Change::Advice(advice.to_owned()))))
}

const fn explain(cause: Cause) -> &'static str {
    match cause {
        Cause::SpnFault => "a required SPN is missing or duplicate: see the SPN findings",
        Cause::NameWithoutSpn => "probably came by a name that has no SPN (alias or listener)",
        Cause::NamedPipe => {
            "named pipes: providers older than SQL Server Native Client have no Kerberos there"
        }
        Cause::Encryption => "no common encryption type",
        Cause::ClientSide => {
            "nothing is wrong on this side: connected by IP address, or a fault of the client"
        }
        Cause::ClientCannotKerberos => "can never use Kerberos",
        Cause::Loopback => "on this host",
        Cause::Unknown => "cause not known",
    }
}

#[cfg(test)]
mod tests {
    use crate::samples::{Bench, Seen};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        assert_eq!(judge(Bench::new().remote(40, 10)), Seen::applies(&["MSSQLSERVER"]));
        // Few connections, or a small share of many.
        assert_eq!(judge(Bench::new().remote(0, 4)), Seen::clear());
        assert_eq!(judge(Bench::new().remote(1_000, 10)), Seen::clear());
        // No remote connections at all.
        assert_eq!(judge(Bench::new().remote(0, 0)), Seen::clear());
        assert_eq!(judge(Bench::new().no_connections()), Seen::unknown());
        assert_eq!(judge(Bench::new().remote(0, 50).workgroup()), Seen::not_applicable());
    }

    #[test]
    fn clients_that_never_could_do_not_count() {
        let local_account = Bench::new().remote(0, 50).ntlm_client("APP1", "APP1", 50);
        assert_eq!(local_account.judge(&super::RULE), Seen::clear());
        let ignored = Bench::new().remote(0, 50).ntlm_client("APP1", "CORP", 50).ignore_host("app1");
        assert_eq!(ignored.judge(&super::RULE), Seen::clear());
        let foreign = || Bench::new().remote(0, 50).ntlm_client("APP1", "ELSEWHERE", 50);
        assert_eq!(foreign().judge(&super::RULE), Seen::clear());
        // Trusts that cannot be read prove nothing: a blind spot must not hide fifty connections.
        assert_eq!(foreign().no_policy().judge(&super::RULE), Seen::applies(&["MSSQLSERVER"]));
        let partly = Bench::new().remote(0, 60).ntlm_client("APP1", "APP1", 50);
        assert_eq!(partly.judge(&super::RULE), Seen::applies(&["MSSQLSERVER"]));
    }
}
