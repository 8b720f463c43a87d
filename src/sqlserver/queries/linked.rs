//! The statement about linked servers. A text only; with which right it is sent is `look`'s business.

use super::{DEFINITION, Statement, Type};

/// Linked servers, one row each. `uses_self_credential` matters for everybody (principal 0) and for Windows logins: a SQL
/// login passes its own name and password on. From 2022 on the page of `sys.linked_logins` wants VIEW SERVER SECURITY STATE
/// beside; the servers and principals are hidden without VIEW ANY DEFINITION.
pub const LINKED_SERVERS: Statement = Statement {
    name: "linked_servers",
    sql: "/* mssql-kerberos-exporter linked_servers */
SELECT TOP (257) CAST(s.name AS nvarchar(128)) AS name,
       CAST(s.provider AS nvarchar(128)) AS provider,
       CAST(s.data_source AS nvarchar(4000)) AS data_source,
       CAST(MAX(CASE WHEN l.uses_self_credential = 1 AND (l.local_principal_id = 0
                       OR p.type_desc IN (N'WINDOWS_LOGIN', N'WINDOWS_GROUP')) THEN 1 ELSE 0 END) AS int) AS passes_caller,
       CAST(MAX(CASE WHEN l.uses_self_credential = 1 AND l.local_principal_id <> 0
                       AND p.principal_id IS NULL THEN 1 ELSE 0 END) AS int) AS hidden_login,
       CAST(COUNT_BIG(l.server_id) AS bigint) AS mappings
FROM sys.servers AS s
LEFT JOIN sys.linked_logins AS l ON l.server_id = s.server_id
LEFT JOIN sys.server_principals AS p ON p.principal_id = l.local_principal_id
WHERE s.is_linked = 1 AND s.server_id <> 0
GROUP BY s.name, s.provider, s.data_source
ORDER BY s.name OPTION (MAXDOP 1)",
    columns: &[
        ("name", Type::Text),
        ("provider", Type::Text),
        ("data_source", Type::Text),
        ("passes_caller", Type::Int),
        ("hidden_login", Type::Int),
        ("mappings", Type::BigInt),
    ],
    right: DEFINITION,
    optional: true,
    since: 12,
    until: None,
    platform: None,
    why: "linked servers that pass the caller's identity on: they need delegation",
};

/// The most linked servers that are judged; the statement asks for one more, so that more than that is seen.
pub const LINKED_SERVERS_LIMIT: usize = 256;
