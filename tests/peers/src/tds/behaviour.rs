//! Ways in which a server can fail its clients, and what each sends instead of the right answer.
//! The network part (hanging, cutting off) is the connection's; here is what changes the bytes.

use std::sync::Arc;

use rusqlite::types::Value;

use super::{
    batch::{Answer, Outcome},
    cells,
    compile::OutputColumn,
    engine::ResultSet,
    failure::SqlError,
    types::{Family, Length, SqlType},
    wire,
};

/// How the server behaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// Answers rightly.
    #[default]
    Normal,
    /// Accepts connections and stays silent.
    HangAtAccept,
    /// Stays silent after LOGIN7.
    HangAtLogin,
    /// Stays silent after a statement.
    HangAtQuery,
    /// Stays silent after a statement that has the host translate a name: it waits for a domain controller.
    HangAtNames,
    /// Closes the connection after so many bytes of the answer to a statement.
    CutQueryAfter(usize),
    /// Refuses logins, for example with 18456 or 18452.
    RefuseLogin {
        /// Number of the error.
        number: i32,
        /// Text of the error.
        text: String,
    },
    /// Closes the connection after a statement.
    DropAtQuery,
    /// Answers a statement with random bytes in a well-formed packet.
    Garbage,
    /// Answers a SELECT with its rows over and over, millions of them, texts at full length.
    HugeRows,
    /// Sends every column as another type.
    WrongTypes,
}

/// Rows of [`Behaviour::HugeRows`]: more than any client should keep.
pub(crate) const HUGE: usize = 2_000_000;
/// Characters of a `max` text in [`Behaviour::HugeRows`].
const HUGE_TEXT: usize = 1 << 20;

/// The message for an answer: DONE after each statement, or the procedure's forms of it.
pub(crate) fn encode(answer: &Answer, is_procedure: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let count = answer.outcomes.len();
    for (index, outcome) in answer.outcomes.iter().enumerate() {
        let more = if is_procedure || index + 1 < count { wire::DONE_MORE } else { 0 };
        let kind = if is_procedure { wire::DONE_IN_PROCEDURE } else { wire::DONE };
        match outcome {
            Outcome::Rows(result) => {
                cells::metadata(&mut bytes, &result.columns);
                for row in &result.rows {
                    cells::row(&mut bytes, &result.columns, row);
                }
                wire::done(&mut bytes, kind, wire::DONE_COUNT | more, result.rows.len() as u64);
            }
            Outcome::Done => wire::done(&mut bytes, kind, more, 0),
            Outcome::Failed(error) => {
                wire::error(&mut bytes, error);
                // A refused view is answered with two errors.
                if error.number == 300 {
                    let text = "The user does not have permission to perform this action.";
                    wire::error(&mut bytes, &SqlError::of(297, text));
                }
                wire::done(&mut bytes, kind, wire::DONE_ERROR | more, 0);
            }
        }
    }
    if is_procedure {
        let failed = matches!(answer.outcomes.last(), Some(Outcome::Failed(_)));
        const RETURN_STATUS: u8 = 0x79;
        bytes.push(RETURN_STATUS);
        bytes.extend(i32::from(failed).to_le_bytes());
        wire::done(&mut bytes, wire::DONE_PROCEDURE, if failed { wire::DONE_ERROR } else { 0 }, 0);
    } else if count == 0 {
        wire::done(&mut bytes, wire::DONE, 0, 0);
    }
    bytes
}

/// Sends each column as another type.
pub(crate) fn mistype(answer: &mut Answer) {
    for outcome in &mut answer.outcomes {
        let Outcome::Rows(ResultSet { columns, rows }) = outcome else { continue };
        for (index, column) in columns.iter_mut().enumerate() {
            let is_text = matches!(column.kind.family(), Family::Text | Family::Identifier);
            column.kind = if is_text { SqlType::Int } else { SqlType::NVarChar(Length::Of(60)) };
            for value in rows.iter_mut().filter_map(|row| row.get_mut(index)) {
                *value = match std::mem::replace(value, Value::Null) {
                    Value::Null => Value::Null,
                    Value::Text(text) => Value::Integer(text.len() as i64),
                    Value::Integer(number) => Value::Text(number.to_string()),
                    Value::Real(number) => Value::Text(number.to_string()),
                    Value::Blob(_) => Value::Text("blob".to_owned()),
                };
            }
        }
    }
}

/// One row of the first result, swollen, with its columns.
pub(crate) fn swell(answer: &Answer) -> Option<(Arc<[OutputColumn]>, Vec<Value>)> {
    let result = answer.outcomes.iter().find_map(|outcome| match outcome {
        Outcome::Rows(result) => Some(result),
        _ => None,
    })?;
    let full = |(index, column): (usize, &OutputColumn)| match column.kind {
        SqlType::NVarChar(length) | SqlType::VarChar(length) => Value::Text("x".repeat(match length {
            Length::Of(number) => usize::from(number),
            Length::Max => HUGE_TEXT,
        })),
        _ => result.rows.first().and_then(|row| row.get(index).cloned()).unwrap_or(Value::Integer(1)),
    };
    let row = result.columns.iter().enumerate().map(full).collect();
    Some((result.columns.clone().into(), row))
}

/// Bytes that are no tokens, the same in every run (a linear congruential generator, Knuth's MMIX constants).
pub(crate) fn garbage(seed: u64) -> Vec<u8> {
    let mut state = seed;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u8
    })
    .take(2_000)
    .collect()
}
