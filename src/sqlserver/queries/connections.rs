//! The two statements about connections (JUDGEMENT 11.3). Counting reads only `sys.dm_exec_connections`, which refuses
//! without the right; `sys.dm_exec_sessions` would show our own row alone and so count "no NTLM".

use super::{PERFORMANCE, Statement, Type};

/// How many own addresses `connections` takes: `@P2` to `@P33`, padded with NULL so that one plan serves all.
pub const ADDRESS_PARAMETERS: usize = 32;

/// Counts by scheme, transport and origin, and those opened since `@P1` (days since 1900, server-local; NULL counts
/// none). Our own session is a row of its own, so that there is always one that tells the server's clock.
pub const CONNECTIONS: Statement = Statement {
    name: "connections",
    sql: "/* mssql-kerberos-exporter connections */
DECLARE @now datetime = GETDATE();
SELECT CAST(v.auth_scheme AS nvarchar(40)) AS auth_scheme,
       CAST(v.net_transport AS nvarchar(40)) AS net_transport,
       CAST(v.origin AS nvarchar(8)) AS origin,
       CAST(@now AS float) AS now_local,
       CAST(COUNT_BIG(*) AS bigint) AS open_now,
       CAST(SUM(CASE WHEN v.connect_time > CAST(@P1 AS datetime) AND v.connect_time <= @now THEN 1 ELSE 0 END) AS bigint) AS opened,
       CAST(MAX(v.connect_time) AS float) AS newest_local
FROM (
  SELECT CAST(c.auth_scheme AS nvarchar(40)) AS auth_scheme, CAST(c.net_transport AS nvarchar(40)) AS net_transport,
         c.connect_time AS connect_time,
         CASE WHEN c.session_id = @@SPID THEN N'own'
              WHEN c.net_transport = N'Shared memory' THEN N'local'
              WHEN c.client_net_address = N'<local machine>' THEN N'local'
              WHEN c.client_net_address LIKE N'127.%' THEN N'local'
              WHEN c.client_net_address = N'::1' THEN N'local'
              WHEN c.client_net_address LIKE N'::ffff:127.%' THEN N'local'
              WHEN c.client_net_address = c.local_net_address THEN N'local'
              WHEN c.client_net_address IN (@P2, @P3, @P4, @P5, @P6, @P7, @P8, @P9, @P10, @P11, @P12, @P13, @P14,
                   @P15, @P16, @P17, @P18, @P19, @P20, @P21, @P22, @P23, @P24, @P25, @P26, @P27, @P28, @P29, @P30,
                   @P31, @P32, @P33) THEN N'local'
              WHEN c.client_net_address = N'<named pipe>' THEN N'remote'
              WHEN c.client_net_address IS NULL THEN N'unknown'
              ELSE N'remote' END AS origin
  FROM sys.dm_exec_connections AS c
  WHERE c.session_id IS NOT NULL
    AND c.parent_connection_id IS NULL AND c.net_transport <> N'Session'
    AND (c.protocol_type = N'TSQL' OR c.protocol_type IS NULL)
) AS v
GROUP BY v.auth_scheme, v.net_transport, v.origin OPTION (MAXDOP 1)",
    columns: &[
        ("auth_scheme", Type::Text),
        ("net_transport", Type::Text),
        ("origin", Type::Text),
        ("now_local", Type::Float),
        ("open_now", Type::BigInt),
        ("opened", Type::BigInt),
        ("newest_local", Type::Float),
    ],
    right: PERFORMANCE,
    optional: false,
    since: 12,
    until: None,
    platform: None,
    why: "who authenticates with Kerberos and who with NTLM, counted by the server in one scan",
};

/// The most clients that `ntlm_clients` lists.
pub const NTLM_CLIENTS_LIMIT: usize = 500;

/// Who is on NTLM. `original_login_name`, not `login_name`, which EXECUTE AS changes. Without a visible session the names
/// are hidden, not absent. Local ones are left out in `decode`, where addresses compare in canonical form.
pub const NTLM_CLIENTS: Statement = Statement {
    name: "ntlm_clients",
    sql: "/* mssql-kerberos-exporter ntlm_clients */
SELECT TOP (500) CAST(v.client_net_address AS nvarchar(48)) AS client_net_address,
       CAST(v.host_name AS nvarchar(128)) AS host_name,
       CAST(v.program AS nvarchar(64)) AS program,
       CAST(v.original_login_name AS nvarchar(128)) AS original_login_name,
       CAST(v.nt_domain AS nvarchar(128)) AS nt_domain,
       CAST(v.client_interface_name AS nvarchar(32)) AS client_interface_name,
       CAST(v.is_same_address AS int) AS is_same_address,
       CAST(COUNT_BIG(*) AS bigint) AS connections,
       CAST(MAX(v.seen) AS int) AS session_visible
FROM (
  SELECT c.client_net_address AS client_net_address, s.host_name AS host_name,
         s.original_login_name AS original_login_name, s.nt_domain AS nt_domain,
         s.client_interface_name AS client_interface_name,
         CASE WHEN c.client_net_address = c.local_net_address THEN 1 ELSE 0 END AS is_same_address,
         CASE WHEN s.session_id IS NULL THEN 0 ELSE 1 END AS seen,
         CASE WHEN s.program_name LIKE N'SQLAgent - %' THEN N'SQLAgent' ELSE CAST(s.program_name AS nvarchar(64)) END AS program
  FROM sys.dm_exec_connections AS c
  LEFT JOIN sys.dm_exec_sessions AS s ON s.session_id = c.session_id
  WHERE c.auth_scheme = N'NTLM' AND c.session_id IS NOT NULL AND c.session_id <> @@SPID
    AND c.parent_connection_id IS NULL AND c.net_transport IN (N'TCP', N'Named pipe')
) AS v
GROUP BY v.client_net_address, v.host_name, v.program, v.original_login_name, v.nt_domain, v.client_interface_name,
         v.is_same_address
ORDER BY COUNT_BIG(*) DESC OPTION (MAXDOP 1)",
    columns: &[
        ("client_net_address", Type::Text),
        ("host_name", Type::Text),
        ("program", Type::Text),
        ("original_login_name", Type::Text),
        ("nt_domain", Type::Text),
        ("client_interface_name", Type::Text),
        ("is_same_address", Type::Int),
        ("connections", Type::BigInt),
        ("session_visible", Type::Int),
    ],
    right: PERFORMANCE,
    optional: false,
    since: 12,
    until: None,
    platform: None,
    why: "which clients and programs are on NTLM; only while there are any, at most once a minute",
};
