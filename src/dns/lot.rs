//! The random number that a process draws for a domain controller: the same one for as long as it runs, so that connections
//! stay where they are bound, and another one in the next process, so that a site's exporters do not all ask the same server.

use crate::model::dns::Target;

/// What a process was dealt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lot(pub(super) u64);

impl Lot {
    /// A new one.
    pub(super) fn cast() -> Self {
        Self(fastrand::u64(..))
    }

    /// The number of each target, above 0 and at most 1. A host has one for all its services, so that its directory and its
    /// Global Catalog are chosen together: `directory.max_servers` counts hosts.
    pub(super) fn of(self) -> impl Fn(&Target) -> f64 {
        move |target| {
            // FNV-1a, 64 bits; the generator behind it spreads what the hash leaves close together.
            let octets = self.0.to_le_bytes().into_iter().chain(target.host.as_str().bytes()).chain([0; 2]);
            let hash = octets.fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| {
                (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
            });
            1.0 - fastrand::Rng::with_seed(hash).f64()
        }
    }
}
