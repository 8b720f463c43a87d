//! A reload of the running daemon: who is asked as before goes on, what is new is judged soon, counters go on. What a client
//! sees of it over HTTP is in `web`, the signal in `commands`.

use std::sync::Arc;

use mssql_kerberos_exporter::findings::verdict::Verdict;
use mssql_kerberos_exporter::model::host::HostName;
use mssql_kerberos_exporter::model::settings::{Alias, Settings};
use mssql_kerberos_exporter::pipeline::Assessment;
use mssql_kerberos_exporter::refresh::Refresh;

use crate::refresh::{is_up, parts, seconds, verdict};
use crate::world::{World, page, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_alias_is_judged_long_before_anybody_is_due() {
    let world = World::start("healthy");
    let mut before = parts(&world);
    // Only the grown question can bring the answers.
    before.intervals.directory = seconds(1_000);
    before.intervals.dns = seconds(1_000);
    let mut refresh = Refresh::start(&before);
    let mut latest = refresh.latest();
    let settled = until(&mut latest, "healthy", |a| verdict(a) == Verdict::Healthy).await;
    let attempts = |a: &Assessment| {
        let slots = &a.evidence.instances[0];
        (slots.sqlserver.attempts, slots.connections.attempts, a.evidence.directory.attempts)
    };
    let mut after = before.clone();
    let mut settings = Settings::clone(&before.settings);
    let alias = HostName::parse("sales.corp.contoso.com").unwrap();
    settings.instances[0].aliases.push(Alias { host: alias, port: None });
    after.settings = Arc::new(settings);
    refresh.reload(&after).await;
    let judged = until(&mut latest, "the alias has no SPN", |a| {
        page(a).classic.contains("spn=\"MSSQLSvc/sales.corp.contoso.com:1433\",kind=\"alias\",requirement=\"recommended\",status=\"missing\"} 1")
    })
    .await;
    // Nothing was asked anew but for the alias, and nothing counted anew.
    let (was, is) = (attempts(&settled), attempts(&judged));
    assert!(is.0 >= was.0 && is.1 >= was.1 && is.2 > was.2, "{was:?} {is:?}");
    assert_eq!(world.running.servers[0].max_open_connections(), 1, "the same connection");
    assert_eq!(world.running.servers[0].logins().len(), 1, "the same connection");

    // Another way to the same instance: a new connection after the old one, counters go on.
    let mut moved = after.clone();
    moved.instances[0].timeout = seconds(90);
    refresh.reload(&moved).await;
    until(&mut latest, "asked anew", |a| attempts(a).0 > is.0 && is_up(&a.evidence.instances[0].connections))
        .await;
    assert_eq!(world.running.servers[0].max_open_connections(), 1, "never two connections");
}
