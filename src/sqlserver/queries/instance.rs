//! The statements about the instance itself. Texts only; when each is asked is `session`'s business, what a row means
//! `decode`'s.

use super::{DEFINITION, ENDPOINT_DEFINITION, NO_RIGHT, PERFORMANCE, SECURITY, Statement, Type};
use crate::model::instance::Platform;

/// What every login may read, and which rights it holds. A permission name unknown to the version gives NULL.
pub const PROPERTIES: Statement = Statement {
    name: "properties",
    sql: "/* mssql-kerberos-exporter properties */
SELECT CAST(SERVERPROPERTY('MachineName') AS nvarchar(128)) AS machine_name,
       CAST(SERVERPROPERTY('ServerName') AS nvarchar(256)) AS server_name,
       CAST(@@SERVERNAME AS nvarchar(256)) AS at_at_servername,
       CAST(SERVERPROPERTY('InstanceName') AS nvarchar(128)) AS instance_name,
       CAST(SERVERPROPERTY('ComputerNamePhysicalNetBIOS') AS nvarchar(128)) AS physical_name,
       CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)) AS version,
       CAST(SERVERPROPERTY('Edition') AS nvarchar(128)) AS edition,
       CAST(SERVERPROPERTY('EngineEdition') AS int) AS engine_edition,
       CAST(SERVERPROPERTY('IsClustered') AS int) AS is_clustered,
       CAST(SERVERPROPERTY('IsHadrEnabled') AS int) AS is_hadr_enabled,
       CAST(SERVERPROPERTY('PathSeparator') AS nvarchar(8)) AS path_separator,
       CAST(DEFAULT_DOMAIN() AS nvarchar(128)) AS default_domain,
       CAST(SUSER_SNAME() AS nvarchar(256)) AS login,
       CAST(CAST(SYSUTCDATETIME() AS datetime) AS float) AS utc_now,
       CAST(HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER STATE') AS int) AS view_server_state,
       CAST(HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER PERFORMANCE STATE') AS int) AS view_performance_state,
       CAST(HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW SERVER SECURITY STATE') AS int) AS view_security_state,
       CAST(HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW ANY DEFINITION') AS int) AS view_any_definition,
       CAST(HAS_PERMS_BY_NAME(NULL, NULL, 'VIEW ANY ERROR LOG') AS int) AS view_any_error_log,
       CAST(HAS_PERMS_BY_NAME('sys.xp_readerrorlog', 'OBJECT', 'EXECUTE') AS int) AS execute_readerrorlog",
    columns: &[
        ("machine_name", Type::Text),
        ("server_name", Type::Text),
        ("at_at_servername", Type::Text),
        ("instance_name", Type::Text),
        ("physical_name", Type::Text),
        ("version", Type::Text),
        ("edition", Type::Text),
        ("engine_edition", Type::Int),
        ("is_clustered", Type::Int),
        ("is_hadr_enabled", Type::Int),
        ("path_separator", Type::Text),
        ("default_domain", Type::Text),
        ("login", Type::Text),
        ("utc_now", Type::Float),
        ("view_server_state", Type::Int),
        ("view_performance_state", Type::Int),
        ("view_security_state", Type::Int),
        ("view_any_definition", Type::Int),
        ("view_any_error_log", Type::Int),
        ("execute_readerrorlog", Type::Int),
    ],
    right: NO_RIGHT,
    optional: false,
    since: 12,
    until: None,
    platform: None,
    why: "names, version, clock and the rights held: decides what else is asked",
};

/// How long the engine has run. UTC without time zones: our start is UTC now minus this. `started_local` only compares.
pub const UPTIME: Statement = Statement {
    name: "uptime",
    sql: "/* mssql-kerberos-exporter uptime */
SELECT CAST(CAST(SYSUTCDATETIME() AS datetime) AS float) AS utc_now,
       CAST(i.ms_ticks - i.sqlserver_start_time_ms_ticks AS bigint) AS uptime_milliseconds,
       CAST(i.sqlserver_start_time AS float) AS started_local
FROM sys.dm_os_sys_info AS i OPTION (MAXDOP 1)",
    columns: &[
        ("utc_now", Type::Float),
        ("uptime_milliseconds", Type::BigInt),
        ("started_local", Type::Float),
    ],
    right: PERFORMANCE,
    optional: false,
    since: 12,
    until: None,
    platform: None,
    why: "the service's start: a password changed after it, a restart pending, counters that start over",
};

/// Live ports.
pub const LISTENERS: Statement = Statement {
    name: "listeners",
    sql: "/* mssql-kerberos-exporter listeners */
SELECT CAST(l.ip_address AS nvarchar(48)) AS ip_address,
       CAST(l.port AS int) AS port,
       CAST(l.type_desc AS nvarchar(60)) AS type_desc,
       CAST(l.state_desc AS nvarchar(60)) AS state_desc
FROM sys.dm_tcp_listener_states AS l OPTION (MAXDOP 1)",
    columns: &[
        ("ip_address", Type::Text),
        ("port", Type::Int),
        ("type_desc", Type::Text),
        ("state_desc", Type::Text),
    ],
    right: SECURITY,
    optional: false,
    since: 12,
    until: None,
    platform: None,
    why: "the ports that are live: each needs an SPN",
};

/// The platform, where PathSeparator did not tell.
pub const HOST: Statement = Statement {
    name: "host",
    sql: "/* mssql-kerberos-exporter host */
SELECT CAST(h.host_platform AS nvarchar(256)) AS host_platform
FROM sys.dm_os_host_info AS h OPTION (MAXDOP 1)",
    columns: &[("host_platform", Type::Text)],
    right: PERFORMANCE,
    optional: false,
    since: 14,
    until: None,
    platform: None,
    why: "Windows or Linux; asked only where SERVERPROPERTY('PathSeparator') is NULL on 2017 or later",
};

/// Our own row.
pub const OWN_SESSION: Statement = Statement {
    name: "own_session",
    sql: "/* mssql-kerberos-exporter own_session */
SELECT CAST(c.auth_scheme AS nvarchar(40)) AS auth_scheme,
       CAST(c.net_transport AS nvarchar(40)) AS net_transport,
       CAST(c.client_net_address AS nvarchar(48)) AS client_net_address,
       CAST(c.local_net_address AS nvarchar(48)) AS local_net_address,
       CAST(c.encrypt_option AS nvarchar(40)) AS encrypt_option
FROM sys.dm_exec_connections AS c
WHERE c.session_id = @@SPID AND c.parent_connection_id IS NULL OPTION (MAXDOP 1)",
    columns: &[
        ("auth_scheme", Type::Text),
        ("net_transport", Type::Text),
        ("client_net_address", Type::Text),
        ("local_net_address", Type::Text),
        ("encrypt_option", Type::Text),
    ],
    right: PERFORMANCE,
    optional: false,
    since: 12,
    until: None,
    platform: None,
    why: "how the exporter itself is connected, and whether it runs on the instance's host",
};

/// Addresses on which clients reached the instance.
pub const LOCAL_ADDRESSES: Statement = Statement {
    name: "local_addresses",
    sql: "/* mssql-kerberos-exporter local_addresses */
SELECT DISTINCT CAST(c.local_net_address AS nvarchar(48)) AS local_net_address
FROM sys.dm_exec_connections AS c
WHERE c.local_net_address IS NOT NULL OPTION (MAXDOP 1)",
    columns: &[("local_net_address", Type::Text)],
    right: PERFORMANCE,
    optional: false,
    since: 12,
    until: None,
    platform: None,
    why: "the instance's own addresses: connections from them are local",
};

/// Configured network protocols.
pub const REGISTRY: Statement = Statement {
    name: "registry",
    sql: "/* mssql-kerberos-exporter registry */
SELECT CAST(r.registry_key AS nvarchar(256)) AS registry_key,
       CAST(r.value_name AS nvarchar(256)) AS value_name,
       CAST(r.value_data AS nvarchar(256)) AS value_data
FROM sys.dm_server_registry AS r
WHERE r.registry_key LIKE N'%SuperSocketNetLib%' OPTION (MAXDOP 1)",
    columns: &[("registry_key", Type::Text), ("value_name", Type::Text), ("value_data", Type::Text)],
    right: PERFORMANCE,
    optional: false,
    since: 12,
    until: None,
    platform: Some(Platform::Windows),
    why: "the ports that are configured: static or dynamic, restart pending, TCP off",
};

/// The service's account. Linux is not asked: the view makes up LocalSystem there.
pub const SERVICE: Statement = Statement {
    name: "service",
    sql: "/* mssql-kerberos-exporter service */
SELECT CAST(s.servicename AS nvarchar(256)) AS servicename,
       CAST(s.service_account AS nvarchar(256)) AS service_account,
       CAST(s.is_clustered AS nvarchar(1)) AS is_clustered,
       CAST(s.process_id AS int) AS process_id
FROM sys.dm_server_services AS s
WHERE s.servicename LIKE N'SQL Server (%' OPTION (MAXDOP 1)",
    columns: &[
        ("servicename", Type::Text),
        ("service_account", Type::Text),
        ("is_clustered", Type::Text),
        ("process_id", Type::Int),
    ],
    right: SECURITY,
    optional: false,
    since: 12,
    until: None,
    platform: Some(Platform::Windows),
    why: "the account that must hold the SPNs",
};

/// Endpoints of mirroring and availability groups.
pub const ENDPOINTS: Statement = Statement {
    name: "endpoints",
    sql: "/* mssql-kerberos-exporter endpoints */
SELECT CAST(d.name AS nvarchar(128)) AS name,
       CAST(t.port AS int) AS port,
       CAST(d.connection_auth_desc AS nvarchar(60)) AS connection_auth_desc
FROM sys.database_mirroring_endpoints AS d
JOIN sys.tcp_endpoints AS t ON t.endpoint_id = d.endpoint_id OPTION (MAXDOP 1)",
    columns: &[("name", Type::Text), ("port", Type::Int), ("connection_auth_desc", Type::Text)],
    right: ENDPOINT_DEFINITION,
    optional: true,
    since: 12,
    until: None,
    platform: None,
    why: "Kerberos between replicas: the endpoint's SPN",
};

/// Groups with this replica's role.
pub const AVAILABILITY_GROUPS: Statement = Statement {
    name: "availability_groups",
    sql: "/* mssql-kerberos-exporter availability_groups */
SELECT CAST(g.name AS nvarchar(128)) AS name,
       CAST(s.role_desc AS nvarchar(60)) AS role_desc,
       CAST(g.is_distributed AS bit) AS is_distributed
FROM sys.availability_groups AS g
LEFT JOIN sys.dm_hadr_availability_replica_states AS s ON s.group_id = g.group_id AND s.is_local = 1
OPTION (MAXDOP 1)",
    columns: GROUP_COLUMNS,
    right: DEFINITION,
    optional: true,
    since: 13,
    until: None,
    platform: None,
    why: "availability groups and this replica's role in each",
};

/// The same before 2016, which has no distributed groups.
pub const AVAILABILITY_GROUPS_2014: Statement = Statement {
    name: "availability_groups_2014",
    sql: "/* mssql-kerberos-exporter availability_groups_2014 */
SELECT CAST(g.name AS nvarchar(128)) AS name,
       CAST(s.role_desc AS nvarchar(60)) AS role_desc,
       CAST(0 AS bit) AS is_distributed
FROM sys.availability_groups AS g
LEFT JOIN sys.dm_hadr_availability_replica_states AS s ON s.group_id = g.group_id AND s.is_local = 1
OPTION (MAXDOP 1)",
    since: 12,
    until: Some(13),
    ..AVAILABILITY_GROUPS
};

const GROUP_COLUMNS: &[(&str, Type)] =
    &[("name", Type::Text), ("role_desc", Type::Text), ("is_distributed", Type::Bit)];

/// Listeners, for builds without the column `is_distributed_network_name`.
pub const AVAILABILITY_LISTENERS: Statement = Statement {
    name: "availability_listeners",
    sql: "/* mssql-kerberos-exporter availability_listeners */
SELECT CAST(g.name AS nvarchar(128)) AS group_name,
       CAST(l.dns_name AS nvarchar(63)) AS dns_name,
       CAST(l.port AS int) AS port,
       CAST(0 AS bit) AS is_distributed_network_name
FROM sys.availability_group_listeners AS l
JOIN sys.availability_groups AS g ON g.group_id = l.group_id OPTION (MAXDOP 1)",
    columns: &[
        ("group_name", Type::Text),
        ("dns_name", Type::Text),
        ("port", Type::Int),
        ("is_distributed_network_name", Type::Bit),
    ],
    right: DEFINITION,
    optional: true,
    since: 12,
    until: Some(16),
    platform: None,
    why: "listener names: each needs an SPN, which SQL Server never registers",
};

/// The same with the column: 2016 SP3, 2017 CU25, 2019 CU8, 2022 (`session` looks at the build).
pub const AVAILABILITY_LISTENERS_DNN: Statement = Statement {
    name: "availability_listeners_dnn",
    sql: "/* mssql-kerberos-exporter availability_listeners_dnn */
SELECT CAST(g.name AS nvarchar(128)) AS group_name,
       CAST(l.dns_name AS nvarchar(63)) AS dns_name,
       CAST(l.port AS int) AS port,
       CAST(l.is_distributed_network_name AS bit) AS is_distributed_network_name
FROM sys.availability_group_listeners AS l
JOIN sys.availability_groups AS g ON g.group_id = l.group_id OPTION (MAXDOP 1)",
    since: 13,
    until: None,
    ..AVAILABILITY_LISTENERS
};

/// Addresses of listeners that are online here.
pub const AVAILABILITY_ADDRESSES: Statement = Statement {
    name: "availability_addresses",
    sql: "/* mssql-kerberos-exporter availability_addresses */
SELECT CAST(g.name AS nvarchar(128)) AS group_name,
       CAST(l.dns_name AS nvarchar(63)) AS dns_name,
       CAST(a.ip_address AS nvarchar(48)) AS ip_address
FROM sys.availability_group_listener_ip_addresses AS a
JOIN sys.availability_group_listeners AS l ON l.listener_id = a.listener_id
JOIN sys.availability_groups AS g ON g.group_id = l.group_id
WHERE a.state_desc = N'ONLINE' OPTION (MAXDOP 1)",
    columns: &[("group_name", Type::Text), ("dns_name", Type::Text), ("ip_address", Type::Text)],
    right: DEFINITION,
    optional: true,
    since: 12,
    until: None,
    platform: None,
    why: "a listener's addresses: ports on them are the listener's, connections from them local",
};

/// This replica's routing URLs.
pub const ROUTING_URLS: Statement = Statement {
    name: "routing_urls",
    sql: "/* mssql-kerberos-exporter routing_urls */
SELECT CAST(r.read_only_routing_url AS nvarchar(256)) AS read_only_routing_url,
       CAST(r.read_write_routing_url AS nvarchar(256)) AS read_write_routing_url
FROM sys.availability_replicas AS r
JOIN sys.dm_hadr_availability_replica_states AS s ON s.replica_id = r.replica_id
WHERE s.is_local = 1 OPTION (MAXDOP 1)",
    columns: ROUTING_COLUMNS,
    right: DEFINITION,
    optional: true,
    since: 15,
    until: None,
    platform: None,
    why: "redirected clients ask for the SPN of the URL's host and port",
};

/// The same before 2019, which knows read-only routing only.
pub const ROUTING_URLS_2014: Statement = Statement {
    name: "routing_urls_2014",
    sql: "/* mssql-kerberos-exporter routing_urls_2014 */
SELECT CAST(r.read_only_routing_url AS nvarchar(256)) AS read_only_routing_url,
       CAST(NULL AS nvarchar(256)) AS read_write_routing_url
FROM sys.availability_replicas AS r
JOIN sys.dm_hadr_availability_replica_states AS s ON s.replica_id = r.replica_id
WHERE s.is_local = 1 OPTION (MAXDOP 1)",
    since: 12,
    until: Some(15),
    ..ROUTING_URLS
};

const ROUTING_COLUMNS: &[(&str, Type)] =
    &[("read_only_routing_url", Type::Text), ("read_write_routing_url", Type::Text)];
