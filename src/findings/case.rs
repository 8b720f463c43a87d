//! What a rule is given: one instance's evidence, and accessors that answer with the fact or the gap. Evidence is read
//! only through them, so `?` inside a rule *is* the third state.

use crate::expected::{Names, Ports, ServiceAccount, SpnKind};
use crate::model::account::Sid;
use crate::model::connections::{AuthScheme, Connections, Origin};
use crate::model::directory::{Account, DirectoryFacts, DirectoryQuestion, Holder};
use crate::model::dns::{DnsFacts, Forward};
use crate::model::domain::{ControllerState, Crossing};
use crate::model::evidence::{Evidence, InstanceEvidence, Probe};
use crate::model::host::HostName;
use crate::model::instance::{Availability, ClockReading, Instance, Registry};
use crate::model::machine::{Engine, Machine};
use crate::model::observed::{Gap, Known, Now};
use crate::model::settings::{InstanceSettings, Settings};
use crate::model::spn::Spn;
use crate::model::ticket::KerberosError;

use super::accounts::engine_of;
use super::controllers::kdc_clock;
use super::delegation::JudgedLink;
use super::picture::{Picture, account_of, testimony};
use super::spns::{JudgedSpn, Testimony};
use super::{Finding, Outcome};

/// One instance, as a rule sees it.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The operator's words.
    pub settings: &'a Settings,
    /// His words on this instance.
    pub own: &'a InstanceSettings,
    /// All evidence.
    pub evidence: &'a Evidence,
    /// This instance's evidence.
    pub slots: &'a InstanceEvidence,
    /// What was worked out for all rules.
    pub picture: &'a Picture,
    /// The same of every instance, in the order of the settings.
    pictures: &'a [Picture],
    /// Why the directory is not asked at all, if so.
    directory_gap: Option<&'a Gap>,
    /// Why no KDC is asked at all, if so.
    ticket_gap: Option<&'a Gap>,
    /// How the domain controllers are.
    controllers: &'a Known<Vec<ControllerState>>,
    /// The moment of judgement.
    pub now: Now,
    /// The causes' outcomes; empty while the causes are judged.
    causes: &'a [Finding],
}

impl<'a> Case<'a> {
    /// The case of instance number `index`; `None` if there is no such instance. The gaps: why the directory, and why no
    /// KDC, is asked at all.
    pub fn new(
        settings: &'a Settings,
        evidence: &'a Evidence,
        index: usize,
        pictures: &'a [Picture],
        (directory_gap, ticket_gap): (Option<&'a Gap>, Option<&'a Gap>),
        controllers: &'a Known<Vec<ControllerState>>,
        now: Now,
    ) -> Option<Self> {
        let own = settings.instances.get(index)?;
        let slots = evidence.instances.get(index)?;
        let picture = pictures.get(index)?;
        let causes = &[];
        Some(Self {
            settings,
            own,
            evidence,
            slots,
            picture,
            pictures,
            directory_gap,
            ticket_gap,
            controllers,
            now,
            causes,
        })
    }

    /// The same case with the causes' outcomes at hand, for the symptoms.
    #[must_use]
    pub const fn with_causes(mut self, causes: &'a [Finding]) -> Self {
        self.causes = causes;
        self
    }

    /// What the instance said about itself.
    pub fn instance(&self) -> Known<&'a Instance> {
        self.slots.sqlserver.answer(Probe::SqlServer, self.now).map(|good| &good.facts)
    }

    /// What was worked out of every instance of this configuration, this one included.
    pub const fn pictures(&self) -> &'a [Picture] {
        self.pictures
    }

    /// What was worked out of the other instances that answer. That one of them does not is a gap of its own part only.
    pub fn others(&self) -> impl Iterator<Item = &'a Picture> {
        let (own, now) = (self.own, self.now);
        let all = self.settings.instances.iter().zip(self.pictures).zip(&self.evidence.instances);
        all.filter(move |((other, _), slots)| {
            other.name != own.name && slots.sqlserver.answer(Probe::SqlServer, now).is_ok()
        })
        .map(|((_, picture), _)| picture)
    }

    /// Its availability groups.
    pub fn availability(&self) -> Known<&'a Availability> {
        self.instance()?.availability.as_ref().map_err(Clone::clone)
    }

    /// Its network configuration.
    pub fn registry(&self) -> Known<&'a Registry> {
        self.instance()?.registry.as_ref().map_err(Clone::clone)
    }

    /// Who is connected.
    pub fn connections(&self) -> Known<&'a Connections> {
        self.slots.connections.answer(Probe::Connections, self.now).map(|good| &good.facts)
    }

    /// When the newest open connection of this scheme and origin was opened, Unix seconds; `None` if there is none.
    pub fn newest(&self, scheme: AuthScheme, origin: Origin) -> Known<Option<f64>> {
        let good = self.slots.connections.answer(Probe::Connections, self.now)?;
        Ok(good.facts.newest.get(&(scheme, origin)).map(|age| good.at.unix_seconds() - age))
    }

    /// What the directory said.
    pub fn directory(&self) -> Known<&'a DirectoryFacts> {
        self.testimony().map(|said| said.facts)
    }

    /// What the directory was asked last with an answer.
    pub fn directory_question(&self) -> Option<&'a DirectoryQuestion> {
        self.evidence.directory.good.as_ref().map(|good| &good.question)
    }

    /// How the domain controllers are that have been looked at.
    pub fn controllers(&self) -> Known<&'a [ControllerState]> {
        self.controllers.as_deref().map_err(Clone::clone)
    }

    /// The clock of the KDC that tickets are asked of, and the name of that host among the domain controllers.
    pub fn kdc_clock(&self) -> Option<(String, ClockReading)> {
        kdc_clock(self.evidence, self.controllers, self.now)
    }

    /// What the KDCs said when a ticket over the trust to this domain was asked for; `None` if none was, nobody answered, or the
    /// answer is about our account and not about the trust.
    pub fn crossing(&self, partner: &str) -> Option<Crossing> {
        let path = self.trust_path(&HostName::parse(partner)?).ok()?;
        match (path.refusal(), &path.accepted) {
            (Some(refusal), _) if refusal.is_of_the_client() => None,
            (Some(refusal), _) if refusal.error == KerberosError::KDC_ERR_ETYPE_NOSUPP => {
                Some(Crossing::WithoutAes(refusal.to_string()))
            }
            (Some(refusal), _) => Some(Crossing::Refused(refusal.to_string())),
            (None, Ok(_)) => Some(Crossing::Granted),
            (None, Err(_)) => None,
        }
    }

    /// The holders in the forest, if the search was complete.
    pub fn holders(&self) -> Known<&'a [Holder]> {
        self.directory()?.holders.as_deref().map_err(Clone::clone)
    }

    /// The service account as AD has it, read at home.
    pub fn account(&self) -> Known<&'a Account> {
        account_of(self.directory()?, &self.service_account()?.key)
    }

    /// The account of this SID, if it was read on a domain controller of its own domain.
    pub fn read_at_home(&self, sid: &Sid) -> Option<&'a Account> {
        let accounts = &self.directory().ok()?.accounts;
        accounts
            .values()
            .filter_map(|known| known.as_ref().ok()?.found())
            .find(|account| account.names.sid == *sid)
    }

    /// Its SID, where known: what holders are compared with.
    pub fn right_sid(&self) -> Option<&'a Sid> {
        self.picture.holder.as_ref().ok().map(|holder| &holder.sid)
    }

    /// The account that has to hold the SPNs now, as named.
    pub fn service_account(&self) -> Known<&'a ServiceAccount> {
        self.picture.account.as_ref().map_err(Clone::clone)
    }

    /// The account that the service entry names, or the operator.
    pub fn configured_account(&self) -> Known<&'a ServiceAccount> {
        self.picture.configured.as_ref().map_err(Clone::clone)
    }

    /// The account that the process runs as, where that is known.
    pub fn running_account(&self) -> Known<&'a ServiceAccount> {
        self.picture.running.as_ref().map_err(Clone::clone)
    }

    /// Why the directory is not asked at all, if so.
    pub(super) const fn directory_gap(&self) -> Option<&'a Gap> {
        self.directory_gap
    }

    /// Why its account is none that such an instance may have, if so.
    pub fn unsupported_account(&self) -> Option<String> {
        super::cluster::unsupported(self.service_account().ok()?, self.instance().ok()?)
    }

    /// Why no KDC is asked at all, if so.
    pub(super) const fn ticket_gap(&self) -> Option<&'a Gap> {
        self.ticket_gap
    }

    /// The linked servers, judged.
    pub fn linked(&self) -> Known<&'a [JudgedLink]> {
        self.picture.linked.as_deref().map_err(Clone::clone)
    }

    /// What the directory said, with what it was asked.
    pub fn testimony(&self) -> Known<Testimony<'a>> {
        testimony(self.evidence, self.directory_gap, self.now)
    }

    /// What DNS said.
    pub fn dns(&self) -> Known<&'a DnsFacts> {
        self.evidence.dns.answer(Probe::Dns, self.now).map(|good| &good.facts)
    }

    /// What DNS said of this name; a failed look-up is a gap.
    pub fn forward(&self, name: &HostName) -> Known<&'a Forward> {
        match self.dns()?.names.get(name) {
            None => Err(Gap::peer_failed(format!("{name} has not been looked up yet"))),
            Some(Forward::Failed(why)) => Err(Gap::peer_failed(format!("look-up of {name} failed: {why}"))),
            Some(answer) => Ok(answer),
        }
    }

    /// What this machine said.
    pub fn machine(&self) -> Known<&'a Machine> {
        self.evidence.host.answer(Probe::Host, self.now).map(|good| &good.facts)
    }

    /// What the host knows of the instance, if the exporter is proven to be on it.
    pub fn engine(&self) -> Known<&'a Engine> {
        engine_of(self.instance()?, self.machine()?)
    }

    /// The names of the instance.
    pub fn names(&self) -> Known<&'a Names> {
        self.picture.names.as_ref().map_err(Clone::clone)
    }

    /// Its ports.
    pub fn ports(&self) -> Known<&'a Ports> {
        self.picture.ports.as_ref().map_err(Clone::clone)
    }

    /// The expected SPNs with the state of each.
    pub fn spns(&self) -> Known<&'a [JudgedSpn]> {
        self.picture.spns.as_deref().map_err(Clone::clone)
    }

    /// The state of this one, if it is expected.
    pub fn spn(&self, spn: &Spn) -> Known<Option<&'a JudgedSpn>> {
        Ok(self.spns()?.iter().find(|judged| judged.expected.spn == *spn))
    }

    /// Those that pass the filter.
    pub fn spns_where(
        &self,
        filter: impl Fn(&JudgedSpn) -> bool + 'a,
    ) -> Known<impl Iterator<Item = &'a JudgedSpn>> {
        self.spns().map(|spns| spns.iter().filter(move |spn| filter(spn)))
    }

    /// What stands in the way of expecting more SPNs of these kinds.
    pub fn expectation_gaps(&self, of: impl Fn(SpnKind) -> bool) -> Vec<Gap> {
        self.picture.gaps.iter().filter(|(kind, _)| of(*kind)).map(|(_, gap)| gap.clone()).collect()
    }

    /// The outcome of a cause, for a symptom.
    pub fn cause(&self, name: &str) -> Option<Outcome> {
        self.causes.iter().find(|finding| finding.rule.name == name).map(|finding| finding.outcome)
    }

    /// The reason why the operator accepts this finding for this subject, if he does and its last day is not over.
    pub fn accepted(&self, finding: &str, subject: &str) -> Option<String> {
        let today = (self.now.unix_seconds() / 86_400.0).max(0.0) as u64;
        self.settings
            .accept
            .iter()
            .find(|accept| {
                accept.finding == finding
                    && accept.subject.to_lowercase() == subject.to_lowercase()
                    && accept.until.is_none_or(|until| today <= until)
            })
            .map(|accept| accept.reason.clone())
    }
}
