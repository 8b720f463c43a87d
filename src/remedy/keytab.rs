//! Entries of SQL Server's keytab (Linux) as lines of adutil and ktpass, in the form of Microsoft's pages: "Rotate keytabs for SQL
//! Server on Linux" and "Use Active Directory authentication with SQL Server on Linux". AES alone, and never a password.

use crate::model::change::{KeytabStep, KeytabTool};
use crate::model::spn::{MSSQLSVC, Spn, Tail};

use super::setspn::is_plain;

/// What the line does, and the line.
///
/// # Errors
/// Why no line is given.
pub fn line(step: &KeytabStep) -> Result<(String, String), String> {
    let is_harmless = is_plain(&step.account.domain)
        && is_plain(&step.account.sam)
        && step.spn.as_ref().is_none_or(|spn| spn.as_str().split(['/', ':']).all(is_plain));
    if !is_harmless {
        return Err(format!("not generated: unusual characters in the names of object {}", step.account.sid));
    }
    match step.tool {
        KeytabTool::Adutil => adutil(step),
        KeytabTool::Ktpass => Ok(ktpass(step)),
    }
}

/// `createauto` makes the entries of an SPN's host and port, `create` that of the account. Both append; without `--password` they
/// ask for it.
fn adutil(step: &KeytabStep) -> Result<(String, String), String> {
    let what = "with adutil on SQL Server's host, after kinit; it asks for the account's password";
    let names = match &step.spn {
        None => format!("create -k {} -p {}", path(&step.keytab), step.account.sam),
        Some(spn) => {
            let host = spn.host().ok_or_else(|| format!("not generated: {} has no host", spn.label()))?;
            let port = match spn.tail() {
                Tail::Port(port) => format!(" -p {port}"),
                Tail::None => String::new(),
                Tail::Instance(_) => {
                    return Err(format!("not generated: adutil makes no entry for {}", spn.label()));
                }
            };
            format!("createauto -k {}{port} -H {host} -s {MSSQLSVC}", path(&step.keytab))
        }
    };
    let kinds = if step.is_aes256 {
        "aes256-cts-hmac-sha1-96,aes128-cts-hmac-sha1-96"
    } else {
        "aes128-cts-hmac-sha1-96"
    };
    Ok((what.to_owned(), format!("adutil keytab {names} --kvno {} -e {kinds}", version(step))))
}

/// Without `-setpass` it sets the account's password, and the key version moves on; without `-setupn` it makes the SPN the
/// account's userPrincipalName (`upn_shadows_spn`). `/pass *` asks.
fn ktpass(step: &KeytabStep) -> (String, String) {
    let what = "or with ktpass on Windows, into a copy of the keytab named mssql.keytab; it asks for the account's password";
    let principal = step.spn.as_ref().map_or(step.account.sam.as_str(), Spn::as_str);
    let line = format!(
        "ktpass /princ {principal}@{} /ptype KRB5_NT_PRINCIPAL /crypto {} /mapuser {} /in mssql.keytab /out mssql.keytab \
         -setpass -setupn /kvno {} /pass *",
        step.realm.as_deref().filter(|realm| is_plain(realm)).unwrap_or("<REALM>"),
        if step.is_aes256 { "aes256-sha1" } else { "aes128-sha1" },
        step.account.nt_name(),
        version(step)
    );
    (what.to_owned(), line)
}

/// After a new password the version is another one, which `kvno` tells.
fn version(step: &KeytabStep) -> String {
    step.key_version.map_or_else(|| "<kvno>".to_owned(), |version| version.to_string())
}

/// The path comes from a file: only what paths of keytabs are made of.
fn path(keytab: &str) -> &str {
    let is_usual = keytab.starts_with('/')
        && keytab.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-'));
    if is_usual { keytab } else { "<keytab>" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::account::AccountClass;
    use crate::model::change::Change;
    use crate::samples;

    fn step(tool: KeytabTool, spn: Option<&str>) -> KeytabStep {
        KeytabStep {
            tool,
            account: samples::account("svc_sql", &[]).names,
            spn: spn.map(samples::spn),
            realm: Some("CORP.CONTOSO.COM".into()),
            key_version: Some(3),
            keytab: "/var/opt/mssql/secrets/mssql.keytab".into(),
            is_aes256: true,
        }
    }

    #[test]
    fn lines_to_the_letter() {
        use KeytabTool::{Adutil, Ktpass};
        const PORT: &str = "MSSQLSvc/sql01.corp.contoso.com:1433";
        const KINDS: &str = "-e aes256-cts-hmac-sha1-96,aes128-cts-hmac-sha1-96";
        let shown = |tool, spn| line(&step(tool, spn)).unwrap().1;
        assert_eq!(
            shown(Adutil, Some(PORT)),
            format!(
                "adutil keytab createauto -k /var/opt/mssql/secrets/mssql.keytab -p 1433 -H sql01.corp.contoso.com -s MSSQLSvc \
                 --kvno 3 {KINDS}"
            )
        );
        assert_eq!(
            shown(Adutil, None),
            format!(
                "adutil keytab create -k /var/opt/mssql/secrets/mssql.keytab -p svc_sql --kvno 3 {KINDS}"
            )
        );
        assert_eq!(
            shown(Ktpass, Some(PORT)),
            "ktpass /princ MSSQLSvc/sql01.corp.contoso.com:1433@CORP.CONTOSO.COM /ptype KRB5_NT_PRINCIPAL /crypto aes256-sha1 \
             /mapuser CORP\\svc_sql /in mssql.keytab /out mssql.keytab -setpass -setupn /kvno 3 /pass *"
        );
        assert!(shown(Ktpass, None).starts_with("ktpass /princ svc_sql@CORP.CONTOSO.COM "));
        assert!(!shown(Adutil, Some("MSSQLSvc/sql01.corp.contoso.com")).contains(" -p "));
        let named = step(Adutil, Some("MSSQLSvc/sql01.corp.contoso.com:PROD"));
        assert!(line(&named).is_err(), "createauto knows ports alone");
        let unknown = KeytabStep { realm: None, key_version: None, ..step(Ktpass, Some(PORT)) };
        let text = line(&unknown).unwrap().1;
        assert!(text.contains("@<REALM> ") && text.contains("/kvno <kvno> "), "{text}");
    }

    #[test]
    fn hostile_names_reach_no_line() {
        for tool in [KeytabTool::Adutil, KeytabTool::Ktpass] {
            for bad in ["a; calc", "$(calc)", "a'b", "a\nb", "-x", "a b", ""] {
                let mut hostile = step(tool, None);
                hostile.account.sam = bad.into();
                assert!(line(&hostile).is_err(), "{bad:?}");
                let hostile = KeytabStep { keytab: format!("/{bad}"), ..step(tool, None) };
                let text = line(&hostile).unwrap().1;
                assert!(!text.contains("calc") && !text.contains('\n') && !text.contains('\''), "{text}");
                let hostile = KeytabStep { realm: Some(bad.into()), ..step(KeytabTool::Ktpass, None) };
                assert!(line(&hostile).unwrap().1.contains("@<REALM> "), "{bad:?}");
                if !bad.is_empty() {
                    let hostile = step(tool, Some(&format!("MSSQLSvc/x:{bad}")));
                    assert!(line(&hostile).is_err(), "{bad:?}");
                }
            }
        }
    }

    #[test]
    fn nothing_weak_no_password_and_users_alone() {
        for tool in [KeytabTool::Adutil, KeytabTool::Ktpass] {
            let text = line(&KeytabStep { is_aes256: false, ..step(tool, None) }).unwrap().1.to_lowercase();
            assert!(text.contains("aes128") && !text.contains("rc4") && !text.contains("arcfour"), "{text}");
            assert!(!text.contains("--password"), "{text}");
            let mut computer = step(tool, None);
            computer.account.class = AccountClass::Computer;
            assert!(matches!(Change::keytab(computer), Change::Advice(_)));
        }
    }
}
