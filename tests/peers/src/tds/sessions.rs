//! Rows of `sys.dm_exec_connections` and `sys.dm_exec_sessions`: the scenario's clients and the real ones.
//! Endpoint rows without a session come from the scenario's `tables`.

use rusqlite::types::Value;

use super::{
    dates,
    properties::LOOPBACK,
    spec::ConnectionSpec,
    tables::{BaseRow, row, text},
    world::{Session, World},
};

/// First session id of the scenario's clients; the real ones take those from [`FIRST_REAL`] on.
const FIRST_PLAYED: i64 = 200;
/// First session id of users: lower ones belong to the system (sys.dm_exec_sessions page).
pub(crate) const FIRST_REAL: i64 = 51;
/// Session ids of the view are smallint.
const LAST_SESSION: i64 = 32_767;

/// Rows of `sys.dm_exec_connections`.
pub(crate) fn connections(world: &World) -> Vec<BaseRow> {
    let mut rows: Vec<BaseRow> = world.open.iter().map(|session| own_connection(world, session)).collect();
    for (index, group) in played(world) {
        let is_tcp = group.transport.eq_ignore_ascii_case("TCP");
        let session_id = Value::Integer(session_id(index));
        let tcp_only = |value: Value| if is_tcp { value } else { Value::Null };
        let since = connected(world, group);
        rows.push(row([
            ("session_id", session_id.clone()),
            ("most_recent_session_id", session_id),
            ("connect_time", since.clone()),
            ("net_transport", text(&group.transport)),
            ("protocol_type", text("TSQL")),
            ("protocol_version", Value::Integer(TDS_7_4)),
            ("endpoint_id", Value::Integer(endpoint(&group.transport))),
            ("encrypt_option", text("FALSE")),
            ("auth_scheme", text(&group.scheme)),
            ("last_read", since.clone()),
            ("last_write", since),
            ("net_packet_size", Value::Integer(4_096)),
            ("client_net_address", client_address(group)),
            ("client_tcp_port", tcp_only(Value::Integer(49_152 + index % 16_384))),
            ("local_net_address", tcp_only(text(&world.spec().address))),
            ("local_tcp_port", tcp_only(Value::Integer(world.first_port()))),
            ("connection_id", connection_id(1, index)),
        ]));
    }
    rows
}

/// Rows of `sys.dm_exec_sessions`.
pub(crate) fn sessions(world: &World) -> Vec<BaseRow> {
    let mut rows: Vec<BaseRow> = world.open.iter().map(|session| own_session(world, session)).collect();
    let optional = |value: &Option<String>| value.clone().map_or(Value::Null, Value::Text);
    for (index, group) in played(world) {
        let user =
            group.login.as_deref().and_then(|login| login.split_once('\\')).map(|(_, user)| text(user));
        let login = group.login.clone().unwrap_or_else(|| "sa".to_owned());
        let since = connected(world, group);
        rows.push(row([
            ("session_id", Value::Integer(session_id(index))),
            ("login_time", since.clone()),
            ("last_request_start_time", since),
            ("host_name", optional(&group.host)),
            ("program_name", optional(&group.program)),
            ("client_interface_name", text(".Net SqlClient Data Provider")),
            ("login_name", text(&login)),
            ("original_login_name", text(&login)),
            ("nt_domain", optional(&group.domain)),
            ("nt_user_name", user.unwrap_or(Value::Null)),
            ("status", text("sleeping")),
            ("is_user_process", Value::Integer(1)),
            ("endpoint_id", Value::Integer(endpoint(&group.transport))),
            ("database_id", Value::Integer(1)),
        ]));
    }
    rows
}

/// 7.4 as the view shows it: the version number of LOGIN7 (MS-TDS 2.2.6.4) as an int.
const TDS_7_4: i64 = 0x7400_0004;

fn own_connection(world: &World, session: &Session) -> BaseRow {
    row([
        ("session_id", Value::Integer(session.id)),
        ("most_recent_session_id", Value::Integer(session.id)),
        ("connect_time", world.local(session.since)),
        ("net_transport", text("TCP")),
        ("protocol_type", text("TSQL")),
        ("protocol_version", Value::Integer(TDS_7_4)),
        ("endpoint_id", Value::Integer(4)),
        ("encrypt_option", text(if session.is_encrypted { "TRUE" } else { "FALSE" })),
        ("auth_scheme", text(session.scheme)),
        ("last_read", world.local(world.now)),
        ("last_write", world.local(world.now)),
        ("net_packet_size", Value::Integer(4_096)),
        ("client_net_address", text(&session.address)),
        ("client_tcp_port", Value::Integer(session.port)),
        ("local_net_address", text(LOOPBACK)),
        ("local_tcp_port", Value::Integer(world.first_port())),
        ("connection_id", connection_id(2, session.serial as i64)),
    ])
}

fn own_session(world: &World, session: &Session) -> BaseRow {
    let status = if session.id == world.session.id { "running" } else { "sleeping" };
    let (domain, user) = match session.login.split_once('\\') {
        Some((domain, user)) => (text(domain), text(user)),
        None => (Value::Null, Value::Null),
    };
    row([
        ("session_id", Value::Integer(session.id)),
        ("login_time", world.local(session.since)),
        ("last_request_start_time", world.local(world.now)),
        ("host_name", text(&session.host)),
        ("program_name", text(&session.program)),
        ("client_interface_name", text("TDS client")),
        ("login_name", text(&session.login)),
        ("original_login_name", text(&session.login)),
        ("nt_domain", domain),
        ("nt_user_name", user),
        ("status", text(status)),
        ("is_user_process", Value::Integer(1)),
        ("endpoint_id", Value::Integer(4)),
        ("database_id", Value::Integer(1)),
    ])
}

fn played(world: &World) -> impl Iterator<Item = (i64, &ConnectionSpec)> {
    let groups = &world.spec().connections;
    let each = groups.iter().flat_map(|group| (0..group.count).map(move |_| group));
    each.enumerate().map(|(index, group)| (index as i64, group))
}

fn session_id(index: i64) -> i64 {
    FIRST_PLAYED + index % (LAST_SESSION - FIRST_PLAYED)
}

fn connected(world: &World, group: &ConnectionSpec) -> Value {
    let since = world.prepared.placed - group.age_seconds as f64 / dates::SECONDS_PER_DAY;
    world.local(since)
}

fn client_address(group: &ConnectionSpec) -> Value {
    match (&group.client, group.transport.to_ascii_lowercase().as_str()) {
        (Some(address), _) => text(address),
        (None, "shared memory") => text("<local machine>"),
        (None, "named pipe") => text("<named pipe>"),
        (None, _) => Value::Null,
    }
}

/// Endpoint of a transport (sys.endpoints page).
fn endpoint(transport: &str) -> i64 {
    match transport.to_ascii_lowercase().as_str() {
        "shared memory" => 2,
        "named pipe" => 3,
        _ => 4,
    }
}

fn connection_id(kind: u8, number: i64) -> Value {
    Value::Text(format!("00000000-0000-4000-80{kind:02X}-{number:012X}"))
}
