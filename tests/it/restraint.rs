//! How few tickets the daemon asks for, counted at the KDC over hours; that a wrong secret costs one attempt over all probes; and
//! that neither a ticket nor a key nor a password is in anything it says.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mssql_kerberos_exporter::model::host::HostName;
use mssql_kerberos_exporter::model::observed::FailureKind;
use mssql_kerberos_exporter::refresh::{Parts, Refresh, once};
use mssql_kerberos_exporter::report::{self, Detail};
use peers::kdc::{Kdc, KdcRequestSeen, KdcTrust, RC4, Step};
use peers::scenario::{READER, READER_PASSWORD, Scenario};

use crate::world::{World, page};

const TWO_ACCOUNTS: &str = "
about: three instances on two accounts, one of them with two ports
domain:
  accounts:
    - name: svc_a
      spns: [MSSQLSvc/sql01.corp.contoso.com:1433, MSSQLSvc/sql01.corp.contoso.com:1500, MSSQLSvc/sql01.corp.contoso.com:1600]
    - { name: svc_b, spns: [MSSQLSvc/sql01.corp.contoso.com:1700] }
    - { name: SQL01, class: computer, dns: sql01.corp.contoso.com }
trusting:
  - { dns: partner.example, netbios: PARTNER, trust: { direction: 3, encryption_types: 24 }, accounts: [] }
sqlservers:
  - host: SQL01
    account: 'CORP\\svc_a'
    static_ports: [1433, 1500]
    connections:
      - { scheme: NTLM, client: 10.77.1.9, count: 3, host: DESK9, program: Reports, login: 'PARTNER\\ann', domain: PARTNER }
  - { host: SQL01, instance: THIRD, account: 'CORP\\svc_a', static_ports: [1600] }
  - { host: SQL01, instance: PROD, account: 'CORP\\svc_b', static_ports: [1700] }
tickets: {}
";

const DAY: Duration = Duration::from_secs(86_400);

/// Only tickets are due while the test runs, and no deadline ends while their answer is on its way.
fn only_tickets(world: &World) -> Parts {
    let mut parts = world.config().parts();
    let intervals = &mut parts.intervals;
    (intervals.sqlserver, intervals.connections, intervals.directory) = (DAY, DAY, DAY);
    (intervals.dns, intervals.host) = (DAY, DAY);
    parts.instances.iter_mut().for_each(|instance| instance.timeout = DAY);
    if let Some(directory) = &mut parts.directory {
        directory.timeout = DAY;
    }
    if let Some(dns) = &mut parts.dns {
        dns.timeout = DAY;
    }
    parts.ticket.as_mut().unwrap().timeout = DAY;
    parts
}

/// Real time for real I/O while the clock of the runtime stands still: a blocking task that is in flight keeps tokio from
/// moving the paused clock by itself. As long as the peers hear of us an exchange is under way, whose end is waited for.
async fn let_io_happen(heard: impl Fn() -> usize) {
    let pause = async |milliseconds| {
        let park = move || std::thread::park_timeout(Duration::from_millis(milliseconds));
        tokio::task::spawn_blocking(park).await.unwrap();
    };
    let before = heard();
    pause(5).await;
    let mut now = heard();
    let mut latest = before;
    while now != latest {
        latest = now;
        pause(30).await;
        now = heard();
    }
}

/// How many questions the peers have heard.
fn heard(world: &World) -> usize {
    let running = &world.running;
    let statements: usize = running.servers.iter().map(|server| server.statements().len()).sum();
    let octets: u64 = running.controllers.iter().map(|one| one.traffic().received).sum();
    let requests = running.kdc.iter().map(|kdc| kdc.requests().len()).sum::<usize>();
    statements + octets as usize + running.dns.queries().len() + requests
}

fn tickets(kdc: &Kdc) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for seen in kdc.requests().into_iter().filter(|seen| seen.step == Step::Ticket) {
        *counts.entry(seen.service).or_default() += 1;
    }
    counts.retain(|service, _| service != OTHER_REALM);
    counts
}

/// The ticket for the forest that logins are of.
const OTHER_REALM: &str = "krbtgt/PARTNER.EXAMPLE";

fn crossings(kdc: &Kdc) -> usize {
    let is_one = |seen: &&KdcRequestSeen| seen.step == Step::Ticket && seen.service == OTHER_REALM;
    kdc.requests().iter().filter(is_one).count()
}

fn paused() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

/// Whether service accounts are asked about too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Accounts {
    NotAsked,
    Asked,
}

#[test]
fn one_ticket_an_hour_for_each_account() {
    six_hours(Accounts::NotAsked);
}

/// Nobody but the exporter is named in an AS-REQ by default; where it is switched on, each account at most once an hour.
#[test]
fn each_service_account_is_asked_about_once_an_hour_at_most() {
    six_hours(Accounts::Asked);
}

fn six_hours(accounts: Accounts) {
    let world = World::of(Scenario::parse(TWO_ACCOUNTS).unwrap());
    let kdc = world.running.kdc.as_ref().unwrap();
    kdc.change(|realm| {
        let (other, password) = ("PARTNER.EXAMPLE".to_owned(), "Trust.Me-1".to_owned());
        realm.trusts.push(KdcTrust { realm: other, password, names: Vec::new() });
    });
    let mut parts = only_tickets(&world);
    let mut settings = (*parts.settings).clone();
    let ticket = settings.ticket.as_mut().unwrap();
    assert!(!ticket.asks_accounts, "opt-in");
    ticket.asks_accounts = accounts == Accounts::Asked;
    parts.settings = Arc::new(settings);
    let of_others = || kdc.hellos_of_others(READER);
    paused().block_on(async {
        // In flight for as long as the test runs: nothing moves the clock but the test.
        let (done, waits) = std::sync::mpsc::channel::<()>();
        let holder = tokio::task::spawn_blocking(move || waits.recv());
        let refresh = Refresh::start(&parts);
        let latest = refresh.latest();
        let step = async |seconds: u64| {
            let seen = kdc.requests().len();
            tokio::time::advance(Duration::from_secs(seconds)).await;
            let_io_happen(|| heard(&world)).await;
            // Something is being asked: wait for the end of it.
            while kdc.requests().len() != seen
                && latest.borrow().evidence.ticket.latest.as_ref().is_none_or(|attempt| {
                    attempt.at.mono < (tokio::time::Instant::now() - Duration::from_secs(seconds)).into_std()
                })
            {
                let_io_happen(|| heard(&world)).await;
            }
        };
        let mut n_steps = 0;
        while tickets(kdc).len() < 4 {
            step(5).await;
            n_steps += 1;
            let said = report::text(&latest.borrow(), Detail::Full);
            assert!(n_steps < 5_000, "{:?}\n{said}", tickets(kdc));
        }
        // Whatever grows after that.
        for _ in 0..24 {
            step(5).await;
        }
        let at_start = tickets(kdc);
        let crossed_at_start = crossings(kdc);
        assert!((1..=2).contains(&crossed_at_start), "the trust that logins come by: {crossed_at_start}");
        assert_eq!(at_start.len(), 4, "{at_start:?}");
        assert!(at_start.values().all(|n| *n == 1), "each that is required once: {at_start:?}");
        for _ in 0..(6 * 60) {
            step(60).await;
        }
        let all = tickets(kdc);
        let later: BTreeMap<&str, usize> = all
            .iter()
            .map(|(service, n)| (service.as_str(), n - at_start[service]))
            .filter(|(_, n)| *n > 0)
            .collect();
        assert_eq!(later.len(), 2, "one SPN of each account: {later:?}");
        assert!(later.values().all(|n| (5..=7).contains(n)), "six hours: {later:?}");
        let crossed = crossings(kdc) - crossed_at_start;
        assert!((5..=7).contains(&crossed), "six hours: {crossed}");
        let own =
            |seen: &&KdcRequestSeen| seen.step != Step::Hello || seen.client.eq_ignore_ascii_case(READER);
        assert!(kdc.requests().iter().filter(own).all(|seen| !seen.encryption_types.contains(&RC4)));
        match accounts {
            Accounts::NotAsked => assert_eq!(of_others(), BTreeMap::new(), "opt-in"),
            Accounts::Asked => {
                let asked = of_others();
                assert!(asked.keys().eq(["svc_a", "svc_b"]), "{asked:?}");
                // The runs are a little less than an hour apart, so that each second one may ask.
                assert!(asked.values().all(|n| (3..=7).contains(n)), "six hours: {asked:?}");
            }
        }
        let logons = kdc.requests().iter().filter(|seen| seen.step == Step::Proof).count();
        assert_eq!(logons, 1, "one ticket-granting ticket for its lifetime");

        drop(done);
        let _ = holder.await;
    });
}

#[test]
fn a_wrong_secret_costs_one_attempt_in_all() {
    // Without the directory the KDC is asked at once; with it the directory comes first. Either way the other one rests.
    for directory in [true, false] {
        let world = World::start("tickets");
        let file = world.write(&world.yaml());
        std::fs::write(world.folder.path().join("directory_password"), "Wrong.Passw0rd").unwrap();
        let mut parts = crate::world::load(&file).parts();
        if !directory {
            parts.directory = None;
            let mut settings = (*parts.settings).clone();
            settings.directory.enabled = false;
            // Nothing else says the name then.
            settings.instances[0].fqdn = HostName::parse("sql01.corp.contoso.com");
            parts.settings = Arc::new(settings);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let assessment = runtime.unwrap().block_on(once(&parts));
        let kdc = world.running.kdc.as_ref().unwrap();
        let proofs = kdc.requests().iter().filter(|seen| seen.step == Step::Proof).count();
        let binds = world.running.controller().binds().len();
        assert_eq!(proofs + binds, 1, "directory {directory}: {proofs} at the KDC, {binds} at the directory");
        let slots = [&assessment.evidence.directory.failures, &assessment.evidence.ticket.failures];
        let refused = slots.iter().filter(|kinds| kinds.contains_key(&FailureKind::Credentials)).count();
        assert_eq!(refused, 1);
        let text = report::text(&assessment, Detail::Full);
        assert!(text.contains("exporter_credentials_rejected"), "{text}");
    }
}

/// Everything that was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The ways in which octets are usually printed.
fn printed(octets: &[u8]) -> [String; 4] {
    let hex: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    let list: Vec<String> = octets.iter().map(u8::to_string).collect();
    let list = list.join(", ");
    [hex.clone(), hex.to_uppercase(), list, base64(octets)]
}

/// RFC 4648 4, without the padding.
fn base64(octets: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<u8> = octets.iter().flat_map(|octet| (0..8).rev().map(move |n| octet >> n & 1)).collect();
    let digit = |six: &[u8]| DIGITS[six.iter().fold(0, |value, bit| value << 1 | usize::from(*bit))] as char;
    bits.chunks_exact(6).map(digit).collect()
}

#[test]
fn no_ticket_no_key_and_no_password_is_in_anything_it_says() {
    for scenario in ["tickets", "ticket_refused", "keytab_stale"] {
        let world = World::start(scenario);
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .finish();
        let assessment = tracing::subscriber::with_default(subscriber, || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(once(&world.config().parts()))
        });
        let pages = page(&assessment);
        let said = [
            String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned(),
            pages.classic,
            pages.openmetrics,
            report::text(&assessment, Detail::Full),
            report::json(&assessment, Detail::Full).unwrap(),
            report::json(&assessment, Detail::Names).unwrap(),
            format!("{assessment:?}"),
            format!("{:?}", world.config()),
        ];
        let secrets = world.running.kdc.as_ref().unwrap().secrets();
        assert!(secrets.len() >= 4, "{} secrets", secrets.len());
        assert!(said[0].len() > 1_000 && said[1].contains("ticket_"), "{scenario}: nothing was said");
        for text in &said {
            assert!(!text.contains(READER_PASSWORD), "{scenario}: a password in\n{text}");
            for secret in &secrets {
                // Eight octets are enough to know it by, and too many to be there by chance.
                for part in secret.chunks_exact(9).take(64) {
                    let found = printed(part).into_iter().find(|form| text.contains(form));
                    assert_eq!(found, None, "{scenario}");
                }
            }
        }
    }
}
