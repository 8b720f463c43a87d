//! The demo: a small simulated domain on loopback (SQL Servers, a directory, DNS, each speaking its real protocol) from a
//! scenario file, and the product's own `app::run` against it. Needs nothing but Rust and a C compiler.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mssql_kerberos_exporter::cli::Flags;
use mssql_kerberos_exporter::config::{self, Config, Errors, Sources};
use mssql_kerberos_exporter::findings::rules;
use mssql_kerberos_exporter::{app, install_crypto, signals, web};
use peers::scenario::Scenario;

/// Where the demo listens unless its first argument says otherwise.
const ADDRESS: &str = "127.0.0.1:10188";

type Error = Box<dyn std::error::Error>;

fn main() -> Result<(), Error> {
    install_crypto()?;
    let address = std::env::args().nth(1).unwrap_or_else(|| ADDRESS.to_owned());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let scenario = Scenario::load(&folder.join("demo.yml"))?;
    let world = scenario.start()?;
    let secrets = tempfile::tempdir()?;
    let file = configuration(&world.config_yaml(secrets.path()), secrets.path(), &address)?;
    let config = load(&file)?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let listeners = web::bind(&config.web.listen_addresses)
            .await
            .map_err(|(address, error)| format!("cannot listen on {address}: {error}"))?;
        let bound = listeners.first().ok_or("no listener")?.local_addr()?;
        println!("{}\n", scenario.about);
        println!("  http://{bound}/metrics               what Prometheus scrapes");
        println!("  http://{bound}/explain               what is wrong, why, and what to do");
        println!("  http://{bound}/explain?format=json   the same for programs");
        println!("  http://{bound}/                      the landing page\n");
        println!(
            "Everything is simulated on this machine; stop it with Ctrl-C. It reads its configuration again"
        );
        println!("at SIGHUP: {}", file.display());
        let again = file.clone();
        let reload = app::Reload { load: Arc::new(move || load(&again)), hangups: signals::hangups() };
        app::run(&config, listeners, reload, async {
            let _ = tokio::signal::ctrl_c().await;
        })
        .await;
        Ok(())
    })
}

/// A file with the world's configuration, with a rhythm at which changes can be watched.
fn configuration(yaml: &str, folder: &Path, address: &str) -> Result<PathBuf, Error> {
    let rhythm = "sqlserver: { refresh: 10s }\nconnections: { refresh: 5s }\nhost: { refresh: 10s }\n";
    let yaml = yaml
        .replace("127.0.0.1:0", address)
        .replace("directory:\n", "directory:\n  refresh: 10s\n")
        .replace("dns: {", "dns: { refresh: 10s,");
    let file = folder.join("config.yml");
    std::fs::write(&file, yaml + rhythm)?;
    Ok(file)
}

fn load(file: &Path) -> Result<Config, Errors> {
    let flags = Flags { config_file: Some(file.to_owned()), ..Flags::default() };
    let findings: Vec<&str> = rules::all().map(|rule| rule.name).collect();
    config::load(&Sources::of_process(&flags, &findings))
}
