//! The matrix of service accounts: kind × state × encryption × password × delegation × rights, and which findings each row has.
//! Read it beside the table of attributes in docs/judgement.md, 5: every bit and number here is there with its source.

use crate::findings::{Finding, Outcome, Severity};
use crate::model::account::AccountClass;
use crate::model::condition::{AccountControl, EncryptionTypes, PasswordSet};
use crate::model::observed::Gap;
use crate::samples::{Bench, NAME, PORT, domain_sid, now, sid};

const HOUR: f64 = 3_600.0;
const DAY: f64 = 24.0 * HOUR;

/// The findings that judge an account.
const OF_ACCOUNTS: [&str; 15] = [
    "account_disabled",
    "account_locked",
    "account_expired",
    "password_expired",
    "password_expiring",
    "restart_after_password_change",
    "gmsa_not_retrievable",
    "encryption_mismatch",
    "weak_encryption",
    "rc4_removal_breaks",
    "local_account",
    "cannot_register_spn",
    "unconstrained_delegation",
    "delegation_forbidden",
    "delegation_target_unusable",
];

/// One that may write its own SPNs.
fn user() -> Bench {
    Bench::new().with(|bench| bench.condition.registers_itself = Ok(true))
}

fn computer() -> Bench {
    Bench::new().service_account("NT SERVICE\\MSSQLSERVER").spns("sql01$", &[PORT, NAME]).with(|bench| {
        bench.condition.control = Ok(AccountControl(0x1000));
        bench.condition.encryption_types = Ok(Some(EncryptionTypes(0x1c)));
        bench.condition.registers_itself = Ok(true);
    })
}

fn gmsa() -> Bench {
    Bench::new().service_account("CORP\\gmsa_sql$").spns("gmsa_sql$", &[PORT, NAME]).with(|bench| {
        bench.class = Some(AccountClass::GroupManaged);
        bench.condition.control = Ok(AccountControl(0x1000));
        bench.condition.encryption_types = Ok(Some(EncryptionTypes(0x1c)));
        bench.condition.registers_itself = Ok(true);
        bench.condition.password_readers = Ok(vec![sid("SQL01$")]);
    })
}

/// A standalone managed service account.
fn smsa() -> Bench {
    gmsa().with(|bench| {
        bench.class = Some(AccountClass::StandaloneManaged);
        bench.condition.password_readers = Err(Gap::not_applicable("its host's own"));
    })
}

/// A delegated managed service account.
fn dmsa() -> Bench {
    gmsa().with(|bench| bench.class = Some(AccountClass::DelegatedManaged))
}

/// msDS-GroupMSAMembership.
fn readers(bench: Bench, names: &[&str]) -> Bench {
    let readers = names.iter().map(|name| sid(name)).collect();
    bench.with(|bench| bench.condition.password_readers = Ok(readers))
}

/// pwdLastSet is 0, of which the directory computes that the password has expired.
fn must_change(bench: Bench) -> Bench {
    computed(bench, 0x80_0000).with(|bench| {
        bench.condition.password_set = Ok(PasswordSet::MustChange);
        bench.condition.password_expires = Ok(Some(0.0));
    })
}

/// msDS-AllowedToDelegateTo, with the SPN on an account or not.
fn constrained(bench: Bench, flags: u32, is_held: bool) -> Bench {
    const TARGET: &str = "MSSQLSvc/sql02.corp.contoso.com:1433";
    let bench = control(bench, flags).spns("svc_sql", &[PORT, NAME]).with(|bench| {
        bench.condition.delegates_to = Ok(vec![TARGET.into()]);
    });
    if is_held { bench.spns("svc_remote", &[TARGET]) } else { bench }
}

/// msDS-AllowedToActOnBehalfOfOtherIdentity.
fn admits(bench: Bench, name: &str) -> Bench {
    let admitted = vec![sid(name)];
    bench.with(|bench| bench.condition.delegated_from = Ok(admitted))
}

/// tokenGroups, by relative identifier.
fn member(bench: Bench, rid: u32) -> Bench {
    bench.with(|bench| bench.condition.groups = Ok(vec![domain_sid(513), domain_sid(rid)]))
}

/// Whether its access list lets it write servicePrincipalName.
fn may_write(bench: Bench, may: bool) -> Bench {
    bench.with(|bench| bench.condition.registers_itself = Ok(may))
}

/// userAccountControl as stored.
fn control(bench: Bench, flags: u32) -> Bench {
    bench.with(|bench| bench.condition.control = Ok(AccountControl(flags)))
}

/// msDS-User-Account-Control-Computed.
fn computed(bench: Bench, flags: u32) -> Bench {
    bench.with(|bench| bench.condition.computed = Ok(AccountControl(flags)))
}

/// msDS-SupportedEncryptionTypes.
fn types(bench: Bench, types: Option<u32>) -> Bench {
    bench.with(|bench| bench.condition.encryption_types = Ok(types.map(EncryptionTypes)))
}

/// pwdLastSet, seconds before now. The service started ten days ago.
fn password(bench: Bench, age: f64) -> Bench {
    bench.with(|bench| bench.condition.password_set = Ok(PasswordSet::At(now().unix_seconds() - age)))
}

/// msDS-UserPasswordExpiryTimeComputed, seconds from now.
fn password_ends(bench: Bench, left: f64) -> Bench {
    bench.with(|bench| bench.condition.password_expires = Ok(Some(now().unix_seconds() + left)))
}

/// accountExpires, seconds from now.
fn account_ends(bench: Bench, left: f64) -> Bench {
    bench.with(|bench| bench.condition.expires = Ok(Some(now().unix_seconds() + left)))
}

#[test]
fn service_accounts_and_their_findings() {
    #[rustfmt::skip]
    let rows: &[(&str, Bench, &[&str])] = &[
        // Healthy, and nothing may be said.
        ("user, AES, password never expires",          user(),                                       &[]),
        ("user, no types set, AES keys",               types(user(), None),                          &[]),
        ("user, types 0, AES keys",                    types(user(), Some(0)),                       &[]),
        ("user, AES and RC4, AES keys",                types(user(), Some(0x1c)),                    &[]),
        ("user, RC4 disabled for it",                  types(user(), Some(0x18)),                    &[]),
        ("user, flags but no cipher in its types",     types(user(), Some(0x7_0000)),                &[]),
        ("user, password ends in 30 days",             password_ends(user(), 30.0 * DAY),            &[]),
        ("user, account ends next year",               account_ends(user(), 365.0 * DAY),            &[]),
        ("user, password changed before the start",    password(user(), 11.0 * DAY),                 &[]),
        ("user, the stored lockout bit alone",         control(user(), 0x210),                       &[]),
        ("virtual account",                            computer(),                                   &[]),
        ("virtual account, host's password rotated",   password(computer(), HOUR),                   &[]),
        ("virtual account, no types set",              types(computer(), None),                      &[]),
        ("gMSA",                                       gmsa(),                                       &[]),
        ("gMSA that just rotated",                     password(gmsa(), 60.0),                       &[]),
        ("gMSA, an expiry date long ago computed",     password_ends(gmsa(), -DAY),                  &[]),
        ("sMSA",                                       smsa(),                                       &[]),
        ("sMSA that just rotated",                     password(smsa(), 60.0),                       &[]),
        ("dMSA",                                       dmsa(),                                       &[]),
        ("dMSA that just rotated",                     password(dmsa(), 60.0),                       &[]),
        ("user, clock 20 s ahead",                     user().controller_clock(20.0, 0.01),          &[]),
        ("user, clock 20 s behind",                    user().controller_clock(-20.0, 0.01),         &[]),
        ("user, list of constrained delegation",       constrained(user(), 0x1_0200, true),          &[]),
        ("user, the same with protocol transition",    constrained(user(), 0x101_0200, true),        &[]),
        ("user that admits others",                    admits(user(), "svc_front"),                  &[]),
        // States.
        ("user, disabled",                             control(user(), 0x202),                       &["account_disabled"]),
        ("virtual account, computer disabled",         control(computer(), 0x1002),                  &["account_disabled"]),
        ("gMSA, disabled",                             control(gmsa(), 0x1002),                      &["account_disabled"]),
        ("user, locked",                               computed(user(), 0x10),                       &["account_locked"]),
        ("user, expired",                              account_ends(user(), -1.0),                   &["account_expired"]),
        ("user, password expired",                     computed(password_ends(user(), -DAY), 0x80_0000), &["password_expired"]),
        ("user, must change the password",             must_change(user()),                          &["password_expired"]),
        ("user, password ends in 3 days",              password_ends(user(), 3.0 * DAY),             &["password_expiring"]),
        ("user, locked and password expired",          computed(user(), 0x80_0010),                  &["account_locked", "password_expired"]),
        ("user, password changed an hour ago",         password(user(), HOUR),                       &["restart_after_password_change"]),
        ("gMSA whose host is not a reader",            readers(gmsa(), &["SQL09$"]),                 &["gmsa_not_retrievable"]),
        ("dMSA whose host is not a reader",            readers(dmsa(), &["SQL09$"]),                 &["gmsa_not_retrievable"]),
        ("sMSA, disabled",                             control(smsa(), 0x1002),                      &["account_disabled"]),
        ("dMSA, disabled",                             control(dmsa(), 0x1002),                      &["account_disabled"]),
        ("machine-local account",                      user().service_account(".\\bob"),             &["local_account"]),
        // Encryption types.
        ("user, RC4 alone",                            types(user(), Some(0x4)),                     &["weak_encryption", "rc4_removal_breaks"]),
        ("user, DES bits and RC4",                     types(user(), Some(0x7)),                     &["weak_encryption", "rc4_removal_breaks"]),
        ("user, DES alone",                            types(user(), Some(0x3)),                     &["encryption_mismatch"]),
        ("user, DES-only flag",                        control(user(), 0x20_0200),                   &["encryption_mismatch"]),
        ("user, no types set, no AES keys",            types(user(), None).old_password(),           &["rc4_removal_breaks"]),
        ("user, AES and RC4, no AES keys",             types(user(), Some(0x1c)).old_password(),     &["rc4_removal_breaks"]),
        ("user, AES alone, no AES keys",               types(user(), Some(0x18)).old_password(),     &["encryption_mismatch"]),
        ("gMSA, RC4 alone",                            types(gmsa(), Some(0x4)),                     &["weak_encryption", "rc4_removal_breaks"]),
        ("virtual account, an old password",           computer().old_password(),                    &[]),
        ("dMSA, an old password",                      dmsa().old_password(),                        &[]),
        ("sMSA, RC4 alone",                            types(smsa(), Some(0x4)),                     &["weak_encryption", "rc4_removal_breaks"]),
        // Delegation and rights.
        ("user, to any service",                       control(user(), 0x9_0200),                    &["unconstrained_delegation"]),
        ("user, the list has what nobody holds",       constrained(user(), 0x1_0200, false),         &["delegation_target_unusable"]),
        ("user, sensitive",                            control(user(), 0x11_0200),                   &["delegation_forbidden"]),
        ("user in Protected Users",                    member(user(), 525),                          &["delegation_forbidden"]),
        ("user that may not write its own SPNs",       may_write(user(), false),                     &["cannot_register_spn"]),
        ("virtual account that may not",               may_write(computer(), false),                 &["cannot_register_spn"]),
        ("gMSA that may not",                          may_write(gmsa(), false),                     &["cannot_register_spn"]),
    ];
    for (row, bench, expected) in rows {
        let findings = &bench.assess().instances[0].findings;
        let applies = |finding: &&Finding| finding.outcome == Outcome::Applies;
        let of_accounts: Vec<&str> = findings
            .iter()
            .filter(applies)
            .map(|finding| finding.rule.name)
            .filter(|name| OF_ACCOUNTS.contains(name))
            .collect();
        let mut expected = expected.to_vec();
        expected.sort_by_key(|name| findings.iter().position(|finding| finding.rule.name == *name));
        assert_eq!(of_accounts, expected, "{row}");
        if expected.is_empty() {
            let loud: Vec<&str> = findings
                .iter()
                .filter(applies)
                .filter(|finding| finding.severity > Severity::Info)
                .map(|finding| finding.rule.name)
                .collect();
            assert!(loud.is_empty(), "{row}: {loud:?}");
            assert!(findings.iter().all(|finding| finding.failing_gaps().next().is_none()), "{row}");
        }
    }
}
