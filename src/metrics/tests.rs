//! The slice of families is well-formed, caps hold, and the page survives hostile names.

use std::collections::BTreeSet;

use super::*;
use crate::model::instance::Platform;
use crate::samples::{self, Bench};

fn build() -> Build {
    Build { version: "0.0.0", revision: "r", rustc: "c", target: "t" }
}

fn page(bench: &Bench) -> (Vec<Filled>, render::Page) {
    let assessment = bench.assess();
    let collected = || {
        let build = build();
        let whole = Whole {
            assessment: &assessment,
            build: &build,
            process: None,
            configured: Configured { at: 1.0, is_latest_good: true },
        };
        collect(&whole)
    };
    (collected(), render::page(collected()).unwrap())
}

#[test]
fn families_are_well_formed() {
    let mut names = BTreeSet::new();
    for family in families() {
        let name = family.name;
        assert!(names.insert(name), "{name} twice");
        assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'), "{name}");
        assert_eq!(family.kind == Kind::Counter, name.ends_with("_total"), "{name}");
        assert_eq!(family.kind == Kind::Info, name.ends_with("_info"), "{name}");
        let help = family.help;
        assert!(help.ends_with('.') && help.len() <= 120 && !help.contains(['\n', '\\']), "{name}: {help}");
        assert_eq!(family.labels.iter().collect::<BTreeSet<_>>().len(), family.labels.len(), "{name}");
        // Labels that scrapers and service discovery use themselves.
        for label in family.labels {
            assert!(
                !["type", "service", "region", "env", "cluster", "instance", "job"].contains(label),
                "{name}"
            );
        }
    }
}

#[test]
fn a_healthy_default_instance_stays_under_300_series() {
    let (filled, _) = page(&Bench::new().remote(40, 0));
    let series: usize = filled.iter().map(|filled| filled.samples.len()).sum();
    assert!(series < 300, "{series}");
    assert!(series > 100, "{series}: the page is nearly empty");
}

#[test]
fn tcp_is_always_on_on_linux_and_unknown_without_a_registry_elsewhere() {
    let enabled = |platform| {
        let (filled, _) = page(&Bench::new().with(|bench| {
            bench.instance.platform = Ok(platform);
            bench.instance.registry = Err(Bench::refused());
        }));
        let family = filled.iter().find(|filled| filled.family.name == "tcp_enabled");
        family.map(|family| family.samples[0].value)
    };
    assert_eq!((enabled(Platform::Linux), enabled(Platform::Windows)), (Some(1.0), None));
}

#[test]
fn rows_fit_their_labels() {
    let (filled, _) = page(&Bench::new().remote(40, 10));
    for filled in filled {
        let n = filled.family.label_names().len();
        assert!(filled.samples.iter().all(|sample| sample.labels.len() == n), "{}", filled.family.name);
    }
}

#[test]
fn caps_hold_whatever_the_inputs() {
    let ports: Vec<u16> = (2_000..3_500).collect();
    let (filled, page) = page(&Bench::new().ports(&ports));
    let of_instance: usize = filled
        .iter()
        .filter(|filled| matches!(filled.family.source, Source::Instance(_)))
        .map(|filled| filled.samples.len())
        .sum();
    assert!(of_instance <= MOST_SERIES_PER_INSTANCE, "{of_instance}");
    assert!(page.classic.contains("mssql_kerberos_exporter_series_dropped{family=\"spn_status\"}"));
}

#[test]
fn hostile_names_come_out_escaped() {
    let bench = Bench::new()
        .service_account("CORP\\svc\"sql")
        .spns("svc\"sql", &["MSSQLSvc/sql01.corp.contoso.com:1433"]);
    let (_, page) = page(&bench.with(|bench| bench.instance.properties.edition = "a\nb\\c\u{2028}ü".into()));
    assert!(page.classic.contains(r#"service_account="CORP\\svc\"sql""#), "{}", page.classic);
    assert!(page.classic.contains("edition=\"a\\nb\\\\c\u{2028}ü\""), "{}", page.classic);
}

#[test]
fn unknown_has_no_sample_but_says_so() {
    let (_, page) = page(&Bench::new().no_directory());
    let text = page.classic;
    assert!(!text.contains("mssql_kerberos_spn_present"), "{text}");
    assert!(!text.contains("finding{mssql_instance=\"MSSQLSERVER\",finding=\"missing_spn\""), "{text}");
    assert!(text.contains(
        "finding_unknown{mssql_instance=\"MSSQLSERVER\",finding=\"missing_spn\",reason=\"peer_failed\"} 1"
    ));
    // No domain controller answers, which is known.
    assert!(text.contains("verdict{mssql_instance=\"MSSQLSERVER\",verdict=\"broken\"} 1"));
    assert!(text.contains("domain_controller_up{server=\"dc1.corp.contoso.com\",role=\"directory\"} 0"));
    assert!(!text.contains("domain_controller_up{server=\"dc1.corp.contoso.com\",role=\"kdc\"}"));
    assert!(text.contains("probe_success{mssql_instance=\"MSSQLSERVER\",probe=\"directory\"} 0"));
}

#[test]
fn both_formats_carry_the_same_samples() {
    let (_, page) = page(&Bench::new().remote(40, 10));
    let samples = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    };
    assert_eq!(samples(&page.openmetrics), samples(&page.classic));
    assert!(page.openmetrics.ends_with("# EOF\n"));
    assert!(!page.classic.contains("EOF"));
    let _ = samples::now();
}

#[test]
fn the_kdc_tells_its_own_time_and_an_error_in_the_way_has_its_name() {
    let skewed = Bench::new().ticket_skewed(samples::PORT).with(|bench| bench.kdc.1 = 600.0);
    let text = page(&skewed).1.classic;
    for line in [
        "mssql_kerberos_domain_controller_clock_skew_seconds{server=\"dc1.corp.contoso.com\",role=\"kdc\"} 600\n",
        "mssql_kerberos_domain_controller_clock_skew_seconds{server=\"dc1.corp.contoso.com\",role=\"directory\"} 0\n",
        "spn=\"MSSQLSvc/sql01.corp.contoso.com:1433\",code=\"KRB_AP_ERR_SKEW\"} 1\n",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("ticket_granted{"), "nothing was said of the SPN: {text}");
    for (bench, code) in [
        (Bench::new().ticket_refused(samples::PORT, 7), "KDC_ERR_S_PRINCIPAL_UNKNOWN"),
        (Bench::new().ticket_refused(samples::PORT, 4_711), "4711"),
    ] {
        let text = page(&bench).1.classic;
        assert!(text.contains(&format!("code=\"{code}\"}} 1\n")), "{text}");
    }
    for bench in [Bench::new(), Bench::new().no_kdc(), Bench::new().ticket_granted(samples::PORT, 18, 2)] {
        let text = page(&bench).1.classic;
        assert!(!text.contains("ticket_error_info{"), "{text}");
        let has_clock = text.contains("clock_skew_seconds{server=\"dc1.corp.contoso.com\",role=\"kdc\"}");
        assert_eq!(has_clock, text.contains("ticket_granted{"), "{text}");
    }
}

/// From what the registry and the service manager said to the page.
#[test]
fn a_passive_node_is_a_zero_and_no_failure() {
    let node = |is_running| {
        Bench::new()
            .engine(|engine| {
                engine.cluster_name = Ok(Some(samples::host("SQLVNN")));
                engine.is_running = Ok(is_running);
            })
            .with(|bench| {
                bench.is_silent = true;
                bench.settings.instances[0].address_ip = Some("127.0.0.1".parse().unwrap());
            })
    };
    let samples = |bench: &Bench, family: &str, label: &str| {
        let (filled, _) = page(bench);
        let filled = filled.into_iter().find(|filled| filled.family.name == family);
        let samples = filled.into_iter().flat_map(|filled| filled.samples);
        samples
            .filter(|sample| sample.labels.iter().any(|text| text == label))
            .map(|sample| sample.value)
            .collect::<Vec<_>>()
    };
    let (passive, broken, active) =
        (node(false), node(true), Bench::new().engine(|engine| engine.is_running = Ok(true)));
    let name = "MSSQLSERVER";
    for (bench, is_active, success, verdict) in [
        (&passive, vec![0.0], vec![], vec![1.0]),
        (&broken, vec![], vec![0.0], vec![0.0]),
        (&active, vec![1.0], vec![1.0], vec![0.0]),
    ] {
        assert_eq!(samples(bench, "instance_active", name), is_active);
        assert_eq!(samples(bench, "probe_success", "sqlserver"), success);
        assert_eq!(samples(bench, "verdict", "not_applicable"), verdict);
    }
    for family in ["finding", "finding_unknown", "spn_status", "connections", "instance_info"] {
        assert_eq!(samples(&passive, family, name), [0.0; 0], "{family}");
    }
    assert_eq!(samples(&passive, "probe_success", "host"), [1.0]);
}
