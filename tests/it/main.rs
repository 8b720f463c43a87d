//! The integration binary. Each module says what belongs in it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod config;
mod tidy;
