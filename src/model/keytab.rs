//! What a keytab holds, without its keys: principals, versions and encryption types. Written by `keytab-info`, read beside
//! SQL Server on Linux. Whether it fits is judged elsewhere.

use serde::{Deserialize, Serialize};

use super::ticket::EncryptionType;

/// What `keytab-info` hands over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeytabInfo {
    /// Version of this form.
    pub keytab_info: u32,
    /// The keytab's path, for people.
    pub keytab: String,
    /// When it was last written, Unix seconds.
    pub modified: f64,
    /// When it was read, Unix seconds.
    pub read_at: f64,
    /// Its entries, in order.
    pub entries: Vec<KeytabEntry>,
}

/// One entry, without its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeytabEntry {
    /// Such as `MSSQLSvc/sql01.corp.contoso.com:1433@CORP.CONTOSO.COM`.
    pub principal: String,
    /// The version of its key.
    pub key_version: u32,
    /// IANA number of what the key is for.
    pub encryption_type: i32,
    /// The same as a word, for people.
    #[serde(default)]
    pub encryption: String,
}

impl KeytabInfo {
    /// The version of the form that is written and read.
    pub const FORM: u32 = 1;
}

impl KeytabEntry {
    /// An entry.
    pub fn new(principal: impl Into<String>, key_version: u32, kind: EncryptionType) -> Self {
        let (encryption_type, encryption) = (kind.0, kind.name().into_owned());
        Self { principal: principal.into(), key_version, encryption_type, encryption }
    }

    /// What the key is for.
    pub const fn kind(&self) -> EncryptionType {
        EncryptionType(self.encryption_type)
    }

    /// The name without its realm.
    pub fn name(&self) -> &str {
        self.principal.rsplit_once('@').map_or(&self.principal, |(name, _)| name)
    }
}
