//! The rendered page, in both formats and codings. All scrapes within one second share the same bytes: N scrapers cost one
//! rendering, and compressing is the dear part.

use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::body::Bytes;
use tokio::time::Instant;

use crate::metrics::{self, Build, Configured, Whole, render};
use crate::pipeline::Assessment;

use super::negotiate::Format;

/// How long a page is shared.
const SHARED_FOR: Duration = Duration::from_secs(1);

/// The latest pages.
#[derive(Debug)]
pub(super) struct Bodies {
    build: Build,
    latest: Mutex<Option<Latest>>,
}

#[derive(Debug)]
struct Latest {
    at: Instant,
    of: Arc<Assessment>,
    configured: Configured,
    page: render::Page,
    ready: Vec<(Format, bool, Bytes)>,
}

impl Bodies {
    pub(super) const fn new(build: Build) -> Self {
        Self { build, latest: Mutex::new(None) }
    }

    /// The page as bytes; `None` only if the encoder failed.
    pub(super) fn body(
        &self,
        assessment: &Arc<Assessment>,
        configured: Configured,
        format: Format,
        gzip: bool,
    ) -> Option<Bytes> {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = latest.as_ref().is_some_and(|latest| {
            Arc::ptr_eq(&latest.of, assessment)
                && latest.configured == configured
                && latest.at.elapsed() < SHARED_FOR
        });
        if !is_fresh {
            let process = metrics::read_process();
            let whole = Whole { assessment, build: &self.build, process: process.as_ref(), configured };
            let page = render::page(metrics::collect(&whole)).ok()?;
            let (at, of) = (Instant::now(), Arc::clone(assessment));
            *latest = Some(Latest { at, of, configured, page, ready: Vec::new() });
        }
        let latest = latest.as_mut()?;
        let made =
            latest.ready.iter().find(|(f, g, _)| (*f, *g) == (format, gzip)).map(|(_, _, body)| body.clone());
        if made.is_some() {
            return made;
        }
        let text = match format {
            Format::Classic => &latest.page.classic,
            Format::OpenMetrics => &latest.page.openmetrics,
        };
        let body = if gzip { compressed(text)? } else { Bytes::copy_from_slice(text.as_bytes()) };
        latest.ready.push((format, gzip, body.clone()));
        Some(body)
    }
}

fn compressed(text: &str) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 8), Compression::fast());
    encoder.write_all(text.as_bytes()).ok()?;
    encoder.finish().ok().map(Bytes::from)
}
