//! Each way of delegation, made for real in the lab while the daemon runs: its metric and findings say what `ldapsearch` shows.

use peers::scenario::Scenario;

use super::domain::{Lab, shared};
use super::exporter::{Daemon, Directory, OFTEN, Site, binary, sample};
use super::reading::Forest;
use crate::world::tests;

/// What `userAccountControl` of an ordinary user is (MS-ADTS 2.2.16): normal account, password never expires.
const ORDINARY: u32 = 0x1_0200;

/// The SPN of the linked server's target, on `svc_remote`.
const TARGET: &str = "MSSQLSvc/sql02.corp.contoso.com:1433";

/// Everybody's modes, in the order of `modes_of`.
const MODES: [&str; 6] =
    ["none", "unconstrained", "constrained", "protocol_transition", "resource_based", "forbidden"];

/// The modes of the service account as another program reads them.
fn modes_of(lab: &Lab) -> [bool; 6] {
    let forest = Forest::own(lab);
    let values = |attribute: &str| forest.values("/administrator", "svc_sql", attribute);
    let control: u32 = values("userAccountControl")[0].parse().unwrap();
    let has = |bit: u32| control & bit != 0;
    let is_protected = values("memberOf").iter().any(|dn| dn.starts_with("CN=Protected Users,"));
    let ways = [
        has(0x8_0000),
        !values("msDS-AllowedToDelegateTo").is_empty(),
        has(0x100_0000),
        !values("msDS-AllowedToActOnBehalfOfOtherIdentity").is_empty(),
    ];
    let [unconstrained, constrained, transition, resource_based] = ways;
    let forbidden = has(0x10_0000) || is_protected;
    [!ways.contains(&true), unconstrained, constrained, transition, resource_based, forbidden]
}

/// What is written, and whether a caller of the linked server gets through.
struct Row {
    what: &'static str,
    control: u32,
    list: &'static [&'static str],
    admitted_by_own: &'static [&'static str],
    admitted_by_target: &'static [&'static str],
    is_protected: bool,
    modes: &'static [&'static str],
    gets_through: bool,
}

const PLAIN: Row = Row {
    what: "nothing",
    control: ORDINARY,
    list: &[],
    admitted_by_own: &[],
    admitted_by_target: &[],
    is_protected: false,
    modes: &["none"],
    gets_through: false,
};

const ROWS: &[Row] = &[
    PLAIN,
    Row {
        what: "the target admits the service account",
        admitted_by_target: &["O:BAD:(A;;0xf01ff;;;{svc_sql})"],
        gets_through: true,
        ..PLAIN
    },
    Row {
        what: "the target admits somebody else",
        admitted_by_target: &["O:BAD:(A;;0xf01ff;;;{SQL01})"],
        ..PLAIN
    },
    Row {
        what: "unconstrained",
        control: ORDINARY | 0x8_0000,
        modes: &["unconstrained"],
        gets_through: true,
        ..PLAIN
    },
    Row { what: "constrained", list: &[TARGET], modes: &["constrained"], gets_through: true, ..PLAIN },
    Row {
        what: "constrained, to the form that nobody asks for",
        list: &["MSSQLSvc/sql02.corp.contoso.com"],
        modes: &["constrained"],
        ..PLAIN
    },
    Row {
        what: "constrained with protocol transition",
        control: ORDINARY | 0x100_0000,
        list: &[TARGET],
        modes: &["constrained", "protocol_transition"],
        gets_through: true,
        ..PLAIN
    },
    Row {
        what: "the service account admits another",
        admitted_by_own: &["O:BAD:(A;;0xf01ff;;;{svc_remote})"],
        modes: &["resource_based"],
        ..PLAIN
    },
    Row { what: "sensitive", control: ORDINARY | 0x10_0000, modes: &["none", "forbidden"], ..PLAIN },
    Row { what: "in Protected Users", is_protected: true, modes: &["none", "forbidden"], ..PLAIN },
];

#[test]
fn each_way_of_delegation_is_what_ldapsearch_shows() {
    let mut lab = shared();
    let file = tests().join("scenarios/delegation_resource_based_healthy.yml");
    lab.apply(&file).unwrap();
    let site = Site::start(Scenario::load(&file).unwrap());
    let config = site.configure(&Directory::of(&lab), OFTEN);
    let daemon = Daemon::start(binary(&lab), &config);
    let dn = Forest::own(&lab).account("svc_sql");
    for row in ROWS {
        lab.set("svc_sql", "userAccountControl", &[&row.control.to_string()]);
        lab.set("svc_sql", "msDS-AllowedToDelegateTo", row.list);
        lab.set("svc_sql", "msDS-AllowedToActOnBehalfOfOtherIdentity", row.admitted_by_own);
        lab.set("svc_remote", "msDS-AllowedToActOnBehalfOfOtherIdentity", row.admitted_by_target);
        let members: &[&str] = if row.is_protected { &[&dn] } else { &[] };
        lab.set("Protected Users", "member", members);
        let shown = modes_of(&lab);
        let named: Vec<&str> =
            MODES.into_iter().zip(shown).filter(|(_, set)| *set).map(|(mode, _)| mode).collect();
        assert_eq!(named, row.modes, "{}: ldapsearch", row.what);
        let says = |finding: &str, severity: &str| {
            [("finding", finding.to_owned()), ("severity", severity.to_owned())]
        };
        let agrees = |page: &str| {
            let number = |set: bool| Some(f64::from(u8::from(set)));
            let finding = |name: &str, severity: &str| {
                let labels = says(name, severity);
                let labels: Vec<(&str, &str)> =
                    labels.iter().map(|(key, value)| (*key, value.as_str())).collect();
                sample(page, "finding", &labels)
            };
            MODES.into_iter().zip(shown).all(|(mode, set)| {
                sample(page, "service_account_delegation", &[("mode", mode)]) == number(set)
            }) && finding("unconstrained_delegation", "warning") == number(shown[1])
                && finding("delegation_forbidden", "info") == number(shown[5])
                && finding("delegation_missing", "info") == number(!row.gets_through)
        };
        daemon.until(row.what, agrees);
    }
    lab.clear();
}

/// What the judgement of a service account rests on is readable without any right beyond a user's.
#[test]
fn an_ordinary_user_reads_groups_and_descriptor() {
    let mut lab = shared();
    let file = tests().join("scenarios/delegation_resource_based_healthy.yml");
    lab.apply(&file).unwrap();
    let forest = Forest::own(&lab);
    let read = |reader: &str, sam: &str, attribute: &str| {
        let mut values = forest.values(reader, sam, attribute);
        values.sort();
        values
    };
    let attributes = ["tokenGroups", "nTSecurityDescriptor", "userAccountControl", "pwdLastSet"];
    for attribute in attributes {
        let seen = read("/exporter", "svc_sql", attribute);
        assert!(!seen.is_empty(), "{attribute} is hidden");
        assert_eq!(seen, read("/administrator", "svc_sql", attribute), "{attribute}");
    }
    let admitted = read("/exporter", "svc_remote", "msDS-AllowedToActOnBehalfOfOtherIdentity");
    assert_eq!(admitted.len(), 1, "{admitted:?}");
    lab.clear();
}
