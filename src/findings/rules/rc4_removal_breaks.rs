//! `rc4_removal_breaks`: tickets to this service are possible only as long as the KDC still gives RC4 ones. Windows is taking
//! that away (CVE-2026-20833): since April 2026 an account without a setting of its own gets AES alone.

use crate::findings::encryption::Keys;
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::{AccountChange, Change};
use crate::model::condition::{AccountControl, Cipher};
use crate::model::observed::Known;

pub(super) const RULE: Rule = Rule {
    name: "rc4_removal_breaks",
    severity: Severity::Warning,
    escalates: true,
    scope: Scope::Domain,
    meaning: "Kerberos to this service works only while domain controllers still give RC4 tickets. When they stop, clients \
              get no ticket.",
    seen: "msDS-SupportedEncryptionTypes without AES; or without a setting that helps while the password is older than the \
           domain's AES keys (the group Read-only Domain Controllers dates them), or a KDC names no AES key of the account \
           (only with `ticket.ask_service_accounts`; its word beats the dates).",
    repair: "Set a new password, which makes AES keys, and let the account allow AES. Never bring RC4 back.",
    source: "https://learn.microsoft.com/windows-server/security/kerberos/detect-remediate-rc4-kerberos",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    Judged::one(judge(case))
}

fn judge(case: &Case<'_>) -> Known<Option<Subject>> {
    let account = case.account()?;
    let change = |change: AccountChange| Change::Account { change, account: account.names.clone() };
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
    if !has_aes {
        return Ok(Some(
            subject.then(change(AccountChange::UseAes)).then(change(AccountChange::NewPassword)),
        ));
    }
    Ok(match case.picture.aes_keys.clone()? {
        Keys::Present => None,
        Keys::ProbablyAbsent { why } => Some(subject.line(why).then(change(AccountChange::NewPassword))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::condition::{EncryptionTypes, PasswordSet};
    use crate::samples::{Bench, Seen};

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
}
