//! Delegation as PowerShell for an administrator to adapt: always a comment, never an active line (JUDGEMENT 16, Never 5), and
//! never delegation to any service. Objects are named by GUID; what cannot be written harmlessly is not written.

use crate::model::account::Sid;
use crate::model::directory::AccountNames;
use crate::model::spn::Spn;

use super::powershell;
use super::setspn::is_plain;

/// Lets `back_end`, which holds the target's SPN, admit `front`.
///
/// # Errors
/// Why no line is given.
pub fn admit(front: &AccountNames, back_end: &AccountNames, admitted: &[Sid]) -> Result<String, String> {
    let line = format!(
        "Set-{} -PrincipalsAllowedToDelegateToAccount (Get-{})",
        reference(back_end)?,
        reference(front)?
    );
    if admitted.is_empty() {
        return Ok(line);
    }
    let sids: Vec<&str> = admitted.iter().map(Sid::as_str).collect();
    Ok(format!("{line}  (it replaces the list: name also those on it now, {})", sids.join(", ")))
}

/// Puts the SPN on the list of `front`.
///
/// # Errors
/// Why no line is given.
pub fn list(front: &AccountNames, spn: &Spn) -> Result<String, String> {
    let label = spn.label();
    if !label.split(['/', ':']).all(is_plain) {
        return Err("not generated: unusual characters in the SPN".to_owned());
    }
    Ok(format!("Set-{} -Add @{{'msDS-AllowedToDelegateTo'='{label}'}}", reference(front)?))
}

/// The cmdlet's noun and whom it is about: `ADUser -Identity <objectGUID> -Server <domain>`.
fn reference(account: &AccountNames) -> Result<String, String> {
    let identity = powershell::identity(account)
        .ok_or_else(|| format!("not generated: the GUID of object {} is not known", account.sid))?;
    Ok(format!("{} {identity}", powershell::noun(account)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::account::AccountClass;
    use crate::samples;

    #[test]
    fn lines() {
        let front = samples::account("svc_sql", &[]).names;
        let mut back_end = samples::account("SQL02$", &[]).names;
        let guid = |names: &AccountNames| names.guid.clone().unwrap();
        let line = format!(
            "Set-ADComputer -Identity {} -Server corp.contoso.com -PrincipalsAllowedToDelegateToAccount (Get-ADUser -Identity {} \
             -Server corp.contoso.com)",
            guid(&back_end),
            guid(&front)
        );
        assert_eq!(admit(&front, &back_end, &[]).as_deref(), Ok(line.as_str()));
        let kept = admit(&front, &back_end, &[samples::domain_sid(7)]).unwrap();
        assert!(kept.starts_with(&line) && kept.contains("S-1-5-21-1-2-3-7"), "{kept}");
        back_end.class = AccountClass::GroupManaged;
        assert!(admit(&front, &back_end, &[]).unwrap().starts_with("Set-ADServiceAccount "));
        let spn = Spn::parse("mssqlsvc/SQL02.corp.contoso.com:1433").unwrap();
        let line = format!(
            "Set-ADUser -Identity {} -Server corp.contoso.com -Add @{{'msDS-AllowedToDelegateTo'='MSSQLSvc/sql02.corp.contoso.com:1433'}}",
            guid(&front)
        );
        assert_eq!(list(&front, &spn), Ok(line));
    }

    #[test]
    fn no_name_gets_into_a_line() {
        let front = samples::account("svc_sql", &[]).names;
        let hostile =
            AccountNames { sam: "x'; calc #".into(), dn: "CN=$(calc),DC=calc;x".into(), ..front.clone() };
        let line = admit(&front, &hostile, &[]).unwrap();
        assert!(!line.contains("calc"), "{line}");
        for bad in ["a; calc", "$(calc)", "a'b", "a\nb", "", "-x"] {
            let guid = AccountNames { guid: Some(bad.into()), ..front.clone() };
            assert!(admit(&front, &guid, &[]).is_err(), "{bad:?}");
            if let Some(spn) = Spn::parse(&format!("MSSQLSvc/x:{bad}")).filter(|_| !bad.is_empty()) {
                assert!(list(&front, &spn).is_err(), "{bad:?}");
            }
        }
    }
}
