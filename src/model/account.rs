//! Accounts: security identifiers, the NT name a Windows service shows, and the classes of account that AD knows.
//! The traps of mapping a service's account to the AD object that acts for it on the network are here (JUDGEMENT 5);
//! whether such an object exists is the directory's to say.

use std::fmt;

/// A security identifier in its text form `S-1-5-21-…` (MS-DTYP 2.4.2). Holders are compared by it, never by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sid(String);

impl Sid {
    /// Decodes the binary form: revision 1, sub-authority count, a 48-bit big-endian authority, then that many
    /// 32-bit little-endian sub-authorities (MS-DTYP 2.4.2.2). `None` if the length does not fit.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (head, tail) = bytes.split_at_checked(8)?;
        let [1, count, authority @ ..] = head else { return None };
        if tail.len() != usize::from(*count) * 4 || *count > 15 {
            return None;
        }
        let authority = authority.iter().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
        let mut text = format!("S-1-{authority}");
        for chunk in tail.chunks_exact(4) {
            let part = <[u8; 4]>::try_from(chunk).map(u32::from_le_bytes).ok()?;
            text.push_str(&format!("-{part}"));
        }
        Some(Self(text))
    }

    /// The relative identifier, if this is an object of an AD domain: `S-1-5-21-…-<rid>` (MS-DTYP 2.4.2.4).
    pub fn relative_in_domain(&self) -> Option<u32> {
        let mut parts = self.0.strip_prefix("S-1-5-21-")?.split('-').skip(3);
        let rid = parts.next()?.parse().ok()?;
        parts.next().is_none().then_some(rid)
    }

    /// Reads the text form (MS-DTYP 2.4.2.1), with a decimal authority: one of 2^32 or more, which would stand there in
    /// hexadecimal, has never been given to anybody.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let parts: Vec<u32> = text
            .strip_prefix("S-1-")?
            .split('-')
            .map(|part| Some(part).filter(digits)?.parse().ok())
            .collect::<Option<_>>()?;
        let (authority, parts) = parts.split_first()?;
        if parts.is_empty() || parts.len() > 15 {
            return None;
        }
        let tail: String = parts.iter().map(|part| format!("-{part}")).collect();
        Some(Self(format!("S-1-{authority}{tail}")))
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key for looking an account up in AD; compared without case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccountKey {
    /// `sAMAccountName`, in the domain of this NetBIOS or DNS name; `None`: anywhere in our forest. Lower case.
    Sam {
        /// NetBIOS or DNS name of the domain, lower case.
        domain: Option<String>,
        /// `sAMAccountName`, lower case, with the trailing `$` where it has one.
        name: String,
    },
    /// `userPrincipalName`, lower case.
    Upn(String),
}

impl AccountKey {
    /// An account by sAMAccountName.
    pub fn sam(domain: Option<&str>, name: &str) -> Self {
        Self::Sam { domain: domain.map(str::to_lowercase), name: name.to_lowercase() }
    }

    /// The computer object of a host or of a cluster's virtual name: `sAMAccountName = <NetBIOS name>$`. NetBIOS names
    /// end after 15 characters.
    pub fn computer(domain: Option<&str>, netbios_name: &str) -> Self {
        let cut: String = netbios_name.chars().take(15).collect();
        Self::sam(domain, &format!("{cut}$"))
    }
}

impl fmt::Display for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sam { domain: Some(domain), name } => write!(f, "{domain}\\{name}"),
            Self::Sam { domain: None, name } => f.write_str(name),
            Self::Upn(upn) => f.write_str(upn),
        }
    }
}

/// What the account name of a Windows service stands for on the network (JUDGEMENT 5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceIdentity {
    /// LocalSystem or NetworkService: the computer account.
    BuiltIn,
    /// `NT SERVICE\…`: the computer account.
    Virtual,
    /// LocalService: anonymous on the network.
    LocalService,
    /// A machine-local account: no identity in AD.
    Local,
    /// A domain account by name; a trailing `$` may be a managed service account or a computer.
    Domain(AccountKey),
}

impl ServiceIdentity {
    /// Reads the name as the service control manager shows it. `machine` is the NetBIOS name of the host: its own
    /// name before the backslash is a local account.
    pub fn of(account: &str, machine: Option<&str>) -> Option<Self> {
        let account = account.trim();
        if account.is_empty() {
            return None;
        }
        // The authority and account names are localised on some systems ("NT-AUTORITÄT"); spaces vary too.
        let folded: String = account.to_lowercase().chars().filter(|c| !c.is_whitespace()).collect();
        let (authority, name) = match folded.split_once('\\') {
            Some((authority, name)) => (Some(authority), name),
            None => (None, folded.as_str()),
        };
        let built_in = |name: &str| match name {
            "localsystem" | "system" | "networkservice" | "netzwerkdienst" | "servicer\u{e9}seau" => {
                Some(Self::BuiltIn)
            }
            "localservice" | "lokalerdienst" | "servicelocal" => Some(Self::LocalService),
            _ => None,
        };
        match authority {
            None => match account.split_once('@') {
                Some((user, domain)) if !user.is_empty() && !domain.is_empty() => {
                    Some(Self::Domain(AccountKey::Upn(account.to_lowercase())))
                }
                Some(_) => None,
                None => built_in(name).or(Some(Self::Local)),
            },
            Some("ntservice") => Some(Self::Virtual),
            Some(authority) if authority.starts_with("nt") && built_in(name).is_some() => built_in(name),
            Some(authority) if authority.starts_with("ntauthor") || authority.starts_with("ntautor") => {
                Some(Self::BuiltIn)
            }
            Some(".") => Some(Self::Local),
            Some(authority) if machine.is_some_and(|machine| machine.eq_ignore_ascii_case(authority)) => {
                Some(Self::Local)
            }
            Some(_) => {
                let (domain, user) = account.split_once('\\')?;
                let whole = !domain.trim().is_empty() && !user.trim().is_empty();
                whole.then(|| Self::Domain(AccountKey::sam(Some(domain.trim()), user.trim())))
            }
        }
    }

    /// The label `account_kind`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::BuiltIn => "built_in",
            Self::Virtual => "virtual",
            Self::LocalService => "local_service",
            Self::Local => "local",
            Self::Domain(_) => "domain",
        }
    }
}

/// The class of an account object, by objectClass, never by a trailing `$` (JUDGEMENT 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccountClass {
    /// `user`.
    User,
    /// `computer`.
    Computer,
    /// `msDS-ManagedServiceAccount`.
    StandaloneManaged,
    /// `msDS-GroupManagedServiceAccount`.
    GroupManaged,
    /// `msDS-DelegatedManagedServiceAccount`.
    DelegatedManaged,
    /// Anything else that holds an SPN.
    Other,
}

impl AccountClass {
    /// From the values of objectClass. The managed classes derive from `computer`, so they are looked for first.
    pub fn of<'a>(classes: impl IntoIterator<Item = &'a str>) -> Self {
        let classes: Vec<String> = classes.into_iter().map(str::to_lowercase).collect();
        let has = |name: &str| classes.iter().any(|class| class == name);
        if has("msds-delegatedmanagedserviceaccount") {
            Self::DelegatedManaged
        } else if has("msds-groupmanagedserviceaccount") {
            Self::GroupManaged
        } else if has("msds-managedserviceaccount") {
            Self::StandaloneManaged
        } else if has("computer") {
            Self::Computer
        } else if has("user") {
            Self::User
        } else {
            Self::Other
        }
    }

    /// As Microsoft abbreviates it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Computer => "computer",
            Self::StandaloneManaged => "sMSA",
            Self::GroupManaged => "gMSA",
            Self::DelegatedManaged => "dMSA",
            Self::Other => "other",
        }
    }

    /// Whether msDS-GroupMSAMembership says which hosts may use it: who may fetch a group managed account's password, and the
    /// keys of a delegated one ("Setting up delegated Managed Service Accounts": PrincipalsAllowedToRetrieveManagedPassword
    /// is the permission of the device).
    pub const fn has_readers(self) -> bool {
        matches!(self, Self::GroupManaged | Self::DelegatedManaged)
    }

    /// Whether its password changes without anybody setting it.
    pub const fn is_self_managed(self) -> bool {
        match self {
            Self::Computer | Self::StandaloneManaged | Self::GroupManaged | Self::DelegatedManaged => true,
            Self::User | Self::Other => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sid_from_bytes() {
        let bytes = [1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0x50, 4, 0, 0];
        assert_eq!(Sid::from_bytes(&bytes).unwrap().as_str(), "S-1-5-21-1-2-3-1104");
        assert_eq!(Sid::from_bytes(&bytes[..27]), None);
        assert_eq!(Sid::from_bytes(&[]), None);
        assert_eq!(Sid::from_bytes(&[2, 0, 0, 0, 0, 0, 0, 5]), None);
        assert_eq!(Sid::parse("S-1-5-21-1-2-3-1104"), Sid::from_bytes(&bytes));
    }

    #[test]
    fn sid_from_text() {
        let longest = format!("S-1-5{}", "-4294967295".repeat(15));
        for text in ["S-1-5-18", "S-1-1-0", "S-1-5-21-0-0-0-1000", &longest] {
            assert_eq!(Sid::parse(text).as_ref().map(Sid::as_str), Some(text));
        }
        assert_eq!(Sid::parse("S-1-5-018"), Sid::parse("S-1-5-18"), "one SID has one text");
        let too_long = format!("{longest}-1");
        for text in [
            "",
            "S-1-",
            "S-1-5",
            "S-1-5-",
            "S-1-5--1",
            "S-2-5-18",
            "S-1-5-+18",
            "S-1-5-4294967296",
            "s-1-5-18",
        ] {
            assert_eq!(Sid::parse(text), None, "{text}");
        }
        assert_eq!(Sid::parse(&too_long), None);
        assert_eq!(Sid::parse("S-1-5-18\0"), None);
        assert_eq!(Sid::parse(r"CORP\svc_sql"), None);
    }

    #[test]
    fn service_accounts_and_their_traps() {
        use ServiceIdentity::{BuiltIn, Domain, Local, LocalService, Virtual};
        let domain = |d: &str, n: &str| Domain(AccountKey::sam(Some(d), n));
        for (account, expected) in [
            ("LocalSystem", Some(BuiltIn)),
            (r"NT AUTHORITY\SYSTEM", Some(BuiltIn)),
            (r"NT AUTHORITY\NETWORK SERVICE", Some(BuiltIn)),
            (r"NT Authority\NetworkService", Some(BuiltIn)),
            ("NT-AUTORITÄT\\NETZWERKDIENST", Some(BuiltIn)),
            (r"NT AUTHORITY\LOCAL SERVICE", Some(LocalService)),
            (r"NT SERVICE\MSSQLSERVER", Some(Virtual)),
            (r"NT Service\MSSQL$PROD", Some(Virtual)),
            (r"CORP\svc_sql", Some(domain("corp", "svc_sql"))),
            (r"CORP\gmsa_sql$", Some(domain("corp", "gmsa_sql$"))),
            (r"NTDOM\svc", Some(domain("ntdom", "svc"))),
            ("svc_sql@contoso.com", Some(Domain(AccountKey::Upn("svc_sql@contoso.com".into())))),
            (r".\bob", Some(Local)),
            (r"SQL01\bob", Some(Local)),
            ("bob", Some(Local)),
            ("", None),
            (r"CORP\", None),
            ("@", None),
        ] {
            assert_eq!(ServiceIdentity::of(account, Some("sql01")), expected, "{account}");
        }
    }

    #[test]
    fn managed_accounts_are_told_by_class() {
        let class = |names: &[&str]| AccountClass::of(names.iter().copied());
        assert_eq!(class(&["top", "person", "user", "computer"]), AccountClass::Computer);
        assert_eq!(
            class(&["top", "user", "computer", "msDS-GroupManagedServiceAccount"]),
            AccountClass::GroupManaged
        );
        assert_eq!(
            class(&["top", "user", "computer", "MSDS-ManagedServiceAccount"]),
            AccountClass::StandaloneManaged
        );
        assert_eq!(
            class(&["top", "user", "computer", "msDS-DelegatedManagedServiceAccount"]),
            AccountClass::DelegatedManaged
        );
        assert_eq!(class(&["top", "user"]), AccountClass::User);
        assert_eq!(class(&["contact"]), AccountClass::Other);
    }

    #[test]
    fn computer_names_end_after_15_characters() {
        assert_eq!(
            AccountKey::computer(None, "ABCDEFGHIJKLMNOPQ"),
            AccountKey::sam(None, "abcdefghijklmno$")
        );
    }

    #[test]
    fn names_and_habits_of_each_class() {
        use AccountClass::{Computer, DelegatedManaged, GroupManaged, Other, StandaloneManaged, User};
        for (class, name, is_self_managed, has_readers) in [
            (User, "user", false, false),
            (Computer, "computer", true, false),
            (StandaloneManaged, "sMSA", true, false),
            (GroupManaged, "gMSA", true, true),
            (DelegatedManaged, "dMSA", true, true),
            (Other, "other", false, false),
        ] {
            assert_eq!(class.name(), name);
            assert_eq!(
                (class.is_self_managed(), class.has_readers()),
                (is_self_managed, has_readers),
                "{name}"
            );
        }
    }
}
