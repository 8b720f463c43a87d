//! Key path of an error → line of the file, by a second, marked parse. Knows nothing of which keys exist, and is asked
//! only after a mistake was found: a good file is parsed once.

use std::fmt;

use saphyr::{LoadableYamlNode, MarkedYaml, YamlData};

/// One step into the configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// A key of a mapping.
    Key(String),
    /// A place in a list.
    Index(usize),
}

/// Where in the configuration something stands: `instances[0].login.user`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct KeyPath(pub(super) Vec<Step>);

impl KeyPath {
    /// Reads keys joined by dots; no key of ours contains one.
    pub(super) fn of(keys: &str) -> Self {
        Self(keys.split('.').map(|key| Step::Key(key.to_owned())).collect())
    }

    /// One key further.
    pub(super) fn key(&self, key: &str) -> Self {
        self.with(Step::Key(key.to_owned()))
    }

    /// One place further.
    pub(super) fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    fn with(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// The path without its last step.
    pub(super) fn parent(&self) -> Self {
        Self(self.0.split_last().map(|(_, rest)| rest.to_vec()).unwrap_or_default())
    }

    /// Whether `other` is this place or lies within it.
    pub(super) fn contains(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if n == 0 => write!(f, "{key}")?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// The line (from 1) of the place, or of the nearest place round it that the text has; `None` where the text has none
/// of it. A key's own line counts, not that of its value.
pub(super) fn line(text: &str, path: &KeyPath) -> Option<usize> {
    let documents = MarkedYaml::load_from_str(text).ok()?;
    let mut node = documents.first()?;
    let mut line = None;
    for step in &path.0 {
        let Some((at, next)) = enter(node, step) else { break };
        (line, node) = (Some(at), next);
    }
    line
}

fn enter<'a, 'text>(node: &'a MarkedYaml<'text>, step: &Step) -> Option<(usize, &'a MarkedYaml<'text>)> {
    match (&node.data, step) {
        (YamlData::Mapping(entries), Step::Key(wanted)) => entries
            .iter()
            .find(|(key, _)| key.data.as_str() == Some(wanted))
            .map(|(key, value)| (key.span.start.line(), value)),
        (YamlData::Sequence(items), Step::Index(index)) => {
            items.get(*index).map(|item| (item.span.start.line(), item))
        }
        (YamlData::Tagged(_, inner), step) => enter(inner, step),
        _ => None,
    }
}

/// The line of the first key that a mapping has twice.
fn line_of_duplicate(text: &str) -> Option<usize> {
    MarkedYaml::load_from_str(text).err().map(|error| error.marker().line())
}

/// What is wrong with a text that is no YAML: line and sentence. The parser's words may quote a key, so only one that we
/// know is repeated.
pub(super) fn syntax(
    text: &str,
    line: Option<usize>,
    error: &str,
    everywhere: &[KeyPath],
) -> (Option<usize>, String) {
    let has_tab = |line: usize| {
        let line = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        line.chars().take_while(|c| c.is_whitespace()).any(|c| c == '\t')
    };
    if error.contains("duplicate entry") {
        // The error has the line of the section; the marked parse stops at the second of the two.
        let line = line_of_duplicate(text).or(line);
        let known = everywhere.iter().filter_map(|path| match path.0.last() {
            Some(Step::Key(key)) if error.contains(&format!("key {key:?}")) => Some(key),
            _ => None,
        });
        let key =
            known.max_by_key(|key| key.len()).map(|key| format!("`{key}`")).unwrap_or("a key".to_owned());
        return (line, format!("{key} appears twice in this section"));
    }
    if line.is_some_and(has_tab) {
        return (line, "not valid YAML: a tab; indent with spaces".to_owned());
    }
    if error.contains("more than one document") {
        return (line, "holds more than one YAML document (`---`): keep one".to_owned());
    }
    // The place stands in front of the message already.
    let words = error.find(" at line ").and_then(|end| error.get(..end)).unwrap_or(error);
    (line, format!("not valid YAML: {words}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_keys_and_items() {
        let text = "# a comment\nweb:\n  max_requests: 1\ninstances:\n  - address: a\n    name: x\n  -\n    address: b\n\
                    dns: { servers: [a,\n  b] }\n";
        let second = KeyPath::of("instances").index(1);
        for (path, expected) in [
            (KeyPath::of("web"), Some(2)),
            (KeyPath::of("web.max_requests"), Some(3)),
            (KeyPath::of("web.absent"), Some(2)),
            (KeyPath::of("instances").index(0).key("name"), Some(6)),
            (second.key("address"), Some(8)),
            (KeyPath::of("dns.servers").index(1), Some(10)),
            (KeyPath::of("absent"), None),
            (KeyPath::default(), None),
        ] {
            assert_eq!(line(text, &path), expected, "{path}");
        }
        assert_eq!(line("a: [", &KeyPath::of("a")), None);
        assert_eq!(line("", &KeyPath::of("a")), None);
    }

    #[test]
    fn paths_are_written_as_people_do() {
        let path = KeyPath::of("instances").index(0).key("login").key("user");
        assert_eq!(path.to_string(), "instances[0].login.user");
        assert!(path.parent().contains(&path) && !path.contains(&path.parent()));
    }
}
