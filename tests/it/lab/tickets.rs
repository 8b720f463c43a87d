//! Tickets from a real KDC: their encryption types and key versions as MIT's `kvno` and `klist` and `ldapsearch` see them, the
//! refusals by number, the clock, a KDC that hangs, and a forest trust that works and then does not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::MutexGuard;
use std::time::{Duration, Instant};

use mssql_kerberos_exporter::model::host::HostName;
use mssql_kerberos_exporter::model::instance::ClockReading;
use mssql_kerberos_exporter::model::observed::{Failure, FailureKind};
use mssql_kerberos_exporter::model::secret::SecretSource;
use mssql_kerberos_exporter::model::spn::Spn;
use mssql_kerberos_exporter::model::ticket::{
    Ask, ClientName, KDC_PORT, KdcAddress, Offer, Ticket, TicketFacts, TicketQuestion,
};
use mssql_kerberos_exporter::ticket::{Identity, Principal, Session, Settings};

use super::domain::{Kind, Lab, shared};
use super::mit;
use super::reading::Forest;
use crate::tickets::tells;
use crate::world::tests;

/// The lab with two forests, with the accounts of the fixture.
fn two_forests() -> MutexGuard<'static, Lab> {
    let mut lab = shared();
    lab.signal(0, "CONT");
    lab.signal_to(PARTNER, "CONT");
    lab.apply(&tests().join("fixtures/tickets.yml")).unwrap();
    lab
}

/// Where `up` tells the process of the other forest's controller.
const PARTNER: &str = "/partner/servers/0/pid";

fn host(text: &str) -> HostName {
    HostName::parse(text).unwrap()
}

fn spn(text: &str) -> Spn {
    Spn::parse(text).unwrap()
}

fn kdc(lab: &Lab) -> KdcAddress {
    let addresses = vec![lab.address(0).parse().unwrap()];
    KdcAddress { host: host(lab.text("/servers/0/host")), port: KDC_PORT, addresses }
}

fn question(lab: &Lab, spns: &[(&str, Offer)]) -> TicketQuestion {
    let mut question = TicketQuestion::new(host("corp.contoso.com"));
    question.realms.insert(host("corp.contoso.com"), vec![kdc(lab)]);
    if let Some(address) = lab.about.pointer("/partner/servers/0/ip").and_then(serde_json::Value::as_str) {
        let addresses = vec![address.parse().unwrap()];
        let partner = KdcAddress { host: host("dc1.partner.example"), port: KDC_PORT, addresses };
        question.realms.insert(host("partner.example"), vec![partner]);
    }
    question.spns =
        spns.iter().map(|(name, offer)| (spn(name), Ask { realm: None, offer: *offer })).collect();
    question
}

fn principal(text: &str) -> Principal {
    Principal::parse(text).unwrap()
}

fn with_password(folder: &Path, user: &str, password: &str) -> Session {
    let file = folder.join("password");
    std::fs::write(&file, password).unwrap();
    let identity = Identity::Password { principal: principal(user), password: SecretSource::File(file) };
    Session::new(Settings { identity, timeout: Duration::from_secs(60) })
}

fn exporter(lab: &Lab) -> Session {
    exporter_within(lab, Duration::from_secs(60))
}

/// With this deadline for each request.
fn exporter_within(lab: &Lab, timeout: Duration) -> Session {
    let keytab = lab.text("/exporter/keytab").into();
    let identity = Identity::Keytab { principal: Some(principal(lab.text("/exporter/principal"))), keytab };
    Session::new(Settings { identity, timeout })
}

fn ask(session: &mut Session, question: &TicketQuestion) -> Result<TicketFacts, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(session.ask(question))
}

/// What came back for an SPN, in words: `aes256 2`, or the error's number, or the gap's text.
fn outcome(facts: &TicketFacts, name: &str) -> String {
    match &facts.tickets[&spn(name)] {
        Ok(Ticket::Granted(granted)) => {
            format!("{} {}", granted.encryption_type, granted.key_version.unwrap_or_default())
        }
        Ok(Ticket::Refused(refusal)) => refusal.error.0.to_string(),
        Err(gap) => gap.to_string(),
    }
}

/// Whether the other clock is ahead by so much, as well as that can be known of an answer that was so long on its way.
fn is_ahead_by(clock: &ClockReading, seconds: f64) -> bool {
    (clock.peer - clock.ours - seconds).abs() < 3.0 + clock.round_trip
}

/// A ticket as MIT's programs describe it.
pub(super) fn by_mit(lab: &Lab, name: &str) -> String {
    mit::ask(lab, name).unwrap_or_else(|code| panic!("{name}: Kerberos error {code}"))
}

/// Sets a password anew, so that the key's version goes up.
pub(super) fn change_password(lab: &Lab, sam: &str) {
    let dn = Forest::own(lab).account(sam);
    let script = format!(
        "printf 'dn: {dn}\\nchangetype: modify\\nreplace: unicodePwd\\nunicodePwd:: %s\\n' \
         \"$(printf '\"An.other-1\"' | iconv -t UTF-16LE | base64)\" | \
         ldapmodify -x -ZZ -H ldap://{} -D {} -w {}",
        lab.address(0),
        lab.text("/administrator/user"),
        lab.text("/administrator/password"),
    );
    let output =
        Command::new("sh").env("LDAPTLS_CACERT", lab.text("/ca")).args(["-c", &script]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn types_and_versions_are_what_other_programs_say() {
    let mut lab = two_forests();
    change_password(&lab, "svc_aes");
    let holders = [
        ("MSSQLSvc/aes.corp.contoso.com:1433", "svc_aes", Offer::Aes, "aes256"),
        ("MSSQLSvc/aes128.corp.contoso.com:1433", "svc_aes128", Offer::Aes, "aes128"),
        ("MSSQLSvc/rc4.corp.contoso.com:1433", "svc_rc4", Offer::AesAndRc4, "rc4"),
        ("MSSQLSvc/gmsa.corp.contoso.com:50123", "gmsa_sql$", Offer::Aes, "aes256"),
        ("MSSQLSvc/sql01.corp.contoso.com:1433", "SQL01$", Offer::Aes, "aes256"),
    ];
    let spns: Vec<_> = holders.iter().map(|(name, _, offer, _)| (*name, *offer)).collect();
    let folder = tempfile::tempdir().unwrap();
    let user = lab.text("/exporter/user");
    for mut session in [exporter(&lab), with_password(folder.path(), user, lab.text("/exporter/password"))] {
        let facts = ask(&mut session, &question(&lab, &spns)).unwrap();
        for (name, sam, _, kind) in holders {
            let found = outcome(&facts, name);
            assert_eq!(found, by_mit(&lab, name), "{name}");
            let version = Forest::own(&lab).number(sam, "msDS-KeyVersionNumber");
            assert_eq!(found, format!("{kind} {version}"), "{name}");
        }
        let reading = facts.kdc.unwrap();
        let clock = reading.clock.unwrap();
        assert_eq!(reading.host.as_str(), lab.text("/servers/0/host"));
        assert!(is_ahead_by(&clock, 0.0), "{clock:?}");
    }
    assert!(
        Forest::own(&lab).number("svc_aes", "msDS-KeyVersionNumber") > 1,
        "the version was not the first"
    );
    lab.clear();
}

#[test]
fn refusals_are_answers() {
    let mut lab = two_forests();
    let (unknown, twice) = ("MSSQLSvc/nobody.corp.contoso.com:1433", "MSSQLSvc/twice.corp.contoso.com:1433");
    let (rc4, fine) = ("MSSQLSvc/rc4.corp.contoso.com:1433", "mssqlsvc/AES.corp.contoso.com:1433");
    let asked = [unknown, twice, rc4, fine].map(|name| (name, Offer::Aes));
    let facts = ask(&mut exporter(&lab), &question(&lab, &asked)).unwrap();
    assert_eq!(outcome(&facts, unknown), "7");
    assert_eq!(outcome(&facts, twice), "7", "Samba does not tell a duplicate from nothing");
    assert_eq!(outcome(&facts, rc4), "14", "AES alone is offered");
    assert!(outcome(&facts, fine).starts_with("aes256"), "in any case of letters");
    match &facts.tickets[&spn(unknown)] {
        Ok(Ticket::Refused(refusal)) => {
            assert_eq!(refusal.error.name(), Some("KDC_ERR_S_PRINCIPAL_UNKNOWN"));
            assert_eq!(refusal.realm.as_str(), "corp.contoso.com");
            let clock = refusal.clock.unwrap();
            assert!(is_ahead_by(&clock, 0.0), "{refusal:?}");
        }
        other => panic!("{other:?}"),
    }
    lab.clear();
}

/// The encryption type that MIT's `kinit` selects of those that the KDC names for this account, when it offers these.
fn selected_by_kinit(lab: &Lab, sam: &str, offer: &str) -> Option<i32> {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("krb5.conf");
    let own = std::fs::read_to_string(lab.text("/krb5_conf")).unwrap();
    let only = format!("[libdefaults]\n default_tkt_enctypes = {offer}\n allow_weak_crypto = true\n");
    std::fs::write(&config, own.replacen("[libdefaults]\n", &only, 1)).unwrap();
    let mut command = Command::new("kinit");
    command.env("KRB5_CONFIG", &config).env("KRB5CCNAME", folder.path().join("cache"));
    command.env("KRB5_TRACE", "/dev/stderr").stdin(std::process::Stdio::null());
    // No password is at hand: it ends before any proof is made.
    let output = command.arg(format!("{sam}@CORP.CONTOSO.COM")).output().unwrap();
    let trace = String::from_utf8(output.stderr).unwrap();
    assert!(trace.contains("Received error from KDC"), "{trace}");
    let (_, selected) = trace.split_once("Selected etype info: etype ")?;
    Some(match selected.split([',', ' ']).next().unwrap() {
        "aes256-cts" => 18,
        "aes128-cts" => 17,
        "rc4-hmac" => 23,
        other => panic!("{other} in {trace}"),
    })
}

#[test]
fn what_a_kdc_says_of_service_accounts() {
    // DONT_REQ_PREAUTH (MS-ADTS 2.2.16), for an account whose password does not expire and for the disabled one that krbtgt is: Heimdal wants a proof where
    // either the client or the server requires it.
    const OPEN_ACCOUNT: &str = "4260352";
    const OPEN_KRBTGT: &str = "4194818";
    let mut lab = two_forests();
    lab.set("svc_two", "userAccountControl", &[OPEN_ACCOUNT]);
    lab.set("krbtgt", "userAccountControl", &[OPEN_KRBTGT]);
    // What a password left that was set before the domain made AES keys: the NT hash alone.
    lab.set("svc_one", "supplementalCredentials", &[]);
    let known = ["svc_aes", "svc_aes128", "svc_rc4", "svc_one", "SQL01$", "gmsa_sql$"];
    let counts = |lab: &Lab| {
        let count = |sam: &&str| Forest::own(lab).number(sam, "badPwdCount");
        known.iter().chain(&["svc_two"]).map(count).collect::<Vec<_>>()
    };
    let before = counts(&lab);
    let client = |sam: &str| ClientName::new(host("corp.contoso.com"), sam);
    let mut asked = question(&lab, &[]);
    asked.clients = known.iter().chain(&["svc_two", "nobody"]).map(|sam| client(sam)).collect();
    let facts = ask(&mut exporter(&lab), &asked).unwrap();
    assert_eq!(counts(&lab), before, "no password was tried");
    let told = |sam: &str| {
        let said = facts.clients[&client(sam)].as_ref().unwrap();
        (said.code(), said.keys().iter().map(|kind| kind.0).collect::<Vec<_>>())
    };
    for sam in known {
        // Samba names the best alone.
        let best = selected_by_kinit(&lab, sam, "aes256-cts aes128-cts rc4-hmac").unwrap();
        assert_eq!(told(sam), ("KDC_ERR_PREAUTH_REQUIRED", vec![best]), "{sam}");
        let aes = selected_by_kinit(&lab, sam, "aes256-cts aes128-cts");
        assert_eq!(aes.is_some(), best != 23, "{sam}: RC4 alone is named where there is no AES key");
    }
    assert_eq!(told("svc_one").1, [23]);
    // What the account allows is no matter here: msDS-SupportedEncryptionTypes 4, and AES keys.
    assert_eq!(told("svc_rc4").1, [18]);
    assert_eq!(told("nobody"), ("KDC_ERR_C_PRINCIPAL_UNKNOWN", Vec::new()));
    assert_eq!(told("svc_two"), ("none", Vec::new()));
    lab.clear();
}

#[test]
fn a_wrong_password_is_offered_once() {
    let mut lab = two_forests();
    let user = lab.text("/exporter/user").to_owned();
    let sam = user.split('@').next().unwrap();
    let before = Forest::own(&lab).number(sam, "badPwdCount");
    let folder = tempfile::tempdir().unwrap();
    let mut asked = question(&lab, &[]);
    // The same KDC under two names: a second one would count, too.
    let second = KdcAddress { host: host("another-name"), ..kdc(&lab) };
    asked.realms.get_mut(&host("corp.contoso.com")).unwrap().push(second);
    let failure = ask(&mut with_password(folder.path(), &user, "Wrong.Passw0rd"), &asked).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Credentials, "{failure}");
    assert!(failure.text.contains("KDC_ERR_PREAUTH_FAILED (24)"), "{failure}");
    assert!(!failure.text.contains("Wrong.Passw0rd"), "{failure}");
    assert_eq!(Forest::own(&lab).number(sam, "badPwdCount"), before + 1, "offered once");
    let failure = ask(&mut with_password(folder.path(), "nobody", "Any.Passw0rd"), &asked).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Credentials, "{failure}");
    assert!(failure.text.contains("KDC_ERR_C_PRINCIPAL_UNKNOWN (6)"), "{failure}");
    lab.clear();
}

#[test]
fn a_clock_that_is_off_is_said_with_its_size() {
    let mut lab = Lab::start(Kind::Clock);
    lab.apply(&tests().join("scenarios/healthy.yml")).unwrap();
    let name = "MSSQLSvc/sql01.corp.contoso.com:1433";
    // What an account without msDS-SupportedEncryptionTypes gets is the KDC's choice.
    let asked = question(&lab, &[(name, Offer::AesAndRc4)]);
    let is_granted = |facts: &TicketFacts| matches!(facts.tickets[&spn(name)], Ok(Ticket::Granted(_)));
    let mut logged_on = exporter(&lab);
    assert!(is_granted(&ask(&mut logged_on, &asked).unwrap()));
    for (offset, seconds, words) in [("+10m", 600.0, " s ahead of ours"), ("-10m", -600.0, " s behind ours")]
    {
        lab.move_clock(offset);
        let facts = ask(&mut exporter(&lab), &asked).unwrap();
        let clock = facts.kdc.as_ref().unwrap().clock.clone().unwrap();
        assert!(is_ahead_by(&clock, seconds), "{offset}: {clock:?}");
        let text = outcome(&facts, name);
        assert!(text.contains("KRB_AP_ERR_SKEW (37)") && tells(&text, 600.0, words), "{offset}: {text}");
        // With a ticket from before.
        let facts = ask(&mut logged_on, &asked).unwrap();
        let clock = facts.kdc.as_ref().unwrap().clock.clone().unwrap();
        assert!(is_ahead_by(&clock, seconds), "{offset}: {clock:?}");
        let text = outcome(&facts, name);
        assert!(tells(&text, 600.0, words), "{offset}: {text}");
    }
    lab.move_clock("+0");
    assert!(is_granted(&ask(&mut logged_on, &asked).unwrap()), "right again by itself");
    lab.clear();
}

#[test]
fn a_kdc_that_hangs_and_one_that_is_gone() {
    let mut lab = two_forests();
    let name = "MSSQLSvc/aes.corp.contoso.com:1433";
    let asked = question(&lab, &[(name, Offer::Aes)]);
    let keytab = lab.text("/exporter/keytab").into();
    let identity = Identity::Keytab { principal: None, keytab };
    let mut session = Session::new(Settings { identity, timeout: Duration::from_secs(2) });
    lab.signal(0, "STOP");
    let begun = Instant::now();
    let failure = ask(&mut session, &asked).unwrap_err();
    let took = begun.elapsed();
    lab.signal(0, "CONT");
    assert_eq!(failure.kind, FailureKind::Timeout, "{failure}");
    assert!(took < Duration::from_secs(30), "{took:?}");

    // Nobody listens at the first one: the next one is asked.
    let gone = KdcAddress { host: host("gone"), port: 1, ..kdc(&lab) };
    let mut both = asked.clone();
    both.realms.insert(host("corp.contoso.com"), vec![gone.clone(), kdc(&lab)]);
    let mut session = exporter(&lab);
    assert!(outcome(&ask(&mut session, &both).unwrap(), name).starts_with("aes256"));
    both.realms.insert(host("corp.contoso.com"), vec![gone]);
    let failure = ask(&mut session, &both).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unreachable, "{failure}");
    lab.clear();
}

#[test]
fn a_trust_that_works_and_then_does_not() {
    let mut lab = two_forests();
    let (by_referral, by_realm) = ("MSSQLSvc/sql07.partner.example", "MSSQLSvc/sql07.partner.example:1433");
    let partner = host("partner.example");
    let mut asked = question(&lab, &[(by_referral, Offer::Aes)]);
    asked.spns.insert(spn(by_realm), Ask { realm: Some(partner.clone()), offer: Offer::Aes });
    asked.cross_realms = BTreeSet::from([partner.clone()]);
    // The silence below is waited for.
    let mut session = exporter_within(&lab, Duration::from_secs(10));
    let facts = ask(&mut session, &asked).unwrap();
    let version = Forest::partner(&lab).number("svc_sql", "msDS-KeyVersionNumber");
    for name in [by_referral, by_realm] {
        assert_eq!(outcome(&facts, name), format!("aes256 {version}"), "{name}");
        match &facts.tickets[&spn(name)] {
            Ok(Ticket::Granted(granted)) => assert_eq!(granted.kdc.to_string(), "dc1.partner.example"),
            other => panic!("{other:?}"),
        }
    }
    let path = facts.realms[&partner].as_ref().unwrap();
    assert!(path.via.is_empty() && path.refusal().is_none(), "{path:?}");
    assert!(matches!(path.issued, Ticket::Granted(_)), "{path:?}");
    assert!(matches!(path.accepted, Ok(Ticket::Granted(_))), "{path:?}");

    // The other realm is silent.
    lab.signal_to(PARTNER, "STOP");
    let impatient = TicketQuestion { spns: BTreeMap::new(), ..asked.clone() };
    let facts = ask(&mut session, &impatient).unwrap();
    lab.signal_to(PARTNER, "CONT");
    let path = facts.realms[&partner].as_ref().unwrap();
    assert!(matches!(path.issued, Ticket::Granted(_)), "{path:?}");
    assert!(path.accepted.as_ref().is_err_and(|gap| gap.text.contains("no answer in time")), "{path:?}");

    // The other side does not know the trust any more: home still issues, and the ticket is worth nothing.
    forget(lab.text("/partner/servers/0/conf"), "corp.contoso.com", "DC=partner,DC=example");
    let facts = ask(&mut session, &asked).unwrap();
    let path = facts.realms[&partner].as_ref().unwrap();
    assert!(matches!(path.issued, Ticket::Granted(_)), "{path:?}");
    assert!(matches!(path.accepted, Ok(Ticket::Refused(_))), "{path:?}");
    assert!(!outcome(&facts, by_realm).starts_with("aes"), "{}", outcome(&facts, by_realm));

    // Nor does ours.
    forget(lab.text("/servers/0/conf"), "partner.example", lab.text("/base"));
    let facts = ask(&mut session, &asked).unwrap();
    let path = facts.realms[&partner].as_ref().unwrap();
    assert_eq!(path.refusal().unwrap().error.0, 7, "{path:?}");
    assert!(matches!(path.issued, Ticket::Refused(_)), "{path:?}");
    assert!(outcome(&facts, by_realm).contains("no way to partner.example"), "{}", outcome(&facts, by_realm));
    assert_eq!(outcome(&facts, by_referral), "7");
    lab.clear();
}

/// Deletes a trust below the rules of a domain controller, with another program.
pub(super) fn forget(conf: &str, other: &str, base: &str) {
    let folder = Path::new(conf).parent().unwrap().parent().unwrap();
    let partition = folder.join(format!("private/sam.ldb.d/{}.ldb", base.to_uppercase()));
    let output = Command::new("ldbdel")
        .arg("-H")
        .arg(partition)
        .arg(format!("CN={other},CN=System,{base}"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}
