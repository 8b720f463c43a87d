//! The HTTP edge as a client sees it: routes, methods, formats, codings, drain, what is shown to whom. Real sockets, a real
//! exporter over the loopback peers.

use std::io::Read as _;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{Daemon, World};

/// What is awaited here takes milliseconds; the rest is for a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running exporter.
struct Exporter {
    daemon: Daemon,
    world: World,
}

impl Exporter {
    async fn start(change: impl FnOnce(String) -> String) -> Self {
        let world = World::start("duplicate_spn");
        let daemon = Daemon::start(world.config_with(change)).await;
        Self { daemon, world }
    }

    async fn ask(&self, request: &str) -> Reply {
        let mut stream = TcpStream::connect(self.daemon.address).await.unwrap();
        let request = format!("{request}\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        Reply::of(&bytes)
    }

    async fn get(&self, path: &str) -> Reply {
        self.ask(&format!("GET {path} HTTP/1.1")).await
    }

    /// The reply at this path once it says this.
    async fn until(&self, path: &str, part: &str) -> Reply {
        let mut latest = None;
        let found = async {
            loop {
                let reply = self.get(path).await;
                if reply.text().contains(part) {
                    break reply;
                }
                latest = Some(reply);
                tokio::task::yield_now().await;
            }
        };
        match tokio::time::timeout(PATIENCE, found).await {
            Ok(reply) => reply,
            Err(_) => {
                panic!("{path} never said {part}:\n{}", latest.map(|reply| reply.text()).unwrap_or_default())
            }
        }
    }

    /// Waits until every probe has run once.
    async fn ready(&self) {
        self.ready_under("").await;
    }

    async fn ready_under(&self, prefix: &str) {
        let path = format!("{prefix}/-/ready");
        let ready = async {
            while self.get(&path).await.status != 200 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, ready).await.expect("ready in time");
    }
}

/// Probes that run at once: the first wait is up to a tenth of the interval. What they learn is kept for three intervals, which is
/// longer than a busy machine takes to read a page.
fn quick(yaml: String) -> String {
    let rhythm = "sqlserver: { refresh: 10s }\nconnections: { refresh: 10s }\nhost: { refresh: 10s }\n";
    yaml.replace("directory:\n", "directory:\n  refresh: 10s\n").replace("dns: {", "dns: { refresh: 10s,")
        + rhythm
}

struct Reply {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Reply {
    fn of(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head, body: bytes[end + 4..].to_vec() }
    }

    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn methods_and_paths_are_strict() {
    let exporter = Exporter::start(quick).await;
    for (request, status) in [
        ("GET /metrics", 200),
        ("HEAD /metrics", 200),
        ("POST /metrics", 405),
        ("DELETE /metrics", 405),
        ("OPTIONS /", 405),
        ("GET /", 200),
        ("GET /-/healthy", 200),
        ("PUT /-/healthy", 405),
        ("GET /explain", 200),
        ("GET /explain?format=json", 200),
        ("GET /explain?format=xml", 400),
        ("GET /explain?x=1", 400),
        ("GET /metrics/", 404),
        ("GET /nope", 404),
        ("POST /nope", 404),
        ("GET /../etc/passwd", 404),
        // Only where the configuration allows it.
        ("POST /-/reload", 403),
    ] {
        let reply = exporter.ask(&format!("{request} HTTP/1.1")).await;
        assert_eq!(reply.status, status, "{request}");
        if status == 405 {
            assert!(reply.head.contains("allow: get, head"), "{request}: {}", reply.head);
        }
        if request.starts_with("HEAD") {
            assert!(reply.body.is_empty() && reply.head.contains("content-length: "), "{}", reply.head);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn formats_and_codings() {
    let exporter = Exporter::start(quick).await;
    exporter.ready().await;
    let duplicate =
        "mssql_kerberos_finding{mssql_instance=\"SQL01\",finding=\"duplicate_spn\",severity=\"critical\"} 1";
    let classic = exporter.until("/metrics", duplicate).await;
    assert!(
        classic.head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"),
        "{}",
        classic.head
    );
    assert!(classic.head.contains("vary: accept, accept-encoding"), "{}", classic.head);
    assert!(classic.head.contains("process-start-time-unix: "), "{}", classic.head);
    let openmetrics =
        exporter.ask("GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text; version=1.0.0").await;
    assert!(openmetrics.head.contains("content-type: application/openmetrics-text; version=1.0.0"));
    assert!(openmetrics.text().ends_with("# EOF\n"));
    let packed = exporter.ask("GET /metrics HTTP/1.1\r\nAccept-Encoding: gzip").await;
    assert!(packed.head.contains("content-encoding: gzip"), "{}", packed.head);
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed.body.as_slice()).read_to_string(&mut text).unwrap();
    assert!(text.contains("mssql_kerberos_verdict"), "{text}");
    let plain = exporter.ask("GET /metrics HTTP/1.1\r\nAccept-Encoding: gzip;q=0").await;
    assert!(!plain.head.contains("content-encoding"), "{}", plain.head);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_landing_page_leads_everywhere_and_a_prefix_is_kept() {
    let exporter = Exporter::start(|yaml| quick(yaml).replace("web: {", "web: { route_prefix: /krb,")).await;
    exporter.ready_under("/krb").await;
    let page = exporter.get("/krb/").await;
    assert_eq!(page.status, 200);
    let text = page.text();
    let links: Vec<&str> = text.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(links.len() >= 5, "{text}");
    for link in links {
        assert_eq!(exporter.get(link).await.status, 200, "{link}");
    }
    assert_eq!(exporter.get("/metrics").await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_on_any_page() {
    let exporter = Exporter::start(quick).await;
    exporter.ready().await;
    for path in ["/", "/metrics", "/explain", "/explain?format=json", "/-/healthy", "/-/ready", "/nope"] {
        let reply = exporter.get(path).await;
        let all = reply.head.clone() + &reply.text();
        assert!(!all.contains(peers::scenario::READER_PASSWORD), "{path}");
        assert!(!all.contains(&peers::tds::Options::default().users[0].1), "{path}");
        // Nor where they are.
        assert!(!all.contains("password_file") && !all.contains(".password"), "{path}: {all}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_drains_and_then_refuses() {
    let exporter = Exporter::start(quick).await;
    let address = exporter.daemon.address;
    // An idle keep-alive connection does not hold the stop up, and a request that has begun is answered.
    let _idle = TcpStream::connect(exporter.daemon.address).await.unwrap();
    let mut begun = TcpStream::connect(exporter.daemon.address).await.unwrap();
    begun.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut first = [0_u8; 12];
    begun.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    exporter.daemon.stop.send(()).unwrap();
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, begun.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&rest).contains("mssql_kerberos_exporter_build_info"));
    tokio::time::timeout(PATIENCE, exporter.daemon.done).await.expect("stopped").unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "the port is closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scrape_waits_for_nobody() {
    let exporter = Exporter::start(|yaml| quick(yaml).replace("timeout: 60s", "timeout: 600s")).await;
    let running = &exporter.world.running;
    running.servers[0].set_behaviour(peers::tds::Behaviour::HangAtAccept);
    running.servers[0].kill_sessions();
    running.controller().behave(peers::ldap::Behaviour::BlackHole);
    running.dns.behave(peers::dns::DnsBehaviour::Silent);
    // With deadlines of ten minutes towards the peers, each of these pages comes at once or not at all.
    for _ in 0..50 {
        for path in ["/metrics", "/explain", "/-/healthy"] {
            let reply = tokio::time::timeout(PATIENCE, exporter.get(path)).await.expect(path);
            assert_eq!(reply.status, 200, "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_on_the_socket_hurts_nobody() {
    let exporter = Exporter::start(quick).await;
    for bytes in [&b"\x16\x03\x01\x02\x00"[..], b"GET\r\n\r\n", b"\0\0\0\0\r\n\r\n", &[b'A'; 100_000]] {
        let mut stream = TcpStream::connect(exporter.daemon.address).await.unwrap();
        let _ = stream.write_all(bytes).await;
        let _ = stream.shutdown().await;
        let mut reply = Vec::new();
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut reply)).await.unwrap();
    }
    assert_eq!(exporter.get("/-/healthy").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_takes_a_good_configuration_and_leaves_a_bad_one() {
    let lifecycle = |yaml: String| quick(yaml).replace("web: {", "web: { enable_lifecycle: true,");
    let exporter = Exporter::start(lifecycle).await;
    exporter.ready().await;
    let good = lifecycle(exporter.world.yaml());
    let is_good = async || {
        let text = exporter.get("/metrics").await.text();
        let value = |name: &str| -> f64 {
            let line =
                text.lines().find(|line| line.starts_with(&format!("mssql_kerberos_exporter_{name} ")));
            line.unwrap().rsplit_once(' ').unwrap().1.parse().unwrap()
        };
        (
            value("config_last_reload_successful"),
            value("config_last_reload_success_timestamp_seconds"),
            text.contains("mssql_instance=\"RENAMED\""),
        )
    };
    let (_, loaded_at, _) = is_good().await;
    let get = exporter.get("/-/reload").await;
    assert!(get.status == 405 && get.head.contains("allow: post, put"), "{}", get.head);

    exporter.world.write(&good.replace("name: \"SQL01\"", "nmae: \"RENAMED\""));
    let refused = exporter.ask("POST /-/reload HTTP/1.1").await;
    assert_eq!(refused.status, 500);
    let told = refused.text();
    assert!(told.contains("nmae: unknown key; did you mean") && !told.contains("password"), "{told}");
    assert_eq!(is_good().await, (0.0, loaded_at, false), "the one in force stays");

    exporter.world.write(&good.replace("name: \"SQL01\"", "name: \"RENAMED\""));
    let taken = exporter.ask("PUT /-/reload HTTP/1.1").await;
    assert_eq!((taken.status, taken.text().as_str()), (200, "reloaded\n"));
    let (successful, at, is_renamed) = is_good().await;
    assert!(successful == 1.0 && at > loaded_at && is_renamed, "{successful} {at} {is_renamed}");
    // Ready for good, though the instance of that name has not been asked yet.
    assert_eq!(exporter.get("/-/ready").await.status, 200);

    // The same by a signal.
    exporter.world.write(&good);
    exporter.daemon.hangup.send(()).await.unwrap();
    let renamed_back = async { while is_good().await.2 {} };
    tokio::time::timeout(PATIENCE, renamed_back).await.expect("reloaded");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_beyond_the_limit_are_turned_away() {
    let narrow =
        |yaml: String| quick(yaml).replace("web: {", "web: { enable_lifecycle: true, max_requests: 1,");
    let exporter = Exporter::start(narrow).await;
    // A configuration that is slow to read: a pipe that nobody has written to yet.
    let file = exporter.world.folder.path().join("config.yml");
    std::fs::remove_file(&file).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&file).status().unwrap().success());
    let yaml = narrow(exporter.world.yaml());
    // Turned away itself as long as a page of the other one is being made.
    let one = async {
        loop {
            let reply = exporter.ask("POST /-/reload HTTP/1.1").await;
            if reply.status != 503 {
                break reply;
            }
        }
    };
    let other = async {
        let turned_away = async {
            loop {
                let reply = exporter.get("/metrics").await;
                if reply.status == 503 {
                    break reply;
                }
            }
        };
        let reply = tokio::time::timeout(PATIENCE, turned_away).await.expect("503");
        assert!(reply.head.contains("retry-after: 1"), "{}", reply.head);
        // Only the order to reload reads it, so that this is done when that order is being carried out.
        tokio::fs::write(&file, yaml).await.unwrap();
    };
    let (reloaded, ()) = tokio::join!(one, other);
    assert_eq!(reloaded.status, 200, "{}", reloaded.text());
    // The room is free a moment after the reply is read.
    let served = async { while exporter.get("/metrics").await.status != 200 {} };
    tokio::time::timeout(PATIENCE, served).await.expect("room again");
}
