//! Secrets: where one is to be read from, and a value that prints redacted. The value itself is read by the part that
//! uses it, at each connect, so that a rotated file takes effect without a restart.

use std::fmt;
use std::path::PathBuf;

use zeroize::Zeroizing;

/// A secret in memory. `Debug` and `Display` never show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value, for the one call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// Where a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SecretSource {
    /// `password_file`: the file's text without one trailing line break.
    File(PathBuf),
    /// `password_env`: the value of this environment variable.
    Environment(String),
    /// `keytab`: a file of keys, which is no text.
    Keytab(PathBuf),
}

/// Name of the process's own identity, which its environment chooses: one account, whichever probe logs in with it.
pub const INTEGRATED: &str = "integrated";

impl SecretSource {
    /// Reads the secret now. One trailing line break of a file is not part of it.
    ///
    /// # Errors
    /// A sentence that names the file or variable, never its content.
    pub fn read(&self) -> Result<Secret, String> {
        let value = match self {
            Self::File(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| format!("password_file {}: {error}", path.display()))?;
                let text = text.strip_suffix('\n').unwrap_or(&text);
                text.strip_suffix('\r').unwrap_or(text).to_owned()
            }
            Self::Environment(name) => {
                std::env::var(name).map_err(|error| format!("password_env {name}: {error}"))?
            }
            Self::Keytab(_) => return Err(format!("{self} is no password")),
        };
        if value.is_empty() {
            return Err(format!("{self} is empty"));
        }
        Ok(Secret(value))
    }

    /// Reads the secret now, as octets that are wiped when dropped.
    ///
    /// # Errors
    /// A sentence that names the file or variable, never its content.
    pub fn octets(&self) -> Result<Zeroizing<Vec<u8>>, String> {
        match self {
            Self::Keytab(path) => {
                std::fs::read(path).map(Zeroizing::new).map_err(|error| format!("{self}: {error}"))
            }
            Self::File(_) | Self::Environment(_) => Ok(Zeroizing::new(self.read()?.0.into_bytes())),
        }
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "password_file {}", path.display()),
            Self::Environment(name) => write!(f, "password_env {name}"),
            Self::Keytab(path) => write!(f, "keytab {}", path.display()),
        }
    }
}
