//! The domains of the forest, its trusts and the domains that logins come from, side by side: what the directory says of
//! each, and what the KDCs said of the way there. Pure. Whether a trust is unusable is judged by a rule, not here.

use crate::model::account::AccountKey;
use crate::model::connections::NtlmClient;
use crate::model::directory::DirectoryFacts;
use crate::model::domain::Trust;
use crate::model::evidence::{Evidence, Probe};
use crate::model::host::HostName;
use crate::model::observed::{Gap, Known, Now};
use crate::model::ticket::TrustPath;

use super::crossings;
use super::picture::{Picture, testimony};

/// How a domain stands to ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// It is ours.
    Own,
    /// Another domain of our forest: its users are trusted, and ours are there.
    SameForest,
    /// Of another forest, and ours trusts it: its users can come in.
    Trusted,
    /// Of another forest, which trusts ours and is not trusted by it: our users can go there.
    Trusting,
    /// No trust that is switched on: a machine's own name, a workgroup, a forest without a trust.
    Neither,
}

impl Relation {
    /// For programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::SameForest => "same_forest",
            Self::Trusted => "trusted",
            Self::Trusting => "trusting",
            Self::Neither => "neither",
        }
    }

    const fn of(trust: &Trust) -> Self {
        if trust.is_within_forest() {
            Self::SameForest
        } else if trust.lets_in() {
            Self::Trusted
        } else if trust.lets_out() {
            Self::Trusting
        } else {
            Self::Neither
        }
    }
}

/// One domain.
#[derive(Debug, Clone, PartialEq)]
pub struct DomainState<'a> {
    /// Its DNS name, lower case; where nothing but a login names it, that name in upper case.
    pub name: String,
    /// Its NetBIOS name, where the directory tells it.
    pub netbios_name: Option<&'a str>,
    /// How it stands to ours.
    pub relation: Relation,
    /// The trust that leads there, and the domain whose directory holds it. The trust to a forest leads to all its domains.
    pub trust: Option<(&'a Trust, &'a str)>,
    /// Remote connections on NTLM of its users, over all instances. Of those on Kerberos no view tells the domain.
    pub ntlm: u64,
    /// The service accounts that live there.
    pub accounts: Vec<&'a str>,
    /// What both ends said when a ticket over the trust was asked for; or why none was.
    pub tickets: Known<&'a TrustPath>,
}

impl DomainState<'_> {
    fn is(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.name.to_lowercase() == name
            || self.netbios_name.is_some_and(|netbios| netbios.to_lowercase() == name)
    }
}

/// All of them, and what is missing.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Domains<'a> {
    /// The forest's own first, then those behind trusts, then the others that logins name.
    pub states: Vec<DomainState<'a>>,
    /// How many of the last kind were left out: any workgroup machine is one.
    pub n_left_out: usize,
    /// What could not be looked at.
    pub gaps: Vec<Gap>,
}

/// Domains without a trust that are told by name.
const MOST_STRANGERS: usize = 20;

/// What is known of all domains.
///
/// # Errors
/// Why the directory has said nothing.
pub fn domains<'a>(
    evidence: &'a Evidence,
    pictures: &[&'a Picture],
    (directory_gap, ticket_gap): (Option<&Gap>, Option<&Gap>),
    now: Now,
) -> Known<Domains<'a>> {
    let facts = testimony(evidence, directory_gap, now)?.facts;
    let mut all = Domains::default();
    all.forest(facts);
    all.trusts(facts);
    all.accounts(facts, pictures);
    for slots in &evidence.instances {
        let answer = slots.connections.answer(Probe::Connections, now);
        match answer.and_then(|good| good.facts.ntlm_clients.as_ref().map_err(Clone::clone)) {
            Ok(clients) => clients.iter().for_each(|client| all.login(facts, client)),
            Err(gap) => all.gap(gap),
        }
    }
    let is_stranger = |state: &&DomainState<'_>| state.relation == Relation::Neither && state.trust.is_none();
    all.n_left_out = all.states.iter().filter(is_stranger).count().saturating_sub(MOST_STRANGERS);
    let mut n_strangers = 0;
    all.states.retain(|state| {
        n_strangers += usize::from(is_stranger(&state));
        !is_stranger(&state) || n_strangers <= MOST_STRANGERS
    });
    for state in &mut all.states {
        state.tickets = tickets(evidence, facts, state, ticket_gap, now);
    }
    Ok(all)
}

impl<'a> Domains<'a> {
    fn gap(&mut self, gap: Gap) {
        if !self.gaps.contains(&gap) {
            self.gaps.push(gap);
        }
    }

    /// Notes something of the domain of this name, which is added if nobody named it before.
    fn note(&mut self, name: &str, relation: Relation, what: impl FnOnce(&mut DomainState<'a>)) {
        if let Some(state) = self.states.iter_mut().find(|state| state.is(name)) {
            return what(state);
        }
        let mut state = DomainState {
            name: name.to_owned(),
            netbios_name: None,
            relation,
            trust: None,
            ntlm: 0,
            accounts: Vec::new(),
            tickets: Err(Gap::not_applicable("no ticket is asked for")),
        };
        what(&mut state);
        self.states.push(state);
    }

    fn forest(&mut self, facts: &'a DirectoryFacts) {
        self.note(&facts.server.domain.to_lowercase(), Relation::Own, |_| {});
        match &facts.domains {
            Ok(domains) => {
                for domain in domains {
                    self.note(&domain.dns_name.to_lowercase(), Relation::SameForest, |state| {
                        state.netbios_name = Some(domain.netbios_name.as_str());
                    });
                }
            }
            Err(gap) => self.gap(gap.clone()),
        }
    }

    fn trusts(&mut self, facts: &'a DirectoryFacts) {
        for (holder, trusts) in trusts(facts) {
            match trusts {
                Ok(trusts) => {
                    for trust in trusts {
                        self.note(&trust.partner, Relation::of(trust), |state| {
                            // Our own domain's trust comes first, and is the one that its controllers go by.
                            state.trust = state.trust.or(Some((trust, holder)));
                            state.netbios_name = state.netbios_name.or(trust.netbios_name.as_deref());
                        });
                    }
                }
                Err(gap) => self.gap(gap),
            }
        }
    }

    fn accounts(&mut self, facts: &'a DirectoryFacts, pictures: &[&'a Picture]) {
        for picture in pictures.iter().filter(|picture| picture.scope.is_ok()) {
            let Ok(account) = &picture.account else { continue };
            let home = picture.holder.as_ref().ok().and_then(|holder| facts.domain_of(holder));
            let named = match &account.key {
                AccountKey::Sam { domain, .. } => domain.as_deref(),
                // Any text may follow the @ of a UPN; only a trust's name proves a domain.
                AccountKey::Upn(upn) => upn
                    .rsplit_once('@')
                    .map(|(_, suffix)| suffix)
                    .filter(|suffix| matches!(trust_to(facts, suffix), Ok(Some(_)))),
            };
            let Some(name) = home.as_ref().map(HostName::as_str).or(named) else { continue };
            self.named(facts, name, |state| {
                if !state.accounts.contains(&account.shown.as_str()) {
                    state.accounts.push(account.shown.as_str());
                }
            });
        }
    }

    fn login(&mut self, facts: &'a DirectoryFacts, client: &NtlmClient) {
        if let Some(name) = domain_of_login(client) {
            self.named(facts, &name, |state| state.ntlm += client.connections);
        }
    }

    /// The same of a domain that somebody names: known, or of a forest that is trusted, or a stranger.
    fn named(&mut self, facts: &'a DirectoryFacts, name: &str, what: impl FnOnce(&mut DomainState<'a>)) {
        let over = trusts(facts).into_iter().find_map(|(holder, trusts)| {
            let found = trusts.ok()?.iter().find(|trust| leads_to(trust, &name.to_lowercase()))?;
            Some((found, holder))
        });
        let (name, relation) = match over {
            Some((trust, _)) => (name.to_lowercase(), Relation::of(trust)),
            None => (name.to_uppercase(), Relation::Neither),
        };
        self.note(&name, relation, |state| {
            state.trust = state.trust.or(over);
            what(state);
        });
    }
}

/// What the KDCs said of the way to this domain, or why they were not asked.
fn tickets<'a>(
    evidence: &'a Evidence,
    facts: &DirectoryFacts,
    state: &DomainState<'_>,
    ticket_gap: Option<&Gap>,
    now: Now,
) -> Known<&'a TrustPath> {
    if state.relation == Relation::Own {
        return Err(Gap::not_applicable("it is our own domain: there is no trust to cross"));
    }
    if state.relation != Relation::SameForest && state.trust.is_none() {
        return Err(Gap::not_applicable("there is no trust to cross"));
    }
    let answer = evidence.ticket.answer(Probe::Ticket, now);
    let good = answer.map_err(|gap| ticket_gap.cloned().unwrap_or(gap))?;
    let realm = HostName::parse(&state.name)
        .ok_or_else(|| Gap::not_applicable("the name cannot be one of a realm"))?;
    if realm == good.question.home {
        return Err(Gap::not_applicable("it is the realm of the exporter's own account"));
    }
    if let Some(path) = good.facts.realms.get(&realm) {
        return path.as_ref().map_err(Clone::clone);
    }
    // The domains of a forest stand behind one trust.
    let end = crossings::end(facts, &good.question.home, &state.name)?;
    if let Some(path) = good.facts.realms.get(&end) {
        return path.as_ref().map_err(Clone::clone);
    }
    Err(Gap::not_applicable(if state.ntlm > 0 {
        format!(
            "that comes with the next tickets, for {} domains that logins are of at most",
            crossings::MOST_OF_LOGINS
        )
    } else {
        "no login on NTLM is of it, no service account here either, and directory.also does not name it"
            .to_owned()
    }))
}

/// The trusts of our domain, then those of the forest, which its root holds; each with the domain that holds it.
pub(super) fn trusts(facts: &DirectoryFacts) -> Vec<(&str, Known<&[Trust]>)> {
    let mut holders = vec![facts.server.domain.as_str()];
    if !facts.server.forest.eq_ignore_ascii_case(&facts.server.domain) {
        holders.push(facts.server.forest.as_str());
    }
    let of = |domain: &str| match facts.policies.get(&domain.to_lowercase()) {
        Some(policy) => {
            let policy = policy.as_ref().map_err(Clone::clone)?;
            policy.trusts.as_deref().map_err(Clone::clone)
        }
        None => Err(Gap::peer_failed(format!("the policy of {domain} has not been read yet"))),
    };
    holders.into_iter().map(|domain| (domain, of(domain))).collect()
}

/// The trust to the domain of this DNS or NetBIOS name: our domain's, else the forest's. A child of a trusted forest is found
/// by its DNS name only.
pub(super) fn trust_to<'a>(facts: &'a DirectoryFacts, name: &str) -> Known<Option<&'a Trust>> {
    let name = name.to_lowercase();
    let mut gap = None;
    for (_, trusts) in trusts(facts) {
        match trusts {
            Ok(trusts) => {
                let others = trusts.iter().filter(|trust| !trust.is_within_forest());
                if let Some(trust) = others.into_iter().find(|trust| leads_to(trust, &name)) {
                    return Ok(Some(trust));
                }
            }
            Err(why) => gap = Some(why),
        }
    }
    gap.map_or(Ok(None), Err)
}

/// Whether users of the domain of this name, in lower case, come by this trust.
pub(super) fn leads_to(trust: &Trust, name: &str) -> bool {
    let below = name.strip_suffix(&trust.partner).is_some_and(|head| head.ends_with('.'));
    let is_netbios = trust.netbios_name.as_ref().is_some_and(|own| own.to_lowercase() == name);
    trust.partner == name || is_netbios || (trust.is_forest_trust() && below)
}

/// The domain that a remote login on NTLM is of, in upper case; `None` for a local account, whose domain is the machine's own
/// name, and for the identity of a computer, which goes by "NT AUTHORITY".
pub fn domain_of_login(client: &NtlmClient) -> Option<String> {
    let domain = client.nt_domain.as_deref().filter(|domain| !domain.is_empty())?;
    let is_local = client.host_name.as_deref().is_some_and(|host| host.eq_ignore_ascii_case(domain));
    let name = domain.to_uppercase();
    (!is_local && !name.starts_with("NT ")).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::directory::Domain;
    use crate::model::domain::TrustDirection;
    use crate::pipeline::Assessment;
    use crate::samples::{Bench, trust};

    fn told(assessment: &Assessment) -> Vec<String> {
        let pictures: Vec<_> = assessment.instances.iter().map(|instance| &instance.picture).collect();
        let questions = &assessment.questions;
        let gaps = (questions.directory.as_ref().err(), questions.ticket.as_ref().err());
        let all = domains(&assessment.evidence, &pictures, gaps, assessment.at).unwrap();
        let mut told: Vec<String> = all
            .states
            .iter()
            .map(|state| {
                let by = state.trust.map(|(trust, _)| trust.partner.as_str()).unwrap_or("-");
                format!("{} {} by {by}, {} on NTLM", state.name, state.relation.name(), state.ntlm)
            })
            .collect();
        told.extend(all.gaps.iter().map(ToString::to_string));
        told
    }

    #[test]
    fn who_is_who() {
        let with = |direction, attributes| {
            let mut partner = trust("partner.example", "PARTNER");
            (partner.direction, partner.attributes) = (direction, attributes);
            Bench::new().trust(partner)
        };
        for (direction, attributes, relation) in [
            (TrustDirection::Both, 0x8, "trusted"),
            (TrustDirection::Outbound, 0x8, "trusted"),
            (TrustDirection::Inbound, 0x8, "trusting"),
            (TrustDirection::Disabled, 0x8, "neither"),
            (TrustDirection::Both, 0x20, "same_forest"),
        ] {
            let seen = told(&with(direction, attributes).assess());
            let partner = format!("partner.example {relation} by partner.example, 0 on NTLM");
            assert_eq!(seen, ["corp.contoso.com own by -, 0 on NTLM".to_owned(), partner]);
        }
    }

    #[test]
    fn logins_are_counted_where_they_belong() {
        let bench = Bench::new()
            .trust(trust("partner.example", "PARTNER"))
            .with(|bench| {
                bench.facts.as_mut().unwrap().domains.as_mut().unwrap().push(Domain {
                    dns_name: "emea.corp.contoso.com".into(),
                    netbios_name: "EMEA".into(),
                    naming_context: "DC=emea,DC=corp,DC=contoso,DC=com".into(),
                });
            })
            .ntlm_client("A", "PARTNER", 4)
            .ntlm_client("B", "partner.example", 1)
            .ntlm_client("C", "child.partner.example", 2)
            .ntlm_client("D", "emea", 3)
            .ntlm_client("E", "SCANNER9", 5)
            // A local account of the machine that it comes from, and a computer's identity.
            .ntlm_client("F", "f", 7)
            .ntlm_client("G", "NT AUTHORITY", 7);
        assert_eq!(
            told(&bench.assess()),
            [
                "corp.contoso.com own by -, 0 on NTLM",
                "emea.corp.contoso.com same_forest by -, 3 on NTLM",
                "partner.example trusted by partner.example, 5 on NTLM",
                "child.partner.example trusted by partner.example, 2 on NTLM",
                "SCANNER9 neither by -, 5 on NTLM",
            ]
        );
    }

    #[test]
    fn a_flood_of_strangers_is_cut() {
        let mut bench = Bench::new();
        for n in 0..50 {
            bench = bench.ntlm_client("X", &format!("HOST{n}"), 1);
        }
        let assessment = bench.assess();
        let pictures: Vec<_> = assessment.instances.iter().map(|instance| &instance.picture).collect();
        let all = domains(&assessment.evidence, &pictures, (None, None), assessment.at).unwrap();
        assert_eq!((all.states.len(), all.n_left_out), (1 + MOST_STRANGERS, 50 - MOST_STRANGERS));
    }

    #[test]
    fn what_is_not_known_is_said() {
        let hidden = Bench::new().no_policy().no_connections();
        let seen = told(&hidden.assess()).join("\n");
        assert!(seen.contains("(no_permission)") && seen.contains("(peer_failed)"), "{seen}");
        let assessment = Bench::new().no_directory().assess();
        assert!(domains(&assessment.evidence, &[], (None, None), assessment.at).is_err());
    }
}
