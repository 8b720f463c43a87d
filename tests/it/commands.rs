//! The binary as a person runs it: output and exit code of each command.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use mssql_kerberos_exporter::sqlserver::queries::SESSION_SETUP;
use peers::tds::Behaviour;

use crate::world::{World, scenarios};

const BINARY: &str = env!("CARGO_BIN_EXE_mssql-kerberos-exporter");

/// What is awaited here takes a moment; the rest is for a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn run(arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).env_clear().stdin(Stdio::null()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn with_config(world: &World, arguments: &[&str]) -> Output {
    let file = world.write(&world.yaml());
    let mut all = vec!["--config.file", file.to_str().unwrap()];
    all.extend(arguments);
    run(&all)
}

#[test]
fn help_and_version_go_to_stdout() {
    let help = run(&["--help"]);
    assert!(help.status.success() && text(&help.stdout).contains("check"), "{help:?}");
    let version = run(&["--version"]);
    assert!(text(&version.stdout).starts_with("mssql-kerberos-exporter 0."), "{version:?}");
    assert!(version.stderr.is_empty() && help.stderr.is_empty());
}

#[test]
fn bad_usage_and_bad_configuration_are_2() {
    assert_eq!(run(&["--nonsense"]).status.code(), Some(2));
    let missing = run(&["--config.file", "/nonexistent/config.yml", "check"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stderr).contains("/nonexistent/config.yml"), "{missing:?}");
    let checked = run(&["--config.check"]);
    assert_eq!(checked.status.code(), Some(0), "{checked:?}");
}

#[test]
fn a_port_in_use_is_3_and_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&["--web.listen-address", &address]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(text(&output.stderr).contains(&address), "{output:?}");
}

#[test]
fn check_says_what_is_wrong_by_its_exit_code() {
    for (scenario, arguments, code) in [
        ("healthy", &["check"][..], 0),
        ("missing_spn", &["check"], 1),
        ("duplicate_spn", &["check"], 1),
        ("missing_spn", &["check", "--fail-on", "critical"], 0),
        ("duplicate_spn", &["check", "--fail-on", "critical"], 1),
    ] {
        let world = World::start(scenario);
        let output = with_config(&world, arguments);
        assert_eq!(output.status.code(), Some(code), "{scenario} {arguments:?}\n{}", text(&output.stdout));
        assert!(text(&output.stdout).contains("MSSQLSvc/sql01.corp.contoso.com:1433"), "{output:?}");
    }
    let world = World::start("healthy");
    world.running.servers[0].set_behaviour(Behaviour::RefuseLogin { number: 18_456, text: "no".into() });
    let output = with_config(&world, &["check"]);
    assert_eq!(
        output.status.code(),
        Some(1),
        "exporter_credentials_rejected is a warning\n{}",
        text(&output.stdout)
    );
    assert_eq!(world.running.servers[0].logins().len(), 1, "a refused login is offered once");
}

/// `check | head` under `pipefail`: what was found is told although nobody reads it to the end.
#[test]
fn a_reader_that_goes_early_does_not_make_a_fault_healthy() {
    let world = World::start("missing_spn");
    let file = world.write(&world.yaml());
    let mut child = Command::new(BINARY)
        .args(["--config.file", file.to_str().unwrap(), "check"])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(1));
}

/// Every row of the scenario table: healthy and not applicable are 0, warning and critical 1, blind 3.
#[test]
fn check_of_every_scenario_ends_with_the_code_of_its_verdicts() {
    let mut n_healthy = 0;
    for name in scenarios() {
        let world = World::start(&name);
        let verdicts = &world.scenario.expect.as_ref().unwrap().verdicts;
        let has = |wanted: &[&str]| verdicts.iter().any(|verdict| wanted.contains(&verdict.as_str()));
        let code = match (has(&["broken", "degraded"]), has(&["unknown"])) {
            (true, _) => 1,
            (false, true) => 3,
            (false, false) => 0,
        };
        n_healthy += usize::from(code == 0);
        let output = with_config(&world, &["check"]);
        assert_eq!(output.status.code(), Some(code), "{name}\n{}", text(&output.stdout));
    }
    assert!(n_healthy > 20, "{n_healthy} healthy rows");
}

#[test]
fn check_as_json_is_json_and_shows_no_secret() {
    let world = World::start("duplicate_spn");
    let output = with_config(&world, &["check", "--format", "json", "--log.level", "debug"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["instances"][0]["verdict"], "broken", "{json:#}");
    let all = text(&output.stdout) + &text(&output.stderr);
    assert!(!all.contains(peers::scenario::READER_PASSWORD), "{all}");
}

#[test]
fn queries_lists_every_statement_and_request() {
    let table = text(&run(&["queries"]).stdout);
    let json: serde_json::Value =
        serde_json::from_slice(&run(&["queries", "--format", "json"]).stdout).unwrap();
    let statements = json["sqlserver"].as_array().unwrap();
    assert!(statements.len() > 10, "{json:#}");
    assert_eq!(statements[0]["sql"], SESSION_SETUP, "the first that is sent");
    assert!(table.contains(SESSION_SETUP), "{table}");
    for row in statements.iter().chain(json["directory"].as_array().unwrap()) {
        assert!(table.contains(row["name"].as_str().unwrap()), "{row}");
        assert!(row["why"].as_str().is_some_and(|why| !why.is_empty()), "{row}");
    }
}

#[test]
fn healthcheck_asks_the_daemon_and_the_daemon_obeys_signals() {
    let world = World::start("healthy");
    let healthcheck =
        |address: &str| with_config(&world, &["--web.listen-address", address, "healthcheck"]).status.code();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    assert_eq!(healthcheck(&nobody), Some(1));
    let file = world.write(&world.yaml());
    // A port of its own choice: one that is free now may be somebody else's by the time it starts.
    let mut daemon = Command::new(BINARY)
        .args(["--config.file", file.to_str().unwrap(), "--web.listen-address", "127.0.0.1:0"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(Path::new(&format!("/proc/{}", daemon.id())).exists());
    let mut log = String::new();
    let mut lines = BufReader::new(daemon.stderr.take().unwrap()).lines().map_while(Result::ok);
    let signal = |name: &str| {
        let sent = Command::new("kill").args([name, &daemon.id().to_string()]).status().unwrap();
        assert!(sent.success(), "{name}");
    };
    // A line that never comes ends with the process.
    let watch = kill_later(daemon.id());
    let mut read_until = |text: &str| {
        let found = lines.by_ref().find(|line| {
            log += &(line.clone() + "\n");
            line.contains(text)
        });
        found.unwrap_or_else(|| panic!("{text}: {log}"))
    };
    let listening = read_until("msg=listening");
    let address = listening.split("address=").nth(1).unwrap().split_whitespace().next().unwrap();
    let address = address.trim_matches('"');
    // The command has a deadline of its own, which a busy machine may miss.
    let end = Instant::now() + PATIENCE;
    while healthcheck(address) != Some(0) {
        assert!(Instant::now() < end, "the daemon never answered");
    }
    std::fs::write(&file, world.yaml() + "acept: []\n").unwrap();
    signal("-HUP");
    read_until("acept: unknown key; did you mean accept?");
    world.write(&(world.yaml() + "log: { level: warn }\n"));
    signal("-HUP");
    read_until("takes a restart");
    read_until("configuration reloaded");
    signal("-TERM");
    read_until("msg=stopped");
    let _ = watch.send(());
    assert_eq!(daemon.wait().unwrap().code(), Some(0), "a clean stop");
    assert!(!log.contains(peers::scenario::READER_PASSWORD), "{log}");
}

/// Ends a process that hangs; a message calls it off.
fn kill_later(id: u32) -> std::sync::mpsc::Sender<()> {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        if receiver.recv_timeout(2 * PATIENCE) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            let _ = Command::new("kill").args(["-KILL", &id.to_string()]).status();
        }
    });
    sender
}

#[cfg(not(any(windows, feature = "gssapi")))]
#[test]
fn a_build_without_integrated_login_says_so_and_asks_nobody() {
    let peer = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    peer.set_nonblocking(true).unwrap();
    let address = peer.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.yml");
    let instance = format!("instances: [{{ address: \"{address}\", login: {{ method: integrated }} }}]\n");
    std::fs::write(&file, instance).unwrap();
    let page = text(&run(&["--config.file", file.to_str().unwrap(), "check"]).stdout);
    let sentence =
        "this build has no integrated login: build it with cargo build --release --features gssapi";
    assert!(page.contains(&format!("sqlserver: unsupported: {address}: {sentence}")), "{page}");
    assert!(peer.accept().is_err(), "somebody connected");
}

/// One entry of a keytab in MIT's format 0x502: `svc_sql@CORP.CONTOSO.COM`, version 3, aes256.
fn keytab(key: &[u8; 32]) -> Vec<u8> {
    let counted = |text: &[u8]| [&u16::try_from(text.len()).unwrap().to_be_bytes()[..], text].concat();
    let mut entry = vec![0, 1];
    entry.extend(counted(b"CORP.CONTOSO.COM"));
    entry.extend(counted(b"svc_sql"));
    entry.extend([0, 0, 0, 1, 0, 0, 0, 0, 3, 0, 18]);
    entry.extend(counted(key));
    let length = i32::try_from(entry.len()).unwrap().to_be_bytes();
    [&[5, 2][..], &length, &entry].concat()
}

#[test]
fn keytab_info_tells_all_but_the_keys_without_a_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let (file, output) = (folder.path().join("mssql.keytab"), folder.path().join("mssql.json"));
    std::fs::write(&file, keytab(b"this-key-must-never-be-printed!!")).unwrap();
    let (file, output) = (file.to_str().unwrap(), output.to_str().unwrap());
    let printed = run(&["keytab-info", file]);
    assert!(printed.status.success(), "{printed:?}");
    // Twice, as the timer does, and with a configuration that its user cannot read.
    for _ in 0..2 {
        let written = run(&["--config.file", "/nonexistent", "keytab-info", file, "--output", output]);
        assert!(written.status.success() && written.stdout.is_empty(), "{written:?}");
    }
    for told in [text(&printed.stdout), std::fs::read_to_string(output).unwrap()] {
        let json: serde_json::Value = serde_json::from_str(&told).unwrap();
        assert_eq!(json["entries"][0]["principal"], "svc_sql@CORP.CONTOSO.COM");
        assert_eq!(json["entries"][0]["key_version"], 3);
        assert_eq!(json["entries"][0]["encryption_type"], 18);
        assert!(json["read_at"].as_f64() >= json["modified"].as_f64(), "{told}");
        assert!(!told.contains("never-be-printed"), "{told}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(output).unwrap().permissions().mode() & 0o777, 0o644);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing is left beside it");
    // What is no keytab leaves the last good file as it is.
    std::fs::write(file, "this-key-must-never-be-printed!!").unwrap();
    let refused = run(&["keytab-info", file, "--output", output]);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(text(&refused.stderr).contains("no keytab of format 0x502"), "{refused:?}");
    assert!(!text(&refused.stderr).contains("never-be-printed"), "{refused:?}");
    assert!(std::fs::read_to_string(output).unwrap().contains("svc_sql@"));
}
