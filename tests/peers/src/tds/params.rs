//! Requests of a logged-in client: SQLBatch and the RPC `sp_executesql` with typed parameters (MS-TDS 2.2.6.6).
//! No table-valued parameters, no output parameters, no cursors.

use rusqlite::types::Value;

use super::{
    batch::Variables,
    convert::convert,
    dates::{DAYS_FROM_YEAR_ONE, TICKS_PER_DAY},
    failure::SqlError,
    types::{Length, SqlType},
    wire::from_utf16,
};

/// Text and parameters of a request.
#[derive(Debug, PartialEq)]
pub(crate) struct Request {
    /// The statements.
    pub(crate) text: String,
    /// Parameters by lower-case name.
    pub(crate) parameters: Variables,
}

/// Reads a SQLBatch.
pub(crate) fn batch(body: &[u8]) -> Result<Request, SqlError> {
    let mut reader = Reader { bytes: body };
    reader.headers().ok_or_else(malformed)?;
    Ok(Request { text: from_utf16(reader.bytes), parameters: Variables::new() })
}

/// Procedure number of sp_executesql (MS-TDS 2.2.6.6).
const EXECUTE_SQL: u16 = 10;

/// Reads an RPC request; procedures other than `sp_executesql` are refused.
pub(crate) fn rpc(body: &[u8]) -> Result<Request, SqlError> {
    let mut reader = Reader { bytes: body };
    reader.headers().ok_or_else(malformed)?;
    let length = reader.u16().ok_or_else(malformed)?;
    if length == u16::MAX {
        let procedure = reader.u16().ok_or_else(malformed)?;
        if procedure != EXECUTE_SQL {
            return Err(SqlError::not_played(format_args!("the procedure number {procedure}")));
        }
    } else {
        let name = from_utf16(reader.take(usize::from(length) * 2).ok_or_else(malformed)?);
        if !name.rsplit('.').next().unwrap_or_default().eq_ignore_ascii_case("sp_executesql") {
            return Err(super::error_log::execute_denied(&name));
        }
    }
    reader.u16().ok_or_else(malformed)?;
    let (_, _, text) = reader.parameter()?;
    let Value::Text(text) = text else { return Err(malformed()) };
    // The second parameter declares the types of those that follow; an untyped NULL takes its type from there.
    let mut declared = Vec::new();
    if !reader.bytes.is_empty()
        && let (_, _, Value::Text(text)) = reader.parameter()?
    {
        declared = declarations(&text);
    }
    let mut parameters = Variables::new();
    while !reader.bytes.is_empty() {
        let (name, sent, value) = reader.parameter()?;
        let position = parameters.len();
        let name = name.to_ascii_lowercase();
        let declaration = declared.iter().find(|(known, _)| *known == name).or(declared.get(position));
        let (name, kind) = match declaration {
            Some((known, kind)) => (known.clone(), kind.unwrap_or(sent)),
            None => {
                return Err(SqlError::of(
                    8178,
                    format!("The parameterized query does not declare '{name}'."),
                ));
            }
        };
        let value = if sent == kind { value } else { convert(value, sent, kind, 0)? };
        parameters.insert(name, (kind, value));
    }
    Ok(Request { text, parameters })
}

/// `@P1 nvarchar(4000),@P2 int` as lower-case names and types; a type that is not known here is left to the wire.
fn declarations(text: &str) -> Vec<(String, Option<SqlType>)> {
    let mut parts = vec![String::new()];
    let mut depth = 0_i32;
    for character in text.chars() {
        depth += i32::from(character == '(') - i32::from(character == ')');
        match parts.last_mut() {
            Some(part) if character != ',' || depth > 0 => part.push(character),
            _ => parts.push(String::new()),
        }
    }
    let read = |part: &String| {
        let (name, kind) = part.trim().split_once(' ')?;
        Some((name.to_ascii_lowercase(), SqlType::parse(kind)))
    };
    parts.iter().filter_map(read).collect()
}

fn malformed() -> SqlError {
    let text =
        "The incoming tabular data stream (TDS) remote procedure call (RPC) protocol stream is incorrect.";
    SqlError::of(8_009, text)
}

struct Reader<'b> {
    bytes: &'b [u8],
}

impl<'b> Reader<'b> {
    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// ALL_HEADERS, whose length counts itself.
    fn headers(&mut self) -> Option<()> {
        let length = usize::try_from(self.u32()?).ok()?;
        self.take(length.checked_sub(4)?).map(|_| ())
    }

    fn parameter(&mut self) -> Result<(String, SqlType, Value), SqlError> {
        let name = self.parameter_name().ok_or_else(malformed)?;
        let kind = self.u8().ok_or_else(malformed)?;
        match self.typed(kind) {
            Some(Some((kind, value))) => Ok((name, kind, value)),
            Some(None) => Err(SqlError::not_played(format_args!("a parameter of TDS type {kind:#04x}"))),
            None => Err(malformed()),
        }
    }

    fn parameter_name(&mut self) -> Option<String> {
        let length = usize::from(self.u8()?);
        let name = from_utf16(self.take(length * 2)?);
        self.u8()?;
        Some(name)
    }

    /// TYPE_INFO and value; the inner None is a type that is not played.
    fn typed(&mut self, kind: u8) -> Option<Option<(SqlType, Value)>> {
        Some(Some(match kind {
            0x1F => (SqlType::Null, Value::Null),
            0x30 => (SqlType::TinyInt, integer(self.take(1)?)),
            0x32 => (SqlType::Bit, integer(self.take(1)?)),
            0x34 => (SqlType::SmallInt, integer(self.take(2)?)),
            0x38 => (SqlType::Int, integer(self.take(4)?)),
            0x7F => (SqlType::BigInt, integer(self.take(8)?)),
            0x3E => (SqlType::Float, Value::Real(f64::from_le_bytes(self.array()?))),
            0x3D => (SqlType::DateTime, date(self.take(8)?)?),
            0x24 | 0x26 | 0x68 | 0x6D | 0x6F => {
                let size = self.u8()?;
                let length = usize::from(self.u8()?);
                let bytes = self.take(length)?;
                let declared = nullable_type(kind, size)?;
                let value = match (declared, length) {
                    (_, 0) => Value::Null,
                    (SqlType::Float, 4) => Value::Real(f64::from(f32::from_le_bytes(bytes.try_into().ok()?))),
                    (SqlType::Float, _) => Value::Real(f64::from_le_bytes(bytes.try_into().ok()?)),
                    (SqlType::DateTime, _) => date(bytes)?,
                    (SqlType::UniqueIdentifier, _) => return Some(None),
                    _ => integer(bytes),
                };
                (declared, value)
            }
            0x2A => {
                let scale = self.u8()?;
                let length = usize::from(self.u8()?);
                let bytes = self.take(length)?;
                (SqlType::DateTime2, if length == 0 { Value::Null } else { late_date(bytes, scale)? })
            }
            0xE7 => {
                let (size, bytes) = self.long(true)?;
                let characters = match size {
                    Length::Of(bytes) => Length::Of(bytes / 2),
                    Length::Max => Length::Max,
                };
                (
                    SqlType::NVarChar(characters),
                    bytes.map_or(Value::Null, |bytes| Value::Text(from_utf16(&bytes))),
                )
            }
            0xA7 => {
                let (size, bytes) = self.long(true)?;
                let text = |bytes: Vec<u8>| Value::Text(bytes.into_iter().map(char::from).collect());
                (SqlType::VarChar(size), bytes.map_or(Value::Null, text))
            }
            0xA5 => {
                let (size, bytes) = self.long(false)?;
                (SqlType::VarBinary(size), bytes.map_or(Value::Null, Value::Blob))
            }
            _ => return Some(None),
        }))
    }

    /// A value with a two-byte length, or partially length-prefixed where the declared length says `max`.
    fn long(&mut self, has_collation: bool) -> Option<(Length, Option<Vec<u8>>)> {
        let size = self.u16()?;
        if has_collation {
            self.take(5)?;
        }
        if size != u16::MAX {
            let length = self.u16()?;
            let bytes =
                if length == u16::MAX { None } else { Some(self.take(usize::from(length))?.to_vec()) };
            return Some((Length::Of(size), bytes));
        }
        if u64::from_le_bytes(self.array()?) == u64::MAX {
            return Some((Length::Max, None));
        }
        let mut bytes = Vec::new();
        loop {
            let length = usize::try_from(self.u32()?).ok()?;
            if length == 0 {
                return Some((Length::Max, Some(bytes)));
            }
            bytes.extend(self.take(length)?);
        }
    }
}

fn nullable_type(kind: u8, size: u8) -> Option<SqlType> {
    Some(match (kind, size) {
        (0x26, 1) => SqlType::TinyInt,
        (0x26, 2) => SqlType::SmallInt,
        (0x26, 4) => SqlType::Int,
        (0x26, 8) => SqlType::BigInt,
        (0x68, _) => SqlType::Bit,
        (0x6D, _) => SqlType::Float,
        (0x6F, 8) => SqlType::DateTime,
        (0x24, _) => SqlType::UniqueIdentifier,
        _ => return None,
    })
}

fn integer(bytes: &[u8]) -> Value {
    // One byte is unsigned (tinyint), the others are signed.
    if let [byte] = bytes {
        return Value::Integer(i64::from(*byte));
    }
    let sign = if bytes.last().is_some_and(|byte| byte & 0x80 != 0) { 0xFF } else { 0 };
    let mut wide = [sign; 8];
    wide[..bytes.len().min(8)].copy_from_slice(&bytes[..bytes.len().min(8)]);
    Value::Integer(i64::from_le_bytes(wide))
}

fn date(bytes: &[u8]) -> Option<Value> {
    let (days, ticks) = bytes.split_at_checked(4)?;
    let days = i32::from_le_bytes(days.try_into().ok()?);
    let ticks = u32::from_le_bytes(ticks.try_into().ok()?);
    Some(Value::Real(f64::from(days) + f64::from(ticks) / TICKS_PER_DAY))
}

fn late_date(bytes: &[u8], scale: u8) -> Option<Value> {
    let (time, days) = bytes.split_at_checked(bytes.len().checked_sub(3)?)?;
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0_i64, |sum, byte| sum << 8 | i64::from(*byte));
    let seconds = number(time) as f64 / 10_f64.powi(i32::from(scale));
    Some(Value::Real((number(days) - DAYS_FROM_YEAR_ONE) as f64 + seconds / super::dates::SECONDS_PER_DAY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_and_their_commas() {
        let declared = declarations("@P1 nvarchar(4000),@P2 numeric(10,2), @P3 thing");
        let names: Vec<&str> = declared.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["@p1", "@p2", "@p3"]);
        assert_eq!(declared[0].1, SqlType::parse("nvarchar(4000)"));
        assert_eq!(declared[2].1, None);
    }

    #[test]
    fn hostile_requests_are_refused() {
        for body in [&b""[..], &[0xFF; 4], &[4, 0, 0, 0], &[4, 0, 0, 0, 0xFF, 0xFF, 10, 0, 0, 0, 9, 1]] {
            assert!(rpc(body).is_err(), "{body:?}");
        }
        assert!(batch(&[200, 0, 0, 0, 1]).is_err());
    }
}
