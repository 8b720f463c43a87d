//! This machine from files in a temporary directory.
