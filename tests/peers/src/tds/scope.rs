//! Names of columns: which source of rows they mean, and whether they may stand where they stand.
//! It knows sources only by alias and columns; where those come from is the compiler's.

use sqlparser::ast::Expr;

use super::{
    compile::{Compiler, OutputColumn, Piece, quoted},
    failure::SqlError,
};

/// Where an expression stands.
#[derive(Clone, Copy)]
pub(crate) struct Place<'s> {
    /// Sources in reach.
    pub(crate) scope: &'s Scope<'s>,
    /// Texts of the GROUP BY expressions if columns outside them are wrong here (8120).
    pub(crate) grouping: Option<&'s [String]>,
}

/// Sources of rows that names may refer to.
pub(crate) struct Scope<'s> {
    /// Sources of this FROM.
    pub(crate) sources: Vec<Source>,
    /// The row of the enclosing query.
    pub(crate) parent: Option<&'s Scope<'s>>,
}

/// A table, view or derived table under its alias.
pub(crate) struct Source {
    alias: String,
    columns: Vec<OutputColumn>,
    view: Option<String>,
}

/// The scope of an expression without FROM.
pub(crate) const NO_SOURCES: Scope<'static> = Scope { sources: Vec::new(), parent: None };

impl<'s> Place<'s> {
    /// A place where columns may be used freely.
    pub(crate) fn row(scope: &'s Scope<'s>) -> Self {
        Self { scope, grouping: None }
    }

    /// The same place inside an aggregate or a GROUP BY expression.
    pub(crate) fn ungrouped(self) -> Self {
        Self { grouping: None, ..self }
    }

    /// Whether this expression is one of the GROUP BY list.
    pub(crate) fn is_grouped_by(&self, expression: &Expr) -> bool {
        self.grouping.is_some_and(|list| list.contains(&expression.to_string().to_ascii_lowercase()))
    }
}

impl Compiler<'_> {
    /// A column by qualifier and name.
    pub(crate) fn column(
        &mut self,
        qualifier: Option<&str>,
        name: &str,
        place: Place<'_>,
    ) -> Result<Piece, SqlError> {
        let mut scope = Some(place.scope);
        let mut qualifier_known = false;
        while let Some(here) = scope {
            let fits =
                |source: &&Source| qualifier.is_none_or(|wanted| wanted.eq_ignore_ascii_case(&source.alias));
            let mut found = None;
            for source in here.sources.iter().filter(fits) {
                qualifier_known = true;
                let Some(column) = source.columns.iter().find(|known| known.name.eq_ignore_ascii_case(name))
                else {
                    continue;
                };
                if found.is_some() {
                    return Err(SqlError::of(209, format!("Ambiguous column name '{name}'.")));
                }
                found = Some((source, column));
            }
            if let Some((source, column)) = found {
                if place.grouping.is_some() && std::ptr::eq(here, place.scope) {
                    return Err(not_grouped(&source.alias, name));
                }
                self.note_read(source, &column.name);
                let sql = format!("{}.{}", quoted(&source.alias), quoted(&column.name));
                return Ok(Piece { sql, kind: column.kind });
            }
            scope = here.parent;
        }
        match qualifier {
            Some(qualifier) if !qualifier_known => Err(SqlError::of(
                4104,
                format!("The multi-part identifier \"{qualifier}.{name}\" could not be bound."),
            )),
            _ => Err(SqlError::no_column(name)),
        }
    }

    /// `*` or `alias.*`.
    pub(crate) fn wildcard(
        &mut self,
        only: Option<&str>,
        scope: &Scope<'_>,
        list: &mut Vec<(OutputColumn, String)>,
    ) -> Result<(), SqlError> {
        let wanted = |source: &&Source| only.is_none_or(|name| name.eq_ignore_ascii_case(&source.alias));
        for source in scope.sources.iter().filter(wanted) {
            for column in &source.columns {
                self.note_read(source, &column.name);
                list.push((column.clone(), format!("{}.{}", quoted(&source.alias), quoted(&column.name))));
            }
        }
        if list.is_empty() { Err(SqlError::of(263, "Must specify table to select from.")) } else { Ok(()) }
    }

    fn note_read(&mut self, source: &Source, column: &str) {
        if let Some(view) = &source.view {
            self.reads.entry(view.clone()).or_default().insert(column.to_ascii_lowercase());
        }
    }
}

impl Scope<'_> {
    /// Adds a source; an alias may occur once.
    pub(crate) fn add(
        &mut self,
        alias: &str,
        columns: Vec<OutputColumn>,
        view: Option<String>,
    ) -> Result<(), SqlError> {
        if self.sources.iter().any(|source| source.alias.eq_ignore_ascii_case(alias)) {
            let text =
                format!("The correlation name '{alias}' is specified multiple times in a FROM clause.");
            return Err(SqlError::of(1011, text));
        }
        self.sources.push(Source { alias: alias.to_owned(), columns, view });
        Ok(())
    }
}

fn not_grouped(alias: &str, name: &str) -> SqlError {
    SqlError::of(
        8120,
        format!(
            "Column '{alias}.{name}' is invalid in the select list because it is not contained in either an \
             aggregate function or the GROUP BY clause."
        ),
    )
}
