//! What MIT's programs say of a ticket: `kvno` its key's version or the error, `klist -e` its encryption type. Other code than
//! the exporter's, asked as the exporter's own account.

use std::process::Command;

use super::domain::Lab;

/// Errors of a KDC by the text that MIT's library has for each (krb5_err.et), with the number in RFC 4120 7.5.9.
const ERRORS: &[(&str, u32)] = &[
    ("Server not found in Kerberos database", 7),
    ("KDC policy rejects request", 12),
    ("KDC has no support for encryption type", 14),
    ("Client's credentials have been revoked", 18),
    ("Credentials for server have been revoked", 19),
    ("Clock skew too great", 37),
];

/// Asks for a service ticket: `aes256 2`, or the number of the KDC's error.
pub(super) fn ask(lab: &Lab, spn: &str) -> Result<String, u32> {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("cache");
    let run = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        // The texts of errors are English in every locale but the program's own frame may not be.
        command.env("LC_ALL", "C").env("KRB5_CONFIG", lab.text("/krb5_conf")).env("KRB5CCNAME", &cache);
        command.args(arguments).output().unwrap()
    };
    let fine = |program: &str, arguments: &[&str]| {
        let output = run(program, arguments);
        assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    fine("kinit", &["-k", "-t", lab.text("/exporter/keytab"), lab.text("/exporter/principal")]);
    let told = run("kvno", &[spn]);
    if !told.status.success() {
        let text = String::from_utf8_lossy(&told.stderr).into_owned();
        let error = ERRORS.iter().find(|(words, _)| text.contains(words));
        return Err(error.unwrap_or_else(|| panic!("kvno {spn}: {text}")).1);
    }
    let told = String::from_utf8(told.stdout).unwrap();
    let version = told.trim().rsplit_once("kvno = ").unwrap().1.to_owned();
    let list = fine("klist", &["-e"]);
    let kinds = list.lines().skip_while(|line| !line.contains(spn)).nth(1).unwrap();
    let kind = match kinds.rsplit_once(", ").unwrap().1.trim() {
        "aes256-cts-hmac-sha1-96" => "aes256",
        "aes128-cts-hmac-sha1-96" => "aes128",
        text if text.contains("arcfour-hmac") => "rc4",
        other => panic!("{other} in {list}"),
    };
    Ok(format!("{kind} {version}"))
}

/// The same in one text, for a comparison: `aes256 2` or `7`.
pub(super) fn word(lab: &Lab, spn: &str) -> String {
    ask(lab, spn).unwrap_or_else(|code| code.to_string())
}
