//! Refused credentials are not offered again (JUDGEMENT 13): an identity is parked for two hours, or until its secret
//! has changed. One gate for all probes, so that those which share an identity share its memory. We never lock out an
//! account.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use crate::model::observed::{Failure, FailureKind, Refuser};
use crate::model::secret::{INTEGRATED, SecretSource};
use crate::sqlserver;

/// How long a refused secret rests. Two attempts in an hour would be two of the three that some domains allow within the
/// lockout observation window (MS-ADTS 3.1.1.4.5.17, lockOutObservationWindow), which is often an hour.
const REST: Duration = Duration::from_secs(2 * 3_600);

/// A reload lets refused secrets be offered again (DESIGN 2), but no second one within this time: reloads come from scripts too,
/// and each would be one more wrong password.
const PARDON_EVERY: Duration = Duration::from_secs(30 * 60);

/// Who a probe is to its peer, and where the secret comes from (none for an integrated login).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Two probes with the same text share one account: see [`Identity::of_account`].
    pub name: String,
    /// Its secret.
    pub secret: Option<SecretSource>,
}

impl Identity {
    /// Whom a refusal by this one parks.
    pub fn of(settings: &sqlserver::Settings, refuser: Refuser) -> Option<Self> {
        settings.identity(refuser).map(|(name, secret)| Self { name, secret })
    }

    /// An account of Active Directory, however it is written: `CORP\\reader`, `reader@corp.contoso.com` and the principal
    /// `reader` may be one. Two of them with the same secret as well are taken for one.
    pub fn of_account((name, secret): (String, Option<SecretSource>)) -> Self {
        let bare = name.rsplit_once('\\').map_or(name.as_str(), |(_, name)| name);
        let bare = bare.rsplit_once('@').map_or(bare, |(name, _)| name);
        Self { name: bare.to_lowercase(), secret }
    }
}

/// A name with the secret that is offered for it, as a keyed hash; the key lives and dies with the process. No hash: there is
/// no secret, or it cannot be read.
type Offered = (String, Option<u64>);

/// The parked identities, each with the secret that was refused: two accounts of one name do not wake each other.
#[derive(Debug, Default)]
pub struct Gate {
    keys: RandomState,
    /// Until when each rests.
    parked: Mutex<BTreeMap<Offered, Instant>>,
    /// Those that a peer has accepted.
    proven: Mutex<BTreeSet<Offered>>,
    turns: Mutex<BTreeMap<Offered, Arc<tokio::sync::Mutex<()>>>>,
    pardoned: Mutex<Option<Instant>>,
}

impl Gate {
    /// Whether the identity may be offered now; always, where there is none.
    pub fn is_open(&self, identity: Option<&Identity>) -> bool {
        let Some(identity) = identity else { return true };
        let offered = self.offered(identity);
        let mut parked = locked(&self.parked);
        parked.retain(|_, until| Instant::now() < *until);
        !parked.contains_key(&offered)
    }

    /// Parks the identity if this outcome is its refusal.
    pub fn note(&self, identity: Option<&Identity>, outcome: &Result<(), Failure>) {
        let Some(identity) = identity else { return };
        match outcome {
            Ok(()) => {
                locked(&self.proven).insert(self.offered(identity));
            }
            // A secret that cannot be read rests too, until it can be. A ticket that is not there comes by itself.
            Err(Failure { refuser, kind, .. })
                if refuser.is_some() || *kind == FailureKind::Credentials && identity.secret.is_some() =>
            {
                self.park(identity);
            }
            Err(_) => {}
        }
    }

    /// A turn of one's own for an identity until it has proven good once: ten instances that log in at the same moment with an
    /// old keytab would be ten wrong passwords, and so would the directory and the KDC be two. Held while the peer is asked;
    /// nobody else waits for it.
    pub async fn turn(&self, identity: Option<&Identity>) -> Option<OwnedMutexGuard<()>> {
        let offered = self.offered(identity?);
        let is_proven = || locked(&self.proven).contains(&offered);
        if is_proven() {
            return None;
        }
        let turns = Arc::clone(locked(&self.turns).entry(offered.clone()).or_default());
        let turn = turns.lock_owned().await;
        (!is_proven()).then_some(turn)
    }

    /// Asks with this identity, unless it was refused before: what `check` needs of all this. That one SQL Server does not let
    /// the process's identity in says nothing of others.
    pub async fn alone<T>(
        &self,
        identity: Option<&Identity>,
        ask: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let _turn = self.turn(identity).await;
        if !self.is_open(identity) {
            let text = "not asked: this identity was refused a moment ago and is not offered again";
            return Err(Failure::new(FailureKind::Credentials, text));
        }
        let outcome = ask.await;
        let summary = outcome.as_ref().map(|_| ()).map_err(Clone::clone);
        let is_of_process = identity.is_some_and(|identity| identity.name == INTEGRATED);
        if !(is_of_process && matches!(summary, Err(Failure { refuser: Some(Refuser::Peer), .. }))) {
            self.note(identity, &summary);
        }
        outcome
    }

    /// Lets every refused secret be offered once more, unless a reload did so a short while ago.
    pub(super) fn pardon(&self) {
        let mut pardoned = locked(&self.pardoned);
        if pardoned.is_none_or(|at| at.elapsed() >= PARDON_EVERY) {
            let mut parked = locked(&self.parked);
            if !parked.is_empty() {
                *pardoned = Some(Instant::now());
                parked.clear();
            }
        }
    }

    fn park(&self, identity: &Identity) {
        locked(&self.parked).insert(self.offered(identity), Instant::now() + REST);
    }

    fn offered(&self, identity: &Identity) -> Offered {
        let secret = identity.secret.as_ref().and_then(|secret| secret.octets().ok());
        (identity.name.clone(), secret.map(|secret| self.keys.hash_one(secret.as_slice())))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_identity_of_the_process_is_offered_by_one_until_it_is_proven() {
        let identity = Identity { name: INTEGRATED.to_owned(), secret: None };
        let refused = Failure::new(FailureKind::Credentials, "Preauthentication failed");
        let gate = Gate::default();
        let turn = gate.turn(Some(&identity)).await;
        assert!(turn.is_some());
        let asked = std::cell::Cell::new(0);
        let ask = || async {
            asked.set(asked.get() + 1);
            Err::<(), _>(refused.clone().refused_by(Some(Refuser::Kdc)))
        };
        // A second and a third one wait, and of them only the first asks.
        let others =
            async { tokio::join!(gate.alone(Some(&identity), ask()), gate.alone(Some(&identity), ask())) };
        let (answers, ()) = tokio::join!(others, async { drop(turn) });
        assert!(answers.0.is_err() && answers.1.is_err());
        assert_eq!(asked.get(), 1);
        // No ticket yet: nobody was asked, so nothing rests.
        let gate = Gate::default();
        gate.note(Some(&identity), &Err(refused));
        assert!(gate.is_open(Some(&identity)));
        gate.note(Some(&identity), &Ok(()));
        assert!(gate.turn(Some(&identity)).await.is_none(), "proven");
    }

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
        // One reload in half an hour.
        gate.pardon();
        assert!(gate.is_open(Some(&identity)));
        gate.park(&identity);
        gate.pardon();
        assert!(!gate.is_open(Some(&identity)));
        tokio::time::advance(Duration::from_secs(31 * 60)).await;
        gate.pardon();
        assert!(gate.is_open(Some(&identity)));
        gate.park(&identity);
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
        let of = |name: &str, secret| Identity::of_account((name.to_owned(), secret));
        let bind = of("CORP\\Reader", file("a", "wrong"));
        let gate = Gate::default();
        gate.park(&bind);
        // The same secret in another file, with a line break.
        assert!(!gate.is_open(Some(&of("reader@corp.contoso.com", file("b", "wrong\n")))));
        assert!(!gate.is_open(Some(&of("reader", file("b", "wrong")))));
        let other = of("reader@other.example", file("c", "another"));
        assert!(gate.is_open(Some(&other)));
        // Two of one name with different secrets: the refusal of one does not end the rest of the other.
        gate.park(&other);
        assert!(!gate.is_open(Some(&bind)) && !gate.is_open(Some(&other)));
        // A secret that nobody has taken yet is offered by one at a time: the second one finds it refused.
        let fresh = of("reader", file("d", "fresh"));
        let refused = Failure::new(FailureKind::Credentials, "24").refused_by(Some(Refuser::Kdc));
        let asked = std::cell::Cell::new(0);
        let ask = || async {
            asked.set(asked.get() + 1);
            tokio::task::yield_now().await;
            Err::<(), _>(refused.clone())
        };
        let both = tokio::join!(gate.alone(Some(&fresh), ask()), gate.alone(Some(&fresh), ask()));
        assert!(both.0.is_err() && both.1.is_err());
        assert_eq!(asked.get(), 1);
    }
}
