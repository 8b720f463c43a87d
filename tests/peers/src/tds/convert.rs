//! CAST and CONVERT on values, with the refusals of SQL Server (245, 8114, 8115, 241, 8169).
//! Whether a conversion exists at all is `SqlType::check_cast`; here values are looked at.

use rusqlite::types::Value;

use super::{
    dates,
    failure::SqlError,
    types::{Family, Length, SqlType},
};

/// Converts a value; `style` is the third argument of CONVERT, 0 for a CAST.
pub(crate) fn convert(value: Value, from: SqlType, to: SqlType, style: i64) -> Result<Value, SqlError> {
    if value == Value::Null {
        return Ok(Value::Null);
    }
    // A sql_variant has the type of the value inside.
    let from = if from == SqlType::Variant { type_inside(&value) } else { from };
    match to.family() {
        Family::Integer => to_integer(value, from, to),
        Family::Approximate => to_float(value, from, to),
        Family::Text => to_text(value, from, to, style),
        Family::Date => to_date(value, from, to),
        Family::Identifier => to_identifier(value),
        Family::Binary => to_binary(value, to, style),
        Family::Variant | Family::Null => Ok(value),
    }
}

/// Type of a value that came out of a sql_variant.
pub(crate) fn type_inside(value: &Value) -> SqlType {
    match value {
        Value::Null => SqlType::Null,
        Value::Integer(_) => SqlType::BigInt,
        Value::Real(_) => SqlType::Float,
        Value::Text(_) => SqlType::NVarChar(Length::Of(4_000)),
        Value::Blob(_) => SqlType::VarBinary(Length::Of(8_000)),
    }
}

fn to_integer(value: Value, from: SqlType, to: SqlType) -> Result<Value, SqlError> {
    let number = match value {
        Value::Integer(number) => number,
        Value::Real(number) if to == SqlType::Bit => i64::from(number != 0.0),
        // Float to integer truncates, datetime to integer rounds (CAST and CONVERT page).
        Value::Real(number) if from.family() == Family::Date => number.round() as i64,
        Value::Real(number) if number.abs() < 9.2e18 => number.trunc() as i64,
        Value::Real(_) => return Err(SqlError::overflow(to.bare_name())),
        Value::Text(text) => integer_from_text(&text, from, to)?,
        Value::Blob(bytes) => bytes.iter().fold(0, |sum, byte| sum << 8 | i64::from(*byte)),
        Value::Null => return Ok(Value::Null),
    };
    if to == SqlType::Bit {
        return Ok(Value::Integer(i64::from(number != 0)));
    }
    let (least, most) = to.bounds().unwrap_or((i64::MIN, i64::MAX));
    if (least..=most).contains(&number) {
        Ok(Value::Integer(number))
    } else {
        Err(SqlError::overflow(to.bare_name()))
    }
}

fn integer_from_text(text: &str, from: SqlType, to: SqlType) -> Result<i64, SqlError> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Ok(0);
    }
    match (to, trimmed.to_ascii_lowercase().as_str()) {
        (SqlType::Bit, "true") => return Ok(1),
        (SqlType::Bit, "false") => return Ok(0),
        _ => {}
    }
    trimmed.parse().map_err(|_| match to {
        SqlType::BigInt => no_conversion(from, to),
        _ => SqlError::of(
            245,
            format!(
                "Conversion failed when converting the {} value '{text}' to data type {}.",
                from.bare_name(),
                to.bare_name()
            ),
        ),
    })
}

fn no_conversion(from: SqlType, to: SqlType) -> SqlError {
    let text = format!("Error converting data type {} to {}.", from.bare_name(), to.bare_name());
    SqlError { state: 5, ..SqlError::of(8114, text) }
}

fn to_float(value: Value, from: SqlType, to: SqlType) -> Result<Value, SqlError> {
    Ok(Value::Real(match value {
        Value::Integer(number) => number as f64,
        Value::Real(number) => number,
        Value::Text(text) if text.trim().is_empty() => 0.0,
        Value::Text(text) => text.trim().parse().map_err(|_| no_conversion(from, to))?,
        Value::Null | Value::Blob(_) => return Err(no_conversion(from, to)),
    }))
}

fn to_text(value: Value, from: SqlType, to: SqlType, style: i64) -> Result<Value, SqlError> {
    let text = match value {
        Value::Integer(number) => number.to_string(),
        Value::Real(days) if from.family() == Family::Date => date_text(days, from, style)?,
        Value::Real(number) => float_text(number),
        Value::Text(text) => text,
        Value::Blob(bytes) if style == 1 => format!("0x{}", hex(&bytes)),
        Value::Blob(bytes) if style == 2 => hex(&bytes),
        Value::Blob(_) => return Err(SqlError::not_played("a binary value read as characters (style 0)")),
        Value::Null => return Ok(Value::Null),
    };
    let Length::Of(limit) = to.text_length() else { return Ok(Value::Text(text)) };
    let too_long = text.encode_utf16().count() > usize::from(limit);
    if too_long && from.family() == Family::Identifier {
        return Err(SqlError::of(
            8170,
            "Insufficient result space to convert uniqueidentifier value to char.",
        ));
    }
    if too_long && !matches!(from.family(), Family::Text | Family::Date) {
        return Err(SqlError::overflow(to.bare_name()));
    }
    Ok(Value::Text(truncate(&text, usize::from(limit))))
}

fn date_text(days: f64, from: SqlType, style: i64) -> Result<String, SqlError> {
    let decimals = if from == SqlType::DateTime { 3 } else { 7 };
    let (days, zone) = match from {
        SqlType::DateTimeOffset(minutes) => (dates::to_local(days, minutes), zone_text(minutes)),
        _ => (days, String::new()),
    };
    Ok(match style {
        0 if from == SqlType::DateTime => dates::to_default_text(days),
        120 | 20 => dates::to_iso(days, ' ', 0) + &zone,
        0 | 121 | 21 => dates::to_iso(days, ' ', decimals) + &zone,
        126 => dates::to_iso(days, 'T', decimals) + zone.trim_start(),
        127 => dates::to_iso(days, 'T', decimals) + "Z",
        _ => return Err(SqlError::not_played(format_args!("CONVERT style {style} of a date"))),
    })
}

/// ` +02:00`.
fn zone_text(minutes: i16) -> String {
    let sign = if minutes < 0 { '-' } else { '+' };
    format!(" {sign}{:02}:{:02}", minutes.unsigned_abs() / 60, minutes.unsigned_abs() % 60)
}

/// Six significant digits, as style 0 of a float has.
fn float_text(number: f64) -> String {
    let magnitude = if number == 0.0 { 0 } else { number.abs().log10().floor() as i32 };
    if (-5..16).contains(&magnitude) {
        let decimals = usize::try_from(5 - magnitude).unwrap_or_default();
        let text = format!("{number:.decimals$}");
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
    } else {
        format!("{number:.5e}")
    }
}

/// Cuts after a number of UTF-16 units without splitting a character.
fn truncate(text: &str, limit: usize) -> String {
    let mut units = 0;
    text.chars()
        .take_while(|character| {
            units += character.len_utf16();
            units <= limit
        })
        .collect()
}

fn to_date(value: Value, from: SqlType, to: SqlType) -> Result<Value, SqlError> {
    let days = match value {
        // Only the digits of the clock survive the way to a type without an offset.
        Value::Real(days) => match (from, to) {
            (SqlType::DateTimeOffset(minutes), SqlType::DateTime | SqlType::DateTime2) => {
                dates::to_local(days, minutes)
            }
            _ => days,
        },
        Value::Integer(days) => days as f64,
        Value::Text(text) => dates::parse(&text).ok_or_else(|| {
            SqlError::of(241, "Conversion failed when converting date and/or time from character string.")
        })?,
        Value::Null | Value::Blob(_) => return Err(SqlError::not_played("a binary value as a date")),
    };
    Ok(Value::Real(if to == SqlType::DateTime { dates::round_to_datetime(days) } else { days }))
}

fn to_identifier(value: Value) -> Result<Value, SqlError> {
    let refused = || SqlError {
        state: 2,
        ..SqlError::of(8169, "Conversion failed when converting from a character string to uniqueidentifier.")
    };
    match value {
        Value::Text(text) => {
            let bare = text.trim().trim_start_matches('{').trim_end_matches('}').to_ascii_uppercase();
            if identifier_bytes(&bare).is_some() { Ok(Value::Text(bare)) } else { Err(refused()) }
        }
        _ => Err(refused()),
    }
}

/// Bytes of a uniqueidentifier on the wire: the first three groups are little-endian (MS-DTYP 2.3.4.2).
pub(crate) fn identifier_bytes(text: &str) -> Option<[u8; 16]> {
    let groups: Vec<&str> = text.split('-').collect();
    if groups.iter().map(|group| group.len()).ne([8, 4, 4, 4, 12]) {
        return None;
    }
    let mut bytes: [u8; 16] = unhex(&groups.concat())?.try_into().ok()?;
    bytes[..4].reverse();
    bytes[4..6].reverse();
    bytes[6..8].reverse();
    Some(bytes)
}

fn to_binary(value: Value, to: SqlType, style: i64) -> Result<Value, SqlError> {
    let mut bytes = match value {
        Value::Blob(bytes) => bytes,
        Value::Integer(number) => number.to_be_bytes().to_vec(),
        Value::Text(text) if style == 1 || text.starts_with("0x") => unhex(text.trim_start_matches("0x"))
            .ok_or_else(|| SqlError::of(8114, "Error converting data type varchar to varbinary."))?,
        Value::Text(text) => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        Value::Null | Value::Real(_) => return Err(SqlError::not_played("a float as a binary value")),
    };
    if let Length::Of(limit) = to.text_length() {
        bytes.truncate(usize::from(limit));
    }
    Ok(Value::Blob(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cast(value: Value, from: &str, to: &str) -> Result<Value, i32> {
        let kind = |text| SqlType::parse(text).unwrap();
        convert(value, kind(from), kind(to), 0).map_err(|error| error.number)
    }

    #[test]
    fn casts_and_their_refusals() {
        let text = |text: &str| Value::Text(text.to_owned());
        assert_eq!(cast(text(" 42 "), "nvarchar(9)", "int"), Ok(Value::Integer(42)));
        assert_eq!(cast(text(""), "sql_variant", "int"), Ok(Value::Integer(0)));
        assert_eq!(cast(text("4x"), "sql_variant", "int"), Err(245));
        assert_eq!(cast(text("4.5"), "nvarchar(9)", "int"), Err(245));
        assert_eq!(cast(text("4x"), "nvarchar(9)", "bigint"), Err(8114));
        assert_eq!(cast(Value::Integer(300), "int", "tinyint"), Err(8115));
        assert_eq!(cast(Value::Integer(3_000_000_000), "bigint", "int"), Err(8115));
        assert_eq!(cast(Value::Integer(7), "int", "bit"), Ok(Value::Integer(1)));
        assert_eq!(cast(text("abcdef"), "nvarchar(9)", "nvarchar(3)"), Ok(text("abc")));
        assert_eq!(cast(text("x"), "varchar(9)", "datetime"), Err(241));
        assert_eq!(cast(text("nope"), "varchar(9)", "uniqueidentifier"), Err(8169));
        assert_eq!(cast(Value::Real(1.5), "datetime", "float"), Ok(Value::Real(1.5)));
        assert_eq!(cast(Value::Real(2.5), "float", "nvarchar(30)"), Ok(text("2.5")));
        assert_eq!(cast(Value::Null, "int", "nvarchar(3)"), Ok(Value::Null));
    }
}
