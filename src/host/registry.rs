//! What the values of a Windows registry mean: the SQL Server instances of a host and the host's own name. Pure; reads no
//! registry.

use crate::model::account::Sid;
use crate::model::host::HostName;
use crate::model::instance::DEFAULT_INSTANCE;
use crate::model::machine::{Engine, ExtendedProtection};
use crate::model::observed::{Gap, Known, printable};
use crate::model::spn::Spn;

/// The key below which SQL Server keeps itself. A 64-bit program sees the 64-bit instances there.
const SQL_SERVER: &str = r"SOFTWARE\Microsoft\Microsoft SQL Server";

/// A registry value, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// REG_DWORD.
    Number(u32),
    /// REG_SZ, REG_EXPAND_SZ.
    Text(String),
    /// REG_MULTI_SZ.
    Texts(Vec<String>),
    /// Another type, or data that do not fit their type.
    Other,
}

/// What an instance's key and its process said; `None`: there is no such value.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    /// Its name in the list of instances.
    pub(super) instance: String,
    /// `ExtendedProtection`.
    pub(super) extended_protection: Known<Option<Value>>,
    /// `AcceptedSPNs`.
    pub(super) accepted_spns: Known<Option<Value>>,
    /// The SID of the process's token.
    pub(super) runs_as: Known<String>,
    /// `ClusterName`.
    pub(super) cluster_name: Known<Option<Value>>,
    /// What the service control manager says of the service.
    pub(super) is_running: Known<bool>,
}

/// What the host said of its name.
#[derive(Debug, Clone)]
pub(super) struct RawNames {
    /// `Hostname`.
    pub(super) host: Known<Option<Value>>,
    /// `Domain`.
    pub(super) domain: Known<Option<Value>>,
    /// `PrimaryDnsSuffix` of the policy.
    pub(super) policy: Known<Option<Value>>,
}

/// The key that lists the instances: a value for each, named as the instance, with the instance's ID (sql-docs, "File
/// locations for default and named instances").
pub(super) fn list_of_instances() -> String {
    format!(r"{SQL_SERVER}\Instance Names\SQL")
}

/// The key of an instance's network library: Extended Protection is set for it as a whole, not for a protocol.
///
/// # Errors
/// If the ID cannot be the name of a key.
pub(super) fn network_library(instance: &str, id: &Value) -> Known<String> {
    key_of(instance, id).map(|key| format!(r"{key}\MSSQLServer\SuperSocketNetLib"))
}

/// The key that a failover cluster instance has on each of its nodes, and no other instance; its value `ClusterName` is the
/// network name of the instance, not that of the Windows cluster. Observed: public inventory scripts read it, and Microsoft
/// documents neither.
///
/// # Errors
/// If the ID cannot be the name of a key.
pub(super) fn cluster(instance: &str, id: &Value) -> Known<String> {
    key_of(instance, id).map(|key| format!(r"{key}\Cluster"))
}

/// The key of an instance.
fn key_of(instance: &str, id: &Value) -> Known<String> {
    match id {
        Value::Text(id) if !id.is_empty() && !id.contains(|c: char| c == '\\' || c.is_control()) => {
            Ok(format!(r"{SQL_SERVER}\{id}"))
        }
        other => Err(Gap::peer_failed(format!(
            r"HKLM\{}: {} has the ID {}",
            list_of_instances(),
            printable(instance),
            shown(other)
        ))),
    }
}

/// The name of an instance's service (sql-docs, "Configure Windows service accounts and permissions").
pub(super) fn service(instance: &str) -> String {
    if instance.eq_ignore_ascii_case(DEFAULT_INSTANCE) {
        DEFAULT_INSTANCE.to_owned()
    } else {
        format!("MSSQL${instance}")
    }
}

/// What all this says of an instance.
pub(super) fn engine(raw: Raw) -> Engine {
    Engine {
        instance: raw.instance,
        extended_protection: raw.extended_protection.and_then(|value| extended_protection(value.as_ref())),
        accepted_spns: raw.accepted_spns.and_then(|value| accepted_spns(value.as_ref())),
        runs_as: raw.runs_as.and_then(|text| {
            Sid::parse(&text).ok_or_else(|| Gap::peer_failed(format!("{} is no SID", printable(&text))))
        }),
        cluster_name: raw.cluster_name.and_then(|value| cluster_name(value.as_ref())),
        is_running: raw.is_running,
    }
}

/// Without the key, or the value, or a text in it, the instance is in no cluster.
fn cluster_name(value: Option<&Value>) -> Known<Option<HostName>> {
    match value {
        None => Ok(None),
        Some(Value::Text(text)) if text.trim_matches(['\0', ' ']).is_empty() => Ok(None),
        Some(other) => {
            let name = if let Value::Text(text) = other { text } else { "" };
            HostName::parse(name.trim_end_matches('\0'))
                .map(Some)
                .ok_or_else(|| Gap::peer_failed(format!("ClusterName is {}, no name", shown(other))))
        }
    }
}

/// Off, Allowed, Required are 0, 1, 2 (dbatools, `Set-DbaExtendedProtection`). An instance that nobody has set up has no
/// such value, or 0: it is off ("Protocols for MSSQLSERVER Properties (Advanced Tab)": compatible with every client).
fn extended_protection(value: Option<&Value>) -> Known<ExtendedProtection> {
    match value {
        None | Some(Value::Number(0)) => Ok(ExtendedProtection::Off),
        Some(Value::Number(1)) => Ok(ExtendedProtection::Allowed),
        Some(Value::Number(2)) => Ok(ExtendedProtection::Required),
        Some(other) => Err(Gap::peer_failed(format!(
            "ExtendedProtection is {}, which means nothing known",
            shown(other)
        ))),
    }
}

/// "A series of SPNs separated by semicolons" ("Connect to the Database Engine Using Extended Protection").
fn accepted_spns(value: Option<&Value>) -> Known<Vec<Spn>> {
    let texts = match value {
        None => &[],
        Some(Value::Text(text)) => std::slice::from_ref(text),
        Some(Value::Texts(texts)) => texts.as_slice(),
        Some(other) => return Err(Gap::peer_failed(format!("AcceptedSPNs is {}, no text", shown(other)))),
    };
    Ok(texts.iter().flat_map(|text| text.split([';', '\0'])).filter_map(Spn::parse).collect())
}

/// The key of the host's names (Windows, `GetComputerNameEx`: the DNS host name and the primary DNS suffix in effect; those
/// that begin with `NV` come into effect at the next start).
pub(super) const TCPIP: &str = r"SYSTEM\CurrentControlSet\Services\Tcpip\Parameters";

/// The key of the policy "Primary DNS suffix", which is stronger than [`TCPIP`] (DnsClient.admx).
pub(super) const POLICY: &str = r"SOFTWARE\Policies\Microsoft\System\DNSClient";

/// The host's FQDN (`ComputerNameDnsFullyQualified`) and its primary DNS suffix.
pub(super) fn names(raw: RawNames) -> (Known<HostName>, Option<HostName>) {
    let suffix = suffix(raw.policy, raw.domain);
    let fqdn = raw.host.and_then(|value| name(TCPIP, "Hostname", value)).and_then(|host| {
        let host = host.ok_or_else(|| {
            Gap::peer_failed(format!(r"HKLM\{TCPIP}: no Hostname in it; set instances[].fqdn"))
        })?;
        let suffix = suffix.clone()?.ok_or_else(|| {
            Gap::peer_failed(format!(
                "the host is called {host} and has no primary DNS suffix; set instances[].fqdn"
            ))
        })?;
        HostName::parse(&format!("{host}.{suffix}"))
            .ok_or_else(|| Gap::peer_failed(format!("{host}.{suffix} is no host name; set instances[].fqdn")))
    });
    (fqdn, suffix.ok().flatten())
}

/// The policy's, if there is one.
fn suffix(policy: Known<Option<Value>>, domain: Known<Option<Value>>) -> Known<Option<HostName>> {
    match name(POLICY, "PrimaryDnsSuffix", policy?)? {
        Some(suffix) => Ok(Some(suffix)),
        None => name(TCPIP, "Domain", domain?),
    }
}

/// A missing value and an empty text are the same: no name.
fn name(key: &str, value: &str, raw: Option<Value>) -> Known<Option<HostName>> {
    match raw {
        None => Ok(None),
        Some(Value::Text(text)) if text.trim_matches(['\0', ' ']).is_empty() => Ok(None),
        Some(other) => {
            let text = if let Value::Text(text) = &other { text } else { "" };
            let wrong = || {
                let shown = shown(&other);
                Gap::peer_failed(format!(r"HKLM\{key}: {value} is {shown}, no name; set instances[].fqdn"))
            };
            HostName::parse(text.trim_end_matches('\0')).map(Some).ok_or_else(wrong)
        }
    }
}

/// The value for people: whoever may write it wrote it, so it is cut and cleaned.
fn shown(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        Value::Text(text) => format!("\"{}\"", printable(text)),
        Value::Texts(_) => "a list of texts".to_owned(),
        Value::Other => "of another type".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::observed::Reason;

    const SERVICE: &str = "S-1-5-80-3880718306-3832830129-1677859214-2598158968-1052248003";

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    fn raw() -> Raw {
        Raw {
            instance: "MSSQLSERVER".into(),
            extended_protection: Ok(None),
            accepted_spns: Ok(None),
            runs_as: Ok(SERVICE.into()),
            cluster_name: Ok(None),
            is_running: Ok(true),
        }
    }

    #[test]
    fn what_nobody_has_set_is_off_and_accepts_nothing_more() {
        let engine = engine(raw());
        assert_eq!(engine.instance, "MSSQLSERVER");
        assert_eq!(engine.extended_protection, Ok(ExtendedProtection::Off));
        assert_eq!(engine.accepted_spns, Ok(Vec::new()));
        assert_eq!(engine.runs_as.unwrap().as_str(), SERVICE);
    }

    #[test]
    fn extended_protection_is_one_of_three_numbers() {
        let table = [
            (Value::Number(0), Some(ExtendedProtection::Off)),
            (Value::Number(1), Some(ExtendedProtection::Allowed)),
            (Value::Number(2), Some(ExtendedProtection::Required)),
            (Value::Number(3), None),
            (Value::Number(u32::MAX), None),
            (text("2"), None),
            (Value::Texts(vec!["2".into()]), None),
            (Value::Other, None),
        ];
        for (value, expected) in table {
            let engine = engine(Raw { extended_protection: Ok(Some(value.clone())), ..raw() });
            match expected {
                Some(expected) => assert_eq!(engine.extended_protection, Ok(expected), "{value:?}"),
                None => {
                    let gap = engine.extended_protection.unwrap_err();
                    assert_eq!(gap.reason, Reason::PeerFailed, "{value:?}");
                    assert!(gap.text.starts_with("ExtendedProtection is "), "{gap}");
                }
            }
            assert_eq!(engine.accepted_spns, Ok(Vec::new()), "one value does not spoil the other");
        }
    }

    #[test]
    fn accepted_spns_are_a_list_in_either_type() {
        let two = ["MSSQLSvc/a.test:1433", "MSSQLSvc/b.test"];
        let list = |texts: &[&str]| Value::Texts(texts.iter().map(|text| (*text).to_owned()).collect());
        let table = [
            (text("MSSQLSvc/a.test:1433;MSSQLSvc/b.test"), &two[..]),
            (text(" MSSQLSvc/a.test:1433 ; MSSQLSvc/b.test ;;"), &two),
            (text("MSSQLSvc/b.test\0"), &two[1..]),
            (list(&two), &two),
            (list(&["MSSQLSvc/a.test:1433;MSSQLSvc/b.test", "", ""]), &two),
            (text(""), &[]),
            (text(";"), &[]),
            (list(&[]), &[]),
        ];
        for (value, expected) in table {
            let engine = engine(Raw { accepted_spns: Ok(Some(value.clone())), ..raw() });
            let spns = engine.accepted_spns.unwrap();
            assert_eq!(spns.iter().map(Spn::as_str).collect::<Vec<_>>(), expected, "{value:?}");
        }
        for value in [Value::Number(1), Value::Other] {
            let engine = engine(Raw { accepted_spns: Ok(Some(value)), ..raw() });
            assert_eq!(engine.accepted_spns.unwrap_err().reason, Reason::PeerFailed);
        }
    }

    #[test]
    fn a_failover_cluster_instance_has_a_network_name() {
        let table = [
            (None, Some(None)),
            (Some(text("SQLVNN")), Some(Some("sqlvnn"))),
            (Some(text("SQLVNN\0")), Some(Some("sqlvnn"))),
            (Some(text("")), Some(None)),
            (Some(text("\0")), Some(None)),
            (Some(text("a b")), None),
            (Some(Value::Number(1)), None),
            (Some(Value::Other), None),
        ];
        for (value, expected) in table {
            let engine = engine(Raw { cluster_name: Ok(value.clone()), ..raw() });
            let found = engine.cluster_name.as_ref().map(|name| name.as_ref().map(HostName::as_str));
            assert_eq!(found.ok(), expected, "{value:?}");
            assert_eq!(engine.is_running, Ok(true));
        }
        let refused = Gap::no_permission("refused");
        let hidden = Raw { cluster_name: Err(refused.clone()), is_running: Err(refused.clone()), ..raw() };
        let engine = engine(hidden);
        assert_eq!((engine.cluster_name, engine.is_running), (Err(refused.clone()), Err(refused)));
    }

    #[test]
    fn what_could_not_be_read_stays_a_gap_of_its_own() {
        let refused = Gap::no_permission("refused");
        let engine = engine(Raw {
            extended_protection: Err(refused.clone()),
            runs_as: Ok("CORP\\svc_sql".into()),
            ..raw()
        });
        assert_eq!(engine.extended_protection, Err(refused));
        assert_eq!(engine.accepted_spns, Ok(Vec::new()));
        assert_eq!(engine.runs_as.unwrap_err().text, "CORP\\svc_sql is no SID");
    }

    #[test]
    fn an_instance_has_a_key_and_a_service() {
        let key = |id: Value| network_library("PROD", &id);
        assert_eq!(
            key(text("MSSQL16.PROD")).as_deref(),
            Ok(r"SOFTWARE\Microsoft\Microsoft SQL Server\MSSQL16.PROD\MSSQLServer\SuperSocketNetLib")
        );
        assert_eq!(
            cluster("PROD", &text("MSSQL16.PROD")).as_deref(),
            Ok(r"SOFTWARE\Microsoft\Microsoft SQL Server\MSSQL16.PROD\Cluster")
        );
        for id in [text(""), text(r"..\..\x"), text("a\0b"), Value::Number(7), Value::Other] {
            assert_eq!(key(id.clone()).unwrap_err().reason, Reason::PeerFailed, "{id:?}");
        }
        assert_eq!(service("mssqlserver"), "MSSQLSERVER");
        assert_eq!(service("PROD"), "MSSQL$PROD");
    }

    #[test]
    fn the_name_of_the_host() {
        let none = || Ok(None);
        let some = |value: &str| Ok(Some(text(value)));
        let refused = || Err(Gap::no_permission("refused"));
        let odd = || Ok(Some(Value::Number(1)));
        let table = [
            (some("SQL01"), some("Corp.Test"), none(), Some("sql01.corp.test"), Some("corp.test")),
            (some("SQL01"), some("corp.test."), some(""), Some("sql01.corp.test"), Some("corp.test")),
            // The policy is stronger.
            (some("SQL01"), some("old.test"), some("corp.test"), Some("sql01.corp.test"), Some("corp.test")),
            (some("SQL01"), refused(), some("corp.test"), Some("sql01.corp.test"), Some("corp.test")),
            // A workgroup has no suffix.
            (some("SQL01"), none(), none(), None, None),
            (some("SQL01"), some(""), none(), None, None),
            // What could be otherwise is not guessed.
            (some("SQL01"), some("corp.test"), refused(), None, None),
            (some("SQL01"), some("corp.test"), odd(), None, None),
            (some("SQL01"), some("a/b"), none(), None, None),
            (none(), some("corp.test"), none(), None, Some("corp.test")),
            (refused(), some("corp.test"), none(), None, Some("corp.test")),
            (odd(), some("corp.test"), none(), None, Some("corp.test")),
            (some("SQL\u{1}"), some("corp.test"), none(), None, Some("corp.test")),
        ];
        for (host, domain, policy, fqdn, suffix) in table {
            let raw = RawNames { host, domain, policy };
            let (found, domain) = names(raw.clone());
            assert_eq!(found.as_ref().ok().map(HostName::as_str), fqdn, "{raw:?}");
            assert_eq!(domain.as_ref().map(HostName::as_str), suffix, "{raw:?}");
        }
    }
}
