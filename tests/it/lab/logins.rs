//! Integrated logins to SQL Server: the tickets are a real KDC's, and who accepts them is MIT's library with a key from it.
//! The SQL Server itself is the loopback peer; what Windows' own acceptor would do besides is in no test here.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use peers::certificates::Authority;
use peers::scenario::Scenario;
use peers::tds::{Acceptor, Options, Tls};

use super::domain::{Lab, shared};
use super::exporter::{Daemon, Directory, OFTEN, Site, Way, binary, check, sample, with_keytab};
use super::reading::Forest;
use super::scenarios::log_on;
use crate::world::tests;

const HOST: &str = "sql01.corp.contoso.com";
const ACCOUNT: &str = "svc_sql";

/// A SQL Server that the exporter can log in to with Kerberos, and its key.
struct Place {
    site: Site,
    keytab: PathBuf,
    /// `MSSQLSvc/host:port` of where it listens.
    spn: String,
    _folder: tempfile::TempDir,
}

#[derive(Clone, Copy, PartialEq)]
enum Encrypted {
    Yes,
    No,
}

impl Place {
    /// `extra` are further arguments of the acceptor.
    fn start(lab: &mut Lab, encrypted: Encrypted, extra: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The name has to lead to the peer, which listens on loopback.
        let file = folder.path().join("scenario.yml");
        let text = std::fs::read_to_string(tests().join("scenarios/healthy.yml")).unwrap();
        std::fs::write(&file, text.replace("10.77.0.11", "127.0.0.1")).unwrap();
        lab.apply(&file).unwrap();

        let keytab = folder.path().join("sql.keytab");
        let mut arguments = vec![OsString::from(&keytab)];
        arguments.extend(extra.iter().map(OsString::from));
        let acceptor = Acceptor {
            program: tests().join("lab/acceptor"),
            arguments,
            environment: vec![("KRB5_CONFIG".to_owned(), lab.text("/krb5_conf").into())],
            domain: lab.text("/netbios").to_owned(),
        };
        let authority = Authority::create().unwrap();
        let tls = match encrypted {
            Encrypted::Yes => Tls::Wrapped(authority.server(&[HOST]).unwrap()),
            Encrypted::No => Tls::None,
        };
        let ca = (encrypted == Encrypted::Yes).then(|| authority.pem().to_owned());
        let options = Options { tls, integrated: Some(acceptor), ..Options::default() };
        let way = Way::Integrated { host: HOST.to_owned(), ca };
        let site = Site::start_with(Scenario::load(&file).unwrap(), &options, way);
        // It says of itself that it listens where it does, and its account holds that name.
        let port = site.servers[0].addr().port();
        let mut spec = site.scenario.sqlservers[0].clone();
        spec.static_ports = Some(vec![port]);
        site.servers[0].set_spec(spec).unwrap();
        let spn = format!("MSSQLSvc/{HOST}:{port}");
        lab.set(ACCOUNT, "servicePrincipalName", &[&spn, &format!("MSSQLSvc/{HOST}")]);
        lab.keytab(&spn, &keytab);
        Self { site, keytab, spn, _folder: folder }
    }

    fn configure(&self, lab: &Lab) -> PathBuf {
        self.site.configure(&Directory::of(lab), OFTEN)
    }
}

/// The binary, as the exporter's account.
fn as_exporter(lab: &Lab) -> Command {
    let mut program = binary(lab);
    with_keytab(&mut program, Path::new(lab.text("/exporter/keytab")));
    program
}

/// What `check` prints for people.
fn text(mut program: Command, config: &Path) -> String {
    let output = program.args(["check", "--config.file"]).arg(config).output().unwrap();
    format!("{}{}", String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_ticket_or_a_keytab_logs_in_over_tls_and_without() {
    let mut lab = shared();
    for encrypted in [Encrypted::Yes, Encrypted::No] {
        let place = Place::start(&mut lab, encrypted, &[]);
        let config = place.configure(&lab);
        let mut with_ticket = binary(&lab);
        with_ticket.env("KRB5CCNAME", log_on(&lab, &place.site));
        let sealed = if encrypted == Encrypted::Yes { "encrypted" } else { "not encrypted" };
        for program in [with_ticket, as_exporter(&lab)] {
            let page = text(program, &config);
            let logins = place.site.servers[0].logins();
            assert!(
                page.contains(&format!("own session  KERBEROS over TCP, {sealed}")),
                "{logins:?}\n{page}"
            );
        }
        // The exporter looks at the name that its own ticket was for.
        let checked = check(as_exporter(&lab), &config);
        let spns = checked.report["instances"][0]["spns"].as_array().unwrap();
        let own = spns.iter().find(|row| row["spn"] == place.spn.as_str());
        assert_eq!(own.unwrap()["status"], "good", "{}", checked.text);
        let logins = place.site.servers[0].logins();
        assert_eq!(logins.len(), 3, "{logins:?}");
        for login in logins {
            assert_eq!(login.principal, Some(Ok(lab.text("/exporter/principal").to_owned())));
            assert_eq!((login.accepted, login.user.as_str()), (true, "CORP\\svc_exporter"));
        }
        assert_eq!(place.site.servers[0].violations(), Vec::<String>::new());
    }
    lab.clear();
}

#[test]
fn a_name_that_nobody_holds_is_said_with_the_name() {
    let mut lab = shared();
    let place = Place::start(&mut lab, Encrypted::Yes, &[]);
    lab.set(ACCOUNT, "servicePrincipalName", &[&format!("MSSQLSvc/{HOST}")]);
    let page = text(as_exporter(&lab), &place.configure(&lab));
    // The KDC's answer, not the end of a deadline.
    assert!(page.contains(&format!("ticket for {}: error 7: ", place.spn)), "{page}");
    assert!(page.contains("instances[].address must be the name that the SPN is registered for"), "{page}");
    assert_eq!(place.site.servers[0].logins(), [], "there was nothing to log in with");
    lab.clear();
}

#[test]
fn a_server_with_an_old_key_refuses() {
    let mut lab = shared();
    let place = Place::start(&mut lab, Encrypted::Yes, &[]);
    // The service's password has changed since its keytab was written.
    lab.set(ACCOUNT, "unicodePwd", &["Chan.ged-12"]);
    let page = text(as_exporter(&lab), &place.configure(&lab));
    assert!(page.contains("sqlserver: credentials: "), "{page}");
    assert!(page.contains("login of the integrated identity: error 18452: "), "{page}");
    assert!(page.contains("the SPN is held by another account than the service's"), "{page}");
    let logins = place.site.servers[0].logins();
    assert!(
        logins.iter().all(|login| matches!(&login.principal, Some(Err(_))) && !login.accepted),
        "{logins:?}"
    );
    // With the key of now it works.
    lab.keytab(&place.spn, &place.keytab);
    let page = text(as_exporter(&lab), &place.configure(&lab));
    assert!(page.contains("own session  KERBEROS over TCP, encrypted"), "{page}");
    lab.clear();
}

#[test]
fn a_server_that_demands_extended_protection_refuses() {
    let mut lab = shared();
    let place = Place::start(&mut lab, Encrypted::Yes, &["--channel-binding"]);
    let page = text(as_exporter(&lab), &place.configure(&lab));
    assert!(page.contains("error 18452: ") && page.contains("requires Extended Protection"), "{page}");
    lab.clear();
}

/// A domain controller that is stopped: TCP connects, UDP arrives, nobody answers.
struct Stopped<'a> {
    lab: &'a Lab,
    pid: &'static str,
}

impl<'a> Stopped<'a> {
    fn partner(lab: &'a Lab) -> Self {
        let pid = "/partner/servers/0/pid";
        lab.signal_to(pid, "STOP");
        Self { lab, pid }
    }

    /// The lab's Kerberos configuration, with this one as the realm's only KDC.
    fn as_kdc(&self) -> String {
        let own = format!("kdc = {}", self.lab.address(0));
        let hung = format!("kdc = {}", self.lab.text("/partner/servers/0/ip"));
        let text = std::fs::read_to_string(self.lab.text("/krb5_conf")).unwrap();
        assert!(text.contains(&own), "{text}");
        text.replace(&own, &hung)
    }
}

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        self.lab.signal_to(self.pid, "CONT");
    }
}

#[test]
fn a_hung_kdc_costs_a_deadline_and_one_thread() {
    let mut lab = shared();
    let mut place = Place::start(&mut lab, Encrypted::Yes, &[]);
    // A deadline that is waited for, and still many times what a login takes.
    place.site.timeout = 5;
    let config = place.configure(&lab);
    let stopped = Stopped::partner(&lab);
    let krb5 = place.site.secret("krb5.conf", &stopped.as_kdc());
    let program = || {
        let mut program = as_exporter(&lab);
        program.env("KRB5_CONFIG", &krb5);
        program
    };
    let started = Instant::now();
    let page = text(program(), &config);
    assert!(page.contains("sqlserver: timeout: "), "{page}");
    // One deadline of 5 s, the other one meets the thread that still waits; MIT's library alone takes some 27 s.
    assert!(started.elapsed() < Duration::from_secs(25), "{:?}\n{page}", started.elapsed());

    let daemon = Daemon::start(program(), &config);
    let (mut most, mut has_met) = (0, false);
    let is_up = |page: &str| sample(page, "probe_success", &[("probe", "sqlserver")]) == Some(1.0);
    let timeouts = [("probe", "sqlserver"), ("kind", "timeout")];
    daemon.until("three attempts", |page| {
        assert!(!is_up(page));
        most = most.max(daemon.n_threads("integrated-login"));
        has_met |= daemon.page("/explain", "text/plain").contains("previous attempt still running");
        // What is asked without Kerberos is known all the same.
        has_met
            && sample(page, "probe_failures_total", &timeouts) >= Some(3.0)
            && sample(page, "probe_success", &[("probe", "directory")]) == Some(1.0)
    });
    assert_eq!(most, 1, "threads abandoned at once");
    drop(stopped);
    place.site.secret("krb5.conf", &std::fs::read_to_string(lab.text("/krb5_conf")).unwrap());
    daemon.until("logged in without a restart", is_up);
    drop(daemon);
    drop(place);
    lab.clear();
}

#[test]
fn a_keytab_of_an_old_password_costs_one_attempt_whoever_logs_in_with_it() {
    let mut lab = shared();
    let place = Place::start(&mut lab, Encrypted::No, &[]);
    let sam = lab.text("/exporter/user").split('@').next().unwrap().to_owned();
    lab.set(&sam, "unicodePwd", &["Chan.ged-12"]);
    // The instance twice, and the directory: three that would log in with it.
    let servers = vec![format!("ldap://{}", lab.text("/servers/0/host"))];
    let directory = Directory { servers, simple: None, ..Directory::of(&lab) };
    let config = place.site.configure(&directory, OFTEN);
    let yaml = std::fs::read_to_string(&config).unwrap();
    let (head, rest) = yaml.split_once("  - name: ").unwrap();
    let (instance, tail) = rest.split_once("\ndirectory:").unwrap();
    let second = instance.replacen("SQL01", "SECOND", 1);
    let twice = format!("{head}  - name: {instance}\n  - name: {second}\ndirectory:{tail}");
    std::fs::write(&config, twice).unwrap();
    let n_wrong = |lab: &Lab| Forest::own(lab).number(&sam, "badPwdCount");

    let page = text(as_exporter(&lab), &config);
    assert!(page.contains("integrated login: ") && page.contains("Preauthentication failed"), "{page}");
    assert!(page.contains("was refused a moment ago and is not offered again"), "{page}");
    assert_eq!(n_wrong(&lab), 1, "{page}");

    let daemon = Daemon::start(as_exporter(&lab), &config);
    let refused = |page: &str| {
        let n = |name| {
            let labels = [("mssql_instance", name), ("probe", "sqlserver"), ("kind", "credentials")];
            sample(page, "probe_failures_total", &labels).unwrap()
        };
        n("SQL01") + n("SECOND")
    };
    daemon.until("refused", |page| refused(page) >= 1.0);
    let looks = |page: &str| {
        let labels = [("mssql_instance", "SQL01"), ("probe", "host")];
        sample(page, "probe_attempts_total", &labels).unwrap()
    };
    let before = looks(&daemon.metrics());
    let page = daemon.until("five more looks of another probe", |page| looks(page) >= before + 5.0);
    assert_eq!(refused(&page), 1.0);
    assert_eq!(n_wrong(&lab), 2, "one by each program");
    drop(daemon);
    lab.clear();
}
