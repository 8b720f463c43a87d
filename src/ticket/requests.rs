//! What is asked of Key Distribution Centers, for `queries` and the people who watch the domain controllers. Text only: the
//! requests themselves are made in `message`.

/// One kind of request.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// Its name.
    pub name: &'static str,
    /// What for.
    pub why: &'static str,
    /// The message of RFC 4120, and its service.
    pub message: &'static str,
    /// The encryption types offered.
    pub offers: &'static str,
    /// To whom.
    pub kdc: &'static str,
    /// How often.
    pub rhythm: &'static str,
    /// The event in the domain controller's security log.
    pub event: &'static str,
}

/// Every one.
pub const REQUESTS: &[Request] = &[
    Request {
        name: "logon",
        why: "a ticket-granting ticket for the exporter's own account: nobody else's password is ever tried",
        message: "AS-REQ for krbtgt/REALM with pre-authentication (PA-ENC-TIMESTAMP)",
        offers: "aes256, aes128",
        kdc: "one KDC of the exporter's realm",
        rhythm: "once in a ticket's lifetime (10 hours); a refused secret rests for two hours or until it changes",
        event: "4768, when refused 4771",
    },
    Request {
        name: "service ticket",
        why: "whether clients get a ticket for an expected SPN, with which encryption type and key version",
        message: "TGS-REQ for the SPN, with referrals followed as a client does; without keytab and password sent by the logon \
                  session (SSPI, GSSAPI), which may answer out of its cache instead, and which makes the logon itself",
        offers: "aes256, aes128; rc4 as well only for a service account that has nothing else",
        kdc: "a KDC of the realm in which the service account lives",
        rhythm: "one SPN of each service account an hour (rc4: one a day); once all required ones after a change of its keys, \
                 ports or SPNs; `check`: all required and recommended ones",
        event: "4769",
    },
    Request {
        name: "cross-realm ticket",
        why: "the way to a service account of another domain, and whether the trust to a forest works that directory.also names or \
              that logins on NTLM are of",
        message: "TGS-REQ for krbtgt/OTHER-REALM, then one for that realm's own krbtgt",
        offers: "aes256, aes128",
        kdc: "a KDC of the exporter's realm, then one of the other realm",
        rhythm: "hourly, where there is such an account or forest (of logins four at most); not through the logon session",
        event: "4769",
    },
    Request {
        name: "service account",
        why: "whether the realm knows the service account and with which keys; only with ticket.ask_service_accounts: true. It \
              looks like AS-REP roasting. No password is tried, so that it locks nobody out; a ticket that comes back (no \
              pre-authentication required) is dropped unread",
        message: "AS-REQ for krbtgt/REALM in the name of the service account, without pre-authentication",
        offers: "aes256, aes128, rc4",
        kdc: "one KDC of the account's realm",
        rhythm: "once an hour at most for each service account, never repeated; `check`: once",
        event: "4768, failure 0x19 (pre-authentication required); 0x6 for a name that is no account, 0x0 for an account without \
                pre-authentication",
    },
];
