//! A running lab: its addresses and accounts, the program that puts scenarios into it, and signals to its servers. It ends
//! with the pipe on `up`'s standard input, however this process ends.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use serde_json::{Value, json};

use crate::world::tests;

/// The kinds of lab that the tests need. Each has loopback addresses of its own, so that they can run beside each other
/// and each finds the snapshot of its run before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `corp.contoso.com`, and the forest `partner.example` with a trust.
    TwoForests,
    /// Two domain controllers.
    Twins,
    /// `ad.fabrikam.com`, called FABRIKAM, whose DC refuses Kerberos inside TLS.
    OtherName,
    /// One domain controller whose clock a test moves.
    Clock,
}

/// A running lab.
pub(crate) struct Lab {
    /// What `up` says about itself.
    pub(crate) about: Value,
    up: Child,
    tool: Tool,
    // Held open for as long as the addresses are in use.
    _claim: TcpListener,
    _folder: tempfile::TempDir,
}

/// The lab that most tests share, one after the other.
pub(crate) fn shared() -> MutexGuard<'static, Lab> {
    static SHARED: OnceLock<Mutex<Lab>> = OnceLock::new();
    let lab = SHARED.get_or_init(|| Mutex::new(Lab::start(Kind::TwoForests)));
    // A test that failed leaves nothing behind that the next `apply` or `clear` would not take away.
    lab.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lab {
    /// Starts one. A package that is missing ends the test with the line that installs it.
    pub(crate) fn start(kind: Kind) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (network, claim) = claim(kind);
        let address = |host: u8| format!("127.0.{network}.{host}");
        let mut up = Command::new(tests().join("lab/up"));
        up.args(["--foreground", "--name", &format!("it{network}"), "--ip", &address(1)]);
        match kind {
            Kind::TwoForests => up.args(["--partner", &address(3)]),
            Kind::Twins => up.args(["--twin", &address(2)]),
            Kind::OtherName => {
                up.args(["--realm", "AD.FABRIKAM.COM", "--netbios", "FABRIKAM", "--strong-auth"])
            }
            Kind::Clock => up.arg("--clock").arg(folder.path().join("clock")),
        };
        let log = folder.path().join("log");
        up.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(&log).unwrap());
        let mut up = up.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(up.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let Some(about) = line.strip_prefix("READY ") else {
            let why = std::fs::read_to_string(&log).unwrap();
            panic!("tests/lab/up does not start a domain controller:\n{why}");
        };
        let about: Value = serde_json::from_str(about).unwrap();
        let tool = Tool::start(&about);
        Self { about, up, tool, _claim: claim, _folder: folder }
    }

    /// Text at this path of what `up` says.
    pub(crate) fn text(&self, pointer: &str) -> &str {
        self.about.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer}"))
    }

    /// The address of a domain controller: 0 is dc1, 1 is its twin.
    pub(crate) fn address(&self, server: usize) -> &str {
        self.text(&format!("/servers/{server}/ip"))
    }

    /// Moves the clock of a [`Kind::Clock`], such as `+10m`.
    pub(crate) fn move_clock(&self, offset: &str) {
        // In one step: an empty file would be the real time again.
        let (file, new) = (self.text("/clock"), format!("{}.new", self.text("/clock")));
        std::fs::write(&new, format!("{offset}\n")).unwrap();
        std::fs::rename(new, file).unwrap();
    }

    /// Sends a signal to a domain controller: `STOP` hangs it, `CONT` wakes it up, `KILL` is its death.
    pub(crate) fn signal(&self, server: usize, signal: &str) {
        self.signal_to(&format!("/servers/{server}/pid"), signal);
    }

    /// The same to the process whose id is at this path of what `up` says.
    pub(crate) fn signal_to(&self, pointer: &str, signal: &str) {
        let pid = self.about.pointer(pointer).and_then(Value::as_u64).unwrap();
        let sent = Command::new("sh").arg("-c").arg(format!("kill -{signal} {pid}")).status().unwrap();
        assert!(sent.success(), "kill -{signal} {pid}");
    }

    /// Puts a scenario in; `Err` if Samba cannot play it, with the reason.
    pub(crate) fn apply(&mut self, file: &Path) -> Result<Vec<Value>, String> {
        let answer = self.tool.ask(&json!({ "apply": file }));
        match (answer["ok"].as_bool(), answer["unsupported"].as_bool()) {
            (Some(true), _) => Ok(answer["accounts"].as_array().unwrap().clone()),
            (_, Some(true)) => Err(answer["error"].as_str().unwrap().to_owned()),
            _ => panic!("{}: {answer}", file.display()),
        }
    }

    /// Writes an attribute of an account as text, below the DC's own rules; without values removes it.
    pub(crate) fn set(&mut self, sam: &str, attribute: &str, values: &[&str]) {
        let answer =
            self.tool.ask(&json!({ "set": { "sam": sam, "attribute": attribute, "values": values } }));
        assert_eq!(answer["ok"], true, "{sam} {attribute}: {answer}");
    }

    /// Takes out what was put in, and what the tests did to the accounts since.
    pub(crate) fn clear(&mut self) {
        let answer = self.tool.ask(&json!({ "clear": true }));
        assert_eq!(answer["ok"], true, "{answer}");
    }

    /// Writes a keytab with the keys that the domain has for this principal now.
    pub(crate) fn keytab(&self, principal: &str, file: &Path) {
        let mut command = Command::new(tests().join("lab/keytab"));
        let output = command.args([self.text("/servers/0/conf"), principal]).arg(file).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        drop(self.up.stdin.take());
        let _ = self.up.wait();
    }
}

/// `tests/lab/scenario serve`.
struct Tool {
    child: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Tool {
    fn start(about: &Value) -> Self {
        let servers = about["servers"].as_array().unwrap().iter();
        let partner = about.pointer("/partner/servers").and_then(Value::as_array).into_iter().flatten();
        let mut files = servers.chain(partner).map(|server| server["conf"].as_str().unwrap());
        let mut command = Command::new(tests().join("lab/scenario"));
        command.arg("serve").arg(files.next().unwrap());
        files.for_each(|file| {
            command.args(["--with", file]);
        });
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let questions = child.stdin.take();
        let mut tool = Self { answers: BufReader::new(child.stdout.take().unwrap()), child, questions };
        assert_eq!(tool.answer()["ok"], true);
        tool
    }

    fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.questions.as_mut().unwrap(), "{question}").unwrap();
        self.answer()
    }

    fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("tests/lab/scenario: {error}: {line}"))
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        drop(self.questions.take());
        let _ = self.child.wait();
    }
}

/// A network 127.0.n.0/24 for a lab. Whoever listens on port 10188 of its last address has it: another process that runs
/// these tests takes the next one.
fn claim(kind: Kind) -> (u8, TcpListener) {
    const FIRST: u8 = 60;
    const KINDS: u8 = 4;
    const PROCESSES: u8 = 8;
    (0..PROCESSES)
        .map(|process| FIRST + process * KINDS + kind as u8)
        .find_map(|network| {
            Some((network, TcpListener::bind(SocketAddr::from(([127, 0, network, 254], 10_188))).ok()?))
        })
        .unwrap_or_else(|| panic!("{PROCESSES} other processes run these tests already"))
}

/// The scenario files that only the lab plays, beside those that all tests share.
pub(crate) fn own_scenarios() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(tests().join("scenarios/lab")).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}
