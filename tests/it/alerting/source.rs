//! The one source of the alert rules: how long each finding may last before it wakes somebody, and the alerts that no finding
//! states. Names, severities and texts of findings come from the product's own slice; nothing here is copied from it.

use std::collections::BTreeSet;

use mssql_kerberos_exporter::findings::{Rule, Severity, rules};

use Shows::{Account, Connections, Nothing, Spns};

/// The job that scrapes the exporters, as the README names it.
pub(crate) const JOB: &str = "mssql_kerberos";

/// Where Grafana is; `docs/alerting.md` has the line that puts in the reader's own.
pub(crate) const GRAFANA: &str = "https://grafana.example";

/// Where the folder `docs/runbooks` can be read; replaced in the same way.
pub(crate) const RUNBOOKS: &str = "https://runbooks.example/mssql-kerberos-exporter";

/// Prometheus' own look-back: one failed scrape, or an exporter that restarts, neither fires nor resolves anything.
pub(crate) const SURVIVES: &str = "5m";

/// What an alert shows besides the instance, read by its annotations while it fires.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shows {
    /// SPNs with these labels of `spn_status`.
    Spns(&'static str),
    /// The account that the service runs as.
    Account,
    /// Remote NTLM connections by likely cause.
    Connections,
    /// What `check` says is all there is.
    Nothing,
}

/// Findings that wake somebody: how long each must last (JUDGEMENT 3, 5 and 11; CONVENTIONS 10), and what is shown. A new
/// critical or warning finding is one line here, or one in [`SILENT`].
const WAKES: &[(&str, &str, Shows)] = &[
    // A service that restarts de-registers and registers: a quarter of an hour is what it takes to settle.
    ("missing_spn", "15m", Spns(r#"status="missing",requirement="required",kind!~"listener|alias""#)),
    // Logins fail outright.
    ("duplicate_spn", "5m", Spns(r#"status="duplicate",requirement="required""#)),
    ("misplaced_spn", "5m", Spns(r#"status="misplaced",requirement="required",kind!~"listener|alias""#)),
    ("spn_conflict", "15m", Spns(r#"status!="good",requirement="required""#)),
    (
        "recommended_spn_elsewhere",
        "1h",
        Spns(r#"status=~"duplicate|misplaced",requirement="recommended",kind!="alias""#),
    ),
    ("listener_spn_missing", "15m", Spns(r#"status="missing",kind="listener""#)),
    // On the primary now; on a secondary after a failover (see `urgent`).
    ("listener_account_mismatch", "15m", Spns(r#"status="misplaced",kind="listener""#)),
    ("alias_without_spn", "1h", Spns(r#"status="missing",kind="alias""#)),
    ("alias_spn_elsewhere", "1h", Spns(r#"status=~"duplicate|misplaced",kind="alias""#)),
    ("routing_url_mismatch", "1h", Nothing),
    // An hour is usual between domain controllers; above it, somebody looks.
    ("replication_lag", "2h", Account),
    (
        "dynamic_port_spn_at_risk",
        "30m",
        Spns(r#"status=~"missing|duplicate|misplaced",requirement="required""#),
    ),
    ("remote_tcp_off", "30m", Connections),
    ("restart_pending", "1h", Nothing),
    ("port_not_listening", "15m", Nothing),
    ("local_account", "1h", Account),
    ("account_not_found", "15m", Account),
    ("account_disabled", "5m", Account),
    ("account_locked", "5m", Account),
    ("account_expired", "5m", Account),
    ("password_expired", "5m", Account),
    ("password_expiring", "1h", Account),
    ("restart_after_password_change", "1h", Account),
    ("gmsa_not_retrievable", "1h", Account),
    ("service_account_changed_pending_restart", "1h", Account),
    ("encryption_mismatch", "10m", Account),
    ("weak_encryption", "1h", Account),
    ("rc4_removal_breaks", "1h", Account),
    // Asked for once an hour: what lasts so long has been seen twice.
    ("ticket_refused", "90m", Nothing),
    ("ticket_wrong_key", "10m", Account),
    ("keytab_stale", "10m", Account),
    ("keytab_incomplete", "1h", Account),
    ("delegation_target_unusable", "1h", Account),
    ("unconstrained_delegation", "1h", Account),
    ("extended_protection_blocks_alias", "1h", Nothing),
    ("clock_skew", "30m", Nothing),
    ("clock_skew_exceeded", "5m", Nothing),
    ("trust_unusable", "1h", Nothing),
    ("forward_dns_missing", "5m", Nothing),
    ("reverse_dns_mismatch", "1h", Nothing),
    ("wrong_dns_suffix", "1h", Nothing),
    ("dns_address_not_listening", "1h", Nothing),
    ("permission_missing", "30m", Nothing),
    ("exporter_credentials_rejected", "15m", Nothing),
    // A symptom: its causes come first, and inhibit it.
    ("ntlm_fallback", "30m", Connections),
];

/// Findings of severity info that somebody should see once they last.
const RAISED: &[&str] = &["replication_lag"];

/// Critical and warning findings without an alert, each with the reason.
pub(crate) const SILENT: &[(&str, &str)] = &[(
    "domain_controller_unreachable",
    "every instance of a site would say it; one alert counts them, and one names each server",
)];

/// Findings that another one explains: `ntlm_fallback`, what clients and the error log say. Alertmanager's `finding` label.
pub(crate) const SYMPTOMS: &str = "ntlm_fallback|sspi_.+|anonymous_logon";

/// One alert rule.
#[derive(Debug, Clone)]
pub(crate) struct Alert {
    /// `MSSQLKerberos…`.
    pub(crate) name: String,
    /// Its page below `docs/runbooks`, without `.md`; the finding's name where there is one.
    pub(crate) page: &'static str,
    /// PromQL.
    pub(crate) expr: String,
    /// How long it must hold.
    pub(crate) after: &'static str,
    /// Label.
    pub(crate) severity: Severity,
    /// One line: where, and what.
    pub(crate) summary: String,
    /// What it means and the next step.
    pub(crate) description: String,
    /// Which dashboard, with its variables.
    pub(crate) dashboard: String,
}

/// `missing_spn` becomes `MSSQLKerberosMissingSpn`.
pub(crate) fn alert_name(page: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str())
    };
    "MSSQLKerberos".to_owned() + &page.split('_').filter_map(capital).collect::<String>()
}

/// `missing_spn` becomes `missing SPN`.
fn in_words(finding: &str) -> String {
    let word = |word: &str| match word {
        "spn" | "dns" | "ntlm" | "tcp" | "url" => word.to_ascii_uppercase(),
        _ => word.to_owned(),
    };
    finding.split('_').map(word).collect::<Vec<_>>().join(" ")
}

/// Everything that wakes somebody: by finding in the order of the product's lists, then what no finding states.
pub(crate) fn alerts() -> Vec<Alert> {
    of_findings().into_iter().chain(super::watches::alerts()).collect()
}

/// The alerts of findings.
pub(crate) fn of_findings() -> Vec<Alert> {
    rules::all()
        .filter_map(|rule| Some((rule, waking(rule)?)))
        .flat_map(|(rule, row)| of(rule, row))
        .collect()
}

/// How long a finding may last before it wakes somebody; `None` if it never does.
pub(crate) fn lasts(rule: &Rule) -> Option<&'static str> {
    waking(rule).map(|(after, _)| after)
}

fn waking(rule: &Rule) -> Option<(&'static str, Shows)> {
    WAKES.iter().find(|(finding, ..)| *finding == rule.name).map(|(_, after, shows)| (*after, *shows))
}

/// Days before the end from which on an expiring password is urgent (JUDGEMENT 5).
const URGENT_DAYS: u32 = 3;

/// When a warning is critical, as a vector of the instances where it is.
fn urgent(finding: &str) -> Option<String> {
    match finding {
        // JUDGEMENT 3: it breaks after a failover on a secondary, and now on the primary.
        "listener_account_mismatch" => Some(format!(
            "max without (ag, role) (last_over_time(mssql_kerberos_ag_role{{role=\"primary\"}}[{SURVIVES}])) == 1"
        )),
        "password_expiring" => Some(format!(
            "last_over_time(mssql_kerberos_service_account_password_expiry_timestamp_seconds[{SURVIVES}]) - time() < {URGENT_DAYS} * 86400"
        )),
        _ => None,
    }
}

/// One alert for each severity that the finding can have.
fn of(rule: &'static Rule, (after, shows): (&'static str, Shows)) -> Vec<Alert> {
    let raised = RAISED.contains(&rule.name);
    let severity = if raised { Severity::Warning } else { rule.severity };
    let mut severities = vec![(rule.severity, severity, None)];
    if rule.escalates {
        severities.push((Severity::Critical, Severity::Critical, None));
    }
    if let Some(urgent) = urgent(rule.name) {
        severities[0].2 = Some(("unless", urgent.clone()));
        severities.push((rule.severity, Severity::Critical, Some(("and", urgent))));
    }
    let alert = |(shown, severity, join): (Severity, Severity, Option<(&str, String)>)| Alert {
        name: alert_name(rule.name),
        page: rule.name,
        expr: expression(rule.name, shown, severity, join),
        after,
        severity,
        summary: format!("{{{{ $labels.mssql_instance }}}}: {}{}", in_words(rule.name), shown_as(shows)),
        description: format!(
            "{} Next: run `mssql-kerberos-exporter check` on the server, or open /explain of {{{{ $labels.instance }}}} there: \
             both name the evidence and each step of the repair. {}",
            rule.meaning, rule.repair
        ),
        dashboard: of_instance(),
    };
    severities.into_iter().map(alert).collect()
}

/// The instance's dashboard.
pub(crate) fn of_instance() -> String {
    format!(
        "{GRAFANA}/d/mssql-kerberos-instance?var-mssql_instance={{{{ $labels.mssql_instance | urlquery }}}}"
    )
}

/// Fires on what was seen last. What fires already is held while it cannot be judged, because the evidence is unknown or the
/// exporter is down: a blind spot is no repair. A finding that is clear, accepted or no longer applicable resolves at once.
fn expression(finding: &str, shown: Severity, severity: Severity, join: Option<(&str, String)>) -> String {
    let seen = format!("mssql_kerberos_finding{{finding=\"{finding}\",severity=\"{shown}\"}}");
    let key = "on (job, instance, mssql_instance)";
    let mut now = format!("last_over_time({seen}[{SURVIVES}]) > 0");
    if let Some((verb, urgent)) = join {
        now = format!("(\n  {now}\n  {verb} {key}\n  {urgent}\n)");
    }
    let name = alert_name(finding);
    format!(
        "{now}\nor {key}\n(\n  \
         max without (alertname, alertstate) (ALERTS{{alertname=\"{name}\",alertstate=\"firing\",severity=\"{severity}\"}})\n  \
         unless {key} last_over_time({seen}[{SURVIVES}])\n  \
         and on (job, instance) (mssql_kerberos_finding_unknown{{finding=\"{finding}\"}} == 1 or on (job, instance) up{{job=\"{JOB}\"}} == 0)\n)"
    )
}

/// Text for a summary. It is text only: nothing that a label holds becomes part of a command (JUDGEMENT 16).
fn shown_as(shows: Shows) -> String {
    let list = |family: &str, labels: &str, condition: &str, item: &str| {
        let labels = if labels.is_empty() { String::new() } else { format!(",{labels}") };
        format!(
            "{{{{ range query (printf `mssql_kerberos_{family}{{instance=%q,mssql_instance=%q{labels}}} {condition}` \
             $labels.instance $labels.mssql_instance) }}}} {item}{{{{ end }}}}"
        )
    };
    let shown = match shows {
        Spns(labels) => list("spn_status", labels, "== 1", "{{ .Labels.spn }}"),
        Account => list("instance_info", "", "== 1", "{{ .Labels.service_account }}"),
        Connections => list("ntlm_connections", "", "> 0", "{{ .Value }} {{ .Labels.cause }}"),
        Nothing => return String::new(),
    };
    format!(":{shown}")
}

#[test]
fn every_critical_or_warning_finding_wakes_somebody_or_says_why_not() {
    let known: BTreeSet<&str> = rules::all().map(|rule| rule.name).collect();
    let listed: Vec<&str> = WAKES.iter().map(|row| row.0).chain(SILENT.iter().map(|row| row.0)).collect();
    for rule in rules::all() {
        let n = listed.iter().filter(|name| **name == rule.name).count();
        let wants = rule.severity > Severity::Info || RAISED.contains(&rule.name);
        assert_eq!(n, usize::from(wants), "{}: one line in WAKES, or in SILENT with a reason", rule.name);
    }
    for name in listed.iter().chain(RAISED) {
        assert!(known.contains(name), "{name} is no finding");
    }
    assert!(SILENT.iter().all(|(_, reason)| reason.len() > 20));
}
