//! Durations as the configuration writes them: `500ms`, `15s`, `5m`, `1h`, `14d`, or several in falling order (`1h30m`).

use std::fmt;
use std::time::Duration;

use serde::de::{self, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration that is written with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Period(pub(super) Duration);

/// Units, longest first, in milliseconds.
const UNITS: &[(&str, u64)] = &[("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// What is expected, in the words of an error.
const EXPECTED: &str = "a duration such as 500ms, 15s, 5m, 1h or 14d";

impl Period {
    /// So many seconds.
    pub(super) const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// `None` for anything else than numbers with units in falling order, and for what no clock can add.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut rest = text.trim();
        let mut units = UNITS.iter();
        let mut total: u64 = 0;
        let mut is_empty = true;
        while !rest.is_empty() {
            let (number, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
            let (unit, tail) = tail.split_at(tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len()));
            let (_, milliseconds) = units.by_ref().find(|(name, _)| *name == unit)?;
            total = number.parse::<u64>().ok()?.checked_mul(*milliseconds)?.checked_add(total)?;
            (rest, is_empty) = (tail, false);
        }
        (!is_empty).then(|| Self(Duration::from_millis(total)))
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, milliseconds) in UNITS {
            if rest % milliseconds == 0 {
                return write!(f, "{}{unit}", rest / milliseconds);
            }
            if rest > *milliseconds {
                write!(f, "{}{unit}", rest / milliseconds)?;
                rest %= milliseconds;
            }
        }
        Ok(())
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Period;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTED)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Period, E> {
                Period::parse(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_with_units() {
        for (text, milliseconds) in [
            ("500ms", 500),
            ("15s", 15_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("14d", 1_209_600_000),
            ("1h30m", 5_400_000),
            ("1m500ms", 60_500),
            ("0s", 0),
        ] {
            let period = Period::parse(text).unwrap();
            assert_eq!(period.0, Duration::from_millis(milliseconds), "{text}");
            assert_eq!(Period::parse(&period.to_string()), Some(period), "{text}: shown and read again");
        }
    }

    #[test]
    fn anything_else_is_none() {
        let none = [
            "",
            " ",
            "5",
            "5 s",
            "s",
            "5x",
            "-5s",
            "1.5h",
            "5s1m",
            "5s5s",
            "99999999999999999999s",
            "5µs",
            "٥s",
        ];
        for text in none.into_iter().chain(["18446744073709551615d"]) {
            assert_eq!(Period::parse(text), None, "{text:?}");
        }
    }
}
