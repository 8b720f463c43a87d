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
    /// Every account of the forest that holds it, and the right one also if it lives in another forest, in order of SID; a
    /// gap if the search was not complete.
    pub holders: Known<Vec<AccountNames>>,
    /// On the right account when read at home, not yet in the Global Catalog of its forest, which is ours.
    pub is_lagging: bool,
    /// On the right account, which lives in another forest: it is among `holders`, and no duplicate.
    pub is_held_abroad: bool,
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

    /// How many accounts of this forest hold it; other forests never count.
    pub fn copies(&self) -> Known<usize> {
        let holders = self.holders.as_ref().map_err(Clone::clone)?;
        Ok(holders.len().saturating_sub(usize::from(self.is_held_abroad)))
    }

    /// Whether the right account holds it, also when somebody else does too.
    pub fn is_present(&self, right: Option<&Sid>) -> Option<bool> {
        match (&self.status, &self.holders, right) {
            (Status::Good, _, _) => Some(true),
            (Status::Misplaced, _, _) => Some(self.is_held_abroad),
            (Status::Missing, _, _) => Some(false),
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
    let held = match testimony.and_then(|said| Held::of(&expected.spn, said, account)) {
        Ok(known) => known,
        Err(gap) => {
            let status = Status::Unknown(gap.clone());
            return JudgedSpn {
                expected,
                status,
                holders: Err(gap),
                is_lagging: false,
                is_held_abroad: false,
            };
        }
    };
    let status = match (held.status(&expected.spn, account), settling) {
        (Status::Missing | Status::Misplaced | Status::Duplicate, Some(gap)) => Status::Unknown(gap.clone()),
        (status, _) => status,
    };
    let is_lagging = held.ours == Ours::Lagging && status == Status::Good;
    let is_held_abroad = held.ours == Ours::Abroad;
    JudgedSpn {
        expected,
        status,
        holders: Ok(held.holders.into_values().collect()),
        is_lagging,
        is_held_abroad,
    }
}

/// Who holds an SPN.
struct Held {
    /// By SID, after what was read at home has corrected the Global Catalog.
    holders: BTreeMap<Sid, AccountNames>,
    ours: Ours,
}

/// How the right account comes to be among the holders.
#[derive(PartialEq)]
enum Ours {
    /// As the Global Catalog has it, or it holds nothing.
    AsCatalogued,
    /// Its own domain, which is of this forest, says so; the Global Catalog does not yet.
    Lagging,
    /// It lives in another forest, whose accounts our Global Catalog never has.
    Abroad,
    /// The Global Catalog does not have it, and why cannot be told.
    Doubtful(Gap),
}

impl Held {
    fn of(spn: &Spn, said: Testimony<'_>, account: &Known<&Account>) -> Known<Self> {
        if !said.question.spns.contains(spn) {
            return Err(Gap::peer_failed(format!("{} has not been looked up yet", spn.label())));
        }
        let found = said.facts.holders.as_ref().map_err(Clone::clone)?;
        let mut holders: BTreeMap<Sid, AccountNames> = found
            .iter()
            .filter(|holder| holder.spns.contains(spn))
            .map(|holder| (holder.names.sid.clone(), holder.names.clone()))
            .collect();
        let mut ours = Ours::AsCatalogued;
        if let Ok(account) = account
            && let Ok(own) = &account.spns
        {
            let sid = &account.names.sid;
            if !own.contains(spn) {
                holders.remove(sid);
            } else if !holders.contains_key(sid) {
                holders.insert(sid.clone(), account.names.clone());
                ours = match said.facts.is_of_forest(&account.names) {
                    Ok(true) => Ours::Lagging,
                    Ok(false) => Ours::Abroad,
                    Err(gap) => Ours::Doubtful(gap),
                };
            } else if found.iter().any(|holder| holder.names.sid == *sid && holder.lagging.contains(spn)) {
                // The Global Catalog has the account, with another of its SPNs, and not this one.
                ours = Ours::Lagging;
            }
        }
        Ok(Self { holders, ours })
    }

    fn status(&self, spn: &Spn, account: &Known<&Account>) -> Status {
        match (&self.ours, self.holders.len()) {
            // Held by the right account in its own forest and by one of ours: no duplicate, as other forests never count, and
            // not good, as somebody else holds it here. Whoever asks in this forest is answered from this forest, with a
            // ticket for the only holder it has, which the service cannot decrypt: just what misplaced means to clients.
            (Ours::Abroad, 2) => return Status::Misplaced,
            (Ours::Doubtful(gap), 2) => return Status::Unknown(gap.clone()),
            // Two accounts are a duplicate whoever the right one is; it wins over misplaced.
            (_, 2..) => return Status::Duplicate,
            (_, _) => {}
        }
        let account = match account {
            Ok(account) => account,
            Err(gap) => return Status::Unknown(gap.clone()),
        };
        if self.holders.contains_key(&account.names.sid) {
            return Status::Good;
        }
        // The account's own attribute must have been read, and be without it, before "missing" may be said.
        match &account.spns {
            Err(gap) => Status::Unknown(gap.clone()),
            Ok(own) if own.contains(spn) => Status::Good,
            Ok(_) if self.holders.is_empty() => Status::Missing,
            Ok(_) => Status::Misplaced,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{self, PORT};

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

    /// The right account lives in another forest: held by it; by these of ours → status, accounts of this forest.
    #[test]
    fn an_account_of_another_forest_neither_lags_nor_counts() {
        for (in_gc, own_list, status, copies, present) in [
            (vec![], Some(true), "good", 0, Some(true)),
            (vec![], Some(false), "missing", 0, Some(false)),
            (vec!["svc_old"], Some(false), "misplaced", 1, Some(false)),
            // Clients of our forest get the wrong ticket, those of the other the right one.
            (vec!["svc_old"], Some(true), "misplaced", 1, Some(true)),
            (vec!["svc_old", "svc_new"], Some(true), "duplicate", 2, Some(true)),
            (vec!["svc_old", "svc_new"], Some(false), "duplicate", 2, Some(false)),
            (vec!["svc_old"], None, "unknown", 1, None),
        ] {
            let judged = judge_in("DC=partner,DC=example", &in_gc, own_list, |_| {});
            assert_eq!(judged.status.name(), status, "{in_gc:?} {own_list:?}");
            assert_eq!((judged.copies(), judged.is_lagging), (Ok(copies), false), "{in_gc:?} {own_list:?}");
            let right = judged.is_present(Some(&samples::sid("svc_sql")));
            assert_eq!(right, present, "{in_gc:?} {own_list:?}");
        }
    }

    #[test]
    fn a_forest_that_is_not_known_makes_neither_lag_nor_duplicate() {
        let blind =
            |facts: &mut DirectoryFacts| facts.domains = Err(Gap::no_permission("crossRefs are hidden"));
        let elsewhere = |in_gc: &[&str]| judge_in("DC=partner,DC=example", in_gc, Some(true), blind);
        let judged = elsewhere(&[]);
        assert_eq!((judged.status, judged.is_lagging), (Status::Good, false));
        assert_eq!(elsewhere(&["svc_old"]).status.name(), "unknown");
        assert_eq!(elsewhere(&["svc_old", "svc_new"]).status.name(), "duplicate");
        // Our own domain is of our forest whatever can be read.
        let judged = judge_in("DC=corp,DC=contoso,DC=com", &[], Some(true), blind);
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
        let question = if asked { question() } else { DirectoryQuestion::default() };
        judge_by(&question, &facts(in_gc), &account(own_list), &settling)
    }

    /// The right account lives in the domain of this naming context.
    fn judge_in(
        context: &str,
        in_gc: &[&str],
        own_list: Option<bool>,
        change: impl FnOnce(&mut DirectoryFacts),
    ) -> JudgedSpn {
        let (mut facts, mut account) = (facts(in_gc), account(own_list));
        change(&mut facts);
        account.names.dn = format!("CN=svc_sql,CN=Users,{context}");
        judge_by(&question(), &facts, &account, &None)
    }

    fn judge_by(
        question: &DirectoryQuestion,
        facts: &DirectoryFacts,
        account: &Account,
        settling: &Settling,
    ) -> JudgedSpn {
        judge(samples::expected(PORT), Ok(Testimony { question, facts }), &Ok(account), settling)
    }

    fn question() -> DirectoryQuestion {
        DirectoryQuestion { spns: [samples::spn(PORT)].into(), ..DirectoryQuestion::default() }
    }

    fn facts(in_gc: &[&str]) -> DirectoryFacts {
        let mut facts = samples::directory();
        facts.holders = Ok(in_gc.iter().map(|name| samples::holder(name, &[PORT])).collect());
        facts
    }

    fn account(own_list: Option<bool>) -> Account {
        let mut account = samples::account("svc_sql", &[]);
        account.spns = match own_list {
            None => Err(Gap::no_permission("servicePrincipalName of svc_sql is hidden")),
            Some(true) => Ok(vec![samples::spn(PORT)]),
            Some(false) => Ok(vec![]),
        };
        account
    }
}
