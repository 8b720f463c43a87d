//! Tables for ports: the instance's own, the DAC's, those of listeners; static or dynamic (JUDGEMENT 4).

use super::*;
use crate::model::instance::GroupListener;
use crate::samples;

fn row(address: &str, port: u16) -> Listener {
    Listener { address: Some(address.parse().unwrap()), port, purpose: Purpose::Tsql, is_online: true }
}

fn listener(port: u16, is_distributed_network_name: bool) -> GroupListener {
    let online = (!is_distributed_network_name).then(|| "10.77.0.50".parse().unwrap());
    GroupListener {
        group: "AG1".into(),
        dns_name: "list".into(),
        port: Some(port),
        is_distributed_network_name,
        online_addresses: online.into_iter().collect(),
    }
}

#[test]
fn the_dac_mirroring_and_offline_rows_do_not_count() {
    let mut instance = samples::instance();
    let other = |purpose| Listener { purpose, ..row("0.0.0.0", 5022) };
    instance.listeners = Ok(vec![
        row("0.0.0.0", 1433),
        row("::", 1433),
        row("127.0.0.1", 1434),
        row("::1", 1434),
        other(Purpose::Mirroring),
        other(Purpose::ServiceBroker),
        other(Purpose::Other),
        Listener { is_online: false, ..row("0.0.0.0", 1999) },
    ]);
    let found = ports(&instance).unwrap();
    assert_eq!((found.numbers().collect::<Vec<_>>(), found.admin), (vec![1433], Some(1434)));
    // With `remote admin connections` the DAC listens on every address: only its port tells it.
    let Ok(registry) = &mut instance.registry else { panic!() };
    registry.admin_port = Some(51_000);
    instance.listeners = Ok(vec![row("0.0.0.0", 1433), row("0.0.0.0", 51_000)]);
    let found = ports(&instance).unwrap();
    assert_eq!((found.numbers().collect::<Vec<_>>(), found.admin), (vec![1433], Some(51_000)));
    // A named instance's DAC has any port, on loopback.
    let Ok(registry) = &mut instance.registry else { panic!() };
    registry.admin_port = None;
    instance.listeners = Ok(vec![row("0.0.0.0", 1433), row("127.0.0.1", 51_000)]);
    assert_eq!(ports(&instance).unwrap().admin, Some(51_000));
    // On Linux no registry tells it, and with `remote admin connections` it is not on loopback.
    let mut linux = samples::instance();
    (linux.platform, linux.registry) = (Ok(Platform::Linux), Err(Gap::not_applicable("Linux")));
    linux.listeners = Ok(vec![row("0.0.0.0", 1433), row("0.0.0.0", 1434), row("::", 1434)]);
    let found = ports(&linux).unwrap();
    assert_eq!((found.numbers().collect::<Vec<_>>(), found.admin), (vec![1433], Some(1434)));
    // An instance on 1434 is no DAC: it is alone there, or configured so.
    linux.listeners = Ok(vec![row("0.0.0.0", 1434)]);
    assert_eq!(ports(&linux).unwrap().numbers().collect::<Vec<_>>(), [1434]);
    let Ok(registry) = &mut instance.registry else { panic!() };
    registry.tcp_entries[0].static_ports = vec![1433, 1434];
    instance.listeners = Ok(vec![row("0.0.0.0", 1433), row("0.0.0.0", 1434)]);
    let found = ports(&instance).unwrap();
    assert_eq!((found.numbers().collect::<Vec<_>>(), found.admin), (vec![1433, 1434], None));
    // Nobody can look: the gap of the statement.
    instance.listeners = Err(Gap::no_permission("300"));
    assert_eq!(ports(&instance), Err(Gap::no_permission("300")));
}

#[test]
fn listener_rows_are_told_from_those_of_the_instance() {
    let split = |change: &dyn Fn(&mut Instance), rows: Vec<Listener>| {
        let mut instance = samples::instance();
        instance.properties.is_hadr_enabled = true;
        instance.listeners = Ok(rows);
        change(&mut instance);
        let found = ports(&instance).unwrap();
        let listeners: Vec<u16> = found.listener_rows.iter().map(|(_, port)| *port).collect();
        (found.numbers().collect::<Vec<_>>(), listeners)
    };
    let known = |instance: &mut Instance| {
        instance.availability.as_mut().unwrap().listeners = vec![listener(1450, false)];
    };
    let hidden = |instance: &mut Instance| instance.availability = Err(Gap::no_permission("hidden"));
    let everywhere = || vec![row("0.0.0.0", 1433), row("::", 1433), row("10.77.0.50", 1450)];
    assert_eq!(split(&known, everywhere()), (vec![1433], vec![1450]));
    // Without the right to see the groups, or just after a failover, it is no port of the instance either.
    assert_eq!(split(&hidden, everywhere()), (vec![1433], vec![1450]));
    assert_eq!(split(&|_| (), everywhere()), (vec![1433], vec![1450]));
    // Where there can be no listener it is an endpoint for T-SQL that somebody made, whose clients want the port's SPN.
    let without_groups = |instance: &mut Instance| instance.properties.is_hadr_enabled = false;
    assert_eq!(split(&without_groups, everywhere()), (vec![1433, 1450], vec![]));
    // An instance that listens on single addresses has rows of its own for them.
    let single = || vec![row("10.77.0.11", 1433), row("10.77.0.12", 1433), row("10.77.0.50", 1450)];
    assert_eq!(split(&known, single()), (vec![1433], vec![1450]));
    assert_eq!(split(&hidden, single()), (vec![1433, 1450], vec![]));
    // The DAC on every address says nothing of the instance.
    let with_dac = || vec![row("10.77.0.11", 1433), row("0.0.0.0", 1434)];
    assert_eq!(split(&|_| (), with_dac()), (vec![1433], vec![]));
    // A distributed network name listens on every address, on a port of its own.
    let network_name = |instance: &mut Instance| {
        instance.availability.as_mut().unwrap().listeners = vec![listener(6789, true)];
    };
    let rows = || vec![row("0.0.0.0", 1433), row("0.0.0.0", 6789), row("::", 6789)];
    assert_eq!(split(&network_name, rows()), (vec![1433], vec![6789, 6789]));
    // On the instance's own port it takes nothing away.
    let shared = |instance: &mut Instance| {
        instance.availability.as_mut().unwrap().listeners = vec![listener(1433, true)];
    };
    assert_eq!(split(&shared, vec![row("0.0.0.0", 1433)]), (vec![1433], vec![]));
}

#[test]
fn dynamic_or_static() {
    let entry = |name: &str, enabled, static_ports: &[u16], dynamic_port| TcpEntry {
        name: name.into(),
        enabled,
        address: None,
        static_ports: static_ports.to_vec(),
        dynamic_port,
    };
    for (what, listen_on_all, entries, live, expected) in [
        ("static", true, vec![entry("IPAll", None, &[1433], None)], 1433, false),
        (
            "dynamic under IPAll, as Express",
            true,
            vec![entry("IPAll", None, &[], Some(50_000))],
            50_000,
            true,
        ),
        (
            "a fresh named instance has 0 on every disabled IPn",
            true,
            vec![entry("IPAll", None, &[1500], None), entry("IP1", Some(false), &[], Some(0))],
            1500,
            false,
        ),
        (
            "both set: the static port is static",
            true,
            vec![entry("IPAll", None, &[2433], Some(49_974))],
            2433,
            false,
        ),
        (
            "both set: the other is dynamic",
            true,
            vec![entry("IPAll", None, &[2433], Some(49_974))],
            49_974,
            true,
        ),
        (
            "per address: IPAll does not count",
            false,
            vec![entry("IPAll", None, &[], Some(0)), entry("IP1", Some(true), &[1433], None)],
            1433,
            false,
        ),
        (
            "per address: dynamic",
            false,
            vec![entry("IPAll", None, &[1433], None), entry("IP1", Some(true), &[], Some(50_001))],
            50_001,
            true,
        ),
    ] {
        let mut instance = samples::instance();
        let Ok(registry) = &mut instance.registry else { panic!() };
        (registry.listen_on_all, registry.tcp_entries) = (Some(listen_on_all), entries);
        instance.listeners = Ok(vec![row("0.0.0.0", live)]);
        assert_eq!(ports(&instance).unwrap().live[0].is_dynamic, Ok(expected), "{what}");
    }
    let mut linux = samples::instance();
    (linux.platform, linux.registry) = (Ok(Platform::Linux), Err(Gap::not_applicable("Linux")));
    assert_eq!(ports(&linux).unwrap().live[0].is_dynamic, Ok(false));
}
