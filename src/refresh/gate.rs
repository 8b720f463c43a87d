//! Refused credentials are not offered again (JUDGEMENT 13): an identity is parked for two hours, or until its secret
//! has changed. One gate for all probes, so that those which share an identity share its memory. We never lock out an
//! account.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::MutexGuard;
use tokio::time::Instant;

use crate::model::observed::{Failure, FailureKind, Refuser};
use crate::model::secret::{INTEGRATED, SecretSource};
use crate::sqlserver;

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

impl Identity {
    /// Whom a refusal by this one parks.
    pub fn of(settings: &sqlserver::Settings, refuser: Refuser) -> Option<Self> {
        settings.identity(refuser).map(|(name, secret)| Self { name, secret })
    }
}

/// The parked identities.
#[derive(Debug, Default)]
pub struct Gate {
    keys: RandomState,
    parked: Mutex<BTreeMap<String, Parked>>,
    /// Whether the process's identity was ever accepted.
    is_proven: AtomicBool,
    turns: tokio::sync::Mutex<()>,
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
        let Some(identity) = identity else { return };
        match outcome {
            Ok(()) if identity.name == INTEGRATED => self.is_proven.store(true, Ordering::Relaxed),
            Ok(()) => {}
            // A secret that cannot be read rests too, until it can be. A ticket that is not there comes by itself.
            Err(Failure { refuser, kind, .. })
                if refuser.is_some() || *kind == FailureKind::Credentials && identity.secret.is_some() =>
            {
                self.park(identity);
            }
            Err(_) => {}
        }
    }

    /// A turn of one's own for the process's identity, until it has proven good once: ten instances that log in at the same
    /// moment with an old keytab would be ten wrong passwords. Held while the peer is asked; nobody else waits for it.
    pub async fn turn(&self, identity: Option<&Identity>) -> Option<MutexGuard<'_, ()>> {
        let is_proven = || self.is_proven.load(Ordering::Relaxed);
        if identity.is_none_or(|identity| identity.name != INTEGRATED) || is_proven() {
            return None;
        }
        let turn = self.turns.lock().await;
        (!is_proven()).then_some(turn)
    }

    /// Asks with the process's identity, unless a KDC has refused it before: what `check` needs of all this.
    pub async fn alone<T>(
        &self,
        identity: Option<&Identity>,
        ask: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let _turn = self.turn(identity).await;
        if !self.is_open(identity) {
            let text =
                "not asked: the identity of this process was refused a moment ago and is not offered again";
            return Err(Failure::new(FailureKind::Credentials, text));
        }
        let outcome = ask.await;
        let summary = outcome.as_ref().map(|_| ()).map_err(Clone::clone);
        if !matches!(summary, Err(Failure { refuser: Some(Refuser::Peer), .. })) {
            self.note(identity, &summary);
        }
        outcome
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
        tokio::time::advance(Duration::from_secs(119 * 60)).await;
        assert!(!gate.is_open(Some(&identity)));
        std::fs::write(file.path(), "right").unwrap();
        assert!(gate.is_open(Some(&identity)));
        gate.park(&identity);
        tokio::time::advance(Duration::from_secs(121 * 60)).await;
        assert!(gate.is_open(Some(&identity)));
    }
}
