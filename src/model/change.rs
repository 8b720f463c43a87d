//! The typed changes that remedies are made of. `remedy` renders them as text; no rule holds a command.

use super::account::{AccountClass, Sid};
use super::directory::AccountNames;
use super::spn::Spn;

/// One step of a remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Add the SPN to the account. Active: for the AD administrator to run.
    AddSpn {
        /// What.
        spn: Spn,
        /// To whom.
        account: AccountNames,
    },
    /// Remove the SPN from the account. Only where JUDGEMENT 16 (a) to (d) hold.
    RemoveSpn {
        /// What.
        spn: Spn,
        /// From whom.
        account: AccountNames,
    },
    /// Ask the owner of the holder first: what we cannot prove to be a leftover.
    AskOwner {
        /// What.
        spn: Spn,
        /// Who holds it.
        holder: AccountNames,
    },
    /// Let the holder of a target's SPN admit the service account (resource-based constrained delegation). Never an active
    /// line (JUDGEMENT 16, Never 5).
    AdmitDelegation {
        /// The service account that passes callers on.
        front: AccountNames,
        /// The account that holds the target's SPN.
        back_end: AccountNames,
        /// Whom it admits already: the cmdlet replaces the list.
        admitted: Vec<Sid>,
    },
    /// Put a target's SPN on the service account's list (constrained delegation). Never an active line.
    ListDelegationTarget {
        /// The service account that passes callers on.
        front: AccountNames,
        /// The target's SPN.
        spn: Spn,
    },
    /// Give the instance a static TCP port (SQL Server Configuration Manager).
    SetStaticPort {
        /// `IPAll`, `IP1` …: the KB's remedy branches on it.
        entries: Vec<String>,
        /// The port.
        port: u16,
    },
    /// Change something else about an account, made by [`Change::account`] alone. Never active: what an administrator decides
    /// (JUDGEMENT 16, never 5).
    Account(AccountStep),
    /// Write keys into SQL Server's keytab on Linux, made by [`Change::keytab`] alone. Never active: it asks for the password.
    Keytab(KeytabStep),
    /// Restart the SQL Server service.
    RestartService,
    /// T-SQL for the DBA to run, one batch.
    TransactSql(String),
    /// A key of the exporter's configuration, with an example.
    Configure {
        /// Key path, such as `instances[].fqdn`.
        key: &'static str,
        /// What to write there.
        example: String,
    },
    /// A DNS record to correct, in words.
    Dns(String),
    /// What no command can do, in words.
    Advice(String),
}

impl Change {
    /// A change of an account. A new password is for the accounts that have one which people set; for every other class it
    /// becomes words: a reset in the directory would break a computer's secure channel, and a managed account has none to set. The
    /// encryption types of a computer become words too.
    pub fn account(change: AccountChange, account: &AccountNames) -> Self {
        match (change, no_password_by_hand(account)) {
            (AccountChange::NewPassword, Some(why)) => Self::Advice(why),
            (AccountChange::UseAes, _) if account.class == AccountClass::Computer => {
                Self::Advice(types_of_the_host(account))
            }
            _ => Self::Account(AccountStep { change, account: account.clone() }),
        }
    }
}

impl Change {
    /// A key of the account for a keytab. Only a user account has a password from which somebody could make one; ktpass would
    /// give a computer or managed account another one.
    pub fn keytab(step: KeytabStep) -> Self {
        match step.account.class {
            AccountClass::User => Self::Keytab(step),
            class => Self::Advice(format!(
                "{} is no user account ({}): nobody knows its password, so no keytab can be made from it; SQL Server on Linux \
                 needs a user account",
                step.account.nt_name(),
                class.name()
            )),
        }
    }
}

/// One entry of a keytab to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeytabStep {
    /// With which program.
    pub tool: KeytabTool,
    /// Whose key it is.
    pub account: AccountNames,
    /// For which of its names; `None`: its own.
    pub spn: Option<Spn>,
    /// Its realm, where known.
    pub realm: Option<String>,
    /// The version of the key, where it is known and stays.
    pub key_version: Option<u32>,
    /// The keytab's path.
    pub keytab: String,
    /// AES256, or AES128 where the account allows no more. Never anything weaker.
    pub is_aes256: bool,
}

/// The programs that Microsoft's pages name for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeytabTool {
    /// On the Linux host.
    Adutil,
    /// On a Windows machine of the domain.
    Ktpass,
}

/// How a computer comes to allow AES: its host tells the domain controller what it can do (KerberosSupportedEncryptionTypes, MS-NRPC
/// 2.2.1.3.6), which writes it into the object. Written there by hand it is overwritten, and until then the KDC may use a type that
/// the host does not take.
fn types_of_the_host(account: &AccountNames) -> String {
    format!(
        "{} is a computer account: its host writes the types itself, by the policy \"Network security: Configure encryption types \
         allowed for Kerberos\"; allow AES128 and AES256 there, and nothing weaker (then restart the host)",
        account.nt_name()
    )
}

/// Why nobody sets this account's password, with what makes new keys instead.
fn no_password_by_hand(account: &AccountNames) -> Option<String> {
    let name = account.nt_name();
    match account.class {
        AccountClass::User => None,
        AccountClass::Computer => Some(format!(
            "{name} is a computer account: never reset its password in the directory, which breaks the host's secure channel. \
             New keys are the host's own business: Reset-ComputerMachinePassword, run there by its administrator"
        )),
        // It is installed on one host, which sets its password (Reset-ADServiceAccountPassword).
        AccountClass::StandaloneManaged => Some(format!(
            "{name} is a standalone managed service account: its host sets its password by itself, or at once by \
             Reset-ADServiceAccountPassword, run there"
        )),
        AccountClass::GroupManaged | AccountClass::DelegatedManaged => Some(format!(
            "{name} is a {}: the domain makes its password and changes it by itself, there is none to set; the next change \
             makes new keys (msDS-ManagedPasswordInterval, 30 days unless set otherwise)",
            account.class.name()
        )),
        AccountClass::Other => Some(format!(
            "{name} is no user account: whether its password may be set, and how, is for its owner to say"
        )),
    }
}

/// A change of one account that an administrator may make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountStep {
    change: AccountChange,
    account: AccountNames,
}

impl AccountStep {
    /// What.
    pub const fn change(&self) -> AccountChange {
        self.change
    }

    /// Of which account.
    pub const fn account(&self) -> &AccountNames {
        &self.account
    }
}

/// What an administrator may do about an account besides its SPNs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountChange {
    /// Enable it.
    Enable,
    /// Unlock it, after the source of the wrong logons is found.
    Unlock,
    /// Clear its expiry date.
    ClearExpiration,
    /// Give it a new password: new keys too.
    NewPassword,
    /// Allow AES and nothing weaker.
    UseAes,
    /// No longer DES alone.
    ClearDesOnly,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn a_new_password_is_for_users_alone() {
        let mut account = samples::account("svc", &[]).names;
        for (class, word) in [
            (AccountClass::User, None),
            (AccountClass::Computer, Some("Reset-ComputerMachinePassword")),
            (AccountClass::StandaloneManaged, Some("Reset-ADServiceAccountPassword")),
            (AccountClass::GroupManaged, Some("by itself")),
            (AccountClass::DelegatedManaged, Some("by itself")),
            (AccountClass::Other, Some("owner")),
        ] {
            account.class = class;
            match (Change::account(AccountChange::NewPassword, &account), word) {
                (Change::Account(step), None) => assert_eq!(step.change(), AccountChange::NewPassword),
                (Change::Advice(text), Some(word)) => assert!(text.contains(word), "{text}"),
                (change, _) => panic!("{class:?}: {change:?}"),
            }
            // A computer's types are its host's to write.
            match (class, Change::account(AccountChange::UseAes, &account)) {
                (AccountClass::Computer, Change::Advice(text)) => {
                    assert!(text.contains("Configure encryption types allowed for Kerberos"), "{text}");
                }
                (AccountClass::Computer, change) => panic!("{change:?}"),
                (_, change) => assert!(matches!(change, Change::Account(_)), "{class:?} {change:?}"),
            }
            // Whatever else is done about an account may be done to each.
            for change in [AccountChange::Enable, AccountChange::ClearDesOnly] {
                assert!(
                    matches!(Change::account(change, &account), Change::Account(_)),
                    "{class:?} {change:?}"
                );
            }
        }
    }
}
