//! A SQL Browser.
