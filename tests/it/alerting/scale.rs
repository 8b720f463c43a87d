//! Two thousand exporters in one real Prometheus: their pages come from a few real ones, scraped as 2,000 targets. Held are
//! counts, which are the same on every machine; how long it takes is printed, and stands in `docs/alerting.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::files::path;
use super::programs::Program;
use super::source::JOB;
use crate::world::{World, page};

const INSTANCES: usize = 2_000;

/// DESIGN 6: a default instance stays under this.
const MOST_SERIES: f64 = 300.0;

/// Samples that one evaluation of one rule may read for each instance, and all rules together, with a scrape every 30 s.
const BUDGET: (u64, u64) = (150, 1_500);

/// A fleet in a Prometheus.
pub(crate) struct Fleet {
    pub(crate) prometheus: Program,
    _farm: Program,
    _folder: tempfile::TempDir,
}

impl Fleet {
    /// Starts it, and waits until every instance was scraped.
    pub(crate) async fn start(instances: usize, scenarios: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut pages = Vec::new();
        for name in scenarios {
            let world = World::start(name);
            let file = folder.path().join(format!("{name}.prom"));
            fs::write(&file, page(&world.assess().await).classic).unwrap();
            pages.push(file.to_str().unwrap().to_owned());
        }
        let farm = instances.to_string();
        let arguments: Vec<&str> =
            [farm.as_str()].into_iter().chain(pages.iter().map(String::as_str)).collect();
        let farm = Program::start("scale/farm", &arguments);
        let prometheus = Program::start("prometheus/run", &["127.0.0.1:9"]);
        let mut config = format!(
            "global: {{ scrape_interval: 30s, scrape_timeout: 30s, evaluation_interval: 30s }}\n\
             rule_files: ['{}', '{}']\nscrape_configs:\n  - job_name: {JOB}\n    relabel_configs:\n      \
             - {{ source_labels: [__address__], target_label: instance }}\n      \
             - {{ source_labels: [__address__], target_label: __param_instance }}\n      \
             - {{ target_label: __address__, replacement: '127.0.0.1:{}' }}\n    static_configs:\n      - targets:\n",
            path("dashboards/alerts.yml").display(),
            path("dashboards/recording.yml").display(),
            farm.port
        );
        for number in 1..=instances {
            writeln!(config, "        - sql{number:04}:10188").unwrap();
        }
        fs::write(Path::new(prometheus.about["config"].as_str().unwrap()), config).unwrap();
        prometheus.reload();
        let fleet = Self { prometheus, _farm: farm, _folder: folder };
        // Each of them within the last five minutes: on a busy machine now this one, now that one may miss its moment.
        let all = format!("count(max_over_time(up{{job=\"{JOB}\"}}[5m]) == 1) == {instances}");
        let end = Instant::now() + Duration::from_secs(1_200);
        while fleet.query(&all).is_empty() {
            assert!(Instant::now() < end, "not every instance is scraped");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        fleet
    }

    /// The vector that a query returns.
    pub(crate) fn query(&self, query: &str) -> Vec<Value> {
        self.prometheus.query(query)
    }

    /// The only number that a query returns.
    pub(crate) fn number(&self, query: &str) -> f64 {
        let [row] =
            <[Value; 1]>::try_from(self.query(query)).unwrap_or_else(|rows| panic!("{query}: {rows:?}"));
        row["value"][1].as_str().unwrap().parse().unwrap()
    }

    /// CPU seconds that Prometheus has used (proc(5), `stat`: utime and stime, in hundredths).
    fn cpu(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.prometheus.about["pid"])).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        fields[11..13].iter().map(|field| field.parse::<f64>().unwrap() / 100.0).sum()
    }

    /// Samples that a query reads.
    pub(crate) fn samples(&self, query: &str) -> u64 {
        let answer = self.prometheus.api("/api/v1/query", &[("query", query), ("stats", "all")]);
        answer["data"]["stats"]["samples"]["totalQueryableSamples"].as_u64().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rules_of_two_thousand_instances_stay_within_their_budget() {
    let fleet = Fleet::start(INSTANCES, &["healthy", "missing_spn", "duplicate_spn", "no_rights"]).await;
    let instances = INSTANCES as f64;
    assert_eq!(fleet.number(&format!("count(up{{job=\"{JOB}\"}})")), instances);
    let most = fleet
        .number("max(count by (mssql_instance) ({mssql_instance!=\"\",__name__=~\"mssql_kerberos_.+\"}))");
    assert!(most < MOST_SERIES, "{most} series of one instance");
    let series = fleet.number(&format!("count({{job=\"{JOB}\"}})"));

    // Each group is evaluated once more, now that the whole fleet is there.
    let groups = || {
        let rules = fleet.prometheus.api("/api/v1/rules", &[]);
        rules["data"]["groups"].as_array().unwrap().clone()
    };
    let before = groups();
    let rules = |groups: &[Value]| -> Vec<Value> {
        groups.iter().flat_map(|group| group["rules"].as_array().unwrap()).cloned().collect()
    };
    let end = Instant::now() + Duration::from_secs(900);
    let groups = loop {
        let now = groups();
        // One that ran out of time is evaluated again half a minute later.
        let is_anew = now.iter().zip(&before).all(|(a, b)| a["lastEvaluation"] != b["lastEvaluation"]);
        let failed: Vec<Value> = rules(&now).into_iter().filter(|rule| rule["health"] != "ok").collect();
        if is_anew && failed.is_empty() {
            break now;
        }
        assert!(Instant::now() < end, "the rules are not evaluated in time: {failed:#?}");
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    let (per_rule, in_all) = BUDGET;
    let (cpu_before, begun) = (fleet.cpu(), Instant::now());
    let (mut sum, mut seconds, mut wrong) = (0, 0.0, Vec::new());
    let mut slowest = BTreeMap::new();
    for rule in &rules(&groups) {
        let (name, query) = (rule["name"].as_str().unwrap(), rule["query"].as_str().unwrap());
        let samples = fleet.samples(query);
        if samples > per_rule * INSTANCES as u64 {
            wrong.push(format!("{name}: {samples}"));
        }
        sum += samples;
        let took = rule["evaluationTime"].as_f64().unwrap();
        seconds += took;
        slowest.insert((took * 1e6) as u64, format!("{name}: {samples} samples, {took:.3} s"));
    }
    // What Prometheus needs to answer each rule's query once, and to scrape meanwhile.
    let (cpu, took) = (fleet.cpu() - cpu_before, begun.elapsed().as_secs_f64());
    println!(
        "{series} series, {most} of an instance at most; all rules: {sum} samples, {seconds:.2} s of evaluation"
    );
    println!("each rule's query once: {took:.2} s, {cpu:.2} s of CPU, scrapes included");
    slowest.values().rev().take(8).for_each(|line| println!("  {line}"));
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(sum < in_all * INSTANCES as u64, "{sum}");

    // And they say what the pages say: a twentieth of the fleet is not well.
    let pending = |finding: &str| fleet.query(&format!("ALERTS{{finding=\"{finding}\"}}")).len();
    let sick = INSTANCES / 20;
    let (missing, duplicate) = (pending("missing_spn"), pending("duplicate_spn"));
    assert!((sick / 3..=sick / 3 + 1).contains(&missing) && (sick / 3..=sick / 3 + 1).contains(&duplicate));
    let share = "count(mssql_instance:mssql_kerberos_connections:kerberos_ratio)";
    assert!(fleet.number(share) > instances * 0.9);
}
