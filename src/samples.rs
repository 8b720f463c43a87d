//! Samples for the tests of pure code: a healthy default instance in the domain CORP, and a bench that changes it,
//! judges it by the real pipeline and tells what one rule saw. Test code only.

mod values;

mod directory;

mod tickets;

mod instance;

mod seen;

mod bench;

pub(crate) use bench::Bench;
pub(crate) use directory::{account, computer, controller, directory, holder, trust};
pub(crate) use instance::instance;
pub(crate) use seen::Seen;
pub(crate) use tickets::crossing;
pub(crate) use values::{FQDN, NAME, PORT, domain_sid, expected, host, now, sid, spn};
