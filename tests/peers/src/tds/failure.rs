//! Server errors of Transact-SQL, with the numbers, classes and texts of `sys.messages`.
//! Numbers from 50000 on are this peer's own: it says that it does not know something a real server would.

/// An ERROR token (MS-TDS 2.2.7.10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlError {
    /// `sys.messages.message_id`.
    pub number: i32,
    /// Severity.
    pub class: u8,
    /// State.
    pub state: u8,
    /// Text as the client sees it.
    pub message: String,
}

/// First number of user-defined messages (sp_addmessage); used for "the peer cannot do that".
const NOT_PLAYED: i32 = 50_001;

impl SqlError {
    /// An error of severity 16, the class of mistakes that the user can correct.
    pub(crate) fn of(number: i32, message: impl Into<String>) -> Self {
        Self { number, class: 16, state: 1, message: message.into() }
    }

    /// An error of severity 14, the class of security errors.
    pub(crate) fn denied(number: i32, message: impl Into<String>) -> Self {
        Self { number, class: 14, state: 1, message: message.into() }
    }

    /// A construct that this peer does not evaluate although a server might.
    pub(crate) fn not_played(what: impl std::fmt::Display) -> Self {
        Self::of(NOT_PLAYED, format!("the loopback SQL Server does not evaluate {what}"))
    }

    /// Whether it is the peer, not the statement, that falls short.
    pub(crate) fn is_not_played(&self) -> bool {
        self.number == NOT_PLAYED
    }

    pub(crate) fn syntax(near: impl std::fmt::Display) -> Self {
        Self { class: 15, ..Self::of(102, format!("Incorrect syntax near '{near}'.")) }
    }

    pub(crate) fn no_object(name: &str) -> Self {
        Self::of(208, format!("Invalid object name '{name}'."))
    }

    pub(crate) fn no_column(name: &str) -> Self {
        Self::of(207, format!("Invalid column name '{name}'."))
    }

    pub(crate) fn no_function(name: &str) -> Self {
        Self {
            class: 15,
            state: 10,
            ..Self::of(195, format!("'{name}' is not a recognized built-in function name."))
        }
    }

    pub(crate) fn no_variable(name: &str) -> Self {
        Self { class: 15, state: 2, ..Self::of(137, format!("Must declare the scalar variable \"{name}\".")) }
    }

    pub(crate) fn overflow(kind: impl std::fmt::Display) -> Self {
        Self {
            state: 2,
            ..Self::of(8115, format!("Arithmetic overflow error converting expression to data type {kind}."))
        }
    }

    /// Text form that passes through SQLite's error channel and comes back by [`SqlError::from_channel`].
    pub(crate) fn to_channel(&self) -> String {
        format!("{CHANNEL}{}:{}:{}:{}", self.number, self.class, self.state, self.message)
    }

    /// Reads the error back from what SQLite reports.
    pub(crate) fn from_channel(text: &str) -> Option<Self> {
        let mut parts = text.split_once(CHANNEL)?.1.splitn(4, ':');
        Some(Self {
            number: parts.next()?.parse().ok()?,
            class: parts.next()?.parse().ok()?,
            state: parts.next()?.parse().ok()?,
            message: parts.next()?.to_owned(),
        })
    }
}

const CHANNEL: &str = "TSQL:";

impl std::fmt::Display for SqlError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", self.number, self.message)
    }
}

impl std::error::Error for SqlError {}
