//! Runs translated statements on an in-memory SQLite whose attached schema `sys` holds the views read.
//! Every statement has a database of its own; nothing is kept between statements.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use rusqlite::{
    Connection, Error as SqliteError,
    functions::{Context, FunctionFlags},
    params_from_iter,
    types::{Null, Value},
};

use super::{
    catalogue,
    compile::{CompiledQuery, OutputColumn, quoted},
    convert::convert,
    dates,
    failure::SqlError,
    tables,
    text_functions::{like, text_function},
    types::SqlType,
    world::World,
};

/// Rows with their types.
#[derive(Clone, Debug)]
pub(crate) struct ResultSet {
    /// Columns.
    pub(crate) columns: Vec<OutputColumn>,
    /// Values, in the order of the columns.
    pub(crate) rows: Vec<Vec<Value>>,
}

/// A translated statement with what it needs at run time.
pub(crate) struct Plan {
    /// The text.
    pub(crate) query: CompiledQuery,
    /// Views to provide, with the columns read.
    pub(crate) reads: BTreeMap<String, std::collections::BTreeSet<String>>,
    /// Variables in the order of their numbers.
    pub(crate) binds: Vec<String>,
}

/// Runs a statement.
pub(crate) fn run(
    world: &Arc<World>,
    plan: &Plan,
    variables: &BTreeMap<String, (SqlType, Value)>,
) -> Result<ResultSet, SqlError> {
    let connection = Connection::open_in_memory().map_err(from_sqlite)?;
    connection.execute_batch("ATTACH ':memory:' AS sys").map_err(from_sqlite)?;
    register(&connection, world).map_err(from_sqlite)?;
    for (view, columns) in &plan.reads {
        let object = catalogue::object(view, world.version()).ok_or_else(|| SqlError::no_object(view))?;
        let table = tables::read(world, object, columns)?;
        provide(&connection, view.trim_start_matches("sys."), &table).map_err(from_sqlite)?;
    }
    let values =
        plan.binds.iter().map(|name| variables.get(name).map_or(Value::Null, |(_, value)| value.clone()));
    let mut statement = connection.prepare(&plan.query.sql).map_err(from_sqlite)?;
    let width = plan.query.columns.len();
    let read =
        |row: &rusqlite::Row<'_>| (0..width).map(|at| row.get::<_, Value>(at)).collect::<Result<Vec<_>, _>>();
    let rows = statement
        .query_map(params_from_iter(values), read)
        .and_then(|rows| rows.collect::<Result<Vec<_>, _>>())
        .map_err(from_sqlite)?;
    check_bounds(&plan.query.columns, &rows)?;
    Ok(ResultSet { columns: plan.query.columns.clone(), rows })
}

/// Integers that do not fit the type of their column are an overflow, as they are in the server.
fn check_bounds(columns: &[OutputColumn], rows: &[Vec<Value>]) -> Result<(), SqlError> {
    for row in rows {
        for (column, value) in columns.iter().zip(row) {
            if let (Value::Integer(number), Some((least, most))) = (value, column.kind.bounds())
                && !(least..=most).contains(number)
            {
                return Err(SqlError::overflow(column.kind.bare_name()));
            }
        }
    }
    Ok(())
}

fn provide(connection: &Connection, name: &str, table: &tables::Table) -> Result<(), SqliteError> {
    // A table needs a column even if the statement only counts rows.
    let columns: Vec<String> = if table.columns.is_empty() {
        vec!["\"\"".to_owned()]
    } else {
        table.columns.iter().map(|column| format!("{} COLLATE NOCASE", quoted(column))).collect()
    };
    connection.execute_batch(&format!("CREATE TABLE sys.{} ({})", quoted(name), columns.join(", ")))?;
    let marks = vec!["?"; columns.len()].join(", ");
    let transaction = connection.unchecked_transaction()?;
    let mut insert = transaction.prepare(&format!("INSERT INTO sys.{} VALUES ({marks})", quoted(name)))?;
    for row in &table.rows {
        if row.is_empty() {
            insert.execute([Null])?;
        } else {
            insert.execute(params_from_iter(row))?;
        }
    }
    drop(insert);
    transaction.commit()
}

fn register(connection: &Connection, world: &Arc<World>) -> Result<(), SqliteError> {
    add(connection, "ts_convert", 4, conversion)?;
    add(connection, "ts_try_convert", 4, |context| Ok(conversion(context).unwrap_or(Value::Null)))?;
    add(connection, "ts_like", 3, |context| {
        let (Some(text), Some(pattern)) = (text(context, 0)?, text(context, 1)?) else {
            return Ok(Value::Null);
        };
        let escape = text_or_empty(context, 2)?;
        Ok(Value::Integer(i64::from(like(&text, &pattern, escape.chars().next()))))
    })?;
    add(connection, "ts_divide", 3, |context| {
        divide(&value(context, 0)?, &value(context, 1)?, &text_or_empty(context, 2)?)
    })?;
    add(connection, "ts_datediff", 4, |context| {
        let (Value::Real(from), Value::Real(to)) = (value(context, 1)?, value(context, 2)?) else {
            return Ok(Value::Null);
        };
        let part = text_or_empty(context, 0)?;
        let count = dates::difference(&part, from, to).ok_or_else(|| no_date_part(&part, "datediff"))?;
        let kind = SqlType::parse(&text_or_empty(context, 3)?).unwrap_or(SqlType::Int);
        let (least, most) = kind.bounds().unwrap_or((i64::MIN, i64::MAX));
        if (least..=most).contains(&count) {
            return Ok(Value::Integer(count));
        }
        let text = "The datediff function resulted in an overflow. The number of dateparts separating two date/time \
                    instances is too large. Try to use datediff with a less precise datepart.";
        Err(SqlError::of(535, text))
    })?;
    add(connection, "ts_dateadd", 3, |context| {
        let (Value::Integer(number), Value::Real(date)) = (value(context, 1)?, value(context, 2)?) else {
            return Ok(Value::Null);
        };
        let part = text_or_empty(context, 0)?;
        let unit = dates::unit_days(&part).ok_or_else(|| no_date_part(&part, "dateadd"))?;
        Ok(Value::Real(date + number as f64 * unit))
    })?;
    add(connection, "ts_text", -1, |context| {
        let arguments: Result<Vec<Value>, SqlError> =
            (1..context.len()).map(|at| value(context, at)).collect();
        Ok(text_function(&text_or_empty(context, 0)?, &arguments?))
    })?;
    let about = Arc::clone(world);
    add(connection, "ts_global", 1, move |context| Ok(about.global(&text_or_empty(context, 0)?)))?;
    let about = Arc::clone(world);
    add(connection, "ts_serverproperty", 1, move |context| {
        Ok(about.server_property(&text_or_empty(context, 0)?))
    })?;
    let about = Arc::clone(world);
    add(connection, "ts_connectionproperty", 1, move |context| {
        Ok(about.connection_property(&text_or_empty(context, 0)?))
    })?;
    let about = Arc::clone(world);
    add(connection, "ts_suser_sid", 1, move |context| {
        let Some(name) = text(context, 0)? else { return Ok(Value::Null) };
        if !name.contains('\\') {
            return Err(SqlError::not_played("SUSER_SID of a SQL login"));
        }
        about.asked_host.store(true, Ordering::Relaxed);
        let sid = about.names.sid(&name).filter(|_| about.spec().translates_names);
        Ok(sid.map_or(Value::Null, Value::Blob))
    })?;
    let about = Arc::clone(world);
    add(connection, "ts_is_srvrolemember", 1, move |context| {
        let is_admin = about.prepared.rights.has("CONTROL SERVER");
        let role = text_or_empty(context, 0)?.to_ascii_lowercase();
        Ok(match role.as_str() {
            "public" => Value::Integer(1),
            "sysadmin" | "securityadmin" | "serveradmin" | "setupadmin" => {
                Value::Integer(i64::from(is_admin))
            }
            _ => Value::Null,
        })
    })?;
    let about = Arc::clone(world);
    add(connection, "ts_has_perms_by_name", 3, move |context| {
        let (securable, class) = (text(context, 0)?, text(context, 1)?);
        let Some(permission) = text(context, 2)? else { return Ok(Value::Null) };
        let answer = about.prepared.rights.by_name(securable.as_deref(), class.as_deref(), &permission);
        Ok(answer.map_or(Value::Null, Value::Integer))
    })
}

fn add(
    connection: &Connection,
    name: &str,
    n_arguments: i32,
    function: impl Fn(&Context<'_>) -> Result<Value, SqlError> + Send + 'static,
) -> Result<(), SqliteError> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function(name, n_arguments, flags, move |context| {
        function(context).map_err(|error| SqliteError::UserFunctionError(error.to_channel().into()))
    })
}

fn conversion(context: &Context<'_>) -> Result<Value, SqlError> {
    let kind = |at| Ok(SqlType::parse(&text_or_empty(context, at)?).unwrap_or(SqlType::Variant));
    let style = match value(context, 3)? {
        Value::Integer(style) => style,
        _ => 0,
    };
    convert(value(context, 0)?, kind(1)?, kind(2)?, style)
}

fn divide(left: &Value, right: &Value, sign: &str) -> Result<Value, SqlError> {
    let by_zero = || SqlError::of(8134, "Divide by zero error encountered.");
    let real = |value: &Value| match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Real(number) => Some(*number),
        _ => None,
    };
    Ok(match (left, right) {
        (Value::Integer(_), Value::Integer(0)) => return Err(by_zero()),
        (Value::Integer(left), Value::Integer(right)) if sign == "%" => {
            Value::Integer(left.wrapping_rem(*right))
        }
        (Value::Integer(left), Value::Integer(right)) => Value::Integer(left.wrapping_div(*right)),
        _ => match (real(left), real(right)) {
            (Some(_), Some(0.0)) => return Err(by_zero()),
            (Some(left), Some(right)) if sign == "%" => Value::Real(left % right),
            (Some(left), Some(right)) => Value::Real(left / right),
            _ => Value::Null,
        },
    })
}

fn no_date_part(part: &str, function: &str) -> SqlError {
    SqlError { class: 15, ..SqlError::of(155, format!("'{part}' is not a recognized {function} option.")) }
}

fn value(context: &Context<'_>, at: usize) -> Result<Value, SqlError> {
    context.get::<Value>(at).map_err(from_sqlite)
}

fn text(context: &Context<'_>, at: usize) -> Result<Option<String>, SqlError> {
    Ok(match value(context, at)? {
        Value::Text(text) => Some(text),
        Value::Integer(number) => Some(number.to_string()),
        _ => None,
    })
}

fn text_or_empty(context: &Context<'_>, at: usize) -> Result<String, SqlError> {
    Ok(text(context, at)?.unwrap_or_default())
}

fn from_sqlite(error: SqliteError) -> SqlError {
    let text = error.to_string();
    if text.contains("integer overflow") {
        return SqlError::overflow("bigint");
    }
    SqlError::from_channel(&text)
        .unwrap_or_else(|| SqlError::not_played(format_args!("this statement ({text})")))
}
