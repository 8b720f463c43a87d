//! DNS: forward addresses, what their PTR records say, how long look-ups took.

use std::collections::BTreeSet;

use crate::model::dns::{DnsFacts, Forward, Reverse};
use crate::model::evidence::Probe;
use crate::model::host::HostName;

use super::{Family, Kind, Rows, Source, View};

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "dns_forward_addresses",
        kind: Kind::Gauge,
        labels: &["name"],
        help: "Addresses that the name resolves to (A and AAAA); 0 for no such name or no address. Cached.",
        cap: 32,
        source: Source::Instance(|view, rows| {
            each(view, |_, name, forward| match forward {
                Forward::Found { addresses, .. } => rows.add([name.as_str()], addresses.len() as f64),
                Forward::NoSuchName { .. } | Forward::NoAddress => rows.add([name.as_str()], 0.0),
                Forward::Failed(_) => {}
            });
        }),
    },
    Family {
        name: "dns_reverse_status",
        kind: Kind::Gauge,
        labels: &["name", "address", "status"],
        help: "Whether the PTR of each address of the name gives the name back, as a state set. Cached.",
        cap: 64,
        source: Source::Instance(reverse),
    },
    Family {
        name: "dns_lookup_duration_seconds",
        kind: Kind::Gauge,
        labels: &["record"],
        help: "Slowest look-up of the latest refresh by record type. Cached.",
        cap: 8,
        source: Source::Instance(|view, rows| {
            if let Some(facts) = facts(view) {
                for (record, seconds) in &facts.durations {
                    rows.add([record], *seconds);
                }
            }
        }),
    },
];

fn facts<'a>(view: &View<'a>) -> Option<&'a DnsFacts> {
    let assessment = view.assessment;
    assessment.evidence.dns.answer(Probe::Dns, assessment.at).ok().map(|good| &good.facts)
}

/// The names of this instance: those of its expected SPNs.
fn each(view: &View<'_>, mut row: impl FnMut(&DnsFacts, &HostName, &Forward)) {
    let Some(facts) = facts(view) else { return };
    let picture = &view.instance.picture;
    let mut names: BTreeSet<HostName> =
        picture.spns.iter().flatten().filter_map(|spn| spn.expected.spn.host()).collect();
    names.extend(picture.names.iter().map(|names| names.primary.clone()));
    for name in &names {
        if let Some(forward) = facts.names.get(name) {
            row(facts, name, forward);
        }
    }
}

fn reverse(view: &View<'_>, rows: &mut Rows) {
    each(view, |facts, name, forward| {
        let Forward::Found { addresses, chain } = forward else { return };
        for address in addresses {
            let status = match facts.addresses.get(address) {
                Some(Reverse::Found(names)) if names.iter().any(|n| n == name || chain.contains(n)) => {
                    "match"
                }
                Some(Reverse::Found(_)) => "mismatch",
                Some(Reverse::Missing) => "missing",
                Some(Reverse::Failed(_)) | None => "unknown",
            };
            let labels = [name.as_str(), &address.to_string()];
            rows.state_set(labels, &["match", "missing", "mismatch", "unknown"], status);
        }
    });
}
