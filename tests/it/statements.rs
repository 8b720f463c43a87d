//! Every statement under Microsoft's own T-SQL parser, and every object and column it names against the table of documented
//! ones (`dmv.json`), for each version it is sent to.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use mssql_kerberos_exporter::sqlserver::queries::{STATEMENTS, Statement};
use serde_json::{Value, json};

use crate::world::tests;

/// Years of the major versions.
const YEARS: [(u16, u64); 6] = [(12, 2014), (13, 2016), (14, 2017), (15, 2019), (16, 2022), (17, 2025)];

fn years(statement: &Statement) -> impl Iterator<Item = u64> {
    let (since, until) = (statement.since, statement.until.unwrap_or(u16::MAX));
    YEARS.into_iter().filter(move |(major, _)| *major >= since && *major < until).map(|(_, year)| year)
}

/// What Microsoft's parser says of each statement. The tool's own head says what it needs installed.
fn verdicts() -> Vec<Value> {
    let input: Vec<Value> = STATEMENTS
        .iter()
        .map(|statement| {
            // Parsers exist up to 2019; a later statement is parsed by the newest.
            let from_year = years(statement).next().unwrap().min(2019);
            json!({"name": statement.name, "sql": statement.sql, "from_year": from_year})
        })
        .collect();
    let mut child = Command::new(tests().join("tools/tsql/check"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("tests/tools/tsql/check runs; tests/run installs what it needs (mono-mcs mono-runtime mono-devel)");
    child.stdin.take().unwrap().write_all(Value::from(input).to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    serde_json::from_slice(&output.stdout).expect("the tool prints JSON; its errors are above")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn parts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}

#[test]
fn every_statement_parses_and_names_only_what_exists() {
    let known: Value =
        serde_json::from_str(&std::fs::read_to_string(tests().join("peers/dmv.json")).unwrap()).unwrap();
    let verdicts = verdicts();
    assert_eq!(verdicts.len(), STATEMENTS.len());
    let n_objects: usize = verdicts.iter().map(|v| v["objects"].as_array().map_or(0, Vec::len)).sum();
    assert!(n_objects > STATEMENTS.len() / 2, "{n_objects} objects: the tool no longer names them");
    let mut wrong = Vec::new();
    for (statement, verdict) in STATEMENTS.iter().zip(&verdicts) {
        let name = statement.name;
        if verdict["ok"] != true {
            wrong.push(format!("{name}: {} {}", verdict["errors"], verdict["refused"]));
        }
        let kinds: BTreeSet<String> = parts(&verdict["statements"]).into_iter().collect();
        let reads =
            ["SelectStatement", "DeclareVariableStatement", "PredicateSetStatement", "ExecuteStatement"];
        if kinds.is_empty() || !kinds.iter().all(|kind| reads.contains(&kind.as_str())) {
            wrong.push(format!("{name}: {kinds:?}"));
        }
        let beginning = format!("/* mssql-kerberos-exporter {name} */");
        if !statement.sql.starts_with(&beginning) {
            wrong.push(format!("{name}: does not begin with {beginning}"));
        }
        wrong.extend(unknown_names(statement, verdict, &known));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Objects and columns that are not in the table for a version the statement is sent to.
fn unknown_names(statement: &Statement, verdict: &Value, known: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let aliases: BTreeSet<String> = parts(&verdict["column_aliases"]).into_iter().collect();
    let objects: Vec<String> = verdict["objects"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|object| parts(&object["name"]).join("."))
        .filter(|object| object.starts_with("sys."))
        .collect();
    for object in &objects {
        let Some(description) = known.get(object) else {
            wrong.push(format!("{}: {object} is not documented", statement.name));
            continue;
        };
        for year in years(statement) {
            if description["since"].as_u64().is_none_or(|since| since > year) {
                wrong.push(format!("{}: {object} is not in {year}", statement.name));
            }
        }
    }
    let procedures: Vec<String> =
        verdict["procedures"].as_array().into_iter().flatten().map(|p| parts(p).join(".")).collect();
    if procedures.iter().any(|procedure| procedure != "sys.xp_readerrorlog") {
        wrong.push(format!("{}: executes {procedures:?}", statement.name));
    }
    for column in verdict["columns"].as_array().into_iter().flatten() {
        let Some(column) = parts(column).pop() else { continue };
        // A derived table's own column.
        if aliases.contains(&column) {
            continue;
        }
        for year in years(statement) {
            let is_there = objects.iter().any(|object| {
                let description = &known[object]["columns"][&column];
                description["since"].as_u64().is_some_and(|since| since <= year)
            });
            if !is_there {
                wrong.push(format!("{}: column {column} of {objects:?} is not in {year}", statement.name));
            }
        }
    }
    wrong
}

#[test]
fn the_columns_that_are_decoded_are_those_that_are_selected() {
    for (statement, verdict) in STATEMENTS.iter().zip(&verdicts()) {
        let Some(selected) = verdict["result_columns"].as_array().and_then(|selects| selects.first()) else {
            continue;
        };
        // A procedure's result has no select list.
        if selected.as_array().is_none_or(Vec::is_empty) {
            continue;
        }
        let declared: Vec<&str> = statement.columns.iter().map(|(name, _)| *name).collect();
        assert_eq!(parts(selected), declared, "{}", statement.name);
    }
}
