//! Refused credentials are not offered again (JUDGEMENT 13): an identity is parked for two hours, or until its secret
//! has changed. One gate for all probes, so that those which share an identity share its memory. We never lock out an
//! account.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::observed::{Failure, FailureKind};
use crate::model::secret::SecretSource;

/// How long a refused secret rests. Two attempts in an hour would be two of the three that some domains allow within the
/// lockout observation window (MS-ADTS 3.1.1.4.5.17, lockOutObservationWindow), which is often an hour.
const REST: Duration = Duration::from_secs(2 * 3_600);

/// Who a probe is to its peer, and where the secret comes from (none for an integrated login).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Such as `ldap:reader@corp.contoso.com`; two probes with the same text share one account.
    pub name: String,
    /// Its secret.
    pub secret: Option<SecretSource>,
}

/// The parked identities.
#[derive(Debug, Default)]
pub struct Gate {
    keys: RandomState,
    parked: Mutex<BTreeMap<String, Parked>>,
}

#[derive(Debug)]
struct Parked {
    /// Keyed hash of the secret that was refused; the key lives and dies with the process.
    secret: Option<u64>,
    until: Instant,
}

impl Gate {
    /// Whether the identity may be offered now; always, where there is none.
    pub fn is_open(&self, identity: Option<&Identity>) -> bool {
        let Some(identity) = identity else { return true };
        let mut parked = self.parked.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = parked.get(&identity.name) else { return true };
        if Instant::now() < entry.until && entry.secret == self.fingerprint(identity) {
            return false;
        }
        parked.remove(&identity.name);
        true
    }

    /// Parks the identity if this outcome is its refusal.
    pub fn note(&self, identity: Option<&Identity>, outcome: &Result<(), Failure>) {
        if let (Err(Failure { kind: FailureKind::Credentials, .. }), Some(identity)) = (outcome, identity) {
            self.park(identity);
        }
    }

    fn park(&self, identity: &Identity) {
        let entry = Parked { secret: self.fingerprint(identity), until: Instant::now() + REST };
        self.parked.lock().unwrap_or_else(PoisonError::into_inner).insert(identity.name.clone(), entry);
    }

    fn fingerprint(&self, identity: &Identity) -> Option<u64> {
        let secret = identity.secret.as_ref()?.octets().ok()?;
        Some(self.keys.hash_one(secret.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_refused_secret_rests_until_it_changes_or_two_hours_are_over() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "wrong").unwrap();
        let secret = Some(SecretSource::File(file.path().to_owned()));
        let identity = Identity { name: "ldap:reader".into(), secret };
        let other = Identity { name: "ldap:other".into(), secret: None };
        let gate = Gate::default();
        assert!(gate.is_open(Some(&identity)));
        gate.park(&identity);
        assert!(!gate.is_open(Some(&identity)) && gate.is_open(Some(&other)));
        tokio::time::advance(Duration::from_secs(119 * 60)).await;
        assert!(!gate.is_open(Some(&identity)));
        std::fs::write(file.path(), "right").unwrap();
        assert!(gate.is_open(Some(&identity)));
        gate.park(&identity);
        tokio::time::advance(Duration::from_secs(121 * 60)).await;
        assert!(gate.is_open(Some(&identity)));
    }
}
