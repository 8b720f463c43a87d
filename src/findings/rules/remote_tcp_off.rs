//! `remote_tcp_off`: TCP/IP is off and remote clients come over named pipes.

use crate::findings::{Case, Judged, Rule, Scope, Severity};

use super::tcp_disabled::judge;

pub(super) const RULE: Rule = Rule {
    name: "remote_tcp_off",
    severity: Severity::Warning,
    escalates: false,
    scope: Scope::Domain,
    meaning: "The TCP/IP protocol is off and remote clients come over named pipes, where older providers have no \
              Kerberos.",
    seen: "Tcp\\Enabled in sys.dm_server_registry, and remote connections in sys.dm_exec_connections.",
    repair: "Enable TCP/IP in SQL Server Configuration Manager and restart the service.",
    source: "https://learn.microsoft.com/troubleshoot/sql/database-engine/connect/using-kerberosmngr-sqlserver",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    Judged::one(judge(case, true))
}

#[cfg(test)]
mod tests {
    use crate::samples::{Bench, Seen};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        assert_eq!(judge(Bench::new().tcp_off().remote(0, 3)), Seen::applies(&["MSSQLSERVER"]));
        assert_eq!(judge(Bench::new().tcp_off()), Seen::clear());
        assert_eq!(judge(Bench::new().remote(0, 3)), Seen::clear());
        assert_eq!(judge(Bench::new().tcp_off().no_connections()), Seen::unknown());
        assert_eq!(judge(Bench::new().tcp_off().remote(0, 3).workgroup()), Seen::not_applicable());
    }
}
