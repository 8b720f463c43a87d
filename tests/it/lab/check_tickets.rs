//! `check` with an identity to ask for tickets with: what the KDC says joined with what the directory says. A trust that works and
//! then does not, an SPN that nobody holds, one that two hold.

use peers::scenario::Scenario;
use serde_json::Value;

use super::accounts::{outcome, ticket};
use super::daemon_tickets::with_tickets;
use super::domain::{Lab, shared};
use super::exporter::{Checked, Directory, OFTEN, Site, binary, check};
use super::mit;
use super::reading::Forest;
use super::scenarios::log_on;
use super::tickets::forget;
use crate::world::tests;

const PARTNER: &str = "partner.example";

/// A SQL Server of the scenario beside the lab with two forests, and the exporter as an account that may ask both.
fn check_both(lab: &Lab, site: &Site) -> Checked {
    check_with(lab, site, &[PARTNER])
}

/// The same with these domains in `directory.also`.
fn check_with(lab: &Lab, site: &Site, also: &[&str]) -> Checked {
    let mut directory = Directory::of(lab);
    // A password of this forest is nothing to the other forest's LDAP; a ticket is.
    directory.simple = None;
    directory.servers = vec![format!("ldap://{}", lab.text("/servers/0/host"))];
    directory.also = also.iter().map(|domain| (*domain).to_owned()).collect();
    directory.ca.push_str(&std::fs::read_to_string(lab.text("/partner/ca")).unwrap());
    let config = site.configure(&directory, &format!("{OFTEN}{}", with_tickets(lab)));
    let mut program = binary(lab);
    program.env("KRB5CCNAME", log_on(lab, site));
    check(program, &config)
}

/// The row of the other forest's domain.
fn partner(checked: &Checked) -> &Value {
    let domains = checked.report["domains"].as_array().unwrap_or_else(|| panic!("{}", checked.text));
    domains.iter().find(|row| row["domain"] == PARTNER).unwrap_or_else(|| panic!("{}", checked.text))
}

/// Everything that was seen of the subjects of this finding.
fn evidence(checked: &Checked, finding: &str) -> String {
    let findings = checked.report["instances"][0]["findings"].as_array().unwrap();
    let found = findings.iter().find(|found| found["finding"] == finding).unwrap();
    found["subjects"].to_string()
}

fn forget_over_there(lab: &Lab) {
    forget(lab.text("/partner/servers/0/conf"), lab.text("/dns"), Forest::partner(lab).base());
}

/// Nothing in the configuration names the other forest: that logins are of it is enough.
#[test]
fn a_trust_that_logins_come_by_works_and_then_does_not() {
    let mut lab = shared();
    let file = tests().join("scenarios/trusted_forest.yml");
    lab.apply(&file).unwrap();
    let site = Site::start(Scenario::load(&file).unwrap());
    let checked = check_with(&lab, &site, &[]);
    let row = partner(&checked);
    assert_eq!((&row["relation"], &row["ntlm_connections"]), (&"trusted".into(), &3.into()), "{row}");
    assert_eq!(row["tickets"]["outcome"], "issued_and_accepted", "{row}");
    let own = lab.text("/servers/0/host");
    assert_eq!(row["tickets"]["issued_by"], format!("{} (corp.contoso.com)", lab.address(0)), "{row} {own}");
    assert_eq!(row["tickets"]["accepted_by"], "dc1.partner.example (partner.example)", "{row}");
    assert_ne!(outcome(&checked, "trust_unusable"), "applies", "{}", checked.text);

    // The other side does not know the trust any more.
    forget_over_there(&lab);
    let checked = check_with(&lab, &site, &[]);
    let row = partner(&checked);
    assert_eq!(row["tickets"]["outcome"], "refused", "{row}");
    assert!(row["tickets"]["issued_by"].is_string() && row["tickets"]["accepted_by"].is_null(), "{row}");
    assert_eq!(outcome(&checked, "trust_unusable"), "applies", "{}", checked.text);
    let seen = evidence(&checked, "trust_unusable");
    assert!(
        seen.contains("a hint, no proof") && seen.contains(row["tickets"]["code"].as_str().unwrap()),
        "{seen}"
    );
    assert_eq!(checked.code, 1, "{}", checked.text);
    lab.clear();
}

#[test]
fn a_trust_to_the_service_accounts_forest_works_and_then_does_not() {
    let mut lab = shared();
    let file = tests().join("scenarios/lab/account_in_trusting_forest.yml");
    lab.apply(&file).unwrap();
    let site = Site::start(Scenario::load(&file).unwrap());
    let checked = check_both(&lab, &site);
    assert_eq!(partner(&checked)["tickets"]["outcome"], "issued_and_accepted", "{}", checked.text);
    assert_ne!(outcome(&checked, "trust_unusable"), "applies", "{}", checked.text);
    forget_over_there(&lab);
    let checked = check_both(&lab, &site);
    let row = partner(&checked);
    assert_eq!(row["tickets"]["outcome"], "refused", "{row}");
    assert_eq!(outcome(&checked, "trust_unusable"), "applies", "{}", checked.text);
    assert!(evidence(&checked, "trust_unusable").contains("it is a proof"), "{}", checked.text);
    lab.clear();
}

/// What the trust's object says, where it says that AES is not for it: by `ldapsearch`, and by `check`.
#[test]
fn a_trust_without_aes() {
    let mut lab = shared();
    let file = tests().join("scenarios/trust_unusable.yml");
    lab.apply(&file).unwrap();
    let system = format!("CN=System,{}", Forest::own(&lab).base());
    let found = Forest::own(&lab).search(
        389,
        &system,
        "(objectClass=trustedDomain)",
        "msDS-SupportedEncryptionTypes",
    );
    let stored: Vec<String> = found.into_values().flatten().map(|(_, value)| value).collect();
    assert_eq!(stored, ["4"]);
    let site = Site::start(Scenario::load(&file).unwrap());
    let checked = check_both(&lab, &site);
    assert_eq!(partner(&checked)["trust"]["encryption_types"], "rc4", "{}", checked.text);
    assert_eq!(outcome(&checked, "trust_unusable"), "applies", "{}", checked.text);
    assert!(evidence(&checked, "trust_unusable").contains("the trust allows rc4 only"), "{}", checked.text);
    lab.clear();
}

/// The KDC's word on an SPN that is not where it belongs is no news: the directory's finding says why. Samba's KDC has one error
/// for none and for two; Windows has another for two (docs/samba-and-windows.md).
#[test]
fn an_spn_that_nobody_holds_and_one_that_two_hold() {
    let mut lab = shared();
    for (name, finding) in [("missing_spn", "missing_spn"), ("duplicate_spn", "duplicate_spn")] {
        let file = tests().join(format!("scenarios/{name}.yml"));
        lab.apply(&file).unwrap();
        let site = Site::start(Scenario::load(&file).unwrap());
        let spn = "MSSQLSvc/sql01.corp.contoso.com:1433";
        let expected = mit::word(&lab, spn);
        assert_eq!(expected, "7", "{name}");
        let config = site.configure(&Directory::of(&lab), &format!("{OFTEN}{}", with_tickets(&lab)));
        let checked = check(binary(&lab), &config);
        assert_eq!(ticket(&checked, spn), expected, "{}", checked.text);
        assert_eq!(outcome(&checked, finding), "applies", "{}", checked.text);
        assert!(evidence(&checked, finding).contains(spn), "{}", checked.text);
        let refused = outcome(&checked, "ticket_refused");
        assert!(refused != "applies" && refused != "unknown", "{}", checked.text);
    }
    lab.clear();
}
