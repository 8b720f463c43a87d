//! The ticket probe against a KDC on loopback that hangs, cuts off, lies and counts: what a real one cannot be made to do. The lab
//! has the real one.

mod accounts;

mod referrals;

mod secrets;

mod pages;

use std::collections::BTreeMap;
use std::io::Write;
use std::time::{Duration, Instant};

use mssql_kerberos_exporter::model::host::HostName;
use mssql_kerberos_exporter::model::observed::{Failure, FailureKind};
use mssql_kerberos_exporter::model::secret::SecretSource;
use mssql_kerberos_exporter::model::spn::Spn;
use mssql_kerberos_exporter::model::ticket::{
    Ask, EncryptionType, KdcAddress, KerberosError, Offer, Ticket, TicketFacts, TicketQuestion,
};
use mssql_kerberos_exporter::ticket::{Identity, Principal, Session, Settings};
use peers::kdc::{ACCOUNT_PASSWORD, Kdc, KdcAccount, KdcBehaviour, KdcSpec, Lie, RC4, Step};

const NAME: &str = "MSSQLSvc/sql01.corp.contoso.com:1433";
const PASSWORD: &str = "Ex.porter-1";

fn host(text: &str) -> HostName {
    HostName::parse(text).unwrap()
}

fn spn(text: &str) -> Spn {
    Spn::parse(text).unwrap()
}

fn corp() -> KdcSpec {
    KdcSpec {
        realm: "CORP.CONTOSO.COM".to_owned(),
        accounts: vec![
            KdcAccount::new("svc_exporter", PASSWORD),
            KdcAccount::new("svc_sql", ACCOUNT_PASSWORD).with_spns(&[NAME]),
        ],
        trusts: Vec::new(),
    }
}

fn at(kdc: &Kdc) -> KdcAddress {
    let address = kdc.address();
    KdcAddress { host: host("dc1"), port: address.port(), addresses: vec![address.ip()] }
}

fn question(kdcs: &[&Kdc], names: &[&str]) -> TicketQuestion {
    let mut question = TicketQuestion::new(host("corp.contoso.com"));
    question.realms.insert(host("corp.contoso.com"), kdcs.iter().map(|kdc| at(kdc)).collect());
    let ask = Ask { realm: None, offer: Offer::Aes };
    question.spns = names.iter().map(|name| (spn(name), ask.clone())).collect();
    question
}

/// A session with this password, and the file that it is read from. Its deadline is for KDCs that answer, on a busy machine too.
fn session(password: &str) -> (Session, tempfile::NamedTempFile) {
    session_within(password, Duration::from_secs(60))
}

/// For a KDC that is silent: a deadline that is waited for, and still many times what an answer takes.
const SILENCE: Duration = Duration::from_secs(4);

fn session_within(password: &str, timeout: Duration) -> (Session, tempfile::NamedTempFile) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "{password}").unwrap();
    let principal = Principal::parse("svc_exporter@CORP.CONTOSO.COM").unwrap();
    let password = SecretSource::File(file.path().to_owned());
    let identity = Identity::Password { principal, password };
    (Session::new(Settings { identity, timeout }), file)
}

fn ask(session: &mut Session, question: &TicketQuestion) -> Result<TicketFacts, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(session.ask(question))
}

/// Whether the text has about this number before these words: a busy machine reads clocks a little late.
pub(crate) fn tells(text: &str, number: f64, words: &str) -> bool {
    let told = text.split_once(words).and_then(|(before, _)| before.rsplit(' ').next()?.parse::<f64>().ok());
    told.is_some_and(|told| (told - number).abs() < 30.0)
}

fn steps(kdc: &Kdc) -> [usize; 3] {
    let seen = kdc.requests();
    [Step::Hello, Step::Proof, Step::Ticket].map(|step| seen.iter().filter(|one| one.step == step).count())
}

fn granted<'a>(facts: &'a TicketFacts, name: &str) -> Option<(EncryptionType, u32, &'a str)> {
    match &facts.tickets[&spn(name)] {
        Ok(Ticket::Granted(granted)) => {
            Some((granted.encryption_type, granted.key_version?, granted.realm.as_str()))
        }
        Ok(Ticket::Refused(_)) | Err(_) => None,
    }
}

fn gap(facts: &TicketFacts, name: &str) -> String {
    facts.tickets[&spn(name)].as_ref().err().map(ToString::to_string).unwrap_or_default()
}

#[test]
fn one_logon_and_one_request_for_each_name() {
    let mut realm = corp();
    let mut old = KdcAccount::new("svc_old", ACCOUNT_PASSWORD).with_spns(&["MSSQLSvc/old"]);
    (old.encryption_types, old.key_version) = (vec![RC4], 7);
    realm.accounts.push(old);
    let kdc = Kdc::start(realm).unwrap();
    let (mut session, _file) = session(PASSWORD);
    let mut asked = question(&[&kdc], &[NAME, "MSSQLSvc/nobody"]);
    asked.spns.insert(spn("MSSQLSvc/old"), Ask { realm: None, offer: Offer::AesAndRc4 });
    for round in 1..=3 {
        let facts = ask(&mut session, &asked).unwrap();
        assert_eq!(granted(&facts, NAME), Some((EncryptionType::AES256, 2, "corp.contoso.com")));
        assert_eq!(granted(&facts, "MSSQLSvc/old"), Some((EncryptionType::RC4, 7, "corp.contoso.com")));
        match &facts.tickets[&spn("MSSQLSvc/nobody")] {
            Ok(Ticket::Refused(refusal)) => {
                assert_eq!((refusal.error.0, refusal.text.as_deref()), (7, Some("a text  of the KDC")));
            }
            other => panic!("{other:?}"),
        }
        let clock = facts.kdc.unwrap().clock.unwrap();
        assert!((clock.peer - clock.ours).abs() < 1.0 + clock.round_trip, "{clock:?}");
        assert_eq!(steps(&kdc), [1, 1, 3 * round], "one logon for all rounds");
    }
    let by_hour: usize = kdc.tickets_by_hour().values().sum();
    assert_eq!(by_hour, 9);
    let offers: Vec<_> = kdc.requests().into_iter().filter(|seen| seen.service == NAME).collect();
    assert!(offers.iter().all(|seen| !seen.encryption_types.contains(&RC4)), "{offers:?}");
}

/// One domain controller has not got the SPN yet: the other one's word tells replication from a fault. A second opinion is
/// one request, and only where the first KDC does not know the service.
#[test]
fn where_one_kdc_does_not_know_a_service_another_one_is_asked() {
    let behind = Kdc::start(corp()).unwrap();
    let ahead = behind.beside().unwrap();
    let (mut session, _file) = session_within(PASSWORD, SILENCE);
    let asked = question(&[&behind, &ahead], &[NAME]);
    let mut second = |asked: &TicketQuestion| match &ask(&mut session, asked).unwrap().tickets[&spn(NAME)] {
        Ok(Ticket::Refused(refusal)) => (refusal.error.0, refusal.second.clone().map(|second| second.error)),
        other => panic!("{other:?}"),
    };
    behind.refuse(NAME, 7);
    assert_eq!(second(&asked), (7, Some(None)));
    assert_eq!((steps(&behind)[2], steps(&ahead)), (1, [0, 0, 1]));
    ahead.refuse(NAME, 7);
    assert_eq!(second(&asked), (7, Some(Some(KerberosError(7)))));
    // Another error is no matter of replication, and a KDC that hangs takes nothing from the first one's word.
    behind.refuse(NAME, 12);
    assert_eq!(second(&asked), (12, None));
    assert_eq!(steps(&ahead)[2], 2);
    behind.refuse(NAME, 7);
    ahead.behave(Step::Ticket, KdcBehaviour::Silent);
    assert_eq!(second(&asked), (7, None));
    assert_eq!(second(&question(&[&behind], &[NAME])), (7, None));
}

#[test]
fn a_ticket_whose_life_is_over_is_renewed() {
    let kdc = Kdc::start(corp()).unwrap();
    kdc.set_lifetime(0);
    let (mut session, _file) = session(PASSWORD);
    let asked = question(&[&kdc], &[NAME]);
    for round in 1..=2 {
        ask(&mut session, &asked).unwrap();
        assert_eq!(steps(&kdc)[1], round, "no life left: a logon each time");
    }
    // One that the KDC calls expired, although it should live: a new one once, not in a circle.
    kdc.set_lifetime(36_000);
    let facts = ask(&mut session, &asked).unwrap();
    assert!(granted(&facts, NAME).is_some());
    assert_eq!(steps(&kdc)[1], 3);
    kdc.behave(Step::Ticket, KdcBehaviour::Error(32));
    let facts = ask(&mut session, &asked).unwrap();
    assert!(gap(&facts, NAME).contains("KRB_AP_ERR_TKT_EXPIRED (32)"), "{}", gap(&facts, NAME));
    assert_eq!(steps(&kdc)[1], 4);
}

#[test]
fn refused_credentials_are_offered_to_nobody_else() {
    for (code, kind) in [
        (6, FailureKind::Credentials),
        (18, FailureKind::Credentials),
        (23, FailureKind::Credentials),
        (24, FailureKind::Credentials),
        (60, FailureKind::Refused),
        (4_711, FailureKind::Refused),
    ] {
        let (first, second) = (Kdc::start(corp()).unwrap(), Kdc::start(corp()).unwrap());
        first.behave(Step::Proof, KdcBehaviour::Error(code));
        let (mut session, _file) = session(PASSWORD);
        let failure = ask(&mut session, &question(&[&first, &second], &[NAME])).unwrap_err();
        assert_eq!(failure.kind, kind, "{failure}");
        assert!(failure.text.contains(&code.to_string()), "{failure}");
        assert_eq!((steps(&first), steps(&second)), ([1, 1, 0], [0, 0, 0]), "{code}");
    }
    // Silence after the proof is no reason either: it may have been counted.
    let (first, second) = (Kdc::start(corp()).unwrap(), Kdc::start(corp()).unwrap());
    first.behave(Step::Proof, KdcBehaviour::Silent);
    let (mut session, _file) = session_within(PASSWORD, SILENCE);
    let failure = ask(&mut session, &question(&[&first, &second], &[NAME])).unwrap_err();
    assert_eq!((failure.kind, steps(&second)), (FailureKind::Timeout, [0, 0, 0]), "{failure}");
}

/// Whose account is revoked is not in the error: a logon that is accepted tells that it is not ours.
#[test]
fn a_revoked_account_may_be_the_services() {
    let kdc = Kdc::start(corp()).unwrap();
    let (mut session, _file) = session(PASSWORD);
    let asked = question(&[&kdc], &[NAME]);
    assert!(granted(&ask(&mut session, &asked).unwrap(), NAME).is_some());
    kdc.refuse(NAME, 18);
    let facts = ask(&mut session, &asked).unwrap();
    match &facts.tickets[&spn(NAME)] {
        Ok(Ticket::Refused(refusal)) => assert_eq!(refusal.error.name(), Some("KDC_ERR_CLIENT_REVOKED")),
        other => panic!("{other:?}"),
    }
    assert_eq!(steps(&kdc), [2, 2, 3], "one logon more, and the request once more");
    // It is ours.
    kdc.behave(Step::Proof, KdcBehaviour::Error(18));
    let failure = ask(&mut session, &asked).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Credentials, "{failure}");
    assert_eq!(steps(&kdc), [3, 3, 4]);
}

#[test]
fn a_wrong_secret_is_told_from_a_lie() {
    let kdc = Kdc::start(corp()).unwrap();
    let (mut wrong, _file) = session("Wrong.Passw0rd");
    let failure = ask(&mut wrong, &question(&[&kdc], &[NAME])).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Credentials, "{failure}");
    assert!(failure.text.contains("KDC_ERR_PREAUTH_FAILED (24)"), "{failure}");
    // Without pre-authentication it is the answer that cannot be read.
    kdc.change(|realm| realm.accounts[0].gives_away = true);
    let failure = ask(&mut wrong, &question(&[&kdc], &[NAME])).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Credentials, "{failure}");
    assert!(failure.text.contains("cannot be decrypted"), "{failure}");
    let (mut right, _file) = session(PASSWORD);
    assert!(granted(&ask(&mut right, &question(&[&kdc], &[NAME])).unwrap(), NAME).is_some());
    // An account that has nothing but RC4 cannot be logged on with.
    kdc.change(|realm| realm.accounts[0].encryption_types = vec![RC4]);
    let (mut right, _file) = session(PASSWORD);
    let failure = ask(&mut right, &question(&[&kdc], &[NAME])).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unsupported, "{failure}");
    // No secret at all is no attempt.
    let (mut none, file) = session("");
    std::fs::write(file.path(), "").unwrap();
    let before = kdc.requests().len();
    let failure = ask(&mut none, &question(&[&kdc], &[NAME])).unwrap_err();
    assert_eq!((failure.kind, kdc.requests().len()), (FailureKind::Credentials, before), "{failure}");
}

/// Octets that are no answer: text, nothing, half a frame of nesting, lengths beyond all bounds.
fn garbage() -> Vec<Vec<u8>> {
    let nested = |tag: u8, n: usize| {
        let mut octets = Vec::new();
        for depth in (0..n).rev() {
            octets.extend([tag, 0x84]);
            octets.extend(u32::try_from(depth * 6).unwrap().to_be_bytes());
        }
        octets
    };
    vec![
        Vec::new(),
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        vec![0x7e],
        vec![0x7e, 0x80, 0, 0],
        vec![0x6d, 0x84, 0xff, 0xff, 0xff, 0xff],
        vec![0x6b, 0x85, 1, 1, 1, 1, 1],
        vec![0; 4_096],
        vec![0xff; 4_096],
        nested(0x7e, 30_000),
        nested(0x30, 30_000),
    ]
}

#[test]
fn what_is_no_answer_is_malformed() {
    for step in [Step::Hello, Step::Proof, Step::Ticket] {
        let mut behaviours: Vec<KdcBehaviour> = garbage().into_iter().map(KdcBehaviour::Octets).collect();
        behaviours.extend([
            KdcBehaviour::CutOff,
            KdcBehaviour::Announce(0x7fff_ffff),
            KdcBehaviour::Announce(300_000),
        ]);
        let kdc = Kdc::start(corp()).unwrap();
        for behaviour in behaviours {
            kdc.behave(step, behaviour.clone());
            let (mut session, _file) = session(PASSWORD);
            let failure = ask(&mut session, &question(&[&kdc], &[NAME])).unwrap_err();
            assert_eq!(failure.kind, FailureKind::Malformed, "{step:?} {behaviour:?}: {failure}");
        }
    }
}

#[test]
fn lies_are_malformed() {
    let lies = [Lie::Nonce, Lie::Service, Lie::Realm, Lie::Client, Lie::Ticket, Lie::Cipher, Lie::CipherType];
    for (step, lies) in
        [(Step::Proof, &[&lies[..], &[Lie::KeyLength]].concat()), (Step::Ticket, &lies.to_vec())]
    {
        for lie in lies {
            let kdc = Kdc::start(corp()).unwrap();
            kdc.behave(step, KdcBehaviour::Lie(*lie));
            let (mut session, _file) = session(PASSWORD);
            let failure = ask(&mut session, &question(&[&kdc], &[NAME])).unwrap_err();
            assert_eq!(failure.kind, FailureKind::Malformed, "{step:?} {lie:?}: {failure}");
        }
    }
}

#[test]
fn who_is_silent_or_gone_is_passed_over() {
    let (silent, closed, fine) =
        (Kdc::start(corp()).unwrap(), Kdc::start(corp()).unwrap(), Kdc::start(corp()).unwrap());
    silent.behave(Step::Hello, KdcBehaviour::Silent);
    closed.behave(Step::Hello, KdcBehaviour::HangUp);
    let (mut one, _file) = session_within(PASSWORD, SILENCE);
    let failure = ask(&mut one, &question(&[&closed], &[NAME])).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unreachable, "{failure}");
    let begun = Instant::now();
    let failure = ask(&mut one, &question(&[&silent], &[NAME])).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Timeout, "{failure}");
    assert_eq!(steps(&silent), [1, 0, 0], "one deadline, not several");
    assert!(begun.elapsed() < 10 * SILENCE, "{:?}", begun.elapsed());
    let mut asked = question(&[&closed, &fine], &[NAME]);
    let facts = ask(&mut one, &asked).unwrap();
    assert!(granted(&facts, NAME).is_some());
    // No KDC is known at all.
    asked.realms = BTreeMap::new();
    let (mut two, _file) = session(PASSWORD);
    let failure = ask(&mut two, &asked).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unreachable, "{failure}");
    assert!(failure.text.contains("ticket.kdcs"), "{failure}");
}

#[test]
fn one_name_that_gets_no_answer_is_a_gap() {
    let kdc = Kdc::start(corp()).unwrap();
    let (mut session, _file) = session_within(PASSWORD, SILENCE);
    kdc.behave(Step::Ticket, KdcBehaviour::Silent);
    let facts = ask(&mut session, &question(&[&kdc], &[NAME])).unwrap();
    assert!(gap(&facts, NAME).contains("no answer in time"), "{}", gap(&facts, NAME));
    // With the ticket of before, nobody answered anything: that is no answer of the probe.
    let failure = ask(&mut session, &question(&[&kdc], &[NAME])).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Timeout, "{failure}");
    kdc.behave(Step::Ticket, KdcBehaviour::Normal);
    kdc.refuse(NAME, 12);
    let facts = ask(&mut session, &question(&[&kdc], &[NAME])).unwrap();
    match &facts.tickets[&spn(NAME)] {
        Ok(Ticket::Refused(refusal)) => assert_eq!(refusal.error.name(), Some("KDC_ERR_POLICY")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_clock_that_is_off() {
    let kdc = Kdc::start(corp()).unwrap();
    for (offset, words) in [(3_600, " s ahead of ours"), (-3_600, " s behind ours")] {
        kdc.set_clock_offset(offset);
        let (mut session, _file) = session(PASSWORD);
        let mut asked = question(&[&kdc], &[NAME]);
        asked.cross_realms.insert(host("partner.example"));
        let facts = ask(&mut session, &asked).unwrap();
        let clock = facts.kdc.as_ref().unwrap().clock.clone().unwrap();
        assert!(
            (clock.peer - clock.ours - f64::from(i32::try_from(offset).unwrap())).abs()
                < 1.0 + clock.round_trip,
            "{clock:?}"
        );
        assert!(tells(&gap(&facts, NAME), 3_600.0, words), "{}", gap(&facts, NAME));
        let partner = facts.realms[&host("partner.example")].as_ref();
        assert!(partner.is_err_and(|gap| tells(&gap.text, 3_600.0, words)), "{facts:?}");
    }
}
