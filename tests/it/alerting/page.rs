//! The page that leads a newcomer to working alerts and dashboards: each of its commands is run, in order, against a real Prometheus and a
//! real Alertmanager that have nothing of ours yet. Only paths and addresses are those of the test.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use serde_json::Value;

use super::files::{path, read};
use super::programs::{PATIENCE, Program};
use super::source::alerts;
use super::watches;
use crate::world::{Daemon, World};

/// The fenced blocks of a language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    page.split(&format!("```{language}\n"))
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_steps_lead_to_working_alerts() {
    let world = World::start("missing_spn");
    let config = world.config();
    let exporter = Daemon::start(config).await;
    let target = exporter.address.to_string();
    tokio::task::spawn_blocking(move || walk(&target)).await.unwrap();
    exporter.end().await;
}

fn walk(target: &str) {
    let page = read("docs/alerting.md");
    assert_eq!(page.matches("\n## ").count() - 2, 5, "five steps, and two sections on what they give");
    // "I have Prometheus": it scrapes nothing of ours, has no rules, and knows no Alertmanager.
    let prometheus = Program::start("prometheus/run", &["127.0.0.1:9"]);
    let config = Path::new(prometheus.about["config"].as_str().unwrap()).to_owned();
    let etc = config.parent().unwrap().to_str().unwrap().to_owned();
    let own = format!("{etc}/alertmanager.yml");
    fs::write(&own, "route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n").unwrap();
    let alertmanager = Program::start("alertmanager/run", &[&own]);
    let grafana = tempfile::tempdir().unwrap();
    let of_grafana = |name: &str| grafana.path().join(name).to_str().unwrap().to_owned();
    let here = |text: &str| {
        text.replace("/etc/prometheus", &etc)
            .replace("/etc/grafana", &of_grafana("etc"))
            .replace("/var/lib/grafana", &of_grafana("data"))
            .replace("localhost:9090", &format!("127.0.0.1:{}", prometheus.port))
            .replace("localhost:9093", &format!("127.0.0.1:{}", alertmanager.port))
            .replace("sql01.corp.contoso.com:10188", target)
            .replace("scrape_interval: 30s", "scrape_interval: 1s")
            .replace("evaluation_interval: 1m", "evaluation_interval: 1s")
    };
    let [yaml] = blocks(&page, "yaml").try_into().unwrap();
    fs::write(&config, here(&yaml)).unwrap();

    let commands = blocks(&page, "bash");
    assert_eq!(commands.len(), 5);
    let mut printed = Vec::new();
    for block in &commands {
        if printed.len() == 2 {
            // Rules have their health once they were evaluated.
            let end = Instant::now() + PATIENCE;
            while prometheus.api("/api/v1/rules", &[]).to_string().contains("\"unknown\"") {
                assert!(Instant::now() < end, "the rules are not evaluated");
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
        }
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", &here(block)])
            .env("no_proxy", "127.0.0.1")
            .current_dir(path(""))
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{block}\n{errors}");
        printed.push(String::from_utf8(output.stdout).unwrap());
    }
    let n_rules = alerts().len() + watches::records().len();
    assert_eq!(
        printed[2].split_whitespace().collect::<Vec<_>>(),
        [&n_rules.to_string(), "\"health\":\"ok\""]
    );
    assert!(printed[3].contains("a test of the way to you"), "{}", printed[3]);
    let boards = fs::read_dir(of_grafana("data/dashboards/mssql-kerberos")).unwrap();
    assert_eq!(boards.count(), 4, "step 5 gives Grafana the dashboards");
    assert!(Path::new(&of_grafana("etc/provisioning/dashboards/mssql-kerberos.yml")).exists());
    let status = alertmanager.api("/api/v2/status", &[]).to_string();
    assert!(
        status.contains("https://oncall.corp.contoso.com/hook/night"),
        "the configuration of step 3 is loaded"
    );

    // And they work: the scenario's missing SPN waits for its quarter of an hour, with the links of step 2.
    let end = Instant::now() + PATIENCE;
    let pending = loop {
        let all = prometheus.api("/api/v1/alerts", &[]);
        let found = all["data"]["alerts"].as_array().unwrap().iter();
        let name = |alert: &&Value| alert["labels"]["alertname"] == "MSSQLKerberosMissingSpn";
        if let Some(alert) = found.into_iter().find(name) {
            break alert.clone();
        }
        assert!(Instant::now() < end, "{all}");
        std::thread::sleep(std::time::Duration::from_millis(100));
    };
    let annotation = |name: &str| pending["annotations"][name].as_str().unwrap().to_owned();
    assert!(
        annotation("dashboard_url")
            .starts_with("https://grafana.corp.contoso.com/d/mssql-kerberos-instance?")
    );
    assert_eq!(
        annotation("runbook_url"),
        "https://git.corp.contoso.com/dba/mssql-kerberos-exporter/docs/runbooks/missing_spn.md"
    );
}
