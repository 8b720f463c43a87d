//! What SQL Server tells of its own start and of its account's name: SPNs that it could not register, and what its host makes
//! of the name. Who may register what is judged elsewhere.

use super::account::Sid;
use super::spn::Spn;

/// An SPN that the engine could not register when it started (error 26067), with Windows' return code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationRefusal {
    /// The SPN as the engine made it up.
    pub spn: Spn,
    /// A system error code.
    pub code: u32,
}

/// ERROR_DS_INSUFF_ACCESS_RIGHTS, 8344 ("System error codes 8200 to 8999").
const INSUFFICIENT_RIGHTS: u32 = 0x2098;
/// ERROR_DS_SPN_VALUE_NOT_UNIQUE_IN_FOREST, 8647 (there; MS-ERREF 2.2).
const NOT_UNIQUE: u32 = 0x21C7;
/// ERROR_DS_INVALID_ATTRIBUTE_SYNTAX, 8203 (there).
const INVALID_SYNTAX: u32 = 0x200B;
/// ERROR_NO_SUCH_DOMAIN, 1355 ("System error codes 1300 to 1699").
const NO_SUCH_DOMAIN: u32 = 0x54B;

impl RegistrationRefusal {
    /// Whether it was refused for want of a right. No other code says anything about rights.
    pub const fn is_for_want_of_a_right(&self) -> bool {
        self.code == INSUFFICIENT_RIGHTS
    }

    /// For people.
    pub fn in_words(&self) -> String {
        let meaning = match self.code {
            INSUFFICIENT_RIGHTS => " (insufficient access rights)",
            NOT_UNIQUE => " (another account of the forest holds it)",
            INVALID_SYNTAX => " (no name that a directory takes)",
            NO_SUCH_DOMAIN => " (no domain controller reached)",
            _ => "",
        };
        format!("{:#x}{meaning}", self.code)
    }
}

/// What the host of SQL Server (its LSA) makes of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameTranslation {
    /// The name, `DOMAIN\name`.
    pub account: String,
    /// What it stands for, if for anything.
    pub sid: Option<Sid>,
    /// The same of `DOMAIN\krbtgt`.
    pub control: Option<Sid>,
}

/// The relative identifier of `krbtgt` in every domain (DOMAIN_USER_RID_KRBTGT, MS-DTYP 2.4.2.4).
const KRBTGT: u32 = 502;

impl NameTranslation {
    /// Whether the name stands for nothing: it has no SID, while the account that every domain has, has its own. Without
    /// this control a host that reaches no domain controller would say the same. A SID proves nothing: SQL Server may have
    /// it from a stored login.
    pub fn proves_absence(&self) -> bool {
        let is_answered = self.control.as_ref().is_some_and(|sid| sid.relative_in_domain() == Some(KRBTGT));
        self.sid.is_none() && is_answered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absence_takes_the_control() {
        let sid = |rid: u8| {
            let mut bytes = vec![1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0];
            bytes.extend([rid, 1, 0, 0]);
            Sid::from_bytes(&bytes)
        };
        let krbtgt = sid(0xf6);
        assert_eq!(krbtgt.as_ref().unwrap().as_str(), "S-1-5-21-1-2-3-502");
        let proves = |sid: Option<Sid>, control: &Option<Sid>| {
            NameTranslation { account: "CORP\\svc".into(), sid, control: control.clone() }.proves_absence()
        };
        assert!(proves(None, &krbtgt));
        assert!(!proves(None, &None));
        assert!(!proves(None, &sid(1)), "a login of that name");
        assert!(!proves(sid(1), &krbtgt));
        assert!(!proves(None, &Sid::from_bytes(&[1, 1, 0, 0, 0, 0, 0, 5, 0xf6, 1, 0, 0])), "of no domain");
    }

    #[test]
    fn only_one_code_is_about_rights() {
        let said = |code| {
            let refusal = RegistrationRefusal { spn: Spn::parse("MSSQLSvc/a.b:1").unwrap(), code };
            (refusal.is_for_want_of_a_right(), refusal.in_words())
        };
        assert_eq!(said(0x2098), (true, "0x2098 (insufficient access rights)".into()));
        assert_eq!(said(0x21c7), (false, "0x21c7 (another account of the forest holds it)".into()));
        assert_eq!(said(0xffff_ffff), (false, "0xffffffff".into()));
    }
}
