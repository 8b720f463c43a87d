//! What is wrong with a configuration, in lines that a person can act on: place, key, what was found, what is expected.
//! A value that may hold a secret is never shown, whatever is wrong with it.

use std::fmt;
use std::path::PathBuf;

use super::locate::{KeyPath, Step};
use super::raw::NOT_YET;

/// Every mistake that was found, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errors(pub Vec<Mistake>);

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// Where it was written.
    pub place: Place,
    /// The key, such as `instances[0].login.user`; empty if the whole file is meant.
    pub key: String,
    /// What is wrong and what is expected.
    pub text: String,
}

/// Where something was configured.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The configuration file, with the line where one can be told.
    File(PathBuf, Option<usize>),
    /// An environment variable.
    Variable(String),
    /// A flag, with its dashes.
    Flag(String),
    /// Nowhere: the default.
    Default,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, Some(line)) => write!(f, "{}:{line}", path.display()),
            Self::File(path, None) => write!(f, "{}", path.display()),
            Self::Variable(name) => write!(f, "environment variable {}", name.escape_debug()),
            Self::Flag(name) => f.write_str(name),
            Self::Default => f.write_str("configuration"),
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.text)
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, mistake) in self.0.iter().enumerate() {
            let separator = if n == 0 { "" } else { "\n" };
            write!(f, "{separator}{mistake}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

/// Longest part of a value that an error shows.
const SHOWN: usize = 60;

/// Whether nothing found at this place may be shown: all of `login` and `bind`, and every key that sounds like a secret.
pub(super) fn may_hold_secret(path: &KeyPath) -> bool {
    path.0.iter().any(|step| match step {
        Step::Key(key) => key == "login" || key == "bind" || sounds_secret(key),
        Step::Index(_) => false,
    })
}

fn sounds_secret(text: &str) -> bool {
    let text = text.to_lowercase();
    ["pass", "pwd", "secret", "token", "credential"].iter().any(|word| text.contains(word))
        || text.split(['_', '-', '.']).any(|word| word == "key")
}

/// A text value for an error; `None` where it may hold a secret: also a URL with a user in it, or a connection string.
pub(super) fn shown(path: &KeyPath, value: &str) -> Option<String> {
    if may_hold_secret(path) || sounds_secret(value) || value.contains(['@', '=', ';']) {
        return None;
    }
    let cut: String = value.chars().take(SHOWN).collect();
    let dots = if cut.len() < value.len() { "…" } else { "" };
    Some(format!("{cut:?}{dots}"))
}

/// `found "x", expected y`, or without the value where it may hold a secret.
pub(super) fn unexpected(path: &KeyPath, value: &str, expected: &str) -> String {
    match shown(path, value) {
        Some(value) => format!("found {value}, expected {expected}"),
        None => format!("expected {expected} (what was found is not shown: it may hold a secret)"),
    }
}

/// A key that does not exist: `siblings` are those of the same section, `everywhere` the path of each key there is.
pub(super) fn unknown_key(path: &KeyPath, siblings: &[&str], everywhere: &[KeyPath]) -> (KeyPath, String) {
    let parent = path.parent();
    let Some(Step::Key(key)) = path.0.last() else { return (parent, "unknown key".to_owned()) };
    if NOT_YET.contains(&path.to_string().as_str()) {
        return (path.clone(), format!("`{path}` is not in this version"));
    }
    // `password_fil` is a slip; `password` is not one of `password_env`, although the two are near.
    let is_slip = siblings.iter().any(|sibling| strsim::damerau_levenshtein(key, sibling) <= 2);
    let has_secret = may_hold_secret(&parent) || siblings.contains(&"password_file");
    if has_secret && sounds_secret(key) && !is_slip {
        let name = if is_plain(key) && key.len() <= "password_value".len() { path.clone() } else { parent };
        let variable = if siblings.contains(&"password_env") { " or password_env" } else { "" };
        let text = format!("a password is never written into the configuration: use password_file{variable}");
        return (name, text);
    }
    let near = nearest(key, siblings).map(|sibling| parent.key(sibling)).or_else(|| {
        everywhere
            .iter()
            .find(|known| matches!(known.0.last(), Some(Step::Key(last)) if last == key))
            .cloned()
    });
    let hint = match near {
        Some(near) => format!("did you mean {near}?"),
        None => format!("expected one of {}", siblings.join(", ")),
    };
    // A password without its key, as in `login: { method: sql, hunter2 }`, is a key to YAML.
    let is_shown = is_plain(key) && (!may_hold_secret(&parent) || nearest(key, siblings).is_some());
    match is_shown {
        true => (path.clone(), format!("unknown key; {hint}")),
        false => (parent, format!("unknown key in this section (not shown); {hint}")),
    }
}

fn is_plain(key: &str) -> bool {
    key.len() <= SHOWN && key.chars().all(|c| c.is_ascii_alphanumeric() || "_-<".contains(c))
}

/// The candidate that was most likely meant.
pub(super) fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let word = word.to_lowercase().replace('-', "_");
    candidates
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).max(1))
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_may_hold_a_secret_are_not_shown() {
        let shows = |path: &str, value: &str| shown(&KeyPath::of(path), value).is_some();
        assert!(shows("directory.site", "Berlin"));
        for (path, value) in [
            ("directory.bind.user", "hunter2"),
            ("directory.bind", "hunter2"),
            ("instances.login.method", "hunter2"),
            ("web.api_key", "hunter2"),
            ("directory.servers", "ldap://reader:hunter2@dc1"),
            ("instances.address", "Server=x;Pwd=hunter2"),
        ] {
            assert!(!shows(path, value), "{path} {value}");
            assert!(!unexpected(&KeyPath::of(path), value, "x").contains("hunter2"), "{path} {value}");
        }
        assert_eq!(shown(&KeyPath::of("a"), &"x".repeat(70)), Some(format!("\"{}\"…", "x".repeat(60))));
        assert_eq!(shown(&KeyPath::of("a"), "a\nb"), Some("\"a\\nb\"".to_owned()));
    }

    #[test]
    fn the_nearest_known_key() {
        let known = ["timeout", "refresh", "servers", "max_requests"];
        for (word, expected) in [
            ("timout", Some("timeout")),
            ("Timeout", Some("timeout")),
            ("server", Some("servers")),
            ("max-requests", Some("max_requests")),
            ("maxRequests", Some("max_requests")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, &known), expected, "{word}");
        }
    }
}
