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
    /// Two probes with the same text share one account: see [`Identity::of_account`].
    pub name: String,
    /// Its secret.
    pub secret: Option<SecretSource>,
}

impl Identity {
    /// An account of Active Directory, however it is written: `CORP\\reader`, `reader@corp.contoso.com` and the principal
    /// `reader` may be one. Two of them with the same secret as well are taken for one.
    pub fn of_account(name: &str, secret: Option<SecretSource>) -> Self {
        let name = name.rsplit_once('\\').map_or(name, |(_, name)| name);
        let name = name.rsplit_once('@').map_or(name, |(name, _)| name);
        Self { name: name.to_lowercase(), secret }
    }
}

/// Keyed hash of a secret; the key lives and dies with the process. `None`: it cannot be read, or there is none.
type Fingerprint = Option<u64>;

/// The parked identities: each with the secret that was refused, and until when it rests. Two accounts of one name do not
/// wake each other.
#[derive(Debug, Default)]
pub struct Gate {
    keys: RandomState,
    parked: Mutex<BTreeMap<Offered, Instant>>,
    /// Secrets that a peer has taken, or that are on their way to the first one.
    states: Mutex<BTreeMap<Offered, State>>,
}

/// A name with the secret that is offered for it.
type Offered = (String, Fingerprint);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    UnderWay,
    Taken,
}

impl Gate {
    /// Whether the identity may be offered now; always, where there is none. Whoever is let in calls [`Gate::note`] with the
    /// outcome: until a peer has taken the secret, others that share it wait for that.
    pub fn enter(&self, identity: Option<&Identity>) -> bool {
        let Some(identity) = identity else { return true };
        if !self.is_open(Some(identity)) {
            return false;
        }
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let key = self.offered(identity);
        match states.get(&key) {
            Some(State::UnderWay) => false,
            Some(State::Taken) => true,
            None => {
                states.insert(key, State::UnderWay);
                true
            }
        }
    }

    /// Whether the identity does not rest.
    pub fn is_open(&self, identity: Option<&Identity>) -> bool {
        let Some(identity) = identity else { return true };
        let key = self.offered(identity);
        let mut parked = self.parked.lock().unwrap_or_else(PoisonError::into_inner);
        parked.retain(|_, until| Instant::now() < *until);
        !parked.contains_key(&key)
    }

    /// Notes the outcome of an attempt: a refused identity is parked.
    pub fn note(&self, identity: Option<&Identity>, outcome: &Result<(), Failure>) {
        let Some(identity) = identity else { return };
        let key = self.offered(identity);
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(()) => {
                states.insert(key, State::Taken);
            }
            Err(Failure { kind: FailureKind::Credentials, .. }) => {
                states.remove(&key);
                self.park(identity);
            }
            Err(_) => {
                // Nothing was said about a secret that nobody has taken yet.
                if states.get(&key) == Some(&State::UnderWay) {
                    states.remove(&key);
                }
            }
        }
    }

    fn park(&self, identity: &Identity) {
        let key = self.offered(identity);
        let until = Instant::now() + REST;
        self.parked.lock().unwrap_or_else(PoisonError::into_inner).insert(key, until);
    }

    fn offered(&self, identity: &Identity) -> Offered {
        (identity.name.clone(), self.fingerprint(identity))
    }

    fn fingerprint(&self, identity: &Identity) -> Fingerprint {
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

    #[tokio::test(start_paused = true)]
    async fn probes_that_share_an_account_share_its_rest() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            Some(SecretSource::File(path))
        };
        let of = |name: &str, secret| Identity::of_account(name, secret);
        let bind = of("CORP\\Reader", file("a", "wrong"));
        let gate = Gate::default();
        gate.park(&bind);
        // The same secret in another file, with a line break.
        assert!(!gate.is_open(Some(&of("reader@corp.contoso.com", file("b", "wrong\n")))));
        assert!(!gate.is_open(Some(&of("reader", file("b", "wrong")))));
        let other = of("reader@other.example", file("c", "another"));
        assert!(gate.is_open(Some(&other)));
        // A secret that nobody has taken yet is offered by one at a time.
        let fresh = of("reader", file("d", "fresh"));
        assert!(gate.enter(Some(&fresh)) && !gate.enter(Some(&fresh)));
        gate.note(Some(&fresh), &Err(Failure::new(FailureKind::Timeout, "no answer")));
        assert!(gate.enter(Some(&fresh)));
        gate.note(Some(&fresh), &Ok(()));
        assert!(gate.enter(Some(&fresh)) && gate.enter(Some(&fresh)));
        // Two of one name with different secrets: the refusal of one does not end the rest of the other.
        gate.park(&other);
        assert!(!gate.is_open(Some(&bind)) && !gate.is_open(Some(&other)));
    }
}
