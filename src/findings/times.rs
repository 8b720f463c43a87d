//! Moments and spans for people: a date where something happened, a rounded span where its length is the point.

use std::time::{Duration, SystemTime};

/// `Fri, 01 Mar 2024 00:00:00 GMT` of Unix seconds.
pub fn date(unix_seconds: f64) -> String {
    // The format has four-digit years; a peer's time beyond them is no date.
    const LAST: f64 = 253_402_300_799.0;
    if (0.0..=LAST).contains(&unix_seconds) {
        httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs_f64(unix_seconds))
    } else {
        "an impossible date".to_owned()
    }
}

/// `3 days`, `5 hours`, `12 minutes`, `40 seconds`: the largest unit of which there are at least two.
pub fn span(seconds: f64) -> String {
    let seconds = seconds.abs();
    for (unit, name) in [(86_400.0, "days"), (3_600.0, "hours"), (60.0, "minutes")] {
        if seconds >= 1.99 * unit {
            return format!("{:.0} {name}", seconds / unit);
        }
    }
    format!("{seconds:.0} seconds")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn for_people() {
        assert_eq!(date(1_709_251_200.0), "Fri, 01 Mar 2024 00:00:00 GMT");
        for impossible in [-5.0, 1e300, f64::NAN, f64::INFINITY] {
            assert_eq!(date(impossible), "an impossible date");
        }
        for (seconds, text) in [
            (3.0 * 86_400.0 - 5.0, "3 days"),
            (86_400.0, "24 hours"),
            (7_200.0, "2 hours"),
            (-130.0, "2 minutes"),
            (59.0, "59 seconds"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }
}
