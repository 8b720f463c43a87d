//! `reverse_dns_mismatch`: every PTR of the name's addresses gives a foreign name. Clients that canonicalise by PTR ask for
//! another server's SPN.

use std::net::IpAddr;

use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;
use crate::model::dns::{Forward, Reverse};
use crate::model::observed::{Gap, Known};

pub(super) const RULE: Rule = Rule {
    name: "reverse_dns_mismatch",
    severity: Severity::Warning,
    escalates: false,
    scope: Scope::Domain,
    meaning: "The PTR records of this name's addresses all give other names: clients that canonicalise by PTR (Linux and \
              MIT Kerberos with rdns = true, older Windows drivers) ask for another server's SPN.",
    seen: "PTR of each address that the forward look-up of the primary name gives.",
    repair: "Correct the PTR records.",
    source: "https://learn.microsoft.com/troubleshoot/sql/database-engine/connect/cannot-generate-sspi-context-error",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    Judged::one(judge(case, |seen| seen.foreign > 0 && seen.ours == 0 && seen.missing == 0))
}

/// The PTRs of the primary name's addresses, counted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    pub(super) ours: usize,
    pub(super) foreign: usize,
    pub(super) missing: usize,
}

/// A subject for the primary name if what its PTRs say is what the caller wants.
pub(super) fn judge(case: &Case<'_>, wanted: impl Fn(Seen) -> bool) -> Known<Option<Subject>> {
    let names = case.names()?;
    let name = &names.primary;
    let Forward::Found { addresses, chain } = case.forward(name)? else {
        return Err(Gap::not_applicable(format!("{name} has no address")));
    };
    let facts = case.dns()?;
    let (mut seen, mut lines) = (Seen::default(), Vec::new());
    for address in addresses {
        match facts.addresses.get(address) {
            None => return Err(Gap::peer_failed(format!("the PTR of {address} has not been looked up"))),
            Some(Reverse::Failed(why)) => {
                return Err(Gap::peer_failed(format!("look-up of the PTR of {address} failed: {why}")));
            }
            Some(Reverse::Missing) => {
                seen.missing += 1;
                lines.push(format!("{address} has no PTR"));
            }
            Some(Reverse::Found(found)) => {
                let is_ours =
                    found.iter().any(|ptr| ptr == name || chain.contains(ptr) || names.own.contains(ptr));
                let list: Vec<&str> = found.iter().map(|ptr| ptr.as_str()).collect();
                lines.push(format!("PTR of {address} is {}", list.join(", ")));
                // One address with our name and a foreign one answers either, as the resolver pleases.
                if is_ours {
                    seen.ours += 1;
                }
                if !is_ours || found.len() > 1 {
                    seen.foreign += usize::from(found.iter().any(|ptr| ptr != name && !chain.contains(ptr)));
                }
            }
        }
    }
    if !wanted(seen) {
        return Ok(None);
    }
    let mut subject = Subject::new(name.as_str(), format!("{} addresses", addresses.len()));
    for line in lines {
        subject = subject.line(line);
    }
    Ok(Some(subject.then(Change::Dns(advice(name.as_str(), addresses)))))
}

fn advice(name: &str, addresses: &[IpAddr]) -> String {
    let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    format!("let the PTR of {} give {name}", list.join(", "))
}

#[cfg(test)]
mod tests {
    use crate::model::dns::Reverse;
    use crate::samples::{Bench, FQDN, Seen, host};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let ptr = |reverse: Reverse| Bench::new().with(|bench| bench.reverse("10.77.0.11", reverse));
        assert_eq!(judge(ptr(Reverse::Found(vec![host("other.corp.contoso.com")]))), Seen::applies(&[FQDN]));
        assert_eq!(judge(Bench::new()), Seen::clear());
        assert_eq!(judge(ptr(Reverse::Missing)), Seen::clear());
        assert_eq!(judge(ptr(Reverse::Failed("timeout".into()))), Seen::unknown());
        assert_eq!(judge(Bench::new().with(|bench| bench.dns = None)), Seen::unknown());
        assert_eq!(judge(ptr(Reverse::Found(vec![host("x.y")])).workgroup()), Seen::not_applicable());
    }
}
