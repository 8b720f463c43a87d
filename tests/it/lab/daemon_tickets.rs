//! The daemon with an identity of its own, in the lab: what it says of a ticket is what MIT's programs say, and a wrong secret is
//! offered once, however many probes share it.

use peers::scenario::Scenario;

use super::accounts::outcome;
use super::domain::shared;
use super::exporter::{Daemon, Directory, OFTEN, Site, binary, check, sample};
use super::reading::Forest;
use super::tickets::{by_mit, change_password};
use crate::world::tests;

const SPN: &str = "MSSQLSvc/sql01.corp.contoso.com:1433";

fn healthy() -> std::path::PathBuf {
    tests().join("scenarios/healthy.yml")
}

#[test]
fn what_the_daemon_says_of_a_ticket_is_what_kvno_and_klist_say() {
    let mut lab = shared();
    lab.apply(&healthy()).unwrap();
    let site = Site::start(Scenario::load(&healthy()).unwrap());
    let config = site.configure(&Directory::of(&lab), &format!("{OFTEN}{}", with_tickets(&lab)));
    let expected = by_mit(&lab, SPN);
    let (kind, version) = expected.split_once(' ').unwrap();
    let daemon = Daemon::start(binary(&lab), &config);
    daemon.until(&format!("a ticket: {expected}"), |page| {
        sample(page, "ticket_granted", &[("spn", SPN)]) == Some(1.0)
            && sample(page, "ticket_info", &[("spn", SPN), ("encryption_type", kind)]) == Some(1.0)
            && sample(page, "ticket_key_version", &[("spn", SPN)]) == version.parse().ok()
            && sample(page, "probe_success", &[("probe", "ticket")]) == Some(1.0)
    });
    // `check` asks for the recommended one too, and says the same.
    let checked = check(binary(&lab), &config);
    let tickets = checked.report["instances"][0]["tickets"].as_array().unwrap().clone();
    assert_eq!(tickets.len(), 2, "{}", checked.text);
    for told in &tickets {
        assert_eq!(told["granted"], true, "{told}");
        assert_eq!(told["encryption_type"], kind, "{told}");
        assert_eq!(told["key_version"].as_f64(), version.parse().ok(), "{told}");
    }
    lab.clear();
}

/// Asked about service accounts, a KDC tells one that exists from one that does not: the directory shows neither from the other.
#[test]
fn an_account_that_no_kdc_knows_is_not_found() {
    let mut lab = shared();
    lab.apply(&healthy()).unwrap();
    let asking =
        format!("{OFTEN}{}", with_tickets(&lab)).replace(" kdcs:", " ask_service_accounts: true, kdcs:");
    let site = Site::start(Scenario::load(&healthy()).unwrap());
    let config = site.configure(&Directory::of(&lab), &asking);
    let before = Forest::own(&lab).number("svc_sql", "badPwdCount");
    let daemon = Daemon::start(binary(&lab), &config);
    let said = |page: &str, code| sample(page, "service_account_kdc_answer_info", &[("code", code)]);
    daemon.until("an answer about the account, which is found", |page| {
        said(page, "KDC_ERR_PREAUTH_REQUIRED") == Some(1.0)
            && sample(page, "finding", &[("finding", "account_not_found")]) == Some(0.0)
    });
    drop(daemon);
    assert_eq!(Forest::own(&lab).number("svc_sql", "badPwdCount"), before);
    // The same with a name that is gone.
    let text = std::fs::read_to_string(healthy()).unwrap().replace(r"CORP\svc_sql", r"CORP\svc_gone");
    let site = Site::start(Scenario::parse(&text).unwrap());
    let config = site.configure(&Directory::of(&lab), &asking);
    let checked = check(binary(&lab), &config);
    assert_eq!(outcome(&checked, "account_not_found"), "applies", "{}", checked.text);
    assert!(checked.text.contains("KDC_ERR_C_PRINCIPAL_UNKNOWN (6)"), "{}", checked.text);
    let told = &checked.report["instances"][0]["service_account_at_kdc"];
    assert_eq!(told["client"], "svc_gone@corp.contoso.com", "{told}");
    assert_eq!(told["code"], "KDC_ERR_C_PRINCIPAL_UNKNOWN", "{told}");
    let config = site.configure(&Directory::of(&lab), &format!("{OFTEN}{}", with_tickets(&lab)));
    let checked = check(binary(&lab), &config);
    assert_eq!(outcome(&checked, "account_not_found"), "unknown", "not asked: {}", checked.text);
    lab.clear();
}

#[test]
fn a_wrong_password_is_offered_once_whoever_shares_it() {
    let mut lab = shared();
    lab.apply(&healthy()).unwrap();
    let site = Site::start(Scenario::load(&healthy()).unwrap());
    let user = lab.text("/exporter/user").to_owned();
    let sam = user.split('@').next().unwrap().to_owned();
    let wrong = site.secret("wrong", "Wrong.Passw0rd\n");
    let ticket = format!(
        "ticket: {{ principal: '{}', password_file: '{}', kdcs: ['{}'], refresh: 1s, timeout: 60s }}\n",
        lab.text("/exporter/principal"),
        wrong.display(),
        lab.address(0),
    );
    let administrator = |key: &str| lab.text(&format!("/administrator/{key}")).to_owned();
    let right = (administrator("user"), administrator("password"));
    for (what, simple, probe) in
        [("the KDC alone", right, "ticket"), ("both", (user, "Wrong.Passw0rd".to_owned()), "directory")]
    {
        let before = Forest::own(&lab).number(&sam, "badPwdCount");
        let directory = Directory { simple: Some(simple), ..Directory::of(&lab) };
        let config = site.configure(&directory, &format!("{OFTEN}{ticket}"));
        let daemon = Daemon::start(binary(&lab), &config);
        let refused = |page: &str| {
            sample(page, "probe_failures_total", &[("probe", probe), ("kind", "credentials")]) == Some(1.0)
        };
        let page = daemon.until(what, refused);
        // Many intervals of both.
        let attempts = |page: &str| sample(page, "probe_attempts_total", &[("probe", "host")]).unwrap();
        let begun = attempts(&page);
        daemon.until("ten intervals", |page| attempts(page) >= begun + 10.0);
        assert_eq!(Forest::own(&lab).number(&sam, "badPwdCount"), before + 1, "{what}");
    }
    lab.clear();
}

/// Granted does not mean that the service can decrypt it: the KDC knows nothing of who runs the service.
#[test]
fn a_ticket_for_a_misplaced_spn_is_granted_all_the_same() {
    let mut lab = shared();
    let file = tests().join("scenarios/misplaced_spn.yml");
    lab.apply(&file).unwrap();
    let site = Site::start(Scenario::load(&file).unwrap());
    let config = site.configure(&Directory::of(&lab), &format!("{OFTEN}{}", with_tickets(&lab)));
    let checked = check(binary(&lab), &config);
    let told = checked.report["instances"][0]["tickets"].as_array().unwrap();
    let told = told.iter().find(|told| told["spn"].as_str().is_some_and(|spn| spn.ends_with(":1433")));
    assert_eq!(told.unwrap()["granted"], true, "{}", checked.text);
    assert_eq!(outcome(&checked, "misplaced_spn"), "applies", "{}", checked.text);
    assert!(outcome(&checked, "ticket_refused") != "applies", "{}", checked.text);
    lab.clear();
}

/// SQL Server's keytab on Linux, described by `keytab-info` as its timer would: good, then older than the password.
#[test]
fn a_keytab_that_is_older_than_the_password() {
    let mut lab = shared();
    let file = tests().join("scenarios/linux_with_keytab.yml");
    lab.apply(&file).unwrap();
    let mut site = Site::start(Scenario::load(&file).unwrap());
    let (keytab, info) = (site.secret("mssql.keytab", ""), site.secret("info.json", ""));
    site.scenario.instance_settings.push(format!("keytab_info: {}", info.display()));
    lab.keytab(SPN, &keytab);
    let config = site.configure(&Directory::of(&lab), &format!("{OFTEN}{}", with_tickets(&lab)));
    let describe = || {
        let status = binary(&lab).arg("keytab-info").arg(&keytab).arg("--output").arg(&info).status();
        assert!(status.unwrap().success());
    };
    let of_keytabs = ["keytab_stale", "keytab_incomplete", "ticket_wrong_key"];
    // What MIT's program says of a ticket, and the versions that the keytab has.
    let versions = |lab: &super::domain::Lab| {
        let described: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(&info).unwrap()).unwrap();
        let entries = described["entries"].as_array().unwrap().clone();
        let kept: Vec<u64> = entries.iter().map(|entry| entry["key_version"].as_u64().unwrap()).collect();
        let ticket: u64 = by_mit(lab, SPN).split_once(' ').unwrap().1.parse().unwrap();
        (ticket, kept)
    };
    describe();
    let (ticket, kept) = versions(&lab);
    assert!(kept.contains(&ticket), "{ticket} {kept:?}");
    let checked = check(binary(&lab), &config);
    for name in of_keytabs {
        let shown = outcome(&checked, name);
        assert!(shown.is_null() || shown == "clear", "{name} {shown}: {}", checked.text);
    }
    change_password(&lab, "svc_sql");
    describe();
    let (ticket, kept) = versions(&lab);
    assert!(!kept.contains(&ticket), "{ticket} {kept:?}");
    let checked = check(binary(&lab), &config);
    assert_eq!(outcome(&checked, "keytab_stale"), "applies", "{}", checked.text);
    lab.clear();
}

/// The exporter's own account, to ask dc1 for tickets with.
pub(super) fn with_tickets(lab: &super::domain::Lab) -> String {
    format!(
        "ticket: {{ principal: '{}', keytab: '{}', kdcs: ['{}'], timeout: 60s }}\n",
        lab.text("/exporter/principal"),
        lab.text("/exporter/keytab"),
        lab.address(0),
    )
}
