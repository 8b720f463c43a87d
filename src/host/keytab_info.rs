//! What `keytab-info` wrote about SQL Server's keytab. Somebody else writes the file, so nothing in it is believed to fit.

use std::path::Path;

use super::files;
use crate::model::keytab::KeytabInfo;
use crate::model::observed::{Gap, Known, printable};

/// A keytab has a few entries for each SPN and encryption type.
const MOST_ENTRIES: usize = 1_000;

pub(super) fn read(path: &Path) -> Known<KeytabInfo> {
    let wrong = |why: &str| Gap::peer_failed(format!("{}: {why}", path.display()));
    let text = files::read(path)?
        .ok_or_else(|| wrong("there is no such file; does the timer of keytab-info run?"))?;
    let info: KeytabInfo = serde_json::from_str(&text)
        .map_err(|error| wrong(&format!("not what keytab-info writes: {}", printable(&error.to_string()))))?;
    if info.keytab_info != KeytabInfo::FORM {
        return Err(wrong(&format!("form {} is not of this version", info.keytab_info)));
    }
    if info.entries.len() > MOST_ENTRIES {
        return Err(wrong(&format!("more than {MOST_ENTRIES} entries")));
    }
    if !info.read_at.is_finite() || !info.modified.is_finite() {
        return Err(wrong("its times are no times"));
    }
    Ok(info)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::keytab::KeytabEntry;
    use crate::model::ticket::EncryptionType;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mssql.json");
        assert!(read(&path).is_err_and(|gap| gap.text.contains("no such file")));
        let mut info = KeytabInfo {
            keytab_info: 1,
            keytab: "/var/opt/mssql/secrets/mssql.keytab".into(),
            modified: 1.5,
            read_at: 2.5,
            entries: vec![KeytabEntry::new("MSSQLSvc/a@R", 3, EncryptionType::AES256)],
        };
        std::fs::write(&path, serde_json::to_vec(&info).unwrap()).unwrap();
        assert_eq!(read(&path), Ok(info.clone()));
        let wrong = |info: &KeytabInfo, part: &str| {
            std::fs::write(&path, serde_json::to_vec(info).unwrap()).unwrap();
            assert!(read(&path).is_err_and(|gap| gap.text.contains(part)), "{part}");
        };
        wrong(&KeytabInfo { keytab_info: 2, ..info.clone() }, "form 2");
        info.entries = vec![info.entries[0].clone(); MOST_ENTRIES + 1];
        wrong(&info, "more than");
        for text in ["", "[]", "{}", "null", "\u{0}", "{\"keytab_info\":1e99}"] {
            std::fs::write(&path, text).unwrap();
            assert!(read(&path).is_err_and(|gap| gap.text.contains("not what")), "{text}");
        }
    }
}
