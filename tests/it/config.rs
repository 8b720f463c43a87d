//! The configuration from outside: good files, one bad file per mistake with its exact message, the order of the layers,
//! and that no secret is ever shown. `UPDATE_EXPECT=1` refreshes the messages.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use expect_test::expect_file;
use mssql_kerberos_exporter::cli::{Arguments, Flags, LogFormat, LogLevel};
use mssql_kerberos_exporter::config::{Config, Errors, Sources, load};
use mssql_kerberos_exporter::directory::Bind;
use mssql_kerberos_exporter::model::secret::SecretSource;
use mssql_kerberos_exporter::model::settings::AccountLabel;
use mssql_kerberos_exporter::sqlserver::{Encryption, Login};
use mssql_kerberos_exporter::ticket::{HAS_LOGON_SESSION, Identity, Principal};

const FINDINGS: &[&str] = &["missing_spn", "duplicate_spn", "dynamic_port", "ntlm_fallback"];

/// What stands in the fixtures wherever a secret could: no output may contain them.
const CANARIES: &[&str] = &["canary", "7730001"];

fn fixtures(folder: &str) -> PathBuf {
    Path::new("tests/fixtures/config").join(folder)
}

/// Loads with a command line, as the binary would, but with this environment and without a default file.
fn load_with(flags: &[&str], environment: &[(&str, &str)]) -> Result<Config, Errors> {
    let arguments = Arguments::read(std::iter::once("x").chain(flags.iter().copied())).unwrap();
    load_flags(&arguments.flags, environment)
}

/// No file, no variable, no instance on this host.
fn sources(flags: &Flags) -> Sources<'_> {
    Sources {
        default_file: PathBuf::from("tests/fixtures/config/absent.yml"),
        environment: Vec::new(),
        flags,
        local_instances: Vec::new(),
        findings: FINDINGS,
    }
}

fn load_flags(flags: &Flags, environment: &[(&str, &str)]) -> Result<Config, Errors> {
    let environment = environment.iter().map(|(n, v)| (OsString::from(n), OsString::from(v))).collect();
    load(&Sources { environment, ..sources(flags) })
}

fn load_file(path: &Path) -> Result<Config, Errors> {
    load_flags(&Flags { config_file: Some(path.to_owned()), ..Flags::default() }, &[])
}

fn load_text(text: &str, environment: &[(&str, &str)]) -> Result<Config, Errors> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yml");
    std::fs::write(&path, text).unwrap();
    load_flags(&Flags { config_file: Some(path), ..Flags::default() }, environment)
}

fn defaults() -> Config {
    load_with(&[], &[]).unwrap()
}

/// The messages of an environment alone.
fn messages(environment: &[(&str, &str)]) -> String {
    load_with(&[], environment).unwrap_err().to_string()
}

fn assert_no_canary(text: &str) {
    for canary in CANARIES {
        assert!(!text.contains(canary), "shows {canary}: {text}");
    }
}

#[test]
fn each_bad_file_has_its_message() {
    let mut n_files = 0;
    for entry in std::fs::read_dir(fixtures("bad")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yml") {
            continue;
        }
        n_files += 1;
        let errors = load_file(&path).map(|_| ()).expect_err(&path.display().to_string());
        assert_no_canary(&errors.to_string());
        assert_no_canary(&format!("{errors:?}"));
        // The same text whatever the platform's separator is.
        let text = errors.to_string().replace(&path.display().to_string(), "config.yml");
        let golden = std::env::current_dir().unwrap().join(path.with_extension("txt"));
        expect_file![golden].assert_eq(&format!("{text}\n"));
    }
    assert!(n_files >= 25, "only {n_files} mistakes are tried");
}

#[test]
fn each_message_has_its_file() {
    for entry in std::fs::read_dir(fixtures("bad")).unwrap() {
        let path = entry.unwrap().path();
        assert!(path.with_extension("yml").exists(), "{} has no file", path.display());
    }
}

#[test]
fn each_good_file_is_good() {
    for entry in std::fs::read_dir(fixtures("good")).unwrap() {
        let path = entry.unwrap().path();
        if let Err(errors) = load_file(&path) {
            panic!("{errors}");
        }
    }
}

#[test]
fn without_any_file_one_local_instance() {
    let config = defaults();
    assert_eq!(config.file, None);
    let (declared, reached) = config.instances().next().unwrap();
    assert_eq!((declared.name.as_str(), declared.address.as_str()), ("MSSQLSERVER", "localhost"));
    assert_eq!(declared.address_ip, Some("127.0.0.1".parse().unwrap()));
    assert_eq!(
        (&declared.address_host, &declared.address_instance, declared.address_port),
        (&None, &None, None)
    );
    assert_eq!((&reached.login, reached.encryption), (&Login::Integrated, Encryption::Mandatory));
    assert_eq!(reached.timeout, Duration::from_secs(5));
    assert_eq!(config.instances.len(), 1);
    assert_eq!(config.web.listen_addresses, ["0.0.0.0:10188".parse().unwrap()]);
    assert_eq!((config.web.telemetry_path.as_str(), config.web.route_prefix.as_str()), ("/metrics", ""));
    assert_eq!(config.web.max_requests, 40);
    assert_eq!(config.intervals.connections, Duration::from_secs(15));
    assert_eq!(config.intervals.sqlserver, Duration::from_secs(60));
    for interval in [config.intervals.directory, config.intervals.dns, config.intervals.host] {
        assert_eq!(interval, Duration::from_secs(300));
    }
    assert_eq!((config.directory.timeout, config.directory.max_servers), (Duration::from_secs(10), 5));
    assert_eq!(config.dns.timeout, Duration::from_secs(2));
    assert_eq!(config.intervals.ticket, Duration::from_secs(3_600));
    assert!(config.judge.directory.enabled && config.judge.dns_enabled && config.host.is_some());
    assert_eq!(config.judge.thresholds, mssql_kerberos_exporter::model::settings::Thresholds::default());
}

#[test]
fn empty_files_and_blank_sections_are_the_defaults() {
    for name in ["empty.yml", "comments_only.yml", "blank_sections.yml"] {
        let config = load_file(&fixtures("good").join(name)).unwrap();
        assert_eq!(Config { file: None, ..config }, defaults(), "{name}");
    }
}

#[test]
fn the_example_is_the_defaults_and_says_what_each_key_is_for() {
    let config = load_file(Path::new("deploy/config.example.yml")).unwrap();
    assert_eq!(Config { file: None, ..config }, defaults());
    // Lines that only open a section need no comment.
    let text = std::fs::read_to_string("deploy/config.example.yml").unwrap();
    for line in text.lines().filter(|line| line.contains(": ") && !line.starts_with('#')) {
        assert!(line.contains(" # "), "no comment: {line}");
    }
}

#[test]
fn every_key_arrives() {
    let path = fixtures("good").join("full.yml");
    let config = load_file(&path).unwrap();
    assert_eq!(config.file, Some(path));
    assert_eq!((config.web.route_prefix.as_str(), config.web.telemetry_path.as_str()), ("/sql01", "/m"));
    assert_eq!((config.web.max_requests, config.web.listen_addresses.len()), (7, 2));
    assert_eq!((config.log.level, config.log.format), (LogLevel::Debug, LogFormat::Json));

    let (declared, reached) = config.instances().next().unwrap();
    assert_eq!(declared.name, "PROD");
    assert_eq!(declared.fqdn.as_ref().unwrap().as_str(), "sql01.corp.contoso.com");
    assert_eq!(declared.service_account.as_deref(), Some(r"CORP\svc-sql"));
    let aliases: Vec<_> = declared.aliases.iter().map(|alias| (alias.host.as_str(), alias.port)).collect();
    assert_eq!(aliases, [("sales", None), ("sales.corp.contoso.com", Some(1500))]);
    assert_eq!(declared.expect_ports.iter().copied().collect::<Vec<_>>(), [1433, 1500]);
    assert!(declared.expect_short_names);
    assert_eq!(declared.local_addresses, ["10.1.2.3".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(reached.address.to_string(), r"sql01.corp.contoso.com\PROD,50123");
    assert_eq!((reached.encryption, reached.trust_server_certificate), (Encryption::Strict, Some(false)));
    assert_eq!(reached.ca_file.as_deref(), Some(Path::new("/etc/ca.pem")));
    assert_eq!(reached.timeout, Duration::from_secs(90));
    assert!(!reached.linked_servers);
    // Relative to the file that says it.
    let password = SecretSource::File(fixtures("good").join("secrets/monitor"));
    assert_eq!(reached.login, Login::Sql { user: "monitor".to_owned(), password });

    let (declared, reached) = config.instances().nth(1).unwrap();
    assert_eq!((declared.name.as_str(), reached.address.port), ("reporting", Some(1433)));
    assert_eq!(reached.encryption, Encryption::Off);
    let password = SecretSource::Environment("MONITOR_PASSWORD".to_owned());
    assert_eq!(reached.login, Login::Sql { user: "monitor".to_owned(), password });

    assert_eq!(config.intervals.sqlserver, Duration::from_secs(120));
    assert_eq!(config.intervals.connections, Duration::from_secs(30));
    assert_eq!(config.intervals.directory, Duration::from_secs(600));
    assert_eq!(config.intervals.dns, Duration::from_secs(3600));
    assert_eq!(config.intervals.host, Duration::from_secs(3600));
    assert_eq!(config.host, None);
    assert_eq!(config.intervals.ticket, Duration::from_secs(7_200));
    let ticket = config.ticket.as_ref().unwrap();
    let keytab = fixtures("good").join("exporter.keytab");
    let principal = Some(Principal::parse("svc_exporter@CORP.CONTOSO.COM").unwrap());
    assert_eq!(ticket.identity, Identity::Keytab { principal, keytab });
    assert_eq!(ticket.timeout, Duration::from_secs(1));
    let asked = config.judge.ticket.as_ref().unwrap();
    assert_eq!(asked.realm.as_ref().unwrap().as_str(), "corp.contoso.com");
    let kdcs: Vec<String> = asked.kdcs.iter().map(ToString::to_string).collect();
    assert_eq!(kdcs, ["dc1.corp.contoso.com", "10.0.0.1:1088"]);
    assert!(asked.asks_accounts);
    assert_eq!(declared_keytab_info(&config), Some(fixtures("good").join("mssql-keytab.json")));
    let asked = &config.judge.directory;
    assert!(!asked.enabled && !config.judge.dns_enabled);
    assert_eq!(asked.domain.as_ref().unwrap().as_str(), "corp.contoso.com");
    assert_eq!(asked.site.as_deref(), Some("Berlin"));
    assert_eq!(asked.servers, ["ldaps://dc1.corp.contoso.com", "ldap://dc2.corp.contoso.com:389"]);
    assert_eq!(asked.global_catalogs, ["ldaps://dc1.corp.contoso.com:3269"]);
    assert_eq!(asked.also, config.directory.also);
    assert_eq!(asked.also[0].as_str(), "partner.example");
    let directory = &config.directory;
    assert_eq!(
        (directory.max_servers, directory.start_tls, directory.timeout),
        (2, true, Duration::from_secs(3))
    );
    assert_eq!(directory.ca_file, Some(fixtures("good").join("ca.pem")));
    let password = SecretSource::File(PathBuf::from("/run/secrets/reader"));
    assert_eq!(directory.bind, Bind::Simple { user: "reader@corp.contoso.com".to_owned(), password });
    assert_eq!(config.dns.servers, ["10.0.0.1:53".parse().unwrap(), "[fe80::1]:5353".parse().unwrap()]);
    assert_eq!(config.dns.timeout, Duration::from_millis(500));

    let judge = &config.judge;
    assert_eq!(judge.thresholds.password_expiring, Duration::from_secs(7 * 86_400));
    assert_eq!(judge.thresholds.clock_skew, Duration::from_secs(60));
    assert!((judge.thresholds.ntlm_share - 0.5).abs() < f64::EPSILON);
    assert_eq!((judge.thresholds.ntlm_min_connections, judge.ntlm_clients), (1, 10));
    assert!(judge.kerberos_required);
    assert_eq!(judge.ignore.hosts, ["10.0.0.1"]);
    assert_eq!(judge.ignore.programs, ["Backup"]);
    assert_eq!(judge.ignore.logins, [r"CORP\x"]);
    assert_eq!(judge.account_label, AccountLabel::Hash);
    let accepted: Vec<_> =
        judge.accept.iter().map(|a| (a.finding.as_str(), a.subject.as_str(), a.until)).collect();
    // `date -u -d 2031-12-31 +%s` / 86400
    assert_eq!(
        accepted,
        [("missing_spn", "MSSQLSvc/sql01:1433", Some(22_644)), ("dynamic_port", "PROD", None)]
    );
}

fn declared_keytab_info(config: &Config) -> Option<PathBuf> {
    config.judge.instances[0].keytab_info.clone()
}

/// Off unless there is somebody to ask as; then on, unless it is switched off. On Windows there is always the logon session.
#[test]
fn tickets_need_an_identity() {
    let off = |text: &str| load_text(text, &[]).unwrap().judge.ticket.unwrap_err();
    let auto = ["", "ticket: { enabled: auto }"].map(|text| (text, "no identity is configured"));
    let never = ["ticket: { enabled: false, keytab: a }", "ticket: { enabled: \"false\" }"];
    let never = never.map(|text| (text, "ticket.enabled is false"));
    for (text, part) in auto.into_iter().filter(|_| !cfg!(windows)).chain(never) {
        let gap = off(text);
        assert!(gap.text.contains(part) && !gap.reason.is_failing(), "{text}: {gap}");
    }
    for text in [
        "ticket: { keytab: a }",
        "ticket: { enabled: true, keytab: a }",
        "ticket: { enabled: auto, principal: a@B.C, password_file: p }",
    ] {
        let config = load_text(text, &[]).unwrap();
        assert_ne!(config.ticket.as_ref().unwrap().identity, Identity::LogonSession, "{text}");
        assert!(!config.judge.ticket.unwrap().asks_accounts, "{text}: opt-in");
    }
}

/// Without an identity nobody is asked anything, which is not what somebody wants who switches this on.
#[test]
fn service_accounts_are_asked_about_with_an_identity() {
    let text = "ticket: { ask_service_accounts: true }";
    if cfg!(windows) {
        assert!(load_text(text, &[]).unwrap().judge.ticket.unwrap().asks_accounts);
    } else {
        let said = load_text(text, &[]).unwrap_err().to_string();
        assert!(said.contains("ticket.ask_service_accounts: nobody is asked without an identity"), "{said}");
    }
    let off = load_text("ticket: { ask_service_accounts: true, enabled: false }", &[]).unwrap();
    assert!(off.judge.ticket.is_err(), "switched off on purpose");
}

/// Neither keytab nor password: the logon session, in a build that can ask it.
#[test]
fn tickets_through_the_logon_session() {
    let text = "ticket: { enabled: true, ask_service_accounts: true }";
    if HAS_LOGON_SESSION {
        let config = load_text(text, &[]).unwrap();
        let (own, asked) = (config.ticket.unwrap(), config.judge.ticket.unwrap());
        assert_eq!((own.identity, asked.realm, asked.asks_accounts), (Identity::LogonSession, None, true));
    } else {
        let said = load_text(text, &[]).unwrap_err().to_string();
        assert!(said.contains("ticket.enabled: needs `keytab`") && said.contains("feature gssapi"), "{said}");
    }
    assert_eq!(HAS_LOGON_SESSION, cfg!(any(windows, feature = "gssapi")));
    // A principal says that it is to be somebody else.
    let said = load_text("ticket: { enabled: true, principal: a@B.C }", &[]).unwrap_err().to_string();
    assert!(said.contains("ticket.principal: needs `keytab` or `password_file`"), "{said}");
    let is_on = load_text("", &[]).unwrap().ticket.is_some();
    assert_eq!(is_on, cfg!(windows), "auto");
}

#[test]
fn file_over_defaults_environment_over_file_flags_over_environment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yml");
    std::fs::write(
        &path,
        "web: { max_requests: 1, telemetry_path: /f }\nlog: { level: debug }\ndns: { timeout: 9s }\n",
    )
    .unwrap();
    let file = path.to_str().unwrap();
    let environment = [
        ("MSSQL_KERBEROS_WEB__MAX_REQUESTS", "2"),
        ("MSSQL_KERBEROS_LOG__LEVEL", "warn"),
        ("MSSQL_KERBEROS_WEB__LISTEN_ADDRESSES", "[\"127.0.0.1:1\"]"),
    ];
    let config =
        load_with(&["--config.file", file, "--web.max-requests", "3", "--log.level", "error"], &environment)
            .unwrap();
    assert_eq!((config.web.max_requests, config.log.level), (3, LogLevel::Error));
    assert_eq!(config.web.listen_addresses, ["127.0.0.1:1".parse().unwrap()]);
    let config = load_with(&["--config.file", file], &environment).unwrap();
    assert_eq!((config.web.max_requests, config.log.level), (2, LogLevel::Warn));
    let config = load_with(&["--config.file", file], &[]).unwrap();
    assert_eq!((config.web.max_requests, config.log.level), (1, LogLevel::Debug));
    // What a layer does not say stays as it was.
    assert_eq!((config.web.telemetry_path.as_str(), config.dns.timeout), ("/f", Duration::from_secs(9)));
    assert_eq!(config.log.format, LogFormat::Logfmt);
}

#[test]
fn every_flag_lands_at_its_key() {
    let config = load_with(
        &[
            "--web.listen-address",
            "127.0.0.1:1",
            "--web.listen-address",
            ":2",
            "--web.telemetry-path",
            "/m",
            "--web.enable-lifecycle",
            "--web.max-requests",
            "9",
            "--web.route-prefix",
            "/p",
            "--log.level",
            "warn",
            "--log.format",
            "json",
        ],
        &[],
    )
    .unwrap();
    assert_eq!(config.web.listen_addresses, ["127.0.0.1:1".parse().unwrap(), "0.0.0.0:2".parse().unwrap()]);
    assert_eq!((config.web.telemetry_path.as_str(), config.web.route_prefix.as_str()), ("/m", "/p"));
    assert_eq!((config.web.max_requests, config.log.level), (9, LogLevel::Warn));
    assert!(config.web.enable_lifecycle);
    assert_eq!(config.log.format, LogFormat::Json);
}

#[test]
fn a_wrong_flag_is_named() {
    for (flags, message) in [
        (["--web.max-requests", "0"], "--web.max-requests: web.max_requests: must be at least 1"),
        (
            ["--web.telemetry-path", "/"],
            "--web.telemetry-path: web.telemetry_path: / is another page of the exporter",
        ),
        (
            ["--web.listen-address", "sql01"],
            "--web.listen-address: web.listen_addresses[0]: found \"sql01\", expected an IP address with a port, such as \
             0.0.0.0:10188, [::]:10188 or :10188",
        ),
    ] {
        assert_eq!(load_with(&flags, &[]).unwrap_err().to_string(), message);
    }
}

#[test]
fn variables_keep_their_text() {
    let config = load_with(
        &[],
        &[
            ("MSSQL_KERBEROS_DIRECTORY__SITE", "00123"),
            ("MSSQL_KERBEROS_DIRECTORY__TIMEOUT", "3s"),
            ("MSSQL_KERBEROS_DIRECTORY__START_TLS", "true"),
            ("MSSQL_KERBEROS_DIRECTORY__BIND__METHOD", "simple"),
            ("MSSQL_KERBEROS_DIRECTORY__BIND__USER", "42"),
            ("MSSQL_KERBEROS_DIRECTORY__BIND__PASSWORD_ENV", "MSSQL_KERBEROS_AD_PASSWORD"),
            // The variable that the line above names is no key, although its name begins like one.
            ("MSSQL_KERBEROS_AD_PASSWORD", "canary"),
            ("MSSQL_KERBEROS_THRESHOLDS__NTLM_SHARE", "1"),
            ("SOMETHING_ELSE", "x"),
        ],
    )
    .unwrap();
    assert_eq!(config.judge.directory.site.as_deref(), Some("00123"));
    assert_eq!((config.directory.timeout, config.directory.start_tls), (Duration::from_secs(3), true));
    let password = SecretSource::Environment("MSSQL_KERBEROS_AD_PASSWORD".to_owned());
    assert_eq!(config.directory.bind, Bind::Simple { user: "42".to_owned(), password });
    assert_no_canary(&format!("{config:?}"));
}

#[test]
fn a_list_is_given_whole_in_either_way_of_writing() {
    for text in [
        r#"[{address="sql1", login={method="sql", user="m", password_env="P"}}]"#,
        "[{address: sql1, login: {method: sql, user: m, password_env: P}}]",
        r#"[{"address": "sql1", "login": {"method": "sql", "user": "m", "password_env": "P"}}]"#,
        "- address: sql1\n  login:\n    method: sql\n    user: m\n    password_env: P\n",
    ] {
        let config = load_with(&[], &[("MSSQL_KERBEROS_INSTANCES", text)]).unwrap();
        assert_eq!(config.judge.instances[0].address, "sql1", "{text}");
        let password = SecretSource::Environment("P".to_owned());
        assert_eq!(config.instances[0].login, Login::Sql { user: "m".to_owned(), password }, "{text}");
    }
}

#[test]
fn what_kubernetes_injects_for_our_service_is_ignored() {
    let injected = [
        ("MSSQL_KERBEROS_EXPORTER_SERVICE_HOST", "10.96.0.17"),
        ("MSSQL_KERBEROS_EXPORTER_SERVICE_PORT", "10188"),
        ("MSSQL_KERBEROS_EXPORTER_SERVICE_PORT_METRICS", "10188"),
        ("MSSQL_KERBEROS_EXPORTER_PORT", "tcp://10.96.0.17:10188"),
        ("MSSQL_KERBEROS_EXPORTER_PORT_10188_TCP", "tcp://10.96.0.17:10188"),
        ("MSSQL_KERBEROS_EXPORTER_PORT_10188_TCP_ADDR", "10.96.0.17"),
    ];
    assert_eq!(load_with(&[], &injected).unwrap(), defaults());
}

#[test]
fn a_wrong_variable_is_named() {
    for (name, value, message) in [
        (
            "MSSQL_KERBEROS_DIRECTORY__TIMEOUT",
            "3",
            "directory.timeout: found \"3\", expected a duration such as 500ms, 15s, 5m, 1h or 14d",
        ),
        (
            "MSSQL_KERBEROS_DIRECTORY__TIMOUT",
            "3s",
            "directory.timout: unknown key; did you mean directory.timeout?",
        ),
        ("MSSQL_KERBEROS_LOGINS__ENABLED", "true", "logins: `logins` is not in this version"),
        (
            "MSSQL_KERBEROS_TICKET__PRINCIPAL",
            "svc@CORP.CONTOSO.COM",
            "ticket.principal: needs `keytab` or `password_file`",
        ),
        (
            "MSSQL_KERBEROS_WEB__MAX_REQUESTS",
            "x",
            "web.max_requests: found \"x\", expected a whole number, not negative",
        ),
        ("MSSQL_KERBEROS_DNS__ENABLED", "on", "dns.enabled: found \"on\", expected true or false"),
        ("MSSQL_KERBEROS_DNS__SERVERS", "10.0.0.1", "dns.servers: found \"10.0.0.1\", expected a list"),
        (
            "MSSQL_KERBEROS_INSTANCES__0__ADDRESS",
            "sql1",
            "instances: a list is given whole, such as [\"a\", \"b\"] or [{ address: sql01 }]",
        ),
        (
            "MSSQL_KERBEROS_DIRECTORY__BIND__PASSWORD",
            "canary",
            "directory.bind.password: a password is never written into the configuration: use password_file or \
             password_env",
        ),
    ] {
        assert_eq!(messages(&[(name, value)]), format!("environment variable {name}: {message}"));
    }
}

#[test]
fn variables_never_show_a_secret() {
    for (name, value) in [
        ("MSSQL_KERBEROS_INSTANCES", "[{login: {method: sql, user: m, password: canary}}]"),
        ("MSSQL_KERBEROS_INSTANCES", "[{login: canary}]"),
        ("MSSQL_KERBEROS_INSTANCES", "[{login={password=\"canary\"}}]"),
        ("MSSQL_KERBEROS_INSTANCES", "[{address: 'x;pwd=canary'"),
        ("MSSQL_KERBEROS_INSTANCES", "Server=x;Password=canary"),
        ("MSSQL_KERBEROS_DIRECTORY__BIND", "canary"),
        ("MSSQL_KERBEROS_DIRECTORY__BIND", "{method: simple, user: [canary], password_file: 7730001}"),
        ("MSSQL_KERBEROS_DIRECTORY__BIND__METHOD", "canary"),
        ("MSSQL_KERBEROS_DIRECTORY__PASSWORD", "canary"),
        ("MSSQL_KERBEROS_PASSWORD", "canary"),
        ("MSSQL_KERBEROS_WEB__MAX_REQUESTS", "password: canary"),
        ("MSSQL_KERBEROS_DIRECTORY__SERVERS", "['ldap://u:canary@dc1']"),
    ] {
        let errors = load_with(&[], &[(name, value)]).unwrap_err();
        assert!(errors.to_string().contains(name), "{errors}");
        assert_no_canary(&errors.to_string());
        assert_no_canary(&format!("{errors:?}"));
    }
}

#[test]
fn a_configuration_shows_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("monitor");
    std::fs::write(&secret, "canary\n").unwrap();
    let text = format!(
        "instances:\n  - login: {{ method: sql, user: monitor, password_file: {secret:?} }}\n\
         directory: {{ bind: {{ method: simple, user: reader, password_env: READER }}, start_tls: true }}\n"
    );
    let config = load_text(&text, &[("READER", "canary")]).unwrap();
    let shown = format!("{config:?} {config:#?}");
    assert!(shown.contains("monitor") && shown.contains("READER"));
    assert_no_canary(&shown);
}

#[test]
fn a_file_that_was_asked_for_has_to_be_there() {
    let errors = load_with(&["--config.file", "tests/absent.yml"], &[]).unwrap_err();
    let text = errors.to_string();
    assert!(text.starts_with("tests/absent.yml: cannot be read: "), "{text}");
    let errors = load_with(&["--config.file", "tests/fixtures"], &[]).unwrap_err();
    assert_eq!(errors.to_string(), "tests/fixtures: cannot be read: it is a directory");
}

/// Root may read everything, so the file is read by a copy of this test that runs as nobody.
#[cfg(unix)]
#[test]
fn a_file_without_permission_is_a_mistake_even_at_the_default_place() {
    use std::os::unix::fs::PermissionsExt;

    const IN_COPY: &str = "CONFIG_FILE_OF_COPY";
    if let Some(path) = std::env::var_os(IN_COPY) {
        let flags = Flags::default();
        let sources = Sources { default_file: path.into(), ..sources(&flags) };
        println!("{}", load(&sources).unwrap_err());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let path = folder.path().join("config.yml");
    std::fs::write(&path, "web: { max_requests: 3 }\n").unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o000)).unwrap();
    // The copy lies where nobody may enter, too: the folders above this program may be closed.
    let copy = folder.path().join("it");
    std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    let is_root = std::fs::File::open(&path).is_ok();
    let mut command = match is_root {
        true => {
            let mut command = std::process::Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&copy);
            command
        }
        false => std::process::Command::new(&copy),
    };
    let name = "config::a_file_without_permission_is_a_mistake_even_at_the_default_place";
    let output =
        command.args(["--exact", name, "--nocapture"]).env(IN_COPY, &path).current_dir("/").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let expected = format!("{}: cannot be read: Permission denied (os error 13)\n", path.display());
    assert!(output.status.success() && text.contains(&expected), "{output:?}");
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_utf8_is_named() {
    use std::os::unix::ffi::OsStringExt;

    let flags = Flags::default();
    let name = "MSSQL_KERBEROS_DIRECTORY__SITE";
    let environment = vec![(OsString::from(name), OsString::from_vec(b"M\xfcnchen".to_vec()))];
    let sources = Sources { environment, ..sources(&flags) };
    let text = load(&sources).unwrap_err().to_string();
    assert_eq!(text, format!("environment variable {name}: directory.site: is not UTF-8 text"));
}

#[test]
fn the_instances_of_this_host_are_the_default() {
    let flags = Flags::default();
    let names = ["SALES", "MSSQLSERVER", "not a name\n"].map(str::to_owned).to_vec();
    let folder = tempfile::tempdir().unwrap();
    let here =
        Sources { default_file: folder.path().join("config.yml"), local_instances: names, ..sources(&flags) };
    let named = |config: &Config| -> Vec<(String, String)> {
        config.instances().map(|(own, sql)| (own.name.clone(), sql.address.to_string())).collect()
    };
    let both = [("MSSQLSERVER", "localhost"), ("SALES", "localhost\\SALES")];
    let both = both.map(|(name, address)| (name.to_owned(), address.to_owned()));
    assert_eq!(named(&load(&here).unwrap()), both);
    // Who names some means these alone.
    std::fs::write(&here.default_file, "instances: [{ address: 'localhost\\HR' }]\n").unwrap();
    assert_eq!(named(&load(&here).unwrap()), [("HR".to_owned(), "localhost\\HR".to_owned())]);
}

#[test]
fn the_default_file_may_be_absent_and_is_read_if_there() {
    let folder = tempfile::tempdir().unwrap();
    let default_file = folder.path().join("config.yml");
    let flags = Flags::default();
    let sources = Sources { default_file: default_file.clone(), ..sources(&flags) };
    assert_eq!(load(&sources).unwrap().file, None);
    std::fs::write(&default_file, "web: { max_requests: 3 }\n").unwrap();
    let config = load(&sources).unwrap();
    assert_eq!((config.file, config.web.max_requests), (Some(default_file.clone()), 3));
    std::fs::write(&default_file, "web: { max_requests: x }\n").unwrap();
    let text = load(&sources).unwrap_err().to_string();
    assert_eq!(
        text,
        format!(
            "{}:1: web.max_requests: found \"x\", expected a whole number, not negative",
            default_file.display()
        )
    );
}

#[test]
fn a_file_of_another_kind_is_not_read_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yml");
    std::fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    let text = load_file(&path).unwrap_err().to_string();
    assert!(text.ends_with("is larger than 1 MiB: not a configuration"), "{text}");
}

/// Whatever stands in a file, the answer is a configuration or a list of mistakes.
#[test]
fn cut_off_and_damaged_files_never_panic() {
    let text = std::fs::read(fixtures("good").join("full.yml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.yml");
    let mut damaged: Vec<Vec<u8>> = (0..text.len()).step_by(7).map(|end| text[..end].to_vec()).collect();
    for at in (0..text.len()).step_by(11) {
        for byte in [b'{', b'*', b'\t', b':', 0, 0xff] {
            let mut copy = text.clone();
            copy[at] = byte;
            damaged.push(copy);
        }
    }
    for bytes in damaged {
        std::fs::write(&path, bytes).unwrap();
        if let Err(errors) = load_file(&path) {
            assert!(!errors.0.is_empty() && !errors.to_string().is_empty());
        }
    }
}
