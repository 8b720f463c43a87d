//! The shared vocabulary: small values that every part may use. Depends on nothing of ours and does no I/O.
//! What a fact *means* is judged elsewhere (`expected`, `findings`).

pub mod observed;

pub mod host;

pub mod spn;

pub mod account;

pub mod secret;

pub mod settings;

pub mod start;

pub mod instance;

pub mod connections;

pub mod condition;

pub mod domain;

pub mod directory;

pub mod dns;

pub mod kerberos_error;

pub mod ticket;

pub mod ticket_client;

pub mod keytab;

pub mod machine;

pub mod evidence;

pub mod change;
