//! Alerts that no finding states: on the exporter itself, on blind spots, and on traffic; and the recording rules. Each
//! threshold stands here once.

use mssql_kerberos_exporter::findings::Severity;

use super::source::{Alert, GRAFANA, JOB, SURVIVES, alert_name, of_instance};

/// One alert, as a table row.
struct Watch {
    page: &'static str,
    after: &'static str,
    severity: Severity,
    expr: String,
    /// After "where: ".
    summary: &'static str,
    meaning: &'static str,
    next: &'static str,
    place: Place,
}

/// What an alert is about: the labels it has, and the dashboard it leads to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Instance,
    Exporter,
    Fleet,
}

/// Evidence that is this old although its probe succeeds: the exporter hangs. The probes look every five minutes at the latest, but
/// tickets are asked for once an hour (`ticket.refresh`): there, after three of those.
const STALE_SECONDS: (u32, u32) = (1_200, 10_800);

/// A quarter of the fleet, and at least so many instances: a shared peer is at fault, not each of them.
const MANY: (&str, u32) = ("0.25", 5);

/// New NTLM connections in an hour, below which nothing is said: an administrator's tools open a few.
const NEW_NTLM: u32 = 5;

/// A spike: so many in an hour, and so many times as many as in the same hour yesterday and a week ago.
const SPIKE: (u32, u32) = (20, 3);

const KEY: &str = "on (job, instance, mssql_instance)";

const OPENED: &str = "mssql_instance:mssql_kerberos_connections_opened:ntlm_increase1h";

fn watches() -> Vec<Watch> {
    use Place::{Exporter, Fleet, Instance};
    use Severity::{Critical, Warning};
    let up = format!("up{{job=\"{JOB}\"}}");
    let (share, many) = MANY;
    let (spike, times) = SPIKE;
    let (stale, stale_tickets) = STALE_SECONDS;
    let answered = |probe: &str| {
        format!(
            "last_over_time(mssql_kerberos_probe_last_success_timestamp_seconds{{probe{probe}\"ticket\"}}[{SURVIVES}])"
        )
    };
    vec![
        Watch {
            page: "exporter_down",
            after: "5m",
            severity: Warning,
            expr: format!("{up} == 0"),
            summary: "the exporter does not answer",
            meaning: "Prometheus gets nothing from this exporter: nobody knows whether Kerberos works there. Logins are not affected.",
            next: "Look at the service's state and its log on the server, then at the network between Prometheus and its port.",
            place: Exporter,
        },
        Watch {
            page: "exporter_absent",
            after: "15m",
            severity: Warning,
            expr: format!("absent({up})"),
            summary: "no exporter is scraped at all",
            meaning: "Prometheus has no target of this job: the service discovery lost all of them, or the job has another name.",
            next: "Look at the targets page of Prometheus. If the job has another name, replace it in the rules.",
            place: Fleet,
        },
        Watch {
            page: "config_reload_failed",
            after: "10m",
            severity: Warning,
            expr: format!(
                "last_over_time(mssql_kerberos_exporter_config_last_reload_successful[{SURVIVES}]) == 0"
            ),
            summary: "the configuration on disk was not accepted",
            meaning: "The exporter goes on with the configuration it had. A restart would fail.",
            next: "Run the exporter with --config.check: it names file, line and key of each mistake.",
            place: Exporter,
        },
        Watch {
            page: "series_dropped",
            after: "15m",
            severity: Warning,
            expr: format!(
                "sum without (family) (last_over_time(mssql_kerberos_exporter_series_dropped[{SURVIVES}])) > 0"
            ),
            summary: "series are left out of its page",
            meaning: "An instance has more SPNs, names or listeners than the exporter's limit for a metric: what is left out is not alerted on.",
            next: "Find the family in mssql_kerberos_exporter_series_dropped; shorten instances[].aliases or expect.ports, or watch fewer instances with one exporter.",
            place: Exporter,
        },
        Watch {
            page: "probe_failing",
            after: "15m",
            severity: Warning,
            expr: format!("max_over_time(mssql_kerberos_probe_success[{SURVIVES}]) == 0"),
            summary: "the probe {{ $labels.probe }} fails",
            meaning: "SQL Server, a domain controller, DNS or whatever else this probe asks was not reached or did not answer. What the probe would show becomes unknown when the last answer is too old.",
            next: "The exporter's log and mssql_kerberos_probe_failures_total say which kind of failure it is.",
            place: Instance,
        },
        Watch {
            page: "many_probes_failing",
            after: "5m",
            severity: Warning,
            expr: format!(
                "count by (job, probe) (mssql_kerberos_probe_success == 0) >= {many}\nand\ncount by (job, probe) (mssql_kerberos_probe_success == 0)\n  / count by (job, probe) (mssql_kerberos_probe_success) > {share}"
            ),
            summary: "the probe {{ $labels.probe }} fails on {{ $value }} instances",
            meaning: "So many at once have a cause that they share: domain controllers, DNS servers, a firewall, an account of the exporters.",
            next: "Look at the peer that this probe asks. The alerts of the single instances are held back meanwhile.",
            place: Fleet,
        },
        Watch {
            page: "domain_controller_down",
            after: "10m",
            severity: Warning,
            // By server, whoever looks: one dead domain controller is one alert, not two thousand.
            expr: format!(
                "max by (job, server) (last_over_time(mssql_kerberos_domain_controller_up[{SURVIVES}])) == 0"
            ),
            summary: "the domain controller {{ $labels.server }} serves none of its roles",
            meaning: "No exporter reaches this domain controller for LDAP, Global Catalog or Kerberos. Others in the site may still answer; if none is left, tickets and logins fail.",
            next: "Look at the server and its services, then at the firewall between. /explain of an exporter lists the domain controllers with what each answered.",
            place: Fleet,
        },
        Watch {
            page: "domain_controller_unreachable",
            after: "5m",
            severity: Critical,
            expr: format!(
                "count by (job) (last_over_time(mssql_kerberos_finding{{finding=\"domain_controller_unreachable\"}}[{SURVIVES}]) > 0) > 0"
            ),
            summary: "{{ $value }} instances reach no domain controller for one of its roles",
            meaning: "Where no domain controller answers for LDAP, Global Catalog or Kerberos, clients get no tickets and SQL Server cannot check logins.",
            next: "Look at the domain controllers of the site, then at the firewall between. /explain of any of the instances lists what each answered.",
            place: Fleet,
        },
        Watch {
            page: "data_stale",
            after: "5m",
            severity: Warning,
            expr: format!(
                "(\n  time() - {} > {stale}\n  or\n  time() - {} > {stale_tickets}\n)\nand on (job, instance, mssql_instance, probe)\nlast_over_time(mssql_kerberos_probe_success[{SURVIVES}]) == 1",
                answered("!="),
                answered("=")
            ),
            summary: "the answers of the probe {{ $labels.probe }} are old",
            meaning: "The latest attempt succeeded, but long ago: the exporter hangs, or its clock and that of Prometheus differ. A refresh of more than ten minutes in the configuration (for tickets: more than an hour and a half) looks like this too.",
            next: "Compare the clocks, read the log, restart the exporter.",
            place: Instance,
        },
        Watch {
            page: "status_unknown",
            after: "1h",
            severity: Warning,
            expr: format!(
                "count by (job, instance, mssql_instance, reason) (last_over_time(mssql_kerberos_finding_unknown[{SURVIVES}]) == 1)\nor {KEY}\nlast_over_time(mssql_kerberos_verdict{{verdict=\"unknown\"}}[{SURVIVES}]) == 1"
            ),
            summary: "part of its state is not known{{ with $labels.reason }} ({{ . }}){{ end }}",
            meaning: "Some findings could not be judged for an hour. What is not known may be broken, and no other alert would say so.",
            next: "Run `mssql-kerberos-exporter check` on the server, or open its /explain there: each finding that could not be judged says why, and which right, key or peer is missing.",
            place: Instance,
        },
        Watch {
            page: "new_ntlm_logins",
            after: "15m",
            severity: Warning,
            expr: format!(
                "{OPENED} >= {NEW_NTLM}\nand {KEY}\nmax_over_time({OPENED}[1d:1h] offset 1h) < 1\nand {KEY}\n{OPENED} offset 1d"
            ),
            summary: "new remote logins use NTLM ({{ $value | humanize }} in an hour), after a day without any",
            meaning: "An instance that had no new NTLM logins for a day has them again: a new client, a changed name, or an SPN that is gone.",
            next: "Run `mssql-kerberos-exporter check` on the server: it lists the NTLM clients with the likely cause. Set connections.ntlm_clients to see them in the metrics.",
            place: Instance,
        },
        Watch {
            page: "ntlm_fallback_spike",
            after: "15m",
            severity: Warning,
            expr: format!(
                "{OPENED} >= {spike}\nand {KEY}\n{OPENED} > {times} * ({OPENED} offset 1d)\nunless {KEY}\n{OPENED} <= {times} * ({OPENED} offset 1w)"
            ),
            summary: "{{ $value | humanize }} new NTLM logins in an hour, several times as many as yesterday at this hour",
            meaning: "Clients that used Kerberos yesterday fall back to NTLM now. A week with the same peak does not count.",
            next: "Run `mssql-kerberos-exporter check` on the server: it lists the NTLM clients with the likely cause. Ask what was deployed since yesterday.",
            place: Instance,
        },
    ]
}

/// The alerts.
pub(crate) fn alerts() -> Vec<Alert> {
    let alert = |watch: Watch| {
        let place = match watch.place {
            Place::Instance => "{{ $labels.mssql_instance }}: ",
            Place::Exporter => "{{ $labels.instance }}: ",
            Place::Fleet => "",
        };
        let dashboard = match watch.place {
            Place::Instance => of_instance(),
            Place::Exporter => {
                format!(
                    "{GRAFANA}/d/mssql-kerberos-exporter?var-instance={{{{ $labels.instance | urlquery }}}}"
                )
            }
            Place::Fleet => format!("{GRAFANA}/d/mssql-kerberos-fleet"),
        };
        Alert {
            name: alert_name(watch.page),
            page: watch.page,
            expr: watch.expr,
            after: watch.after,
            severity: watch.severity,
            summary: format!("{place}{}", watch.summary),
            description: format!("{} Next: {}", watch.meaning, watch.next),
            dashboard,
        }
    };
    watches().into_iter().map(alert).collect()
}

/// What the head of a runbook says of such an alert: meaning and next step.
pub(crate) fn texts(page: &str) -> Option<(&'static str, &'static str)> {
    watches().into_iter().find(|watch| watch.page == page).map(|watch| (watch.meaning, watch.next))
}

/// A recording rule: name, expression, and what it is for.
pub(crate) struct Record {
    pub(crate) name: &'static str,
    pub(crate) expr: String,
    pub(crate) about: &'static str,
}

/// Shares are quotients of sums over `connections`; the exporter's own ratio is never summed or averaged (JUDGEMENT 11.1).
pub(crate) fn records() -> Vec<Record> {
    let open =
        |schemes: &str| format!("mssql_kerberos_connections{{auth_scheme=~\"{schemes}\",origin=\"remote\"}}");
    let (kerberos, both) = (open("kerberos"), open("kerberos|ntlm"));
    let drop = "without (auth_scheme, net_transport, origin)";
    let record = |name, expr, about| Record { name, expr, about };
    vec![
        record(
            "mssql_instance:mssql_kerberos_connections:kerberos_ratio",
            format!("sum {drop} ({kerberos})\n  / (sum {drop} ({both}) > 0)"),
            "Kerberos share of each instance's remote Windows-authenticated connections",
        ),
        record(
            OPENED,
            "sum without (auth_scheme, origin) (increase(mssql_kerberos_connections_opened_total{auth_scheme=\"ntlm\",origin=\"remote\"}[1h]))".to_owned(),
            "new remote NTLM connections of each instance in the last hour",
        ),
        record(
            "job:mssql_kerberos_connections:kerberos_ratio",
            format!("sum by (job) ({kerberos})\n  / (sum by (job) ({both}) > 0)"),
            "Kerberos share of the fleet's remote Windows-authenticated connections",
        ),
        record(
            "job:mssql_kerberos_connections:ntlm_instances",
            format!("count by (job) (sum {drop} ({}) > 0)\n  or 0 * count by (job) (mssql_kerberos_verdict{{verdict=\"healthy\"}})", open("ntlm")),
            "instances with remote NTLM connections: the way to zero",
        ),
        record(
            "job_cause:mssql_kerberos_ntlm_connections:sum",
            "sum by (job, cause) (mssql_kerberos_ntlm_connections)".to_owned(),
            "the fleet's remote NTLM connections by likely cause",
        ),
        record(
            "job_encryption_type:mssql_kerberos_service_account_encryption_type:sum",
            "sum by (job, encryption_type) (mssql_kerberos_service_account_encryption_type)".to_owned(),
            "instances whose account can have tickets of each type: the retirement of RC4",
        ),
        record(
            "job_verdict:mssql_kerberos_verdict:sum",
            format!("sum by (job, verdict) (mssql_kerberos_verdict unless {KEY} mssql_kerberos_instance_active == 0)"),
            "instances by verdict; a failover cluster instance counts on the node that runs it",
        ),
        record(
            "job_finding:mssql_kerberos_finding:instances",
            "sum by (job, finding, severity) (mssql_kerberos_finding > bool 0)".to_owned(),
            "instances that each finding applies to; those about RC4 are its retirement's progress",
        ),
        record(
            "job_finding:mssql_kerberos_finding_unknown:instances",
            "count by (job, finding) (count without (reason) (mssql_kerberos_finding_unknown == 1))".to_owned(),
            "instances where each finding could not be judged",
        ),
    ]
}
