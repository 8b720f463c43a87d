//! The search filters that are sent (RFC 4515). Pure; every value is escaped here and nowhere else.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::model::account::AccountKey;
use crate::model::directory::DirectoryQuestion;
use crate::model::spn::MSSQLSVC;

/// Terms in one filter. Windows evaluates each indexed term of an OR by itself; more than this go into a further
/// search, so that one request stays below some 20 KiB.
const TERMS: usize = 200;

/// A value for a filter: `( ) * \` and NUL are escaped as RFC 4515 section 3 demands, and so is every octet outside
/// printable ASCII, which it allows and which no parser can misread.
pub(super) fn escape(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'(' | b')' | b'*' | b'\\' | 0..=0x1f | 0x7f..=0xff => {
                // Writing to a String cannot fail.
                let _ = write!(text, "\\{byte:02x}");
            }
            _ => text.push(char::from(byte)),
        }
    }
    text
}

/// The filters that find, in the whole forest: who holds the SPNs, who holds any engine SPN of the hosts, whose UPN is
/// one of the SPNs in one of `realms` (MS-KILE 3.3.5.1.1: the KDC takes such an account for the service), and the
/// accounts and computers by name.
///
/// The terms stand in one OR and nothing is put around it: `(objectClass=…)` beside it would hide an object whose
/// objectClass the exporter may not read, and hidden must not look like absent.
pub(super) fn forest(question: &DirectoryQuestion, realms: &BTreeSet<String>) -> Vec<String> {
    let mut terms = BTreeSet::new();
    for spn in &question.spns {
        terms.insert(equals("servicePrincipalName", spn.as_str()));
        for realm in realms {
            terms.insert(equals("userPrincipalName", &format!("{spn}@{realm}")));
        }
    }
    for spn in &question.targets {
        terms.insert(equals("servicePrincipalName", spn.as_str()));
    }
    for host in &question.hosts {
        // `sql1*` finds sql10 too: the host part is compared afterwards.
        terms.insert(format!("(servicePrincipalName={MSSQLSVC}/{}*)", escape(host.as_str())));
    }
    for key in question.accounts.iter().chain(&question.computers) {
        terms.extend(name_terms(key));
    }
    any_of(terms)
}

/// The filters that find these names in one domain.
pub(super) fn names<'a>(keys: impl IntoIterator<Item = &'a AccountKey>) -> Vec<String> {
    any_of(keys.into_iter().flat_map(name_terms).collect())
}

/// Every account has an implicit UPN, sAMAccountName@domain (MS-ADTS 5.1.1.1.1), beside the attribute.
fn name_terms(key: &AccountKey) -> Vec<String> {
    match key {
        AccountKey::Sam { name, .. } => vec![equals("sAMAccountName", name)],
        AccountKey::Upn(upn) => {
            let user = upn.split('@').next().unwrap_or_default();
            vec![equals("userPrincipalName", upn), equals("sAMAccountName", user)]
        }
    }
}

fn equals(attribute: &str, value: &str) -> String {
    format!("({attribute}={})", escape(value))
}

fn any_of(terms: BTreeSet<String>) -> Vec<String> {
    let terms: Vec<String> = terms.into_iter().collect();
    terms
        .chunks(TERMS)
        .map(|chunk| match chunk {
            [only] => only.clone(),
            several => format!("(|{})", several.concat()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::host::HostName;
    use crate::model::spn::Spn;

    #[test]
    fn values_are_escaped() {
        for (value, expected) in [
            ("MSSQLSvc/sql01:1433", "MSSQLSvc/sql01:1433"),
            ("a*b(c)d\\e", r"a\2ab\28c\29d\5ce"),
            ("\0", r"\00"),
            ("svc\"sql", "svc\"sql"),
            ("a\nb", r"a\0ab"),
            ("ä", r"\c3\a4"),
            ("*)(objectClass=*", r"\2a\29\28objectClass=\2a"),
        ] {
            assert_eq!(escape(value), expected, "{value:?}");
        }
    }

    #[test]
    fn one_search_for_everything() {
        let spn = Spn::parse("MSSQLSvc/sql01.corp.contoso.com:1433").unwrap();
        let question = DirectoryQuestion {
            spns: [spn].into(),
            targets: [Spn::parse("MSSQLSvc/sql02)(:1").unwrap()].into(),
            hosts: [HostName::parse("sql01.corp.contoso.com").unwrap()].into(),
            accounts: [AccountKey::sam(Some("CORP"), "svc\"sql"), AccountKey::Upn("svc@contoso.com".into())]
                .into(),
            computers: [AccountKey::computer(None, "SQL01")].into(),
            ..DirectoryQuestion::default()
        };
        let realms = ["corp.contoso.com".to_owned()].into();
        expect_test::expect![[r#"
            [
                "(|(sAMAccountName=sql01$)(sAMAccountName=svc\"sql)(sAMAccountName=svc)(servicePrincipalName=MSSQLSvc/sql01.corp.contoso.com*)(servicePrincipalName=MSSQLSvc/sql01.corp.contoso.com:1433)(servicePrincipalName=MSSQLSvc/sql02\\29\\28:1)(userPrincipalName=MSSQLSvc/sql01.corp.contoso.com:1433@corp.contoso.com)(userPrincipalName=svc@contoso.com))",
            ]
        "#]]
        .assert_debug_eq(&forest(&question, &realms));
    }

    #[test]
    fn a_large_question_is_split() {
        let question = DirectoryQuestion {
            spns: (1..=450).filter_map(|port| Spn::parse(&format!("MSSQLSvc/sql01:{port}"))).collect(),
            ..DirectoryQuestion::default()
        };
        let filters = forest(&question, &BTreeSet::new());
        assert_eq!(filters.len(), 3);
        assert_eq!(
            filters.iter().map(|filter| filter.matches("servicePrincipalName").count()).sum::<usize>(),
            450
        );
        assert!(forest(&DirectoryQuestion::default(), &BTreeSet::new()).is_empty());
    }
}
