//! The assembler: judges at each new answer and at the next moment at which evidence expires, and publishes one immutable
//! assessment. What the evidence means is `pipeline`'s; a judgement that panics is one that knows nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::model::evidence::Evidence;
use crate::model::observed::{Failure, FailureKind, Now};
use crate::model::settings::Settings;
use crate::pipeline::{self, Assessment, Questions};

use super::board::{self, Board, now};
use super::{Parts, Running};

pub(super) fn assembler(
    parts: &Parts,
    board: &Arc<Board>,
    questions: &watch::Sender<Questions>,
    latest: &watch::Sender<Arc<Assessment>>,
) -> Running {
    let (settings, board) = (Arc::clone(&parts.settings), Arc::clone(board));
    Running::start(assemble(settings, board, questions.clone(), latest.clone()))
}

/// What the evidence means now.
pub(super) fn look(settings: &Arc<Settings>, board: &Board) -> Assessment {
    let judge = |evidence, now| pipeline::assess(settings, evidence, now);
    contained(Arc::new(board.read()), now(), judge)
}

/// A judgement that panics, which would be a defect of ours, leaves a page that knows nothing: the one before it would stand still
/// and be believed.
fn contained(
    evidence: Arc<Evidence>,
    now: Now,
    judge: impl Fn(Arc<Evidence>, Now) -> Assessment,
) -> Assessment {
    catch_unwind(AssertUnwindSafe(|| judge(Arc::clone(&evidence), now))).unwrap_or_else(|_| {
        let text = "judging what the probes answered panicked: a defect of the exporter";
        tracing::error!("{text}; nothing is claimed until it is over");
        let mut evidence = Arc::unwrap_or_clone(evidence);
        evidence.forget(&Failure::new(FailureKind::Internal, text));
        judge(Arc::new(evidence), now)
    })
}

/// Judges at least this often: an `accept` entry ends with its day, and a young service grows older.
const AT_LEAST_EVERY: Duration = Duration::from_secs(60);

async fn assemble(
    settings: Arc<Settings>,
    board: Arc<Board>,
    questions: watch::Sender<Questions>,
    latest: watch::Sender<Arc<Assessment>>,
) {
    let mut bell = board.listen();
    let mut could_write = false;
    loop {
        bell.mark_unchanged();
        let assessment = Arc::new(look(&settings, &board));
        could_write = warned_of_rights(&assessment, could_write);
        let until = Instant::now() + AT_LEAST_EVERY;
        let expiry = board::next_expiry(&assessment.evidence, assessment.at).map(Instant::from_std);
        latest.send_replace(Arc::clone(&assessment));
        questions.send_if_modified(|old| {
            let is_new = *old != assessment.questions;
            if is_new {
                old.clone_from(&assessment.questions);
            }
            is_new
        });
        tokio::select! {
            rung = bell.changed() => if rung.is_err() { return },
            () = tokio::time::sleep_until(expiry.map_or(until, |expiry| expiry.min(until))) => {}
        }
    }
}

/// An exporter that could change what it watches is told of in the log too (JUDGEMENT 17), once each time it becomes so.
fn warned_of_rights(assessment: &Assessment, before: bool) -> bool {
    let could_write = assessment.could_write();
    if could_write && !before {
        tracing::warn!(
            finding = "exporter_overprivileged",
            "the exporter's own account could write the SPNs that it watches: give it an account without that right"
        );
    }
    could_write
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::verdict::Verdict;
    use crate::model::evidence::Probe;
    use crate::model::observed::Reason;
    use crate::samples::Bench;

    #[test]
    fn an_exporter_that_could_write_is_known_to_the_log() {
        let writer = Bench::new().with(|bench| {
            bench.facts.as_mut().unwrap().writable_accounts = Ok(vec!["svc_sql".into()]);
        });
        assert!(warned_of_rights(&writer.assess(), false) && warned_of_rights(&writer.assess(), true));
        assert!(!warned_of_rights(&Bench::new().assess(), true));
    }

    #[test]
    fn a_judgement_that_panics_claims_nothing() {
        let healthy = Bench::new().assess();
        let settings = Arc::clone(&healthy.settings);
        let judge = |evidence: Arc<Evidence>, now| {
            assert!(evidence.directory.good.is_none(), "an answer that nobody foresaw");
            pipeline::assess(&settings, evidence, now)
        };
        let page = contained(Arc::clone(&healthy.evidence), healthy.at, judge);
        assert_eq!(
            (healthy.instances[0].verdict, page.instances[0].verdict),
            (Verdict::Healthy, Verdict::Unknown)
        );
        let slot = &page.evidence.directory;
        assert_eq!((slot.is_up(), slot.attempts), (Some(false), healthy.evidence.directory.attempts));
        let gap = slot.answer(Probe::Directory, healthy.at).unwrap_err();
        assert_eq!(gap.reason, Reason::PeerFailed);
        assert!(gap.text.contains("a defect of the exporter"), "{gap:?}");
    }
}
