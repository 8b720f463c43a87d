//! Samples of what a domain controller says: accounts, computers and holders, the domain CORP and its trusts.

use std::collections::BTreeMap;

use crate::model::account::AccountClass;
use crate::model::condition::{AccountControl, Condition, EncryptionTypes, PasswordSet};
use crate::model::directory::{
    Account, AccountNames, Computer, DirectoryFacts, DirectoryServer, Domain, Holder,
};
use crate::model::domain::{ControllerRole, ControllerState, DomainPolicy, Trust, TrustDirection};
use crate::model::observed::Gap;

use super::values::{NOW, clock, domain_sid, host, sid, spn};

/// An account as read at home.
pub(crate) fn account(sam: &str, spns: &[&str]) -> Account {
    Account {
        names: names(sam),
        spns: Ok(spns.iter().map(|text| spn(text)).collect()),
        host_names: Vec::new(),
        changed: Some(NOW as f64 - 90.0 * 86_400.0),
        is_protected: false,
        condition: condition(),
    }
}

/// The condition of a healthy user account: AES, a password of two months that never expires, no delegation, and no right
/// to register its own SPNs.
pub(crate) fn condition() -> Condition {
    Condition {
        control: Ok(AccountControl(0x1_0200)),
        computed: Ok(AccountControl(0)),
        expires: Ok(None),
        password_set: Ok(PasswordSet::At(NOW as f64 - 60.0 * 86_400.0)),
        password_expires: Ok(None),
        key_version: Ok(2),
        encryption_types: Ok(Some(EncryptionTypes(0x18))),
        delegates_to: Ok(Vec::new()),
        delegated_from: Ok(Vec::new()),
        groups: Ok(vec![domain_sid(513)]),
        registers_itself: Ok(false),
        validated_hosts: Vec::new(),
        password_readers: Err(Gap::not_applicable(
            "only a group or delegated managed service account has a list of readers",
        )),
    }
}

/// A computer object.
pub(crate) fn computer(sam: &str, dns_host_name: &str) -> Computer {
    Computer {
        names: names(sam),
        dns_host_name: Some(host(dns_host_name)),
        additional_names: Vec::new(),
        groups: Ok(Vec::new()),
    }
}

/// A holder as the Global Catalog shows it.
pub(crate) fn holder(sam: &str, spns: &[&str]) -> Holder {
    Holder {
        names: names(sam),
        spns: spns.iter().map(|text| spn(text)).collect(),
        lagging: Vec::new(),
        upn: None,
        read_at_home: false,
    }
}

fn names(sam: &str) -> AccountNames {
    AccountNames {
        sid: sid(sam),
        guid: Some(format!("00000000-0000-0000-0000-{:012}", sam.len())),
        dn: format!("CN={sam},CN=Users,DC=corp,DC=contoso,DC=com"),
        domain: "CORP".into(),
        sam: sam.into(),
        class: if sam.ends_with('$') { AccountClass::Computer } else { AccountClass::User },
        enabled: Some(true),
    }
}

/// An answer of the directory with the domain CORP and nothing else.
pub(crate) fn directory() -> DirectoryFacts {
    DirectoryFacts {
        server: DirectoryServer {
            name: "dc1.corp.contoso.com".into(),
            url: "ldaps://dc1.corp.contoso.com:636".into(),
            global_catalog: Some("ldaps://dc1.corp.contoso.com:3269".into()),
            domain: "corp.contoso.com".into(),
            forest: "corp.contoso.com".into(),
            clock: Ok(clock()),
            site: None,
        },
        domains: Ok(vec![Domain {
            dns_name: "corp.contoso.com".into(),
            netbios_name: "CORP".into(),
            naming_context: "DC=corp,DC=contoso,DC=com".into(),
        }]),
        holders: Ok(Vec::new()),
        accounts: BTreeMap::new(),
        computers: BTreeMap::new(),
        policies: [("corp.contoso.com".to_owned(), Ok(policy()))].into(),
        writable_accounts: Ok(Vec::new()),
        controllers: vec![
            controller("dc1", ControllerRole::Directory),
            controller("dc1", ControllerRole::GlobalCatalog),
            controller("dc1", ControllerRole::Kdc),
        ],
    }
}

/// `DC=corp,DC=contoso,DC=com` of `corp.contoso.com`.
pub(super) fn context_of(dns_name: &str) -> String {
    dns_name.split('.').map(|label| format!("DC={label}")).collect::<Vec<_>>().join(",")
}

/// A domain that has made AES keys for ten years, without trusts.
fn policy() -> DomainPolicy {
    DomainPolicy {
        functional_level: Ok(7),
        aes_since: Ok(NOW as f64 - 3_650.0 * 86_400.0),
        krbtgt_set: Ok(NOW as f64 - 120.0 * 86_400.0),
        trusts: Ok(Vec::new()),
    }
}

/// A forest trust in both directions, with AES.
pub(crate) fn trust(partner: &str, netbios_name: &str) -> Trust {
    Trust {
        partner: partner.into(),
        netbios_name: Some(netbios_name.into()),
        direction: TrustDirection::Both,
        kind: 2,
        attributes: 0x8,
        encryption_types: Some(EncryptionTypes(0x18)),
    }
}

/// A role of a domain controller that answers.
pub(crate) fn controller(short: &str, role: ControllerRole) -> ControllerState {
    let (server, port) = (format!("{short}.corp.contoso.com"), role == ControllerRole::GlobalCatalog);
    let url = format!("ldaps://{server}:{}", if port { 3_269 } else { 636 });
    let clock = (role == ControllerRole::Directory).then(clock);
    ControllerState { server, url, role, seconds: Ok(0.01), clock, refreshes_ago: 0 }
}
