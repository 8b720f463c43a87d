//! `hosts_file_override`: a line of this machine's hosts file changes an answer that matters here.

use std::net::IpAddr;

use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;
use crate::model::dns::{Forward, Reverse};
use crate::model::machine::HostsLine;
use crate::model::observed::Known;

pub(super) const RULE: Rule = Rule {
    name: "hosts_file_override",
    severity: Severity::Info,
    escalates: false,
    scope: Scope::Domain,
    meaning: "A line of this machine's hosts file says something else than DNS about a name or address of this \
              instance: programs on this machine form other SPNs than clients elsewhere.",
    seen: "The hosts file of the exporter's machine against the answers of DNS. Loopback lines do not count.",
    repair: "Remove the line, unless it is there on purpose.",
    source: "https://learn.microsoft.com/troubleshoot/sql/database-engine/connect/cannot-generate-sspi-context-error",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    let lines = case.machine().and_then(|machine| machine.hosts_file.as_deref().map_err(Clone::clone));
    Judged::each(lines, "the hosts file has no line", |line| judge(case, line))
}

fn judge(case: &Case<'_>, line: &HostsLine) -> Known<Option<Subject>> {
    // Every machine maps its own names to loopback for its own use.
    if line.address.is_loopback() {
        return Ok(None);
    }
    let names = case.names()?;
    let ours = |name: &crate::model::host::HostName| *name == names.primary || names.own.contains(name);
    let facts = case.dns()?;
    for name in line.names.iter().filter(|name| ours(name)) {
        let answers: &[IpAddr] = match case.forward(name)? {
            Forward::Found { addresses, .. } => addresses,
            Forward::NoSuchName { .. } | Forward::NoAddress | Forward::Failed(_) => &[],
        };
        if !answers.contains(&line.address) {
            return Ok(Some(subject(line, &format!("{name} is {} there and not in DNS", line.address))));
        }
    }
    let is_our_address = matches!(
        facts.names.get(&names.primary),
        Some(Forward::Found { addresses, .. }) if addresses.contains(&line.address)
    );
    if is_our_address
        && let (Some(first), Some(Reverse::Found(found))) =
            (line.names.first(), facts.addresses.get(&line.address))
        && first.is_qualified()
        && !found.contains(first)
    {
        return Ok(Some(subject(line, &format!("{} is {first} there and not in DNS", line.address))));
    }
    Ok(None)
}

fn subject(line: &HostsLine, what: &str) -> Subject {
    let names: Vec<&str> = line.names.iter().map(|name| name.as_str()).collect();
    let text = format!("hosts file, line {}: {} {}", line.line, line.address, names.join(" "));
    let advice = format!("remove line {} of the hosts file, unless it is there on purpose", line.line);
    Subject::new(format!("line {}", line.line), what).line(text).then(Change::Advice(advice))
}

#[cfg(test)]
mod tests {
    use super::Forward;
    use crate::samples::{Bench, FQDN, Seen};

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
    }
}
