//! The exporter for Windows as a person runs it, under wine: its commands, and what it reads of the host it runs on, against
//! loopback peers on Linux. `tests/windows/run` builds it, prepares wine and runs this; `cargo test` alone leaves it out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and wait by the real clock for real programs"
)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use peers::scenario::{READER_PASSWORD, Running, Scenario};

const WINE: &str = "/usr/lib/wine/wine64";
const SQL_SERVER: &str = r"HKLM\SOFTWARE\Microsoft\Microsoft SQL Server";
const LIBRARY: &str =
    r"HKLM\SOFTWARE\Microsoft\Microsoft SQL Server\MSSQL16.MSSQLSERVER\MSSQLServer\SuperSocketNetLib";
const CLUSTER: &str = r"HKLM\SOFTWARE\Microsoft\Microsoft SQL Server\MSSQL16.MSSQLSERVER\Cluster";
const TCPIP: &str = r"HKLM\SYSTEM\CurrentControlSet\Services\Tcpip\Parameters";
const POLICY: &str = r"HKLM\SOFTWARE\Policies\Microsoft\System\DNSClient";
const ALIAS: &str = "MSSQLSvc/sales.corp.contoso.com:1433";

/// What is awaited here takes seconds; the rest is for a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run tests/windows/run"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace("\r\n", "\n")
}

/// A program of wine's own, which must succeed.
fn wine(arguments: &[&str]) {
    let output = Command::new(WINE).args(arguments).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}

fn set(key: &str, value: &str, kind: &str, data: &str) {
    wine(&["reg", "add", key, "/v", value, "/t", kind, "/d", data, "/f"]);
}

fn unset(key: &str, value: &str) {
    wine(&["reg", "delete", key, "/v", value, "/f"]);
}

/// `SQL01` with an alias, running on Linux, and the exporter's configuration for it.
struct World {
    // Dropped first: the peers end before their files go.
    _running: Running,
    folder: tempfile::TempDir,
}

impl World {
    fn start() -> Self {
        let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/alias_without_spn.yml");
        let running = Scenario::load(&scenario).unwrap().start().unwrap();
        let folder = tempfile::tempdir().unwrap();
        // Without `domain`: the host's primary DNS suffix is to say it.
        let yaml = running.config_yaml(folder.path()).replace("  domain: \"corp.contoso.com\"\n", "");
        assert!(yaml.contains("directory:\n  servers:"), "{yaml}");
        std::fs::write(folder.path().join("config.yml"), yaml).unwrap();
        Self { _running: running, folder }
    }

    /// The exporter with this world's configuration. Its working directory makes `/` mean wine's `Z:\`, which is Linux' `/`.
    fn exporter(&self, arguments: &[&str]) -> Command {
        let mut command = exporter(arguments);
        command.args(["--config.file", "config.yml"]).current_dir(self.folder.path());
        command
    }

    fn check(&self) -> String {
        let Output { status, stdout, stderr } = self.exporter(&["check"]).output().unwrap();
        let page = text(&stdout);
        assert_eq!(status.code(), Some(1), "{page}\n{}", text(&stderr));
        page
    }
}

fn exporter(arguments: &[&str]) -> Command {
    let mut command = Command::new(WINE);
    command.arg(variable("EXPORTER_EXE")).args(arguments).stdin(Stdio::null());
    command
}

/// The daemon, killed if a test fails before it is stopped.
struct Daemon {
    child: Child,
    address: String,
}

impl Daemon {
    fn start(world: &World) -> Self {
        let mut child = world.exporter(&["serve"]).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let line = log.find(|line| line.contains("msg=listening")).expect("it listens");
        let address = line.split("address=").nth(1).unwrap().split_whitespace().next().unwrap();
        let address = address.trim_matches('"').to_owned();
        // Read to its end, or the daemon waits for somebody to read its log.
        std::thread::spawn(move || log.for_each(drop));
        Self { child, address }
    }

    fn page(&self, path: &str) -> String {
        let url = format!("http://{}{path}", self.address);
        let output = Command::new("curl").args(["-sS", "--noproxy", "*", "--max-time", "120", &url]).output();
        text(&output.unwrap().stdout)
    }

    /// The page once it says this.
    fn until(&self, path: &str, part: &str) -> String {
        let mut page = String::new();
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            page = self.page(path);
            if page.contains(part) {
                return page;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("never said {part}:\n{page}");
    }

    /// Ctrl-C, as wine passes it on.
    fn interrupt(mut self) -> Option<i32> {
        Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

/// The host as SQL Server's set-up would leave it.
fn prepare_host() {
    set(TCPIP, "Hostname", "REG_SZ", "SQL01");
    set(TCPIP, "Domain", "REG_SZ", "corp.contoso.com");
    set(&format!(r"{SQL_SERVER}\Instance Names\SQL"), "MSSQLSERVER", "REG_SZ", "MSSQL16.MSSQLSERVER");
    set(LIBRARY, "ExtendedProtection", "REG_DWORD", "0");
}

#[test]
fn commands_without_peers() {
    let version = exporter(&["--version"]).output().unwrap();
    let said = text(&version.stdout);
    assert!(version.status.success() && said.starts_with("mssql-kerberos-exporter 0."), "{version:?}");
    assert!(said.contains("x86_64-windows"), "{said}");
    assert_eq!(exporter(&["--nonsense"]).output().unwrap().status.code(), Some(2));
    let world = World::start();
    let good = world.exporter(&["--config.check"]).output().unwrap();
    assert_eq!(good.status.code(), Some(0), "{good:?}");
    let file = world.folder.path().join("config.yml");
    std::fs::write(&file, "instances: [{ adress: sql01 }]\n").unwrap();
    let bad = world.exporter(&["--config.check"]).output().unwrap();
    assert_eq!(bad.status.code(), Some(2), "{bad:?}");
    assert!(text(&bad.stderr).contains("adress"), "{bad:?}");
}

#[test]
fn the_daemon_is_scraped_from_linux_and_stops_on_ctrl_c() {
    prepare_host();
    set(LIBRARY, "ExtendedProtection", "REG_DWORD", "2");
    let world = World::start();
    let daemon = Daemon::start(&world);
    let finding = |name: &str| {
        format!(r#"mssql_kerberos_finding{{mssql_instance="SQL01",finding="{name}",severity="warning"}} 1"#)
    };
    let answered =
        |probe: &str| format!(r#"mssql_kerberos_probe_success{{mssql_instance="SQL01",probe="{probe}"}} 1"#);
    let mut told = ["alias_without_spn", "extended_protection_blocks_alias"].map(finding).to_vec();
    told.extend(["sqlserver", "directory", "dns", "host"].map(answered));
    // All of it on one page: an answer may be out while the others are in.
    let mut metrics = String::new();
    let started = Instant::now();
    while !told.iter().all(|line| metrics.contains(line)) {
        assert!(started.elapsed() < PATIENCE, "never said all of {told:#?}:\n{metrics}");
        metrics = daemon.until("/metrics", &told[0]);
    }
    // `/proc` is Linux', which wine shows its programs as a drive.
    assert!(!metrics.contains("\nprocess_"), "{metrics}");
    assert_eq!(daemon.page("/-/healthy").trim(), "healthy");
    let pages = metrics + &daemon.page("/explain");
    assert!(pages.contains(ALIAS) && !pages.contains(READER_PASSWORD), "{pages}");
    assert_eq!(daemon.interrupt(), Some(0));
}

#[test]
fn extended_protection_is_read_from_the_registry() {
    prepare_host();
    let world = World::start();
    let finding = "WARNING extended_protection_blocks_alias";
    let required = "Extended Protection is Required, and this name is not accepted";
    let blocks = |wanted: bool| {
        let page = world.check();
        assert_eq!(page.contains(finding), wanted, "{page}");
        assert_eq!(page.contains(required), wanted, "{page}");
        page
    };
    blocks(false);
    set(LIBRARY, "ExtendedProtection", "REG_DWORD", "2");
    assert!(blocks(true).contains(ALIAS));
    set(LIBRARY, "AcceptedSPNs", "REG_SZ", &format!("MSSQLSvc/other.corp.contoso.com; {ALIAS}"));
    blocks(false);
    set(LIBRARY, "AcceptedSPNs", "REG_MULTI_SZ", &format!(r"MSSQLSvc/other.corp.contoso.com\0{ALIAS}"));
    blocks(false);
    // What means nothing is no clear.
    set(LIBRARY, "ExtendedProtection", "REG_DWORD", "7");
    let page = blocks(false);
    assert!(page.contains("ExtendedProtection is 7, which means nothing known"), "{page}");
    unset(LIBRARY, "ExtendedProtection");
    unset(LIBRARY, "AcceptedSPNs");
    assert!(!blocks(false).contains("which means nothing known"));
}

#[test]
fn the_hosts_name_is_its_host_name_and_primary_dns_suffix() {
    prepare_host();
    let world = World::start();
    // The domain in which the directory was asked came from the suffix.
    let page = world.check();
    assert!(page.contains("sql01.corp.contoso.com (from dNSHostName of the computer object)"), "{page}");
    assert!(!page.contains("wrong_dns_suffix"), "{page}");
    set(POLICY, "PrimaryDnsSuffix", "REG_SZ", "dmz.contoso.com");
    let yaml = std::fs::read_to_string(world.folder.path().join("config.yml")).unwrap();
    let yaml = yaml.replace("directory:\n", "directory:\n  domain: corp.contoso.com\n");
    std::fs::write(world.folder.path().join("config.yml"), yaml).unwrap();
    let page = world.check();
    unset(POLICY, "PrimaryDnsSuffix");
    assert!(page.contains("WARNING wrong_dns_suffix") && page.contains("sql01.dmz.contoso.com"), "{page}");
}

#[test]
fn the_account_of_an_instances_process_is_its_tokens() {
    prepare_host();
    let world = World::start();
    let finding = "WARNING service_account_changed_pending_restart";
    let page = world.check();
    assert!(!page.contains(finding) && page.contains("the service MSSQLSERVER"), "no such service\n{page}");
    let sid: PathBuf = world.folder.path().join("sid");
    let command = format!("\"Z:{}\" \"Z:{}\"", variable("SERVICE_EXE"), sid.display()).replace('/', r"\");
    wine(&["sc", "create", "MSSQLSERVER", "binPath=", &command, "start=", "demand"]);
    let page = world.check();
    assert!(!page.contains(finding) && page.contains("the service MSSQLSERVER does not run"), "{page}");
    wine(&["net", "start", "MSSQLSERVER"]);
    // Started, and running a moment later.
    let started = Instant::now();
    let mut page = world.check();
    while page.contains("the service MSSQLSERVER does not run") && started.elapsed() < PATIENCE {
        page = world.check();
    }
    let sid = std::fs::read_to_string(sid).unwrap();
    assert!(sid.starts_with("S-1-5-"), "{sid}");
    assert!(page.contains(finding) && page.contains(&format!("the process runs as {sid}")), "{page}");
    wine(&["net", "stop", "MSSQLSERVER"]);
    wine(&["sc", "delete", "MSSQLSERVER"]);
}

#[test]
fn a_failover_cluster_instance_that_is_stopped_here_is_the_passive_node() {
    prepare_host();
    let world = World::start();
    // Nobody answers at port 1, as nobody does where SQL Server is stopped.
    let file = world.folder.path().join("config.yml");
    let yaml = std::fs::read_to_string(&file).unwrap();
    let address = yaml.lines().find(|line| line.contains("address:")).unwrap();
    let start = address.split("address:").next().unwrap();
    std::fs::write(&file, yaml.replace(address, &format!("{start}address: 127.0.0.1:1"))).unwrap();
    let check = || {
        let Output { status, stdout, .. } = world.exporter(&["check"]).output().unwrap();
        (status.code(), text(&stdout))
    };
    let passive = "stopped on this node of the failover cluster instance sqlvnn";
    let sid = world.folder.path().join("sid");
    let command = format!("\"Z:{}\" \"Z:{}\"", variable("SERVICE_EXE"), sid.display()).replace('/', r"\");
    wine(&["sc", "create", "MSSQLSERVER", "binPath=", &command, "start=", "demand"]);
    let (code, page) = check();
    assert!(code != Some(0) && !page.contains(passive), "stopped, and in no cluster\n{page}");
    set(CLUSTER, "ClusterName", "REG_SZ", "SQLVNN");
    let (code, page) = check();
    assert!(code == Some(0) && page.contains(passive), "{page}");
    wine(&["net", "start", "MSSQLSERVER"]);
    let (code, page) = check();
    wine(&["net", "stop", "MSSQLSERVER"]);
    wine(&["sc", "delete", "MSSQLSERVER"]);
    unset(CLUSTER, "ClusterName");
    assert!(code != Some(0) && !page.contains(passive), "it runs here\n{page}");
}
