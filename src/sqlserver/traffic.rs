//! The tally of new connections behind `connections_opened_total` (JUDGEMENT 11.4). Pure: it is told SQL Server's clock
//! and what was counted since the watermark, and survives reconnects. It asks nobody, and our own clock plays no part.

use std::collections::BTreeMap;

use crate::model::connections::{AuthScheme, Origin};

/// Days since 1900-01-01 in SQL Server's local time, as `CAST(datetime AS float)` gives them.
pub type LocalDays = f64;

/// Start times closer than this are the same start: one tick of `datetime` is 1/300 s, and rounding moves it by one.
const SAME_START_DAYS: f64 = 1.0 / 86_400.0;

/// New connections seen by one exporter, and up to when.
#[derive(Debug, Clone, PartialEq)]
pub struct Tally {
    since: Option<LocalDays>,
    started: Option<LocalDays>,
    is_behind: bool,
    opened: BTreeMap<(AuthScheme, Origin), u64>,
    gaps: u64,
}

impl Default for Tally {
    /// Every combination is there from the start with 0, so that the first increase is one.
    fn default() -> Self {
        let schemes = AuthScheme::ALL.into_iter();
        let opened = schemes.flat_map(|s| Origin::ALL.map(|o| ((s, o), 0))).collect();
        Self { since: None, started: None, is_behind: false, opened, gaps: 0 }
    }
}

impl Tally {
    /// Goes on from these numbers, without a watermark: what came meanwhile is not known, or it may be another server.
    pub fn resumed(opened: BTreeMap<(AuthScheme, Origin), u64>, gaps: u64) -> Self {
        Self { opened, gaps, ..Self::default() }
    }

    /// The watermark to ask with; `None` before the first look, which counts nothing.
    pub fn since(&self) -> Option<LocalDays> {
        self.since
    }

    /// New connections so far.
    pub fn opened(&self) -> &BTreeMap<(AuthScheme, Origin), u64> {
        &self.opened
    }

    /// How often SQL Server's clock went back.
    pub fn gaps(&self) -> u64 {
        self.gaps
    }

    /// Tells when SQL Server started. A new start moves the watermark there: all that is connected now came after it.
    pub fn note_start(&mut self, started: LocalDays) {
        let is_new = self.started.is_some_and(|known| (known - started).abs() > SAME_START_DAYS);
        if is_new && self.since.is_some() {
            self.since = Some(started);
            self.is_behind = false;
        }
        if is_new || self.started.is_none() {
            self.started = Some(started);
        }
    }

    /// Takes one look: SQL Server's clock, and what it counted since [`Tally::since`].
    ///
    /// A clock before the watermark (summer time ends, clock set back) counts nothing until it has passed the old
    /// watermark: what was opened in between cannot be told from what was counted already.
    pub fn note_look(
        &mut self,
        now: LocalDays,
        opened: impl IntoIterator<Item = ((AuthScheme, Origin), u64)>,
    ) {
        match self.since {
            None => self.since = Some(now),
            Some(since) if now < since => {
                if !self.is_behind {
                    self.gaps += 1;
                }
                self.is_behind = true;
            }
            Some(_) => {
                self.is_behind = false;
                self.since = Some(now);
                for (key, n) in opened {
                    let total = self.opened.entry(key).or_default();
                    *total = total.saturating_add(n);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: f64 = 1.0 / 24.0;
    const MINUTE: f64 = HOUR / 60.0;
    const KEY: (AuthScheme, Origin) = (AuthScheme::Ntlm, Origin::Remote);

    enum Step {
        Start(f64),
        Look(f64, u64),
    }
    use Step::{Look, Start};

    #[test]
    fn looks_add_up() {
        // Name; steps; then watermark, total and gaps at the end.
        let day = 46_000.0;
        type Case<'a> = (&'a str, &'a [Step], Option<f64>, u64, u64);
        let cases: &[Case<'_>] = &[
            ("nothing yet", &[], None, 0, 0),
            ("our start is no login storm", &[Start(day - 9.0), Look(day, 30_000)], Some(day), 0, 0),
            ("the second look counts", &[Look(day, 500), Look(day + MINUTE, 7)], Some(day + MINUTE), 7, 0),
            (
                "a clock that stands still loses nothing",
                &[Look(day, 5), Look(day, 0), Look(day, 0)],
                Some(day),
                0,
                0,
            ),
            (
                "summer time ends: one gap, nothing counted until the old watermark is passed",
                &[
                    Look(day, 5),
                    Look(day + MINUTE, 1),
                    Look(day + 2.0 * MINUTE - HOUR, 99),
                    Look(day + 3.0 * MINUTE - HOUR, 99),
                    Look(day + 2.0 * MINUTE, 4),
                ],
                Some(day + 2.0 * MINUTE),
                5,
                1,
            ),
            (
                "summer time begins: the missing hour counts once",
                &[Look(day, 0), Look(day + HOUR + MINUTE, 3), Look(day + HOUR + 2.0 * MINUTE, 2)],
                Some(day + HOUR + 2.0 * MINUTE),
                5,
                0,
            ),
            (
                "back twice is two gaps",
                &[Look(day, 0), Look(day - 1.0, 1), Look(day + 1.0, 1), Look(day, 1)],
                Some(day + 1.0),
                1,
                2,
            ),
            (
                "a restart counts from the start",
                &[Start(day - 9.0), Look(day, 1), Start(day + MINUTE), Look(day + 2.0 * MINUTE, 11)],
                Some(day + 2.0 * MINUTE),
                11,
                0,
            ),
            (
                "a restart while the clock is behind ends the waiting",
                &[
                    Start(day - 9.0),
                    Look(day, 1),
                    Look(day - HOUR, 1),
                    Start(day - HOUR + MINUTE),
                    Look(day - HOUR + 2.0 * MINUTE, 6),
                ],
                Some(day - HOUR + 2.0 * MINUTE),
                6,
                1,
            ),
            (
                "the same start told again, one tick off, is no restart",
                &[
                    Start(day - 9.0),
                    Look(day, 1),
                    Start(day - 9.0 + 1.0 / 300.0 / 86_400.0),
                    Look(day + MINUTE, 2),
                ],
                Some(day + MINUTE),
                2,
                0,
            ),
            (
                "a restart before the first look counts nothing",
                &[Start(1.0), Start(2.0), Look(day, 9)],
                Some(day),
                0,
                0,
            ),
        ];
        for (name, steps, since, opened, gaps) in cases {
            let mut tally = Tally::default();
            for step in *steps {
                match step {
                    Start(at) => tally.note_start(*at),
                    Look(now, n) => tally.note_look(*now, [(KEY, *n)]),
                }
            }
            assert_eq!(
                (tally.since(), tally.opened()[&KEY], tally.gaps()),
                (*since, *opened, *gaps),
                "{name}"
            );
        }
    }

    #[test]
    fn a_restart_moves_the_watermark_to_the_start() {
        let mut tally = Tally::default();
        tally.note_start(10.0);
        tally.note_look(20.0, []);
        tally.note_start(21.0);
        assert_eq!(tally.since(), Some(21.0));
    }

    #[test]
    fn every_combination_is_there_from_the_start_and_nothing_overflows() {
        let mut tally = Tally::default();
        assert_eq!(tally.opened().len(), 12);
        tally.note_look(1.0, []);
        tally.note_look(2.0, [(KEY, u64::MAX)]);
        tally.note_look(3.0, [(KEY, u64::MAX)]);
        assert_eq!(tally.opened()[&KEY], u64::MAX);
    }
}
