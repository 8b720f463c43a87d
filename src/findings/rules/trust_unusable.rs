//! `trust_unusable`: somebody comes from another forest, or the service account lives there, and the trust to it cannot
//! carry Kerberos. A trust that nobody uses is not judged; whether one works is proven by a ticket only.

use crate::findings::foreign::{self, Foreign};
use crate::findings::proposals::word;
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::account::AccountClass;
use crate::model::change::Change;
use crate::model::condition::Cipher;
use crate::model::domain::{Crossing, Trust};
use crate::model::observed::Known;

pub(super) const RULE: Rule = Rule {
    name: "trust_unusable",
    severity: Severity::Warning,
    escalates: false,
    scope: Scope::Domain,
    meaning: "A trust that is in use cannot carry Kerberos: its users fall back to NTLM, or will when RC4 is gone.",
    seen: "The trustedDomain objects of our domain and of the forest root (direction, kind, encryption types) against the \
           domains of remote connections on NTLM and of the service account; and what the KDCs of both ends said, where a \
           ticket over the trust was asked for, which goes out of our domain only. Selective authentication is shown beside a fault; by itself it is none.",
    repair: "Ask the AD administrator to compare both sides of the trust: its direction, \"Allowed to \
             Authenticate\" on the service account, and AES on the trust object.",
    source: "https://learn.microsoft.com/troubleshoot/windows-server/windows-security/unsupported-etype-error-accessing-trusted-domain",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    if let Err(gap) = case.directory() {
        return Judged::from(gap);
    }
    let trusted = foreign::in_use(case).map(|all| {
        let known = all.into_iter().filter_map(|(name, foreign)| Some((name, foreign.trust?, foreign)));
        known.collect::<Vec<_>>()
    });
    let nothing = "nobody here is of a trusted forest";
    Judged::each(trusted, nothing, |(name, trust, foreign)| subject(case, name, trust, &foreign))
}

fn subject(case: &Case<'_>, name: String, trust: &Trust, foreign: &Foreign<'_>) -> Known<Option<Subject>> {
    let crossing = case.crossing(&trust.partner);
    let faults = faults(case, trust, foreign, crossing.as_ref());
    let Some((first, rest)) = faults.split_first() else { return Ok(None) };
    let mut subject = Subject::new(name, first.as_str());
    for line in rest {
        subject = subject.line(line.as_str());
    }
    let used = match foreign.account {
        Some(account) => format!("in use: the service account {account} is of {}", trust.partner),
        None => format!("in use: {} remote connections on NTLM are of {}", foreign.ntlm, trust.partner),
    };
    let (ours, partner) = (word(&case.directory()?.server.domain), word(&trust.partner));
    let advice = format!(
        "on a domain controller of {ours}: netdom trust {ours} /domain:{partner} /verify /kerberos, and nltest \
         /sc_verify:{partner}; both sides are in domain.msc, Trusts"
    );
    Ok(Some(subject.line(used).then(Change::Advice(advice))))
}

/// What stands in the way. Our ticket goes out, to where the service account lives: there it proves what it meets, and one that
/// was granted beats all that the trust's object says. Those who come in take the other way, with another key: for them a refusal
/// is a hint, and only where the trust says that ours should be granted; that it was granted says nothing of them.
fn faults(case: &Case<'_>, trust: &Trust, foreign: &Foreign<'_>, crossing: Option<&Crossing>) -> Vec<String> {
    let mut faults = Vec::new();
    let (comes_in, goes_out) = (foreign.ntlm > 0, foreign.account.is_some());
    match crossing {
        Some(Crossing::Granted) if !comes_in => return faults,
        Some(Crossing::Refused(error)) if goes_out => faults.push(format!(
            "the KDC refused a ticket for {}: {error}: this is the way to the service account, so it is a proof",
            trust.partner
        )),
        Some(Crossing::Refused(error)) if trust.lets_out() => faults.push(format!(
            "the KDC refused a ticket for {}, which this trust should give: {error}: a hint, no proof, as its users come in by \
             the other way",
            trust.partner
        )),
        Some(Crossing::Granted | Crossing::Refused(_)) | None => {}
    }
    if trust.is_downlevel() {
        faults.push("a trust of the kind of Windows NT 4 (trustType 1): NTLM only".to_owned());
    }
    if comes_in && !trust.lets_in() {
        faults.push(format!("direction is {}: our domain does not trust its users", trust.direction.name()));
    }
    if goes_out && !trust.lets_out() && crossing != Some(&Crossing::Granted) {
        faults.push(format!(
            "direction is {}: our users get no ticket for a service account over there",
            trust.direction.name()
        ));
    }
    let has = |cipher| trust.encryption_types.is_some_and(|types| types.has(cipher));
    let has_aes = has(Cipher::Aes256) || has(Cipher::Aes128);
    match trust.encryption_types {
        _ if trust.uses_rc4() => {
            faults.push("the realm's keys are RC4 only (trustAttributes 0x80): nothing is left once RC4 is off".to_owned());
        }
        // Without a cipher named the domain controllers' default holds, AES since the updates of April 2026 (KB5073381).
        Some(types) if types.names_a_cipher() && !has_aes => faults.push(format!(
            "the trust allows {types} only (msDS-SupportedEncryptionTypes {:#x}): nothing is left once RC4 is off; set \
             \"The other domain supports Kerberos AES Encryption\" on both sides",
            types.0
        )),
        Some(_) | None => {}
    }
    // Beside a fault, what to look at as well. By itself it is none: whom it lets in is on the service account's access list, and
    // one connection on NTLM has many causes (JUDGEMENT 9). The right Allowed-To-Authenticate (MS-ADTS 5.1.3.2.1) is asked for
    // on the account that a ticket is for, by NTLM on the computer's: where the two are one account, the right is there.
    let is_computer = case.picture.holder.as_ref().is_ok_and(|holder| holder.class == AccountClass::Computer);
    if !faults.is_empty() && comes_in && trust.is_selective() && !is_computer {
        faults.push(
            "selective authentication, and connections from there are on NTLM: check that its users are \
             \"Allowed to Authenticate\" on the service account, not on the computer alone"
                .to_owned(),
        );
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::condition::EncryptionTypes;
    use crate::model::domain::TrustDirection;
    use crate::model::observed::Gap;
    use crate::model::ticket::TrustPath;
    use crate::samples::{Bench, Seen, crossing, trust};

    fn login(change: impl FnOnce(&mut Trust)) -> Bench {
        let mut partner = trust("partner.example", "PARTNER");
        change(&mut partner);
        Bench::new().trust(partner).ntlm_client("APP1", "PARTNER", 4)
    }

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let bad = Seen::applies(&["PARTNER"]);
        assert_eq!(judge(login(|_| ())), Seen::clear());
        for (direction, seen) in [
            (TrustDirection::Disabled, &bad),
            (TrustDirection::Inbound, &bad),
            (TrustDirection::Outbound, &Seen::clear()),
        ] {
            assert_eq!(&judge(login(|trust| trust.direction = direction)), seen, "{direction:?}");
        }
        assert_eq!(judge(login(|trust| trust.kind = 1)), bad);
        assert_eq!(judge(login(|trust| trust.encryption_types = Some(EncryptionTypes(0x4)))), bad);
        assert_eq!(judge(login(|trust| trust.encryption_types = Some(EncryptionTypes(0x3)))), bad);
        // RC4 beside AES, or nothing set: AES is left.
        for types in [None, Some(EncryptionTypes(0)), Some(EncryptionTypes(0x1c)), Some(EncryptionTypes(0x8))]
        {
            assert_eq!(judge(login(|trust| trust.encryption_types = types)), Seen::clear(), "{types:?}");
        }
        assert_eq!(judge(login(|trust| (trust.kind, trust.attributes) = (3, 0x80))), bad);
    }

    #[test]
    fn only_trusts_in_use() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let mut off = trust("partner.example", "PARTNER");
        off.direction = TrustDirection::Disabled;
        assert_eq!(judge(Bench::new().trust(off.clone())), Seen::not_applicable());
        assert_eq!(
            judge(Bench::new().trust(off.clone()).ntlm_client("A", "CORP", 4)),
            Seen::not_applicable()
        );
        // A workgroup machine is in use, and there is no trust to it.
        assert_eq!(
            judge(Bench::new().trust(off.clone()).ntlm_client("A", "SCANNER9", 4)),
            Seen::not_applicable()
        );
        let account = Bench::new().trust(off).service_account("PARTNER\\svc_sql");
        assert_eq!(judge(account), Seen::applies(&["PARTNER"]));
    }

    #[test]
    fn selective_authentication_is_a_reason_to_look_and_no_fault() {
        assert_eq!(login(|trust| trust.attributes |= 0x10).judge(&super::RULE), Seen::clear());
        let beside = || login(|trust| (trust.kind, trust.attributes) = (1, 0x18));
        let lines = |bench: Bench| bench.finding(&super::RULE).subjects.remove(0).evidence;
        let is_said = |lines: &[String]| lines.iter().any(|line| line.contains("Allowed to Authenticate"));
        assert!(is_said(&lines(beside())));
        // The service is the computer, which let them in by NTLM.
        let virtual_account =
            beside().service_account("NT SERVICE\\MSSQLSERVER").spns("sql01$", &[crate::samples::NAME]);
        assert!(!is_said(&lines(virtual_account)));
    }

    #[test]
    fn what_is_not_known() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        assert_eq!(judge(Bench::new().no_directory()), Seen::unknown());
        assert_eq!(judge(login(|_| ()).no_connections()), Seen::unknown());
        assert_eq!(judge(login(|_| ()).workgroup()), Seen::not_applicable());
        let hidden = login(|_| ()).with(|bench| {
            for policy in bench.facts.as_mut().unwrap().policies.values_mut() {
                policy.as_mut().unwrap().trusts = Err(Gap::no_permission("hidden"));
            }
        });
        assert_eq!(judge(hidden), Seen::unknown());
    }

    fn account() -> Bench {
        Bench::new().trust(trust("partner.example", "PARTNER")).service_account("PARTNER\\svc_sql")
    }

    #[test]
    fn a_ticket_decides() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let bad = Seen::applies(&["PARTNER"]);
        let (granted, refused, not_taken) =
            (crossing(None, None), crossing(Some(7), None), crossing(None, Some(41)));
        let crossed = |bench: Bench, path: &TrustPath| bench.crossed("partner.example", path.clone());
        // The way to the service account: proven, both ways.
        assert_eq!(judge(crossed(account(), &granted)), Seen::clear());
        assert_eq!(judge(crossed(account(), &refused)), bad);
        assert_eq!(judge(crossed(account(), &not_taken)), bad);
        let silent = TrustPath { accepted: Err(Gap::peer_failed("no answer in time")), ..granted.clone() };
        assert_eq!(judge(crossed(account(), &silent)), Seen::clear());
        // Those who come in: a hint, where the trust should have given us a ticket; granted is no news of them.
        assert_eq!(judge(crossed(login(|_| ()), &granted)), Seen::clear());
        assert_eq!(judge(crossed(login(|_| ()), &refused)), bad);
        assert_eq!(judge(crossed(login(|_| ()), &not_taken)), bad);
        let one_way = || login(|trust| trust.direction = TrustDirection::Outbound);
        assert_eq!(judge(crossed(one_way(), &refused)), Seen::clear());
        let weak = || login(|trust| trust.encryption_types = Some(EncryptionTypes(0x4)));
        assert_eq!(judge(crossed(weak(), &granted)), bad);
        // Nobody is of it: it may be as it likes.
        let unused = Bench::new().trust(trust("partner.example", "PARTNER"));
        assert_eq!(judge(crossed(unused, &refused)), Seen::not_applicable());
        // Whom the object calls shut out, and who got a ticket.
        let off = |bench: Bench| {
            bench.with(|bench| {
                let policy = bench.facts.as_mut().unwrap().policies.get_mut("corp.contoso.com").unwrap();
                policy.as_mut().unwrap().trusts.as_mut().unwrap()[0].direction = TrustDirection::Outbound;
            })
        };
        assert_eq!(judge(off(account())), bad);
        assert_eq!(judge(crossed(off(account()), &granted)), Seen::clear());
    }

    #[test]
    fn proof_and_hint_are_told_apart() {
        let evidence = |bench: Bench| {
            let finding = bench.crossed("partner.example", crossing(None, Some(41))).finding(&super::RULE);
            finding
                .subjects
                .iter()
                .flat_map(|subject| subject.evidence.clone())
                .collect::<Vec<_>>()
                .join("\n")
        };
        for (bench, is_proof) in [
            (account(), true),
            (login(|_| ()), false),
            // Both: the way to the account is proven.
            (account().ntlm_client("APP1", "PARTNER", 4), true),
        ] {
            let said = evidence(bench);
            assert!(said.contains("KRB_AP_ERR_MODIFIED (41)"), "{said}");
            assert_eq!(
                (said.contains("it is a proof"), said.contains("a hint, no proof")),
                (is_proof, !is_proof),
                "{said}"
            );
        }
    }
}
