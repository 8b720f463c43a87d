//! The typed changes that remedies are made of. `remedy` renders them as text; no rule holds a command.

use super::account::Sid;
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
    /// Change something else about an account. Never active: what an administrator decides (JUDGEMENT 16, never 5).
    Account {
        /// What.
        change: AccountChange,
        /// Of which account.
        account: AccountNames,
    },
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
