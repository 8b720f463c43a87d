//! `stale_spn`: an engine SPN on our running account, under a name that is provably ours, that nothing serves any more.
//! Said only where the host's own list of instances is at hand and each of them that could serve it is known.
//!
//! Why a day without a change of the account does for "seen twice" (JUDGEMENT 3): `whenChanged` is of the domain controller
//! that is asked and at least as late as the writing of each value, so an SPN of such an account was
//! there in every look of that day. SQL Browser's list is not used: it leaves out instances that hide
//! themselves and those that are stopped, so it never proves that nobody else serves a port.

use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;
use crate::model::evidence::Probe;
use crate::model::instance::DEFAULT_INSTANCE;
use crate::model::machine::Engine;
use crate::model::observed::{Gap, Known};
use crate::model::spn::{Spn, Tail};

pub(super) const RULE: Rule = Rule {
    name: "stale_spn",
    severity: Severity::Info,
    escalates: false,
    scope: Scope::Domain,
    meaning: "The service account holds an SPN of this host for a port or instance that no instance of this host \
              serves. It does no harm until another service wants it.",
    seen: "The account's own servicePrincipalName, unchanged for a day, against every instance that the registry of \
           this host lists. Not judged where that list is not available, or where an instance of it is not in the \
           configuration.",
    repair: "Ask the owner of the account; another host that takes over this name may need it.",
    source: "https://learn.microsoft.com/windows-server/administration/windows-commands/setspn",
    check,
};

/// An attribute written less than a day ago may be a registration under way.
const SETTLED_SECONDS: f64 = 86_400.0;

fn check(case: &Case<'_>) -> Judged {
    match leftovers(case) {
        Ok(spns) if spns.is_empty() => Judged::CLEAR,
        Ok(spns) => {
            let served = ServedHere::of(case);
            Judged::each(Ok(spns), "nothing is left over", |spn| {
                if served.as_ref().map_err(Clone::clone)?.may_serve(spn)? {
                    return Ok(None);
                }
                let holder = case.picture.holder.clone()?;
                let text = "on the service account, and no instance of this host serves it".to_owned();
                let change = Change::AskOwner { spn: spn.clone(), holder };
                Ok(Some(Subject::new(spn.label(), text).then(change)))
            })
        }
        Err(gap) => Judged::from(gap),
    }
}

/// The account's engine SPNs under an own name that no configured instance expects or serves.
fn leftovers<'a>(case: &Case<'a>) -> Known<Vec<&'a Spn>> {
    let (account, names) = (case.account()?, case.names()?);
    let held = account.spns.as_ref().map_err(Clone::clone)?;
    // Blind for one instance, blind for what it may serve.
    if let Some(gap) = case.pictures().iter().find_map(|picture| picture.spns.as_ref().err()) {
        return Err(gap.clone());
    }
    let is_served = |spn: &Spn| {
        case.pictures().iter().any(|picture| {
            picture.spns.iter().flatten().any(|judged| judged.expected.spn == *spn)
                || match spn.tail() {
                    Tail::Port(port) => picture.ports.as_ref().is_ok_and(|ports| ports.is_live(port)),
                    Tail::None | Tail::Instance(_) => false,
                }
        })
    };
    let left: Vec<&Spn> = held
        .iter()
        .filter(|spn| spn.is_engine() && spn.host().is_some_and(|host| names.own.contains(&host)))
        .filter(|spn| !is_served(spn))
        .collect();
    if left.is_empty() {
        return Ok(left);
    }
    if let Some(gap) = case.pictures().iter().find_map(|picture| picture.settling.clone()) {
        return Err(gap);
    }
    match account.changed {
        Some(changed) if case.now.unix_seconds() - changed > SETTLED_SECONDS => Ok(left),
        Some(_) => Err(Gap::not_applicable("the account was changed less than a day ago")),
        None => Err(Gap::no_permission("whenChanged of the service account cannot be read")),
    }
}

/// Every instance of this host, and which of them the configuration names.
struct ServedHere<'a> {
    /// As the host's registry lists them, stopped ones too.
    engines: &'a [Engine],
    /// Names of those that are looked at: what they serve is known, and is not left over.
    watched: Vec<&'a str>,
}

impl<'a> ServedHere<'a> {
    fn of(case: &Case<'a>) -> Known<Self> {
        // Elsewhere than on its Windows host nobody can know: no blind spot that somebody could mend, and no reason to page
        // anybody about a leftover that does no harm.
        let unlisted = |why: &str| {
            Gap::not_applicable(format!(
                "which instances this host has besides the configured ones is not known: {why}"
            ))
        };
        let own = case.instance()?;
        if !own.sees_us_on_its_host() {
            return Err(unlisted("the exporter is not on it"));
        }
        let machine = case.machine()?;
        let engines = machine.engines.as_deref().map_err(|gap| unlisted(&gap.text))?;
        let watched = case.evidence.instances.iter().filter_map(|slots| {
            let instance = &slots.sqlserver.answer(Probe::SqlServer, case.now).ok()?.facts;
            instance
                .sees_us_on_its_host()
                .then(|| instance_name(instance.properties.instance_name.as_deref()))
        });
        Ok(Self { engines, watched: watched.collect() })
    }

    /// Whether an instance of this host serves it, looked at or not.
    fn may_serve(&self, spn: &Spn) -> Known<bool> {
        let is_named =
            |name: &str| self.engines.iter().any(|engine| engine.instance.eq_ignore_ascii_case(name));
        match spn.tail() {
            Tail::None => Ok(is_named(DEFAULT_INSTANCE)),
            Tail::Instance(name) => Ok(is_named(name)),
            // A stopped instance keeps its ports, and a running one that nobody looks at has some.
            Tail::Port(_) => {
                let is_watched = |engine: &&Engine| {
                    self.watched.iter().any(|name| engine.instance.eq_ignore_ascii_case(name))
                };
                match self.engines.iter().find(|engine| !is_watched(engine)) {
                    Some(other) => Err(Gap::disabled(format!(
                        "which ports instance {} of this host serves is not known; add it to instances",
                        other.instance
                    ))),
                    None => Ok(false),
                }
            }
        }
    }
}

fn instance_name(name: Option<&str>) -> &str {
    name.unwrap_or(DEFAULT_INSTANCE)
}

#[cfg(test)]
mod tests {
    use super::{Engine, Gap};
    use crate::samples::{self, Bench, PORT, Seen};

    const OLD: &str = "MSSQLSvc/sql01.corp.contoso.com:49152";

    /// The host's registry lists these instances; the first is the one looked at.
    fn listed(names: &'static [&'static str]) -> Bench {
        Bench::new().spns("svc_sql", &[PORT, OLD, "MSSQLSvc/sql1.corp.contoso.com:7", "HTTP/sql01"]).with(
            |bench| {
                let engine = |name: &&str| Engine {
                    instance: (*name).to_owned(),
                    extended_protection: Err(Bench::refused()),
                    accepted_spns: Err(Bench::refused()),
                    runs_as: Err(Bench::refused()),
                    cluster_name: Err(Bench::refused()),
                    is_running: Err(Bench::refused()),
                };
                bench.machine.engines = Ok(names.iter().map(engine).collect());
            },
        )
    }

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let stale = || listed(&["MSSQLSERVER"]);
        assert_eq!(judge(stale()), Seen::applies(&[OLD]));
        // Nothing is left over, whatever else the host may run.
        assert_eq!(judge(Bench::new()), Seen::clear());
        let with_name = stale().spns("svc_sql", &["MSSQLSvc/sql01.corp.contoso.com"]);
        assert_eq!(judge(with_name), Seen::applies(&[OLD]));
        assert_eq!(judge(stale().with(|bench| bench.account_age_days = 0.5)), Seen::not_applicable());
        assert_eq!(judge(stale().no_directory()), Seen::unknown());
        assert_eq!(judge(stale().hidden("svc_sql")), Seen::unknown());
        let blind = stale().with(|bench| bench.instance.listeners = Err(Bench::refused()));
        assert_eq!(judge(blind), Seen::unknown());
        assert_eq!(judge(stale().workgroup()), Seen::not_applicable());
        assert_eq!(Bench::commands(&stale().finding(&super::RULE).subjects[0]), Vec::<String>::new());
    }

    #[test]
    fn never_claimed_unless_every_instance_of_the_host_is_known() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let unlisted = listed(&[]).with(|bench| {
            bench.machine.engines = Err(Gap::not_applicable("only a Windows host has a registry"));
        });
        assert_eq!(judge(unlisted), Seen::not_applicable());
        let elsewhere = listed(&["MSSQLSERVER"]).with(|bench| {
            let own = bench.instance.own_session.as_mut().unwrap();
            own.client_address = Some("10.77.1.9".parse().unwrap());
            own.local_address = Some("10.77.0.11".parse().unwrap());
        });
        assert_eq!(judge(elsewhere), Seen::not_applicable());
        // Three instances with one account, one of them looked at: a port may be one of the other two's.
        let three = || listed(&["MSSQLSERVER", "SALES", "HR"]);
        assert_eq!(judge(three()), Seen::not_applicable());
        // A name tells its instance: that one is listed, and this one is not.
        let named = ["MSSQLSvc/sql01.corp.contoso.com:hr", "MSSQLSvc/sql01.corp.contoso.com:gone"];
        assert_eq!(judge(three().spns("svc_sql", &named)), Seen::applies(&[named[1]]));
        let second = |name: &'static str, port: u16| {
            listed(&["MSSQLSERVER", "SALES"]).second_instance(move |instance| {
                instance.properties.instance_name = Some(name.into());
                instance.listeners.as_mut().unwrap()[0].port = port;
            })
        };
        assert_eq!(judge(second("SALES", 1500)), Seen::applies(&[OLD]));
        assert_eq!(judge(second("SALES", 49_152)), Seen::clear());
        assert_eq!(judge(second("OTHER", 1500)), Seen::not_applicable());
    }

    #[test]
    fn nothing_new_is_said_while_an_instance_settles() {
        let young = listed(&["MSSQLSERVER"]).with(|bench| {
            bench.instance.started =
                bench.instance.started.clone().map(|_| samples::now().unix_seconds() - 60.0);
        });
        assert_eq!(young.judge(&super::RULE), Seen::not_applicable());
    }
}
