//! `rc4_removal_breaks`: tickets to this service are possible only as long as the KDC still gives RC4 ones. Windows is taking
//! that away (CVE-2026-20833): since April 2026 an account without a setting of its own gets AES alone.

use crate::findings::encryption::{Keys, aes_changes, in_order, known_keys, old_krbtgt};
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;
use crate::model::condition::{AccountControl, Cipher};
use crate::model::observed::Known;

pub(super) const RULE: Rule = Rule {
    name: "rc4_removal_breaks",
    severity: Severity::Warning,
    escalates: true,
    scope: Scope::Domain,
    meaning: "Kerberos to this service works only while domain controllers still issue RC4 tickets. When they stop, \
              clients get no ticket.",
    seen: "msDS-SupportedEncryptionTypes without AES; or without a setting that helps while the password is older than the \
           domain's AES keys (the group Read-only Domain Controllers dates them), or a KDC names no AES key of the account \
           (only with `ticket.ask_service_accounts`; its word beats the dates), or a KDC issued a ticket with \
           RC4 after it had refused AES, or although the account names AES. The same of krbtgt, by the date of its password, where that can be read.",
    repair: "Where the account probably has no AES keys, set a new password first, which makes them; then let the account \
             allow AES. Computers and managed accounts change their password by themselves. Never bring RC4 back.",
    source: "https://learn.microsoft.com/windows-server/security/kerberos/detect-remediate-rc4-kerberos",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    let judged = Judged::one(judge(case));
    let Ok(account) = case.account() else { return judged };
    let old = case.directory().ok().and_then(|facts| old_krbtgt(facts, account));
    match (judged, old) {
        (Judged::Looked { mut subjects, gaps }, Some(why)) => {
            let name = format!("{}\\krbtgt", account.names.domain);
            let advice = "set the password of krbtgt twice, with at least the longest life of a ticket (10 hours by default) \
                          between: \"Forest Recovery, Reset the krbtgt password\"";
            subjects.push(Subject::new(name, why).then(Change::Advice(advice.to_owned())));
            Judged::Looked { subjects, gaps }
        }
        (judged, _) => judged,
    }
}

fn judge(case: &Case<'_>) -> Known<Option<Subject>> {
    let account = case.account()?;
    if account.condition.control.clone()?.has(AccountControl::DES_ONLY) {
        return Ok(None);
    }
    let types = account.condition.encryption_types.clone()?.filter(|types| types.names_a_cipher());
    let (has_rc4, has_aes) = types.map_or((true, true), |types| (types.has(Cipher::Rc4), types.has_aes()));
    if !has_rc4 {
        return Ok(None);
    }
    let shown = match types {
        Some(types) => format!("msDS-SupportedEncryptionTypes names {types}"),
        None => {
            "msDS-SupportedEncryptionTypes names no type: the domain controllers' default holds".to_owned()
        }
    };
    let subject = Subject::new(account.names.nt_name(), shown);
    let keys = known_keys(case);
    let remedy = in_order(case, aes_changes(&account.names, &keys, types));
    let lines = |subject: Subject| {
        let by_date = case.picture.aes_keys.as_ref().ok();
        let both = [keys.as_ref().ok(), by_date.filter(|by_date| Ok(*by_date) != keys.as_ref())];
        both.into_iter().flatten().fold(subject, |subject, keys| match keys {
            Keys::ProbablyAbsent { why } => subject.line(why),
            Keys::Present => subject,
        })
    };
    if !has_aes {
        return Ok(Some(lines(subject).then_all(remedy)));
    }
    match keys {
        Ok(Keys::ProbablyAbsent { .. }) => Ok(Some(lines(subject).then_all(remedy))),
        // It has AES keys, whatever the KDC uses today: for an account that names no type that is its default, which the
        // updates of 2026 turn from RC4 into AES (KB5073381). An RC4 ticket of today is `weak_encryption`.
        Ok(Keys::Present) => Ok(None),
        Err(gap) => Err(gap),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::account::AccountClass;
    use crate::model::condition::{EncryptionTypes, PasswordSet};
    use crate::samples::{Bench, NAME, PORT, Seen};

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&RULE);
        let applies = || Seen::applies(&["CORP\\svc_sql"]);
        let types = |types: Option<u32>| {
            Bench::new().with(|bench| bench.condition.encryption_types = Ok(types.map(EncryptionTypes)))
        };
        assert_eq!(judge(types(Some(0x4))), applies());
        assert_eq!(judge(types(None).old_password()), applies());
        assert_eq!(judge(types(Some(0)).old_password()), applies());
        assert_eq!(judge(types(Some(0x1c)).old_password()), applies());
        for good in [None, Some(0), Some(0x18), Some(0x1c)] {
            assert_eq!(judge(types(good)), Seen::clear(), "{good:?}");
        }
        // AES alone: RC4's end changes nothing. Without AES keys it is broken today, which is another finding.
        assert_eq!(judge(types(Some(0x18)).old_password()), Seen::clear());
        // A domain of Windows Server 2003 makes none, however new the password is.
        let old_domain = types(None).with(|bench| {
            let policy = bench.facts.as_mut().unwrap().policies.values_mut().next().unwrap();
            policy.as_mut().unwrap().functional_level = Ok(2);
        });
        assert_eq!(judge(old_domain), applies());
        // Computers and managed accounts have AES keys.
        let computer = types(None).old_password().service_account("LocalSystem");
        assert_eq!(judge(computer), Seen::clear());
        assert_eq!(judge(types(None).no_policy()), Seen::unknown());
        let hidden = Bench::new().with(|bench| bench.condition.encryption_types = Err(Bench::refused()));
        assert_eq!(judge(hidden), Seen::unknown());
        assert_eq!(judge(types(Some(4)).service_account(".\\bob")), Seen::not_applicable());
        assert_eq!(judge(types(Some(4)).workgroup()), Seen::not_applicable());
    }

    #[test]
    fn the_word_of_the_kdc_beats_the_dates() {
        let judge = |bench: Bench| bench.judge(&RULE);
        let applies = || Seen::applies(&["CORP\\svc_sql"]);
        let types = |types: Option<u32>| {
            Bench::new().with(|bench| bench.condition.encryption_types = Ok(types.map(EncryptionTypes)))
        };
        let said = |bench: Bench, keys: &[i32]| bench.client_refused("svc_sql", 25, keys);
        assert_eq!(judge(said(types(None).old_password(), &[18, 17, 23])), Seen::clear());
        assert_eq!(judge(said(types(Some(0x1c)).old_password(), &[17])), Seen::clear());
        assert_eq!(judge(said(types(None), &[23])), applies());
        let subject = said(types(None).old_password(), &[23]).finding(&RULE).subjects[0].clone();
        let words = format!("{subject:?}");
        assert!(words.contains("names rc4 alone") && !words.contains("probably"), "{words}");
        // It says nothing of keys, or the date that decides could not be read otherwise.
        assert_eq!(judge(said(types(None).old_password(), &[])), applies());
        assert_eq!(judge(types(None).old_password().client_refused("svc_sql", 18, &[])), applies());
        assert_eq!(judge(types(None).old_password().client_given_away("svc_sql")), applies());
        assert_eq!(judge(said(types(None).no_policy(), &[18])), Seen::clear());
        // Where AES is not allowed, that it is not named proves nothing; RC4 alone is told by the attribute.
        assert_eq!(judge(said(types(Some(0x4)), &[23])), applies());
        // The password was set after the KDC was asked.
        let newer = types(None).with(|bench| {
            bench.condition.password_set = Ok(PasswordSet::At(crate::samples::now().unix_seconds() + 5.0));
        });
        assert_eq!(judge(said(newer, &[23])), Seen::clear());
    }

    #[test]
    fn nothing_ever_brings_rc4_back() {
        let bench = Bench::new().old_password().with(|bench| bench.condition.encryption_types = Ok(None));
        let commands = Bench::commands(&bench.finding(&RULE).subjects[0]);
        assert!(!commands.is_empty() && commands.iter().all(|line| !line.contains("RC4")), "{commands:?}");
    }

    #[test]
    fn the_answer_of_the_kdc() {
        let types = |types: Option<u32>| {
            Bench::new().with(|bench| bench.condition.encryption_types = Ok(types.map(EncryptionTypes)))
        };
        let applies = || Seen::applies(&["CORP\\svc_sql"]);
        for bits in [None, Some(0x1c)] {
            // A ticket with AES tells that all is well, also where the dates are not known.
            let aes = || types(bits).ticket_granted(PORT, 18, 2);
            assert_eq!(aes().judge(&RULE), Seen::clear(), "{bits:?}");
            assert_eq!(aes().old_password().judge(&RULE), Seen::clear(), "{bits:?}");
            assert_eq!(aes().no_policy().judge(&RULE), Seen::clear(), "{bits:?}");
            // AES refused, and RC4 not offered yet: not told.
            assert_eq!(types(bits).ticket_refused(PORT, 14).judge(&RULE), Seen::clear(), "{bits:?}");
        }
        // One with RC4 for an account that names AES tells that it has no key for it, and one for an account that names no type
        // tells nothing: that is the KDC's default, which the updates of 2026 turn into AES.
        let rc4 = |bits| types(bits).ticket_granted(PORT, 23, 2);
        assert_eq!(rc4(Some(0x1c)).judge(&RULE), applies());
        assert_eq!(rc4(Some(0x1c)).no_policy().judge(&RULE), applies());
        assert_eq!(rc4(None).judge(&RULE), Seen::clear());
        assert_eq!(rc4(None).no_policy().judge(&RULE), Seen::unknown());
        assert_eq!(rc4(None).old_password().judge(&RULE), applies());
        let finding = rc4(Some(0x1c)).old_password().finding(&RULE);
        let probably = |line: &&String| line.contains("probably");
        assert_eq!(finding.subjects[0].evidence.iter().filter(probably).count(), 2, "{finding:?}");
        // AES alone is allowed: no RC4 ticket of today changes that.
        assert_eq!(types(Some(0x18)).ticket_granted(PORT, 23, 2).judge(&RULE), Seen::clear());
    }

    #[test]
    fn a_password_only_where_keys_are_missing_and_before_the_types() {
        let steps = |bench: Bench| Bench::steps(&bench.finding(&RULE).subjects[0]);
        let types = |types: Option<u32>| {
            Bench::new().with(|bench| bench.condition.encryption_types = Ok(types.map(EncryptionTypes)))
        };
        assert_eq!(steps(types(Some(4))), ["UseAes"]);
        assert_eq!(steps(types(Some(4)).old_password()), ["NewPassword", "UseAes"]);
        assert_eq!(steps(types(Some(4)).no_policy()), ["NewPassword", "UseAes"]);
        assert_eq!(steps(types(None).old_password()), ["NewPassword", "UseAes"]);
        assert_eq!(steps(types(Some(0x1c)).old_password()), ["NewPassword"]);
        assert_eq!(steps(types(Some(0x1c)).ticket_granted(PORT, 23, 2)), ["NewPassword"]);
    }

    #[test]
    fn no_password_of_a_computer_or_managed_account_is_ever_reset() {
        for (account, class, word) in [
            ("NT SERVICE\\MSSQLSERVER", AccountClass::Computer, "Reset-ComputerMachinePassword"),
            ("LocalSystem", AccountClass::Computer, "Reset-ComputerMachinePassword"),
            ("CORP\\gmsa_sql$", AccountClass::GroupManaged, "by itself"),
            ("CORP\\msa_sql$", AccountClass::StandaloneManaged, "Reset-ADServiceAccountPassword"),
            ("CORP\\dmsa_sql$", AccountClass::DelegatedManaged, "by itself"),
        ] {
            let holder = if class == AccountClass::Computer { "sql01$" } else { &account[5..] };
            let bench = Bench::new().service_account(account).spns(holder, &[PORT, NAME]).with(|bench| {
                bench.class = Some(class);
                bench.condition.encryption_types = Ok(Some(EncryptionTypes(0x1c)));
            });
            let subject = bench.ticket_granted(PORT, 23, 2).finding(&RULE).subjects.remove(0);
            assert_eq!(Bench::steps(&subject), ["Advice"], "{class:?}");
            let text = crate::remedy::step(&subject.changes[0]).text;
            assert!(text.contains(word) && !text.contains("Set-ADAccountPassword"), "{text}");
        }
    }

    #[test]
    fn an_old_krbtgt_is_told_of_every_account() {
        let old = |bench: Bench| {
            bench.with(|bench| {
                for policy in bench.facts.as_mut().unwrap().policies.values_mut() {
                    let policy = policy.as_mut().unwrap();
                    policy.krbtgt_set = policy.aes_since.clone().map(|since| since - 1.0);
                }
            })
        };
        let krbtgt = Seen::applies(&["CORP\\krbtgt"]);
        assert_eq!(old(Bench::new()).judge(&RULE), krbtgt);
        let subject = old(Bench::new()).finding(&RULE).subjects.remove(0);
        assert!(
            subject.evidence[0].contains("probably") && Bench::commands(&subject).is_empty(),
            "{subject:?}"
        );
        assert_eq!(old(Bench::new().service_account("LocalSystem")).judge(&RULE), krbtgt);
        let types = |bench: &mut Bench| bench.condition.encryption_types = Ok(None);
        let both = old(Bench::new().with(types).old_password()).judge(&RULE);
        assert_eq!(both, Seen::applies(&["CORP\\krbtgt", "CORP\\svc_sql"]));
        // Not to be read: nothing is said, and nothing becomes unknown by it.
        let hidden = Bench::new().with(|bench| {
            for policy in bench.facts.as_mut().unwrap().policies.values_mut() {
                policy.as_mut().unwrap().krbtgt_set = Err(Bench::refused());
            }
        });
        assert_eq!(hidden.judge(&RULE), Seen::clear());
        assert_eq!(old(Bench::new()).workgroup().judge(&RULE), Seen::not_applicable());
    }
}
