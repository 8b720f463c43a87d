//! KerberosTime (RFC 4120 5.2.3): `YYYYMMDDHHMMSSZ` to and from Unix seconds. No fractions, no other zone, no clock.

/// `None` for anything else than a time in exactly this form.
pub(super) fn parse(text: &[u8]) -> Option<i64> {
    let (digits, zone) = text.split_at_checked(14)?;
    if zone != b"Z" || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = |from: usize, to: usize| {
        Some(digits.get(from..to)?.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')))
    };
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (hour, minute, second) = (number(8, 10)?, number(10, 12)?, number(12, 14)?);
    let is_valid =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    is_valid.then(|| days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// The time in years 0 to 9999; what lies outside becomes the nearest one inside.
pub(super) fn format(seconds: i64) -> String {
    let seconds = seconds.clamp(days(0, 1, 1) * 86_400, days(10_000, 1, 1) * 86_400 - 1);
    let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // A guess that is at most a year off, since no year is longer than 366 days.
    let mut year = 1970 + day.div_euclid(366);
    while days(year + 1, 1, 1) <= day {
        year += 1;
    }
    while days(year, 1, 1) > day {
        year -= 1;
    }
    let month = (1..=12).rev().find(|month| days(year, *month, 1) <= day).unwrap_or(1);
    let in_month = day - days(year, month, 1) + 1;
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{in_month:02}{hour:02}{minute:02}{second:02}Z")
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar, with years that begin in March so that the leap day is the
/// last one.
const fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leap_days + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for (text, seconds) in [
            ("19700101000000Z", 0),
            ("19691231235959Z", -1),
            ("20000229120000Z", 951_825_600),
            ("20261122082907Z", 1_795_336_147),
            ("20371231235959Z", 2_145_916_799),
            ("99991231235959Z", 253_402_300_799),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(seconds), "{text}");
            assert_eq!(format(seconds), text);
        }
        for day in (-200_000..200_000).step_by(7) {
            let seconds = day * 86_400 + 43_210;
            assert_eq!(parse(format(seconds).as_bytes()), Some(seconds), "{}", format(seconds));
        }
        assert_eq!(
            (format(i64::MAX), format(i64::MIN)),
            ("99991231235959Z".into(), "00000101000000Z".into())
        );
    }

    #[test]
    fn what_is_no_time() {
        for text in [
            "",
            "Z",
            "20261122082907",
            "20261122082907.0Z",
            "20261322082907Z",
            "2026112208290+Z",
            "20261122252907Z",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }
}
