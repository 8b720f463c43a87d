//! When to ask next: outcome, interval, jitter, backoff → next start. The arithmetic is pure, with randomness handed in
//! as a number from 0 to 1; `Due` remembers it for one probe.

use std::time::Duration;

use tokio::time::Instant;

use crate::model::evidence::Probe;
use crate::model::observed::Failure;

use super::log_change;

/// The first wait after a failure.
const FIRST_BACKOFF: Duration = Duration::from_secs(5);
/// A question that has grown is asked no sooner than this after the last start …
const GROWN_AFTER: Duration = Duration::from_secs(5);
/// … but sooner while the story unfolds after the start: what the directory says of a host's name widens the question. All
/// is judged within seconds then, for the same requests.
const FIRST_GROWN_AFTER: Duration = Duration::from_millis(500);
/// Names lead to SPNs, SPNs to holders, holders to a second look at home, then to tickets, and a refused AES ticket to one
/// with RC4: no chain of questions is longer.
pub(super) const MOST_ROUNDS: usize = 6;
/// The share of an interval by which each start is moved, so that a fleet does not ask in step.
const JITTER: f64 = 0.1;

/// Nobody waits longer than this for the first answer of a probe whose interval is hours.
const LONGEST_FIRST: Duration = Duration::from_secs(30);

/// The wait before the very first run: up to a tenth of the interval.
fn first(interval: Duration, random: f64) -> Duration {
    interval.mul_f64(JITTER).min(LONGEST_FIRST).mul_f64(random.clamp(0.0, 1.0))
}

/// The wait from one start to the next. `failures`: how many attempts in a row have failed.
fn next(interval: Duration, failures: u32, random: f64) -> Duration {
    let spread = 1.0 - JITTER * random.clamp(0.0, 1.0);
    match failures {
        0 => interval.mul_f64(spread),
        failures => {
            let factor = 2_u32.saturating_pow(failures.saturating_sub(1).min(16));
            FIRST_BACKOFF.saturating_mul(factor).min(interval.max(FIRST_BACKOFF)).mul_f64(spread)
        }
    }
}

/// The least wait from a start to the next one because the question has grown. `n_asked`: how often it was asked so far.
pub(super) const fn grown_after(n_asked: usize) -> Duration {
    if n_asked < MOST_ROUNDS { FIRST_GROWN_AFTER } else { GROWN_AFTER }
}

/// When a probe is due, and how it went before.
pub(super) struct Due {
    pub(super) probe: Probe,
    pub(super) at: Instant,
    interval: Duration,
    failures: u32,
    was_up: Option<bool>,
}

impl Due {
    pub(super) fn new(probe: Probe, interval: Duration) -> Self {
        let at = Instant::now() + first(interval, fastrand::f64());
        Self { probe, at, interval, failures: 0, was_up: None }
    }

    /// Notes an outcome, logs it where it is a change, and sets the next start. `instance`: whose probe it is, if it is one
    /// instance's.
    pub(super) fn note(&mut self, instance: Option<&str>, started: Instant, outcome: &Result<(), Failure>) {
        log_change(self.probe.name(), instance, self.was_up, outcome);
        self.was_up = Some(outcome.is_ok());
        self.failures = if outcome.is_ok() { 0 } else { self.failures.saturating_add(1) };
        self.at = started + next(self.interval, self.failures, fastrand::f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn table() {
        let seconds = |failures, random| next(MINUTE, failures, random).as_secs_f64();
        assert_eq!(seconds(0, 0.0), 60.0);
        assert_eq!(seconds(0, 1.0), 54.0);
        for (failures, expected) in [(1, 5.0), (2, 10.0), (3, 20.0), (4, 40.0), (5, 60.0), (1_000, 60.0)] {
            assert_eq!(seconds(failures, 0.0), expected, "{failures}");
        }
        // An interval shorter than the backoff.
        assert_eq!(next(Duration::from_secs(1), 3, 0.0), FIRST_BACKOFF);
        assert_eq!(first(MINUTE, 1.0), Duration::from_secs(6));
        assert_eq!(first(MINUTE, 0.0), Duration::ZERO);
        assert_eq!(first(60 * MINUTE, 1.0), LONGEST_FIRST);
        assert_eq!([1, MOST_ROUNDS].map(grown_after), [FIRST_GROWN_AFTER, GROWN_AFTER]);
    }
}
