//! One row as the decoders see it: plain values under the column names of its statement. Has no driver types, so that a
//! test writes rows as literals.

use super::super::queries::Statement;

/// A value as it came.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// NULL.
    Null,
    /// `bit`.
    Bit(bool),
    /// Any integer.
    Int(i64),
    /// `float`, or a `datetime` as days since 1900-01-01.
    Float(f64),
    /// Any text.
    Text(String),
    /// A type that no statement asks for, by its name.
    Other(&'static str),
}

impl Value {
    const fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Bit(_) => "bit",
            Self::Int(_) => "integer",
            Self::Float(_) => "float",
            Self::Text(_) => "text",
            Self::Other(name) => name,
        }
    }
}

/// An answer that cannot be what was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{column}: {text}")]
pub struct Undecodable {
    /// The column, or what was sought.
    pub column: String,
    /// What was wrong.
    pub text: String,
}

impl Undecodable {
    /// A column and what is wrong with it.
    pub fn new(column: impl Into<String>, text: impl Into<String>) -> Self {
        Self { column: column.into(), text: text.into() }
    }
}

/// One row of a statement's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    statement: &'static Statement,
    values: Vec<Value>,
}

impl Row {
    /// A row with one value for each column of the statement.
    ///
    /// # Errors
    /// If there are more or fewer.
    pub fn new(statement: &'static Statement, values: Vec<Value>) -> Result<Self, Undecodable> {
        if values.len() == statement.columns.len() {
            return Ok(Self { statement, values });
        }
        let text = format!("{} columns instead of {}", values.len(), statement.columns.len());
        Err(Undecodable::new(statement.name, text))
    }

    fn value(&self, column: &str) -> Result<&Value, Undecodable> {
        let position = self.statement.columns.iter().position(|(name, _)| *name == column);
        position
            .and_then(|position| self.values.get(position))
            .ok_or_else(|| Undecodable::new(column, format!("{} has no such column", self.statement.name)))
    }

    /// Text, if not NULL.
    pub(super) fn text(&self, column: &str) -> Result<Option<&str>, Undecodable> {
        match self.value(column)? {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            other => Err(wrong_type(column, other, "text")),
        }
    }

    /// Text without the blanks round it; an empty one is none.
    pub(super) fn owned_text(&self, column: &str) -> Result<Option<String>, Undecodable> {
        Ok(self.text(column)?.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned))
    }

    /// An integer, if not NULL.
    pub(super) fn int(&self, column: &str) -> Result<Option<i64>, Undecodable> {
        match self.value(column)? {
            Value::Null => Ok(None),
            Value::Int(number) => Ok(Some(*number)),
            other => Err(wrong_type(column, other, "an integer")),
        }
    }

    /// A finite float, if not NULL.
    pub(super) fn float(&self, column: &str) -> Result<Option<f64>, Undecodable> {
        match self.value(column)? {
            Value::Null => Ok(None),
            Value::Float(number) if number.is_finite() => Ok(Some(*number)),
            other => Err(wrong_type(column, other, "a finite float")),
        }
    }

    /// A bit; NULL is 0.
    pub(super) fn bit(&self, column: &str) -> Result<bool, Undecodable> {
        match self.value(column)? {
            Value::Null => Ok(false),
            Value::Bit(set) => Ok(*set),
            other => Err(wrong_type(column, other, "a bit")),
        }
    }

    pub(super) fn required_text(&self, column: &str) -> Result<&str, Undecodable> {
        self.text(column)?.map(str::trim).filter(|text| !text.is_empty()).ok_or_else(|| missing(column))
    }

    pub(super) fn required_int(&self, column: &str) -> Result<i64, Undecodable> {
        self.int(column)?.ok_or_else(|| missing(column))
    }

    pub(super) fn required_float(&self, column: &str) -> Result<f64, Undecodable> {
        self.float(column)?.ok_or_else(|| missing(column))
    }

    /// A count: never negative, and small enough that all of an answer can be added up. SQL Server takes 32,767 connections
    /// ("Configure the user connections server configuration option").
    pub(super) fn required_count(&self, column: &str) -> Result<u64, Undecodable> {
        let number = self.required_int(column)?;
        let count = u32::try_from(number).map(u64::from);
        count.map_err(|_| Undecodable::new(column, format!("{number} is no count of connections")))
    }

    pub(super) fn required_i32(&self, column: &str) -> Result<i32, Undecodable> {
        self.narrow_i32(column, self.required_int(column)?)
    }

    pub(super) fn narrow_i32(&self, column: &str, number: i64) -> Result<i32, Undecodable> {
        i32::try_from(number).map_err(|_| Undecodable::new(column, format!("{number} is out of range")))
    }

    /// A TCP port, if not NULL.
    pub(super) fn port(&self, column: &str) -> Result<Option<u16>, Undecodable> {
        let Some(number) = self.int(column)? else { return Ok(None) };
        match u16::try_from(number) {
            Ok(port) if port != 0 => Ok(Some(port)),
            _ => Err(Undecodable::new(column, format!("{number} is no TCP port"))),
        }
    }

    pub(super) fn required_port(&self, column: &str) -> Result<u16, Undecodable> {
        self.port(column)?.ok_or_else(|| missing(column))
    }
}

fn missing(column: &str) -> Undecodable {
    Undecodable::new(column, "NULL or empty")
}

fn wrong_type(column: &str, value: &Value, wanted: &str) -> Undecodable {
    Undecodable::new(column, format!("{} instead of {wanted}", value.type_name()))
}
