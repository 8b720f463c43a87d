//! Built-in functions of Transact-SQL: their types, the version they came with, and their text for SQLite.
//! What they compute at run time is registered by the engine.

use sqlparser::ast::{
    DuplicateTreatment, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, OrderByExpr,
};

use super::{
    compile::{Compiler, Piece, literal},
    dates,
    failure::SqlError,
    operands::{as_text, case, coerce},
    scope::Place,
    types::{Family, Length, SqlType},
};

/// `sysname`.
const NAME: SqlType = SqlType::NVarChar(Length::Of(128));

/// Functions that exist in the server, but not here.
const UNPLAYED: [&str; 29] = [
    "FORMAT",
    "DATENAME",
    "OBJECT_ID",
    "OBJECT_NAME",
    "QUOTENAME",
    "PARSENAME",
    "STUFF",
    "PATINDEX",
    "HASHBYTES",
    "SUSER_ID",
    "IS_MEMBER",
    "DB_ID",
    "NEWID",
    "ROUND",
    "CEILING",
    "FLOOR",
    "POWER",
    "CHECKSUM",
    "EOMONTH",
    "DATEFROMPARTS",
    "SPACE",
    "REPLICATE",
    "STR",
    "ASCII",
    "CHAR",
    "UNICODE",
    "NCHAR",
    "STRING_SPLIT",
    "TODATETIMEOFFSET",
];

impl Compiler<'_> {
    /// A function call.
    pub(crate) fn function(&mut self, function: &Function, place: Place<'_>) -> Result<Piece, SqlError> {
        let name = function.name.to_string().to_ascii_uppercase();
        if function.over.is_some() || function.filter.is_some() {
            return Err(SqlError::not_played("window functions"));
        }
        let (arguments, distinct) = match &function.args {
            FunctionArguments::None => (&[][..], false),
            FunctionArguments::Subquery(_) => return Err(SqlError::syntax("SELECT")),
            FunctionArguments::List(list) => {
                (&list.args[..], list.duplicate_treatment == Some(DuplicateTreatment::Distinct))
            }
        };
        if let Some(piece) = self.aggregate(&name, arguments, distinct, &function.within_group, place)? {
            return Ok(piece);
        }
        match name.as_str() {
            "DATEDIFF" | "DATEDIFF_BIG" | "DATEADD" | "DATEPART" => {
                self.date_function(&name, arguments, place)
            }
            "IIF" => match arguments {
                [condition, yes, no] => {
                    let test = self.predicate(expression(condition)?, place)?;
                    let results = vec![self.argument(yes, place)?, self.argument(no, place)?];
                    case(&[test], results)
                }
                _ => Err(wrong_count(&name, 3)),
            },
            _ => {
                let pieces: Result<Vec<Piece>, SqlError> =
                    arguments.iter().map(|argument| self.argument(argument, place)).collect();
                self.built_in(&name, pieces?)
            }
        }
    }

    /// The value of an argument.
    pub(crate) fn argument(&mut self, argument: &FunctionArg, place: Place<'_>) -> Result<Piece, SqlError> {
        self.value(expression(argument)?, place)
    }

    fn aggregate(
        &mut self,
        name: &str,
        arguments: &[FunctionArg],
        distinct: bool,
        within_group: &[OrderByExpr],
        place: Place<'_>,
    ) -> Result<Option<Piece>, SqlError> {
        if !matches!(name, "COUNT" | "COUNT_BIG" | "SUM" | "AVG" | "MIN" | "MAX" | "STRING_AGG") {
            return Ok(None);
        }
        if name == "STRING_AGG" && self.version < 2017 {
            return Err(SqlError::no_function(name));
        }
        self.saw_aggregate = true;
        let count_kind = if name == "COUNT_BIG" { SqlType::BigInt } else { SqlType::Int };
        if let ("COUNT" | "COUNT_BIG", [FunctionArg::Unnamed(FunctionArgExpr::Wildcard)]) = (name, arguments)
        {
            return Ok(Some(Piece { sql: "COUNT(*)".to_owned(), kind: count_kind }));
        }
        let first = arguments.first().ok_or_else(|| wrong_count(name, 1))?;
        let piece = self.argument(first, place.ungrouped())?;
        let word = if distinct { "DISTINCT " } else { "" };
        let collation = if piece.kind.is_text() { " COLLATE NOCASE" } else { "" };
        let inner = format!("{word}({}){collation}", piece.sql);
        let invalid = || {
            let lower = name.to_ascii_lowercase();
            let text =
                format!("Operand data type {} is invalid for {lower} operator.", piece.kind.bare_name());
            SqlError::of(8117, text)
        };
        Ok(Some(match name {
            "COUNT" | "COUNT_BIG" => Piece { sql: format!("COUNT({inner})"), kind: count_kind },
            "SUM" | "AVG" => {
                let kind = match (piece.kind, piece.kind.family()) {
                    (SqlType::Bit, _) => return Err(invalid()),
                    (SqlType::BigInt, _) => SqlType::BigInt,
                    (_, Family::Integer) => SqlType::Int,
                    (kind, Family::Approximate) => kind,
                    _ => return Err(invalid()),
                };
                // AVG of integers is an integer, cut off (AVG page).
                Piece {
                    sql: format!("ts_convert({name}({inner}), '{}', '{kind}', 0)", sum_type(name, kind)),
                    kind,
                }
            }
            "MIN" | "MAX" if piece.kind == SqlType::Bit => return Err(invalid()),
            "MIN" | "MAX" => Piece { sql: format!("{name}({inner})"), kind: piece.kind },
            _ => {
                let [_, separator] = arguments else { return Err(wrong_count(name, 2)) };
                let separator = self.argument(separator, place.ungrouped())?;
                let piece = as_text(piece)?;
                let mut order = String::new();
                for (index, item) in within_group.iter().enumerate() {
                    let by = self.value(&item.expr, place.ungrouped())?;
                    let direction = if item.options.asc == Some(false) { " DESC" } else { "" };
                    order += &format!("{} {}{direction}", if index == 0 { " ORDER BY" } else { "," }, by.sql);
                }
                let sql = format!("group_concat({}, {}{order})", piece.sql, separator.sql);
                Piece { sql, kind: SqlType::NVarChar(Length::Of(4_000)) }
            }
        }))
    }

    fn date_function(
        &mut self,
        name: &str,
        arguments: &[FunctionArg],
        place: Place<'_>,
    ) -> Result<Piece, SqlError> {
        if name == "DATEDIFF_BIG" && self.version < 2016 {
            return Err(SqlError::no_function(name));
        }
        let part = match arguments.first().map(expression).transpose()? {
            Some(Expr::Identifier(part)) => literal(&part.value),
            _ => return Err(wrong_count(name, 3)),
        };
        let [_, first, second] = arguments else { return Err(SqlError::not_played(format_args!("{name}"))) };
        let (first, second) = (self.argument(first, place)?, self.argument(second, place)?);
        if name == "DATEADD" {
            let date = as_date(second)?;
            let number = coerce(first, SqlType::Int)?;
            return Ok(Piece {
                sql: format!("ts_dateadd({part}, {}, {})", number.sql, date.sql),
                kind: date.kind,
            });
        }
        let kind = if name == "DATEDIFF" { SqlType::Int } else { SqlType::BigInt };
        let (first, second) = (as_date(first)?, as_date(second)?);
        Ok(Piece { sql: format!("ts_datediff({part}, {}, {}, '{kind}')", first.sql, second.sql), kind })
    }

    /// A function whose arguments are plain values.
    pub(crate) fn built_in(&mut self, name: &str, mut arguments: Vec<Piece>) -> Result<Piece, SqlError> {
        let (least, most, since) = match name {
            "GETDATE" | "GETUTCDATE" | "CURRENT_TIMESTAMP" | "SYSDATETIME" | "SYSUTCDATETIME"
            | "SYSDATETIMEOFFSET" | "SUSER_SNAME" | "ORIGINAL_LOGIN" | "DEFAULT_DOMAIN" | "HOST_NAME"
            | "APP_NAME" | "DB_NAME" => (0, 0, 0),
            "SERVERPROPERTY" | "CONNECTIONPROPERTY" | "IS_SRVROLEMEMBER" | "LEN" | "UPPER" | "LOWER"
            | "LTRIM" | "RTRIM" | "ABS" | "DATALENGTH" => (1, 1, 0),
            "TRIM" => (1, 1, 2017),
            "LEFT" | "RIGHT" | "ISNULL" | "NULLIF" | "SWITCHOFFSET" => (2, 2, 0),
            "CHARINDEX" => (2, 3, 0),
            "SUSER_SID" => (1, 2, 0),
            "SUBSTRING" | "REPLACE" => (3, 3, 0),
            "HAS_PERMS_BY_NAME" => (3, 5, 0),
            "COALESCE" | "CONCAT" => (2, 254, 0),
            _ if UNPLAYED.contains(&name) => {
                return Err(SqlError::not_played(format_args!("the function {name}")));
            }
            _ => return Err(SqlError::no_function(name)),
        };
        if self.version < since {
            return Err(SqlError::no_function(name));
        }
        if arguments.len() < least || arguments.len() > most {
            return Err(wrong_count(name, least));
        }
        let now = format!("({:?})", self.now);
        let local_now = format!("({:?})", dates::to_local(self.now, self.utc_offset));
        let joined =
            |pieces: &[Piece]| pieces.iter().map(|piece| piece.sql.as_str()).collect::<Vec<_>>().join(", ");
        let piece = |sql: String, kind: SqlType| Ok(Piece { sql, kind });
        match name {
            "GETDATE" | "CURRENT_TIMESTAMP" => piece(local_now, SqlType::DateTime),
            "GETUTCDATE" => piece(now, SqlType::DateTime),
            "SYSDATETIME" => piece(local_now, SqlType::DateTime2),
            "SYSUTCDATETIME" => piece(now, SqlType::DateTime2),
            "SYSDATETIMEOFFSET" => piece(now, SqlType::DateTimeOffset(self.utc_offset)),
            "SUSER_SNAME" | "ORIGINAL_LOGIN" | "DEFAULT_DOMAIN" | "HOST_NAME" | "APP_NAME" | "DB_NAME" => {
                piece(format!("ts_global('{name}')"), NAME)
            }
            "SERVERPROPERTY" | "CONNECTIONPROPERTY" => {
                piece(format!("ts_{}({})", name.to_ascii_lowercase(), joined(&arguments)), SqlType::Variant)
            }
            "IS_SRVROLEMEMBER" => piece(format!("ts_is_srvrolemember({})", joined(&arguments)), SqlType::Int),
            "SUSER_SID" => {
                // The name is a sysname; whether it is compared with a login's spelling changes no answer here.
                arguments.truncate(1);
                let name = arguments.pop().ok_or_else(|| wrong_count(name, 1))?;
                piece(
                    format!("ts_suser_sid({})", coerce(name, NAME)?.sql),
                    SqlType::VarBinary(Length::Of(85)),
                )
            }
            "HAS_PERMS_BY_NAME" => {
                arguments.truncate(3);
                piece(format!("ts_has_perms_by_name({})", joined(&arguments)), SqlType::Int)
            }
            "COALESCE" => {
                let tests: Vec<String> =
                    arguments.iter().map(|argument| format!("{} IS NOT NULL", argument.sql)).collect();
                case(&tests, arguments)
            }
            "ISNULL" => {
                let second = arguments.pop().ok_or_else(|| wrong_count(name, 2))?;
                let first = arguments.pop().ok_or_else(|| wrong_count(name, 2))?;
                let kind = if first.kind == SqlType::Null { second.kind } else { first.kind };
                let second = coerce(second, kind)?;
                piece(
                    format!("ts_convert(ifnull({}, {}), '{kind}', '{kind}', 0)", first.sql, second.sql),
                    kind,
                )
            }
            "SWITCHOFFSET" => match arguments.as_slice() {
                [date, offset] if offset.sql == "'+00:00'" => {
                    piece(as_date(date.clone())?.sql, SqlType::DateTimeOffset(0))
                }
                _ => Err(SqlError::not_played("SWITCHOFFSET to another offset than +00:00")),
            },
            "NULLIF" => {
                let kind = arguments.first().map_or(SqlType::Null, |first| first.kind);
                piece(format!("nullif({})", joined(&arguments)), kind)
            }
            "ABS" => {
                let kind = arguments.first().map_or(SqlType::Int, |first| first.kind);
                piece(format!("abs({})", joined(&arguments)), kind)
            }
            _ => text_function(name, arguments),
        }
    }
}

fn text_function(name: &str, arguments: Vec<Piece>) -> Result<Piece, SqlError> {
    // Which arguments are text; the others are int.
    let texts: &[usize] = match name {
        "CHARINDEX" => &[0, 1],
        "REPLACE" => &[0, 1, 2],
        "CONCAT" => &[],
        _ => &[0],
    };
    let mut kind = SqlType::NVarChar(Length::Of(4_000));
    let mut list = Vec::new();
    for (index, argument) in arguments.into_iter().enumerate() {
        let piece = if name == "CONCAT" || texts.contains(&index) {
            as_text(argument)?
        } else {
            coerce(argument, SqlType::Int)?
        };
        if index == 0 && !matches!(name, "CONCAT" | "REPLACE") {
            kind = piece.kind;
        }
        list.push(piece.sql);
    }
    if name == "CONCAT" {
        let parts: Vec<String> = list.iter().map(|part| format!("ifnull({part}, '')")).collect();
        return Ok(Piece { sql: format!("({})", parts.join(" || ")), kind });
    }
    if let ("LEFT" | "RIGHT", Some(Ok(number))) = (name, list.get(1).map(|text| text.parse::<u16>())) {
        let shorter = kind.text_length().min(Length::Of(number.max(1)));
        kind = if matches!(kind, SqlType::VarChar(_)) {
            SqlType::VarChar(shorter)
        } else {
            SqlType::NVarChar(shorter)
        };
    }
    if matches!(name, "LEN" | "DATALENGTH" | "CHARINDEX") {
        kind = SqlType::Int;
    }
    Ok(Piece { sql: format!("ts_text('{name}', {})", list.join(", ")), kind })
}

fn as_date(piece: Piece) -> Result<Piece, SqlError> {
    match piece.kind.family() {
        Family::Date | Family::Null => Ok(piece),
        Family::Text => coerce(piece, SqlType::DateTime2),
        _ => coerce(piece, SqlType::DateTime),
    }
}

fn sum_type(name: &str, kind: SqlType) -> SqlType {
    // SQLite's AVG is a float; its SUM of integers is a 64-bit integer.
    if name == "AVG" { SqlType::Float } else { kind }
}

fn expression(argument: &FunctionArg) -> Result<&Expr, SqlError> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) => Ok(expression),
        other => Err(SqlError::syntax(other)),
    }
}

fn wrong_count(name: &str, count: usize) -> SqlError {
    let text = format!("The {} function requires {count} argument(s).", name.to_ascii_lowercase());
    SqlError { class: 15, ..SqlError::of(174, text) }
}
