//! Defaults ← file ← environment ← flags: the only file that names figment. Gives the raw shape, and remembers where
//! each value came from. What does not have the right shape is reported and left out, so that the rest is looked at too.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use figment::error::{Actual, Kind};
use figment::providers::Serialized;
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};

use super::environment::{self, Variable};
use super::errors::{Place, may_hold_secret, shown, unexpected, unknown_key};
use super::locate::{self, KeyPath, Step};
use super::raw::Raw;
use crate::cli::Flags;

/// More mistakes than these are not told: nobody reads them, and each costs one more look at the file.
const MOST: usize = 50;

/// A mistake before its place is told.
pub(super) type Problem = (KeyPath, String);

/// The configuration file as read.
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

/// The layers, merged.
pub(super) struct Layers {
    /// The raw shape, without what had the wrong one.
    pub(super) raw: Raw,
    /// What had the wrong shape.
    pub(super) problems: Vec<Problem>,
    /// Mistakes that are in no merged value: the place is known already.
    pub(super) misplaced: Vec<(Place, Problem)>,
    merged: Value,
    figment: Figment,
    places: Vec<Place>,
    file: Option<File>,
}

impl Layers {
    /// Merges the layers.
    ///
    /// # Errors
    /// The file is no YAML mapping: its place and what is wrong.
    pub(super) fn merge(
        file: Option<File>,
        environment: &[(OsString, OsString)],
        flags: &Flags,
        local_instances: &[String],
    ) -> Result<Self, (Place, String)> {
        let raw = Raw::on_a_host_with(local_instances);
        let defaults = Value::serialize(&raw).map_err(|e| (Place::Default, e.to_string()))?;
        let everywhere = key_paths(&defaults);
        let mut misplaced = Vec::new();
        let mut values: Vec<(Place, Dict)> = Vec::new();
        if let Some(File { path, text }) = &file {
            let place = |line| Place::File(path.clone(), line);
            values.push((
                place(None),
                yaml_mapping(text, &everywhere).map_err(|(line, text)| (place(line), text))?,
            ));
        }
        let written = values
            .first()
            .map(|(_, dict)| password_variables(&Value::from(dict.clone())))
            .unwrap_or_default();
        for ours in environment::variables(environment, &written) {
            match variable(&defaults, &ours) {
                Ok(dict) => values.push((Place::Variable(ours.name), dict)),
                Err(problem) => misplaced.push((Place::Variable(ours.name), problem)),
            }
        }
        values.extend(flag_values(flags).into_iter().map(|(flag, key, value)| {
            (Place::Flag(flag.to_owned()), figment::util::nest(key, value).into_dict().unwrap_or_default())
        }));
        let mut places = Vec::new();
        let mut figment = Figment::from(Serialized::defaults(&raw));
        for (place, dict) in values {
            figment = figment.merge(Layer { index: places.len(), dict });
            places.push(place);
        }
        let merged = figment.extract::<Value>().map_err(|e| (Place::Default, e.to_string()))?;
        let (raw, problems) = shape(&merged, &everywhere);
        Ok(Self { raw, problems, misplaced, merged, figment, places, file })
    }

    /// Where the value at this path was written; for one that is absent, where what is round it was.
    pub(super) fn place(&self, path: &KeyPath) -> Place {
        match self.origin(path) {
            Some(Place::File(file, _)) => Place::File(file.clone(), self.line(path)),
            Some(place) => place.clone(),
            None => match (&self.file, self.line(path)) {
                (Some(file), Some(line)) => Place::File(file.path.clone(), Some(line)),
                _ => Place::Default,
            },
        }
    }

    /// The folder that a relative path at this key is relative to: that of the file, if the file says it.
    pub(super) fn folder(&self, path: &KeyPath) -> Option<&Path> {
        match self.origin(path) {
            Some(Place::File(file, _)) => file.parent(),
            _ => None,
        }
    }

    fn line(&self, path: &KeyPath) -> Option<usize> {
        self.file.as_ref().and_then(|file| locate::line(&file.text, path))
    }

    fn origin(&self, path: &KeyPath) -> Option<&Place> {
        let (mut value, mut tag) = (&self.merged, self.merged.tag());
        for step in &path.0 {
            let next = match (value, step) {
                (Value::Dict(_, dict), Step::Key(key)) => dict.get(key),
                (Value::Array(_, items), Step::Index(index)) => items.get(*index),
                _ => None,
            };
            let Some(next) = next else { break };
            (value, tag) = (next, next.tag());
        }
        let index = self.figment.get_metadata(tag)?.name.parse::<usize>().ok()?;
        self.places.get(index)
    }
}

/// One layer. Its name is its place in the list of places.
struct Layer {
    index: usize,
    dict: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.index.to_string())
    }

    fn data(&self) -> figment::error::Result<Map<Profile, Dict>> {
        Ok(Map::from([(Profile::Default, self.dict.clone())]))
    }
}

/// A YAML text whose top is a mapping; an empty one counts. Read as YAML's own values first: that refuses a key that
/// stands twice, where figment would take the last.
fn yaml_mapping(text: &str, everywhere: &[KeyPath]) -> Result<Dict, (Option<usize>, String)> {
    let value: yaml_serde::Value = yaml_serde::from_str(text).map_err(|error| {
        let line = error.location().map(|location| location.line());
        locate::syntax(text, line, &error.to_string(), everywhere)
    })?;
    match Value::serialize(value) {
        Ok(Value::Dict(_, dict)) => Ok(dict),
        Ok(Value::Empty(..)) => Ok(Dict::new()),
        Ok(_) => Err((Some(1), "expected a mapping (`key: value` lines)".to_owned())),
        Err(_) => Err((None, "a key is not text".to_owned())),
    }
}

/// What `password_env` names, anywhere.
fn password_variables(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Dict(_, dict) => dict
            .iter()
            .flat_map(|(key, value)| match value.as_str() {
                Some(name) if key == "password_env" => BTreeSet::from([name.to_owned()]),
                _ => password_variables(value),
            })
            .collect(),
        Value::Array(_, items) => items.iter().flat_map(password_variables).collect(),
        _ => BTreeSet::new(),
    }
}

/// A variable as a layer. The default at its key says how the text is to be read: a list or section is YAML, a number or
/// a boolean is one, everything else is text as it stands (`00123` keeps its zeros).
fn variable(defaults: &Value, variable: &Variable) -> Result<Dict, Problem> {
    let (mut path, mut default) = (KeyPath::default(), Some(defaults));
    for key in &variable.keys {
        if default.is_some_and(|value| matches!(value, Value::Array(..))) {
            return Err((
                path,
                "a list is given whole, such as [\"a\", \"b\"] or [{ address: sql01 }]".to_owned(),
            ));
        }
        path = path.key(key);
        default = default.and_then(|value| match value {
            Value::Dict(_, dict) => dict.get(key),
            _ => None,
        });
    }
    let Some(text) = variable.text.as_deref() else { return Err((path, "is not UTF-8 text".to_owned())) };
    let as_text = || Value::from(text);
    let value = match default {
        Some(Value::Num(..) | Value::Bool(..)) => yaml_value(text).unwrap_or_else(as_text),
        // Both ways of writing are in use: figment's own `[{ address = "a" }]`, and YAML's.
        Some(Value::Array(..) | Value::Dict(..)) => match text.parse::<Value>() {
            Ok(value @ (Value::Array(..) | Value::Dict(..))) => value,
            _ => yaml_value(text).unwrap_or_else(as_text),
        },
        _ => as_text(),
    };
    let nested =
        variable.keys.iter().rev().fold(value, |value, key| Value::from(Dict::from([(key.clone(), value)])));
    Ok(nested.into_dict().unwrap_or_default())
}

fn yaml_value(text: &str) -> Option<Value> {
    yaml_serde::from_str::<yaml_serde::Value>(text).ok().and_then(|value| Value::serialize(value).ok())
}

/// Flag, key, value.
fn flag_values(flags: &Flags) -> Vec<(&'static str, &'static str, Value)> {
    // The words of a flag are those of its key; none is skipped by clap, so each has a name.
    fn word(value: impl ValueEnum) -> Value {
        Value::from(value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default())
    }
    let addresses =
        (!flags.web_listen_address.is_empty()).then(|| Value::from(flags.web_listen_address.clone()));
    [
        ("--web.listen-address", "web.listen_addresses", addresses),
        ("--web.telemetry-path", "web.telemetry_path", flags.web_telemetry_path.clone().map(Value::from)),
        (
            "--web.enable-lifecycle",
            "web.enable_lifecycle",
            flags.web_enable_lifecycle.then(|| Value::from(true)),
        ),
        ("--web.max-requests", "web.max_requests", flags.web_max_requests.map(Value::from)),
        ("--web.route-prefix", "web.route_prefix", flags.web_route_prefix.clone().map(Value::from)),
        ("--log.level", "log.level", flags.log_level.map(word)),
        ("--log.format", "log.format", flags.log_format.map(word)),
    ]
    .into_iter()
    .filter_map(|(flag, key, value)| Some((flag, key, value?)))
    .collect()
}

/// The raw shape. serde stops at the first mistake: it is noted, taken out, and the rest is read again.
fn shape(merged: &Value, everywhere: &[KeyPath]) -> (Raw, Vec<Problem>) {
    let mut rest = merged.clone();
    let mut problems = Vec::new();
    loop {
        let error = match rest.deserialize::<Raw>() {
            Ok(raw) => return (raw, problems),
            Err(error) => error,
        };
        let (path, value) = resolve(&rest, &error.path);
        // `dns:` with nothing behind it is YAML's null: the default.
        let is_blank = matches!((value, path.0.last()), (Some(Value::Empty(..)), Some(Step::Key(_))));
        if !is_blank || matches!(error.kind, Kind::UnknownField(..)) {
            problems.push(describe(&path, &error.kind, everywhere));
        }
        if problems.len() >= MOST || !remove(&mut rest, &path) {
            return (Raw::default(), problems);
        }
    }
}

/// figment's path, with the places in lists told apart from keys, and the value there.
fn resolve<'a>(root: &'a Value, steps: &[String]) -> (KeyPath, Option<&'a Value>) {
    let (mut path, mut value) = (KeyPath::default(), Some(root));
    for step in steps {
        (path, value) = match value {
            Some(Value::Array(_, items)) => {
                let index = step.parse::<usize>().unwrap_or(usize::MAX);
                (path.index(index), items.get(index))
            }
            Some(Value::Dict(_, dict)) => (path.key(step), dict.get(step)),
            _ => (path.key(step), None),
        };
    }
    (path, value)
}

/// Takes out the key at or next above the path. Places in lists stay, so that those behind keep their number.
fn remove(root: &mut Value, path: &KeyPath) -> bool {
    let Some(end) = path.0.iter().rposition(|step| matches!(step, Step::Key(_))) else { return false };
    let (Some(Step::Key(last)), Some(steps)) = (path.0.get(end), path.0.get(..end)) else { return false };
    let mut value = root;
    for step in steps {
        let next = match (value, step) {
            (Value::Dict(_, dict), Step::Key(key)) => dict.get_mut(key),
            (Value::Array(_, items), Step::Index(index)) => items.get_mut(*index),
            _ => None,
        };
        let Some(next) = next else { return false };
        value = next;
    }
    match value {
        Value::Dict(_, dict) => dict.remove(last).is_some(),
        _ => false,
    }
}

fn describe(path: &KeyPath, kind: &Kind, everywhere: &[KeyPath]) -> Problem {
    let text = match kind {
        Kind::UnknownField(_, siblings) => return unknown_key(path, siblings, everywhere),
        Kind::InvalidType(found, expected) | Kind::InvalidValue(found, expected) => {
            mismatch(path, found, expected)
        }
        Kind::UnknownVariant(found, expected) => {
            unexpected(path, found, &format!("one of {}", expected.join(", ")))
        }
        // Messages of serde may quote what they found; none of ours are left.
        _ => "does not have the expected shape".to_owned(),
    };
    (path.clone(), text)
}

fn mismatch(path: &KeyPath, found: &Actual, expected: &str) -> String {
    let expected = match expected {
        "a string" => "text (in quotes if it looks like something else)",
        "path string" => "a path",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "u16" => "a port, 1 to 65535",
        "usize" | "u64" => "a whole number, not negative",
        "f64" | "f32" => "a number",
        other => other,
    };
    let found = match found {
        Actual::Str(text) => return unexpected(path, text, expected),
        Actual::Seq => "a list".to_owned(),
        Actual::Map => "a section".to_owned(),
        Actual::Unit | Actual::Option => "nothing".to_owned(),
        _ if may_hold_secret(path) => "another kind of value".to_owned(),
        Actual::Bool(value) => value.to_string(),
        Actual::Unsigned(value) => value.to_string(),
        Actual::Signed(value) => value.to_string(),
        Actual::Float(value) => value.to_string(),
        other => shown(path, &other.to_string()).unwrap_or_default(),
    };
    format!("found {found}, expected {expected}")
}

/// The path of every key there is.
fn key_paths(defaults: &Value) -> Vec<KeyPath> {
    fn walk(path: &KeyPath, value: &Value, paths: &mut Vec<KeyPath>) {
        match value {
            Value::Dict(_, dict) => {
                for (key, value) in dict {
                    let path = path.key(key);
                    walk(&path, value, paths);
                    paths.push(path);
                }
            }
            Value::Array(_, items) => {
                for (index, item) in items.iter().enumerate() {
                    walk(&path.index(index), item, paths);
                }
            }
            _ => {}
        }
    }
    let mut paths = Vec::new();
    walk(&KeyPath::default(), defaults, &mut paths);
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without the places in lists: any item may have the key.
    fn keys(value: &Value) -> BTreeSet<String> {
        let paths = key_paths(value).into_iter();
        paths
            .map(|path| path.to_string().replace(|c: char| "[]".contains(c) || c.is_ascii_digit(), ""))
            .collect()
    }

    fn keys_of(text: &str) -> BTreeSet<String> {
        keys(&Value::from(yaml_mapping(text, &[]).unwrap()))
    }

    #[test]
    fn the_example_and_the_full_file_name_every_key() {
        let known = keys(&Value::serialize(Raw::default()).unwrap());
        let full = keys_of(include_str!("../../tests/fixtures/config/good/full.yml"));
        // One of two ways each.
        let others = ["directory.bind.password_env", "ticket.password_file"];
        assert_eq!(known.difference(&full).collect::<Vec<_>>(), others);
        // With method integrated, which is the default, a name or a password is a mistake.
        let is_credential = |key: &&String| {
            let ends = [".user", ".password_file", ".password_env"];
            !key.starts_with("ticket.") && ends.iter().any(|end| key.ends_with(end))
        };
        let example = keys_of(include_str!("../../deploy/config.example.yml"));
        assert_eq!(example, known.iter().filter(|key| !is_credential(key)).cloned().collect());
    }

    #[test]
    fn a_list_keeps_its_places_when_one_item_is_wrong() {
        let text = "instances: [{ address: 1, name: a }, { address: b }, { timeout: x }]";
        let merged = Value::from(yaml_mapping(text, &[]).unwrap());
        let (raw, problems) = shape(&merged, &[]);
        let paths: Vec<_> = problems.iter().map(|(path, _)| path.to_string()).collect();
        assert_eq!(paths, ["instances[0].address", "instances[2].timeout"]);
        assert_eq!((raw.instances.len(), raw.instances[1].address.as_str()), (3, "b"));
    }

    #[test]
    fn mistakes_without_number_are_cut() {
        let text: String = (0..10_000).map(|n| format!("zz{n}: 1\n")).collect();
        let merged = Value::from(yaml_mapping(&text, &[]).unwrap());
        assert_eq!(shape(&merged, &[]).1.len(), MOST);
    }
}
