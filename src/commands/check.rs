//! `check`: one assessment of every instance, as a table for a DBA over SSH or as JSON. Changes nothing.

use std::io::{self, Write};

use crate::cli::{FailOn, Format};
use crate::config::Config;
use crate::findings::{Severity, verdict};
use crate::pipeline::Assessment;
use crate::refresh;
use crate::report::{self, Detail};

/// Asks, prints, and gives the exit code: the worst over all instances, where 1 (a finding) beats 3 (could not tell).
///
/// # Errors
/// Writing the report failed.
pub async fn run(config: &Config, format: Format, fail_on: FailOn, out: &mut impl Write) -> io::Result<u8> {
    let assessment = refresh::once(&config.parts()).await;
    let page = match format {
        Format::Table => report::text(&assessment, Detail::Full),
        Format::Json => report::json(&assessment, Detail::Full).map_err(io::Error::other)?,
    };
    match out.write_all(page.as_bytes()).and_then(|()| out.flush()) {
        // Whoever reads the first lines alone, as `| head` does, is told the outcome all the same.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
        Ok(()) | Err(_) => Ok(exit_code(&assessment, fail_on)),
    }
}

fn exit_code(assessment: &Assessment, fail_on: FailOn) -> u8 {
    let threshold = match fail_on {
        FailOn::Critical => Severity::Critical,
        FailOn::Warning => Severity::Warning,
        FailOn::Info => Severity::Info,
    };
    let codes = assessment
        .instances
        .iter()
        .map(|instance| verdict::exit_code(instance.picture.scope.is_ok(), &instance.findings, threshold));
    let worse = |code: &u8| match code {
        1 => 2,
        0 => 0,
        _ => 1,
    };
    codes.max_by_key(worse).unwrap_or_default()
}
