//! The shape of the source, held as a test: who may import whom, each driver crate in its place, a module doc at the head of
//! each file, lists that equal folders. Reads text line by line as rustfmt leaves it, so a macro could evade it; whether
//! the code is right is not its business.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use mssql_kerberos_exporter::findings::rules;

/// Modules in the order of reading, each with all that it may use. Every one stands above those that use it, so the table
/// has no cycle. `samples` is for unit tests alone, `lib` only lists the modules, `main` may use everything.
const LAYERS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("cli", &[]),
    ("telemetry", &["cli"]),
    ("signals", &[]),
    ("sqlserver", &["model"]),
    ("directory", &["model"]),
    ("dns", &["model"]),
    ("ticket", &["model"]),
    ("host", &["model"]),
    ("expected", &["model"]),
    ("findings", &["model", "expected"]),
    ("remedy", &["model"]),
    ("pipeline", &["model", "findings"]),
    ("refresh", &["model", "pipeline", "sqlserver", "directory", "dns", "ticket", "host"]),
    ("metrics", &["model", "findings", "pipeline"]),
    ("report", &["model", "findings", "pipeline", "remedy"]),
    ("web", &["pipeline", "refresh", "metrics", "report", "remedy"]),
    ("config", &["model", "cli", "sqlserver", "directory", "dns", "ticket", "host", "refresh", "web"]),
    (
        "commands",
        &[
            "model",
            "cli",
            "config",
            "findings",
            "pipeline",
            "refresh",
            "report",
            "web",
            "sqlserver",
            "directory",
            "ticket",
        ],
    ),
    ("app", &["cli", "config", "refresh", "metrics", "web"]),
];

/// Driver crates, each with the only places that may name it.
const DRIVERS: &[(&str, &[&str])] = &[
    ("tiberius", &["src/sqlserver/client.rs", "src/sqlserver/client/"]),
    ("ldap3", &["src/directory/client.rs"]),
    ("cross_krb5", &["src/directory/kerberos.rs", "src/ticket/logon_session.rs"]),
    ("hickory_resolver", &["src/dns/client.rs", "src/dns/client/"]),
    ("prometheus_client", &["src/metrics/render.rs"]),
    ("picky_krb", &["src/ticket/crypto.rs"]),
    ("windows_registry", &["src/host/windows.rs"]),
    ("windows_service", &["src/host/windows/services.rs"]),
    ("sysinfo", &["src/host/windows/services.rs"]),
    ("zeroize", &["src/ticket/", "src/model/secret.rs"]),
    ("hyper", &["src/web/"]),
    ("hyper_util", &["src/web/"]),
    ("http_body_util", &["src/web/"]),
    ("flate2", &["src/web/bodies.rs"]),
    ("figment", &["src/config/layers.rs"]),
    ("yaml_serde", &["src/config/layers.rs"]),
    ("saphyr", &["src/config/locate.rs"]),
    // layers.rs asks a value of the command line for the words that a key may have.
    ("clap", &["src/cli.rs", "src/config/layers.rs"]),
];

/// Files of more than [`MOST_LINES`] lines, unit tests at their end apart, each with the reason.
const LONG_FILES: &[(&str, &str)] = &[
    ("src/sqlserver/decode/tests.rs", "table tests of all decoders"),
    ("tests/it/config.rs", "every key and every mistake of the configuration"),
];

const MOST_LINES: usize = 400;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below these folders: its path from the root, with `/`, and its text.
fn files(folders: &[&str]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders: Vec<_> = folders.iter().map(|folder| root().join(folder)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/");
                found.insert(name, fs::read_to_string(&path).unwrap().replace("\r\n", "\n"));
            }
        }
    }
    assert!(!found.is_empty());
    found
}

fn is_test_file(name: &str) -> bool {
    ["src/samples.rs", "src/findings/silence.rs", "src/findings/account_matrix.rs"].contains(&name)
        || name.starts_with("src/samples/")
        || name.ends_with("/tests.rs")
        || name.contains("/tests/")
}

/// The text without `#[cfg(test)]` items: to the `;` that ends one without a body, or to its closing brace.
fn without_tests(text: &str) -> String {
    let (mut kept, mut lines) = (String::new(), text.lines());
    while let Some(line) = lines.next() {
        let Some(indent) = line.strip_suffix("#[cfg(test)]") else {
            kept += line;
            kept.push('\n');
            continue;
        };
        let (closing, mut has_body) = (format!("{indent}}}"), false);
        for skipped in lines.by_ref() {
            has_body |= skipped.ends_with('{');
            if skipped == closing || (!has_body && skipped.ends_with(';')) {
                break;
            }
        }
    }
    kept
}

/// The text without comments that fill a line.
fn code(text: &str) -> String {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .map(|line| line.to_owned() + "\n")
        .collect()
}

/// Whether the name stands in the text as a word of its own.
fn names(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(name)
        .any(|(at, _)| !text[..at].ends_with(is_part) && !text[at + name.len()..].starts_with(is_part))
}

/// The modules at the crate's root that a file uses: `crate::a::…`, `crate::{a::…, b}`, and as many `super::` as lead there.
fn modules_used(name: &str, text: &str) -> BTreeSet<String> {
    let path = name.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    let text = text.replace(&"super::".repeat(path.split('/').count()), "crate::");
    let mut used = BTreeSet::new();
    for (at, prefix) in text.match_indices("crate::") {
        let (mut depth, mut word, mut begins_a_path) = (0, String::new(), true);
        for c in text[at + prefix.len()..].chars() {
            if c.is_alphanumeric() || c == '_' || c == '*' {
                word.push(c);
                continue;
            }
            let word = std::mem::take(&mut word);
            if begins_a_path && !word.is_empty() {
                used.insert(word);
                begins_a_path = false;
            }
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' => begins_a_path = depth == 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
    }
    // What else stands at the root is an item of `lib`, no module.
    used.retain(|word| word == "*" || word == "samples" || LAYERS.iter().any(|(module, _)| module == word));
    used
}

#[test]
fn the_reading_of_imports() {
    let used = |name, text| modules_used(name, text).into_iter().collect::<Vec<_>>().join(" ");
    assert_eq!(
        used("src/web/mod.rs", "use crate::{dns::Error, host, model::{spn::Spn, dns::X}};"),
        "dns host model"
    );
    assert_eq!(
        used("src/web/mod.rs", "use crate::{\n    config::{self, Config},\n    findings,\n};"),
        "config findings"
    );
    assert_eq!(
        used(
            "src/web/routes.rs",
            "fn f() -> crate::dns::Settings { super::super::app::x(super::host::y()) }"
        ),
        "app dns"
    );
    assert_eq!(used("src/remedy/mod.rs", "use super::metrics; use self::host;"), "metrics");
    assert_eq!(used("src/app.rs", "use crate::install_crypto; use crate::*;"), "*");
    assert_eq!(
        without_tests("a\n#[cfg(test)]\nmod samples;\nb\n#[cfg(test)]\nmod tests {\n    x;\n}\nc\n"),
        "a\nb\nc\n"
    );
    assert!(
        names("use hyper::x", "hyper")
            && !names("use hyper_util::x", "hyper")
            && !names("BufWriter", "Writer")
    );
}

#[test]
fn imports_point_one_way() {
    let mut allowed = BTreeSet::new();
    for (index, (module, uses)) in LAYERS.iter().enumerate() {
        for used in *uses {
            assert!(
                LAYERS[..index].iter().any(|(above, _)| above == used),
                "{module} uses {used}, which stands below it"
            );
            allowed.insert((*module, *used));
        }
    }
    let mut wrong = Vec::new();
    let mut unused = allowed.clone();
    for (name, text) in files(&["src"]) {
        let module = name.trim_start_matches("src/").split('/').next().unwrap().trim_end_matches(".rs");
        if module == "main" || module == "lib" || is_test_file(&name) {
            continue;
        }
        if !LAYERS.iter().any(|(known, _)| *known == module) {
            wrong.push(format!("{name}: module {module} has no place in LAYERS"));
        }
        for used in modules_used(&name, &code(&without_tests(&text))) {
            if used != module && !allowed.contains(&(module, used.as_str())) {
                wrong.push(format!("{name}: {module} may not use {used}"));
            }
            unused.retain(|edge| *edge != (module, used.as_str()));
        }
    }
    wrong.extend(unused.iter().map(|(module, used)| format!("LAYERS: {module} does not use {used}")));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_driver_is_named_in_its_place_alone() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let mut wrong = Vec::new();
    for (driver, places) in DRIVERS {
        let is_dependency = |name: &str| manifest.contains(&format!("\n{name} = "));
        assert!(
            is_dependency(driver) || is_dependency(&driver.replace('_', "-")),
            "{driver} is no dependency"
        );
        for (name, text) in files(&["src"]) {
            let text = code(&without_tests(&text));
            if !places.iter().any(|place| name.starts_with(place)) && names(&text, driver) {
                wrong.push(format!("{name} names {driver}: only {} may", places.join(", ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What can change a directory is out of reach of everything that runs by itself (JUDGEMENT 16).
#[test]
fn nothing_but_fix_can_write_to_a_directory() {
    for (name, text) in files(&["src"]) {
        let may = name.starts_with("src/directory/") || name == "src/commands/fix.rs";
        // The log's own `fmt::format::Writer` is another thing.
        let text = code(&text).replace("format::Writer", "");
        let may = may || name == "src/telemetry.rs" && !names(&text, "directory");
        assert!(may || !names(&text, "Writer"), "{name} names Writer: only src/commands/fix.rs may");
    }
}

#[test]
fn every_file_says_what_it_is() {
    let silent: Vec<String> = files(&["src", "tests"])
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//! "))
        .map(|(name, _)| name)
        .collect();
    assert!(silent.is_empty(), "without a module doc at its head: {silent:?}");
}

#[test]
fn the_lists_of_rules_are_the_folder() {
    let listed: Vec<String> = rules::all().map(|rule| rule.name.to_owned()).collect();
    let unique: BTreeSet<String> = listed.iter().cloned().collect();
    assert_eq!(listed.len(), unique.len(), "a rule is listed twice");
    let in_folder: BTreeSet<String> = fs::read_dir(root().join("src/findings/rules"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|name| name != "mod")
        .collect();
    assert_eq!(in_folder, unique, "files in src/findings/rules, and CAUSES with SYMPTOMS");
}

#[test]
fn long_files_have_a_reason() {
    let long: BTreeMap<String, usize> = files(&["src", "tests"])
        .into_iter()
        .map(|(name, text)| (name, without_tests(&text).lines().count()))
        .filter(|(_, n_lines)| *n_lines > MOST_LINES)
        .collect();
    let excused: BTreeSet<&str> = LONG_FILES.iter().map(|(name, _)| *name).collect();
    let wrong: Vec<_> = long.iter().filter(|(name, _)| !excused.contains(name.as_str())).collect();
    assert!(wrong.is_empty(), "more than {MOST_LINES} lines without a reason in LONG_FILES: {wrong:?}");
    let stale: Vec<_> = excused.iter().filter(|name| !long.contains_key(**name)).collect();
    assert!(stale.is_empty(), "no longer long, so no longer in need of a reason: {stale:?}");
}

/// Of the crates that this platform builds: those are on the disk of whoever runs the tests, the others need not be.
/// `tests/windows/run` holds the same for Windows.
#[test]
fn no_dependency_needs_a_newer_compiler() {
    let cargo = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).current_dir(root()).output().unwrap();
        assert!(
            output.status.success(),
            "{program} {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    let version = cargo("rustc", &["-vV"]);
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let features = if cfg!(feature = "gssapi") { "gssapi" } else { "" };
    let arguments = [
        "metadata",
        "--offline",
        "--locked",
        "--format-version=1",
        "--filter-platform",
        host,
        "--features",
        features,
    ];
    let metadata: serde_json::Value = serde_json::from_str(&cargo(env!("CARGO"), &arguments)).unwrap();
    let number = |text: &str| -> Vec<u32> {
        text.split('.').map(|part| part.parse().unwrap()).chain([0]).take(2).collect()
    };
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 50, "{}", packages.len());
    for package in packages {
        if let Some(wanted) = package["rust_version"].as_str() {
            assert!(
                number(wanted) <= number(env!("CARGO_PKG_RUST_VERSION")),
                "{} {} needs Rust {wanted}",
                package["name"],
                package["version"]
            );
        }
    }
}
