//! What a directory may send that real ones do not, and what real ones send that small ones do not: deep nesting, huge
//! entries, pages of 1,000 entries, ranges of 1,500 values.

use std::fmt::Write as _;

use mssql_kerberos_exporter::metrics::Build;
use mssql_kerberos_exporter::model::account::AccountKey;
use mssql_kerberos_exporter::model::observed::FailureKind;
use mssql_kerberos_exporter::refresh;
use mssql_kerberos_exporter::report::{self, Detail};
use mssql_kerberos_exporter::web::pages::landing;
use peers::ldap::{Behaviour, escape_dn};
use peers::scenario::Scenario;

use crate::world::World;

/// The same world over StartTLS.
fn start_tls(world: &World) -> impl FnOnce(String) -> String {
    let names = [
        (world.running.ldaps_url(), world.running.ldap_url()),
        (world.running.gcs_url(), world.running.gc_url()),
        ("start_tls: false".to_owned(), "start_tls: true".to_owned()),
    ];
    move |yaml| names.iter().fold(yaml, |yaml, (old, new)| yaml.replace(old, new))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nested_and_huge_answers_are_malformed_and_the_process_lives() {
    let world = World::start("healthy");
    let ldaps = world.config().parts();
    let start_tls = world.config_with(start_tls(&world)).parts();
    for (what, parts) in [("LDAPS", ldaps), ("StartTLS", start_tls)] {
        for behaviour in
            [Behaviour::DeepNesting(2_000), Behaviour::DeepNesting(100_000), Behaviour::HugeEntry(20_000_000)]
        {
            world.running.controller().behave(behaviour.clone());
            let assessment = refresh::once(&parts).await;
            let kinds: Vec<FailureKind> = assessment.evidence.directory.failures.keys().copied().collect();
            assert_eq!(kinds, [FailureKind::Malformed], "{what} {behaviour:?}");
        }
        world.running.controller().behave(Behaviour::Normal);
        let assessment = refresh::once(&parts).await;
        assert_eq!(assessment.instances[0].verdict.name(), "healthy", "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_and_ranges_are_followed_to_the_end() {
    const HOLDERS: usize = 2_500;
    const VALUES: usize = 3_200;
    let mut yaml =
        "about: many\nsqlservers: [{ host: SQL01, account: 'CORP\\svc_sql' }]\ndomain:\n  accounts:\n"
            .to_owned();
    yaml.push_str("    - { name: SQL01, class: computer, dns: sql01.corp.contoso.com }\n");
    for n in 0..HOLDERS {
        let spn = format!("MSSQLSvc/sql01.corp.contoso.com:{}", 20_000 + n);
        writeln!(yaml, "    - {{ name: holder{n}, spns: ['{spn}'] }}").unwrap();
    }
    // The two that matter come last.
    yaml.push_str("    - name: svc_sql\n      spns:\n");
    for n in 0..VALUES - 2 {
        writeln!(yaml, "        - 'HTTP/web{n}.corp.contoso.com'").unwrap();
    }
    yaml.push_str(
        "        - 'MSSQLSvc/sql01.corp.contoso.com'\n        - 'MSSQLSvc/sql01.corp.contoso.com:1433'\n",
    );
    let world = World::of(Scenario::parse(&yaml).unwrap());
    let mut config = world.config();
    // A debug build of a peer with 5,700 values is slow; the deadline is not what is tested.
    config.directory.timeout = std::time::Duration::from_secs(60);
    let assessment = refresh::once(&config.parts()).await;
    let facts = &assessment.evidence.directory.good.as_ref().expect("the directory answers").facts;
    let account =
        facts.accounts[&AccountKey::sam(Some("corp"), "svc_sql")].as_ref().unwrap().found().unwrap();
    assert_eq!(account.spns.as_ref().map(Vec::len), Ok(VALUES));
    assert_eq!(facts.holders.as_ref().map(Vec::len), Ok(HOLDERS + 1));
    let states: Vec<&str> =
        assessment.instances[0].picture.spns.as_ref().unwrap().iter().map(|spn| spn.status.name()).collect();
    assert_eq!(states, ["good", "good"]);
    assert!(
        world.running.controller().violations().is_empty(),
        "{:?}",
        world.running.controller().violations()
    );
}

/// The golden report and page of this scenario show the same names as text and as labels; here are the other two readers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_names_come_out_right_as_json_and_on_the_landing_page() {
    let world = World::start("hostile_names");
    let instance = "<img src=x onerror=alert(1)>&\"'\\";
    let config = world.config_with(|yaml| {
        let changed = yaml.replace("name: \"SQL01\"", &format!("name: {}", serde_json::json!(instance)));
        assert_ne!(changed, yaml);
        changed
    });
    let assessment = refresh::once(&config.parts()).await;
    let json = report::json(&assessment, Detail::Full).unwrap();
    assert!(!json.contains(|c: char| c.is_control() && c != '\n'), "{json}");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["instances"][0]["name"], instance);
    let rows = json["instances"][0]["spns"].as_array().unwrap();
    for (port, sam) in [(1433, "svc&calc\u{202e}Z\u{fc}rich"), (1500, "svc\\x\nrm -rf /\\")] {
        let spn = format!("MSSQLSvc/sql01.corp.contoso.com:{port}");
        let row = rows.iter().find(|row| row["spn"] == spn.as_str()).unwrap();
        let holder = &row["holders"][0];
        assert_eq!(holder["name"], format!("CORP\\{sam}"));
        // RFC 4514 2.4 escapes the backslash and the line break.
        let dn = format!("CN={},CN=Users,DC=corp,DC=contoso,DC=com", escape_dn(sam));
        assert_eq!(holder["dn"], dn);
        assert!(!dn.contains('\n'), "{dn}");
    }
    // No command names any of them.
    let findings = json["instances"][0]["findings"].as_array().unwrap();
    let misplaced = findings.iter().find(|finding| finding["finding"] == "misplaced_spn").unwrap();
    assert_eq!(misplaced["subjects"].as_array().unwrap().len(), 2);
    assert!(!misplaced.to_string().contains("setspn"), "{misplaced:#}");

    let build = Build { version: "0.0.0", revision: "test", rustc: "test", target: "test" };
    let page = landing::page(&build, "", "/metrics", &assessment);
    assert!(page.contains("&lt;img src=x onerror=alert(1)&gt;&amp;"), "{page}");
    assert!(!page.contains("<img") && !page.contains("svc"), "{page}");
    assert_eq!(page.matches("<td>").count(), 2, "{page}");
}
