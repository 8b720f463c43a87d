//! Every statement under Microsoft's own T-SQL parser, and every object, column, property and permission it names against the
//! table of documented ones (`dmv.json`), for each version it is sent to. What a row means is tested elsewhere.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use mssql_kerberos_exporter::sqlserver::queries::{SESSION_SETUP, STATEMENTS, Statement};
use serde_json::{Value, json};

use crate::world::tests;

/// Years of the major versions.
const YEARS: [(u16, u64); 6] = [(12, 2014), (13, 2016), (14, 2017), (15, 2019), (16, 2022), (17, 2025)];
/// There is a parser for each version up to this one.
const NEWEST_PARSER: u64 = 2019;

/// What a statement may be made of.
const KINDS: [&str; 4] =
    ["SelectStatement", "DeclareVariableStatement", "PredicateSetStatement", "ExecuteStatement"];

/// Functions of every version since 2014 that the table does not describe.
const FUNCTIONS: [&str; 11] = [
    "@@SERVERNAME",
    "@@SPID",
    "CHARINDEX",
    "COUNT_BIG",
    "DEFAULT_DOMAIN",
    "GETDATE",
    "MAX",
    "SUM",
    "SUSER_SID",
    "SUSER_SNAME",
    "SYSUTCDATETIME",
];

/// Sent only to builds that have the column (`since_builds`), which `sqlserver` looks at.
const BY_BUILD: [&str; 1] = ["availability_listeners_dnn"];

static KNOWN: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(&std::fs::read_to_string(tests().join("peers/dmv.json")).unwrap()).unwrap()
});

/// What Microsoft's parser says of each statement, and at last of the set-up of a session. One run: the first fetches it.
static VERDICTS: LazyLock<Vec<Value>> = LazyLock::new(|| {
    let mut input: Vec<Value> = STATEMENTS
        .iter()
        .map(|statement| {
            let from_year = years(statement).next().unwrap().min(NEWEST_PARSER);
            json!({"name": statement.name, "sql": statement.sql, "from_year": from_year})
        })
        .collect();
    input.push(json!({"name": "session_setup", "sql": SESSION_SETUP, "from_year": 2014}));
    let needs = "tests/tools/tsql/check failed. It needs: apt-get install -y --no-install-recommends \
                 mono-mcs mono-runtime mono-devel python3-venv (tests/run does that), and PyPI at its first run";
    let mut child = Command::new(tests().join("tools/tsql/check"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect(needs);
    child.stdin.take().unwrap().write_all(Value::from(input).to_string().as_bytes()).expect(needs);
    let output = child.wait_with_output().unwrap();
    let verdicts: Vec<Value> = serde_json::from_slice(&output.stdout).expect(needs);
    assert_eq!(verdicts.len(), STATEMENTS.len() + 1);
    verdicts
});

fn years(statement: &Statement) -> impl Iterator<Item = u64> {
    YEARS.into_iter().filter(|(major, _)| statement.is_for(*major)).map(|(_, year)| year)
}

fn each() -> impl Iterator<Item = (&'static Statement, &'static Value)> {
    STATEMENTS.iter().copied().zip(VERDICTS.iter())
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn texts(value: &Value) -> Vec<&str> {
    items(value).iter().map(|item| item.as_str().unwrap_or_default()).collect()
}

fn none(mut wrong: Vec<String>) {
    wrong.sort();
    wrong.dedup();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_statement_parses_and_only_reads() {
    let mut wrong = Vec::new();
    for (statement, verdict) in each() {
        let name = statement.name;
        for year in years(statement).filter(|year| *year <= NEWEST_PARSER) {
            let errors = &verdict["errors"][year.to_string()];
            if errors.as_array().is_none_or(|errors| !errors.is_empty()) {
                wrong.push(format!("{name} on {year}: {errors}"));
            }
        }
        let kinds: BTreeSet<&str> = texts(&verdict["statements"]).into_iter().collect();
        if verdict["ok"] != true || kinds.is_empty() || !kinds.iter().all(|kind| KINDS.contains(kind)) {
            wrong.push(format!("{name}: {kinds:?} {} {}", verdict["errors"], verdict["refused"]));
        }
        let beginning = format!("/* mssql-kerberos-exporter {name} */");
        if !statement.sql.starts_with(&beginning) {
            wrong.push(format!("{name}: does not begin with {beginning}"));
        }
    }
    let setup = VERDICTS.last().unwrap();
    let is_set = |kind: &&str| ["PredicateSetStatement", "SetCommandStatement"].contains(kind);
    if setup["ok"] != true || !texts(&setup["statements"]).iter().all(is_set) {
        wrong.push(format!("the set-up of a session: {setup}"));
    }
    none(wrong);
}

/// Why the object is not in this year; `None`: it is.
fn object_fault(object: &str, year: u64) -> Option<String> {
    match KNOWN[object]["since"].as_u64() {
        None => Some(format!("{object} is not documented")),
        Some(since) if since > year => Some(format!("{object} is not in {year}")),
        Some(_) => None,
    }
}

/// The same for a column of the object.
fn column_fault(statement: &Statement, object: &str, column: &str, year: u64) -> Option<String> {
    let known = &KNOWN[object]["columns"][column];
    match known["since"].as_u64() {
        None => Some(format!("{object} has no column {column}")),
        Some(since) if since > year => Some(format!("{object}.{column} is not in {year}")),
        Some(_) if BY_BUILD.contains(&statement.name) => None,
        Some(_) => known["since_builds"]
            .get(year.to_string())
            .map(|build| format!("{object}.{column} is in {year} only from {build} on")),
    }
}

#[test]
fn every_object_and_column_exists_in_every_version() {
    let (mut wrong, mut n_columns) = (Vec::new(), 0);
    for (statement, verdict) in each() {
        let mut fault = |text: String| wrong.push(format!("{}: {text}", statement.name));
        let objects: Vec<(&str, String)> = items(&verdict["objects"])
            .iter()
            .map(|object| (object["alias"].as_str().unwrap_or_default(), texts(&object["name"]).join(".")))
            .collect();
        for procedure in items(&verdict["procedures"]) {
            // By which of the two the log may be read depends on the version.
            let reader = if statement.since < 16 { "xp_readerrorlog" } else { "sp_readerrorlog" };
            if texts(procedure) != ["sys", reader] {
                fault(format!("executes {procedure}"));
            }
        }
        let derived = texts(&verdict["derived"]);
        let own_names = texts(&verdict["column_aliases"]);
        let mut columns = Vec::new();
        for column in items(&verdict["columns"]) {
            match texts(column).as_slice() {
                [alias, name] if derived.contains(alias) => {
                    if !own_names.contains(name) {
                        fault(format!("{alias}.{name}: nothing inside is called so"));
                    }
                }
                [alias, name] => match objects.iter().find(|(known, _)| known == alias) {
                    Some((_, object)) => columns.push((object.as_str(), (*name).to_owned())),
                    None => fault(format!("{alias}.{name}: no object is called {alias}")),
                },
                other => fault(format!("{other:?}: a column is written alias.column")),
            }
        }
        n_columns += columns.len();
        for year in years(statement) {
            let of_objects = objects.iter().filter_map(|(_, object)| object_fault(object, year));
            let of_columns =
                columns.iter().filter_map(|(object, name)| column_fault(statement, object, name, year));
            of_objects.chain(of_columns).for_each(&mut fault);
        }
    }
    none(wrong);
    assert!(n_columns > 50, "{n_columns} columns: the tool no longer names them");
}

#[test]
fn every_function_property_and_permission_exists() {
    let (mut wrong, mut n_properties) = (Vec::new(), 0);
    for (statement, verdict) in each() {
        for function in items(&verdict["functions"]) {
            let (name, arguments) = (texts(&function["name"]).join("."), texts(&function["arguments"]));
            let is_known = match (name.to_uppercase().as_str(), arguments.as_slice()) {
                ("SERVERPROPERTY", [property]) => {
                    n_properties += 1;
                    KNOWN["SERVERPROPERTY"]["properties"].get(property).is_some()
                }
                // The name of a permission that a version lacks gives NULL, no error.
                ("HAS_PERMS_BY_NAME", [_, "OBJECT", "EXECUTE"]) => true,
                ("HAS_PERMS_BY_NAME", [_, _, permission]) => {
                    KNOWN["HAS_PERMS_BY_NAME"]["permission_names_since"].get(permission).is_some()
                }
                (other, _) => FUNCTIONS.contains(&other),
            };
            if !is_known {
                wrong.push(format!("{}: {name} {arguments:?}", statement.name));
            }
        }
    }
    none(wrong);
    assert!(n_properties > 5, "{n_properties} properties: the tool no longer names them");
}

#[test]
fn the_columns_that_are_decoded_are_those_that_are_selected() {
    for (statement, verdict) in each() {
        let declared: Vec<&str> = statement.columns.iter().map(|(name, _)| *name).collect();
        match items(&verdict["result_columns"]) {
            [selected] => assert_eq!(texts(selected), declared, "{}", statement.name),
            // A procedure's result has no select list; its columns stand in the table.
            [] => {
                let known = KNOWN["xp_readerrorlog"]["columns"].as_object().unwrap();
                let known: BTreeSet<&str> = known.keys().map(String::as_str).collect();
                assert_eq!(declared.into_iter().collect::<BTreeSet<_>>(), known, "{}", statement.name);
            }
            several => panic!("{}: {} result sets", statement.name, several.len()),
        }
    }
}

/// That a fault is seen: one of each sort, against the same table.
#[test]
fn what_does_not_exist_is_told() {
    let statement = STATEMENTS.iter().find(|statement| statement.name == "listeners").unwrap();
    let column = |object, column, year| column_fault(statement, object, column, year);
    assert_eq!(object_fault("sys.dm_os_sys_info", 2014), None);
    assert!(object_fault("sys.dm_os_host_info", 2016).unwrap().contains("not in 2016"));
    assert!(object_fault("sys.nothing", 2025).unwrap().contains("not documented"));
    assert_eq!(column("sys.dm_exec_connections", "auth_scheme", 2014), None);
    assert!(column("sys.dm_exec_connections", "nothing", 2025).unwrap().contains("no column"));
    let (listeners, network_name) = ("sys.availability_group_listeners", "is_distributed_network_name");
    assert!(column(listeners, network_name, 2014).unwrap().contains("not in 2014"));
    assert!(column(listeners, network_name, 2019).unwrap().contains("15.0.4073"));
    assert_eq!(column(listeners, network_name, 2022), None);
}
