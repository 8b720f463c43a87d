//! FROM: views of the version that is played, derived tables, common table expressions, and their joins.
//! No APPLY, PIVOT or other forms that change rows.

use std::collections::BTreeSet;

use sqlparser::ast::{JoinConstraint, JoinOperator, ObjectName, Select, SetExpr, TableAlias, TableFactor};

use super::{
    catalogue,
    compile::{CompiledQuery, Compiler, OutputColumn, quoted},
    failure::SqlError,
    scope::{NO_SOURCES, Place, Scope},
    types::SqlType,
};

impl Compiler<'_> {
    /// The FROM clause from sources that were added in order.
    pub(crate) fn join_sources(
        &mut self,
        select: &Select,
        sources: &[String],
        row: Place<'_>,
    ) -> Result<String, SqlError> {
        let mut sources = sources.iter();
        let mut clause = String::new();
        for (index, table) in select.from.iter().enumerate() {
            clause += if index == 0 { " FROM " } else { ", " };
            clause += sources.next().map_or("", String::as_str);
            for join in &table.joins {
                let (word, constraint) = match &join.join_operator {
                    JoinOperator::Join(constraint) | JoinOperator::Inner(constraint) => ("JOIN", constraint),
                    JoinOperator::Left(constraint) | JoinOperator::LeftOuter(constraint) => {
                        ("LEFT JOIN", constraint)
                    }
                    JoinOperator::CrossJoin(constraint) => ("CROSS JOIN", constraint),
                    other => return Err(SqlError::not_played(format_args!("the join {other:?}"))),
                };
                clause += &format!(" {word} {}", sources.next().map_or("", String::as_str));
                match constraint {
                    JoinConstraint::On(condition) => {
                        clause += &format!(" ON {}", self.predicate(condition, row)?)
                    }
                    JoinConstraint::None if word == "CROSS JOIN" => {}
                    _ => return Err(SqlError::syntax("JOIN")),
                }
            }
        }
        Ok(clause)
    }

    /// Adds a source to the scope and gives its text.
    pub(crate) fn source(&mut self, table: &TableFactor, scope: &mut Scope<'_>) -> Result<String, SqlError> {
        match table {
            TableFactor::Table { name, alias, args, .. } => {
                if let Some(args) = args {
                    for argument in &args.args {
                        self.argument(argument, Place::row(&NO_SOURCES))?;
                    }
                }
                self.named_source(name, alias.as_ref(), args.is_some(), scope)
            }
            TableFactor::Derived { subquery, alias, lateral: false } => {
                let alias = alias.as_ref().ok_or_else(|| SqlError::syntax(")"))?;
                if let (Some(_), SetExpr::Select(select)) = (&subquery.order_by, &*subquery.body)
                    && select.top.is_none()
                {
                    let text = "The ORDER BY clause is invalid in views, inline functions, derived tables, \
                                    subqueries, and common table expressions, unless TOP, OFFSET or FOR XML is \
                                    also specified.";
                    return Err(SqlError::of(1033, text));
                }
                let compiled = named(self.query(subquery, scope.parent)?, alias)?;
                let text = format!("({}) AS {}", compiled.sql, quoted(&alias.name.value));
                scope.add(&alias.name.value, compiled.columns, None)?;
                Ok(text)
            }
            other => Err(SqlError::not_played(format_args!("the source {other}"))),
        }
    }

    fn named_source(
        &mut self,
        name: &ObjectName,
        alias: Option<&TableAlias>,
        with_arguments: bool,
        scope: &mut Scope<'_>,
    ) -> Result<String, SqlError> {
        let full = name.to_string().replace(['[', ']', '"'], "");
        let last = full.rsplit('.').next().unwrap_or(&full).to_owned();
        let alias = alias.map_or(last, |alias| alias.name.value.clone());
        let expression = self.expressions.iter().rev().find(|(known, _)| full.eq_ignore_ascii_case(known));
        if let Some((_, compiled)) = expression {
            let (text, columns) =
                (format!("({}) AS {}", compiled.sql, quoted(&alias)), compiled.columns.clone());
            scope.add(&alias, columns, None)?;
            return Ok(text);
        }
        let plain = full.to_ascii_lowercase();
        let plain = plain.strip_prefix("master.").unwrap_or(&plain);
        let object = catalogue::object(plain, self.version)
            .filter(|object| plain.starts_with("sys.") && object.is_function == with_arguments)
            .ok_or_else(|| SqlError::no_object(&full))?;
        let columns = object
            .columns(self.version)
            .map(|column| {
                let kind = match column.kind {
                    SqlType::DateTimeOffset(_) => SqlType::DateTimeOffset(self.utc_offset),
                    kind => kind,
                };
                OutputColumn { name: column.name.clone(), kind }
            })
            .collect();
        self.reads.entry(plain.to_owned()).or_default();
        scope.add(&alias, columns, Some(plain.to_owned()))?;
        let table = plain.trim_start_matches("sys.");
        Ok(format!("sys.{} AS {}", quoted(table), quoted(&alias)))
    }
}

/// Checks that a derived table has distinct column names, and takes those of the alias where given.
pub(crate) fn named(mut query: CompiledQuery, alias: &TableAlias) -> Result<CompiledQuery, SqlError> {
    if !alias.columns.is_empty() {
        return Err(SqlError::not_played("a derived table with a list of column names"));
    }
    let table = &alias.name.value;
    let mut seen = BTreeSet::new();
    for (index, column) in query.columns.iter_mut().enumerate() {
        if column.name.is_empty() {
            let text = format!("No column name was specified for column {} of '{table}'.", index + 1);
            return Err(SqlError { state: 2, ..SqlError::of(8155, text) });
        }
        if !seen.insert(column.name.to_ascii_lowercase()) {
            let text = format!("The column '{}' was specified multiple times for '{table}'.", column.name);
            return Err(SqlError::of(8156, text));
        }
    }
    Ok(query)
}
