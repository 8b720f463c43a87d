//! Statements: those that count connections and find clients, types on the wire, and the errors a real server gives.

use std::time::Duration;

use tiberius::{ColumnType, numeric::Numeric};

use super::*;

/// Counts connections by scheme, transport and origin, with parameters for the own addresses and the watermark.
const COUNTING: &str = "/* mssql-kerberos-exporter connections */
DECLARE @now datetime = GETDATE();
SELECT v.auth_scheme, v.net_transport, v.origin, CAST(@now AS float) AS now_local,
       COUNT_BIG(*) AS open_now,
       SUM(CASE WHEN v.connect_time > CAST(@P1 AS datetime) AND v.connect_time <= @now THEN 1 ELSE 0 END) AS opened
FROM (
  SELECT CAST(c.auth_scheme AS nvarchar(40)) AS auth_scheme, CAST(c.net_transport AS nvarchar(40)) AS net_transport, c.connect_time,
         CASE WHEN c.net_transport = N'Shared memory'                          THEN 'local'
              WHEN c.client_net_address = '<local machine>'                    THEN 'local'
              WHEN c.client_net_address LIKE '127.%' OR c.client_net_address = '::1'
                OR c.client_net_address LIKE '::ffff:127.%'                    THEN 'local'
              WHEN c.client_net_address = c.local_net_address                  THEN 'local'
              WHEN c.client_net_address IN (@P2, @P3)                          THEN 'local'
              WHEN c.client_net_address = '<named pipe>'                       THEN 'remote'
              WHEN c.client_net_address IS NULL                                THEN 'unknown'
              ELSE 'remote' END AS origin
  FROM sys.dm_exec_connections AS c
  WHERE c.session_id IS NOT NULL
    AND c.session_id <> @@SPID
    AND c.parent_connection_id IS NULL AND c.net_transport <> N'Session'
    AND (c.protocol_type = N'TSQL' OR c.protocol_type IS NULL)
) AS v
GROUP BY v.auth_scheme, v.net_transport, v.origin
ORDER BY open_now DESC OPTION (MAXDOP 1);";

fn busy() -> SqlServerSpec {
    let mut spec = spec(2019);
    spec.connections = vec![
        group("KERBEROS", "10.77.1.5", 12),
        group("NTLM", "10.77.1.6", 5),
        group("NTLM", "10.77.0.11", 3),
        group("NTLM", "10.77.9.9", 2),
    ];
    spec.connections[1].age_seconds = 0;
    spec.connections
        .push(yaml_serde::from_str("{ scheme: NTLM, transport: Shared memory, count: 4 }").unwrap());
    let endpoint =
        "{ session_id: null, net_transport: TCP, protocol_type: Database Mirroring, auth_scheme: NTLM }";
    let child = "{ session_id: 300, net_transport: Session, auth_scheme: NTLM, \
                 parent_connection_id: 6F9619FF-8B86-D011-B42D-00C04FC964FF }";
    let rows = [endpoint, child].map(|yaml| yaml_serde::from_str(yaml).unwrap());
    spec.tables.insert("sys.dm_exec_connections".to_owned(), rows.into());
    spec
}

#[tokio::test]
async fn counting_connections() {
    let server = start(busy());
    let mut client = connect(&server).await;
    let own = Option::<&str>::Some("10.77.9.9");
    let none = Option::<&str>::None;
    let since = 46_000.0_f64;
    let answer = client.query(COUNTING, &[&since, &own, &none]).await.unwrap();
    let rows = answer.into_first_result().await.unwrap();
    let seen: Vec<(String, String, String, i64, i32)> = rows
        .iter()
        .map(|row| {
            let text = |at| row.try_get::<&str, usize>(at).unwrap().unwrap().to_owned();
            (text(0), text(1), text(2), row.try_get(4).unwrap().unwrap(), row.try_get(5).unwrap().unwrap())
        })
        .collect();
    let row = |scheme: &str, transport: &str, origin: &str, open, opened| {
        (scheme.to_owned(), transport.to_owned(), origin.to_owned(), open, opened)
    };
    assert_eq!(seen[0], row("KERBEROS", "TCP", "remote", 12, 12));
    assert!(seen.contains(&row("NTLM", "TCP", "remote", 5, 5)), "{seen:?}");
    assert!(seen.contains(&row("NTLM", "TCP", "local", 5, 5)), "{seen:?}");
    assert!(seen.contains(&row("NTLM", "Shared memory", "local", 4, 4)), "{seen:?}");
    assert_eq!(seen.len(), 4);
    let now: f64 = rows[0].try_get("now_local").unwrap().unwrap();
    assert!(now > 46_000.0);
    // With the answer's own time as watermark nothing is new.
    let answer = client.query(COUNTING, &[&now, &own, &none]).await.unwrap();
    let rows = answer.into_first_result().await.unwrap();
    assert!(rows.iter().all(|row| row.try_get::<i32, _>("opened").unwrap() == Some(0)));
    // A few minutes back, only the five of age zero are new.
    let answer = client.query(COUNTING, &[&(now - 0.01), &own, &none]).await.unwrap();
    let rows = answer.into_first_result().await.unwrap();
    let opened: i32 = rows.iter().map(|row| row.try_get::<i32, _>("opened").unwrap().unwrap()).sum();
    assert_eq!(opened, 5);
    assert_eq!(server.violations(), Vec::<String>::new());
    assert!(server.statements()[0].starts_with("/* mssql-kerberos-exporter connections */"));
}

#[tokio::test]
async fn who_connects() {
    let server = start(busy());
    let mut client = connect(&server).await;
    let sql = "SELECT TOP (@P1) v.client_net_address, v.host_name, v.program, v.original_login_name, v.nt_domain,
                 v.client_interface_name, COUNT_BIG(*) AS connections, CAST(MAX(v.connect_time) AS float) AS newest,
                 MAX(v.seen) AS session_visible
          FROM ( SELECT c.client_net_address, s.host_name, s.original_login_name, s.nt_domain, s.client_interface_name,
                        c.connect_time, CASE WHEN s.session_id IS NULL THEN 0 ELSE 1 END AS seen,
                        CASE WHEN s.program_name LIKE N'SQLAgent - %' THEN N'SQLAgent' ELSE LEFT(s.program_name,64) END AS program
                 FROM sys.dm_exec_connections AS c LEFT JOIN sys.dm_exec_sessions AS s ON s.session_id = c.session_id
                 WHERE c.auth_scheme = N'NTLM' AND c.session_id IS NOT NULL AND c.session_id <> @@SPID
                   AND c.parent_connection_id IS NULL AND c.net_transport IN (N'TCP', N'Named pipe') ) AS v
          GROUP BY v.client_net_address, v.host_name, v.program, v.original_login_name, v.nt_domain, v.client_interface_name
          ORDER BY COUNT_BIG(*) DESC OPTION (MAXDOP 1);";
    let rows = client.query(sql, &[&2_i32]).await.unwrap().into_first_result().await.unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].try_get::<&str, _>("client_net_address").unwrap(), Some("10.77.1.6"));
    assert_eq!(rows[0].try_get::<i64, _>("connections").unwrap(), Some(5));
    assert_eq!(rows[0].try_get::<i32, _>("session_visible").unwrap(), Some(1));
}

#[tokio::test]
async fn identity_and_start() {
    let server = start(spec(2017));
    let mut client = connect(&server).await;
    rows(&mut client, "SET NOCOUNT ON; SET LOCK_TIMEOUT 1000; SET DEADLOCK_PRIORITY LOW;").await.unwrap();
    let sql = "SELECT DATEDIFF_BIG(SECOND,'19700101',SYSUTCDATETIME())
                 - (i.ms_ticks - i.sqlserver_start_time_ms_ticks)/1000 AS start_unix_seconds
               FROM sys.dm_os_sys_info AS i;";
    let start: i64 = rows(&mut client, sql).await.unwrap()[0].try_get(0).unwrap().unwrap();
    #[expect(clippy::disallowed_methods, reason = "compared with the peer, which lives by the same clock")]
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let expected = (now - Duration::from_secs(864_000)).as_secs() as i64;
    assert!((start - expected).abs() <= 2, "{start} {expected}");
    let sql = "SELECT CAST(SERVERPROPERTY('EngineEdition') AS int), CAST(SERVERPROPERTY('ProductMajorVersion') AS nvarchar(8)),
                 @@SERVERNAME, HAS_PERMS_BY_NAME(NULL,NULL,'VIEW SERVER STATE'),
                 HAS_PERMS_BY_NAME(NULL,NULL,'VIEW SERVER SECURITY STATE'), CAST(SERVERPROPERTY('NoSuchThing') AS int)";
    let row = rows(&mut client, sql).await.unwrap().remove(0);
    assert_eq!(row.try_get::<i32, _>(0).unwrap(), Some(3));
    assert_eq!(row.try_get::<&str, _>(1).unwrap(), Some("14"));
    assert_eq!(row.try_get::<&str, _>(2).unwrap(), Some("SQL01"));
    assert_eq!(row.try_get::<i32, _>(3).unwrap(), Some(1));
    assert_eq!(row.try_get::<i32, _>(4).unwrap(), None);
    assert_eq!(row.try_get::<i32, _>(5).unwrap(), None);
}

#[tokio::test]
async fn types_on_the_wire() {
    let server = start(spec(2022));
    let mut client = connect(&server).await;
    let sql = "SELECT CAST(1 AS tinyint), CAST(-2 AS smallint), 3, CAST(4 AS bigint), CAST(1 AS bit), CAST(0.5 AS float),
                 N'ä', CAST('x' AS nvarchar(max)), 'vc', CAST('20261122' AS datetime),
                 CAST('6F9619FF-8B86-D011-B42D-00C04FC964FF' AS uniqueidentifier), 0x0102,
                 CAST(NULL AS int), CAST(NULL AS nvarchar(max)), CAST(NULL AS varchar(5)), CAST(NULL AS datetime),
                 @@SPID, SYSDATETIME(), SYSDATETIMEOFFSET()";
    let row = rows(&mut client, sql).await.unwrap().remove(0);
    assert_eq!(row.try_get::<u8, _>(0).unwrap(), Some(1));
    assert_eq!(row.try_get::<i16, _>(1).unwrap(), Some(-2));
    assert_eq!(row.try_get::<i32, _>(2).unwrap(), Some(3));
    assert_eq!(row.try_get::<i64, _>(3).unwrap(), Some(4));
    assert_eq!(row.try_get::<bool, _>(4).unwrap(), Some(true));
    assert_eq!(row.try_get::<f64, _>(5).unwrap(), Some(0.5));
    assert_eq!(row.try_get::<&str, _>(6).unwrap(), Some("ä"));
    assert_eq!(row.try_get::<&str, _>(7).unwrap(), Some("x"));
    assert_eq!(row.try_get::<&str, _>(8).unwrap(), Some("vc"));
    assert_eq!(row.columns()[9].column_type(), ColumnType::Datetimen);
    let identifier = row.try_get::<tiberius::Uuid, _>(10).unwrap().unwrap();
    assert_eq!(identifier.to_string().to_uppercase(), "6F9619FF-8B86-D011-B42D-00C04FC964FF");
    assert_eq!(row.try_get::<&[u8], _>(11).unwrap(), Some(&[1, 2][..]));
    assert_eq!(row.try_get::<i32, _>(12).unwrap(), None);
    assert_eq!(row.try_get::<&str, _>(13).unwrap(), None);
    assert_eq!(row.try_get::<&str, _>(14).unwrap(), None);
    assert!(row.try_get::<i16, _>(16).unwrap().unwrap() >= 51);
    assert_eq!(row.columns()[17].column_type(), ColumnType::Datetime2);
    assert_eq!(row.columns()[18].column_type(), ColumnType::DatetimeOffsetn);
    // A driver that is given no decimal must not be given one.
    assert!(row.try_get::<Numeric, _>(2).is_err());
}

#[tokio::test]
async fn errors_as_the_server_gives_them() {
    let server = start(spec(2014));
    let mut client = connect(&server).await;
    for (sql, number) in [
        ("SELECT read_write_routing_url FROM sys.availability_replicas", 207),
        ("SELECT r.read_write_routing_url FROM sys.availability_replicas AS r", 207),
        ("SELECT host_platform FROM sys.dm_os_host_info", 208),
        ("SELECT name FROM sysusers", 208),
        ("SELECT 1; SELECT nosuch FROM sys.servers", 207),
        ("SELECT x.name FROM sys.servers AS s", 4104),
        (
            "SELECT session_id FROM sys.dm_exec_connections AS c JOIN sys.dm_exec_sessions AS s ON s.session_id = c.session_id",
            209,
        ),
        ("SELECT DATEDIFF_BIG(SECOND, '19700101', GETDATE())", 195),
        ("SELECT DATEDIFF(MILLISECOND, '19700101', GETDATE())", 535),
        ("SELECT NO_SUCH_FUNCTION(1)", 195),
        ("SELECT CAST('x' AS int)", 245),
        ("SELECT CAST(300 AS tinyint)", 8115),
        ("SELECT 1/0", 8134),
        ("SELECT @nope", 137),
        ("SELECT name, COUNT(*) FROM sys.servers", 8120),
        ("SELECT MAX(is_linked) FROM sys.servers", 8117),
        ("SELECT * FROM (SELECT CAST(name AS nvarchar(5)) FROM sys.servers) AS v", 8155),
        ("SELECT name FROM sys.servers WHERE name", 4145),
        ("SELECT value_data + N'' FROM sys.dm_server_registry", 8117),
        ("SELECT CAST(last_startup_time AS float) FROM sys.dm_server_services", 529),
        ("SELECT SUM(v.n) FROM (SELECT 2000000000 AS n UNION ALL SELECT 2000000000) AS v", 8115),
        ("SELECT 2000000000 * 2", 8115),
        ("SELECT N'a' WHERE 1 = N'a'", 245),
        (
            "SELECT name FROM sys.servers WHERE CAST(SERVERPROPERTY('MachineName') AS nvarchar(9)) = SERVERPROPERTY('MachineName') AND 1 = SERVERPROPERTY('x') + 1",
            8117,
        ),
        ("SELECT name FROM sys.servers WHERE COUNT(*) > 1", 147),
        ("SELECT v.name FROM (SELECT name FROM sys.servers ORDER BY name) AS v", 1033),
        ("SELECT DISTINCT name FROM sys.servers ORDER BY server_id", 145),
        ("SELECT 1 UNION SELECT 1, 2", 205),
        ("DECLARE @a int = N'x'; SELECT @a", 245),
        ("SET SHOWPLAN_ALL ON", 195),
        ("SELECT TRIM(N' a ')", 195),
        ("SELECT CAST(1 AS nosuchtype)", 243),
        ("SELECT LEFT(N'abc')", 174),
        ("SELEC 1", 2812),
        ("IF 1 = 1 SELECT 1", 50_001),
        ("SELECT FORMAT(1, N'x')", 50_001),
        ("SELECT 1 UNION SELECT N'a'", 50_001),
        ("SELECT CAST(N'<a/>' AS xml)", 50_001),
        ("SELECT 1 FROM", 102),
    ] {
        assert_eq!(refused(&mut client, sql).await.map(|(number, _)| number), Some(number), "{sql}");
    }
    // The connection outlives all of them.
    assert_eq!(rows(&mut client, "SELECT 1").await.unwrap().len(), 1);
}

#[tokio::test]
async fn only_reads_are_run() {
    let server = start(spec(2022));
    let mut client = connect(&server).await;
    for (sql, number) in [
        ("INSERT INTO sys.servers (name) VALUES (N'x')", 229),
        ("SELECT name INTO #t FROM sys.servers", 262),
        ("DROP TABLE t", 229),
        ("EXEC sys.sp_configure N'remote access', 0", 229),
        ("SELECT value_data FROM sys.dm_server_registry", 50_001),
    ] {
        let before = server.violations().len();
        assert_eq!(refused(&mut client, sql).await.map(|(number, _)| number), Some(number), "{sql}");
        let expected = usize::from(number != 262);
        assert_eq!(server.violations().len() - before, expected, "{sql}");
    }
}

#[tokio::test]
async fn language_details() {
    let server = start(spec(2022));
    let mut client = connect(&server).await;
    for (sql, expected) in [
        ("SELECT CAST(COUNT(*) AS nvarchar(9)) FROM sys.endpoints WHERE name LIKE N'TSQL%'", "3"),
        ("SELECT TOP 1 name FROM sys.endpoints ORDER BY endpoint_id DESC", "TSQL Default TCP"),
        ("SELECT CASE 2 WHEN 1 THEN N'a' WHEN 2 THEN N'b' END", "b"),
        ("SELECT COALESCE(NULL, CAST(NULL AS nvarchar(5)), N'c')", "c"),
        ("SELECT ISNULL(CAST(NULL AS nvarchar(2)), N'long')", "lo"),
        ("SELECT N'yes' WHERE 'ABC' = 'abc' AND 3 BETWEEN 2 AND 4 AND 1 NOT IN (2, 3)", "yes"),
        ("DECLARE @a int = 6, @b nvarchar(10) = N'x' + N'y'; SELECT @b + CAST(@a / 4 AS nvarchar(9))", "xy1"),
        ("SELECT DISTINCT protocol_desc FROM sys.tcp_endpoints", "TCP"),
        (
            "SELECT e.name FROM sys.endpoints e WHERE EXISTS (SELECT 1 FROM sys.tcp_endpoints t WHERE t.endpoint_id = e.endpoint_id AND t.is_admin_endpoint = 1)",
            "Dedicated Admin Connection",
        ),
        ("SELECT CONVERT(varchar(10), CAST('2026-11-22T10:11:12' AS datetime), 120)", "2026-11-22"),
        ("SELECT CONVERT(varchar(20), 0x0105, 1)", "0x0105"),
        ("SELECT CAST(CONNECTIONPROPERTY('auth_scheme') AS nvarchar(40))", "SQL"),
        ("WITH w AS (SELECT name FROM sys.servers) SELECT w.name FROM w", "SQL01"),
        ("SELECT N'a' UNION ALL SELECT N'b' ORDER BY 1", "a"),
        (
            "SET NOCOUNT ON SET LOCK_TIMEOUT 1000 SELECT s.[name] FROM [sys].[servers] AS [s] WITH (NOLOCK)",
            "SQL01",
        ),
        ("SELECT name FROM master.sys.servers -- comment\n OPTION (MAXDOP 1, RECOMPILE)", "SQL01"),
        (
            "SELECT e.protocol_desc FROM sys.endpoints AS e GROUP BY e.protocol_desc HAVING COUNT(*) > 1",
            "TCP",
        ),
        (
            "SELECT STRING_AGG(e.name, N',') WITHIN GROUP (ORDER BY e.endpoint_id) FROM sys.tcp_endpoints AS e",
            "Dedicated Admin Connection,TSQL Default TCP",
        ),
        (
            "SELECT IIF(e.is_admin_endpoint = 1, N'dac', N'user') FROM sys.endpoints AS e WHERE e.endpoint_id IN (SELECT t.endpoint_id FROM sys.tcp_endpoints AS t) AND NOT e.name LIKE N'TSQL%'",
            "dac",
        ),
        ("SELECT UPPER(SUBSTRING(N'abcdef', 2, 3)) + REPLACE(LTRIM(N' x'), N'x', N'y')", "BCDy"),
        ("SELECT CAST(CHARINDEX(N'\\', N'CORP\\joe') AS nvarchar(3))", "5"),
        (
            "SELECT CASE WHEN s.name IS NULL THEN N'none' ELSE s.name END FROM sys.tcp_endpoints AS t LEFT JOIN sys.servers AS s ON s.server_id = t.endpoint_id WHERE t.endpoint_id = 4",
            "none",
        ),
        (
            "SELECT CONVERT(nvarchar(30), DATEADD(SECOND, -90, CAST('2026-11-22T00:01:00' AS datetime)), 126)",
            "2026-11-21T23:59:30.000",
        ),
        (
            "SELECT CAST(DATEDIFF(SECOND, '19700101', SWITCHOFFSET(CAST('2026-11-22T01:00:00+01:00' AS datetimeoffset), '+00:00')) AS nvarchar(20))",
            "1795305600",
        ),
        (
            "SELECT CAST(COUNT(*) AS nvarchar(9)) FROM sys.fn_xe_file_target_read_file(N'system_health*.xel', NULL, NULL, NULL)",
            "0",
        ),
        (
            "DECLARE @x nvarchar(20); SET @x = CAST(SERVERPROPERTY('MachineName') AS nvarchar(20)); SELECT @x",
            "SQL01",
        ),
        ("SELECT SUSER_SNAME() + N'@' + ORIGINAL_LOGIN() + N'/' + DB_NAME()", "monitor@monitor/master"),
        ("SELECT CAST(TRY_CAST(N'x' AS int) AS nvarchar(5)) UNION ALL SELECT N'b' ORDER BY 1 DESC", "b"),
        (
            "SELECT v.k FROM (SELECT TOP (1) name AS k FROM sys.endpoints ORDER BY endpoint_id) AS v CROSS JOIN sys.servers",
            "Dedicated Admin Connection",
        ),
    ] {
        let rows = rows(&mut client, sql).await.unwrap_or_else(|error| panic!("{error}: {sql}"));
        assert_eq!(rows[0].try_get::<&str, _>(0).unwrap(), Some(expected), "{sql}");
    }
    assert_eq!(server.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn parameters_of_every_type() {
    let server = start(spec(2022));
    let mut client = connect(&server).await;
    let long = "ä".repeat(5_000);
    let sql =
        "SELECT @P1, @P2, @P3, @P4, @P5, @P6, @P7, CAST(@P8 AS int), @P9 WHERE @P2 = 7 AND @P1 = N'NAME'";
    let (none_text, none_int) = (Option::<&str>::None, Option::<i32>::None);
    let parameters: &[&dyn tiberius::ToSql] =
        &[&"name", &7_i32, &i64::MAX, &0.25_f64, &true, &long.as_str(), &none_text, &none_int, &5_i16];
    let row = client.query(sql, parameters).await.unwrap().into_row().await.unwrap().unwrap();
    assert_eq!(row.try_get::<&str, _>(0).unwrap(), Some("name"));
    assert_eq!(row.try_get::<i32, _>(1).unwrap(), Some(7));
    assert_eq!(row.try_get::<i64, _>(2).unwrap(), Some(i64::MAX));
    assert_eq!(row.try_get::<f64, _>(3).unwrap(), Some(0.25));
    assert_eq!(row.try_get::<bool, _>(4).unwrap(), Some(true));
    assert_eq!(row.try_get::<&str, _>(5).unwrap(), Some(long.as_str()));
    assert_eq!(row.try_get::<&str, _>(6).unwrap(), None);
    assert_eq!(row.try_get::<i32, _>(7).unwrap(), None);
    assert_eq!(row.try_get::<i16, _>(8).unwrap(), Some(5));
    // An error in a procedure call leaves the connection usable, too.
    {
        let refused = client.query("SELECT nosuch FROM sys.servers WHERE name = @P1", &[&"x"]).await;
        assert!(matches!(refused, Err(Error::Server(token)) if token.code() == 207));
    }
    assert_eq!(rows(&mut client, "SELECT 1").await.unwrap().len(), 1);
}

#[tokio::test]
async fn many_connections_are_counted_in_time() {
    let server = start(SqlServerSpec { connections: vec![group("NTLM", "10.77.1.6", 30_000)], ..spec(2022) });
    let mut client = connect(&server).await;
    let none = Option::<&str>::None;
    let parameters: &[&dyn tiberius::ToSql] = &[&0.0_f64, &none, &none];
    let answer = client.query(COUNTING, parameters);
    let answer = tokio::time::timeout(PATIENCE, answer).await.unwrap().unwrap();
    let rows = answer.into_first_result().await.unwrap();
    assert_eq!(rows[0].try_get::<i64, _>("open_now").unwrap(), Some(30_000));
}

#[tokio::test]
async fn several_results_and_sessions() {
    let server = start(spec(2022));
    let mut client = connect(&server).await;
    let _other = connect(&server).await;
    let results =
        client.simple_query("SELECT 1; SET NOCOUNT ON; SELECT 2, 3").await.unwrap().into_results().await;
    let widths: Vec<usize> = results.unwrap().iter().map(|rows| rows[0].columns().len()).collect();
    assert_eq!(widths, [1, 2]);
    // The second statement fails only after the first has answered.
    let late = client.simple_query("SELECT 1; SELECT 1/0").await.unwrap().into_results().await;
    assert!(matches!(late, Err(Error::Server(token)) if token.code() == 8134));
    let own = "SELECT program_name FROM sys.dm_exec_sessions WHERE original_login_name = N'monitor' AND host_process_id IS NULL";
    assert_eq!(rows(&mut client, own).await.unwrap().len(), 2);
    let sql = "SELECT COUNT(DISTINCT connection_id) FROM sys.dm_exec_connections WHERE auth_scheme = N'SQL'";
    assert_eq!(rows(&mut client, sql).await.unwrap()[0].try_get::<i32, _>(0).unwrap(), Some(2));
}
