//! Temporary.
mod background;
pub mod certificates;
pub mod ldap;
