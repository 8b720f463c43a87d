//! What holds for every rule: well-formed, and silent on healthy servers of every kind.

use std::collections::BTreeSet;

use super::rules::all;
use crate::findings::verdict::Verdict;
use crate::findings::{Finding, Severity};
use crate::model::observed::FailureKind::Forbidden;
use crate::samples::{Bench, NAME, PORT};

#[test]
fn rules_are_well_formed() {
    let mut names = BTreeSet::new();
    for rule in all() {
        assert!(names.insert(rule.name), "{} twice", rule.name);
        assert!(
            rule.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'),
            "{}",
            rule.name
        );
        for text in [rule.meaning, rule.seen, rule.repair] {
            assert!(
                text.ends_with('.') && !text.contains("  ") && !text.contains("setspn"),
                "{}: {text}",
                rule.name
            );
        }
        assert!(rule.source.starts_with("https://learn.microsoft.com/"), "{}", rule.name);
    }
    let escalating: Vec<&str> = all().filter(|rule| rule.escalates).map(|rule| rule.name).collect();
    assert_eq!(
        escalating,
        ["missing_spn", "listener_spn_missing", "alias_without_spn", "rc4_removal_breaks", "ntlm_fallback"]
    );
}

/// A healthy row: no finding of warning or worse, and nothing unknown.
fn is_silent(what: &str, bench: &Bench, verdict: Verdict) {
    let assessment = bench.assess();
    let instance = &assessment.instances[0];
    let loud: Vec<&Finding> = instance
        .findings
        .iter()
        .filter(|finding| {
            (finding.severity > Severity::Info && !finding.subjects.is_empty())
                || finding.failing_gaps().next().is_some()
        })
        .collect();
    assert!(loud.is_empty(), "{what}: {loud:#?}");
    assert_eq!(instance.verdict, verdict, "{what}");
}

#[test]
fn healthy_servers_are_silent() {
    for (what, bench) in [
        ("domain account", Bench::new()),
        ("no remote connections at all", Bench::new().remote(0, 0)),
        ("a single NTLM administrator", Bench::new().remote(0, 1)),
        ("all Kerberos", Bench::new().remote(500, 0)),
        (
            "virtual account",
            Bench::new().service_account("NT SERVICE\\MSSQLSERVER").spns("sql01$", &[PORT, NAME]),
        ),
        (
            "NetworkService",
            Bench::new().service_account("NT AUTHORITY\\NETWORK SERVICE").spns("sql01$", &[PORT, NAME]),
        ),
        ("LocalSystem", Bench::new().service_account("LocalSystem").spns("sql01$", &[PORT, NAME])),
        ("gMSA", Bench::new().service_account("CORP\\gmsa_sql$").spns("gmsa_sql$", &[PORT, NAME])),
        ("domain account, error log read", Bench::new().logged("CORP\\svc_sql").refusal(PORT, 0x2098)),
        (
            "virtual account, error log read",
            Bench::new()
                .service_account("NT SERVICE\\MSSQLSERVER")
                .logged("NT Service\\MSSQLSERVER")
                .spns("sql01$", &[PORT, NAME]),
        ),
        (
            "LocalSystem, error log read",
            Bench::new().service_account("LocalSystem").logged("CORP\\SQL01$").spns("sql01$", &[PORT, NAME]),
        ),
        ("no domain controller reached for names", Bench::new().translated("CORP\\svc_sql", false, false)),
        ("TCP off, local use only", Bench::new().tcp_off().spns("svc_sql", &[NAME])),
        ("dynamic port that registers itself", {
            Bench::new().dynamic_port(50_123).with(|bench| bench.condition.registers_itself = Ok(true))
        }),
        ("SPNs in another case", Bench::new().spns("svc_sql", &[&PORT.to_uppercase(), &NAME.to_uppercase()])),
        (
            "no PTR",
            Bench::new().with(|bench| bench.reverse("10.77.0.11", crate::model::dns::Reverse::Missing)),
        ),
        ("named instance, static port", {
            let spns = ["MSSQLSvc/sql01.corp.contoso.com:1500", "MSSQLSvc/sql01.corp.contoso.com:PROD"];
            Bench::new().ports(&[1500]).spns("svc_sql", &spns).with(|bench| {
                bench.instance.properties.instance_name = Some("PROD".into());
                bench.instance.properties.server_name = "SQL01\\PROD".into();
                bench.instance.properties.at_at_servername = Some("SQL01\\PROD".into());
            })
        }),
    ] {
        is_silent(what, &bench, Verdict::Healthy);
    }
    is_silent("workgroup", &Bench::new().workgroup(), Verdict::NotApplicable);
    let express = Bench::new().tcp_off().spns("svc_sql", &[NAME]);
    let express = express.with(|bench| bench.instance.properties.engine_edition = 4);
    is_silent("Express for local use", &express, Verdict::NotApplicable);
    let just_started = Bench::new().spns("svc_sql", &["HTTP/x"]).with(|bench| {
        bench.instance.started = Ok(crate::samples::now().unix_seconds() - 60.0);
    });
    is_silent("just started, SPNs on the way", &just_started, Verdict::Healthy);
}

/// Every remedy that a bench with delegation in every state gives, as people read it (JUDGEMENT 16, Never 5 and 6).
#[test]
fn no_remedy_weakens_anything() {
    use crate::model::condition::AccountControl;
    const TARGET: &str = "MSSQLSvc/sql02.corp.contoso.com:1433";
    let linked = || Bench::new().linked("sql02").spns("svc_sql", &[PORT, NAME]);
    let free = |bits| linked().condition("svc_sql", |own| own.control = Ok(AccountControl(bits)));
    let benches = [
        linked().spns("svc_remote", &[TARGET]),
        linked(),
        free(0x8_0200),
        free(0x108_0200),
        free(0x8_0200).spns("svc_remote", &[TARGET]).spns("svc_old", &[TARGET]),
        Bench::new().spns("svc_sql", &[PORT]).spns("svc_old", &[PORT]),
    ];
    let mut n = 0;
    for bench in benches {
        let assessment = bench.assess();
        let findings = assessment.instances.iter().flat_map(|instance| &instance.findings);
        let subjects = findings.flat_map(|finding| &finding.subjects);
        for step in subjects.flat_map(|subject| &subject.changes).map(crate::remedy::step) {
            let text = format!("{} {}", step.text, step.line.map(|line| line.shown()).unwrap_or_default())
                .to_lowercase();
            for word in ["trustedfordelegation", "trusted for delegation", "dsheuristics", "setspn -a", "rc4"]
            {
                assert!(!text.contains(word), "{text}");
            }
            n += 1;
        }
    }
    for rule in all() {
        assert!(!rule.repair.to_lowercase().contains("trusted for delegation"), "{}", rule.name);
    }
    assert!(n > 10, "{n} steps");
}

#[test]
fn a_blind_spot_is_never_green() {
    for (what, bench) in [
        ("instance silent", Bench::new().with(|bench| bench.is_silent = true)),
        ("directory refuses", Bench::new().with(|bench| bench.directory_failure = Forbidden).no_directory()),
        ("DNS silent", Bench::new().with(|bench| bench.dns = None)),
        ("connections refused", Bench::new().no_connections()),
        ("listeners refused", Bench::new().with(|bench| bench.instance.listeners = Err(Bench::refused()))),
        ("services refused", Bench::new().with(|bench| bench.instance.service = Err(Bench::refused()))),
        ("account hidden", Bench::new().hidden("svc_sql")),
    ] {
        let assessment = bench.assess();
        assert_eq!(assessment.instances[0].verdict, Verdict::Unknown, "{what}");
    }
    // No domain controller answers: that is known, and nobody gets a new ticket.
    let dark = Bench::new().no_directory().assess();
    assert_eq!(dark.instances[0].verdict, Verdict::Broken);
}

#[test]
fn an_accepted_subject_stays_visible_and_stops_alerting() {
    let accept = |until| crate::model::settings::Accepted {
        finding: "missing_spn".into(),
        subject: PORT.to_uppercase(),
        reason: "decommissioned in spring".into(),
        until,
    };
    let today = (crate::samples::now().unix_seconds() / 86_400.0) as u64;
    for (until, verdict) in
        [(None, Verdict::Healthy), (Some(today), Verdict::Healthy), (Some(today - 1), Verdict::Degraded)]
    {
        let bench =
            Bench::new().spns("svc_sql", &[NAME]).with(|bench| bench.settings.accept.push(accept(until)));
        let assessment = bench.assess();
        assert_eq!(assessment.instances[0].verdict, verdict, "{until:?}");
        let finding = bench.finding(all().find(|rule| rule.name == "missing_spn").unwrap());
        assert_eq!(finding.subjects.len(), 1);
    }
}

#[test]
fn where_kerberos_is_required_the_fallback_is_an_outage() {
    let bench = Bench::new().spns("svc_sql", &[NAME]).with(|bench| bench.settings.kerberos_required = true);
    assert_eq!(bench.assess().instances[0].verdict, Verdict::Broken);
}
