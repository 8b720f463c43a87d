//! Who holds which SPN, and the state of the accounts behind them: one bound connection to a domain controller, one to
//! a Global Catalog, one to each further domain that an account lives in. Reads only, and judges nothing.

mod server;

mod error;

mod tls;

mod ber;

mod message;

mod transport;

mod bind;

mod kerberos;

mod guard;

mod client;

mod filter;

mod dn;

mod decode;

mod netlogon;

mod requests;

mod links;

mod exchanges;

mod forest;

mod security;

mod condition;

mod holders;

mod policy;

mod controllers;

mod reach;

mod elsewhere;

mod targets;

mod session;

use std::path::PathBuf;
use std::time::Duration;

use crate::model::host::HostName;
use crate::model::secret::{INTEGRATED, SecretSource};

pub use error::Error;
pub use requests::{REQUESTS, Request};
pub use server::is_server_url;
pub use session::Session;

/// How to reach and bind. The servers come with each question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// `directory.bind`.
    pub bind: Bind,
    /// `directory.start_tls`: StartTLS on `ldap://` URLs.
    pub start_tls: bool,
    /// `directory.ca_file`; without it the roots of the system.
    pub ca_file: Option<PathBuf>,
    /// `directory.timeout`: for one server's whole exchange, connect and bind included.
    pub timeout: Duration,
    /// `directory.max_servers`: servers tried for one exchange.
    pub max_servers: usize,
    /// `directory.also`: further domains or forests that may hold service accounts.
    pub also: Vec<HostName>,
}

/// As whom to bind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bind {
    /// The Kerberos identity of this process.
    Integrated,
    /// User and password, over TLS only.
    Simple {
        /// `user@domain`, `DOMAIN\user` or a distinguished name.
        user: String,
        /// Read at each connect.
        password: SecretSource,
    },
}

impl Settings {
    /// Who is bound as, and where its secret comes from: what a rejection parks (JUDGEMENT 13). The integrated
    /// identity has no secret of ours that could change.
    pub fn identity(&self) -> (String, Option<SecretSource>) {
        match &self.bind {
            Bind::Integrated => (INTEGRATED.to_owned(), None),
            Bind::Simple { user, password } => (user.clone(), Some(password.clone())),
        }
    }
}
