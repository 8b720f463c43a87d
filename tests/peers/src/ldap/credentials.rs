//! Who may bind with which password, and how a domain controller counts wrong ones.
//!
//! Account states come from the directory; this knows passwords and the number of failures only.

use super::accounts;
use super::directory::Directory;
use super::entry::components;
use super::message::{Outcome, code};

/// Why a bind is refused: the `data` code in the text of Active Directory's answer, a Windows error number in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// 52e ERROR_LOGON_FAILURE: unknown account or wrong password.
    WrongPassword,
    /// 533 ERROR_ACCOUNT_DISABLED.
    Disabled,
    /// 532 ERROR_PASSWORD_EXPIRED.
    PasswordExpired,
    /// 701 ERROR_ACCOUNT_EXPIRED.
    AccountExpired,
    /// 773 ERROR_PASSWORD_MUST_CHANGE.
    MustChangePassword,
    /// 775 ERROR_ACCOUNT_LOCKED_OUT.
    LockedOut,
}

impl Refusal {
    /// The `data` code.
    pub fn data(self) -> &'static str {
        match self {
            Self::WrongPassword => "52e",
            Self::Disabled => "533",
            Self::PasswordExpired => "532",
            Self::AccountExpired => "701",
            Self::MustChangePassword => "773",
            Self::LockedOut => "775",
        }
    }
}

struct Credential {
    /// Everything the account may call itself, in lower case.
    names: Vec<String>,
    /// The account's entry; none for an account of another forest.
    dn: Option<String>,
    password: String,
    refusal: Option<Refusal>,
    wrong: u32,
}

/// All credentials that one controller knows.
#[derive(Default)]
pub(super) struct Credentials(Vec<Credential>);

impl Credentials {
    /// Gives the account `name` (sAMAccountName) a password. `false` if the directory has no such account.
    pub(super) fn set_password(&mut self, directory: &mut Directory, name: &str, password: &str) -> bool {
        for domain in &mut directory.domains {
            let (dns, netbios) = (domain.dns().to_owned(), domain.netbios().to_owned());
            let Some(entry) = domain.account(name) else { continue };
            let sam = entry.text("sAMAccountName").unwrap_or(name);
            // The name forms of a simple bind (MS-ADTS 5.1.1.1.1), as far as clients use them.
            let mut names = vec![format!("{netbios}\\{sam}"), format!("{sam}@{dns}")];
            names.extend(entry.text("userPrincipalName").map(str::to_owned));
            self.add(&names, Some(entry.dn()), password);
            return true;
        }
        false
    }

    /// Adds an identity that the directory does not have: an account of a trusted forest.
    pub(super) fn add(&mut self, names: &[String], dn: Option<&str>, password: &str) {
        let names: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
        self.0.retain(|known| !known.names.iter().any(|name| names.contains(name)));
        self.0.push(Credential {
            names,
            dn: dn.map(str::to_owned),
            password: password.to_owned(),
            refusal: None,
            wrong: 0,
        });
    }

    fn find(&mut self, identity: &str) -> Option<&mut Credential> {
        let lower = identity.to_lowercase();
        let name = components(identity);
        self.0.iter_mut().find(|known| {
            known.names.contains(&lower) || known.dn.as_deref().is_some_and(|dn| components(dn) == name)
        })
    }

    /// Refuses (or no longer refuses) an identity, whatever the directory says of it.
    pub(super) fn refuse(&mut self, identity: &str, refusal: Option<Refusal>) -> bool {
        let Some(credential) = self.find(identity) else { return false };
        credential.refusal = refusal;
        if refusal.is_none() {
            credential.wrong = 0;
        }
        true
    }

    pub(super) fn wrong_passwords(&mut self, identity: &str) -> u32 {
        self.find(identity).map_or(0, |credential| credential.wrong)
    }

    /// Judges a simple bind with a name and a password.
    pub(super) fn bind(&mut self, directory: &mut Directory, identity: &str, password: &[u8]) -> Outcome {
        let Some(credential) = self.find(identity) else { return refused(Refusal::WrongPassword.data()) };
        let domain = directory.domains.iter().find(|domain| {
            let inside = components(&domain.dn());
            credential.dn.as_deref().is_some_and(|dn| components(dn).ends_with(&inside))
        });
        let root = domain.and_then(|domain| domain.root()).cloned();
        let threshold = root.as_ref().and_then(|root| root.number("lockoutThreshold")).unwrap_or(0);
        let entry = credential.dn.as_deref().and_then(|dn| directory.entry(dn));
        let state = entry.as_ref().and_then(|entry| accounts::refusal(entry, root.as_ref()));
        let state = credential.refusal.map(Refusal::data).or(state);
        // A locked account is refused whether the password is right or not, and no longer counts.
        if state == Some(Refusal::LockedOut.data())
            || (threshold > 0 && i64::from(credential.wrong) >= threshold)
        {
            return refused(Refusal::LockedOut.data());
        }
        let right =
            credential.password.as_bytes() == password && state != Some(Refusal::WrongPassword.data());
        credential.wrong = if right { 0 } else { credential.wrong + 1 };
        if let Some(entry) = entry {
            entry.set("badPwdCount", [credential.wrong.to_string()]);
        }
        match state {
            _ if !right => refused(Refusal::WrongPassword.data()),
            Some(data) => refused(data),
            None => Outcome::success(),
        }
    }
}

fn refused(data: &str) -> Outcome {
    let text =
        format!("80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data {data}, v4563");
    Outcome::new(code::INVALID_CREDENTIALS, &text)
}
