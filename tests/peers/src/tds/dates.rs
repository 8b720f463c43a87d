//! Dates as days since 1900-01-01, the base of `datetime` (MS-TDS 2.2.5.5.1.8), to and from text and parts.
//! An offset from UTC is a number of minutes; there are no time zones with rules.

use std::time::{SystemTime, UNIX_EPOCH};

/// Days from 1900-01-01 to 1970-01-01.
const UNIX_EPOCH_DAYS: f64 = 25_567.0;
/// Days from 0001-01-01, the base of datetime2, to 1900-01-01.
pub(crate) const DAYS_FROM_YEAR_ONE: i64 = 693_595;
/// Ticks of `datetime` in a day: 1/300 second each (MS-TDS 2.2.5.5.1.8).
pub(crate) const TICKS_PER_DAY: f64 = 300.0 * SECONDS_PER_DAY;
pub(crate) const SECONDS_PER_DAY: f64 = 86_400.0;

/// The wall clock.
#[expect(clippy::disallowed_methods, reason = "a peer lives by the clock of this machine")]
pub(crate) fn now() -> f64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UNIX_EPOCH_DAYS + elapsed.as_secs_f64() / SECONDS_PER_DAY
}

/// The clock of a place so many minutes east of UTC.
pub(crate) fn to_local(days: f64, minutes: i16) -> f64 {
    round_to_datetime(days + f64::from(minutes) / 1_440.0)
}

/// The nearest value that a `datetime` can hold.
pub(crate) fn round_to_datetime(days: f64) -> f64 {
    (days * TICKS_PER_DAY).round() / TICKS_PER_DAY
}

/// Broken-down time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Parts {
    pub(crate) year: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
    /// Microseconds since midnight: finer than that a REAL cannot tell.
    pub(crate) microseconds: i64,
}

impl Parts {
    pub(crate) fn of(days: f64) -> Self {
        let whole = days.floor();
        let mut day_number = whole as i64;
        let mut microseconds = ((days - whole) * SECONDS_PER_DAY * 1e6).round() as i64;
        if microseconds >= 86_400_000_000 {
            microseconds -= 86_400_000_000;
            day_number += 1;
        }
        // Civil calendar from a day count (Howard Hinnant, "chrono-compatible low-level date algorithms").
        let shifted = day_number + 693_901;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_index = (5 * day_of_year + 2) / 153;
        let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * month_index + 2) / 5 + 1,
            microseconds,
        }
    }

    pub(crate) fn days(&self) -> f64 {
        let year = if self.month <= 2 { self.year - 1 } else { self.year };
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let month_index = (self.month + 9) % 12;
        let day_of_year = (153 * month_index + 2) / 5 + self.day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let day_number = era * 146_097 + day_of_era - 693_901;
        day_number as f64 + self.microseconds as f64 / 1e6 / SECONDS_PER_DAY
    }

    fn clock(&self) -> (i64, i64, i64, i64) {
        let seconds = self.microseconds / 1_000_000;
        (seconds / 3_600, seconds / 60 % 60, seconds % 60, self.microseconds % 1_000_000)
    }
}

/// `yyyy-mm-dd hh:mi:ss` with the given number of decimals (styles 120 and 121).
pub(crate) fn to_iso(days: f64, separator: char, decimals: usize) -> String {
    let parts = Parts::of(days);
    let (hour, minute, second, fraction) = parts.clock();
    let mut text = format!(
        "{:04}-{:02}-{:02}{separator}{hour:02}:{minute:02}:{second:02}",
        parts.year, parts.month, parts.day
    );
    if decimals > 0 {
        let digits = format!("{fraction:06}0");
        text.push('.');
        text.push_str(digits.get(..decimals).unwrap_or(&digits));
    }
    text
}

/// `Nov 22 2026 10:00AM` (style 0).
pub(crate) fn to_default_text(days: f64) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let parts = Parts::of(days);
    let (hour, minute, ..) = parts.clock();
    let month = MONTHS.get(parts.month as usize - 1).copied().unwrap_or_default();
    let (twelve, half) = (if hour % 12 == 0 { 12 } else { hour % 12 }, if hour < 12 { "AM" } else { "PM" });
    format!("{month} {:2} {} {twelve:2}:{minute:02}{half}", parts.day, parts.year)
}

/// Reads `yyyymmdd`, `yyyy-mm-dd` and either with a time and an offset.
pub(crate) fn parse(text: &str) -> Option<f64> {
    let text = text.trim();
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (text.get(..at)?, text.get(at + 1..)?.trim()),
        None => (text, ""),
    };
    let compact: String = date.split('-').collect();
    if compact.len() != 8 || !(date.len() == 8 || date.len() == 10) {
        return None;
    }
    let number = |range: std::ops::Range<usize>| compact.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(4..6)?, number(6..8)?);
    let parts = Parts { year, month, day, microseconds: 0 };
    // A date that does not survive the way there and back, such as 30 February, is none.
    if Parts::of(parts.days()) != parts {
        return None;
    }
    Some(parts.days() + seconds_of_day(time)? / SECONDS_PER_DAY)
}

fn seconds_of_day(time: &str) -> Option<f64> {
    if time.is_empty() {
        return Some(0.0);
    }
    let (clock, offset) = match time.find(['Z', 'z', '+', '-']) {
        Some(at) => (time.get(..at)?.trim(), time.get(at..)?),
        None => (time, ""),
    };
    let offset_seconds = match offset.get(..1) {
        None | Some("Z" | "z") => 0.0,
        Some(sign) => {
            let (hours, minutes) = offset.get(1..)?.split_once(':')?;
            let size = hours.parse::<f64>().ok()? * 3_600.0 + minutes.parse::<f64>().ok()? * 60.0;
            if sign == "-" { -size } else { size }
        }
    };
    let mut fields = clock.split(':');
    let hour: f64 = fields.next()?.parse().ok()?;
    let minute: f64 = fields.next()?.parse().ok()?;
    let second: f64 = fields.next().map_or(Some(0.0), |text| text.parse().ok())?;
    let fits = (0.0..24.0).contains(&hour) && (0.0..60.0).contains(&minute) && (0.0..60.0).contains(&second);
    (fits && fields.next().is_none()).then_some(hour * 3_600.0 + minute * 60.0 + second - offset_seconds)
}

/// Number of boundaries of a date part between two dates (DATEDIFF page), or None for an unknown part.
pub(crate) fn difference(part: &str, from: f64, to: f64) -> Option<i64> {
    // Whole microseconds first: a REAL cannot tell finer, and must not fall just short of a boundary.
    let by_size = |units_per_day: f64| {
        let unit = (SECONDS_PER_DAY * 1e6 / units_per_day) as i64;
        let count = |days: f64| ((days * SECONDS_PER_DAY * 1e6).round() as i64).div_euclid(unit);
        count(to) - count(from)
    };
    let (first, last) = (Parts::of(from), Parts::of(to));
    let months = (last.year - first.year) * 12 + last.month - first.month;
    Some(match part.to_ascii_lowercase().as_str() {
        "year" | "yy" | "yyyy" => last.year - first.year,
        "month" | "mm" | "m" => months,
        "day" | "dd" | "d" => by_size(1.0),
        "hour" | "hh" => by_size(24.0),
        "minute" | "mi" | "n" => by_size(1_440.0),
        "second" | "ss" | "s" => by_size(SECONDS_PER_DAY),
        "millisecond" | "ms" => by_size(SECONDS_PER_DAY * 1e3),
        _ => return None,
    })
}

/// Days in one unit of a date part of fixed size (DATEADD), or None.
pub(crate) fn unit_days(part: &str) -> Option<f64> {
    Some(match part.to_ascii_lowercase().as_str() {
        "week" | "wk" | "ww" => 7.0,
        "day" | "dd" | "d" => 1.0,
        "hour" | "hh" => 1.0 / 24.0,
        "minute" | "mi" | "n" => 1.0 / 1_440.0,
        "second" | "ss" | "s" => 1.0 / SECONDS_PER_DAY,
        "millisecond" | "ms" => 1.0 / SECONDS_PER_DAY / 1e3,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_days() {
        assert_eq!(parse("19000101"), Some(0.0));
        assert_eq!(parse("19700101"), Some(UNIX_EPOCH_DAYS));
        assert_eq!(parse("2026-11-22T12:00:00Z"), Some(46_346.5));
        assert_eq!(parse("2026-11-22 13:00:00 +01:00"), Some(46_346.5));
        assert_eq!(parse("2026-02-30"), None);
        assert_eq!(parse("nonsense"), None);
        assert_eq!(to_iso(46_346.5, ' ', 3), "2026-11-22 12:00:00.000");
        assert_eq!(to_default_text(46_346.5), "Nov 22 2026 12:00PM");
    }

    #[test]
    fn differences_count_boundaries() {
        let (from, to) = (parse("2026-11-22 23:59:59").unwrap(), parse("2026-11-23 00:00:00").unwrap());
        assert_eq!(difference("DAY", from, to), Some(1));
        assert_eq!(difference("second", from, to), Some(1));
        assert_eq!(difference("SECOND", UNIX_EPOCH_DAYS, parse("20260101").unwrap()), Some(1_767_225_600));
        assert_eq!(difference("fortnight", from, to), None);
    }
}
