//! Everything this exporter sends to a directory, written out for the `queries` command. The attributes are the ones
//! that the exchanges ask for; nothing is ever written.

/// One kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Short name.
    pub name: &'static str,
    /// Who is asked.
    pub server: &'static str,
    /// Base object.
    pub base: &'static str,
    /// Scope of RFC 4511 4.5.1.2.
    pub scope: &'static str,
    /// Filter, with placeholders.
    pub filter: &'static str,
    /// Attributes asked for.
    pub attributes: &'static [&'static str],
    /// Right needed.
    pub right: &'static str,
    /// Why it is asked.
    pub why: &'static str,
    /// How often.
    pub rhythm: &'static str,
}

/// Of the rootDSE.
pub(super) const ROOT_DSE: &[&str] = &[
    "dnsHostName",
    "defaultNamingContext",
    "rootDomainNamingContext",
    "configurationNamingContext",
    "currentTime",
];

/// Of the rootDSE of a domain controller that is only looked at.
pub(super) const LOOK: &[&str] = &["dnsHostName", "currentTime"];

/// Of the object at the head of a domain.
pub(super) const DOMAIN: &[&str] = &["objectSid", "msDS-Behavior-Version"];

/// Of the group Read-only Domain Controllers.
pub(super) const READ_ONLY_CONTROLLERS: &[&str] = &["whenCreated"];

/// Of krbtgt.
pub(super) const KRBTGT: &[&str] = &["pwdLastSet"];

/// Of a trust.
pub(super) const TRUST: &[&str] = &[
    "trustPartner",
    "flatName",
    "trustDirection",
    "trustType",
    "trustAttributes",
    "msDS-SupportedEncryptionTypes",
];

/// Of the LDAP ping.
pub(super) const NETLOGON: &[&str] = &["netlogon"];

/// Of the crossRef objects.
pub(super) const PARTITIONS: &[&str] = &["nETBIOSName", "dnsRoot", "nCName", "systemFlags"];

/// Of the Global Catalog: each of them is in the partial attribute set (isMemberOfPartialAttributeSet in MS-ADA1, ADA2
/// and ADA3). msDS-AdditionalDnsHostName is not (MS-ADA2 2.207) and would look absent there.
pub(super) const CATALOG: &[&str] = &[
    "objectSid",
    "objectGUID",
    "objectClass",
    "sAMAccountName",
    "userAccountControl",
    "servicePrincipalName",
    "userPrincipalName",
    "dNSHostName",
];

/// It needs a control in the request.
pub(super) const SECURITY_DESCRIPTOR: &str = "nTSecurityDescriptor";

/// Of a service account, on a domain controller of its own domain.
pub(super) const ACCOUNT: &[&str] = &[
    "servicePrincipalName",
    "objectSid",
    "objectGUID",
    "objectClass",
    "sAMAccountName",
    "userAccountControl",
    "dNSHostName",
    "msDS-AdditionalDnsHostName",
    "whenChanged",
    "adminCount",
    "allowedAttributesEffective",
    "msDS-User-Account-Control-Computed",
    "accountExpires",
    "pwdLastSet",
    "msDS-UserPasswordExpiryTimeComputed",
    "msDS-KeyVersionNumber",
    "msDS-SupportedEncryptionTypes",
    "msDS-AllowedToDelegateTo",
    "msDS-AllowedToActOnBehalfOfOtherIdentity",
    "msDS-GroupMSAMembership",
    "tokenGroups",
    SECURITY_DESCRIPTOR,
];

/// Of any other holder of an SPN asked for, on a domain controller of its own domain.
pub(super) const HOLDER: &[&str] = &["servicePrincipalName", "objectSid", "objectGUID", "objectClass"];

/// Of a computer object, on a domain controller of its own domain.
pub(super) const COMPUTER: &[&str] = &["objectSid", "msDS-AdditionalDnsHostName", "tokenGroups"];

/// All requests, in the order in which a refresh sends them.
pub const REQUESTS: &[Request] = &[
    Request {
        name: "root_dse",
        server: "domain controller",
        base: "",
        scope: "base",
        filter: "(objectClass=*)",
        attributes: ROOT_DSE,
        right: "none",
        why: "which domain and forest answer, and what the domain controller's clock says",
        rhythm: "each refresh; at connect before a Kerberos bind if the URL does not hold the server's own name",
    },
    Request {
        name: "site",
        server: "domain controller",
        base: "",
        scope: "base",
        filter: r"(&(DnsDomain=<domain>)(NtVer=\06\00\00\00))",
        attributes: NETLOGON,
        right: "none",
        why: "the AD site of this host",
        rhythm: "once for each connection",
    },
    Request {
        name: "domains",
        server: "domain controller",
        base: "CN=Partitions,<configurationNamingContext>",
        scope: "one level",
        filter: "(objectClass=crossRef)",
        attributes: PARTITIONS,
        right: "any domain user",
        why: "NetBIOS names, DNS names and naming contexts of the forest's domains",
        rhythm: "hourly",
    },
    Request {
        name: "holders",
        server: "global catalog",
        base: "",
        scope: "subtree",
        filter: "(|(servicePrincipalName=<spn>)…(servicePrincipalName=MSSQLSvc/<host>*)…(userPrincipalName=<spn>@<realm>)…\
                 (sAMAccountName=<account>)…(userPrincipalName=<account>)…)",
        attributes: CATALOG,
        right: "any domain user",
        why: "every holder of the SPNs in the forest, and where the accounts and computers are",
        rhythm: "each refresh; one search for each 200 terms",
    },
    Request {
        name: "names",
        server: "domain controller",
        base: "<naming context of the domain>",
        scope: "subtree",
        filter: "(|(sAMAccountName=<account>)…(userPrincipalName=<account>)…)",
        attributes: CATALOG,
        right: "any domain user",
        why: "accounts that the Global Catalog did not show, and those of directory.also",
        rhythm: "each refresh, only when needed",
    },
    Request {
        name: "account",
        server: "domain controller",
        base: "<distinguished name of the service account>",
        scope: "base",
        filter: "(objectClass=*)",
        attributes: ACCOUNT,
        right: "any domain user",
        why: "what the account's own domain says about it, which beats the Global Catalog",
        rhythm: "each refresh, once for each service account",
    },
    Request {
        name: "holder",
        server: "domain controller",
        base: "<distinguished name of the holder>",
        scope: "base",
        filter: "(objectClass=*)",
        attributes: HOLDER,
        right: "any domain user",
        why: "whether another holder of an SPN still holds it in its own domain",
        rhythm: "each refresh, at most 8, only for accounts that hold an SPN of ours and are no service account of ours",
    },
    Request {
        name: "computer",
        server: "domain controller",
        base: "<distinguished name of the computer>",
        scope: "base",
        filter: "(objectClass=*)",
        attributes: COMPUTER,
        right: "any domain user",
        why: "further DNS names and the groups of the computer, which the Global Catalog does not have",
        rhythm: "hourly",
    },
    Request {
        name: "domain",
        server: "domain controller",
        base: "<naming context of the domain>",
        scope: "base",
        filter: "(objectClass=*)",
        attributes: DOMAIN,
        right: "any domain user",
        why: "the functional level of a domain that service accounts live in, and of ours",
        rhythm: "hourly, at most 4 domains",
    },
    Request {
        name: "aes_since",
        server: "domain controller",
        base: "<SID=<objectSid of the domain>-521>",
        scope: "base",
        filter: "(objectClass=*)",
        attributes: READ_ONLY_CONTROLLERS,
        right: "any domain user",
        why: "since when the domain gives accounts AES keys: the group came with its first controller of Windows \
              Server 2008",
        rhythm: "hourly, at most 4 domains",
    },
    Request {
        name: "krbtgt",
        server: "domain controller",
        base: "<SID=<objectSid of the domain>-502>",
        scope: "base",
        filter: "(objectClass=*)",
        attributes: KRBTGT,
        right: "any domain user",
        why: "whether the password of krbtgt is older than the domain's AES keys",
        rhythm: "hourly, at most 4 domains",
    },
    Request {
        name: "trusts",
        server: "domain controller",
        base: "CN=System,<naming context of the domain>",
        scope: "one level",
        filter: "(objectClass=trustedDomain)",
        attributes: TRUST,
        right: "any domain user",
        why: "direction, kind and encryption types of the trusts that logins and service accounts come over",
        rhythm: "hourly, at most 4 domains",
    },
    Request {
        name: "look",
        server: "further domain controller or global catalog",
        base: "",
        scope: "base",
        filter: "(objectClass=*)",
        attributes: LOOK,
        right: "none; no bind",
        why: "whether it answers and what its clock says; beside it a TCP connection to port 88, on which nothing is sent",
        rhythm: "each refresh, at most 2 of those not in use",
    },
];
