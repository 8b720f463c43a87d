//! Packets and tokens of TDS 7.4 (MS-TDS 2.2.3, 2.2.7) as a server sends them.
//! Only what the played views need: no sql_variant, no numeric, no XML.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::failure::SqlError;

/// Packet types (MS-TDS 2.2.3.1.1).
pub(crate) const SQL_BATCH: u8 = 0x01;
pub(crate) const RPC: u8 = 0x03;
pub(crate) const ANSWER: u8 = 0x04;
pub(crate) const ATTENTION: u8 = 0x06;
pub(crate) const LOGIN7: u8 = 0x10;
pub(crate) const SSPI: u8 = 0x11;
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
const ERROR: u8 = 0xAA;
const INFO: u8 = 0xAB;
pub(crate) const SSPI_TOKEN: u8 = 0xED;

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
