//! The state of one expected SPN (JUDGEMENT 3): good, missing, misplaced, duplicate or unknown with a reason. Strict on
//! purpose: AD hides instead of refusing, engines de-register at shutdown, and other domains' data lags in the Global
//! Catalog, so each bad state takes positive evidence.

use std::collections::BTreeMap;

use crate::expected::{Expected, Requirement, SpnKind};
use crate::model::account::Sid;
use crate::model::directory::{Account, AccountNames, DirectoryFacts, DirectoryQuestion};
use crate::model::observed::{Gap, Known};
use crate::model::spn::Spn;

/// The state of an SPN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// The right account holds it, nobody else in this forest does.
    Good,
    /// Nobody holds it.
    Missing,
    /// Two or more accounts of this forest hold it.
    Duplicate,
    /// Only another account holds it.
    Misplaced,
    /// Could not be told.
    Unknown(Gap),
}

impl Status {
    /// The names of all states: the label `status`.
    pub const NAMES: [&'static str; 5] = ["good", "missing", "duplicate", "misplaced", "unknown"];

    /// The label value.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Missing => "missing",
            Self::Duplicate => "duplicate",
            Self::Misplaced => "misplaced",
            Self::Unknown(_) => "unknown",
        }
    }

    /// The wording of Kerberos Configuration Manager, which DBAs know.
    pub const fn kcm(&self) -> &'static str {
        match self {
            Self::Good => "Good",
            Self::Missing => "Required SPN is missing",
            Self::Duplicate => "Duplicate SPN",
            Self::Misplaced => "SPN is on the wrong account",
            Self::Unknown(_) => "not known",
        }
    }
}

/// An expected SPN with its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgedSpn {
    /// What is expected and why.
    pub expected: Expected,
    /// Its state.
    pub status: Status,
    /// Every account of the forest that holds it, in order of SID; a gap if the search was not complete.
    pub holders: Known<Vec<AccountNames>>,
    /// On the right account when read at home, not yet in the Global Catalog.
    pub is_lagging: bool,
}

impl JudgedSpn {
    /// Whether a bad state of it is judged by `missing_spn` and `misplaced_spn`: not a listener's, not an alias.
    pub fn is_of_instance(&self) -> bool {
        !matches!(self.expected.kind, SpnKind::Listener | SpnKind::Alias)
    }

    /// Whether it is required.
    pub fn is_required(&self) -> bool {
        self.expected.requirement == Requirement::Required
    }

    /// The holders other than this account; none where the holders are not known.
    pub fn others(&self, right: Option<&Sid>) -> impl Iterator<Item = &AccountNames> {
        let right = right.cloned();
        self.holders
            .as_deref()
            .unwrap_or_default()
            .iter()
            .filter(move |holder| Some(&holder.sid) != right.as_ref())
    }

    /// Whether the right account holds it, also when somebody else does too.
    pub fn is_present(&self, right: Option<&Sid>) -> Option<bool> {
        match (&self.status, &self.holders, right) {
            (Status::Good, _, _) => Some(true),
            (Status::Missing | Status::Misplaced, _, _) => Some(false),
            (Status::Duplicate, Ok(holders), Some(right)) => {
                Some(holders.iter().any(|holder| holder.sid == *right))
            }
            (Status::Duplicate | Status::Unknown(_), _, _) => None,
        }
    }
}

/// What the directory said about the matter.
#[derive(Debug, Clone, Copy)]
pub struct Testimony<'a> {
    /// What was asked: an SPN that was not in the question is unknown, not missing.
    pub question: &'a DirectoryQuestion,
    /// The answer.
    pub facts: &'a DirectoryFacts,
}

/// Why no new bad state may be claimed now, if so: just started, stopped or unreachable.
pub type Settling = Option<Gap>;

/// Judges one SPN. `account` is the running service account, read at home.
pub fn judge(
    expected: Expected,
    testimony: Known<Testimony<'_>>,
    account: &Known<&Account>,
    settling: &Settling,
) -> JudgedSpn {
    let (holders, is_lagging) = match testimony.and_then(|said| holders(&expected.spn, said, account)) {
        Ok(known) => known,
        Err(gap) => {
            let status = Status::Unknown(gap.clone());
            return JudgedSpn { expected, status, holders: Err(gap), is_lagging: false };
        }
    };
    let status = match (status(&expected.spn, &holders, account), settling) {
        (Status::Missing | Status::Misplaced | Status::Duplicate, Some(gap)) => Status::Unknown(gap.clone()),
        (status, _) => status,
    };
    let is_lagging = is_lagging && status == Status::Good;
    JudgedSpn { expected, status, holders: Ok(holders.into_values().collect()), is_lagging }
}

fn status(spn: &Spn, holders: &BTreeMap<Sid, AccountNames>, account: &Known<&Account>) -> Status {
    // Two accounts are a duplicate whoever the right one is; it wins over misplaced.
    if holders.len() > 1 {
        return Status::Duplicate;
    }
    let account = match account {
        Ok(account) => account,
        Err(gap) => return Status::Unknown(gap.clone()),
    };
    if holders.contains_key(&account.names.sid) {
        return Status::Good;
    }
    // The account's own attribute must have been read, and be without it, before "missing" may be said.
    match &account.spns {
        Err(gap) => Status::Unknown(gap.clone()),
        Ok(own) if own.contains(spn) => Status::Good,
        Ok(_) if holders.is_empty() => Status::Missing,
        Ok(_) => Status::Misplaced,
    }
}

/// The accounts that hold it, by SID, after what was read at home has corrected the Global Catalog; and whether the
/// Global Catalog lags behind.
fn holders(
    spn: &Spn,
    said: Testimony<'_>,
    account: &Known<&Account>,
) -> Known<(BTreeMap<Sid, AccountNames>, bool)> {
    if !said.question.spns.contains(spn) {
        return Err(Gap::peer_failed(format!("{} has not been looked up yet", spn.label())));
    }
    let found = said.facts.holders.as_ref().map_err(Clone::clone)?;
    let mut holders: BTreeMap<Sid, AccountNames> = found
        .iter()
        .filter(|holder| holder.spns.contains(spn))
        .map(|holder| (holder.names.sid.clone(), holder.names.clone()))
        .collect();
    let mut is_lagging = false;
    if let Ok(account) = account
        && let Ok(own) = &account.spns
    {
        let sid = &account.names.sid;
        if !own.contains(spn) {
            holders.remove(sid);
        } else if !holders.contains_key(sid) {
            is_lagging = true;
            holders.insert(sid.clone(), account.names.clone());
        }
    }
    Ok((holders, is_lagging))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    /// SPN on these accounts in the Global Catalog; own list readable and with or without it → status.
    #[test]
    fn states() {
        let (ours, other) = ("svc_sql", "svc_old");
        for (in_gc, own_list, expected) in [
            (vec![ours], Some(true), "good"),
            (vec![], Some(true), "good"),
            (vec![], Some(false), "missing"),
            (vec![], None, "unknown"),
            (vec![other], Some(false), "misplaced"),
            (vec![other], None, "unknown"),
            (vec![other], Some(true), "duplicate"),
            (vec![ours, other], Some(true), "duplicate"),
            // The home domain controller beats the Global Catalog: ours was removed there.
            (vec![ours, other], Some(false), "misplaced"),
            (vec![ours], Some(false), "missing"),
        ] {
            let judged = judge_sample(&in_gc, own_list, true, None);
            assert_eq!(judged.status.name(), expected, "{in_gc:?} {own_list:?}");
        }
    }

    #[test]
    fn lag_is_good_and_said() {
        let judged = judge_sample(&[], Some(true), true, None);
        assert_eq!((judged.status, judged.is_lagging), (Status::Good, true));
    }

    #[test]
    fn not_asked_is_unknown() {
        assert_eq!(judge_sample(&[], Some(false), false, None).status.name(), "unknown");
    }

    #[test]
    fn settling_hides_only_bad_states() {
        let settling = Some(Gap::not_applicable("started 3 minutes ago"));
        assert_eq!(judge_sample(&[], Some(false), true, settling.clone()).status.name(), "unknown");
        assert_eq!(judge_sample(&["svc_sql"], Some(true), true, settling).status.name(), "good");
    }

    fn judge_sample(in_gc: &[&str], own_list: Option<bool>, asked: bool, settling: Settling) -> JudgedSpn {
        let spn = Spn::parse("MSSQLSvc/sql01.corp.contoso.com:1433").unwrap();
        let mut question = DirectoryQuestion::default();
        if asked {
            question.spns.insert(spn.clone());
        }
        let mut facts = samples::directory();
        facts.holders = Ok(in_gc.iter().map(|name| samples::holder(name, &[spn.as_str()])).collect());
        let mut account = samples::account("svc_sql", &[]);
        account.spns = match own_list {
            None => Err(Gap::no_permission("servicePrincipalName of svc_sql is hidden")),
            Some(true) => Ok(vec![spn.clone()]),
            Some(false) => Ok(vec![]),
        };
        let testimony = Ok(Testimony { question: &question, facts: &facts });
        judge(samples::expected(spn.as_str()), testimony, &Ok(&account), &settling)
    }
}
