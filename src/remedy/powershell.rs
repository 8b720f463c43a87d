//! Changes of accounts as lines for PowerShell's ActiveDirectory module. The object is named by its GUID and the domain by
//! the DNS name that its distinguished name spells, so no name that somebody chose reaches the line.

use crate::model::account::AccountClass;
use crate::model::change::AccountChange;
use crate::model::directory::AccountNames;

/// The line; `None` where the GUID is not known.
pub fn line(change: AccountChange, account: &AccountNames) -> Option<String> {
    let identity = identity(account)?;
    let set = format!("Set-{}", noun(account));
    Some(match change {
        AccountChange::Enable => format!("Enable-ADAccount {identity}"),
        AccountChange::Unlock => format!("Unlock-ADAccount {identity}"),
        AccountChange::ClearExpiration => format!("Clear-ADAccountExpiration {identity}"),
        // Asks for the password; none is ever on a command line.
        AccountChange::NewPassword => format!("Set-ADAccountPassword {identity} -Reset"),
        AccountChange::UseAes => format!("{set} {identity} -KerberosEncryptionType AES128,AES256"),
        AccountChange::ClearDesOnly => format!("Set-ADAccountControl {identity} -UseDESKeyOnly $false"),
    })
}

/// Whom a cmdlet is about; `None` where the GUID is not known.
pub(super) fn identity(account: &AccountNames) -> Option<String> {
    let guid = account.guid.as_deref().filter(|guid| is_plain(guid))?;
    Some(match dns_name(&account.dn) {
        Some(domain) => format!("-Identity {guid} -Server {domain}"),
        None => format!("-Identity {guid}"),
    })
}

/// The noun of the cmdlets for an account of its class.
pub(super) fn noun(account: &AccountNames) -> &'static str {
    match account.class.is_self_managed() {
        false => "ADUser",
        true if account.class == AccountClass::Computer => "ADComputer",
        true => "ADServiceAccount",
    }
}

/// What is done, in words.
pub const fn words(change: AccountChange) -> &'static str {
    match change {
        AccountChange::Enable => "enable the account",
        AccountChange::Unlock => "unlock the account once the source of the wrong logons is found",
        AccountChange::ClearExpiration => "clear the account's expiry date, or set a later one",
        AccountChange::NewPassword => {
            "set a new password (25 characters or more), and the same one in SQL Server Configuration Manager (Windows)"
        }
        AccountChange::UseAes => "allow AES for the account and nothing weaker",
        AccountChange::ClearDesOnly => "clear \"Use only Kerberos DES encryption types\"",
    }
}

/// The domain of a distinguished name; `None` if it is not spelt with harmless characters alone.
fn dns_name(dn: &str) -> Option<String> {
    let labels: Vec<&str> = dn
        .rsplit(',')
        .map_while(|part| part.trim().strip_prefix("DC=").or_else(|| part.trim().strip_prefix("dc=")))
        .collect();
    let is_name = !labels.is_empty() && labels.iter().all(|label| is_plain(label));
    is_name.then(|| labels.into_iter().rev().collect::<Vec<_>>().join("."))
}

fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('-')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn lines_name_the_object_by_guid() {
        let mut account = samples::account("svc_sql", &[]).names;
        account.guid = Some("6f9619ff-8b86-d011-b42d-00c04fc964ff".into());
        assert_eq!(
            line(AccountChange::Enable, &account).as_deref(),
            Some("Enable-ADAccount -Identity 6f9619ff-8b86-d011-b42d-00c04fc964ff -Server corp.contoso.com")
        );
        account.dn = "CN=x$(calc),DC=corp,DC=a;b".into();
        let hostile = line(AccountChange::UseAes, &account).unwrap();
        assert_eq!(
            hostile,
            "Set-ADUser -Identity 6f9619ff-8b86-d011-b42d-00c04fc964ff -KerberosEncryptionType AES128,AES256"
        );
        account.guid = Some("x; calc".into());
        assert_eq!(line(AccountChange::Unlock, &account), None);
    }
}
