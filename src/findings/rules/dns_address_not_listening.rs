//! `dns_address_not_listening`: the name resolves to an address of this host on which SQL Server does not listen, as when a
//! backup network card has registered itself.

use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;
use crate::model::dns::Forward;
use crate::model::observed::{Gap, Known};

pub(super) const RULE: Rule = Rule {
    name: "dns_address_not_listening",
    severity: Severity::Warning,
    escalates: false,
    scope: Scope::Domain,
    meaning: "The name resolves to an address of this host on which SQL Server does not listen: some clients wait for a \
              timeout before they reach it.",
    seen: "The forward look-up, the host's interface addresses, and the live listeners.",
    repair: "Remove the record, and let the network card no longer register itself in DNS.",
    source: "https://learn.microsoft.com/sql/database-engine/configure-windows/configure-a-server-to-listen-on-a-specific-tcp-port",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    Judged::one(judge(case))
}

fn judge(case: &Case<'_>) -> Known<Option<Subject>> {
    let ports = case.ports()?;
    if ports.live.is_empty() {
        return Err(Gap::not_applicable("no TCP port"));
    }
    let bound: Vec<_> = ports.live.iter().flat_map(|live| live.addresses.iter().copied()).collect();
    let listens_on_all = ports.live.iter().any(|live| live.addresses.is_empty());
    if listens_on_all {
        return Ok(None);
    }
    let session = case.instance()?.own_session.as_ref().map_err(Clone::clone)?;
    if !session.is_on_host() {
        return Err(Gap::not_applicable("the exporter is not on the instance's host"));
    }
    let own = case.machine()?.addresses.as_ref().map_err(Clone::clone)?;
    let name = &case.names()?.primary;
    let Forward::Found { addresses, .. } = case.forward(name)? else { return Ok(None) };
    let silent: Vec<String> = addresses
        .iter()
        .filter(|address| own.contains(address) && !bound.contains(address))
        .map(ToString::to_string)
        .collect();
    if silent.is_empty() {
        return Ok(None);
    }
    let text = format!("resolves to {}, where SQL Server does not listen", silent.join(", "));
    let change = Change::Dns(format!("remove {} from the records of {name}", silent.join(", ")));
    Ok(Some(Subject::new(name.as_str(), text).then(change)))
}

#[cfg(test)]
mod tests {
    use crate::samples::{Bench, FQDN, Seen};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let bound = |address: &'static str| Bench::new().with(move |bench| bench.listen_on(address, 1433));
        assert_eq!(judge(bound("10.77.0.99")), Seen::applies(&[FQDN]));
        assert_eq!(judge(bound("10.77.0.11")), Seen::clear());
        assert_eq!(judge(Bench::new()), Seen::clear());
        assert_eq!(judge(bound("10.77.0.99").with(|bench| bench.dns = None)), Seen::unknown());
        let remote = bound("10.77.0.99").with(|bench| {
            bench.instance.own_session.as_mut().unwrap().client_address = Some("10.77.9.9".parse().unwrap());
        });
        assert_eq!(judge(remote), Seen::not_applicable());
        assert_eq!(judge(bound("10.77.0.99").workgroup()), Seen::not_applicable());
    }
}
