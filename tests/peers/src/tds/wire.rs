//! Packets and tokens of TDS 7.4 (MS-TDS 2.2.3, 2.2.7) as a server sends them.
//! Only what the played views need: no sql_variant, no numeric, no XML.

use std::io;

use rusqlite::types::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{
    compile::OutputColumn,
    convert::identifier_bytes,
    dates::{DAYS_FROM_YEAR_ONE, TICKS_PER_DAY},
    failure::SqlError,
    types::{Length, SqlType},
};

/// Packet types (MS-TDS 2.2.3.1.1).
pub(crate) const SQL_BATCH: u8 = 0x01;
pub(crate) const RPC: u8 = 0x03;
pub(crate) const ANSWER: u8 = 0x04;
pub(crate) const ATTENTION: u8 = 0x06;
pub(crate) const LOGIN7: u8 = 0x10;
pub(crate) const PRELOGIN: u8 = 0x12;

/// Packet size without its header, of the 4096 bytes that the login answer announces.
pub(crate) const PAYLOAD: usize = 4_096 - 8;

/// Status of a DONE token (MS-TDS 2.2.7.6).
pub(crate) const DONE_MORE: u16 = 0x01;
pub(crate) const DONE_ERROR: u16 = 0x02;
pub(crate) const DONE_COUNT: u16 = 0x10;
pub(crate) const DONE_ATTENTION: u16 = 0x20;

/// DONE and its two relatives inside and at the end of a procedure.
pub(crate) const DONE: u8 = 0xFD;
pub(crate) const DONE_PROCEDURE: u8 = 0xFE;
pub(crate) const DONE_IN_PROCEDURE: u8 = 0xFF;

/// Token types (MS-TDS 2.2.7).
const COLUMN_METADATA: u8 = 0x81;
const ERROR: u8 = 0xAA;
const INFO: u8 = 0xAB;
const ROW: u8 = 0xD1;

/// SQL_Latin1_General_CP1_CI_AS.
const COLLATION: [u8; 5] = [0x09, 0x04, 0xD0, 0x00, 0x34];

/// Name of the server in tokens.
const SERVER: &str = "LOOPBACK";

/// A stream to a client, plain or in TLS.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Reads one message of any number of packets.
pub(crate) async fn read_message(stream: &mut dyn Stream) -> io::Result<(u8, Vec<u8>)> {
    let mut body = Vec::new();
    loop {
        let mut header = [0; 8];
        stream.read_exact(&mut header).await?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let length =
            length.checked_sub(8).ok_or_else(|| io::Error::other("packet shorter than its header"))?;
        let at = body.len();
        body.resize(at + length, 0);
        stream.read_exact(&mut body[at..]).await?;
        if header[1] & 1 == 1 {
            return Ok((header[0], body));
        }
    }
}

/// Sends one message.
pub(crate) async fn send_message(stream: &mut dyn Stream, body: &[u8]) -> io::Result<()> {
    stream.write_all(&packets(body)).await?;
    stream.flush().await
}

/// The bytes of one answer message.
pub(crate) fn packets(body: &[u8]) -> Vec<u8> {
    let count = body.len().div_ceil(PAYLOAD).max(1);
    let mut bytes = Vec::with_capacity(body.len() + count * 8);
    for index in 0..count {
        let chunk = &body[index * PAYLOAD..body.len().min((index + 1) * PAYLOAD)];
        packet(&mut bytes, chunk, index + 1 == count, index);
    }
    bytes
}

/// One packet of an answer.
pub(crate) fn packet(bytes: &mut Vec<u8>, chunk: &[u8], is_last: bool, index: usize) {
    bytes.extend([ANSWER, u8::from(is_last)]);
    bytes.extend(((chunk.len() + 8) as u16).to_be_bytes());
    bytes.extend([0, 0, (index + 1) as u8, 0]);
    bytes.extend(chunk);
}

/// UTF-16 as TDS has it.
pub(crate) fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Text from UTF-16.
pub(crate) fn from_utf16(bytes: &[u8]) -> String {
    let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    String::from_utf16_lossy(&units)
}

/// B_VARCHAR (MS-TDS 2.2.5.2.2).
pub(crate) fn short_text(bytes: &mut Vec<u8>, text: &str) {
    let units: Vec<u16> = text.encode_utf16().take(usize::from(u8::MAX)).collect();
    bytes.push(units.len() as u8);
    bytes.extend(units.into_iter().flat_map(u16::to_le_bytes));
}

/// A token with a length in front of its body.
pub(crate) fn token(bytes: &mut Vec<u8>, kind: u8, body: &[u8]) {
    bytes.push(kind);
    bytes.extend((body.len() as u16).to_le_bytes());
    bytes.extend(body);
}

/// An ERROR token.
pub(crate) fn error(bytes: &mut Vec<u8>, error: &SqlError) {
    message(bytes, ERROR, error);
}

/// An INFO token.
pub(crate) fn info(bytes: &mut Vec<u8>, number: i32, text: &str) {
    let info = SqlError { number, class: 0, state: 1, message: text.to_owned() };
    message(bytes, INFO, &info);
}

fn message(bytes: &mut Vec<u8>, kind: u8, error: &SqlError) {
    let mut body = error.number.to_le_bytes().to_vec();
    body.extend([error.state, error.class]);
    let units: Vec<u16> = error.message.encode_utf16().take(8_000).collect();
    body.extend((units.len() as u16).to_le_bytes());
    body.extend(units.into_iter().flat_map(u16::to_le_bytes));
    short_text(&mut body, SERVER);
    short_text(&mut body, "");
    body.extend(1_i32.to_le_bytes());
    token(bytes, kind, &body);
}

/// DONE or a relative; the command is that of SELECT.
pub(crate) fn done(bytes: &mut Vec<u8>, kind: u8, status: u16, rows: u64) {
    const SELECT: u16 = 0xC1;
    bytes.push(kind);
    bytes.extend(status.to_le_bytes());
    bytes.extend(SELECT.to_le_bytes());
    bytes.extend(rows.to_le_bytes());
}

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
        SqlType::DateTimeOffset => bytes.extend([0x2B, 7]),
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
        (SqlType::DateTimeOffset, _) => {
            bytes.push(10);
            late_date(bytes, real);
            bytes.extend(0_i16.to_le_bytes());
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
