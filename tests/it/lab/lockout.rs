//! No account is ever locked out by the exporter: an hour of refreshes with a wrong password costs one attempt.

use std::time::Duration;

use mssql_kerberos_exporter::model::observed::FailureKind;
use mssql_kerberos_exporter::refresh::Refresh;
use peers::scenario::Scenario;

use super::domain::shared;
use super::exporter::{Directory, OFTEN, Site};
use super::reading::Forest;
use crate::world::{load, tests};

/// Real time for real I/O while the clock of the runtime stands still: a blocking task that is in flight keeps tokio from
/// moving the paused clock by itself.
async fn let_io_happen() {
    tokio::task::spawn_blocking(|| std::thread::park_timeout(Duration::from_millis(5))).await.unwrap();
}

#[test]
fn an_hour_with_a_wrong_password_is_one_attempt() {
    let mut lab = shared();
    let file = tests().join("scenarios/healthy.yml");
    lab.apply(&file).unwrap();
    let site = Site::start(Scenario::load(&file).unwrap());
    let user = lab.text("/exporter/user").to_owned();
    let sam = user.split('@').next().unwrap().to_owned();
    let before = Forest::own(&lab).number(&sam, "badPwdCount");
    let directory = Directory { simple: Some((user, "Wrong.Passw0rd".to_owned())), ..Directory::of(&lab) };
    mssql_kerberos_exporter::install_crypto().unwrap();
    let mut parts = load(&site.configure(&directory, OFTEN)).parts();
    // The clock goes faster than answers come: no deadline ends while one is on its way.
    let day = Duration::from_secs(86_400);
    parts.instances.iter_mut().for_each(|instance| instance.timeout = day);
    parts.directory.iter_mut().for_each(|directory| directory.timeout = day);
    parts.dns.iter_mut().for_each(|dns| dns.timeout = day);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let attempts = runtime.block_on(async {
        // In flight for as long as the test runs: nothing moves the clock but the test.
        let (done, waits) = std::sync::mpsc::channel::<()>();
        let holder = tokio::task::spawn_blocking(move || waits.recv());
        let refresh = Refresh::start(&parts);
        let latest = refresh.latest();
        let refused = || {
            let evidence = &latest.borrow().evidence;
            evidence.directory.failures.get(&FailureKind::Credentials).copied().unwrap_or_default()
        };
        // To the first attempt, and its answer.
        let mut n_steps = 0;
        while refused() == 0 {
            tokio::time::advance(Duration::from_millis(100)).await;
            let_io_happen().await;
            n_steps += 1;
            assert!(
                n_steps < 20_000,
                "the directory was never asked: {:?}",
                latest.borrow().evidence.directory
            );
        }
        for _ in 0..(3_600 / 5) {
            tokio::time::advance(Duration::from_secs(5)).await;
            let_io_happen().await;
        }
        let outcome = (refused(), latest.borrow().evidence.directory.attempts);
        drop(done);
        let _ = holder.await;
        outcome
    });
    // One refusal, and it was the only attempt: nothing else went to the server.
    assert_eq!(attempts, (1, 1));
    assert_eq!(Forest::own(&lab).number(&sam, "badPwdCount"), before + 1);
    lab.clear();
}
