//! The domains of `directory.also`, of other forests as a rule: each is asked who it is, once an hour, and only where a name
//! belongs to no domain of ours. Knows nothing of what is asked there.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::dn;
use super::exchanges::{Greeted, Greeting};
use super::forest::Home;
use super::reach::{Reach, Round};
use crate::model::directory::{DirectoryQuestion, Domain};
use crate::model::host::HostName;
use crate::model::observed::{Gap, Known};

/// Domains hardly ever change.
const SLOW: Duration = Duration::from_secs(3_600);

/// Names of `directory.also` that are looked at.
const MOST_ELSEWHERE: usize = 8;

/// Those that have been asked, and when.
#[derive(Default)]
pub(super) struct Elsewhere {
    known: BTreeMap<HostName, (Instant, Domain)>,
}

impl Elsewhere {
    /// Learns the domains of `directory.also` if a name belongs to no domain of our forest.
    pub(super) async fn learn(&mut self, reach: &mut Reach, round: &mut Round, question: &DirectoryQuestion) {
        let mut keys = question.accounts.iter().chain(&question.computers);
        if keys.all(|key| matches!(round.forest.home(key), Home::In(_) | Home::Anywhere)) {
            return;
        }
        for name in reach.links.settings().also.clone().into_iter().take(MOST_ELSEWHERE) {
            if round.forest.has(name.as_str()) {
                continue;
            }
            let domain = match self.known.get(&name) {
                Some((at, domain)) if at.elapsed() < SLOW => Ok(domain.clone()),
                _ => self.introduce(reach, round, &name).await,
            };
            round.forest.add(name, domain);
        }
    }

    async fn introduce(&mut self, reach: &mut Reach, round: &mut Round, name: &HostName) -> Known<Domain> {
        let greeting = Greeting { known: None };
        let answer = reach.at_domain(round, name.as_str(), &greeting).await;
        let Greeted { root, domains, .. } = match answer {
            Ok(known) => known?,
            Err(error) => return Err(error.gap()),
        };
        if dn::dns_name(&root.context) != name.as_str() {
            return Err(Gap::peer_failed(format!("{name} answers for {:?}", root.context)));
        }
        let listed = domains.and_then(Result::ok).unwrap_or_default();
        let domain = listed.into_iter().find(|domain| domain.dns_name == name.as_str()).unwrap_or(Domain {
            dns_name: name.as_str().to_owned(),
            netbios_name: String::new(),
            naming_context: root.context,
        });
        self.known.insert(name.clone(), (Instant::now(), domain.clone()));
        Ok(domain)
    }
}
