//! Translates a SELECT of Transact-SQL into SQLite's dialect and works out its column types on the way.
//! Names are checked here against the documented views (207, 208, 4104); rights and rows are not looked at.

use std::collections::{BTreeMap, BTreeSet};

use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, Join, OrderByKind, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, SetOperator, SetQuantifier, TopQuantity, Value,
};

use super::{
    failure::SqlError,
    scope::{NO_SOURCES, Place, Scope},
    sources::named,
    types::SqlType,
    world::World,
};

/// A column of a result or of a source of rows.
#[derive(Clone, Debug)]
pub(crate) struct OutputColumn {
    /// Name, empty where the statement gives none.
    pub(crate) name: String,
    /// Type that the server declares.
    pub(crate) kind: SqlType,
}

/// A statement in SQLite's dialect.
#[derive(Clone, Debug)]
pub(crate) struct CompiledQuery {
    /// Text for SQLite.
    pub(crate) sql: String,
    /// Columns with their Transact-SQL types.
    pub(crate) columns: Vec<OutputColumn>,
}

/// An expression in SQLite's dialect.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    /// Text for SQLite.
    pub(crate) sql: String,
    /// Its Transact-SQL type.
    pub(crate) kind: SqlType,
}

/// Translates the statements of one batch.
pub(crate) struct Compiler<'v> {
    /// Marketing version that is played.
    pub(crate) version: u16,
    /// Declared variables and parameters by lower-case name.
    pub(crate) variables: &'v BTreeMap<String, SqlType>,
    /// Start of the batch, in UTC.
    pub(crate) now: f64,
    /// Minutes that the server's clock is east of UTC.
    pub(crate) utc_offset: i16,
    /// Variables in the order of SQLite's numbered parameters.
    pub(crate) binds: Vec<String>,
    /// Views that are read, and which of their columns.
    pub(crate) reads: BTreeMap<String, BTreeSet<String>>,
    /// Whether an aggregate was met since the flag was cleared.
    pub(crate) saw_aggregate: bool,
    /// Common table expressions in reach, by lower-case name.
    pub(crate) expressions: Vec<(String, CompiledQuery)>,
}

impl<'v> Compiler<'v> {
    pub(crate) fn new(world: &World, variables: &'v BTreeMap<String, SqlType>) -> Self {
        Self {
            version: world.version(),
            variables,
            now: world.now,
            utc_offset: world.prepared.utc_offset,
            binds: Vec::new(),
            reads: BTreeMap::new(),
            saw_aggregate: false,
            expressions: Vec::new(),
        }
    }

    /// Translates a whole query; `outer` is the row of the enclosing query in a subquery.
    pub(crate) fn query(
        &mut self,
        query: &Query,
        outer: Option<&Scope<'_>>,
    ) -> Result<CompiledQuery, SqlError> {
        if !query.locks.is_empty() || query.limit_clause.is_some() || query.for_clause.is_some() {
            return Err(SqlError::not_played("LIMIT, OFFSET or FOR"));
        }
        let known = self.expressions.len();
        for table in query.with.iter().flat_map(|with| &with.cte_tables) {
            let compiled = self.query(&table.query, outer)?;
            let compiled = named(compiled, &table.alias)?;
            self.expressions.push((table.alias.name.value.to_ascii_lowercase(), compiled));
        }
        let aggregate_outside = std::mem::take(&mut self.saw_aggregate);
        let compiled = self.body(&query.body, query.order_by.as_ref().map(|order| &order.kind), outer);
        self.saw_aggregate = aggregate_outside;
        self.expressions.truncate(known);
        compiled
    }

    fn body(
        &mut self,
        body: &SetExpr,
        order: Option<&OrderByKind>,
        outer: Option<&Scope<'_>>,
    ) -> Result<CompiledQuery, SqlError> {
        match body {
            SetExpr::Select(select) => self.select(select, order, outer),
            SetExpr::Query(query) if order.is_none() => self.query(query, outer),
            SetExpr::SetOperation { op, set_quantifier, left, right } => {
                let left = self.body(left, None, outer)?;
                let right = self.body(right, None, outer)?;
                self.combine(*op, *set_quantifier, left, right, order)
            }
            _ => Err(SqlError::not_played("this kind of query")),
        }
    }

    fn combine(
        &mut self,
        operator: SetOperator,
        quantifier: SetQuantifier,
        left: CompiledQuery,
        right: CompiledQuery,
        order: Option<&OrderByKind>,
    ) -> Result<CompiledQuery, SqlError> {
        if left.columns.len() != right.columns.len() {
            let text = "All queries combined using a UNION, INTERSECT or EXCEPT operator must have an equal number \
                        of expressions in their target lists.";
            return Err(SqlError::of(205, text));
        }
        let mixed = |(a, b): (&OutputColumn, &OutputColumn)| {
            a.kind.family() != b.kind.family() && a.kind != SqlType::Null && b.kind != SqlType::Null
        };
        if left.columns.iter().zip(&right.columns).any(mixed) {
            return Err(SqlError::not_played("UNION of different types; CAST them"));
        }
        let operator = match (operator, quantifier) {
            (SetOperator::Union, SetQuantifier::All) => "UNION ALL",
            (SetOperator::Union, _) => "UNION",
            (SetOperator::Except, _) => "EXCEPT",
            (SetOperator::Intersect, _) => "INTERSECT",
            (SetOperator::Minus, _) => return Err(SqlError::syntax("MINUS")),
        };
        let columns: Vec<OutputColumn> = (left.columns.iter().zip(&right.columns))
            .map(|(a, b)| OutputColumn { name: a.name.clone(), kind: a.kind.unify(b.kind) })
            .collect();
        let mut sql = format!("SELECT * FROM ({}) {operator} SELECT * FROM ({})", left.sql, right.sql);
        if let Some(order) = order {
            sql += &self.order_by(order, &columns, None)?;
        }
        Ok(CompiledQuery { sql, columns })
    }

    fn select(
        &mut self,
        select: &Select,
        order: Option<&OrderByKind>,
        outer: Option<&Scope<'_>>,
    ) -> Result<CompiledQuery, SqlError> {
        if select.into.is_some() {
            return Err(SqlError::denied(262, "CREATE TABLE permission denied in database 'master'."));
        }
        let mut scope = Scope { sources: Vec::new(), parent: outer };
        let mut from = Vec::new();
        let mut joins: Vec<&Join> = Vec::new();
        for table in &select.from {
            from.push(self.source(&table.relation, &mut scope)?);
            joins.extend(&table.joins);
            for join in &table.joins {
                from.push(self.source(&join.relation, &mut scope)?);
            }
        }
        let row = Place::row(&scope);
        self.saw_aggregate = false;
        let from = self.join_sources(select, &from, row)?;
        let filter = match &select.selection {
            Some(condition) => format!(" WHERE {}", self.predicate(condition, row)?),
            None => String::new(),
        };
        if self.saw_aggregate {
            let text = "An aggregate may not appear in the WHERE clause unless it is in a subquery contained in a \
                        HAVING clause or a select list, and the column being aggregated is an outer reference.";
            return Err(SqlError { class: 15, ..SqlError::of(147, text) });
        }
        let (groups, group_clause) = self.group_by(&select.group_by, row)?;
        self.saw_aggregate = false;
        let mut projection = self.projection(&select.projection, row, &scope)?;
        let grouped = self.saw_aggregate || !groups.is_empty() || select.having.is_some();
        let place = Place { scope: &scope, grouping: grouped.then_some(groups.as_slice()) };
        if grouped {
            projection = self.projection(&select.projection, place, &scope)?;
        }
        let having = match &select.having {
            Some(condition) => format!(" HAVING {}", self.predicate(condition, place)?),
            None => String::new(),
        };
        let distinct = match &select.distinct {
            None => "",
            Some(Distinct::Distinct) => "DISTINCT ",
            Some(Distinct::On(_)) => return Err(SqlError::syntax("ON")),
        };
        let columns: Vec<OutputColumn> = projection.iter().map(|(column, _)| column.clone()).collect();
        let list: Vec<String> = projection
            .iter()
            .map(|(column, sql)| {
                let collation = if column.kind.is_text() { " COLLATE NOCASE" } else { "" };
                format!("({sql}){collation} AS {}", quoted(&column.name))
            })
            .collect();
        let order = match order {
            Some(order) => self.order_by(order, &columns, distinct.is_empty().then_some(place))?,
            None => String::new(),
        };
        let limit = self.top(select)?;
        let sql =
            format!("SELECT {distinct}{}{from}{filter}{group_clause}{having}{order}{limit}", list.join(", "));
        Ok(CompiledQuery { sql, columns })
    }

    fn group_by(
        &mut self,
        group_by: &GroupByExpr,
        row: Place<'_>,
    ) -> Result<(Vec<String>, String), SqlError> {
        let GroupByExpr::Expressions(list, modifiers) = group_by else {
            return Err(SqlError::syntax("ALL"));
        };
        if !modifiers.is_empty() {
            return Err(SqlError::not_played("GROUP BY with a modifier"));
        }
        let mut texts = Vec::new();
        for expression in list {
            let piece = self.value(expression, row)?;
            texts.push(if piece.kind.is_text() {
                format!("({}) COLLATE NOCASE", piece.sql)
            } else {
                piece.sql
            });
        }
        let clause = if texts.is_empty() { String::new() } else { format!(" GROUP BY {}", texts.join(", ")) };
        Ok((list.iter().map(|expression| expression.to_string().to_ascii_lowercase()).collect(), clause))
    }

    fn projection(
        &mut self,
        items: &[SelectItem],
        place: Place<'_>,
        scope: &Scope<'_>,
    ) -> Result<Vec<(OutputColumn, String)>, SqlError> {
        let mut list = Vec::new();
        for item in items {
            let (expression, name) = match item {
                SelectItem::UnnamedExpr(expression) => (expression, own_name(expression)),
                SelectItem::ExprWithAlias { expr, alias } => (expr, alias.value.clone()),
                SelectItem::Wildcard(_) => {
                    self.wildcard(None, scope, &mut list)?;
                    continue;
                }
                SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => {
                    self.wildcard(Some(&name.to_string()), scope, &mut list)?;
                    continue;
                }
                SelectItem::QualifiedWildcard(..) => return Err(SqlError::syntax("*")),
            };
            let piece = self.value(expression, place)?;
            list.push((OutputColumn { name, kind: piece.kind }, piece.sql));
        }
        Ok(list)
    }

    /// ORDER BY by position, by name of the list, or by an expression where `place` is given.
    fn order_by(
        &mut self,
        order: &OrderByKind,
        columns: &[OutputColumn],
        place: Option<Place<'_>>,
    ) -> Result<String, SqlError> {
        let OrderByKind::Expressions(items) = order else { return Err(SqlError::syntax("ALL")) };
        let mut texts = Vec::new();
        for item in items {
            let position = match &item.expr {
                Expr::Identifier(name) => columns
                    .iter()
                    .position(|column| column.name.eq_ignore_ascii_case(&name.value))
                    .map(|at| at + 1),
                Expr::Value(value) => match &value.value {
                    Value::Number(text, _) => text.parse().ok(),
                    _ => None,
                },
                _ => None,
            };
            let text = match (position, place) {
                (Some(position), _) => position.to_string(),
                (None, Some(place)) => {
                    let piece = self.value(&item.expr, place)?;
                    if piece.kind.is_text() { format!("({}) COLLATE NOCASE", piece.sql) } else { piece.sql }
                }
                (None, None) => {
                    let text =
                        "ORDER BY items must appear in the select list if SELECT DISTINCT is specified.";
                    return Err(SqlError { class: 15, ..SqlError::of(145, text) });
                }
            };
            texts.push(if item.options.asc == Some(false) { format!("{text} DESC") } else { text });
        }
        Ok(format!(" ORDER BY {}", texts.join(", ")))
    }

    fn top(&mut self, select: &Select) -> Result<String, SqlError> {
        let Some(top) = &select.top else { return Ok(String::new()) };
        if top.with_ties || top.percent {
            return Err(SqlError::not_played("TOP PERCENT or WITH TIES"));
        }
        match &top.quantity {
            Some(TopQuantity::Constant(number)) => Ok(format!(" LIMIT {number}")),
            Some(TopQuantity::Expr(expression)) => {
                let piece = self.value(expression, Place::row(&NO_SOURCES))?;
                if piece.kind.bounds().is_none() {
                    let text = "The number of rows provided for a TOP or FETCH clauses row count parameter must be \
                                an integer.";
                    return Err(SqlError { class: 15, ..SqlError::of(1060, text) });
                }
                Ok(format!(" LIMIT {}", piece.sql))
            }
            None => Err(SqlError::syntax("TOP")),
        }
    }

    /// A subquery that sees the rows of this place.
    pub(crate) fn subquery(&mut self, query: &Query, place: Place<'_>) -> Result<CompiledQuery, SqlError> {
        self.query(query, Some(place.scope))
    }
}

fn own_name(expression: &Expr) -> String {
    match expression {
        Expr::Identifier(name) if !name.value.starts_with('@') => name.value.clone(),
        Expr::CompoundIdentifier(parts) => parts.last().map(|part| part.value.clone()).unwrap_or_default(),
        Expr::Nested(inner) => own_name(inner),
        _ => String::new(),
    }
}

/// A name as SQLite quotes it.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Text as SQLite quotes it.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
