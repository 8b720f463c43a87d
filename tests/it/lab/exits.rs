//! The end of the process while Kerberos is in use: its library's exit handlers must not run beside a thread that is still
//! inside. A shim (`tests/lab/exit_race.c`) makes the window, which is microseconds wide, half a second.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use peers::scenario::Scenario;

use super::domain::{Lab, shared};
use super::exporter::{Daemon, Directory, OFTEN, Site, binary, sample};
use super::scenarios::log_on;
use crate::world::tests;

/// Compiles the shim.
fn shim(folder: &Path) -> PathBuf {
    let library = folder.join("exit_race.so");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]).arg(&library);
    let compiled = compiler.arg(tests().join("lab/exit_race.c")).arg("-ldl").status().unwrap();
    assert!(compiled.success(), "cc");
    library
}

/// The healthy scenario, a Kerberos bind, and the shim.
struct Widened {
    config: PathBuf,
    ticket: PathBuf,
    shim: PathBuf,
    _site: Site,
    _folder: tempfile::TempDir,
}

impl Widened {
    fn start(lab: &mut Lab) -> Self {
        let file = tests().join("scenarios/healthy.yml");
        lab.apply(&file).unwrap();
        let site = Site::start(Scenario::load(&file).unwrap());
        let servers = vec![format!("ldap://{}", lab.text("/servers/0/host"))];
        let config = site.configure(&Directory { servers, simple: None, ..Directory::of(lab) }, OFTEN);
        let folder = tempfile::tempdir().unwrap();
        let (ticket, shim) = (log_on(lab, &site), shim(folder.path()));
        Self { config, ticket, shim, _site: site, _folder: folder }
    }

    fn program(&self, lab: &Lab) -> Command {
        let mut program = binary(lab);
        program.env("KRB5CCNAME", &self.ticket).env("LD_PRELOAD", &self.shim);
        program
    }
}

#[test]
fn check_ends_by_itself_while_kerberos_is_let_go() {
    const PROGRAMS: usize = 4;
    let mut lab = shared();
    let site = Widened::start(&mut lab);
    let start = || {
        let mut program = site.program(&lab);
        program.args(["check", "--config.file"]).arg(&site.config);
        program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let programs: Vec<_> = (0..PROGRAMS).map(|_| start()).collect();
    for program in programs {
        let Output { status, stdout, stderr } = program.wait_with_output().unwrap();
        let (page, complaints) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert_eq!(status.signal(), None, "{complaints}\n{page}");
        // A report, whatever it says: 0, 1 and 3 are its verdicts.
        assert!(matches!(status.code(), Some(0 | 1 | 3)), "{status}: {complaints}\n{page}");
        assert!(page.contains("(user)"), "the directory was not read: {complaints}\n{page}");
    }
    lab.clear();
}

#[test]
fn a_daemon_that_is_stopped_ends_by_itself_while_kerberos_is_let_go() {
    let mut lab = shared();
    let site = Widened::start(&mut lab);
    let daemon = Daemon::start(site.program(&lab), &site.config);
    let directory = [("probe", "directory")];
    daemon.until("bound", |page| sample(page, "probe_success", &directory) == Some(1.0));
    let status = daemon.stop();
    assert_eq!((status.signal(), status.code()), (None, Some(0)));
    lab.clear();
}
