//! What the SQL instance says about itself and its connections. Everything that speaks TDS or SQL is here; what an answer
//! means is judged elsewhere (`expected`, `findings`). Only written-out statements are sent, and none changes anything.

mod settings;

mod error;

mod session;

mod look;

mod dial;

mod client;

pub mod browser;

pub mod queries;

pub mod decode;

pub mod traffic;

pub use error::Error;
pub use session::{NtlmWish, Session};
pub use settings::{Address, Encryption, Login, Settings};
pub use traffic::Tally;
