//! What the answers mean, as tables.
