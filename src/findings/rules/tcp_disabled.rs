//! `tcp_disabled`: TCP/IP is off and no remote client is seen. A server for local use only; Kerberos over the network needs
//! TCP.

use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;
use crate::model::connections::{AuthScheme, Origin};
use crate::model::observed::{Gap, Known};

pub(super) const RULE: Rule = Rule {
    name: "tcp_disabled",
    severity: Severity::Info,
    escalates: false,
    scope: Scope::Domain,
    meaning: "The TCP/IP protocol is off. No remote client is connected, so nothing falls back now; Kerberos over the \
              network needs TCP.",
    seen: "Tcp\\Enabled in sys.dm_server_registry, and no remote connection.",
    repair: "Enable TCP/IP in SQL Server Configuration Manager and restart the service, if remote clients are wanted.",
    source: "https://learn.microsoft.com/troubleshoot/sql/database-engine/connect/using-kerberosmngr-sqlserver",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    Judged::one(judge(case, false))
}

/// A subject if TCP is off and there are remote clients, or are none, as asked.
pub(super) fn judge(case: &Case<'_>, with_remote_clients: bool) -> Known<Option<Subject>> {
    let enabled = case.registry()?.tcp_enabled;
    let enabled =
        enabled.ok_or_else(|| Gap::peer_failed("sys.dm_server_registry does not show Tcp\\Enabled"))?;
    if enabled {
        return Ok(None);
    }
    let connections = case.connections()?;
    let remote: u64 = AuthScheme::ALL.iter().map(|scheme| connections.count(*scheme, Origin::Remote)).sum();
    if (remote > 0) != with_remote_clients {
        return Ok(None);
    }
    let text = format!("TCP/IP is disabled; {remote} remote connections");
    let advice = "SQL Server Configuration Manager, Protocols: enable TCP/IP, then restart the service";
    Ok(Some(Subject::new(case.own.name.clone(), text).then(Change::Advice(advice.to_owned()))))
}

#[cfg(test)]
mod tests {
    use crate::samples::{Bench, Seen};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        assert_eq!(judge(Bench::new().tcp_off()), Seen::applies(&["MSSQLSERVER"]));
        assert_eq!(judge(Bench::new()), Seen::clear());
        assert_eq!(judge(Bench::new().tcp_off().remote(0, 3)), Seen::clear());
        assert_eq!(judge(Bench::new().tcp_off().no_connections()), Seen::unknown());
        let blind = Bench::new().with(|bench| bench.instance.registry = Err(Bench::refused()));
        assert_eq!(judge(blind), Seen::unknown());
        assert_eq!(judge(Bench::new().tcp_off().workgroup()), Seen::not_applicable());
    }
}
