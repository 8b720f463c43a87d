//! `xp_readerrorlog` and `sp_readerrorlog`: rows of the scenario's table `xp_readerrorlog`, filtered by text.
//! Only the current log of the engine has lines; the further arguments (times, order) are refused.

use rusqlite::types::Value;

use super::{catalogue, compile::OutputColumn, engine::ResultSet, failure::SqlError, tables, world::World};

/// Whether the name is one of the two procedures.
pub(crate) fn is_reader(procedure: &str) -> bool {
    let bare = procedure.rsplit('.').next().unwrap_or(procedure);
    ["xp_readerrorlog", "sp_readerrorlog"].iter().any(|name| bare.eq_ignore_ascii_case(name))
}

/// Reads the log: which log, which product, two texts that must both occur.
pub(crate) fn read(world: &World, procedure: &str, arguments: &[Value]) -> Result<ResultSet, SqlError> {
    if !world.prepared.rights.may_execute(procedure) {
        return Err(execute_denied(procedure));
    }
    if arguments.len() > 4 {
        return Err(SqlError::not_played("xp_readerrorlog with times or order"));
    }
    let object = catalogue::object("xp_readerrorlog", world.version())
        .ok_or_else(|| SqlError::no_object("xp_readerrorlog"))?;
    let columns: Vec<OutputColumn> = object
        .columns(world.version())
        .map(|column| OutputColumn { name: column.name.clone(), kind: column.kind })
        .collect();
    let is_current = |at: usize, wanted: i64| match arguments.get(at) {
        Some(Value::Integer(number)) => *number == wanted,
        _ => true,
    };
    let mut rows = Vec::new();
    if is_current(0, 0) && is_current(1, 1) {
        rows = tables::appended(world, object)?;
    }
    for filter in arguments.iter().skip(2) {
        if let Value::Text(wanted) = filter {
            let wanted = wanted.to_lowercase();
            rows.retain(|row| match row.last() {
                Some(Value::Text(line)) => line.to_lowercase().contains(&wanted),
                _ => false,
            });
        }
    }
    Ok(ResultSet { columns, rows })
}

/// The refusal of a procedure.
pub(crate) fn execute_denied(procedure: &str) -> SqlError {
    let bare = procedure.rsplit('.').next().unwrap_or(procedure);
    let text = format!(
        "The EXECUTE permission was denied on the object '{bare}', database 'mssqlsystemresource', schema 'sys'."
    );
    SqlError { state: 5, ..SqlError::denied(229, text) }
}
