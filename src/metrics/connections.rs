//! Connections by authentication scheme, transport and origin; new ones; those on NTLM by likely cause.

use std::collections::BTreeMap;

use crate::findings::ntlm::Cause;
use crate::model::connections::{AuthScheme, Connections, Origin, Transport};
use crate::model::evidence::Probe;

use super::{Family, Kind, Rows, Source, View};

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "connections",
        kind: Kind::Gauge,
        labels: &["auth_scheme", "net_transport", "origin"],
        help: "Open connections (sys.dm_exec_connections); the exporter's own is left out. Cached.",
        cap: 36,
        source: Source::Instance(open),
    },
    Family {
        name: "connection_ratio",
        kind: Kind::Gauge,
        labels: &[],
        help: "Kerberos share of remote Kerberos and NTLM connections; no sample when there are none. Cached.",
        cap: 1,
        source: Source::Instance(|view, rows| {
            if let Some(ratio) = facts(view).and_then(Connections::kerberos_ratio) {
                rows.add([], ratio);
            }
        }),
    },
    Family {
        name: "connections_opened_total",
        kind: Kind::Counter,
        labels: &["auth_scheme", "origin"],
        help: "New connections seen by connect_time; those shorter than a refresh are missed.",
        cap: 12,
        source: Source::Instance(|view, rows| {
            let opened = last(view).map(|connections| &connections.opened);
            for scheme in AuthScheme::ALL {
                for origin in Origin::ALL {
                    let n = opened.and_then(|opened| opened.get(&(scheme, origin))).copied();
                    rows.add([scheme.name(), origin.name()], n.unwrap_or_default() as f64);
                }
            }
        }),
    },
    Family {
        name: "connections_opened_gaps_total",
        kind: Kind::Counter,
        labels: &[],
        help: "How often counting new connections started over because the server's clock went back.",
        cap: 1,
        source: Source::Instance(|view, rows| {
            rows.add([], last(view).map_or(0, |connections| connections.opened_gaps) as f64);
        }),
    },
    Family {
        name: "ntlm_connections",
        kind: Kind::Gauge,
        labels: &["cause"],
        help: "Remote NTLM connections by likely cause, those of connections.ignore left out. Cached.",
        cap: 8,
        source: Source::Instance(|view, rows| {
            if let (Ok(tally), true) = (&view.instance.ntlm, view.instance.picture.scope.is_ok()) {
                for cause in Cause::ALL {
                    let n = tally.by_cause.get(&cause).copied().unwrap_or_default();
                    rows.add([cause.name()], n as f64);
                }
            }
        }),
    },
    Family {
        name: "ntlm_clients",
        kind: Kind::Gauge,
        labels: &[],
        help: "Distinct remote addresses on NTLM; all named pipes are one, a proxy or NAT is one. Cached.",
        cap: 1,
        source: Source::Instance(|view, rows| {
            if let Ok(Some(clients)) = view.instance.ntlm.as_ref().map(|tally| tally.clients) {
                rows.add([], clients as f64);
            }
        }),
    },
    Family {
        name: "ntlm_client_connections",
        kind: Kind::Gauge,
        labels: &["client", "program"],
        help: "Remote NTLM connections of the clients with most of them (connections.ntlm_clients). Cached.",
        cap: 100,
        source: Source::Instance(|view, rows| {
            for ((client, program), n) in top(view).0 {
                rows.add([&client, &program], n as f64);
            }
        }),
    },
    Family {
        name: "ntlm_clients_truncated",
        kind: Kind::Gauge,
        labels: &[],
        help: "Clients that ntlm_client_connections leaves out. Cached.",
        cap: 1,
        source: Source::Instance(|view, rows| {
            if let (_, Some(left_out)) = top(view) {
                rows.add([], left_out as f64);
            }
        }),
    },
];

fn facts<'a>(view: &View<'a>) -> Option<&'a Connections> {
    let slots = view.assessment.evidence.instances.get(view.index)?;
    slots.connections.answer(Probe::Connections, view.assessment.at).ok().map(|good| &good.facts)
}

/// The last good look, however old: a counter does not vanish while the peer is away.
fn last<'a>(view: &View<'a>) -> Option<&'a Connections> {
    let slots = view.assessment.evidence.instances.get(view.index)?;
    slots.connections.good.as_ref().map(|good| &good.facts)
}

fn open(view: &View<'_>, rows: &mut Rows) {
    let Some(connections) = facts(view) else { return };
    for scheme in AuthScheme::ALL {
        for transport in Transport::ALL {
            for origin in Origin::ALL {
                // Shared memory is only ever local.
                let key = (scheme, transport, origin);
                let n = connections.open.get(&key).copied();
                if transport == Transport::SharedMemory && origin != Origin::Local && n.is_none() {
                    continue;
                }
                let labels = [scheme.name(), transport.name(), origin.name()];
                rows.add(labels, n.unwrap_or_default() as f64);
            }
        }
    }
}

type Top = BTreeMap<(String, String), u64>;

/// The N clients with most connections on NTLM, and how many are left out; nothing unless asked for.
fn top(view: &View<'_>) -> (Top, Option<usize>) {
    let most = view.assessment.settings.ntlm_clients;
    let Some(Ok(clients)) = facts(view).map(|connections| &connections.ntlm_clients) else {
        return (Top::new(), None);
    };
    if most == 0 {
        return (Top::new(), None);
    }
    let mut sums = Top::new();
    for client in clients {
        let address = client.address.map_or_else(|| "named pipe".to_owned(), |address| address.to_string());
        *sums.entry((address, client.program.clone().unwrap_or_default())).or_default() += client.connections;
    }
    let mut rows: Vec<_> = sums.into_iter().collect();
    rows.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let left_out = rows.len().saturating_sub(most);
    rows.truncate(most);
    (rows.into_iter().collect(), Some(left_out))
}
