//! tmp
use crate::model::machine::*;
use crate::model::observed::*;
/// tmp
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {}
/// tmp
pub fn ask(_: &Settings) -> Result<Machine, Failure> {
    Err(Failure::new(FailureKind::Internal, "x"))
}
