//! `routing_url_mismatch`: a routing URL of this replica names a host that is not ours or a port that is not live:
//! redirected clients ask for the SPN of what it names.

use crate::expected::routing_target;
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;
use crate::model::observed::Known;

pub(super) const RULE: Rule = Rule {
    name: "routing_url_mismatch",
    severity: Severity::Warning,
    escalates: false,
    scope: Scope::Domain,
    meaning: "A routing URL of this replica does not name its FQDN and a live port: clients that are redirected ask for \
              an SPN that is not this instance's, or reach nobody.",
    seen: "sys.availability_replicas against the instance's names and live ports.",
    repair: "Correct the URL: ALTER AVAILABILITY GROUP … MODIFY REPLICA … READ_ONLY_ROUTING_URL.",
    source: "https://learn.microsoft.com/sql/database-engine/availability-groups/windows/configure-read-only-routing-for-an-availability-group-sql-server",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    let urls = case.availability().map(|availability| availability.routing_urls.iter());
    Judged::each(urls, "no routing URL", |url| judge(case, url))
}

fn judge(case: &Case<'_>, url: &str) -> Known<Option<Subject>> {
    let target = routing_target(url);
    let why = match &target {
        None => "is no URL of the form tcp://host:port".to_owned(),
        Some((host, port)) => {
            let names = case.names()?;
            if *host != names.primary && !names.own.contains(host) {
                format!("names {host}; clients know this instance as {}", names.primary)
            } else if !case.ports()?.is_live(*port) {
                format!("names port {port}, on which nothing listens")
            } else {
                return Ok(None);
            }
        }
    };
    let advice = match (case.names(), case.ports().ok().and_then(|ports| ports.numbers().next())) {
        (Ok(names), Some(port)) => format!("set the routing URL to tcp://{}:{port}", names.primary),
        (Err(_), _) | (_, None) => "set the routing URL to tcp://<FQDN>:<live port>".to_owned(),
    };
    Ok(Some(Subject::new(url, why).then(Change::Advice(advice))))
}

#[cfg(test)]
mod tests {
    use crate::samples::{Bench, Seen};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        for (url, is_bad) in [
            ("tcp://sql01.corp.contoso.com:1433", false),
            ("TCP://SQL01.corp.contoso.com:1433/", false),
            ("tcp://other.corp.contoso.com:1433", true),
            ("tcp://sql01.corp.contoso.com:1500", true),
            ("sql01:1433", true),
            ("tcp://sql01:1433", true),
            ("tcp://[::1]:99999", true),
        ] {
            let expected = if is_bad { Seen::applies(&[url]) } else { Seen::clear() };
            assert_eq!(judge(Bench::new().routing_url(url)), expected, "{url}");
        }
        let url = "tcp://sql01.corp.contoso.com:1433";
        let blind =
            Bench::new().routing_url(url).with(|bench| bench.instance.listeners = Err(Bench::refused()));
        assert_eq!(judge(blind), Seen::unknown());
        let two = Bench::new()
            .routing_url("sql01:1433")
            .routing_url(url)
            .with(|bench| bench.instance.listeners = Err(Bench::refused()));
        assert_eq!(judge(two), Seen::applies(&["sql01:1433"]).and_unknown());
        assert_eq!(judge(Bench::new()), Seen::not_applicable());
    }
}
