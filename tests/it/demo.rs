//! The demo as a newcomer starts it: the example's own program, what it prints, and what it leads to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::world::tests;

/// Ends with this.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let status = text.split(' ').nth(1).unwrap().parse().unwrap();
    (status, text.split_once("\r\n\r\n").unwrap().1.to_owned())
}

#[test]
fn it_prints_what_to_open_and_shows_what_is_wrong() {
    // `cargo test --test it` alone does not build examples.
    let features: &[&str] = if cfg!(feature = "gssapi") { &["--features", "gssapi"] } else { &[] };
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--example", "demo"])
        .args(features)
        .current_dir(tests().parent().unwrap())
        .status()
        .unwrap();
    assert!(built.success());
    let program = std::env::current_exe().unwrap().with_file_name("../examples/demo");
    let child = Command::new(program)
        .arg("127.0.0.1:0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut demo = Demo(child);
    let mut lines = BufReader::new(demo.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    let printed: Vec<String> = lines.by_ref().take_while(|line| !line.contains("SIGHUP")).collect();
    let opened: Vec<&str> = printed.iter().filter_map(|line| line.split_whitespace().next()).collect();
    let links: Vec<&str> = opened.into_iter().filter_map(|word| word.strip_prefix("http://")).collect();
    assert_eq!(links.len(), 4, "{printed:#?}");
    let (address, _) = links[0].split_once('/').unwrap();
    let deadline = Instant::now() + Duration::from_secs(180);
    while get(address, "/-/ready").0 != 200 {
        assert!(Instant::now() < deadline, "never ready");
    }
    for link in &links {
        let (_, path) = link.split_once('/').unwrap();
        assert_eq!(get(address, &format!("/{path}")).0, 200, "{link}");
    }
    // Ready means judged: the first page is no blank one. What was learnt is kept for three intervals of five seconds at least.
    let page = get(address, "/metrics").1;
    let verdicts = |verdict: &str| page.matches(&format!("verdict=\"{verdict}\"}} 1\n")).count();
    let told = ["healthy", "degraded", "broken", "unknown", "not_applicable"].map(verdicts);
    assert_eq!(told, [1, 2, 2, 0, 0], "{page}");
    let explained = get(address, "/explain").1;
    for finding in ["missing_spn", "duplicate_spn", "misplaced_spn", "dynamic_port"] {
        assert!(explained.contains(finding), "{finding}: {explained}");
    }
}
