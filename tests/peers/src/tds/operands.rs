//! Literals, CASE and the implicit conversions between operands, after "Data type precedence".
//! Values are not looked at; what cannot be converted at all is refused here.

use sqlparser::ast::Value;

use super::{
    compile::{Piece, literal},
    failure::SqlError,
    types::{Family, Length, SqlType},
};

/// CASE from translated tests and one more or as many results; all results take the common type.
pub(crate) fn case(tests: &[String], results: Vec<Piece>) -> Result<Piece, SqlError> {
    let kind = results.iter().fold(SqlType::Null, |kind, result| kind.unify(result.kind));
    if kind == SqlType::Null {
        let text = "At least one of the result expressions in a CASE specification must be an expression other than \
                    the NULL constant.";
        return Err(SqlError::of(8133, text));
    }
    let mut results = results.into_iter().map(|result| coerce(result, kind));
    let mut sql = "CASE".to_owned();
    for test in tests {
        let result = results.next().transpose()?.map(|piece| piece.sql).unwrap_or_default();
        sql += &format!(" WHEN {test} THEN {result}");
    }
    if let Some(otherwise) = results.next() {
        sql += &format!(" ELSE {}", otherwise?.sql);
    }
    Ok(Piece { sql: format!("({sql} END)"), kind })
}

/// Converts implicitly, as far as SQL Server does (257 where a CAST is needed).
pub(crate) fn coerce(piece: Piece, to: SqlType) -> Result<Piece, SqlError> {
    let (from, target) = (piece.kind.family(), to.family());
    let same = from == target || matches!((from, target), (Family::Integer, Family::Approximate));
    if same || from == Family::Null || target == Family::Variant || target == Family::Null {
        return Ok(Piece { kind: to, ..piece });
    }
    let refused = from == Family::Variant || piece.kind.check_cast(to).is_err();
    if refused {
        let text = format!(
            "Implicit conversion from data type {} to {} is not allowed. Use the CONVERT function to run this query.",
            piece.kind.bare_name(),
            to.bare_name()
        );
        return Err(SqlError { state: 3, ..SqlError::of(257, text) });
    }
    Ok(Piece { sql: format!("ts_convert({}, '{}', '{to}', 0)", piece.sql, piece.kind), kind: to })
}

/// Converts to text implicitly, keeping the length of text.
pub(crate) fn as_text(piece: Piece) -> Result<Piece, SqlError> {
    if piece.kind.is_text() {
        return Ok(piece);
    }
    coerce(piece, SqlType::NVarChar(Length::Of(4_000)))
}

/// Joins texts.
pub(crate) fn concatenate(left: Piece, sign: &str, right: Piece) -> Result<Piece, SqlError> {
    if sign != "+" {
        let text = format!(
            "The data types {} and {} are incompatible in the {sign} operator.",
            left.kind.bare_name(),
            right.kind.bare_name()
        );
        return Err(SqlError::of(402, text));
    }
    let length = left.kind.text_length().plus(right.kind.text_length());
    let kind = match left.kind.unify(right.kind) {
        SqlType::VarChar(_) => SqlType::VarChar(length),
        _ => SqlType::NVarChar(length),
    };
    Ok(Piece { sql: format!("({} || {})", left.sql, right.sql), kind })
}

/// A literal.
pub(crate) fn constant(value: &Value) -> Result<Piece, SqlError> {
    let length = |text: &str| Length::Of(u16::try_from(text.encode_utf16().count()).unwrap_or(4_000).max(1));
    Ok(match value {
        Value::Null => Piece { sql: "NULL".to_owned(), kind: SqlType::Null },
        Value::Number(text, _) if text.parse::<i32>().is_ok() => {
            Piece { sql: text.clone(), kind: SqlType::Int }
        }
        // A whole number beyond int is numeric, not bigint ("Constants").
        Value::Number(text, _) => {
            let kind = if text.contains(['e', 'E']) { SqlType::Float } else { SqlType::Numeric };
            Piece { sql: text.clone(), kind }
        }
        Value::SingleQuotedString(text) => Piece { sql: literal(text), kind: SqlType::VarChar(length(text)) },
        Value::NationalStringLiteral(text) => {
            Piece { sql: literal(text), kind: SqlType::NVarChar(length(text)) }
        }
        Value::HexStringLiteral(digits) => {
            Piece { sql: format!("X'{digits}'"), kind: SqlType::VarBinary(length(digits)) }
        }
        other => return Err(SqlError::not_played(format_args!("the constant {other}"))),
    })
}

/// A variable such as `@@SPID`.
pub(crate) fn global_variable(name: &str) -> Result<Piece, SqlError> {
    let kind = match name.to_ascii_uppercase().as_str() {
        "SPID" => SqlType::SmallInt,
        "SERVERNAME" | "SERVICENAME" | "VERSION" => SqlType::NVarChar(Length::Of(300)),
        "ROWCOUNT" | "ERROR" | "TRANCOUNT" | "LOCK_TIMEOUT" => SqlType::Int,
        _ => return Err(SqlError::no_variable(&format!("@@{name}"))),
    };
    Ok(Piece { sql: format!("ts_global({})", literal(&name.to_ascii_uppercase())), kind })
}
