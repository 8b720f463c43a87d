//! The product's own binary beside loopback SQL Servers, in the lab: `check`, and the daemon with what it serves. Names are
//! resolved by the lab's DNS, in a mount namespace of the child with another `/etc/resolv.conf`.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use peers::scenario::Scenario;
use peers::tds::{Options, SqlServer};
use serde_json::Value;

use super::domain::Lab;

/// SQL Servers of a scenario on loopback, and a folder for the exporter's files.
pub(crate) struct Site {
    pub(crate) scenario: Scenario,
    pub(crate) servers: Vec<SqlServer>,
    /// How the exporter logs in to them.
    pub(crate) way: Way,
    /// `instances[].timeout`, in seconds.
    pub(crate) timeout: u32,
    folder: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
}

/// How the exporter logs in to SQL Server.
#[derive(Debug, Clone)]
pub(crate) enum Way {
    /// By address and password, without TLS.
    Password,
    /// By this name and with Kerberos; with TLS where an authority's certificate is given.
    Integrated { host: String, ca: Option<String> },
}

/// How the exporter reaches the directory.
#[derive(Debug, Clone)]
pub(crate) struct Directory {
    /// URLs of domain controllers.
    pub(crate) servers: Vec<String>,
    /// User and password of a simple bind, else integrated.
    pub(crate) simple: Option<(String, String)>,
    /// `directory.start_tls`.
    pub(crate) start_tls: bool,
    /// `directory.also`.
    pub(crate) also: Vec<String>,
    /// `directory.timeout` and `directory.refresh`, in seconds.
    pub(crate) rhythm: (u32, u32),
    /// Certificates of the authority.
    pub(crate) ca: String,
}

impl Directory {
    /// By LDAPS and a password, at dc1.
    pub(crate) fn of(lab: &Lab) -> Self {
        let word = |key: &str| lab.text(&format!("/exporter/{key}")).to_owned();
        Self {
            servers: vec![format!("ldaps://{}", lab.address(0))],
            simple: Some((word("user"), word("password"))),
            start_tls: false,
            also: Vec::new(),
            rhythm: (PATIENT, 2),
            ca: std::fs::read_to_string(lab.text("/ca")).unwrap(),
        }
    }
}

impl Site {
    /// Starts the SQL Servers.
    pub(crate) fn start(scenario: Scenario) -> Self {
        Self::start_with(scenario, &Options::default(), Way::Password)
    }

    /// Starts the SQL Servers so that they can be reached this way.
    pub(crate) fn start_with(scenario: Scenario, options: &Options, way: Way) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let servers = {
            let _inside = runtime.enter();
            let start = |spec: &peers::tds::SqlServerSpec| SqlServer::start(spec.clone(), options.clone());
            scenario.sqlservers.iter().map(|spec| start(spec).unwrap()).collect()
        };
        let folder = tempfile::tempdir().unwrap();
        Self { scenario, servers, way, timeout: PATIENT, folder, _runtime: runtime }
    }

    /// The name of an instance in the exporter's configuration.
    pub(crate) fn name(&self, server: usize) -> String {
        self.scenario.sqlservers[server].server_name()
    }

    /// Writes a secret to a file that only its owner may read.
    pub(crate) fn secret(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// Writes the configuration. `further` is appended.
    pub(crate) fn configure(&self, directory: &Directory, further: &str) -> PathBuf {
        let mut yaml = "web: { listen_addresses: [\"127.0.0.1:0\"] }\ninstances:\n".to_owned();
        for (place, server) in self.servers.iter().enumerate() {
            writeln!(yaml, "  - name: '{}'", self.name(place)).unwrap();
            writeln!(yaml, "    timeout: {}s", self.timeout).unwrap();
            self.reach(&mut yaml, server.addr());
            for line in self.scenario.instance_settings.iter().filter(|_| place == 0) {
                writeln!(yaml, "    {line}").unwrap();
            }
        }
        let quoted = |list: &[String]| serde_json::to_string(list).unwrap();
        let (timeout, refresh) = directory.rhythm;
        writeln!(
            yaml,
            "directory:\n  servers: {}\n  also: {}\n  start_tls: {}\n  timeout: {timeout}s\n  refresh: {refresh}s\n  ca_file: {}",
            quoted(&directory.servers),
            quoted(&directory.also),
            directory.start_tls,
            self.secret("ca.pem", &directory.ca).display(),
        )
        .unwrap();
        match &directory.simple {
            Some((user, password)) => {
                let file = self.secret("directory_password", password);
                let file = file.display();
                writeln!(yaml, "  bind: {{ method: simple, user: '{user}', password_file: {file} }}")
                    .unwrap();
            }
            None => yaml.push_str("  bind: { method: integrated }\n"),
        }
        yaml.push_str(further);
        if !further.contains("dns: ") {
            writeln!(yaml, "dns: {{ timeout: {PATIENT}s }}").unwrap();
        }
        let file = self.folder.path().join("config.yml");
        std::fs::write(&file, yaml).unwrap();
        file
    }

    /// Address, login and encryption of an instance.
    fn reach(&self, yaml: &mut String, address: SocketAddr) {
        match &self.way {
            Way::Password => {
                let (user, password) = &Options::default().users[0];
                let password = self.secret("sql_password", password);
                let password = password.display();
                writeln!(yaml, "    address: {address}\n    encryption: \"off\"").unwrap();
                writeln!(yaml, "    login: {{ method: sql, user: {user}, password_file: {password} }}")
                    .unwrap();
            }
            Way::Integrated { host, ca } => {
                writeln!(yaml, "    address: {host}:{}", address.port()).unwrap();
                yaml.push_str("    login: { method: integrated }\n");
                match ca {
                    Some(pem) => {
                        let file = self.secret("sql_ca.pem", pem);
                        let file = file.display();
                        writeln!(yaml, "    encryption: mandatory\n    ca_file: {file}").unwrap();
                    }
                    None => yaml.push_str("    encryption: \"off\"\n"),
                }
            }
        }
    }
}

/// Seconds of a deadline where nobody hangs: it costs nothing then, and a short one would judge the machine.
pub(crate) const PATIENT: u32 = 60;

/// What is awaited here takes seconds; the rest is for a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(300);

/// A rhythm at which a test can watch.
pub(crate) const OFTEN: &str = "sqlserver: { refresh: 2s }\nconnections: { refresh: 2s }\ndns: { refresh: 2s, timeout: 60s }\nhost: { refresh: 2s }\n";

/// The binary with the lab's DNS and Kerberos configuration.
pub(crate) fn binary(lab: &Lab) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(["-m", "sh", "-c", "mount --bind \"$1\" /etc/resolv.conf && shift && exec \"$@\"", "-"])
        .args([lab.text("/resolv_conf"), env!("CARGO_BIN_EXE_mssql-kerberos-exporter")])
        .env("KRB5_CONFIG", lab.text("/krb5_conf"))
        .env_remove("KRB5CCNAME")
        .env_remove("KRB5_CLIENT_KTNAME")
        .env("KRB5_KTNAME", "/nonexistent");
    command
}

/// The C library gets tickets with the keytab by itself; in memory, as in a unit without a home.
pub(crate) fn with_keytab(program: &mut Command, keytab: &std::path::Path) {
    program.env("KRB5CCNAME", "MEMORY:").env("KRB5_CLIENT_KTNAME", keytab);
}

/// What `check --format json` gave.
#[derive(Debug)]
pub(crate) struct Checked {
    /// Exit code.
    pub(crate) code: i32,
    /// The report; null if there is none.
    pub(crate) report: Value,
    /// Everything printed.
    pub(crate) text: String,
}

/// Runs `check --format json`.
pub(crate) fn check(mut binary: Command, config: &std::path::Path) -> Checked {
    binary.args(["check", "--format", "json", "--config.file"]).arg(config);
    let output = binary.output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr);
    Checked {
        code: output.status.code().unwrap_or_else(|| panic!("{}: {printed}\n{complaints}", output.status)),
        report: serde_json::from_str(&printed).unwrap_or_default(),
        text: format!("{printed}\n{complaints}"),
    }
}

/// A running daemon; it ends when this is dropped.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Daemon {
    /// Starts it and waits until it listens.
    pub(crate) fn start(mut binary: Command, config: &std::path::Path) -> Self {
        let mut child = binary
            .arg("--config.file")
            .arg(config)
            .stderr(Stdio::piped())
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut seen = String::new();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                writeln!(seen, "{line}").unwrap();
                let address = line.split_whitespace().find_map(|field| field.strip_prefix("address="))?;
                address.trim_matches('"').parse().ok()
            })
            .unwrap_or_else(|| panic!("the exporter does not listen:\n{seen}"));
        // Read on, or it would block on a full pipe; the lines show only when the test fails.
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| eprintln!("exporter: {line}"))
        });
        Self { child, address }
    }

    /// How many threads of this name it has; Linux keeps 15 characters of a name (prctl(2), PR_SET_NAME).
    pub(crate) fn n_threads(&self, name: &str) -> usize {
        let name: String = name.chars().take(15).collect();
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
        names.filter(|text| text.trim_end() == name).count()
    }

    /// Asks it to stop, as a service manager does, and says how it ended.
    pub(crate) fn stop(mut self) -> ExitStatus {
        let pid = self.child.id();
        let sent = Command::new("sh").arg("-c").arg(format!("kill -TERM {pid}")).status().unwrap();
        assert!(sent.success(), "kill -TERM {pid}");
        self.child.wait().unwrap()
    }

    /// The page at this path, with this `Accept`.
    pub(crate) fn page(&self, path: &str, accept: &str) -> String {
        fetch(self.address, path, accept)
    }

    /// The metrics, as a text that holds each sample on a line of its own.
    pub(crate) fn metrics(&self) -> String {
        self.page("/metrics", "text/plain")
    }

    /// The metrics once they satisfy the condition; fails after [`LIMIT`], with what was served last. What is asserted of one page
    /// belongs into its condition: another probe's answer may still be out.
    pub(crate) fn until(&self, what: &str, mut condition: impl FnMut(&str) -> bool) -> String {
        let end = Instant::now() + LIMIT;
        loop {
            let page = self.metrics();
            if condition(&page) {
                return page;
            }
            assert!(Instant::now() < end, "not within {LIMIT:?}: {what}\n{page}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One GET with HTTP/1.0, by hand: the body; fails unless it is 200.
pub(crate) fn fetch(address: SocketAddr, path: &str, accept: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\nAccept: {accept}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    assert!(head.split(' ').nth(1) == Some("200"), "{path}: {head}");
    body.to_owned()
}

/// The value of the sample that has these labels among its own; `None` if there is none.
pub(crate) fn sample(page: &str, family: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let mut found = page.lines().filter(|line| {
        let is_family = line.strip_prefix("mssql_kerberos_").and_then(|line| line.strip_prefix(family));
        is_family.is_some_and(|rest| rest.starts_with(['{', ' ']))
            && labels.iter().all(|(name, value)| {
                let value = value.replace('\\', "\\\\");
                [',', '{'].iter().any(|before| line.contains(&format!("{before}{name}=\"{value}\"")))
            })
    });
    let value = found.next()?.rsplit_once(' ')?.1.parse().ok();
    assert!(found.next().is_none(), "{family} {labels:?} is not one sample");
    value
}
