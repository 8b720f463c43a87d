//! Asking a KDC about service accounts without a proof of identity: what it says of each kind of account, that nothing is asked
//! twice, and that what comes back of an account without pre-authentication is kept nowhere.

use mssql_kerberos_exporter::model::observed::Known;
use mssql_kerberos_exporter::model::ticket::{ClientAnswer, ClientName, TicketFacts, TicketQuestion};
use peers::kdc::{ACCOUNT_PASSWORD, AES256, Kdc, KdcAccount, KdcBehaviour, Lie, RC4, Step};

use super::{NAME, PASSWORD, SILENCE, ask, corp, garbage, granted, host, question, session, session_within};

fn client(name: &str) -> ClientName {
    ClientName::new(host("corp.contoso.com"), name)
}

fn with_clients(kdcs: &[&Kdc], names: &[&str]) -> TicketQuestion {
    let mut asked = question(kdcs, &[NAME]);
    asked.clients = names.iter().map(|name| client(name)).collect();
    asked
}

/// The label of the metric and the keys that were named; the text of a gap.
fn told(facts: &TicketFacts, name: &str) -> (String, Vec<i32>) {
    let said: &Known<ClientAnswer> = &facts.clients[&client(name)];
    match said {
        Ok(said) => (said.code().to_owned(), said.keys().iter().map(|kind| kind.0).collect()),
        Err(gap) => (gap.to_string(), Vec::new()),
    }
}

#[test]
fn each_kind_of_account_has_its_answer() {
    let mut realm = corp();
    let account = |name: &str, change: fn(&mut KdcAccount)| {
        let mut account = KdcAccount::new(name, ACCOUNT_PASSWORD);
        change(&mut account);
        account
    };
    realm.accounts.extend([
        account("svc_rc4", |account| account.encryption_types = vec![RC4]),
        account("svc_both", |account| account.encryption_types = vec![AES256, RC4]),
        account("svc_open", |account| account.gives_away = true),
        account("svc_locked", |account| account.refusal = Some(18)),
        account("svc_odd", |account| account.refusal = Some(4_711)),
    ]);
    let kdc = Kdc::start(realm).unwrap();
    let (mut session, _file) = session(PASSWORD);
    let names = ["svc_rc4", "svc_both", "svc_open", "svc_locked", "svc_odd", "SVC_sql", "nobody"];
    let facts = ask(&mut session, &with_clients(&[&kdc], &names)).unwrap();
    assert!(granted(&facts, NAME).is_some());
    let required = |keys: &[i32]| ("KDC_ERR_PREAUTH_REQUIRED".to_owned(), keys.to_vec());
    let only = |code: &str| (code.to_owned(), Vec::new());
    assert_eq!(told(&facts, "svc_sql"), required(&[18, 17]));
    assert_eq!(told(&facts, "svc_both"), required(&[18, 23]));
    assert_eq!(told(&facts, "svc_rc4"), required(&[23]));
    assert_eq!(told(&facts, "svc_open"), only("none"));
    assert_eq!(told(&facts, "svc_locked"), only("KDC_ERR_CLIENT_REVOKED"));
    assert_eq!(told(&facts, "svc_odd"), only("other"));
    assert_eq!(told(&facts, "nobody"), only("KDC_ERR_C_PRINCIPAL_UNKNOWN"));
    let others = kdc.hellos_of_others("svc_exporter");
    assert!(others.len() == names.len() && others.values().all(|n| *n == 1), "{others:?}");
    let proofs = kdc.requests().iter().filter(|seen| seen.step == Step::Proof).count();
    assert_eq!(proofs, 1, "of the exporter itself: nobody else's password is tried");
    let offers = kdc.requests().into_iter().find(|seen| seen.client == "svc_sql").unwrap().encryption_types;
    assert_eq!(offers, [18, 17, 23], "AES first");
    // What came for the account without pre-authentication is nowhere.
    let shown = format!("{facts:?}");
    let secrets = kdc.secrets();
    assert!(secrets.len() >= 4, "{} secrets", secrets.len());
    for secret in secrets {
        let numbers: Vec<String> = secret.iter().take(9).map(ToString::to_string).collect();
        assert!(!shown.contains(&numbers.join(", ")), "{shown}");
    }
}

#[test]
fn nothing_is_asked_twice_and_no_second_kdc_is_asked() {
    let (first, second) = (Kdc::start(corp()).unwrap(), Kdc::start(corp()).unwrap());
    let (mut session, _file) = session_within(PASSWORD, SILENCE);
    ask(&mut session, &question(&[&first, &second], &[NAME])).unwrap();
    first.behave(Step::Hello, KdcBehaviour::Silent);
    let facts = ask(&mut session, &with_clients(&[&first, &second], &["svc_sql"])).unwrap();
    assert!(told(&facts, "svc_sql").0.contains("no answer in time"), "{:?}", told(&facts, "svc_sql"));
    assert!(granted(&facts, NAME).is_some(), "a fact beside the others");
    assert_eq!(first.hellos_of_others("svc_exporter").values().sum::<usize>(), 1);
    assert_eq!(second.requests().len(), 0);
    // Of a realm without a KDC nobody is asked.
    let mut asked = question(&[&second], &[]);
    asked.clients.insert(ClientName::new(host("partner.example"), "svc_sql"));
    let facts = ask(&mut session, &asked).unwrap();
    let said = &facts.clients[&ClientName::new(host("partner.example"), "svc_sql")];
    assert!(said.as_ref().is_err_and(|gap| gap.text.contains("no KDC of partner.example")), "{said:?}");
    assert_eq!(second.requests().len(), 0);
}

#[test]
fn what_is_no_answer_is_a_gap() {
    let mut realm = corp();
    let open = KdcAccount { gives_away: true, ..KdcAccount::new("svc_open", ACCOUNT_PASSWORD) };
    realm.accounts.push(open);
    let kdc = Kdc::start(realm).unwrap();
    let (mut session, _file) = session(PASSWORD);
    ask(&mut session, &question(&[&kdc], &[NAME])).unwrap();
    let mut behaviours: Vec<KdcBehaviour> = garbage().into_iter().map(KdcBehaviour::Octets).collect();
    behaviours.extend([
        KdcBehaviour::CutOff,
        KdcBehaviour::Announce(0x7fff_ffff),
        KdcBehaviour::Lie(Lie::Client),
    ]);
    for behaviour in behaviours {
        kdc.behave(Step::Hello, behaviour.clone());
        let facts = ask(&mut session, &with_clients(&[&kdc], &["svc_open"])).unwrap();
        let (text, _) = told(&facts, "svc_open");
        assert!(text.contains("malformed answer"), "{behaviour:?}: {text}");
        assert!(granted(&facts, NAME).is_some(), "{behaviour:?}");
    }
}
