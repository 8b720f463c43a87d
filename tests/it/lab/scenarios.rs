//! Every scenario that Samba can play, in the lab: what `check` prints of each SPN is what `ldapsearch` shows, and `/metrics`
//! says the same as `check`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use peers::ldap::AccountClass;
use peers::scenario::Scenario;
use peers::tds::{Cell, Platform, SqlServerSpec};
use serde_json::Value;

use super::domain::{Kind, Lab, own_scenarios, shared};
use super::exporter::{Checked, Daemon, Directory, OFTEN, Site, binary, check, sample};
use super::reading::Forest;
use crate::world::{scenarios, tests};

/// Scenarios that Samba cannot play (`tests/README.md` says what that is); the loopback peers do.
const UNSUPPORTED: &[&str] = &[
    "account_in_another_domain",
    "clock_skew",
    "clock_skew_exceeded",
    "clocks_apart",
    "delegated_managed_account",
    "delegated_managed_account_of_another_host",
    "delegation_across_domains",
    "domain_controller_down",
    "domain_controller_unreachable",
    "duplicate_across_domains",
    "replication_lag",
];

/// Names that Samba refuses to store; a domain of another make may hold them, and the loopback peers do.
const REFUSED: &[&str] = &["hostile_names"];

/// What `spn_status` may be.
const STATES: [&str; 5] = ["good", "missing", "duplicate", "misplaced", "unknown"];

#[test]
fn check_says_what_ldapsearch_shows_and_metrics_say_what_check_says() {
    let mut lab = shared();
    let playable = scenarios().into_iter().filter(|name| !REFUSED.contains(&name.as_str()));
    let shared_files = playable.map(|name| tests().join(format!("scenarios/{name}.yml")));
    let mut unsupported = BTreeSet::new();
    let mut states = BTreeMap::<String, usize>::new();
    for file in shared_files.chain(own_scenarios()) {
        let scenario = Scenario::load(&file).unwrap();
        // Without a domain there is no directory to read; another domain is another lab's.
        let Some(domain) = &scenario.domain else { continue };
        if domain.dns != lab.text("/dns") {
            continue;
        }
        if play(&mut lab, &file, scenario, &mut states).is_err() {
            unsupported.insert(file.file_stem().unwrap().to_string_lossy().into_owned());
        }
    }
    lab.clear();
    assert_eq!(unsupported, UNSUPPORTED.iter().map(|name| (*name).to_owned()).collect());
    // Nothing of this would be proven by scenarios that are all alike.
    for state in ["good", "missing", "duplicate", "misplaced"] {
        assert!(states.get(state).is_some_and(|n| *n >= 2), "{states:?}");
    }
}

#[test]
fn an_account_in_a_trusting_forest_neither_lags_nor_makes_a_duplicate() {
    let mut lab = shared();
    let file = tests().join("scenarios/lab/account_in_trusting_forest.yml");
    let mut states = BTreeMap::new();
    let report = play(&mut lab, &file, Scenario::load(&file).unwrap(), &mut states).unwrap();
    lab.clear();
    let expected = [("good", 1), ("misplaced", 1), ("missing", 1)];
    assert_eq!(states, expected.map(|(state, n)| (state.to_owned(), n)).into());
    let about_spns = |name: &&str| name.contains("spn") || *name == "replication_lag";
    let findings = report["instances"][0]["findings"].as_array().unwrap();
    let applying = findings.iter().filter(|finding| finding["outcome"] == "applies");
    let names: Vec<&str> =
        applying.map(|finding| finding["finding"].as_str().unwrap()).filter(about_spns).collect();
    assert_eq!(names, ["misplaced_spn", "cannot_register_spn"]);
}

#[test]
fn a_domain_whose_netbios_name_is_not_the_first_label_of_its_dns_name() {
    let mut lab = Lab::start(Kind::OtherName);
    let file = tests().join("scenarios/lab/other_netbios_name.yml");
    let mut states = BTreeMap::new();
    play(&mut lab, &file, Scenario::load(&file).unwrap(), &mut states).unwrap();
    let expected = [("good", 2), ("misplaced", 1), ("missing", 1)];
    assert_eq!(states, expected.map(|(state, n)| (state.to_owned(), n)).into());
}

/// Applies, checks, and compares; counts the states seen. Gives what `check` said.
fn play(
    lab: &mut Lab,
    file: &Path,
    scenario: Scenario,
    states: &mut BTreeMap<String, usize>,
) -> Result<Value, String> {
    let made = lab.apply(file)?;
    let lab = &*lab;
    let name = file.display().to_string();
    let sids: BTreeMap<&str, &str> =
        made.iter().map(|made| (made["dn"].as_str().unwrap(), made["sid"].as_str().unwrap())).collect();
    let site = Site::start(scenario);
    let mut directory = Directory::of(lab);
    let mut ticket = None;
    if !site.scenario.trusting.is_empty() {
        // A password of this forest is nothing to the other forest's LDAP; a ticket is.
        directory.simple = None;
        directory.servers = vec![format!("ldap://{}", lab.text("/servers/0/host"))];
        directory.also = site.scenario.trusting.iter().map(|domain| domain.dns.clone()).collect();
        directory.ca.push_str(&std::fs::read_to_string(lab.text("/partner/ca")).unwrap());
        ticket = Some(log_on(lab, &site));
    }
    let config = site.configure(&directory, OFTEN);
    let program = || {
        let mut binary = binary(lab);
        ticket.iter().for_each(|cache| {
            binary.env("KRB5CCNAME", cache);
        });
        binary
    };
    let checked = check(program(), &config);
    let rows = compare_with_ldapsearch(&name, lab, &site, &checked, &sids);
    for row in &rows {
        *states.entry(row.status.clone()).or_default() += 1;
    }
    let daemon = Daemon::start(program(), &config);
    let agrees =
        |page: &str| rows.iter().all(|row| row.is_in(page)) && differences(page, &checked.report).is_empty();
    let page = daemon.until(&format!("{name}: {rows:#?}"), agrees);
    assert_eq!(differences(&page, &checked.report), Vec::<String>::new(), "{name}");
    Ok(checked.report)
}

/// A ticket-granting ticket of the exporter's own account, got with its keytab as a unit file would.
pub(super) fn log_on(lab: &Lab, site: &Site) -> PathBuf {
    let cache = site.secret("ccache", "");
    let status = std::process::Command::new("kinit")
        .env("KRB5_CONFIG", lab.text("/krb5_conf"))
        .args(["-k", "-t", lab.text("/exporter/keytab"), "-c"])
        .arg(&cache)
        .arg(lab.text("/exporter/principal"))
        .status()
        .unwrap();
    assert!(status.success(), "kinit");
    cache
}

/// One SPN of one instance as `check` printed it.
#[derive(Debug)]
struct Row {
    instance: String,
    spn: String,
    status: String,
    holders: Vec<(String, String)>,
}

impl Row {
    fn of(instance: &Value, spn: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let holder = |holder: &Value| {
            let (domain, sam) = holder["name"].as_str().unwrap().split_once('\\').unwrap();
            (domain.to_owned(), sam.to_owned())
        };
        Self {
            instance: text(&instance["name"]),
            spn: text(&spn["spn"]),
            status: text(&spn["status"]),
            holders: spn["holders"].as_array().unwrap().iter().map(holder).collect(),
        }
    }

    /// Whether the page shows this state, no other one, and these holders.
    fn is_in(&self, page: &str) -> bool {
        let own = [("mssql_instance", self.instance.as_str()), ("spn", self.spn.as_str())];
        let states_agree = STATES.iter().all(|state| {
            let labels = [own[0], own[1], ("status", state)];
            sample(page, "spn_status", &labels) == Some(f64::from(u8::from(self.status == *state)))
        });
        let holders_agree = self.holders.iter().all(|(domain, sam)| {
            let account = format!("{domain}\\{sam}");
            let labels = [own[0], own[1], ("account", account.as_str())];
            sample(page, "spn_holder_info", &labels) == Some(1.0)
        });
        states_agree && holders_agree
    }
}

fn compare_with_ldapsearch(
    name: &str,
    lab: &Lab,
    site: &Site,
    checked: &Checked,
    sids: &BTreeMap<&str, &str>,
) -> Vec<Row> {
    let mut rows = Vec::new();
    let instances =
        checked.report["instances"].as_array().unwrap_or_else(|| panic!("{name}: {}", checked.text));
    assert_eq!(instances.len(), site.servers.len(), "{name}");
    for (instance, server) in instances.iter().zip(&site.scenario.sqlservers) {
        // Without an account that SQL Server can tell there is no state of an SPN to compare: a blind login, Linux, a
        // machine-local account. The loopback tests hold those to their golden files.
        let Some(spns) = instance["spns"].as_array().filter(|_| instance["account"].is_object()) else {
            continue;
        };
        if server.platform == Platform::Linux {
            continue;
        }
        let (forest, account) = account(lab, server);
        for port in server.listening_ports() {
            let spn = format!("MSSQLSvc/{}:{port}", dns_name(&site.scenario, server));
            let is_expected = |row: &&Value| {
                row["requirement"] == "required" && row["spn"].as_str().unwrap().eq_ignore_ascii_case(&spn)
            };
            assert!(spns.iter().any(|row| is_expected(&row)), "{name}: {spn} is not expected: {instance:#}");
        }
        for spn in spns {
            let row = Row::of(instance, spn);
            let mut holders = Forest::own(lab).holders(&row.spn);
            let here = holders.len();
            if forest.dns() != lab.text("/dns") {
                // Of another forest only the service account itself counts (JUDGEMENT 3).
                holders.extend(forest.holders(&row.spn).into_iter().filter(|dn| *dn == account));
            }
            let is_held_abroad = holders.len() > here;
            let expected = match (holders.contains(&account), here) {
                (_, 2..) => "duplicate",
                (true, 1) if !is_held_abroad => "good",
                (_, 1) => "misplaced",
                (true, 0) => "good",
                (false, 0) => "missing",
            };
            assert_eq!(row.status, expected, "{name}: {}: {holders:?}\n{}", row.spn, checked.text);
            let shown = spn["holders"].as_array().unwrap();
            let dns = shown.iter().map(|holder| holder["dn"].as_str().unwrap().to_owned());
            assert_eq!(dns.collect::<BTreeSet<_>>(), holders, "{name}: {}", row.spn);
            for holder in shown {
                assert_eq!(
                    holder["sid"].as_str(),
                    sids.get(holder["dn"].as_str().unwrap()).copied(),
                    "{name}"
                );
            }
            rows.push(row);
        }
        assert_eq!(instance["account"]["dn"], account.as_str(), "{name}");
    }
    rows
}

/// The forest and the distinguished name of the account that a SQL Server runs as. A virtual account and NetworkService are the
/// computer on the network, on a cluster the node.
fn account<'a>(lab: &'a Lab, server: &SqlServerSpec) -> (Forest<'a>, String) {
    let computer = match server.properties.get("ComputerNamePhysicalNetBIOS") {
        Some(Cell::Text(node)) => format!("{node}$"),
        _ => format!("{}$", server.host),
    };
    let own = Forest::own(lab);
    let (forest, sam) = match logged(server).or(server.account.as_deref()) {
        None => (own, computer.as_str()),
        Some(name) => match name.split_once('\\') {
            Some((domain, _)) if domain.starts_with("NT ") => (own, computer.as_str()),
            Some((domain, sam)) if domain.eq_ignore_ascii_case(own.netbios()) => (own, sam),
            Some((_, sam)) => (Forest::partner(lab), sam),
            None => (own, name.split('@').next().unwrap()),
        },
    };
    (forest, forest.account(sam))
}

/// The account that the scenario's error log names as the running one.
fn logged(server: &SqlServerSpec) -> Option<&str> {
    let lines = server.tables.get("xp_readerrorlog")?;
    lines.iter().filter_map(|line| line.get("Text")).find_map(|cell| match cell {
        Cell::Text(text) => text.strip_prefix("The service account is '")?.split('\'').next(),
        _ => None,
    })
}

/// What the scenario file says is the host's name.
fn dns_name<'a>(scenario: &'a Scenario, server: &'a SqlServerSpec) -> &'a str {
    let accounts = &scenario.domain.as_ref().unwrap().accounts;
    let computer = accounts
        .iter()
        .find(|account| account.class == AccountClass::Computer && account.name == server.host);
    computer.and_then(|computer| computer.dns.as_deref()).unwrap_or_else(|| panic!("no {}", server.host))
}

/// Where the page says something else than `check`: numbers of states and holders, verdicts, findings.
fn differences(page: &str, report: &Value) -> Vec<String> {
    let mut different = Vec::new();
    let mut same = |what: String, in_page: Option<f64>, in_report: Option<f64>| {
        if in_page != in_report {
            different.push(format!("{what}: {in_page:?} in the page, {in_report:?} in the report"));
        }
    };
    let count = |family: &str| {
        let start = format!("mssql_kerberos_{family}{{");
        Some(page.lines().filter(|line| line.starts_with(&start)).count() as f64)
    };
    let instances = report["instances"].as_array().unwrap();
    let shown = || instances.iter().flat_map(|instance| instance["spns"].as_array().into_iter().flatten());
    let n_holders: usize = shown().map(|spn| spn["holders"].as_array().unwrap().len()).sum();
    same("states".into(), count("spn_status"), Some((shown().count() * STATES.len()) as f64));
    same("holders".into(), count("spn_holder_info"), Some(n_holders as f64));
    for instance in instances {
        let name = instance["name"].as_str().unwrap();
        let own = ("mssql_instance", name);
        let verdict = instance["verdict"].as_str().unwrap();
        same(format!("{name} {verdict}"), sample(page, "verdict", &[own, ("verdict", verdict)]), Some(1.0));
        let reported: BTreeSet<&str> = instance["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|finding| finding["finding"].as_str().unwrap())
            .collect();
        // What applies on the page and the report does not have at all.
        for name_of in findings_of(page, name) {
            same(
                format!("{name} {name_of} in the report"),
                Some(1.0),
                reported.contains(&*name_of).then_some(1.0),
            );
        }
        for finding in instance["findings"].as_array().unwrap() {
            let label = ("finding", finding["finding"].as_str().unwrap());
            let subjects = finding["subjects"].as_array().map_or(0, Vec::len) as f64;
            let expected = (finding["outcome"] == "applies").then_some(subjects);
            same(format!("{name} {}", label.1), sample(page, "finding", &[own, label]), expected);
        }
    }
    different
}

/// The findings that apply to this instance on the page.
fn findings_of(page: &str, instance: &str) -> Vec<String> {
    let own = format!("mssql_instance=\"{}\"", instance.replace('\\', "\\\\"));
    let lines =
        page.lines().filter(|line| line.starts_with("mssql_kerberos_finding{") && line.contains(&own));
    lines
        .filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let (_, rest) = series.split_once("finding=\"")?;
            (value != "0").then(|| rest.split('"').next().unwrap_or_default().to_owned())
        })
        .collect()
}

#[test]
fn a_finding_of_the_page_that_the_report_lacks_is_a_difference() {
    let report = serde_json::json!({ "instances": [{
        "name": "SQL01\\PROD", "verdict": "degraded", "spns": [],
        "findings": [{ "finding": "missing_spn", "outcome": "applies", "subjects": [{}] }],
    }] });
    let line = |family: &str, labels: &str, value: u8| {
        format!("mssql_kerberos_{family}{{mssql_instance=\"SQL01\\\\PROD\",{labels}}} {value}\n")
    };
    let page = line("verdict", "verdict=\"degraded\"", 1)
        + &line("finding", "finding=\"missing_spn\",severity=\"warning\"", 1)
        + &line("finding", "finding=\"clock_skew\",severity=\"warning\"", 0);
    assert_eq!(differences(&page, &report), Vec::<String>::new());
    let further = page + &line("finding", "finding=\"duplicate_spn\",severity=\"critical\"", 1);
    let different = differences(&further, &report);
    assert!(different.len() == 1 && different[0].contains("duplicate_spn"), "{different:?}");
}
