//! Real programs beside the tests: Prometheus and Alertmanager, started by the scripts of `tests/tools`, and a webhook that
//! takes down what Alertmanager sends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::world::tests;

/// What is awaited of these programs takes seconds; the rest is for a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// A script of `tests/tools` that says READY and stays; it ends with the pipe on its standard input.
pub(crate) struct Program {
    child: Child,
    /// Its port on 127.0.0.1.
    pub(crate) port: u16,
    /// What it says about itself.
    pub(crate) about: Value,
}

impl Program {
    /// Starts it with a port of its own choice, and waits until it is ready.
    pub(crate) fn start(script: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(tests().join("tools").join(script))
            .arg("0")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let about =
            line.strip_prefix("READY ").unwrap_or_else(|| panic!("{script} says why it does not start"));
        let about: Value = serde_json::from_str(about).unwrap();
        let port = u16::try_from(about["port"].as_u64().unwrap()).unwrap();
        Self { child, port, about }
    }

    /// One GET of its API: the JSON it answers. One that it has no time for is asked again: that is the machine's fault.
    pub(crate) fn api(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let end = Instant::now() + PATIENCE;
        loop {
            let (code, body) = self.get(path, parameters);
            if code == "200" {
                return serde_json::from_str(&body).unwrap();
            }
            // 503: the query was cancelled or ran out of time; 422: it did so while it read its samples (web/api/v1 of Prometheus,
            // returnAPIError). 000: no answer at all.
            let is_for_lack_of_time = ["000", "503"].contains(&code.as_str())
                || code == "422" && ["context", "timed out"].iter().any(|word| body.contains(word));
            assert!(is_for_lack_of_time && Instant::now() < end, "{path} {parameters:?}: {code} {body}");
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    /// Status and body; 000 where curl got no answer.
    fn get(&self, path: &str, parameters: &[(&str, &str)]) -> (String, String) {
        let mut curl = Command::new("curl");
        let seconds = PATIENCE.as_secs().to_string();
        curl.args(["-sS", "--noproxy", "*", "--max-time", &seconds, "-w", "\n%{http_code}"]);
        curl.args(["-G", &format!("http://127.0.0.1:{}{path}", self.port)]);
        for (name, value) in parameters {
            curl.args(["--data-urlencode", &format!("{name}={value}")]);
        }
        let output = curl.output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let (body, code) = printed.rsplit_once('\n').unwrap();
        (code.to_owned(), body.to_owned() + &String::from_utf8_lossy(&output.stderr))
    }

    /// Tells it to read its configuration again.
    pub(crate) fn reload(&self) {
        let url = format!("http://127.0.0.1:{}/-/reload", self.port);
        let reload =
            Command::new("curl").args(["-fsS", "--noproxy", "*", "-X", "POST", &url]).status().unwrap();
        assert!(reload.success(), "{url}");
    }

    /// The vector that a query of Prometheus returns.
    pub(crate) fn query(&self, query: &str) -> Vec<Value> {
        let answer = self.api("/api/v1/query", &[("query", query)]);
        answer["data"]["result"].as_array().unwrap().clone()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// One alert as a receiver got it.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// Path of the webhook: which receiver.
    pub(crate) receiver: String,
    /// `firing` or `resolved`.
    pub(crate) status: String,
    /// The alert.
    pub(crate) alert: Value,
}

impl Received {
    /// A label.
    pub(crate) fn label(&self, name: &str) -> &str {
        self.alert["labels"][name].as_str().unwrap_or_default()
    }

    /// An annotation.
    pub(crate) fn annotation(&self, name: &str) -> &str {
        self.alert["annotations"][name].as_str().unwrap_or_default()
    }
}

/// A listener that answers every POST with 200 and keeps the alerts.
pub(crate) struct Webhook {
    /// `http://127.0.0.1:…`.
    pub(crate) url: String,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Webhook {
    /// Starts it; its thread ends with the test program.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::<Mutex<Vec<Received>>>::default();
        let kept = Arc::clone(&received);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut reader = BufReader::new(stream);
                let (mut first, mut length) = (String::new(), 0);
                reader.read_line(&mut first).unwrap();
                loop {
                    let mut header = String::new();
                    reader.read_line(&mut header).unwrap();
                    let header = header.trim().to_ascii_lowercase();
                    if let Some(value) = header.strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    if header.is_empty() {
                        break;
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                reader
                    .get_mut()
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    .unwrap();
                let message: Value = serde_json::from_slice(&body).unwrap();
                let receiver = first.split_whitespace().nth(1).unwrap().to_owned();
                let alerts = message["alerts"].as_array().unwrap().iter();
                kept.lock().unwrap().extend(alerts.map(|alert| Received {
                    receiver: receiver.clone(),
                    status: alert["status"].as_str().unwrap().to_owned(),
                    alert: alert.clone(),
                }));
            }
        });
        Self { url, received }
    }

    /// Everything so far, in order.
    pub(crate) fn so_far(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// The first alert that satisfies the condition; fails after the limit, with what came.
    pub(crate) fn until(&self, what: &str, condition: impl Fn(&Received) -> bool) -> Received {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = self.so_far().into_iter().find(&condition) {
                return found;
            }
            let names = || -> Vec<String> {
                self.so_far().iter().map(|r| format!("{} {}", r.label("alertname"), r.status)).collect()
            };
            assert!(Instant::now() < end, "nobody was told: {what}; only {:?}", names());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
