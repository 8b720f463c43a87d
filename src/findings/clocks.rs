//! Other clocks against ours: how far each one is off, as far as the reading proves it. Which of two is wrong cannot be
//! told; if all others agree, ours is. Pure.

use crate::model::domain::ControllerRole;
use crate::model::instance::ClockReading;
use crate::model::observed::{Gap, Known};

use super::{Case, Judged, Subject};
use crate::model::change::Change;

/// MaxClockSkew of a domain as Windows sets it up, seconds (MS-GPSB 2.2.2: five minutes).
pub const MAX_CLOCK_SKEW: f64 = 300.0;

/// Clocks that differ by less are taken to say the same time: rootDSE has whole seconds.
const AGREE: f64 = 10.0;

/// A peer's clock.
pub struct Clock {
    /// Whose: the host name of a domain controller, `SQL Server <instance>`.
    pub name: String,
    /// The peer's minus ours, seconds.
    pub skew: f64,
    /// Seconds by which the reading may be wrong: half the round trip.
    uncertainty: f64,
    /// Whether it is the clock of this very host.
    is_ours: bool,
}

impl Clock {
    fn of(name: String, reading: ClockReading, is_ours: bool) -> Self {
        Self { name, skew: reading.peer - reading.ours, uncertainty: reading.round_trip / 2.0, is_ours }
    }

    /// At least so far off, whatever the reading's error.
    fn proven(&self) -> f64 {
        (self.skew.abs() - self.uncertainty).max(0.0)
    }

    /// "312 s ahead of this host".
    pub fn words(&self) -> String {
        let way = if self.skew < 0.0 { "behind" } else { "ahead of" };
        format!("{:.0} s {way} this host", self.skew.abs())
    }
}

/// What part of a rule's range a clock lies in.
#[derive(Debug, Clone, Copy)]
pub struct Range {
    /// From here on, seconds.
    pub from: f64,
    /// Up to here.
    pub to: f64,
}

/// The clocks at hand, and what is missing.
fn clocks(case: &Case<'_>) -> (Vec<Clock>, Vec<Gap>) {
    let (mut clocks, mut gaps) = (Vec::new(), Vec::new());
    match case.controllers() {
        Ok(states) => {
            // One clock for each machine: LDAP's, else the Global Catalog's.
            for state in states.iter().filter(|state| state.role != ControllerRole::Kdc) {
                if let Some(reading) = state.clock
                    && !clocks.iter().any(|known: &Clock| known.name == state.server)
                {
                    clocks.push(Clock::of(state.server.clone(), reading, false));
                }
            }
            if clocks.is_empty() {
                gaps.push(Gap::peer_failed("no domain controller has told its clock"));
            }
        }
        Err(gap) => gaps.push(gap),
    }
    // A KDC that is none of them. One that is, is read more often there; counted twice, one machine would be two that agree.
    if let Some((name, reading)) = case.kdc_clock()
        && !clocks.iter().any(|known| known.name.eq_ignore_ascii_case(&name))
    {
        clocks.push(Clock::of(name, reading, false));
    }
    match sqlserver(case) {
        Ok(clock) => clocks.push(clock),
        Err(gap) => gaps.push(gap),
    }
    (clocks, gaps)
}

fn sqlserver(case: &Case<'_>) -> Known<Clock> {
    let instance = case.instance()?;
    let reading = instance.clock.clone()?;
    Ok(Clock::of(format!("SQL Server {}", case.own.name), reading, instance.sees_us_on_its_host()))
}

/// Judges every clock against a range of skews.
pub(super) fn judge(case: &Case<'_>, range: Range) -> Judged {
    let (clocks, gaps) = clocks(case);
    let others: Vec<&Clock> = clocks.iter().filter(|clock| !clock.is_ours).collect();
    let is_ours_off = others.len() > 1
        && others.iter().all(|clock| {
            others.iter().all(|other| (clock.skew - other.skew).abs() < AGREE) && clock.proven() >= range.from
        });
    let judged = Judged::each(Ok(clocks.iter()), "no clock to compare with", |clock| {
        let proven = clock.proven();
        if (range.from..range.to).contains(&proven) {
            return Ok(Some(subject(clock, others.len(), is_ours_off)));
        }
        if proven < range.from && clock.skew.abs() >= range.from {
            return Err(Gap::peer_failed(format!(
                "{} seems {}, but the answer took {:.0} s: too long to tell",
                clock.name,
                clock.words(),
                clock.uncertainty * 2.0
            )));
        }
        Ok(None)
    });
    judged.and_gaps(gaps)
}

fn subject(clock: &Clock, n_others: usize, is_ours_off: bool) -> Subject {
    let seen = Subject::new(clock.name.as_str(), format!("{} is {}", clock.name, clock.words()));
    const SET: &str =
        "w32tm /query /source, then w32tm /resync (on Linux: chronyc sources -v, chronyc makestep)";
    if is_ours_off {
        return seen
            .line(format!("this host's clock is off: {n_others} others agree with each other"))
            .then(Change::Advice(format!("on this host: {SET}")));
    }
    seen.line("which of the two clocks is wrong cannot be told from them alone").then(Change::Advice(format!(
        "compare both hosts with a third clock; on the one that is off: {SET}; members of a domain follow its domain \
         controllers, these the PDC emulator of the forest root"
    )))
}

#[cfg(test)]
mod tests {
    use crate::samples::Bench;

    /// What `clock_skew` has to say: its subjects, and whether it calls our clock the wrong one.
    fn told(bench: &Bench) -> (Vec<String>, bool) {
        let assessment = bench.assess();
        let findings = &assessment.instances[0].findings;
        let finding = findings.iter().find(|finding| finding.rule.name == "clock_skew").unwrap();
        let blames_us = |line: &String| line.starts_with("this host's clock is off");
        let names = finding.subjects.iter().map(|subject| subject.name.clone()).collect();
        (names, finding.subjects.iter().flat_map(|subject| &subject.evidence).any(blames_us))
    }

    #[test]
    fn the_kdc_is_a_clock_of_its_own_where_its_host_has_told_none() {
        let dc1 = "dc1.corp.contoso.com";
        let with = |kdc| {
            Bench::new().controller_clock(200.0, 0.01).with_tickets().with(|bench| bench.kdc = (kdc, 200.0))
        };
        // One machine is one clock, by whatever name it is asked: it does not agree with itself.
        assert_eq!(told(&with(dc1)), (vec![dc1.to_owned()], false));
        let by_address = with("10.77.0.1").with(|bench| {
            let states = &mut bench.facts.as_mut().unwrap().controllers;
            states.iter_mut().for_each(|state| state.url = "ldaps://10.77.0.1:636".to_owned());
        });
        assert_eq!(told(&by_address), (vec![dc1.to_owned()], false));
        // Two that agree are two witnesses.
        let both = vec!["10.77.0.9".to_owned(), dc1.to_owned()];
        assert_eq!(told(&with("10.77.0.9")), (both, true));
        // With the directory silent the KDC's own time is what there is.
        let alone = Bench::new().no_directory().with_tickets().with(|bench| bench.kdc = (dc1, -150.0));
        assert_eq!(told(&alone), (vec![dc1.to_owned()], false));
    }
}
