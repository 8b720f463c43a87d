//! Columns and rows on the wire: COLMETADATA, TYPE_INFO and ROW (MS-TDS 2.2.5, 2.2.7.4, 2.2.7.19).
//! Only the types that the played views have: no numeric, no XML, of sql_variant only NULL.

use rusqlite::types::Value;

use super::{
    compile::OutputColumn,
    convert::identifier_bytes,
    dates::{DAYS_FROM_YEAR_ONE, TICKS_PER_DAY},
    types::{Length, SqlType},
    wire::{short_text, utf16},
};

/// Token types.
const COLUMN_METADATA: u8 = 0x81;
const ROW: u8 = 0xD1;

/// SQL_Latin1_General_CP1_CI_AS.
const COLLATION: [u8; 5] = [0x09, 0x04, 0xD0, 0x00, 0x34];

/// COLMETADATA.
pub(crate) fn metadata(bytes: &mut Vec<u8>, columns: &[OutputColumn]) {
    bytes.push(COLUMN_METADATA);
    bytes.extend((columns.len() as u16).to_le_bytes());
    for column in columns {
        bytes.extend(0_u32.to_le_bytes());
        // fNullable, not updatable.
        bytes.extend([1, 0]);
        type_info(bytes, column.kind);
        short_text(bytes, &column.name);
    }
}

/// TYPE_INFO (MS-TDS 2.2.5.6).
fn type_info(bytes: &mut Vec<u8>, kind: SqlType) {
    let limit = |length: Length, unit: u16| match length {
        Length::Of(number) => (number * unit).to_le_bytes(),
        Length::Max => u16::MAX.to_le_bytes(),
    };
    match kind {
        SqlType::TinyInt => bytes.extend([0x26, 1]),
        SqlType::SmallInt => bytes.extend([0x26, 2]),
        SqlType::Int | SqlType::Null => bytes.extend([0x26, 4]),
        SqlType::BigInt => bytes.extend([0x26, 8]),
        SqlType::Bit => bytes.extend([0x68, 1]),
        SqlType::Float | SqlType::Numeric => bytes.extend([0x6D, 8]),
        SqlType::DateTime => bytes.extend([0x6F, 8]),
        SqlType::DateTime2 => bytes.extend([0x2A, 7]),
        SqlType::DateTimeOffset(_) => bytes.extend([0x2B, 7]),
        SqlType::UniqueIdentifier => bytes.extend([0x24, 16]),
        SqlType::VarBinary(length) => {
            bytes.push(0xA5);
            bytes.extend(limit(length, 1));
        }
        SqlType::VarChar(length) => {
            bytes.push(0xA7);
            bytes.extend(limit(length, 1));
            bytes.extend(COLLATION);
        }
        SqlType::NVarChar(length) => {
            bytes.push(0xE7);
            bytes.extend(limit(length, 2));
            bytes.extend(COLLATION);
        }
        SqlType::Variant => {
            bytes.push(0x62);
            bytes.extend(8_009_u32.to_le_bytes());
        }
    }
}

/// ROW.
pub(crate) fn row(bytes: &mut Vec<u8>, columns: &[OutputColumn], values: &[Value]) {
    bytes.push(ROW);
    for (column, value) in columns.iter().zip(values) {
        cell(bytes, column.kind, value);
    }
}

fn cell(bytes: &mut Vec<u8>, kind: SqlType, value: &Value) {
    let number = match value {
        Value::Integer(number) => *number,
        Value::Real(number) => *number as i64,
        _ => 0,
    };
    let real = match value {
        Value::Integer(number) => *number as f64,
        Value::Real(number) => *number,
        _ => 0.0,
    };
    match (kind, value) {
        (SqlType::NVarChar(length) | SqlType::VarChar(length) | SqlType::VarBinary(length), Value::Null) => {
            match length {
                Length::Of(_) => bytes.extend([0xFF; 2]),
                Length::Max => bytes.extend([0xFF; 8]),
            }
        }
        (SqlType::Variant, Value::Null) => bytes.extend([0; 4]),
        (_, Value::Null) => bytes.push(0),
        (SqlType::NVarChar(length), Value::Text(text)) => long(bytes, length, 2, utf16(text)),
        (SqlType::VarChar(length), Value::Text(text)) => long(bytes, length, 1, windows_1252(text)),
        (SqlType::VarBinary(length), Value::Blob(blob)) => long(bytes, length, 1, blob.clone()),
        (SqlType::TinyInt | SqlType::Bit, _) => bytes.extend([1, number as u8]),
        (SqlType::SmallInt, _) => sized(bytes, &(number as i16).to_le_bytes()),
        (SqlType::Int | SqlType::Null, _) => sized(bytes, &(number as i32).to_le_bytes()),
        (SqlType::BigInt, _) => sized(bytes, &number.to_le_bytes()),
        (SqlType::Float | SqlType::Numeric, _) => sized(bytes, &real.to_le_bytes()),
        (SqlType::DateTime, _) => {
            let ticks = (real * TICKS_PER_DAY).round() as i64;
            let (day, tick) =
                (ticks.div_euclid(TICKS_PER_DAY as i64), ticks.rem_euclid(TICKS_PER_DAY as i64));
            bytes.push(8);
            bytes.extend((day as i32).to_le_bytes());
            bytes.extend((tick as u32).to_le_bytes());
        }
        (SqlType::DateTime2, _) => {
            bytes.push(8);
            late_date(bytes, real);
        }
        (SqlType::DateTimeOffset(minutes), _) => {
            bytes.push(10);
            late_date(bytes, real);
            bytes.extend(minutes.to_le_bytes());
        }
        (SqlType::UniqueIdentifier, Value::Text(text)) => match identifier_bytes(text) {
            Some(identifier) => sized(bytes, &identifier),
            None => bytes.push(0),
        },
        (SqlType::NVarChar(length), _) => long(bytes, length, 2, utf16(&number.to_string())),
        (SqlType::VarChar(length), _) => long(bytes, length, 1, number.to_string().into_bytes()),
        (SqlType::VarBinary(length), _) => long(bytes, length, 1, number.to_be_bytes().to_vec()),
        (SqlType::UniqueIdentifier, _) => bytes.push(0),
        (SqlType::Variant, _) => bytes.extend([0; 4]),
    }
}

fn sized(bytes: &mut Vec<u8>, value: &[u8]) {
    bytes.push(value.len() as u8);
    bytes.extend(value);
}

/// USHORTLEN data, or partially length-prefixed data for `max` types (MS-TDS 2.2.5.2.3).
fn long(bytes: &mut Vec<u8>, length: Length, unit: usize, mut value: Vec<u8>) {
    match length {
        Length::Of(limit) => {
            value.truncate(usize::from(limit) * unit);
            bytes.extend((value.len() as u16).to_le_bytes());
            bytes.extend(value);
        }
        Length::Max => {
            bytes.extend((value.len() as u64).to_le_bytes());
            if !value.is_empty() {
                bytes.extend((value.len() as u32).to_le_bytes());
                bytes.extend(value);
            }
            bytes.extend(0_u32.to_le_bytes());
        }
    }
}

/// Time in 100 ns and days since year one (MS-TDS 2.2.5.5.1.8).
fn late_date(bytes: &mut Vec<u8>, days: f64) {
    const UNITS_PER_DAY: f64 = 864_000_000_000.0;
    let whole = days.floor();
    let units = (((days - whole) * UNITS_PER_DAY).round() as u64).min(UNITS_PER_DAY as u64 - 1);
    bytes.extend(&units.to_le_bytes()[..5]);
    bytes.extend(&(whole as i64 + DAYS_FROM_YEAR_ONE).to_le_bytes()[..3]);
}

fn windows_1252(text: &str) -> Vec<u8> {
    text.chars().map(|character| u8::try_from(u32::from(character)).unwrap_or(b'?')).collect()
}
