//! The documented system views by version, from `dmv.json`: which object and column exists, of which type, and
//! which permission it takes. It holds no rows and decides nothing about a login.

use std::{collections::BTreeMap, sync::LazyLock};

use serde_json::Value as Json;

use super::types::SqlType;

/// A view, procedure or function that `dmv.json` documents.
#[derive(Debug)]
pub(crate) struct Object {
    /// Name with its schema, as documented.
    pub(crate) name: String,
    /// Whether it is read with arguments.
    pub(crate) is_function: bool,
    since: u16,
    columns: Vec<Column>,
    permissions: BTreeMap<u16, String>,
}

/// A column of a view.
#[derive(Debug)]
pub(crate) struct Column {
    /// Name as documented.
    pub(crate) name: String,
    /// Type that real servers declare.
    pub(crate) kind: SqlType,
    /// Whether NULL may occur.
    pub(crate) nullable: bool,
    since: u16,
}

impl Object {
    /// Columns of this version, in documented order.
    pub(crate) fn columns(&self, version: u16) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(move |column| column.since <= version)
    }

    /// Whether any version has the column.
    pub(crate) fn ever_had(&self, column: &str) -> bool {
        self.columns.iter().any(|known| known.name.eq_ignore_ascii_case(column))
    }

    /// Permission text of this version.
    pub(crate) fn permission(&self, version: u16) -> &str {
        self.permissions.range(..=version).next_back().map_or("", |(_, text)| text)
    }
}

/// The object of this name that the version has.
pub(crate) fn object(name: &str, version: u16) -> Option<&'static Object> {
    any_object(name).filter(|object| object.since <= version)
}

/// The object of this name in whichever version.
pub(crate) fn any_object(name: &str) -> Option<&'static Object> {
    CATALOGUE.objects.get(&name.to_ascii_lowercase())
}

/// Every object that the version has.
#[cfg(test)]
pub(crate) fn objects(version: u16) -> impl Iterator<Item = &'static Object> {
    CATALOGUE.objects.values().filter(move |object| object.since <= version)
}

/// Type inside `SERVERPROPERTY(name)`, if the version knows the name.
pub(crate) fn server_property(name: &str, version: u16) -> Option<(&'static str, SqlType)> {
    property(&CATALOGUE.server_properties, name, version)
}

/// Type inside `CONNECTIONPROPERTY(name)`, if the version knows the name.
pub(crate) fn connection_property(name: &str, version: u16) -> Option<(&'static str, SqlType)> {
    property(&CATALOGUE.connection_properties, name, version)
}

/// Whether the version has a permission of this name.
pub(crate) fn permission_exists(name: &str, version: u16) -> bool {
    CATALOGUE.permissions.get(&name.to_ascii_uppercase()).is_some_and(|since| *since <= version)
}

/// Major build number of a marketing version.
pub(crate) fn major(version: u16) -> Option<u16> {
    CATALOGUE.majors.get(&version).copied()
}

type Properties = BTreeMap<String, (String, SqlType, u16)>;

struct Catalogue {
    objects: BTreeMap<String, Object>,
    server_properties: Properties,
    connection_properties: Properties,
    permissions: BTreeMap<String, u16>,
    majors: BTreeMap<u16, u16>,
}

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    let json: Json = serde_json::from_str(include_str!("../../dmv.json")).expect("dmv.json is JSON");
    Catalogue::read(&json)
});

/// Permissions that exist in every version but are not in `dmv.json` ("Permissions (Database Engine)").
const OLD_PERMISSIONS: [&str; 6] = [
    "CONTROL SERVER",
    "CONNECT SQL",
    "ALTER ANY LINKED SERVER",
    "ALTER ANY LOGIN",
    "ALTER TRACE",
    "VIEW ANY DATABASE",
];

impl Catalogue {
    fn read(json: &Json) -> Self {
        let mut objects = BTreeMap::new();
        for (name, entry) in json.as_object().into_iter().flatten() {
            if entry.get("columns").is_some() {
                objects.insert(name.to_ascii_lowercase(), Object::read(name, entry));
            }
        }
        let mut permissions: BTreeMap<String, u16> =
            OLD_PERMISSIONS.iter().map(|name| ((*name).to_owned(), 0)).collect();
        for (name, since) in
            json["HAS_PERMS_BY_NAME"]["permission_names_since"].as_object().into_iter().flatten()
        {
            permissions.insert(name.to_ascii_uppercase(), year(since));
        }
        let majors = json["_meta"]["major"].as_object().into_iter().flatten();
        Self {
            objects,
            server_properties: properties(&json["SERVERPROPERTY"]["properties"]),
            connection_properties: properties(&json["CONNECTIONPROPERTY"]["properties"]),
            permissions,
            majors: majors.map(|(name, major)| (name.parse().unwrap_or_default(), year(major))).collect(),
        }
    }
}

impl Object {
    fn read(name: &str, entry: &Json) -> Self {
        let columns = entry["columns"].as_object().into_iter().flatten();
        let permissions = entry["permission"].as_object().into_iter().flatten();
        Self {
            name: name.to_owned(),
            is_function: entry["kind"].as_str() == Some("table-valued function"),
            since: year(&entry["since"]),
            columns: columns.map(|(name, column)| Column::read(name, column)).collect(),
            permissions: permissions
                .map(|(since, text)| {
                    (since.parse().unwrap_or_default(), text.as_str().unwrap_or_default().to_owned())
                })
                .collect(),
        }
    }
}

impl Column {
    fn read(name: &str, entry: &Json) -> Self {
        let kind = entry["observed_type"].as_str().or(entry["type"].as_str()).unwrap_or_default();
        let observed_null = entry["nullable_observed"].as_bool().unwrap_or_default();
        Self {
            name: name.to_owned(),
            kind: SqlType::parse(kind).unwrap_or(SqlType::Variant),
            nullable: observed_null || entry["nullable"].as_bool().unwrap_or(true),
            since: year(&entry["since"]),
        }
    }
}

fn properties(entries: &Json) -> Properties {
    let entries = entries.as_object().into_iter().flatten();
    entries
        .map(|(name, entry)| {
            let kind = entry["base_type"].as_str().and_then(SqlType::parse).unwrap_or(SqlType::Variant);
            (name.to_ascii_lowercase(), (name.clone(), kind, year(&entry["since"])))
        })
        .collect()
}

fn property(known: &'static Properties, name: &str, version: u16) -> Option<(&'static str, SqlType)> {
    let (name, kind, since) = known.get(&name.to_ascii_lowercase())?;
    (*since <= version).then_some((name.as_str(), *kind))
}

fn year(number: &Json) -> u16 {
    number.as_u64().and_then(|number| u16::try_from(number).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_decide_what_exists() {
        assert!(object("SYS.dm_os_host_info", 2014).is_none());
        assert!(object("sys.dm_os_host_info", 2017).is_some());
        let replicas = object("sys.availability_replicas", 2014).unwrap();
        assert!(!replicas.columns(2014).any(|column| column.name == "read_write_routing_url"));
        assert!(replicas.columns(2019).any(|column| column.name == "read_write_routing_url"));
        assert!(permission_exists("VIEW SERVER SECURITY STATE", 2022));
        assert!(!permission_exists("VIEW SERVER SECURITY STATE", 2019));
        assert_eq!(major(2025), Some(17));
        assert_eq!(
            object("sys.dm_exec_connections", 2022).unwrap().permission(2025),
            "VIEW SERVER PERFORMANCE STATE"
        );
    }
}
