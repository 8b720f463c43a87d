//! Missing permissions: refused, hidden, or only the own session.

use super::*;

fn with_rights(version: u16, rights: &[&str]) -> SqlServerSpec {
    let rights = Some(rights.iter().map(|&name| name.to_owned()).collect());
    let mut spec =
        SqlServerSpec { rights, connections: vec![group("KERBEROS", "10.77.1.5", 3)], ..spec(version) };
    let row = "{ group_id: 6F9619FF-8B86-D011-B42D-00C04FC964FF, name: AG1 }";
    spec.tables.insert("sys.availability_groups".to_owned(), vec![yaml_serde::from_str(row).unwrap()]);
    let lines = "[{ LogDate: -60s, ProcessInfo: Server, Text: \"The SQL Server Network Interface library could not \
                 register the SPN\" }, { LogDate: \"2026-11-22T10:00:00\", ProcessInfo: s1, Text: Starting up }]";
    spec.tables.insert("xp_readerrorlog".to_owned(), yaml_serde::from_str(lines).unwrap());
    spec
}

#[tokio::test]
async fn refused_or_hidden_by_version() {
    for (version, number) in [(2014, 300), (2019, 300), (2022, 371), (2025, 371)] {
        let server = start(with_rights(version, &[]));
        let mut client = connect(&server).await;
        let sql = "SELECT auth_scheme FROM sys.dm_exec_connections";
        assert_eq!(refused(&mut client, sql).await, Some((number, 14)), "{version}");
        let sql = "SELECT port FROM sys.dm_tcp_listener_states";
        assert_eq!(refused(&mut client, sql).await, Some((300, 14)), "{version}");
        let sessions = rows(&mut client, "SELECT session_id FROM sys.dm_exec_sessions").await.unwrap();
        assert_eq!(sessions.len(), 1);
        assert_eq!(rows(&mut client, "SELECT name FROM sys.availability_groups").await.unwrap().len(), 0);
        server.set_spec(with_rights(version, &["VIEW SERVER STATE", "VIEW ANY DEFINITION"])).unwrap();
        assert_eq!(rows(&mut client, "SELECT session_id FROM sys.dm_exec_sessions").await.unwrap().len(), 4);
        assert_eq!(rows(&mut client, "SELECT name FROM sys.availability_groups").await.unwrap().len(), 1);
        assert_eq!(rows(&mut client, "SELECT port FROM sys.dm_tcp_listener_states").await.unwrap().len(), 4);
    }
}

#[tokio::test]
async fn error_log() {
    for (version, rights, reader, allowed) in [
        (2019, &["VIEW SERVER STATE"][..], "xp_readerrorlog", false),
        (2019, &["EXECUTE ON xp_readerrorlog"][..], "xp_readerrorlog", true),
        (2019, &["EXECUTE ON xp_readerrorlog"][..], "sp_readerrorlog", false),
        (2019, &["VIEW ANY ERROR LOG"][..], "xp_readerrorlog", false),
        (2022, &["VIEW ANY ERROR LOG"][..], "xp_readerrorlog", false),
        (2022, &["VIEW ANY ERROR LOG"][..], "sp_readerrorlog", true),
    ] {
        let sql = &format!("EXEC sys.{reader} 0, 1, N'register the SPN'");
        let server = start(with_rights(version, rights));
        let mut client = connect(&server).await;
        if !allowed {
            assert_eq!(refused(&mut client, sql).await, Some((229, 14)), "{version} {rights:?}");
            continue;
        }
        let lines = rows(&mut client, sql).await.unwrap();
        assert_eq!(lines.len(), 1);
        assert!(lines[0].try_get::<&str, _>("Text").unwrap().unwrap().contains("could not register"));
        assert_eq!(lines[0].columns()[0].column_type(), tiberius::ColumnType::Datetimen);
        assert_eq!(server.violations(), Vec::<String>::new());
    }
}
