//! Accounts that a failover cluster instance may not have. A virtual account stands for the node that runs the service: after a
//! failover another computer account would have to hold the SPNs. Pure.

use crate::expected::ServiceAccount;
use crate::model::account::ServiceIdentity;
use crate::model::instance::Instance;

/// Why Microsoft supports no such account on this instance, if so ("Configure Windows service accounts and permissions":
/// virtual accounts cannot be used for a failover cluster instance, as they have not the same SID on each node).
pub fn unsupported(account: &ServiceAccount, instance: &Instance) -> Option<String> {
    let is_virtual = account.identity == ServiceIdentity::Virtual;
    (is_virtual && instance.properties.is_clustered).then(|| {
        format!(
            "{} is a virtual account, which is not supported on a failover cluster instance: it is another computer account \
             on each node; use a domain account or a group managed one",
            account.shown
        )
    })
}

#[cfg(test)]
mod tests {
    use crate::model::change::Change;
    use crate::report::{self, Detail};
    use crate::samples::{Bench, NAME, PORT};

    /// A failover cluster instance on the node SQL01, under this account, whose SPNs this one holds.
    fn clustered(account: &str, holder: &str) -> Bench {
        let bench = Bench::new().service_account(account).spns(holder, &[PORT, NAME]);
        bench.with(|bench| bench.instance.properties.is_clustered = true)
    }

    #[test]
    fn said_of_virtual_accounts_on_a_cluster_alone() {
        let is_said = |bench: Bench| {
            report::text(&bench.assess(), Detail::Full).contains("is not supported on a failover")
        };
        assert!(is_said(clustered("NT SERVICE\\MSSQLSERVER", "sql01$")));
        assert!(!is_said(clustered("CORP\\svc_sql", "svc_sql")));
        assert!(!is_said(clustered("CORP\\gmsa_sql$", "gmsa_sql$")));
        let alone = Bench::new().service_account("NT SERVICE\\MSSQLSERVER").spns("sql01$", &[PORT, NAME]);
        assert!(!is_said(alone));
    }

    #[test]
    fn no_spn_is_moved_to_a_node() {
        let virtual_account = || clustered("NT SERVICE\\MSSQLSERVER", "svc_sql");
        let nobody = Bench::new().service_account("NT SERVICE\\MSSQLSERVER").spns("nobody", &["HTTP/x"]);
        let nobody = nobody.with(|bench| bench.instance.properties.is_clustered = true);
        for (name, bench) in [("misplaced_spn", virtual_account()), ("missing_spn", nobody)] {
            let assessment = bench.assess();
            let findings = &assessment.instances[0].findings;
            let finding = findings.iter().find(|finding| finding.rule.name == name).unwrap();
            let lines = &finding.subjects[0].evidence;
            assert!(
                lines.iter().any(|line| line.contains("not supported on a failover")),
                "{name}: {lines:?}"
            );
            let subjects = findings.iter().flat_map(|finding| &finding.subjects);
            let changes: Vec<&Change> = subjects.flat_map(|subject| &subject.changes).collect();
            let is_active =
                |change: &&Change| matches!(change, Change::AddSpn { .. } | Change::RemoveSpn { .. });
            assert!(!changes.iter().copied().any(|change| is_active(&change)), "{changes:?}");
        }
    }
}
