//! The configuration as written: every key that this version has, with its default. Says nothing about
//! which values make sense together; that is `checked`.

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;

use serde::de::value::MapAccessDeserializer;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::period::Period;
use crate::cli::{LogFormat, LogLevel};
use crate::model::settings::{AccountLabel, Thresholds as JudgeThresholds};
use crate::sqlserver::{Address, Encryption};

/// Keys that are planned and that this version does not have. Each is refused by name, so that nobody relies on what does nothing.
pub(super) const NOT_YET: &[&str] = &["services", "logins", "web.config_file"];

/// A section: its keys, their types and their defaults. serde would also take a list for a struct, by position; with
/// `remote` the derived code is only called for a mapping.
macro_rules! section {
    ($(#[doc = $doc:literal])* $name:ident { $($key:ident: $kind:ty = $default:expr,)* }) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields, remote = "Self")]
        pub(super) struct $name {
            $(pub(super) $key: $kind,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default,)* }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                Self::serialize(self, serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl<'de> de::Visitor<'de> for Visitor {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a section (`key: value` lines)")
                    }

                    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<$name, A::Error> {
                        $name::deserialize(MapAccessDeserializer::new(map))
                    }
                }
                deserializer.deserialize_map(Visitor)
            }
        }
    };
}

section! {
    /// All of it.
    Raw {
        web: Web = Web::default(),
        log: Log = Log::default(),
        instances: Vec<Instance> = vec![Instance::default()],
        sqlserver: SqlServer = SqlServer::default(),
        connections: Connections = Connections::default(),
        directory: Directory = Directory::default(),
        dns: Dns = Dns::default(),
        ticket: Ticket = Ticket::default(),
        host: Host = Host::default(),
        thresholds: Thresholds = Thresholds::default(),
        policy: Policy = Policy::default(),
        accept: Vec<Accept> = Vec::new(),
        labels: Labels = Labels::default(),
    }
}

impl Raw {
    /// The defaults on a host on which instances of these names are installed: all of them, each under the address that finds it
    /// (SQL Browser tells the port of a named one). A name that is none is left out.
    pub(super) fn on_a_host_with(local_instances: &[String]) -> Self {
        let mut raw = Self::default();
        let addresses = local_instances.iter().map(|name| format!("localhost\\{name}"));
        let found: BTreeSet<String> = addresses.filter(|text| Address::parse(text).is_ok()).collect();
        if !found.is_empty() {
            raw.instances =
                found.into_iter().map(|address| Instance { address, ..Instance::default() }).collect();
        }
        raw
    }
}

section! {
    Web {
        listen_addresses: Vec<String> = vec!["0.0.0.0:10188".to_owned()],
        telemetry_path: String = "/metrics".to_owned(),
        max_requests: usize = 40,
        enable_lifecycle: bool = false,
        route_prefix: String = "/".to_owned(),
    }
}

section! {
    Log {
        level: LogLevel = LogLevel::default(),
        format: LogFormat = LogFormat::default(),
    }
}

section! {
    Instance {
        address: String = "localhost".to_owned(),
        name: Option<String> = None,
        login: Login = Login::default(),
        encryption: Encryption = Encryption::default(),
        trust_server_certificate: Option<bool> = None,
        ca_file: Option<PathBuf> = None,
        fqdn: Option<String> = None,
        service_account: Option<String> = None,
        aliases: Vec<String> = Vec::new(),
        expect: Expect = Expect::default(),
        local_addresses: Vec<String> = Vec::new(),
        keytab_info: Option<PathBuf> = None,
        linked_servers: bool = true,
        timeout: Period = Period::seconds(5),
    }
}

section! {
    /// `login` of an instance.
    Login {
        method: LoginMethod = LoginMethod::Integrated,
        user: Option<String> = None,
        password_file: Option<PathBuf> = None,
        password_env: Option<String> = None,
    }
}

section! {
    Expect {
        ports: Vec<u16> = Vec::new(),
        short_names: bool = false,
    }
}

section! {
    SqlServer {
        refresh: Period = Period::seconds(60),
    }
}

section! {
    Connections {
        refresh: Period = Period::seconds(15),
        ntlm_clients: usize = 0,
        ignore: Ignore = Ignore::default(),
    }
}

section! {
    Ignore {
        hosts: Vec<String> = Vec::new(),
        programs: Vec<String> = Vec::new(),
        logins: Vec<String> = Vec::new(),
    }
}

section! {
    Directory {
        enabled: bool = true,
        domain: Option<String> = None,
        site: Option<String> = None,
        servers: Vec<String> = Vec::new(),
        global_catalogs: Vec<String> = Vec::new(),
        also: Vec<String> = Vec::new(),
        max_servers: usize = 5,
        bind: Bind = Bind::default(),
        start_tls: bool = false,
        ca_file: Option<PathBuf> = None,
        timeout: Period = Period::seconds(10),
        refresh: Period = Period::seconds(300),
    }
}

section! {
    /// `directory.bind`.
    Bind {
        method: BindMethod = BindMethod::Integrated,
        user: Option<String> = None,
        password_file: Option<PathBuf> = None,
        password_env: Option<String> = None,
    }
}

section! {
    Dns {
        enabled: bool = true,
        servers: Vec<String> = Vec::new(),
        timeout: Period = Period::seconds(2),
        refresh: Period = Period::seconds(300),
    }
}

section! {
    Ticket {
        enabled: Enabled = Enabled::Auto,
        principal: Option<String> = None,
        keytab: Option<PathBuf> = None,
        password_file: Option<PathBuf> = None,
        kdcs: Vec<String> = Vec::new(),
        ask_service_accounts: bool = false,
        timeout: Period = Period::seconds(5),
        refresh: Period = Period::seconds(3_600),
    }
}

section! {
    Host {
        enabled: bool = true,
        refresh: Period = Period::seconds(300),
    }
}

section! {
    Thresholds {
        password_expiring: Period = Period(JudgeThresholds::default().password_expiring),
        clock_skew: Period = Period(JudgeThresholds::default().clock_skew),
        ntlm_share: f64 = JudgeThresholds::default().ntlm_share,
        ntlm_min_connections: u64 = JudgeThresholds::default().ntlm_min_connections,
    }
}

section! {
    Policy {
        kerberos_required: bool = false,
    }
}

section! {
    /// One entry of `accept`. All but `until` are needed; that is checked with the rest, so that one mistake does not
    /// hide the others.
    Accept {
        finding: Option<String> = None,
        subject: Option<String> = None,
        reason: Option<String> = None,
        until: Option<String> = None,
    }
}

section! {
    Labels {
        accounts: AccountLabel = AccountLabel::default(),
    }
}

/// `login.method`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LoginMethod {
    Integrated,
    Sql,
}

/// `bind.method`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BindMethod {
    Integrated,
    Simple,
}

/// `ticket.enabled`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Enabled {
    Auto,
    Yes,
    No,
}

/// A closed set of words. serde's own enums would take a number for one of them.
trait Word: Copy + PartialEq + 'static {
    const NAMES: &'static [&'static str];
    const VALUES: &'static [Self];
}

struct WordVisitor<T>(PhantomData<T>);

impl<T: Word> de::Visitor<'_> for WordVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "one of {}", T::NAMES.join(", "))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<T, E> {
        let name = if value { "true" } else { "false" };
        let found = T::NAMES.iter().zip(T::VALUES).find(|(known, _)| **known == name);
        found.map(|(_, value)| *value).ok_or_else(|| E::invalid_type(de::Unexpected::Bool(value), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        let found = T::NAMES.iter().zip(T::VALUES).find(|(name, _)| **name == text);
        found.map(|(_, value)| *value).ok_or_else(|| E::unknown_variant(text, T::NAMES))
    }
}

macro_rules! words {
    ($kind:ty { $($name:literal => $value:ident,)* }) => {
        impl Word for $kind {
            const NAMES: &'static [&'static str] = &[$($name),*];
            const VALUES: &'static [Self] = &[$(Self::$value),*];
        }

        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(WordVisitor(PhantomData))
            }
        }

        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(match self { $(Self::$value => $name,)* })
            }
        }
    };
}

words!(LogLevel { "debug" => Debug, "info" => Info, "warn" => Warn, "error" => Error, });
words!(LogFormat { "logfmt" => Logfmt, "json" => Json, });
words!(LoginMethod { "integrated" => Integrated, "sql" => Sql, });
words!(Enabled { "auto" => Auto, "true" => Yes, "false" => No, });
words!(BindMethod { "integrated" => Integrated, "simple" => Simple, });
words!(Encryption { "mandatory" => Mandatory, "optional" => Optional, "off" => Off, "strict" => Strict, });
words!(AccountLabel { "name" => Name, "sid" => Sid, "hash" => Hash, });
