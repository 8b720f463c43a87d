//! `restart_pending`: the configured static ports are not the live ones: a restart will change the port, and with it the SPN
//! that clients ask for.

use std::collections::BTreeSet;

use crate::expected::{configured, effective_entries};
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;
use crate::model::observed::Known;

pub(super) const RULE: Rule = Rule {
    name: "restart_pending",
    severity: Severity::Warning,
    escalates: false,
    scope: Scope::Domain,
    meaning: "The configured static ports differ from the live ones: the next restart changes the port, and with it the \
              SPN that clients ask for.",
    seen: "sys.dm_server_registry against sys.dm_tcp_listener_states, without the DAC, listeners and dynamic ports.",
    repair: "Register the SPN of the new port, then restart the service in a maintenance window.",
    source: "https://learn.microsoft.com/sql/database-engine/configure-windows/configure-a-server-to-listen-on-a-specific-tcp-port",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    Judged::one(judge(case))
}

/// Configured static ports that are not live, and live static ports that are no longer configured.
pub(super) fn difference(case: &Case<'_>) -> Known<(BTreeSet<u16>, BTreeSet<u16>)> {
    let registry = configured(case.registry()?)?;
    let ports = case.ports()?;
    let wanted: BTreeSet<u16> =
        effective_entries(registry).iter().flat_map(|entry| entry.static_ports.iter().copied()).collect();
    let mut live = BTreeSet::new();
    for port in &ports.live {
        if !port.is_dynamic.clone()? {
            live.insert(port.port);
        }
    }
    Ok((wanted.difference(&live).copied().collect(), live.difference(&wanted).copied().collect()))
}

fn judge(case: &Case<'_>) -> Known<Option<Subject>> {
    let registry = case.registry()?;
    // With TCP off nothing listens, whatever is configured.
    if registry.tcp_enabled == Some(false) {
        return Ok(None);
    }
    let (to_come, to_go) = difference(case)?;
    // A port that failed to come up at the last start is another finding's.
    let failed = case.instance()?.tcp_start_errors == Ok(true);
    if (to_come.is_empty() || failed) && to_go.is_empty() {
        return Ok(None);
    }
    let list = |ports: &BTreeSet<u16>| {
        let texts: Vec<String> = ports.iter().map(ToString::to_string).collect();
        if texts.is_empty() { "none".to_owned() } else { texts.join(", ") }
    };
    let text = format!(
        "configured and not live: {}; live and no longer configured: {}",
        list(&to_come),
        list(&to_go)
    );
    Ok(Some(Subject::new(case.own.name.clone(), text).then(Change::RestartService)))
}

#[cfg(test)]
mod tests {
    use crate::samples::{Bench, Seen};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let configured = |ports: Vec<u16>| {
            Bench::new().with(move |bench| {
                bench.instance.registry.as_mut().unwrap().tcp_entries[0].static_ports = ports
            })
        };
        assert_eq!(judge(configured(vec![1500])), Seen::applies(&["MSSQLSERVER"]));
        assert_eq!(judge(configured(vec![1433, 1500])), Seen::applies(&["MSSQLSERVER"]));
        assert_eq!(judge(Bench::new()), Seen::clear());
        assert_eq!(judge(Bench::new().dynamic_port(50_123)), Seen::clear());
        assert_eq!(judge(Bench::new().tcp_off()), Seen::clear());
        // Another address's port, on an address that is not enabled, does not count.
        let fresh = Bench::new().with(|bench| {
            let entry = crate::model::instance::TcpEntry {
                name: "IP1".into(),
                enabled: Some(false),
                dynamic_port: Some(0),
                static_ports: vec![9999],
                ..Default::default()
            };
            bench.instance.registry.as_mut().unwrap().tcp_entries.push(entry);
        });
        assert_eq!(judge(fresh), Seen::clear());
        let blind = Bench::new().with(|bench| bench.instance.registry = Err(Bench::refused()));
        assert_eq!(judge(blind), Seen::unknown());
        let empty = Bench::new().with(|bench| bench.instance.registry.as_mut().unwrap().tcp_entries.clear());
        assert_eq!(judge(empty), Seen::unknown(), "an empty registry view is no proof of agreement");
        assert_eq!(judge(configured(vec![1500]).workgroup()), Seen::not_applicable());
    }
}
