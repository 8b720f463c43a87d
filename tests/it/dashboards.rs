//! Every query of every panel of the dashboards, run by a real Prometheus that scrapes running exporters, with the variables filled in
//! as Grafana does it. What families show that the exporter has not yet is for the simulated fleet of `tests/tools/dashboards`.

use std::process::Command;
use std::time::Instant;

use crate::alerting::programs::{PATIENCE, Program};
use crate::prometheus::quickly;
use crate::scenarios::without_ports;
use crate::world::{Daemon, World, golden, tests};

/// The demo, an availability group, and a Linux host that cannot say which account the service runs as: each an exporter.
const SCENARIOS: &[(&str, &str)] =
    &[("demo", ""), ("listener", "AGSQL01"), ("linux_without_account", "BLINDSQL01")];

/// The instances that the dashboard of one instance is looked at with: on the wrong account, with a backslash in its name, in an
/// availability group, and blind.
const INSTANCES: &[&str] = &["HRSQL01", "DEVSQL01\\SALES", "AGSQL01", "BLINDSQL01"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_panel_shows_what_the_scenarios_say() {
    let (mut worlds, mut exporters, mut targets) = (vec![], vec![], vec![]);
    for (scenario, name) in SCENARIOS {
        let world = World::start(scenario);
        let config = world.config_with(|yaml| {
            let yaml = if name.is_empty() {
                yaml
            } else {
                yaml.replace("name: \"SQL01\"", &format!("name: \"{name}\""))
            };
            quickly(yaml)
                .replace("connections: { refresh: 2s }", "connections: { refresh: 2s, ntlm_clients: 5 }")
        });
        let daemon = Daemon::start(config).await;
        targets.push(daemon.address.to_string());
        exporters.push(daemon);
        worlds.push(world);
    }
    let shown = tokio::task::spawn_blocking(move || {
        settled(&Program::start("prometheus/run", &[&targets.join(",")]))
    })
    .await;
    for exporter in exporters {
        exporter.end().await;
    }
    golden("dashboards.txt", &shown.unwrap());
}

/// The commands of docs/dashboards.md, with Grafana's folders elsewhere, put each file where Grafana looks for it.
#[test]
fn the_steps_of_the_page_provision_grafana() {
    let root = tests().parent().unwrap().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let page = std::fs::read_to_string(root.join("docs/dashboards.md")).unwrap();
    let (_, steps) = page.split_once("```sh\n").unwrap();
    let (steps, _) = steps.split_once("```").unwrap();
    let place = |name: &str| folder.path().join(name).display().to_string();
    let (configuration, data) = (place("etc"), place("data"));
    let moved = steps
        .replace("GRAFANA=/etc/grafana", &format!("GRAFANA={configuration}"))
        .replace("DATA=/var/lib/grafana", &format!("DATA={data}"));
    assert!(moved.contains(&configuration) && moved.contains(&data), "{moved}");
    let script = format!("set -euo pipefail\n{moved}");
    let output = Command::new("bash").args(["-c", &script]).current_dir(&root).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let read =
        |file: String| std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
    let provider = read(format!("{configuration}/provisioning/dashboards/mssql-kerberos.yml"));
    let path = provider.lines().find_map(|line| line.trim().strip_prefix("path: ")).unwrap();
    let boards = path.replace("/var/lib/grafana", &data);
    let mut uids: Vec<String> = std::fs::read_dir(&boards)
        .unwrap()
        .map(|file| {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let board: serde_json::Value = serde_json::from_str(&text).unwrap();
            board["uid"].as_str().unwrap().to_owned()
        })
        .collect();
    uids.sort();
    let listed: Vec<String> = page
        .lines()
        .filter(|line| line.starts_with("| ["))
        .map(|line| line.split('`').nth(1).unwrap().to_owned())
        .collect();
    assert_eq!(uids.len(), 4);
    assert!(
        listed.len() == 4 && listed.iter().all(|uid| uids.contains(uid)),
        "{listed:?} on the page, {uids:?}"
    );
    let source = read(format!("{configuration}/provisioning/datasources/prometheus.yml"));
    assert!(source.contains("type: prometheus") && source.contains("timeInterval:"), "{source}");
}

/// What the panels show once that is what is expected, or at the end of all patience. Who writes the file anew takes what has
/// not changed for three looks.
fn settled(prometheus: &Program) -> String {
    let expected = std::fs::read_to_string(tests().join("golden/dashboards.txt")).unwrap_or_default();
    let is_written = std::env::var_os("UPDATE_EXPECT").is_some();
    let end = Instant::now() + PATIENCE;
    // Every probe has looked twice and Prometheus long enough for a rate, before anything is compared.
    let begun = "count(min(mssql_kerberos_probe_attempts_total) > 1 and min(count_over_time(up[1h])) > 8)";
    while prometheus.query(begun).is_empty() {
        assert!(Instant::now() < end, "not every probe has looked: {begun}");
    }
    let (mut latest, mut n_alike) = (String::new(), 0);
    loop {
        let mut prove = Command::new(tests().join("tools/dashboards/prove"));
        prove.arg(prometheus.about["url"].as_str().unwrap());
        for name in INSTANCES {
            prove.args(["--instance", name]);
        }
        let output = prove.output().unwrap();
        let complaints = String::from_utf8_lossy(&output.stderr);
        let shown = without_ports(&String::from_utf8(output.stdout).unwrap());
        n_alike = if output.status.success() && shown == latest { n_alike + 1 } else { 0 };
        let is_settled = shown == expected || is_written && n_alike > 1;
        if output.status.success() && is_settled || Instant::now() > end {
            assert!(output.status.success(), "{complaints}");
            return shown;
        }
        latest = shown;
    }
}
