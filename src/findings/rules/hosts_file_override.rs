//! `hosts_file_override`: a line of this machine's hosts file changes an answer that matters here.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;
use crate::model::dns::{Forward, Reverse};
use crate::model::host::HostName;
use crate::model::machine::HostsLine;
use crate::model::observed::Known;

pub(super) const RULE: Rule = Rule {
    name: "hosts_file_override",
    severity: Severity::Info,
    escalates: false,
    scope: Scope::Domain,
    meaning: "A line of this machine's hosts file contradicts DNS about a name or address of this instance (its \
              aliases, listeners and routing hosts included): programs on this machine form other SPNs than clients \
              elsewhere do.",
    seen: "The hosts file of the exporter's machine against the answers of DNS. Loopback lines do not count.",
    repair: "Remove the line, unless it is there on purpose.",
    source: "https://learn.microsoft.com/troubleshoot/sql/database-engine/connect/cannot-generate-sspi-context-error",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    let lines = case.machine().and_then(|machine| machine.hosts_file.as_deref().map_err(Clone::clone));
    let ours = ours(case);
    Judged::each(lines, "the hosts file has no line", |line| {
        // Every machine maps its own names to loopback for its own use.
        if line.address.is_loopback() {
            return Ok(None);
        }
        judge(case, ours.as_ref().map_err(Clone::clone)?, line)
    })
}

/// Every name whose answer matters here: those that clients ask SPNs for, and the one this exporter itself connects to.
fn ours(case: &Case<'_>) -> Known<BTreeSet<HostName>> {
    let names = case.names()?;
    let mut ours: BTreeSet<HostName> = names.own.clone();
    ours.insert(names.primary.clone());
    // What the configuration says stands also where ports, and so SPNs, are not known.
    ours.extend(case.own.address_host.iter().cloned());
    ours.extend(case.own.aliases.iter().map(|alias| alias.host.clone()));
    ours.extend(case.spns().into_iter().flatten().filter_map(|judged| judged.expected.spn.host()));
    Ok(ours)
}

fn judge(case: &Case<'_>, ours: &BTreeSet<HostName>, line: &HostsLine) -> Known<Option<Subject>> {
    let facts = case.dns()?;
    for name in line.names.iter().filter(|name| ours.contains(name)) {
        // Which domain a short name ends in is each client's own matter: DNS has no answer to compare with.
        if !name.is_qualified() && !facts.names.contains_key(name) {
            continue;
        }
        let answers: &[IpAddr] = match case.forward(name)? {
            Forward::Found { addresses, .. } => addresses,
            Forward::NoSuchName { .. } | Forward::NoAddress | Forward::Failed(_) => &[],
        };
        if !answers.contains(&line.address) {
            return Ok(Some(subject(line, &format!("{name} is {} there and not in DNS", line.address))));
        }
    }
    if is_our_address(case, ours, line.address)
        && let (Some(first), Some(Reverse::Found(found))) =
            (line.names.first(), facts.addresses.get(&line.address))
        && first.is_qualified()
        && !found.contains(first)
    {
        return Ok(Some(subject(line, &format!("{} is {first} there and not in DNS", line.address))));
    }
    Ok(None)
}

/// Whether one of our names leads to this address, or the instance itself listens on it.
fn is_our_address(case: &Case<'_>, ours: &BTreeSet<HostName>, address: IpAddr) -> bool {
    let is_answer = ours.iter().any(|name| {
        matches!(case.forward(name), Ok(Forward::Found { addresses, .. }) if addresses.contains(&address))
    });
    let is_bound = case.ports().is_ok_and(|ports| {
        ports.live.iter().any(|live| live.addresses.contains(&address))
            || ports.listener_rows.iter().any(|(bound, _)| *bound == address)
    });
    let is_local = case
        .instance()
        .is_ok_and(|instance| instance.local_addresses.iter().flatten().any(|local| *local == address));
    is_answer || is_bound || is_local
}

fn subject(line: &HostsLine, what: &str) -> Subject {
    let names: Vec<&str> = line.names.iter().map(|name| name.as_str()).collect();
    let text = format!("hosts file, line {}: {} {}", line.line, line.address, names.join(" "));
    let advice = format!("remove line {} of the hosts file, unless it is there on purpose", line.line);
    Subject::new(format!("line {}", line.line), what).line(text).then(Change::Advice(advice))
}

#[cfg(test)]
mod tests {
    use super::{Forward, Reverse};
    use crate::samples::{Bench, FQDN, Seen, host};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let line = |address: &'static str, name: &'static str| {
            Bench::new().with(move |bench| bench.hosts_line(address, &[name]))
        };
        assert_eq!(judge(line("10.9.9.9", FQDN)), Seen::applies(&["line 1"]));
        assert_eq!(judge(line("10.77.0.11", "other.corp.contoso.com")), Seen::applies(&["line 1"]));
        assert_eq!(judge(line("10.77.0.11", FQDN)), Seen::clear());
        assert_eq!(judge(line("10.9.9.9", "unrelated.example")), Seen::clear());
        assert_eq!(judge(line("127.0.1.1", FQDN)), Seen::clear());
        assert_eq!(judge(line("10.9.9.9", FQDN).with(|bench| bench.dns = None)), Seen::unknown());
        // The second line names another own name, whose look-up failed.
        let two = line("10.9.9.9", FQDN).with(|bench| {
            bench.additional_name("sales.corp.contoso.com");
            bench.hosts_line("10.9.9.9", &["sales.corp.contoso.com"]);
            bench.forward("sales.corp.contoso.com", Forward::Failed("timed out".into()));
        });
        assert_eq!(judge(two), Seen::applies(&["line 1"]).and_unknown());
        assert_eq!(judge(Bench::new()), Seen::not_applicable());
        assert_eq!(judge(line("10.9.9.9", FQDN).workgroup()), Seen::not_applicable());
    }

    /// Each name that clients use, and the one that the exporter connects to.
    #[test]
    fn every_name_that_leads_here_counts() {
        let at = |name: &'static str, change: fn(Bench) -> Bench| {
            let elsewhere = Forward::Found { addresses: vec!["10.77.0.50".parse().unwrap()], chain: vec![] };
            change(Bench::new()).with(|bench| {
                bench.hosts_line("10.9.9.9", &[name]);
                bench.forward(name, elsewhere);
            })
        };
        let unrelated: fn(Bench) -> Bench = |bench| bench;
        for (name, change) in [
            (
                "sales.corp.contoso.com",
                (|bench| bench.alias("sales.corp.contoso.com", None)) as fn(Bench) -> Bench,
            ),
            ("aglistener.corp.contoso.com", |bench| bench.listener("aglistener", Some(1433))),
            ("replica.corp.contoso.com", |bench| bench.routing_url("tcp://replica.corp.contoso.com:1433")),
            ("db.example", |bench| {
                bench.with(|bench| bench.settings.instances[0].address_host = Some(host("db.example")))
            }),
        ] {
            let judge = |bench: Bench| bench.judge(&super::RULE);
            assert_eq!(judge(at(name, change)), Seen::applies(&["line 1"]), "{name}");
            assert_eq!(judge(at(name, unrelated)), Seen::clear(), "{name}");
            let unasked = change(Bench::new()).with(|bench| bench.hosts_line("10.9.9.9", &[name]));
            assert_eq!(judge(unasked), Seen::unknown(), "{name}");
        }
    }

    #[test]
    fn an_address_counts_if_the_instance_listens_on_it() {
        let named = |address: &'static str| {
            Bench::new().with(move |bench| {
                bench.listen_on("10.77.0.12", 1433);
                bench.hosts_line(address, &["other.corp.contoso.com"]);
                bench.reverse(address, Reverse::Found(vec![host("heartbeat.corp.contoso.com")]));
            })
        };
        assert_eq!(named("10.77.0.12").judge(&super::RULE), Seen::applies(&["line 1"]));
        assert_eq!(named("10.77.0.13").judge(&super::RULE), Seen::clear());
    }
}
