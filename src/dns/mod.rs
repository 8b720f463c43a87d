//! tmp
use crate::model::dns::*;
use crate::model::observed::*;
/// tmp
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// x
    pub servers: Vec<std::net::SocketAddr>,
    /// x
    pub timeout: std::time::Duration,
}
/// tmp
#[derive(Debug)]
pub struct Session;
impl Session {
    /// x
    pub fn new(_: Settings) -> Self {
        Self
    }
    /// x
    pub async fn ask(&mut self, _: &DnsQuestion) -> Result<DnsFacts, Failure> {
        Ok(DnsFacts::default())
    }
}
