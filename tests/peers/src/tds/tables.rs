//! Rows of the system views: what the scenario's server implies, then the rows the scenario appends.
//! Columns that nothing sets are NULL, or the emptiest value where NULL cannot occur.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::types::Value;

use super::{
    catalogue::{Column, Object},
    convert, dates,
    failure::SqlError,
    properties::{self, LOOPBACK, PROCESS_ID},
    rights::Sight,
    sessions,
    spec::{Cell, Platform},
    types::{Family, SqlType},
    world::World,
};

/// A row that a view has by itself: the columns that matter.
pub(crate) type BaseRow = BTreeMap<&'static str, Value>;

/// Rows of a view as the asking login sees them, cut to some columns.
pub(crate) struct Table {
    /// Lower-case column names.
    pub(crate) columns: Vec<String>,
    /// Values in the order of the columns.
    pub(crate) rows: Vec<Vec<Value>>,
}

/// Reads a view, or is refused.
pub(crate) fn read(world: &World, object: &Object, wanted: &BTreeSet<String>) -> Result<Table, SqlError> {
    let sight = world.prepared.rights.sight(object)?;
    let columns: Vec<&Column> = object
        .columns(world.version())
        .filter(|column| wanted.contains(&column.name.to_ascii_lowercase()))
        .collect();
    let mut table = Table {
        columns: columns.iter().map(|column| column.name.to_ascii_lowercase()).collect(),
        rows: Vec::new(),
    };
    if sight == Sight::Nothing {
        return Ok(table);
    }
    let view = object.name.to_ascii_lowercase();
    for mut row in base_rows(world, &view) {
        if sight == Sight::OwnSession && row.get("session_id") != Some(&Value::Integer(world.session.id)) {
            continue;
        }
        let fill = |column: &&Column| row.remove(column.name.as_str()).unwrap_or_else(|| empty(column));
        table.rows.push(columns.iter().map(fill).collect());
    }
    if sight == Sight::All {
        for row in world.prepared.tables.get(&view).into_iter().flatten() {
            let fill = |column: &&Column| match row.get(&column.name.to_ascii_lowercase()) {
                Some(cell) => typed(world, cell, column.kind),
                None => Ok(empty(column)),
            };
            table.rows.push(columns.iter().map(fill).collect::<Result<_, _>>()?);
        }
    }
    Ok(table)
}

/// Rows that the scenario appends to a view or procedure, with every column.
pub(crate) fn appended(world: &World, object: &Object) -> Result<Vec<Vec<Value>>, SqlError> {
    let rows = world.prepared.tables.get(&object.name.to_ascii_lowercase());
    let read = |row: &super::world::Row| {
        let fill = |column: &Column| match row.get(&column.name.to_ascii_lowercase()) {
            Some(cell) => typed(world, cell, column.kind),
            None => Ok(Value::Null),
        };
        object.columns(world.version()).map(fill).collect()
    };
    rows.into_iter().flatten().map(read).collect()
}

fn base_rows(world: &World, view: &str) -> Vec<BaseRow> {
    let on_windows = world.spec().platform == Platform::Windows;
    match view {
        "sys.dm_exec_connections" => sessions::connections(world),
        "sys.dm_exec_sessions" => sessions::sessions(world),
        "sys.dm_server_registry" => super::registry::rows(world),
        "sys.dm_tcp_listener_states" => listeners(world),
        "sys.dm_server_services" => services(world),
        "sys.dm_os_sys_info" => vec![engine_times(world)],
        "sys.dm_os_host_info" => vec![host(world)],
        "sys.dm_os_windows_info" if on_windows => {
            vec![row([("windows_release", text("10.0")), ("os_language_version", Value::Integer(1033))])]
        }
        "sys.servers" => vec![row([
            ("server_id", Value::Integer(0)),
            ("name", Value::Text(world.spec().server_name())),
            ("product", text("SQL Server")),
            ("provider", text("SQLNCLI")),
            ("data_source", Value::Text(world.spec().server_name())),
            ("modify_date", world.local(world.prepared.started)),
        ])],
        "sys.endpoints" | "sys.tcp_endpoints" => endpoints(view == "sys.tcp_endpoints"),
        _ => Vec::new(),
    }
}

/// The endpoints that every instance has (sys.endpoints page: system endpoints).
fn endpoints(only_tcp: bool) -> Vec<BaseRow> {
    let all = [
        (1, "Dedicated Admin Connection", 2, "TCP", true),
        (2, "TSQL Local Machine", 4, "SHARED_MEMORY", false),
        (3, "TSQL Named Pipes", 3, "NAMED_PIPES", false),
        (4, "TSQL Default TCP", 2, "TCP", false),
    ];
    all.into_iter()
        .filter(|(_, _, protocol, ..)| !only_tcp || *protocol == 2)
        .map(|(id, name, protocol, description, is_admin)| {
            row([
                ("endpoint_id", Value::Integer(id)),
                ("name", text(name)),
                ("principal_id", Value::Integer(1)),
                ("protocol", Value::Integer(protocol)),
                ("protocol_desc", text(description)),
                ("type", Value::Integer(2)),
                ("type_desc", text("TSQL")),
                ("state", Value::Integer(0)),
                ("state_desc", text("STARTED")),
                ("is_admin_endpoint", Value::Integer(i64::from(is_admin))),
                ("port", Value::Integer(0)),
            ])
        })
        .collect()
}

/// Loopback port of the dedicated administrator connection ("Diagnostic connection for database administrators").
pub(crate) const ADMIN_PORT: u16 = 1434;

fn listeners(world: &World) -> Vec<BaseRow> {
    let spec = world.spec();
    let mut rows = Vec::new();
    let mut add = |address: &str, port: u16| {
        let id = Value::Integer(rows.len() as i64 + 1);
        rows.push(row([
            ("listener_id", id),
            ("ip_address", text(address)),
            ("is_ipv4", Value::Integer(i64::from(!address.contains(':')))),
            ("port", Value::Integer(i64::from(port))),
            ("type", Value::Integer(0)),
            ("type_desc", text("TSQL")),
            ("state", Value::Integer(0)),
            ("state_desc", text("ONLINE")),
            ("start_time", world.local(world.prepared.started)),
        ]));
    };
    for port in spec.listening_ports() {
        if spec.listen_all {
            add("::", port);
            add("0.0.0.0", port);
        } else {
            add(&spec.address, port);
        }
    }
    if spec.tcp {
        add("::1", ADMIN_PORT);
        add(LOOPBACK, ADMIN_PORT);
    }
    rows
}

fn services(world: &World) -> Vec<BaseRow> {
    let spec = world.spec();
    let instance = spec.instance_name();
    let on_linux = spec.platform == Platform::Linux;
    // Virtual accounts of the default and of a named instance ("Configure Windows service accounts").
    let (engine_service, agent_service) = match &spec.instance {
        None => ("MSSQLSERVER".to_owned(), "SQLSERVERAGENT".to_owned()),
        Some(name) => (format!("MSSQL${name}"), format!("SQLAgent${name}")),
    };
    let account = |configured: Option<&str>, service: &str| match configured {
        // On Linux the view makes an account up (First Responder Kit, issue 3702).
        _ if on_linux => "LocalSystem".to_owned(),
        Some(account) => account.to_owned(),
        None => format!("NT SERVICE\\{service}"),
    };
    let is_clustered = world.server_property("IsClustered") == Value::Integer(1);
    let node = if is_clustered { world.server_property("ComputerNamePhysicalNetBIOS") } else { Value::Null };
    let folder = format!("C:\\Program Files\\Microsoft SQL Server\\{}\\MSSQL\\Binn", world.instance_id());
    let service = |name: String, account: String, process: i64, file: String| {
        row([
            ("servicename", Value::Text(name)),
            ("startup_type", Value::Integer(2)),
            ("startup_type_desc", text("Automatic")),
            ("status", Value::Integer(4)),
            ("status_desc", text("Running")),
            ("process_id", Value::Integer(process)),
            ("last_startup_time", Value::Real(world.prepared.started)),
            ("service_account", Value::Text(account)),
            ("filename", Value::Text(file)),
            ("is_clustered", text(if is_clustered { "Y" } else { "N" })),
            ("cluster_nodename", node.clone()),
            ("instant_file_initialization_enabled", text("Y")),
        ])
    };
    vec![
        service(
            format!("SQL Server ({instance})"),
            account(spec.account.as_deref(), &engine_service),
            PROCESS_ID,
            format!("\"{folder}\\sqlservr.exe\" -s{instance}"),
        ),
        service(
            format!("SQL Server Agent ({instance})"),
            account(None, &agent_service),
            PROCESS_ID + 100,
            format!("\"{folder}\\SQLAGENT.EXE\" -i {instance}"),
        ),
    ]
}

/// Uptime of the host when the engine started, in milliseconds: any value would do.
const HOST_UPTIME_AT_START: f64 = 3_600_000.0;

fn engine_times(world: &World) -> BaseRow {
    let age = (world.now - world.prepared.started) * dates::SECONDS_PER_DAY * 1e3;
    row([
        ("ms_ticks", Value::Integer((HOST_UPTIME_AT_START + age).round() as i64)),
        ("cpu_ticks", Value::Integer(((HOST_UPTIME_AT_START + age) * 2.5e6) as i64)),
        ("sqlserver_start_time_ms_ticks", Value::Integer(HOST_UPTIME_AT_START as i64)),
        ("sqlserver_start_time", world.local(world.prepared.started)),
        ("cpu_count", Value::Integer(4)),
        ("hyperthread_ratio", Value::Integer(4)),
        ("physical_memory_kb", Value::Integer(16 << 20)),
    ])
}

fn host(world: &World) -> BaseRow {
    let (platform, distribution, release) = match world.spec().platform {
        Platform::Windows => ("Windows", "Windows Server 2022 Standard", "10.0"),
        Platform::Linux => ("Linux", "Ubuntu", "22.04"),
    };
    row([
        ("host_platform", text(platform)),
        ("host_distribution", text(distribution)),
        ("host_release", text(release)),
        ("host_service_pack_level", text("")),
        ("os_language_version", Value::Integer(1033)),
        ("host_architecture", text("X64")),
    ])
}

/// A row from names and values.
pub(crate) fn row<const N: usize>(cells: [(&'static str, Value); N]) -> BaseRow {
    cells.into_iter().collect()
}

/// A text value.
pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn empty(column: &Column) -> Value {
    if column.nullable {
        return Value::Null;
    }
    match column.kind.family() {
        Family::Text | Family::Variant | Family::Null => text(""),
        Family::Integer => Value::Integer(0),
        Family::Approximate | Family::Date => Value::Real(0.0),
        Family::Identifier => text("00000000-0000-0000-0000-000000000000"),
        Family::Binary => Value::Blob(Vec::new()),
    }
}

/// A scenario's cell as a value of the column; `-600s` is a time before the spec was put in place.
fn typed(world: &World, cell: &Cell, kind: SqlType) -> Result<Value, SqlError> {
    let value = properties::plain(cell);
    if let (Value::Text(text), Family::Date) = (&value, kind.family()) {
        let seconds = text.strip_prefix('-').and_then(|rest| rest.strip_suffix('s')?.parse::<f64>().ok());
        if let Some(seconds) = seconds {
            let moment = world.prepared.placed - seconds / dates::SECONDS_PER_DAY;
            let is_utc = matches!(kind, SqlType::DateTimeOffset(_));
            return Ok(if is_utc { Value::Real(moment) } else { world.local(moment) });
        }
    }
    let from = convert::type_inside(&value);
    convert::convert(value, from, kind, 0)
}
