//! Each state of a service account made for real in the DC, by its own rules where they allow it, and what `check` and the
//! metrics make of it. What the DC computes is read with `ldapsearch`, what its KDC says with `kvno`.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use peers::scenario::Scenario;
use serde_json::Value;

use super::daemon_tickets::with_tickets;
use super::domain::{Lab, shared};
use super::exporter::{Checked, Daemon, Directory, OFTEN, Site, binary, check, sample};
use super::mit;
use super::reading::Forest;
use crate::world::tests;

/// Who the SQL Server of `healthy.yml` runs as.
const ACCOUNT: &str = "svc_sql";

/// What it holds there.
const SPN: &str = "MSSQLSvc/sql01.corp.contoso.com:1433";

/// Bits of msDS-User-Account-Control-Computed (MS-ADTS 3.1.1.4.5.17).
const LOCKED_OUT: u64 = 0x10;
const PASSWORD_EXPIRED: u64 = 0x80_0000;

/// The findings that judge an account.
const OF_ACCOUNTS: [&str; 10] = [
    "account_disabled",
    "account_locked",
    "account_expired",
    "password_expired",
    "password_expiring",
    "restart_after_password_change",
    "encryption_mismatch",
    "weak_encryption",
    "rc4_removal_breaks",
    "gmsa_not_retrievable",
];

/// What is done to the account, and what follows.
struct Row {
    what: &'static str,
    act: fn(&mut Lab),
    /// The bits that the DC must compute for this to be the state it is called.
    computed: u64,
    findings: &'static [&'static str],
    /// Of `service_account_status`.
    status: &'static str,
    /// Of `service_account_encryption_type`: AES256 and RC4; `None`: no sample.
    types: (Option<f64>, Option<f64>),
}

/// No types set, keys of both AES lengths: what the DC's default says of RC4 is not in the directory.
const DEFAULT: (Option<f64>, Option<f64>) = (Some(1.0), None);

fn administrator(lab: &Lab, attribute: &str, value: Option<&str>) {
    Forest::own(lab).modify(ACCOUNT, attribute, value);
}

fn filetime(days_from_now: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    ((now + days_from_now * 86_400 + 11_644_473_600) * 10_000_000).to_string()
}

/// Three real logons with a wrong password: the lab's lockoutThreshold.
fn log_on_wrongly(lab: &mut Lab) {
    for _ in 0..3 {
        let mut child = Command::new("kinit")
            .env("KRB5_CONFIG", lab.text("/krb5_conf"))
            .env("KRB5CCNAME", "MEMORY:")
            .arg(format!("{ACCOUNT}@{}", lab.text("/dns").to_uppercase()))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(b"Wrong.Passw0rd\n").unwrap();
        assert!(!child.wait().unwrap().success());
    }
}

fn rows() -> Vec<Row> {
    let row =
        |what, act, computed, findings, status, types| Row { what, act, computed, findings, status, types };
    #[rustfmt::skip]
    let rows: Vec<Row> = vec![
        row("nothing",                 |_| {},                                                              0, &[], "usable", DEFAULT),
        row("disabled",                |lab| administrator(lab, "userAccountControl", Some("66050")),       0, &["account_disabled"], "disabled", DEFAULT),
        row("locked by wrong logons",  log_on_wrongly,                                                      LOCKED_OUT, &["account_locked"], "locked", DEFAULT),
        row("expired",                 |lab| administrator(lab, "accountExpires", Some(&filetime(-2))),     0, &["account_expired"], "account_expired", DEFAULT),
        row("expires later",           |lab| administrator(lab, "accountExpires", Some(&filetime(40))),     0, &[], "usable", DEFAULT),
        row("password too old",        |lab| {
            administrator(lab, "userAccountControl", Some("512"));
            lab.set(ACCOUNT, "pwdLastSet", &[&filetime(-50)]);
        },                                                                                                  PASSWORD_EXPIRED, &["password_expired"], "password_expired", DEFAULT),
        row("password old soon",       |lab| {
            administrator(lab, "userAccountControl", Some("512"));
            lab.set(ACCOUNT, "pwdLastSet", &[&filetime(-38)]);
        },                                                                                                  0, &["password_expiring"], "usable", DEFAULT),
        row("must change",             |lab| {
            administrator(lab, "userAccountControl", Some("512"));
            administrator(lab, "msDS-SupportedEncryptionTypes", Some("24"));
            administrator(lab, "pwdLastSet", Some("0"));
        },                                                                                                  PASSWORD_EXPIRED, &["password_expired"], "password_expired", (None, Some(0.0))),
        row("must change, never expires", |lab| {
            administrator(lab, "msDS-SupportedEncryptionTypes", Some("28"));
            administrator(lab, "pwdLastSet", Some("0"));
        },                                                                                                  0, &[], "usable", (None, Some(1.0))),
        row("password set just now",   |lab| lab.set(ACCOUNT, "unicodePwd", &["An0ther.Passw0rd"]),         0, &["restart_after_password_change"], "usable", DEFAULT),
        row("RC4 alone",               |lab| administrator(lab, "msDS-SupportedEncryptionTypes", Some("4")),  0, &["weak_encryption", "rc4_removal_breaks"], "usable", (Some(0.0), Some(1.0))),
        row("AES alone",               |lab| administrator(lab, "msDS-SupportedEncryptionTypes", Some("24")), 0, &[], "usable", (Some(1.0), Some(0.0))),
        row("AES and RC4",             |lab| administrator(lab, "msDS-SupportedEncryptionTypes", Some("28")), 0, &[], "usable", (Some(1.0), Some(1.0))),
        row("none of them",            |lab| administrator(lab, "msDS-SupportedEncryptionTypes", None),       0, &[], "usable", DEFAULT),
        row("DES alone",               |lab| administrator(lab, "msDS-SupportedEncryptionTypes", Some("3")),  0, &["encryption_mismatch"], "usable", (Some(0.0), Some(0.0))),
        row("DES by flag",             |lab| administrator(lab, "userAccountControl", Some("2163200")),       0, &["encryption_mismatch"], "usable", (Some(0.0), Some(0.0))),
        row("password older than AES", |lab| lab.set(ACCOUNT, "pwdLastSet", &["130000000000000000"]),         0, &["rc4_removal_breaks"], "usable", (Some(0.0), None)),
    ];
    rows
}

#[test]
fn each_state_of_a_service_account() {
    let mut lab = shared();
    let file = tests().join("scenarios/healthy.yml");
    let mut answers = Vec::new();
    for row in rows() {
        lab.apply(&file).unwrap();
        (row.act)(&mut lab);
        let computed = Forest::own(&lab).computed(ACCOUNT, "msDS-User-Account-Control-Computed");
        assert_eq!(computed & (LOCKED_OUT | PASSWORD_EXPIRED), row.computed, "{}", row.what);
        let site = Site::start(Scenario::load(&file).unwrap());
        let config = site.configure(&Directory::of(&lab), &format!("{OFTEN}{}", with_tickets(&lab)));
        let expected = mit::word(&lab, SPN);
        let checked = check(binary(&lab), &config);
        // A ticket with RC4 is weak encryption in use, whatever the account's object says (JUDGEMENT 6); what an account without
        // a choice of its own gets is up to the KDC.
        let is_weak = |name: &&str| *name == "weak_encryption" && expected.starts_with("rc4 ");
        let findings = OF_ACCOUNTS.into_iter().filter(|name| row.findings.contains(name) || is_weak(name));
        assert_eq!(applying(&checked), findings.collect::<Vec<_>>(), "{}: {}", row.what, checked.text);
        // A state of the account is judged by the directory alone, whatever the KDC makes of it; here both are told.
        assert_eq!(ticket(&checked, SPN), expected, "{}: {}", row.what, checked.text);
        answers.push((row.what, expected));
        let daemon = Daemon::start(binary(&lab), &config);
        let set = Forest::own(&lab).number(ACCOUNT, "pwdLastSet");
        let set = (set != 0).then(|| (set as f64 / 1e7 - 11_644_473_600.0).round());
        let what = format!("{}: {}, {:?}, set {set:?}", row.what, row.status, row.types);
        daemon.until(&what, |page| {
            let of_type =
                |kind| sample(page, "service_account_encryption_type", &[("encryption_type", kind)]);
            let states = ["usable", "disabled", "locked", "password_expired", "account_expired", "unknown"];
            let is_shown = |state: &str| {
                let expected = f64::from(u8::from(state == row.status));
                sample(page, "service_account_status", &[("status", state)]) == Some(expected)
            };
            let shown = sample(page, "service_account_password_last_set_timestamp_seconds", &[]);
            (of_type("aes256"), of_type("rc4")) == row.types
                && states.into_iter().all(is_shown)
                && shown.map(f64::round) == set
        });
    }
    lab.clear();
    // Nothing would be proven by answers that are all alike.
    let of = |what: &str| answers.iter().find(|(name, _)| *name == what).map(|(_, answer)| answer.as_str());
    assert!(of("AES and RC4").is_some_and(|answer| answer.starts_with("aes256 ")), "{answers:?}");
    assert!(of("RC4 alone").is_some_and(|answer| answer.starts_with("rc4 ")), "{answers:?}");
    assert!(answers.iter().any(|(_, answer)| answer.parse::<u32>().is_ok()), "no refusal: {answers:?}");
}

/// A group managed service account whose host may read its password, and one whose may not; a standalone one has no such list.
#[test]
fn group_managed_accounts_and_their_hosts() {
    let mut lab = shared();
    for (file, findings, is_judged) in [
        ("group_managed_account", &[][..], true),
        ("gmsa_not_retrievable", &["gmsa_not_retrievable"][..], true),
        ("standalone_managed_account", &[], false),
    ] {
        let file = tests().join(format!("scenarios/{file}.yml"));
        lab.apply(&file).unwrap();
        let site = Site::start(Scenario::load(&file).unwrap());
        let checked = check(binary(&lab), &site.configure(&Directory::of(&lab), OFTEN));
        assert_eq!(applying(&checked), findings, "{}", checked.text);
        let outcome = outcome(&checked, "gmsa_not_retrievable");
        assert!(outcome != "unknown", "{}", checked.text);
        assert_eq!(outcome != "not_applicable", is_judged, "{}", checked.text);
    }
    lab.clear();
}

/// The findings of accounts that apply, in the order of the catalogue.
fn applying(checked: &Checked) -> Vec<&'static str> {
    let findings = checked.report["instances"][0]["findings"].as_array();
    let findings = findings.unwrap_or_else(|| panic!("{}", checked.text));
    let applies = |name: &str| {
        findings.iter().any(|finding| finding["finding"] == name && finding["outcome"] == "applies")
    };
    OF_ACCOUNTS.into_iter().filter(|name| applies(name)).collect()
}

/// What `check` says of the ticket for this SPN: `aes256 2`, or the number of the error.
pub(super) fn ticket(checked: &Checked, spn: &str) -> String {
    let told =
        checked.report["instances"][0]["tickets"].as_array().unwrap_or_else(|| panic!("{}", checked.text));
    let told =
        told.iter().find(|told| told["spn"] == spn).unwrap_or_else(|| panic!("{spn}: {}", checked.text));
    match (told["encryption_type"].as_str(), told["key_version"].as_u64(), told["error"].as_u64()) {
        (Some(kind), Some(version), None) => format!("{kind} {version}"),
        (None, None, Some(code)) => code.to_string(),
        _ => panic!("{told}"),
    }
}

/// Outcome of a finding on the first instance.
pub(super) fn outcome<'a>(checked: &'a Checked, name: &str) -> &'a Value {
    let findings = checked.report["instances"][0]["findings"].as_array().unwrap();
    &findings.iter().find(|finding| finding["finding"] == name).unwrap_or(&Value::Null)["outcome"]
}

/// Whether the account may write its own servicePrincipalName, as its object's access control list says it: the write of the
/// property to SELF, the same to a group that it is in, the validated write that helps a user nothing.
#[test]
fn who_may_register_its_own_spns() {
    let property = "f3a64788-5306-11d1-a9c5-0000f80367c1";
    let base = "O:DAG:DAD:(A;;0xf01ff;;;DA)(A;;0xf01ff;;;SY)(A;;0x20094;;;AU)";
    let mut lab = shared();
    let file = tests().join("scenarios/healthy.yml");
    for (what, entry, may) in [
        ("no write", String::new(), false),
        ("SELF writes the property", format!("(OA;;RPWP;{property};;PS)"), true),
        ("Domain Users write it", format!("(OA;;WP;{property};;DU)"), true),
        ("the account itself by SID", format!("(OA;;WP;{property};;{{{ACCOUNT}}})"), true),
        ("the validated write", format!("(OA;;SW;{property};;PS)"), false),
        ("denied first", format!("(OD;;WP;{property};;PS)(OA;;WP;{property};;PS)"), false),
        ("somebody else", format!("(OA;;WP;{property};;{{SQL01$}})"), false),
    ] {
        lab.apply(&file).unwrap();
        let sddl = match entry.starts_with("(OD") {
            true => base.replacen("D:(", &format!("D:{entry}("), 1),
            false => format!("{base}{entry}"),
        };
        lab.set(ACCOUNT, "nTSecurityDescriptor", &[&sddl]);
        let site = Site::start(Scenario::load(&file).unwrap());
        let checked = check(binary(&lab), &site.configure(&Directory::of(&lab), OFTEN));
        let expected = if may { Value::Null } else { Value::from("applies") };
        let shown = outcome(&checked, "cannot_register_spn");
        let is_clear = shown.is_null() || shown == "clear";
        assert_eq!(if is_clear { &Value::Null } else { shown }, &expected, "{what}: {}", checked.text);
    }
    lab.clear();
}
