//! Rows as literals against the facts they give, hostile ones included.

use super::super::queries::{self, Statement};
use super::*;
use crate::model::connections::{AuthScheme, Origin, Transport};
use crate::model::instance::{Group, GroupListener, Registry, TcpEntry};

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

fn int(value: i64) -> Value {
    Value::Int(value)
}

fn row(statement: &'static Statement, values: Vec<Value>) -> Row {
    Row::new(statement, values).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A default instance of 2022 on Windows with everything granted.
fn properties() -> Vec<Value> {
    vec![
        text("SQL01"),
        text("SQL01"),
        text("SQL-OLD"),
        Value::Null,
        text("SQL01"),
        text("16.0.4135.4"),
        text("Enterprise Edition (64-bit)"),
        int(3),
        int(0),
        int(1),
        text("\\"),
        text("CORP"),
        text("monitor"),
        Value::Float(UNIX_EPOCH_DAYS + 1.5),
        int(0),
        int(1),
        int(1),
        int(0),
        Value::Null,
        int(0),
    ]
}

#[test]
fn properties_tell_names_version_and_rights() {
    let identity = identity(&[row(&queries::PROPERTIES, properties())]).unwrap();
    assert_eq!(
        (identity.build, identity.platform, identity.utc_now),
        (4135, Some(Platform::Windows), 129_600.0)
    );
    let found = identity.properties;
    assert_eq!(
        (found.major, found.engine_edition, found.is_clustered, found.is_hadr_enabled),
        (16, 3, false, true)
    );
    assert_eq!((found.at_at_servername.as_deref(), found.instance_name.as_deref()), (Some("SQL-OLD"), None));
    let held: Vec<_> = found.permissions.into_iter().collect();
    assert_eq!(
        held,
        [
            ("EXECUTE ON xp_readerrorlog", false),
            ("VIEW ANY DEFINITION", false),
            ("VIEW SERVER PERFORMANCE STATE", true),
            ("VIEW SERVER SECURITY STATE", true),
            ("VIEW SERVER STATE", false),
        ]
    );
}

#[test]
fn the_platform_follows_separator_and_version() {
    for (version, separator, expected) in [
        ("16.0.1.1", text("/"), Some(Platform::Linux)),
        ("14.0.1.1", text("\\"), Some(Platform::Windows)),
        ("13.0.5026.0", Value::Null, Some(Platform::Windows)),
        ("14.0.1.1", Value::Null, None),
    ] {
        let mut values = properties();
        values[5] = text(version);
        values[10] = separator;
        assert_eq!(identity(&[row(&queries::PROPERTIES, values)]).unwrap().platform, expected, "{version}");
    }
}

#[test]
fn a_database_in_the_cloud_has_no_machine_and_is_known_as_one() {
    let mut values = properties();
    (values[0], values[7]) = (Value::Null, int(5));
    let found = identity(&[row(&queries::PROPERTIES, values)]).unwrap().properties;
    assert_eq!((found.machine_name.as_str(), found.engine_edition), ("", 5));
}

#[test]
fn hostile_properties_are_undecodable() {
    assert!(identity(&[]).is_err());
    for (position, value) in [
        (0, Value::Null),
        (0, int(1)),
        (1, text(" ")),
        (5, text("")),
        (5, text("sixteen")),
        (5, text("16")),
        (5, text("99999999.0.1.1")),
        (5, text("-1.0.1.1")),
        (7, Value::Null),
        (7, int(i64::MAX)),
        (7, text("3")),
        (13, Value::Null),
        (13, Value::Float(f64::NAN)),
        (13, Value::Float(f64::INFINITY)),
        (14, Value::Bit(true)),
        (12, Value::Other("xml")),
    ] {
        let mut values = properties();
        values[position] = value.clone();
        assert!(identity(&[row(&queries::PROPERTIES, values)]).is_err(), "{position}: {value:?}");
    }
    assert!(Row::new(&queries::PROPERTIES, vec![]).is_err());
}

#[test]
fn uptime_is_utc_minus_ticks() {
    let of = |now, milliseconds| row(&queries::UPTIME, vec![now, milliseconds, Value::Float(46_000.5)]);
    let found = uptime(&[of(Value::Float(UNIX_EPOCH_DAYS + 1.0), int(86_399_500))]).unwrap();
    assert_eq!((found.started, found.started_local), (0.5, 46_000.5));
    assert!(uptime(&[of(Value::Float(1.0), int(-1))]).is_err());
    assert!(uptime(&[of(Value::Null, int(1))]).is_err());
    assert!(uptime(&[]).is_err());
}

#[test]
fn our_own_session() {
    let of = |client: Value, encrypted: &str| {
        let values = vec![text("NTLM"), text("TCP"), client, text("10.1.2.3"), text(encrypted)];
        own_session(&[row(&queries::OWN_SESSION, values)]).unwrap()
    };
    let local = of(text("::ffff:10.1.2.3"), "TRUE");
    assert!(local.encrypted && local.is_on_host());
    assert!(!of(text("10.1.2.4"), "FALSE").is_on_host());
    assert_eq!(of(text("<named pipe>"), "FALSE").client_address, None);
    assert!(own_session(&[]).is_err());
}

#[test]
fn addresses_are_canonical_and_listed_once() {
    let rows: Vec<_> = ["10.1.2.4", "::ffff:10.1.2.3", "10.1.2.3", "fe80::1%7", "<x>"]
        .iter()
        .map(|address| row(&queries::LOCAL_ADDRESSES, vec![text(address)]))
        .collect();
    assert_eq!(local_addresses(&rows), Ok(vec![ip("10.1.2.3"), ip("10.1.2.4"), ip("fe80::1")]));
    assert!(local_addresses(&[row(&queries::LOCAL_ADDRESSES, vec![int(1)])]).is_err());
}

#[test]
fn listener_rows() {
    let of = |address: Value, port: Value, kind: &str, state: &str| {
        listeners(&[row(&queries::LISTENERS, vec![address, port, text(kind), text(state)])])
    };
    let tsql = of(text("0.0.0.0"), int(1433), "TSQL", "ONLINE").unwrap();
    assert_eq!(
        tsql,
        [Listener { address: Some(ip("0.0.0.0")), port: 1433, purpose: Purpose::Tsql, is_online: true }]
    );
    assert!(!of(text("::"), int(1433), "TSQL", "PENDING_RESTART").unwrap()[0].is_online);
    for (kind, purpose) in [
        ("SERVICE_BROKER", Purpose::ServiceBroker),
        ("DATABASE_MIRRORING", Purpose::Mirroring),
        ("SOMETHING_NEW", Purpose::Other),
    ] {
        assert_eq!(of(text("::"), int(5022), kind, "ONLINE").unwrap()[0].purpose, purpose);
    }
    for port in [int(0), int(65_536), int(-1), Value::Null, text("1433")] {
        assert!(of(text("::"), port.clone(), "TSQL", "ONLINE").is_err(), "{port:?}");
    }
}

fn registry_rows(values: &[(&str, &str, Value)]) -> Result<Registry, Undecodable> {
    let root = r"HKLM\Software\Microsoft\Microsoft SQL Server\MSSQL16.PROD\MSSQLServer\SuperSocketNetLib";
    let rows: Vec<_> = values
        .iter()
        .map(|(path, name, value)| {
            row(&queries::REGISTRY, vec![text(&format!("{root}{path}")), text(name), value.clone()])
        })
        .collect();
    registry(&rows)
}

#[test]
fn the_registry_of_a_fresh_named_instance() {
    // TcpDynamicPorts is 0 on every disabled IPn (JUDGEMENT 4).
    let found = registry_rows(&[
        (r"\Tcp", "Enabled", text("1")),
        (r"\Tcp", "ListenOnAllIPs", text("1")),
        (r"\Tcp", "KeepAlive", text("30000")),
        (r"\Tcp\IP10", "Enabled", text("0")),
        (r"\Tcp\IP10", "TcpDynamicPorts", text("0")),
        (r"\Tcp\IP2", "IpAddress", text("fe80::1%7")),
        (r"\Tcp\IP2", "Active", text("1")),
        (r"\Tcp\IP2", "TcpPort", text("")),
        (r"\Tcp\IP2", "TcpDynamicPorts", text("")),
        (r"\Tcp\IPAll", "TcpPort", text("1433, 1500")),
        (r"\Tcp\IPAll", "TcpDynamicPorts", text("50123")),
        (r"\Np", "Enabled", text("0")),
        (r"\Sm", "Enabled", text("1")),
        (r"\AdminConnection\Tcp", "TcpDynamicPorts", text("1434")),
        ("", "ForceEncryption", text("0")),
    ])
    .unwrap();
    let expected = Registry {
        tcp_enabled: Some(true),
        listen_on_all: Some(true),
        tcp_entries: vec![
            TcpEntry {
                name: "IPAll".to_owned(),
                static_ports: vec![1433, 1500],
                dynamic_port: Some(50123),
                ..TcpEntry::default()
            },
            TcpEntry { name: "IP2".to_owned(), address: Some(ip("fe80::1")), ..TcpEntry::default() },
            TcpEntry {
                name: "IP10".to_owned(),
                enabled: Some(false),
                dynamic_port: Some(0),
                ..TcpEntry::default()
            },
        ],
        named_pipes_enabled: Some(false),
        admin_port: Some(1434),
    };
    assert_eq!(found, expected);
}

#[test]
fn registry_values_that_are_none() {
    assert_eq!(registry_rows(&[]), Ok(Registry::default()));
    let silent = registry_rows(&[
        (r"\Tcp", "Enabled", Value::Null),
        (r"\AdminConnection\Tcp", "TcpDynamicPorts", text("0")),
        (r"\Tcp\IPAll", "TcpPort", text("0")),
        (r"\Tcp\IPx", "TcpPort", text("1433")),
    ])
    .unwrap();
    assert_eq!((silent.tcp_enabled, silent.admin_port), (None, None));
    assert_eq!(silent.tcp_entries.len(), 1);
    assert!(silent.tcp_entries[0].static_ports.is_empty());
    for (path, name, value) in [
        (r"\Tcp", "Enabled", "2"),
        (r"\Tcp", "Enabled", "yes"),
        (r"\Tcp\IPAll", "TcpPort", "65536"),
        (r"\Tcp\IPAll", "TcpPort", "1433;1500"),
        (r"\Tcp\IPAll", "TcpDynamicPorts", "-1"),
    ] {
        assert!(registry_rows(&[(path, name, text(value))]).is_err(), "{path} {name} {value}");
    }
    assert!(registry_rows(&[(r"\Tcp", "Enabled", int(1))]).is_err());
}

#[test]
fn the_engine_is_found_among_the_services() {
    let of = |name: &str, account: Value, process: Value| {
        row(&queries::SERVICE, vec![text(name), account, text("N"), process])
    };
    let rows = [
        of("SQL Server Agent (PROD)", text("CORP\\agent"), int(1)),
        of("SQL Server (OTHER)", text("CORP\\other"), int(2)),
        of("SQL Server (PROD)", text("CORP\\svc_sql"), int(3)),
    ];
    let found = service(&rows, Some("PROD")).unwrap();
    assert_eq!(
        (found.account.as_deref(), found.process_id, found.is_clustered),
        (Some("CORP\\svc_sql"), Some(3), false)
    );
    // The view shows one instance's services; a differently spelled name is still its engine.
    assert_eq!(service(&rows[..2], Some("PROD")).unwrap().process_id, Some(2));
    assert_eq!(
        service(&[of("SQL Server (MSSQLSERVER)", Value::Null, Value::Null)], None).unwrap().account,
        None
    );
    assert!(service(&rows[..1], Some("PROD")).is_err());
    assert!(service(&[of("SQL Server (X)", int(1), int(1))], None).is_err());
    assert!(service(&[of("SQL Server (X)", Value::Null, int(i64::MAX))], None).is_err());
}

#[test]
fn availability_is_put_together() {
    let found = groups(&[
        row(&queries::AVAILABILITY_GROUPS, vec![text("AG1"), text("PRIMARY"), Value::Bit(false)]),
        row(&queries::AVAILABILITY_GROUPS, vec![text("DAG"), Value::Null, Value::Bit(true)]),
    ])
    .unwrap();
    let group = |name: &str, role: Option<&str>, is_distributed| Group {
        name: name.to_owned(),
        role: role.map(str::to_owned),
        is_distributed,
    };
    assert_eq!(found, [group("AG1", Some("PRIMARY"), false), group("DAG", None, true)]);
    let online = addresses(&[
        row(&queries::AVAILABILITY_ADDRESSES, vec![text("AG1"), text("AGL1"), text("10.1.2.9")]),
        row(&queries::AVAILABILITY_ADDRESSES, vec![text("AG1"), text("AGL2"), text("10.1.3.9")]),
        row(&queries::AVAILABILITY_ADDRESSES, vec![text("AG1"), Value::Null, text("10.1.3.9")]),
    ])
    .unwrap();
    let listener = |name: Value, port: Value| {
        let values = vec![text("ag1"), name, port, Value::Bit(false)];
        group_listeners(&[row(&queries::AVAILABILITY_LISTENERS, values)], &online)
    };
    let expected = GroupListener {
        group: "ag1".to_owned(),
        dns_name: "agl1".to_owned(),
        port: None,
        is_distributed_network_name: false,
        online_addresses: vec![ip("10.1.2.9")],
    };
    assert_eq!(listener(text("agl1"), Value::Null), Ok(vec![expected]));
    assert_eq!(listener(Value::Null, int(1433)), Ok(vec![]));
    assert!(listener(text("agl1"), int(70_000)).is_err());
    let urls = [
        row(&queries::ROUTING_URLS, vec![text("TCP://sql01.corp.contoso.com:1433"), Value::Null]),
        row(&queries::ROUTING_URLS, vec![text("TCP://sql01.corp.contoso.com:1433"), text("tcp://b:1")]),
    ];
    assert_eq!(routing_urls(&urls).unwrap(), ["TCP://sql01.corp.contoso.com:1433", "tcp://b:1"]);
    assert!(
        groups(&[row(&queries::AVAILABILITY_GROUPS, vec![Value::Null, Value::Null, Value::Bit(true)])])
            .is_err()
    );
    let endpoint = |port| endpoints(&[row(&queries::ENDPOINTS, vec![text("Hadr"), port, text("NEGOTIATE")])]);
    assert_eq!(endpoint(int(5022)).unwrap()[0].port, 5022);
    assert!(endpoint(int(0)).is_err());
}

fn counted(scheme: &str, transport: &str, origin: &str, open: i64, opened: i64) -> Row {
    // The newest of each was opened as many hours ago as there are.
    let newest = 46_000.25 - open as f64 / 24.0;
    let now = Value::Float(46_000.25);
    let values =
        vec![text(scheme), text(transport), text(origin), now, int(open), int(opened), Value::Float(newest)];
    row(&queries::CONNECTIONS, values)
}

#[test]
fn connections_are_counted_in_closed_sets() {
    let found = counts(&[
        counted("SQL", "TCP", "own", 1, 1),
        counted("KERBEROS", "TCP", "remote", 12, 3),
        counted("NTLM", "TCP", "remote", 2, 1),
        counted("NTLM", "Named pipe", "remote", 1, 1),
        counted("ntlm", "Shared memory", "local", 4, 0),
        counted("ENTRA", "TCP", "unknown", 5, 0),
        counted("NEGOTIATE", "VIA", "unknown", 1, 0),
    ])
    .unwrap();
    assert_eq!(found.now_local, Some(46_000.25));
    // The youngest over all transports.
    let age = found.newest[&(AuthScheme::Ntlm, Origin::Remote)];
    assert!((age - 3_600.0).abs() < 0.01, "{age}");
    let open: Vec<_> = found.open.into_iter().collect();
    assert_eq!(
        open,
        [
            ((AuthScheme::Kerberos, Transport::Tcp, Origin::Remote), 12),
            ((AuthScheme::Ntlm, Transport::Tcp, Origin::Remote), 2),
            ((AuthScheme::Ntlm, Transport::NamedPipe, Origin::Remote), 1),
            ((AuthScheme::Ntlm, Transport::SharedMemory, Origin::Local), 4),
            ((AuthScheme::Other, Transport::Tcp, Origin::Unknown), 6),
        ]
    );
    assert_eq!(found.opened[&(AuthScheme::Ntlm, Origin::Remote)], 2);
    assert_eq!(counts(&[]), Ok(Counts::default()));
    assert!(counts(&[counted("SQL", "TCP", "elsewhere", 1, 0)]).is_err());
    assert!(counts(&[counted("SQL", "TCP", "local", -1, 0)]).is_err());
    // No server has so many: sums of what is taken never overflow.
    let most = i64::from(u32::MAX);
    assert!(counts(&[counted("SQL", "TCP", "local", most + 1, 0)]).is_err());
    let huge = vec![counted("SQL", "TCP", "local", most, most); 4];
    assert_eq!(counts(&huge).unwrap().open.into_values().next(), Some(4 * u64::from(u32::MAX)));
}

#[test]
fn own_addresses_in_both_spellings() {
    let addresses = [ip("::ffff:10.1.2.3"), ip("10.1.2.3"), ip("2001:db8::1")];
    assert_eq!(spellings(&addresses, 32), ["10.1.2.3", "2001:db8::1", "::ffff:10.1.2.3"]);
    assert_eq!(spellings(&addresses, 2), ["10.1.2.3", "2001:db8::1"]);
    assert!(spellings(&[], 32).is_empty());
}

#[test]
fn clients_on_ntlm_are_remote_and_normalised() {
    let of = |client: Value, program: &str, is_same: i64, visible: i64| {
        let name = if visible == 1 { text("APP1") } else { Value::Null };
        let login = text("CORP\\joe");
        let values = vec![
            client,
            name,
            text(program),
            login,
            text("CORP"),
            text("ODBC"),
            int(is_same),
            int(3),
            int(visible),
        ];
        row(&queries::NTLM_CLIENTS, values)
    };
    let rows = [
        of(text("10.1.1.5"), "SQLAgent - TSQL JobStep (Job 0x01 : Step 1)", 0, 1),
        of(text("<named pipe>"), &"x".repeat(100), 0, 1),
        of(text("10.1.1.6"), "hidden", 0, 0),
        of(text("<local machine>"), "local", 0, 1),
        of(text("127.0.0.1"), "local", 0, 1),
        of(text("10.1.1.9"), "same address", 1, 1),
        of(text("::ffff:10.9.9.9"), "own address", 0, 1),
        of(Value::Null, "unknown", 0, 1),
    ];
    let found = ntlm_clients(&rows, &[ip("10.9.9.9")]).unwrap();
    let short: Vec<_> =
        found.iter().map(|c| (c.address, c.program.clone().unwrap(), c.is_session_visible)).collect();
    assert_eq!(
        short,
        [
            (Some(ip("10.1.1.5")), "SQLAgent".to_owned(), true),
            (None, "x".repeat(64), true),
            (Some(ip("10.1.1.6")), "hidden".to_owned(), false),
        ]
    );
    assert_eq!((found[0].connections, found[2].host_name.as_deref()), (3, None));
    assert!(ntlm_clients(&[of(int(1), "x", 0, 1)], &[]).is_err());
}

#[test]
fn linked_servers_and_whose_login_goes_there() {
    let linked = |data_source: Value, passes: i64, hidden: i64, mappings: i64| {
        let values =
            vec![text("REMOTE"), text("MSOLEDBSQL"), data_source, int(passes), int(hidden), int(mappings)];
        row(&queries::LINKED_SERVERS, values)
    };
    for (passes, hidden, mappings, sees_logins, expected) in [
        (1, 0, 1, true, Ok(true)),
        (0, 0, 1, true, Ok(false)),
        // Every mapping was dropped: nobody goes there.
        (0, 0, 0, true, Ok(false)),
        (0, 0, 0, false, Err(())),
        (0, 1, 2, true, Err(())),
        (1, 1, 2, false, Ok(true)),
    ] {
        let rows = [linked(text(" sql02 "), passes, hidden, mappings)];
        let found = linked_servers(&rows, sees_logins).unwrap();
        assert_eq!(found[0].passes_caller.clone().map_err(|_| ()), expected, "{passes} {hidden} {mappings}");
        assert_eq!(found[0].data_source.as_deref(), Some("sql02"));
    }
    assert_eq!(linked_servers(&[linked(Value::Null, 1, 0, 1)], true).unwrap()[0].data_source, None);
    assert!(linked_servers(&[linked(int(1), 1, 0, 1)], true).is_err());
    let many = vec![linked(Value::Null, 1, 0, 1); queries::LINKED_SERVERS_LIMIT + 1];
    assert!(linked_servers(&many, true).unwrap_err().text.contains("256"));
}
