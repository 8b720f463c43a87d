//! Views that a spec implies: registry, listeners, services, host.

use super::*;
use crate::tds::{Platform, catalogue, types::SqlType};

async fn texts(client: &mut TestClient, sql: &str) -> Vec<String> {
    let rows = rows(client, sql).await.unwrap_or_else(|error| panic!("{error}: {sql}"));
    rows.iter().map(|row| row.try_get::<&str, _>(0).unwrap().unwrap_or("NULL").to_owned()).collect()
}

const REGISTRY: &str =
    "SELECT CAST(r.registry_key AS nvarchar(256)) + N'|' + CAST(r.value_name AS nvarchar(64)) + N'='
      + COALESCE(CAST(r.value_data AS nvarchar(256)), N'NULL')
    FROM sys.dm_server_registry AS r WHERE r.registry_key LIKE N'%SuperSocketNetLib%'";

#[tokio::test]
async fn registry_of_a_dynamic_named_instance() {
    let server =
        start(SqlServerSpec { instance: Some("PROD".to_owned()), dynamic_port: Some(50_123), ..spec(2022) });
    let mut client = connect(&server).await;
    let lines = texts(&mut client, REGISTRY).await;
    let root = r"HKLM\Software\Microsoft\Microsoft SQL Server\MSSQL16.PROD\MSSQLServer\SuperSocketNetLib";
    for wanted in [
        r"\Tcp|Enabled=1",
        r"\Tcp|ListenOnAllIPs=1",
        r"\Tcp\IPAll|TcpPort=",
        r"\Tcp\IPAll|TcpDynamicPorts=50123",
        r"\Tcp\IP1|Enabled=0",
        r"\Tcp\IP2|TcpDynamicPorts=0",
        r"\Np|Enabled=0",
        r"\AdminConnection\Tcp|TcpDynamicPorts=1434",
    ] {
        assert!(lines.contains(&format!("{root}{wanted}")), "{wanted} in {lines:#?}");
    }
    let sql = "SELECT CAST(port AS nvarchar(9)) + N' ' + ip_address FROM sys.dm_tcp_listener_states
               WHERE type_desc = N'TSQL' AND state_desc = N'ONLINE'";
    assert_eq!(texts(&mut client, sql).await, ["50123 ::", "50123 0.0.0.0", "1434 ::1", "1434 127.0.0.1"]);
    let sql = "SELECT service_account FROM sys.dm_server_services WHERE servicename LIKE N'SQL Server (%'";
    assert_eq!(texts(&mut client, sql).await, [r"NT SERVICE\MSSQL$PROD"]);
    let sql =
        "SELECT service_account FROM sys.dm_server_services WHERE servicename LIKE N'SQL Server Agent (%'";
    assert_eq!(texts(&mut client, sql).await, [r"NT SERVICE\SQLAgent$PROD"]);
    assert_eq!(server.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn one_address_and_no_tcp() {
    let yaml = r"{ host: SQL01, static_ports: [1433, 1500], live_ports: [1433], listen_all: false, account: CORP\svc_sql }";
    let server = start(yaml_serde::from_str(yaml).unwrap());
    let mut client = connect(&server).await;
    let lines = texts(&mut client, REGISTRY).await;
    assert!(lines.iter().any(|line| line.ends_with(r"\Tcp\IP1|TcpPort=1433,1500")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.ends_with(r"\Tcp\IP1|Enabled=1")));
    let sql = "SELECT ip_address FROM sys.dm_tcp_listener_states WHERE port = 1433";
    assert_eq!(texts(&mut client, sql).await, ["10.77.0.11"]);
    let sql = "SELECT servicename + N'=' + service_account FROM sys.dm_server_services";
    assert_eq!(texts(&mut client, sql).await[0], r"SQL Server (MSSQLSERVER)=CORP\svc_sql");
    server.set_spec(SqlServerSpec { tcp: false, ..spec(2022) }).unwrap();
    assert_eq!(texts(&mut client, sql).await[0], r"SQL Server (MSSQLSERVER)=NT SERVICE\MSSQLSERVER");
    assert!(texts(&mut client, "SELECT ip_address FROM sys.dm_tcp_listener_states").await.is_empty());
}

#[tokio::test]
async fn linux() {
    let server = start(SqlServerSpec { platform: Platform::Linux, ..spec(2022) });
    let mut client = connect(&server).await;
    assert_eq!(texts(&mut client, "SELECT host_platform FROM sys.dm_os_host_info").await, ["Linux"]);
    assert!(texts(&mut client, "SELECT registry_key FROM sys.dm_server_registry").await.is_empty());
    let sql = "SELECT service_account FROM sys.dm_server_services WHERE servicename LIKE N'SQL Server (%'";
    assert_eq!(texts(&mut client, sql).await, ["LocalSystem"]);
}

#[test]
fn scenario_keys_are_checked() {
    let every_key = r"
      host: SQL01
      instance: PROD
      version: 2022
      platform: Windows
      account: CORP\svc_sql
      address: 10.77.0.11
      static_ports: [1433]
      dynamic_port: 50123
      live_ports: [1433]
      listen_all: true
      tcp: true
      named_pipes: false
      rights: [VIEW SERVER STATE, VIEW ANY DEFINITION]
      started_seconds_ago: 864000
      properties: { IsHadrEnabled: 1, IsClustered: 0 }
      connections:
        - { scheme: KERBEROS, transport: TCP, client: 10.77.1.5, count: 12, host: APP1, program: app, login: CORP\joe, domain: CORP, age_seconds: 100 }
      tables: { sys.availability_replicas: [ {replica_server_name: SQL01, endpoint_url: null, is_nothing: 1} ] }
    ";
    let spec: SqlServerSpec = yaml_serde::from_str(&every_key.replace(", is_nothing: 1", "")).unwrap();
    assert_eq!(spec.connections[0].count, 12);
    assert!(crate::tds::world::Prepared::new(spec, 0, None).is_ok());
    assert!(crate::tds::world::Prepared::new(yaml_serde::from_str(every_key).unwrap(), 0, None).is_err());
    assert!(yaml_serde::from_str::<SqlServerSpec>("{ host: A, versions: 2022 }").is_err());
    let refused = |yaml: &str| {
        let spec: SqlServerSpec = yaml_serde::from_str(yaml).unwrap();
        crate::tds::world::Prepared::new(spec, 0, None).unwrap_err().to_string()
    };
    assert!(refused("{ host: A, version: 2015 }").contains("2015"));
    assert!(refused("{ host: A, tables: { sys.nothing: [] } }").contains("sys.nothing"));
    assert!(refused("{ host: A, tables: { sys.servers: [{ nosuch: 1 }] } }").contains("nosuch"));
    assert!(refused("{ host: A, properties: { Nonsense: 1 } }").contains("Nonsense"));
}

#[tokio::test]
async fn a_start_stays_while_its_age_does() {
    let server = start(spec(2022));
    let mut client = connect(&server).await;
    let sql = "SELECT CAST(sqlserver_start_time AS float) FROM sys.dm_os_sys_info";
    let start_time =
        async |client: &mut TestClient| rows(client, sql).await.unwrap()[0].get::<f64, _>(0).unwrap();
    let first = start_time(&mut client).await;
    server.set_spec(SqlServerSpec { named_pipes: true, ..spec(2022) }).unwrap();
    assert_eq!(start_time(&mut client).await, first);
    server.set_spec(SqlServerSpec { started_seconds_ago: 5, ..spec(2022) }).unwrap();
    assert!(start_time(&mut client).await > first + 9.0);
}

/// Every column of every view in every version reaches the client, with an appended row of all NULLs besides.
#[tokio::test]
async fn every_documented_column_is_sent() {
    for version in [2014, 2016, 2017, 2019, 2022, 2025] {
        let views: Vec<_> =
            catalogue::objects(version).filter(|object| object.name.starts_with("sys.")).collect();
        assert!(views.len() > 25, "{version}");
        let mut spec = spec(version);
        for view in &views {
            spec.tables.insert(view.name.clone(), vec![Default::default()]);
        }
        let server = start(spec);
        let mut client = connect(&server).await;
        for view in views {
            let columns: Vec<String> = view
                .columns(version)
                .map(|column| match column.kind {
                    SqlType::Variant => format!("CAST(v.{0} AS nvarchar(256)) AS {0}", column.name),
                    _ => format!("v.[{}]", column.name),
                })
                .collect();
            let arguments = if view.is_function { "(N'x*.xel', NULL, NULL, NULL)" } else { "" };
            let sql = format!("SELECT {} FROM {}{arguments} AS v", columns.join(", "), view.name);
            let rows = rows(&mut client, &sql).await.unwrap_or_else(|error| panic!("{error}: {sql}"));
            assert!(!rows.is_empty(), "{sql}");
            assert_eq!(rows[0].columns().len(), columns.len());
        }
        assert_eq!(server.violations(), Vec::<String>::new());
    }
}

/// Columns without an offset show the server's clock, which is two hours east of UTC by default.
#[tokio::test]
async fn local_time_is_not_utc() {
    let server = start(spec(2022));
    let mut client = connect(&server).await;
    let sql = "SELECT DATEDIFF(MINUTE, SYSUTCDATETIME(), SYSDATETIME()), DATEDIFF(MINUTE, GETUTCDATE(), GETDATE()),
                 DATEDIFF(SECOND, s.last_startup_time, SYSDATETIMEOFFSET()),
                 DATEDIFF(SECOND, i.sqlserver_start_time, GETDATE()),
                 DATEDIFF(MINUTE, SWITCHOFFSET(s.last_startup_time, '+00:00'), CAST(s.last_startup_time AS datetime)),
                 CAST(RIGHT(CAST(s.last_startup_time AS nvarchar(40)), 6) AS nvarchar(6)),
                 DATEDIFF(MINUTE, c.connect_time, GETUTCDATE())
               FROM sys.dm_server_services AS s CROSS JOIN sys.dm_os_sys_info AS i
                 CROSS JOIN sys.dm_exec_connections AS c WHERE s.servicename LIKE N'SQL Server (%'";
    let row = rows(&mut client, sql).await.unwrap().remove(0);
    let number = |at: usize| row.try_get::<i32, _>(at).unwrap().unwrap();
    assert_eq!((number(0), number(1)), (120, 120));
    assert!((864_000..864_060).contains(&number(2)), "{}", number(2));
    assert!((864_000..864_060).contains(&number(3)), "{}", number(3));
    assert_eq!(number(4), 120);
    assert_eq!(row.try_get::<&str, _>(5).unwrap(), Some("+02:00"));
    assert!((-120..=-118).contains(&number(6)), "{}", number(6));
}
