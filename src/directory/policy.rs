//! What holds for a whole domain: its functional level, since when accounts get AES keys, its trusts. Read hourly and
//! remembered here; what a trust is good for is judged elsewhere.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::client::{Scope, Search};
use super::condition::moment;
use super::decode::{Entry, generalized_time};
use super::error::Error;
use super::exchanges::{names, soften};
use super::links::{Exchange, Link};
use super::requests;
use crate::model::condition::EncryptionTypes;
use crate::model::directory::Domain;
use crate::model::domain::{DomainPolicy, Trust, TrustDirection};
use crate::model::observed::{Gap, Known};

/// A domain's policy hardly ever changes.
const SLOW: Duration = Duration::from_secs(3_600);

/// When a policy that could not be read is asked for again, after a few refreshes that tried at once: the addresses of
/// another domain's controllers are known only by the second.
const AGAIN: Duration = Duration::from_secs(900);
const AT_ONCE: u32 = 3;

/// Trusts of one domain that are kept.
const MOST_TRUSTS: usize = 256;

/// RID of the group Read-only Domain Controllers (DOMAIN_GROUP_RID_READONLY_CONTROLLERS, MS-DTYP 2.4.2.4).
const READ_ONLY_CONTROLLERS: u32 = 521;

/// RID of krbtgt (DOMAIN_USER_RID_KRBTGT, MS-DTYP 2.4.2.4).
const KRBTGT: u32 = 502;

/// What was read of domains, by DNS name.
#[derive(Default)]
pub(super) struct Policies(BTreeMap<String, Remembered>);

struct Remembered {
    at: Instant,
    /// Attempts in a row that failed.
    failures: u32,
    known: Known<DomainPolicy>,
}

impl Policies {
    /// Whether the domain's policy is to be read now.
    pub(super) fn is_due(&self, domain: &str) -> bool {
        self.0.get(domain).is_none_or(|last| match last.failures {
            0 => last.at.elapsed() >= SLOW,
            failures => failures < AT_ONCE || last.at.elapsed() >= AGAIN,
        })
    }

    /// Remembers an answer. What could not be read keeps its last value.
    pub(super) fn note(&mut self, domain: &str, known: Known<DomainPolicy>) {
        let last = self.0.remove(domain);
        let failures = match (&known, &last) {
            (Ok(_), _) => 0,
            (Err(_), last) => last.as_ref().map_or(0, |last| last.failures).saturating_add(1),
        };
        let kept = match (known, last.map(|last| last.known)) {
            (Err(_), Some(Ok(last))) => Ok(last),
            (known, _) => known,
        };
        self.0.insert(domain.to_owned(), Remembered { at: Instant::now(), failures, known: kept });
    }

    /// Those of these domains; the others are forgotten.
    pub(super) fn of(&mut self, domains: &[Domain]) -> BTreeMap<String, Known<DomainPolicy>> {
        self.0.retain(|name, _| domains.iter().any(|domain| domain.dns_name == *name));
        self.0.iter().map(|(name, last)| (name.clone(), last.known.clone())).collect()
    }
}

/// Reads the policy of the domain whose naming context this is.
pub(super) struct PolicyReads<'a> {
    pub(super) context: &'a str,
}

impl Exchange for PolicyReads<'_> {
    type Answer = DomainPolicy;

    const ASKED: &'static str = "domain policy";

    async fn run(&self, link: &mut Link) -> Result<DomainPolicy, Error> {
        let head = one(link, "domain", self.context, requests::DOMAIN).await?;
        let hidden = |name: &str| Gap::no_permission(format!("{name} of {:?} is not readable", self.context));
        let functional_level = head.as_ref().map_err(Clone::clone).and_then(|entry| {
            let number = entry.number("msDS-Behavior-Version").and_then(|number| u32::try_from(number).ok());
            number.ok_or_else(|| hidden("msDS-Behavior-Version"))
        });
        let sid = head.and_then(|entry| entry.sid().ok_or_else(|| hidden("objectSid")));
        let (aes_since, krbtgt_set) = match sid {
            Err(gap) => (Err(gap.clone()), Err(gap)),
            Ok(sid) => {
                let group = format!("<SID={sid}-{READ_ONLY_CONTROLLERS}>");
                let read = one(link, "age of AES keys", &group, requests::READ_ONLY_CONTROLLERS).await?;
                let aes_since = read.and_then(|entry| {
                    let created = entry.text("whenCreated").and_then(generalized_time);
                    created.ok_or_else(|| hidden("whenCreated of the group Read-only Domain Controllers"))
                });
                let read =
                    one(link, "age of krbtgt", &format!("<SID={sid}-{KRBTGT}>"), requests::KRBTGT).await?;
                let krbtgt_set = read.and_then(|entry| {
                    entry.number("pwdLastSet").and_then(moment).ok_or_else(|| hidden("pwdLastSet of krbtgt"))
                });
                (aes_since, krbtgt_set)
            }
        };
        let search = Search {
            asked: "trusts",
            base: &format!("CN=System,{}", self.context),
            scope: Scope::Children,
            filter: "(objectClass=trustedDomain)",
            attributes: names(requests::TRUST),
        };
        let found = soften(link.reader.search(&search).await)?;
        Ok(DomainPolicy {
            functional_level,
            aes_since,
            krbtgt_set,
            trusts: found.and_then(|found| trusts(&found.entries)),
        })
    }
}

/// One object; a gap if it is not to be seen.
async fn one(
    link: &mut Link,
    asked: &'static str,
    base: &str,
    attributes: &[&str],
) -> Result<Known<Entry>, Error> {
    let search =
        Search { asked, base, scope: Scope::Base, filter: "(objectClass=*)", attributes: names(attributes) };
    let found = soften(link.reader.search(&search).await)?;
    let missing = || Gap::no_permission(format!("{base:?} is not visible to us"));
    Ok(found.and_then(|found| found.entries.into_iter().next().ok_or_else(missing)))
}

/// The trusts; one whose attributes do not come leaves all unknown, as it could be the one in question.
fn trusts(entries: &[Entry]) -> Known<Vec<Trust>> {
    let hidden = |entry: &Entry| Gap::no_permission(format!("the trust {:?} is not readable", entry.dn));
    entries.iter().take(MOST_TRUSTS).map(|entry| trust(entry).ok_or_else(|| hidden(entry))).collect()
}

fn trust(entry: &Entry) -> Option<Trust> {
    Some(Trust {
        partner: entry.text("trustPartner")?.trim_end_matches('.').to_lowercase(),
        netbios_name: entry.text("flatName").map(str::to_owned),
        direction: TrustDirection::of(entry.number("trustDirection")?)?,
        kind: u32::try_from(entry.number("trustType")?).ok()?,
        attributes: flags(entry.number("trustAttributes")?),
        encryption_types: entry
            .number("msDS-SupportedEncryptionTypes")
            .map(|bits| EncryptionTypes(flags(bits))),
    })
}

/// Flags are stored as a signed 32-bit number (Enumeration, RFC 4517 3.3.16).
fn flags(number: i64) -> u32 {
    (number & 0xffff_ffff) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(values: &[(&str, &str)]) -> Entry {
        let attributes =
            values.iter().map(|(name, value)| ((*name).to_owned(), vec![value.as_bytes().to_vec()]));
        Entry { dn: "CN=partner.example,CN=System,DC=corp".into(), attributes: attributes.collect() }
    }

    const WHOLE: [(&str, &str); 6] = [
        ("trustPartner", "Partner.Example"),
        ("flatName", "PARTNER"),
        ("trustDirection", "1"),
        ("trustType", "2"),
        ("trustAttributes", "24"),
        ("msDS-SupportedEncryptionTypes", "24"),
    ];

    #[test]
    fn a_trust_as_it_is_stored() {
        let known = trusts(&[entry(&WHOLE)]).unwrap();
        let trust = &known[0];
        assert_eq!(
            (trust.partner.as_str(), trust.netbios_name.as_deref()),
            ("partner.example", Some("PARTNER"))
        );
        assert_eq!(trust.direction, TrustDirection::Inbound);
        assert!(trust.is_forest_trust() && trust.is_selective());
        assert_eq!(trust.encryption_types, Some(EncryptionTypes(0x18)));
        let unset = trusts(&[entry(&WHOLE[..5])]).unwrap();
        assert_eq!(unset[0].encryption_types, None);
        assert_eq!(trusts(&[]), Ok(Vec::new()));
    }

    #[test]
    fn a_trust_that_cannot_be_read_is_no_trust_that_is_absent() {
        for hidden in ["trustPartner", "trustDirection", "trustType", "trustAttributes"] {
            let mut rest = WHOLE.to_vec();
            rest.retain(|(name, _)| *name != hidden);
            assert!(trusts(&[entry(&WHOLE), entry(&rest)]).is_err(), "{rest:?}");
        }
        let mut odd = WHOLE;
        odd[2].1 = "9";
        assert!(trusts(&[entry(&odd)]).is_err());
    }

    #[test]
    fn what_could_not_be_read_keeps_its_last_value() {
        let domain = |name: &str| Domain {
            dns_name: name.into(),
            netbios_name: String::new(),
            naming_context: String::new(),
        };
        let policy = DomainPolicy {
            functional_level: Ok(7),
            aes_since: Err(Gap::no_permission("hidden")),
            krbtgt_set: Ok(0.0),
            trusts: Ok(Vec::new()),
        };
        let gap = Gap::peer_failed("no answer");
        let mut policies = Policies::default();
        assert!(policies.is_due("corp"));
        for _ in 0..AT_ONCE {
            assert!(policies.is_due("corp"));
            policies.note("corp", Err(gap.clone()));
        }
        assert!(!policies.is_due("corp"));
        assert_eq!(policies.of(&[domain("corp")])["corp"], Err(gap.clone()));
        policies.note("corp", Ok(policy.clone()));
        assert!(!policies.is_due("corp"));
        policies.note("corp", Err(gap));
        assert_eq!(policies.of(&[domain("corp")])["corp"], Ok(policy));
        assert!(policies.of(&[domain("eu")]).is_empty() && policies.is_due("corp"));
    }
}
