//! A real Prometheus scrapes the running exporter, and PromQL returns what the scenario says.

use std::time::Instant;

use serde_json::Value;

use crate::alerting::programs::{PATIENCE, Program};
use crate::world::{Daemon, World};

/// The configuration with a refresh every two seconds.
pub(crate) fn quickly(yaml: String) -> String {
    let rhythm = "sqlserver: { refresh: 2s }\nconnections: { refresh: 2s }\nhost: { refresh: 2s }\n";
    yaml.replace("directory:\n", "directory:\n  refresh: 2s\n").replace("dns: {", "dns: { refresh: 2s,")
        + rhythm
}

/// `label=value` of each result, and its number, sorted.
fn rows(results: &[Value], label: &str) -> Vec<(String, f64)> {
    let mut rows: Vec<(String, f64)> = results
        .iter()
        .map(|row| {
            let value = row["value"][1].as_str().unwrap().parse().unwrap();
            (row["metric"][label].as_str().unwrap_or_default().to_owned(), value)
        })
        .collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    rows
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promql_returns_what_the_scenario_says() {
    let world = World::start("demo");
    let config = world.config_with(quickly);
    let exporter = Daemon::start(config).await;
    let target = exporter.address.to_string();
    let asked = tokio::task::spawn_blocking(move || {
        let prometheus = Program::start("prometheus/run", &[&target]);
        let owned = |rows: &[(&str, f64)]| -> Vec<(String, f64)> {
            rows.iter().map(|(label, value)| ((*label).to_owned(), *value)).collect()
        };
        let expected = [
            ("up", "job", owned(&[("mssql_kerberos", 1.0)])),
            (
                "mssql_kerberos_verdict == 1",
                "verdict",
                owned(&[
                    ("broken", 1.0),
                    ("broken", 1.0),
                    ("degraded", 1.0),
                    ("degraded", 1.0),
                    ("healthy", 1.0),
                ]),
            ),
            (
                "mssql_kerberos_spn_status{status=~\"missing|duplicate|misplaced\",requirement=\"required\"} == 1",
                "mssql_instance",
                owned(&[("CRMSQL01", 1.0), ("DEVSQL01\\SALES", 1.0), ("DWHSQL01", 1.0), ("HRSQL01", 1.0)]),
            ),
            (
                "mssql_kerberos_finding{severity=\"critical\"} > 0",
                "finding",
                owned(&[("duplicate_spn", 1.0), ("misplaced_spn", 1.0)]),
            ),
            (
                "sum by (mssql_instance) (mssql_kerberos_connections{auth_scheme=\"ntlm\",origin=\"remote\"}) > 5",
                "mssql_instance",
                owned(&[("CRMSQL01", 58.0), ("DEVSQL01\\SALES", 8.0), ("DWHSQL01", 10.0)]),
            ),
            (
                "mssql_kerberos_connection_ratio{mssql_instance=\"ERPSQL01\"}",
                "mssql_instance",
                owned(&[("ERPSQL01", 1.0)]),
            ),
        ];
        let end = Instant::now() + PATIENCE;
        for (query, label, wanted) in expected {
            loop {
                let found = rows(&prometheus.query(query), label);
                if found == wanted {
                    break;
                }
                assert!(Instant::now() < end, "{query}: {found:?}, expected {wanted:?}");
            }
        }
    });
    asked.await.unwrap();
    exporter.end().await;
}
