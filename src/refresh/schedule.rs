//! When to ask next: outcome, interval, jitter, backoff → next start. Pure: randomness is handed in as a number
//! from 0 to 1.

use std::time::Duration;

/// The first wait after a failure.
const FIRST_BACKOFF: Duration = Duration::from_secs(5);
/// A question that has grown is asked no sooner than this after the last start …
pub(super) const GROWN_AFTER: Duration = Duration::from_secs(5);
/// The share of an interval by which each start is moved, so that a fleet does not ask in step.
const JITTER: f64 = 0.1;

/// The wait before the very first run: up to a tenth of the interval.
pub(super) fn first(interval: Duration, random: f64) -> Duration {
    interval.mul_f64(JITTER * random.clamp(0.0, 1.0))
}

/// The wait from one start to the next. `failures`: how many attempts in a row have failed.
pub(super) fn next(interval: Duration, failures: u32, random: f64) -> Duration {
    let spread = 1.0 - JITTER * random.clamp(0.0, 1.0);
    match failures {
        0 => interval.mul_f64(spread),
        failures => {
            let factor = 2_u32.saturating_pow(failures.saturating_sub(1).min(16));
            FIRST_BACKOFF.saturating_mul(factor).min(interval.max(FIRST_BACKOFF)).mul_f64(spread)
        }
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
    }
}
