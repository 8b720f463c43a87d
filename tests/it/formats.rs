//! Both text formats of every scenario, read by other programs: the strict OpenMetrics parser, the parser of the classic format
//! and `promtool check metrics`. They carry the same samples.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::world::{World, page, scenarios, tests};

/// The samples that the tool reads, as sorted lines; fails with the tool's complaint.
fn samples(form: &str, text: &str) -> String {
    let mut child = Command::new(tests().join("tools/openmetrics/check"))
        .arg(form)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let text = text.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "{form}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{form}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_scenario_in_both_formats() {
    for name in scenarios() {
        let world = World::start(&name);
        let page = page(&world.assess().await);
        let (openmetrics, classic) =
            (samples("openmetrics", &page.openmetrics), samples("classic", &page.classic));
        assert_eq!(openmetrics, classic, "{name}");
        assert!(classic.lines().count() > 50, "{name}: {classic}");
    }
}
