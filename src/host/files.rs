//! Reads a small text file of the system, bounded. Waits for nothing: a pipe or a device in its place is refused.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use crate::model::observed::{Gap, Known, Reason};

/// Most bytes of a file: a hosts file that blocks advertisers has some hundred KiB.
pub(super) const MOST_BYTES: u64 = 1024 * 1024;

/// The text; `None` if there is no such file. What is not UTF-8 becomes U+FFFD, and a byte order mark goes.
pub(super) fn read(path: &Path) -> Known<Option<String>> {
    let failed = |error: io::Error| {
        let reason = match error.kind() {
            io::ErrorKind::PermissionDenied => Reason::NoPermission,
            _ => Reason::PeerFailed,
        };
        Gap::new(reason, format!("{}: {error}", path.display()))
    };
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Err(Gap::peer_failed(format!("{}: not a regular file", path.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(Gap::peer_failed(format!("{}: more than {MOST_BYTES} bytes, not read", path.display())));
    }
    let text = String::from_utf8_lossy(&bytes);
    Ok(Some(text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned()))
}
