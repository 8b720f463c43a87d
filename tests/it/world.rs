//! A scenario's peers, running, with the exporter's configuration for them. What every other module starts from.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mssql_kerberos_exporter::cli::Arguments;
use mssql_kerberos_exporter::config::{self, Config, Errors, Sources};
use mssql_kerberos_exporter::findings::rules;
use mssql_kerberos_exporter::metrics::{self, Build, Configured, Whole, render};
use mssql_kerberos_exporter::pipeline::Assessment;
use mssql_kerberos_exporter::refresh;
use mssql_kerberos_exporter::report::{self, Detail};
use mssql_kerberos_exporter::{app, web};
use peers::scenario::{Running, Scenario};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// A running scenario.
pub(crate) struct World {
    pub(crate) scenario: Scenario,
    pub(crate) running: Running,
    pub(crate) folder: tempfile::TempDir,
}

/// The folder of the tests.
pub(crate) fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// The names of all scenario files, sorted.
pub(crate) fn scenarios() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(tests().join("scenarios"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yml"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

impl World {
    /// Starts the scenario of this name.
    pub(crate) fn start(name: &str) -> Self {
        let scenario = Scenario::load(&tests().join(format!("scenarios/{name}.yml"))).unwrap();
        Self::of(scenario)
    }

    /// Starts a scenario.
    pub(crate) fn of(scenario: Scenario) -> Self {
        mssql_kerberos_exporter::install_crypto().unwrap();
        let running = scenario.start().unwrap();
        Self { scenario, running, folder: tempfile::tempdir().unwrap() }
    }

    /// The exporter's configuration as YAML.
    pub(crate) fn yaml(&self) -> String {
        self.running.config_yaml(self.folder.path())
    }

    /// Writes a configuration file.
    pub(crate) fn write(&self, yaml: &str) -> PathBuf {
        let file = self.folder.path().join("config.yml");
        std::fs::write(&file, yaml).unwrap();
        file
    }

    /// The configuration, loaded.
    pub(crate) fn config(&self) -> Config {
        load(&self.write(&self.yaml()))
    }

    /// The configuration after this change of its text.
    pub(crate) fn config_with(&self, change: impl FnOnce(String) -> String) -> Config {
        load(&self.write(&change(self.yaml())))
    }

    /// One assessment, as `check` makes it.
    pub(crate) async fn assess(&self) -> Assessment {
        let mut parts = self.config().parts();
        if let Some(host) = &mut parts.host
            && !self.scenario.hosts_file.is_empty()
        {
            host.hosts_file = self.folder.path().join("hosts");
            std::fs::write(&host.hosts_file, self.scenario.hosts_file.join("\n")).unwrap();
        }
        refresh::once(&parts).await
    }
}

/// Loads a configuration file as the binary does.
pub(crate) fn load(file: &Path) -> Config {
    try_load(file).unwrap_or_else(|errors| panic!("{errors}"))
}

fn try_load(file: &Path) -> Result<Config, Errors> {
    let arguments =
        Arguments::read(["it".into(), "--config.file".into(), file.as_os_str().to_owned()]).unwrap();
    let findings: Vec<&str> = rules::all().map(|rule| rule.name).collect();
    let mut sources = Sources::of_process(&arguments.flags, &findings);
    sources.environment.clear();
    config::load(&sources)
}

/// A running daemon.
pub(crate) struct Daemon {
    pub(crate) address: SocketAddr,
    /// Tells it to read its configuration again.
    pub(crate) hangup: mpsc::Sender<()>,
    /// Tells it to stop.
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) done: JoinHandle<()>,
}

impl Daemon {
    /// Serves this configuration, and reads its file again when it is told to.
    pub(crate) async fn start(config: Config) -> Self {
        let listeners = web::bind(&config.web.listen_addresses).await.unwrap();
        let address = listeners[0].local_addr().unwrap();
        let (hangup, hangups) = mpsc::channel(1);
        let (stop, stopped) = oneshot::channel();
        let file = config.file.clone().unwrap();
        let reload = app::Reload { load: Arc::new(move || try_load(&file)), hangups };
        let done = tokio::spawn(async move {
            app::run(&config, listeners, reload, async {
                let _ = stopped.await;
            })
            .await;
        });
        Self { address, hangup, stop, done }
    }

    /// Stops it, and waits until it has stopped.
    pub(crate) async fn end(self) {
        let _ = self.stop.send(());
        self.done.await.unwrap();
    }
}

/// The page of an assessment.
pub(crate) fn page(assessment: &Assessment) -> render::Page {
    let build = Build { version: "0.0.0", revision: "test", rustc: "test", target: "test" };
    let whole = Whole {
        assessment,
        build: &build,
        process: None,
        configured: Configured { at: 0.0, is_latest_good: true },
    };
    render::page(metrics::collect(&whole)).unwrap()
}

/// The latest assessment once it satisfies the condition; fails after five minutes: the machine may be busy.
pub(crate) async fn until(
    latest: &mut tokio::sync::watch::Receiver<Arc<Assessment>>,
    what: &str,
    condition: impl FnMut(&Arc<Assessment>) -> bool,
) -> Arc<Assessment> {
    let limit = Duration::from_secs(300);
    match tokio::time::timeout(limit, async { latest.wait_for(condition).await.map(|a| Arc::clone(&a)) })
        .await
    {
        Ok(Ok(assessment)) => return assessment,
        Ok(Err(_)) => panic!("refresh ended while waiting for: {what}"),
        Err(_) => {}
    }
    panic!("not within {limit:?}: {what}\n{}", report::text(&latest.borrow(), Detail::Full))
}

/// Compares text with a golden file; `UPDATE_EXPECT=1` rewrites it.
pub(crate) fn golden(file: &str, text: &str) {
    expect_test::expect_file![tests().join("golden").join(file)].assert_eq(text);
}
