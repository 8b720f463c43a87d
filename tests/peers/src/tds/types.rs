//! Data types of Transact-SQL as far as the system views use them, their precedence and which casts exist.
//! Values are SQLite's: dates are REAL days since 1900-01-01 (UTC for datetimeoffset), identifiers are text.

use std::fmt;

use super::failure::SqlError;

/// A column or expression type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SqlType {
    /// The NULL literal, before it takes another expression's type.
    Null,
    /// `varbinary(n)`.
    VarBinary(Length),
    /// `varchar(n)`, also for `char(n)`.
    VarChar(Length),
    /// `nvarchar(n)`, also for `nchar(n)` and `sysname`.
    NVarChar(Length),
    /// `uniqueidentifier`.
    UniqueIdentifier,
    /// `bit`.
    Bit,
    /// `tinyint`.
    TinyInt,
    /// `smallint`.
    SmallInt,
    /// `int`.
    Int,
    /// `bigint`.
    BigInt,
    /// `numeric`, which only literals and their arithmetic have here.
    Numeric,
    /// `float`.
    Float,
    /// `datetime`.
    DateTime,
    /// `datetime2(7)`.
    DateTime2,
    /// `datetimeoffset(7)` with the minutes east of UTC that its values have.
    DateTimeOffset(i16),
    /// `sql_variant`.
    Variant,
}

/// Declared length of a text or binary type, in characters or bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Length {
    /// A number.
    Of(u16),
    /// `max`.
    Max,
}

/// Types that behave alike in comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// The NULL literal.
    Null,
    /// varchar and nvarchar.
    Text,
    /// bit to bigint.
    Integer,
    /// numeric and float.
    Approximate,
    /// datetime and its successors.
    Date,
    /// uniqueidentifier.
    Identifier,
    /// varbinary.
    Binary,
    /// sql_variant.
    Variant,
}

/// Longest nvarchar and varchar without `max` (nchar and nvarchar page).
const LONGEST_NVARCHAR: u16 = 4_000;
const LONGEST_VARCHAR: u16 = 8_000;

/// Length of a CAST to a text type without one (char and varchar page).
const CAST_LENGTH: u16 = 30;

/// Types that exist in the server, but not here.
const UNPLAYED: [&str; 12] = [
    "xml",
    "date",
    "time",
    "money",
    "smallmoney",
    "text",
    "ntext",
    "image",
    "rowversion",
    "timestamp",
    "hierarchyid",
    "json",
];

impl SqlType {
    /// Reads a documented type such as `nvarchar(128)`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        let (name, argument) = match text.split_once('(') {
            Some((name, rest)) => (name.trim(), Some(rest.trim_end_matches(')').trim().to_owned())),
            None => (text.as_str(), None),
        };
        let length = |default: u16| match argument.as_deref() {
            Some("max") => Some(Length::Max),
            Some(number) => number.parse().ok().map(Length::Of),
            None => Some(Length::Of(default)),
        };
        Some(match name {
            "bit" => Self::Bit,
            "tinyint" => Self::TinyInt,
            "smallint" => Self::SmallInt,
            "int" | "integer" => Self::Int,
            "bigint" => Self::BigInt,
            "float" | "real" => Self::Float,
            "numeric" | "decimal" => Self::Numeric,
            "datetime" | "smalldatetime" => Self::DateTime,
            "datetime2" => Self::DateTime2,
            "datetimeoffset" => Self::DateTimeOffset(0),
            zoned if zoned.starts_with("datetimeoffset@") => Self::DateTimeOffset(zoned[15..].parse().ok()?),
            "uniqueidentifier" => Self::UniqueIdentifier,
            "sql_variant" => Self::Variant,
            "sysname" => Self::NVarChar(Length::Of(128)),
            "nvarchar" | "nchar" => Self::NVarChar(length(LONGEST_NVARCHAR)?),
            "varchar" | "char" => Self::VarChar(length(LONGEST_VARCHAR)?),
            "varbinary" | "binary" => Self::VarBinary(length(LONGEST_VARCHAR)?),
            "null" => Self::Null,
            _ => return None,
        })
    }

    /// Reads a type as a CAST or DECLARE spells it, where a missing length has its own meaning.
    pub(crate) fn parse_in_statement(text: &str) -> Result<Self, SqlError> {
        let bare = text.trim().to_ascii_lowercase();
        let unknown = || SqlError {
            state: 24,
            ..SqlError::of(243, format!("Type {text} is not a defined system type."))
        };
        if UNPLAYED.contains(&bare.split('(').next().unwrap_or_default().trim()) {
            return Err(SqlError::not_played(format_args!("the type {bare}")));
        }
        let with_length = match bare.as_str() {
            "nvarchar" | "varchar" | "varbinary" | "nchar" | "char" | "binary" => {
                format!("{bare}({CAST_LENGTH})")
            }
            _ => bare,
        };
        Self::parse(&with_length.replace("varying", ""))
            .filter(|kind| *kind != Self::Null)
            .ok_or_else(unknown)
    }

    /// How it compares.
    pub(crate) fn family(self) -> Family {
        match self {
            Self::Null => Family::Null,
            Self::VarBinary(_) => Family::Binary,
            Self::VarChar(_) | Self::NVarChar(_) => Family::Text,
            Self::UniqueIdentifier => Family::Identifier,
            Self::Bit | Self::TinyInt | Self::SmallInt | Self::Int | Self::BigInt => Family::Integer,
            Self::Numeric | Self::Float => Family::Approximate,
            Self::DateTime | Self::DateTime2 | Self::DateTimeOffset(_) => Family::Date,
            Self::Variant => Family::Variant,
        }
    }

    /// Whether it is text.
    pub(crate) fn is_text(self) -> bool {
        self.family() == Family::Text
    }

    /// Declared length of a text type; a longest-text guess for what turns into text.
    pub(crate) fn text_length(self) -> Length {
        match self {
            Self::VarChar(length) | Self::NVarChar(length) | Self::VarBinary(length) => length,
            _ => Length::Of(CAST_LENGTH),
        }
    }

    /// Smallest and largest value of an integer type.
    pub(crate) fn bounds(self) -> Option<(i64, i64)> {
        Some(match self {
            Self::Bit => (0, 1),
            Self::TinyInt => (0, i64::from(u8::MAX)),
            Self::SmallInt => (i64::from(i16::MIN), i64::from(i16::MAX)),
            Self::Int => (i64::from(i32::MIN), i64::from(i32::MAX)),
            Self::BigInt => (i64::MIN, i64::MAX),
            _ => return None,
        })
    }

    /// Result type of combining two ("Data type precedence").
    pub(crate) fn unify(self, other: Self) -> Self {
        match (self, other) {
            (Self::VarChar(a), Self::VarChar(b)) => Self::VarChar(a.max(b)),
            (Self::NVarChar(a) | Self::VarChar(a), Self::NVarChar(b))
            | (Self::NVarChar(a), Self::VarChar(b)) => Self::NVarChar(a.max(b)),
            (Self::VarBinary(a), Self::VarBinary(b)) => Self::VarBinary(a.max(b)),
            _ if self.rank() >= other.rank() => self,
            _ => other,
        }
    }

    /// Refuses the explicit conversions that do not exist (table of "CAST and CONVERT").
    pub(crate) fn check_cast(self, to: Self) -> Result<(), SqlError> {
        let exact = [Family::Integer, Family::Approximate];
        let late_date = |kind: Self| matches!(kind, Self::DateTime2 | Self::DateTimeOffset(_));
        let refused = match (self.family(), to.family()) {
            (from, Family::Date) if exact.contains(&from) => late_date(to),
            (Family::Date, target) if exact.contains(&target) => late_date(self),
            (Family::Identifier, target) => {
                !matches!(target, Family::Text | Family::Binary | Family::Identifier | Family::Variant)
            }
            (from, Family::Identifier) => {
                !matches!(from, Family::Text | Family::Binary | Family::Null | Family::Variant)
            }
            (Family::Binary, Family::Approximate) | (Family::Approximate, Family::Binary) => {
                self == Self::Float || to == Self::Float
            }
            _ => false,
        };
        if refused {
            let text = format!(
                "Explicit conversion from data type {} to {} is not allowed.",
                self.bare_name(),
                to.bare_name()
            );
            return Err(SqlError { state: 2, ..SqlError::of(529, text) });
        }
        Ok(())
    }

    /// Name without length, as messages print it.
    pub(crate) fn bare_name(self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::VarBinary(_) => "varbinary",
            Self::VarChar(_) => "varchar",
            Self::NVarChar(_) => "nvarchar",
            Self::UniqueIdentifier => "uniqueidentifier",
            Self::Bit => "bit",
            Self::TinyInt => "tinyint",
            Self::SmallInt => "smallint",
            Self::Int => "int",
            Self::BigInt => "bigint",
            Self::Numeric => "numeric",
            Self::Float => "float",
            Self::DateTime => "datetime",
            Self::DateTime2 => "datetime2",
            Self::DateTimeOffset(_) => "datetimeoffset",
            Self::Variant => "sql_variant",
        }
    }

    fn rank(self) -> u8 {
        match self {
            Self::Null => 0,
            Self::VarBinary(_) => 1,
            Self::VarChar(_) => 2,
            Self::NVarChar(_) => 3,
            Self::UniqueIdentifier => 4,
            Self::Bit => 5,
            Self::TinyInt => 6,
            Self::SmallInt => 7,
            Self::Int => 8,
            Self::BigInt => 9,
            Self::Numeric => 10,
            Self::Float => 11,
            Self::DateTime => 12,
            Self::DateTime2 => 13,
            Self::DateTimeOffset(_) => 14,
            Self::Variant => 15,
        }
    }
}

impl Length {
    /// The sum of two lengths, as concatenation has it.
    pub(crate) fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Of(a), Self::Of(b)) => Self::Of(a.saturating_add(b).min(LONGEST_NVARCHAR)),
            _ => Self::Max,
        }
    }
}

impl fmt::Display for SqlType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.bare_name())?;
        match self {
            Self::VarBinary(length) | Self::VarChar(length) | Self::NVarChar(length) => match length {
                Length::Of(number) => write!(formatter, "({number})"),
                Length::Max => formatter.write_str("(max)"),
            },
            // Not Transact-SQL: the offset travels with the type inside this peer.
            Self::DateTimeOffset(minutes) => write!(formatter, "@{minutes}"),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_survive_their_own_text() {
        for text in
            ["nvarchar(128)", "varchar(max)", "varbinary(85)", "int", "datetimeoffset@-90", "sql_variant"]
        {
            assert_eq!(SqlType::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(SqlType::parse("sysname"), SqlType::parse("nvarchar(128)"));
        assert_eq!(SqlType::parse_in_statement("nvarchar").unwrap().to_string(), "nvarchar(30)");
        assert_eq!(SqlType::parse_in_statement("blob").unwrap_err().number, 243);
    }

    #[test]
    fn precedence_and_refused_casts() {
        let text = SqlType::VarChar(Length::Of(5));
        assert_eq!(text.unify(SqlType::VarChar(Length::Of(7))), SqlType::VarChar(Length::Of(7)));
        assert_eq!(text.unify(SqlType::NVarChar(Length::Of(2))), SqlType::NVarChar(Length::Of(5)));
        assert_eq!(text.unify(SqlType::Int), SqlType::Int);
        assert!(SqlType::DateTime.check_cast(SqlType::Float).is_ok());
        assert_eq!(SqlType::DateTimeOffset(120).check_cast(SqlType::Float).unwrap_err().number, 529);
        assert_eq!(SqlType::Int.check_cast(SqlType::UniqueIdentifier).unwrap_err().number, 529);
    }
}
