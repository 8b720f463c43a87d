//! A running exporter that asks for tickets: none of its pages, in any form, and no line of its log tells a key, a ticket or a
//! password.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use peers::kdc::ACCOUNT_PASSWORD;
use peers::scenario::READER_PASSWORD;

use super::secrets::assert_tells_none;
use crate::world::World;

/// Ended with the test, however that ends.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Head and body of one page.
fn page(address: SocketAddr, path: &str, accept: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\nAccept: {accept}\r\n\r\n").unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert!(reply.starts_with("HTTP/1.0 200") || reply.starts_with("HTTP/1.1 200"), "{path}: {reply}");
    reply
}

#[test]
fn no_page_of_a_running_exporter_tells_a_key_or_a_ticket() {
    let world = World::start("tickets");
    let yaml = world.yaml().replace("ticket: {", "ticket: { refresh: 2s,");
    assert!(yaml.contains("refresh: 2s"), "{yaml}");
    let file = world.write(&yaml);
    let mut daemon = Daemon(
        Command::new(env!("CARGO_BIN_EXE_mssql-kerberos-exporter"))
            .args(["--log.level", "debug", "--config.file"])
            .arg(&file)
            .env_clear()
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut lines = BufReader::new(daemon.0.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut log = String::new();
    let address: SocketAddr = lines
        .by_ref()
        .find_map(|line| {
            log += &(line.clone() + "\n");
            let address = line.split_whitespace().find_map(|field| field.strip_prefix("address="))?;
            address.trim_matches('"').parse().ok()
        })
        .unwrap_or_else(|| panic!("the exporter does not listen:\n{log}"));
    let rest = std::thread::spawn(move || lines.collect::<Vec<_>>().join("\n"));

    let kdc = world.running.kdc.as_ref().unwrap();
    let end = Instant::now() + Duration::from_secs(300);
    // Several rounds, one of them with a refusal, whose text comes from the KDC.
    let spn = "MSSQLSvc/sql01.corp.contoso.com:1433";
    let shows = |part: &str| {
        while !page(address, "/metrics", "text/plain").contains(part) {
            assert!(Instant::now() < end, "{part} is not in\n{}", page(address, "/metrics", "text/plain"));
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let mut told = String::new();
    let mut pages = || {
        for (path, accept) in [
            ("/", "text/html"),
            ("/metrics", "text/plain"),
            ("/metrics", "application/openmetrics-text; version=1.0.0"),
            ("/explain", "text/html"),
            ("/explain?format=text", "text/plain"),
            ("/explain?format=json", "application/json"),
        ] {
            told += &page(address, path, accept);
        }
    };
    shows(&format!("ticket_granted{{mssql_instance=\"SQL01\",spn=\"{spn}\"}} 1"));
    pages();
    kdc.refuse(spn, 12);
    shows("code=\"KDC_ERR_POLICY\"} 1");
    pages();
    drop(daemon);
    told += &(log + &rest.join().unwrap());

    // All of it is there: the ticket on the page for people and in the values for programs, and the log.
    for part in [
        &format!("{spn}  granted aes256 kvno 2"),
        "\"encryption_type\": \"aes256\"",
        "KDC_ERR_POLICY (12)",
        "address=",
        "# EOF",
    ] {
        assert!(told.contains(part), "{part} is not in\n{told}");
    }
    let secrets = kdc.secrets();
    assert!(secrets.len() > 5, "{}", secrets.len());
    assert_tells_none(&told, &secrets);
    for password in [READER_PASSWORD, ACCOUNT_PASSWORD] {
        assert!(!told.contains(password), "{told}");
    }
}
