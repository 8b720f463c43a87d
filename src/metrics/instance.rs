//! The instance: who it is, its ports and listeners, its availability groups.

use crate::model::evidence::Probe;
use crate::model::instance::{Instance, Platform};
use crate::model::observed::Known;

use super::{Family, Kind, Rows, Source, View};

pub(super) const FAMILIES: &[Family] = &[
    Family {
        name: "instance_info",
        kind: Kind::Info,
        labels: &["server_name", "fqdn", "version", "edition", "platform", "service_account", "account_kind"],
        help: "The instance as it describes itself (SERVERPROPERTY, sys.dm_server_services). Cached.",
        cap: 1,
        source: Source::Instance(info),
    },
    Family {
        // A session ends on the active node whoever asks: that this one is passive is the host's word.
        name: "instance_active",
        kind: Kind::Gauge,
        labels: &[],
        help: "1 while the instance answers, 0 on a node of its failover cluster where it is stopped (Windows). Cached.",
        cap: 1,
        source: Source::Instance(|view, rows| {
            let slots = view.assessment.evidence.instances.get(view.index);
            if slots.is_some_and(|slots| slots.standby().is_some()) {
                rows.add([], 0.0);
            } else if facts(view).is_ok() {
                rows.add([], 1.0);
            }
        }),
    },
    Family {
        name: "service_start_timestamp_seconds",
        kind: Kind::Gauge,
        labels: &[],
        help: "Start of the SQL Server service, Unix time (sys.dm_os_sys_info). Cached.",
        cap: 1,
        source: Source::Instance(|view, rows| {
            if let Ok(started) = facts(view).and_then(|instance| instance.started.clone()) {
                rows.add([], started);
            }
        }),
    },
    Family {
        name: "tcp_enabled",
        kind: Kind::Gauge,
        labels: &[],
        help: "Whether the TCP/IP protocol is enabled (sys.dm_server_registry; always 1 on Linux). Cached.",
        cap: 1,
        source: Source::Instance(|view, rows| {
            let Ok(instance) = facts(view) else { return };
            let enabled = match (&instance.platform, &instance.registry) {
                // There is no switch (JUDGEMENT 18).
                (Ok(Platform::Linux), _) => Some(true),
                (_, Ok(registry)) => registry.tcp_enabled,
                (_, Err(_)) => None,
            };
            if let Some(enabled) = enabled {
                rows.add([], f64::from(u8::from(enabled)));
            }
        }),
    },
    Family {
        name: "restart_pending",
        kind: Kind::Gauge,
        labels: &[],
        help: "Whether the configured static ports differ from the live ones. Cached.",
        cap: 1,
        source: Source::Instance(|view, rows| super::findings::applies(view, "restart_pending", rows)),
    },
    Family {
        name: "dynamic_port",
        kind: Kind::Gauge,
        labels: &[],
        help: "Whether a live port is one the instance chose itself (registry and live listeners). Cached.",
        cap: 1,
        source: Source::Instance(|view, rows| {
            let Ok(ports) = &view.instance.picture.ports else { return };
            let dynamic: Known<Vec<bool>> = ports.live.iter().map(|live| live.is_dynamic.clone()).collect();
            if let Ok(dynamic) = dynamic {
                rows.add([], f64::from(u8::from(dynamic.contains(&true))));
            }
        }),
    },
    Family {
        name: "listener_info",
        kind: Kind::Info,
        labels: &["address", "port", "kind"],
        help: "TCP ports the instance listens on; those whose kind the registry does not show are left out. Cached.",
        cap: 32,
        source: Source::Instance(listeners),
    },
    Family {
        name: "ag_role",
        kind: Kind::Gauge,
        labels: &["ag", "role"],
        help: "This replica's role in each availability group, as a state set. Cached.",
        cap: 128,
        source: Source::Instance(roles),
    },
    Family {
        name: "sqlserver_clock_skew_seconds",
        kind: Kind::Gauge,
        labels: &[],
        help: "SQL Server's clock minus ours, UTC on both sides (SYSUTCDATETIME). Cached.",
        cap: 1,
        source: Source::Instance(|view, rows| {
            if let Ok(clock) = facts(view).and_then(|instance| instance.clock.clone()) {
                rows.add([], clock.peer - clock.ours);
            }
        }),
    },
];

fn facts<'a>(view: &View<'a>) -> Known<&'a Instance> {
    let no_such = || crate::model::observed::Gap::not_applicable("no such instance");
    let slots = view.assessment.evidence.instances.get(view.index).ok_or_else(no_such)?;
    slots.sqlserver.answer(Probe::SqlServer, view.assessment.at).map(|good| &good.facts)
}

fn info(view: &View<'_>, rows: &mut Rows) {
    let Ok(instance) = facts(view) else { return };
    let picture = &view.instance.picture;
    let properties = &instance.properties;
    let fqdn = picture.names.as_ref().map(|names| names.primary.as_str()).unwrap_or_default();
    let platform = instance.platform.as_ref().map_or("unknown", |platform| platform.name());
    let (account, kind) = match &picture.account {
        Ok(account) => (account.shown.as_str(), account.identity.kind()),
        Err(_) => ("", "unknown"),
    };
    let holder = picture.holder.as_ref().ok();
    let kind = match holder.map(|holder| holder.class) {
        Some(class) if kind == "domain" => class.name(),
        Some(_) | None => kind,
    };
    let account = match (view.assessment.settings.account_label, holder) {
        (crate::model::settings::AccountLabel::Name, _) => account.to_owned(),
        (label, Some(holder)) => super::spns::account_label(label, holder),
        (_, None) => String::new(),
    };
    let name = &properties.server_name;
    rows.add([name, fqdn, &properties.version, &properties.edition, platform, &account, kind], 1.0);
}

fn listeners(view: &View<'_>, rows: &mut Rows) {
    let Ok(ports) = &view.instance.picture.ports else { return };
    for live in &ports.live {
        // Where the configuration cannot be read the kind is not known, and no sample says one.
        let kind = match live.is_dynamic {
            Ok(true) => "dynamic",
            Ok(false) => "static",
            Err(_) => continue,
        };
        let port = live.port.to_string();
        if live.addresses.is_empty() {
            rows.add(["any", &port, kind], 1.0);
        }
        for address in &live.addresses {
            rows.add([&address.to_string(), &port, kind], 1.0);
        }
    }
    if let Some(port) = ports.admin {
        rows.add(["any", &port.to_string(), "dac"], 1.0);
    }
    for (address, port) in &ports.listener_rows {
        rows.add([&address.to_string(), &port.to_string(), "ag_listener"], 1.0);
    }
}

fn roles(view: &View<'_>, rows: &mut Rows) {
    let Ok(instance) = facts(view) else { return };
    let Ok(availability) = &instance.availability else { return };
    for group in &availability.groups {
        let role = match group.role.as_deref().map(str::to_uppercase).as_deref() {
            Some("PRIMARY") => "primary",
            Some("SECONDARY") => "secondary",
            Some("RESOLVING") => "resolving",
            Some(_) | None => "unknown",
        };
        rows.state_set([&group.name], &["primary", "secondary", "resolving", "unknown"], role);
    }
}
