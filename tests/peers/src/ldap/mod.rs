//! Domain controllers on loopback: LDAP and global catalogue of a forest that exists in memory.
//!
//! They answer as Active Directory does, with its limits and its error texts, or as badly as a test wants. Integrated (GSSAPI)
//! binds and replication are not offered; the Samba lab has those.

mod specification;

mod directory;

mod configuration;

mod accounts;

mod entry;

mod attributes;

mod identifiers;

mod sddl;

mod controller;

mod connection;

mod paging;

mod credentials;

mod search;

mod filter;

mod message;

mod ber;

mod hostile;

mod records;

pub use attributes::in_partial_attribute_set;
pub use controller::{Addresses, DomainController, SharedDirectory};
pub use credentials::Refusal;
pub use directory::{Directory, Domain, SITE};
pub use entry::{Entry, domain_dn, escape_dn};
pub use hostile::Behaviour;
pub use identifiers::{DomainSid, NEVER, filetime, generalized_time};
pub use message::Scope;
pub use records::{BindSeen, Port, SearchSeen, Traffic, Violation};
pub use search::MAXIMUM_VALUES;
pub use specification::{AccountClass, AccountSpec, ControllerSpec, DomainSpec, TrustSpec, Values};

#[cfg(test)]
mod tests;
