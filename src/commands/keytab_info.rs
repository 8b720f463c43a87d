//! `keytab-info`: what SQL Server's keytab holds, without its keys. Run as `mssql` by a timer, so that the exporter need not be
//! able to read the keys (JUDGEMENT 18). Reads no configuration and asks nobody.

use std::io::{self, Write};
use std::path::Path;
use std::time::SystemTime;

use crate::model::keytab::KeytabInfo;
use crate::model::observed::{Now, unix_seconds};
use crate::model::secret::SecretSource;
use crate::ticket;

use super::exit;

/// Prints it, or writes it to the file; the exit code. What is wrong goes to stderr.
///
/// # Errors
/// Printing failed.
pub fn run(keytab: &Path, output: Option<&Path>, now: Now, out: &mut impl Write) -> io::Result<u8> {
    let failed = |why: String| {
        eprintln!("{why}");
        Ok(exit::USAGE)
    };
    let text = match describe(keytab, now) {
        Ok(text) => text,
        Err(why) => return failed(why),
    };
    match output {
        None => {
            out.write_all(text.as_bytes())?;
            out.flush()?;
        }
        Some(path) => {
            if let Err(error) = replace(path, &text) {
                return failed(format!("{}: {error}", path.display()));
            }
        }
    }
    Ok(exit::OK)
}

fn describe(keytab: &Path, now: Now) -> Result<String, String> {
    let wrong = |error: &dyn std::fmt::Display| format!("{}: {error}", keytab.display());
    let metadata = std::fs::metadata(keytab).map_err(|error| wrong(&error))?;
    let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    // As a secret, so that it is wiped.
    let octets = SecretSource::Keytab(keytab.to_owned()).octets()?;
    let info = KeytabInfo {
        keytab_info: KeytabInfo::FORM,
        keytab: keytab.display().to_string(),
        modified: unix_seconds(modified),
        read_at: now.unix_seconds(),
        entries: ticket::keytab_entries(&octets).map_err(|error| wrong(&error))?,
    };
    let text = serde_json::to_string_pretty(&info).map_err(|error| wrong(&error))?;
    Ok(text + "\n")
}

/// In one step: a reader sees the old file or the new one, never half of it.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let name = path.file_name().ok_or_else(|| io::Error::other("is no file"))?;
    let mut beside = std::ffi::OsString::from(".");
    beside.push(name);
    beside.push(format!(".{}", std::process::id()));
    let beside = path.with_file_name(beside);
    let written = write(&beside, text).and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        // What is left over is of no use; that it cannot be removed adds nothing to the first error.
        let _ = std::fs::remove_file(&beside);
    }
    written
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    // A name that exists may be somebody else's link.
    options.write(true).create_new(true);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // There is no key in it, and the exporter is another user.
        file.set_permissions(std::fs::Permissions::from_mode(0o644))?;
    }
    file.sync_all()
}
