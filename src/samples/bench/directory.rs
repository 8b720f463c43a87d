//! Changes of what domain controllers say, and of who lives where.

use crate::model::account::AccountKey;
use crate::model::condition::{Condition, PasswordSet};
use crate::model::directory::{Domain, Lookup};
use crate::model::domain::{ControllerRole, Trust};
use crate::model::instance::ClockReading;
use crate::model::observed::{Failure, FailureKind};
use crate::samples::directory::{account, condition, context_of, controller};
use crate::samples::values::{NOW, host, spn};

use super::Bench;

impl Bench {
    /// These SPNs on this account; without any call the instance's own are on `svc_sql`.
    pub(crate) fn spns(mut self, account: &str, spns: &[&str]) -> Self {
        self.holders.entry(account.into()).or_default().extend(spns.iter().map(|text| spn(text)));
        self
    }

    /// The service runs as `PARTNER\\svc_sql` of a trusted forest (`directory.also`), which holds these SPNs there; our
    /// Global Catalog has nothing until `spns` says so.
    pub(crate) fn abroad(mut self, spns: &[&str]) -> Self {
        let mut account = account("svc_sql", spns);
        account.names.domain = "PARTNER".into();
        account.names.dn = "CN=svc_sql,CN=Users,DC=partner,DC=example".into();
        let known = Ok(Lookup::Found(account));
        self.facts.as_mut().unwrap().accounts.insert(AccountKey::sam(Some("partner"), "svc_sql"), known);
        self.settings.directory.also = vec![host("partner.example")];
        self.spns("svc_elsewhere", &[]).service_account("PARTNER\\svc_sql")
    }

    /// What a domain controller of its own domain says this account has, where the Global Catalog differs.
    pub(crate) fn at_home(mut self, account: &str, spns: &[&str]) -> Self {
        self.at_home.insert(account.into(), spns.iter().map(|text| spn(text)).collect());
        self
    }

    /// The account is not visible to us; as a holder it still shows in the Global Catalog.
    pub(crate) fn hidden(mut self, account: &str) -> Self {
        self.hidden.insert(account.into());
        self
    }

    /// This SPN was not in the question.
    pub(crate) fn not_asked(mut self, text: &str) -> Self {
        self.not_asked.insert(spn(text));
        self
    }

    pub(crate) fn no_directory(mut self) -> Self {
        self.facts = None;
        self
    }

    /// A domain controller rejected the exporter's identity.
    pub(crate) fn directory_refuses(mut self) -> Self {
        self.directory_failure = FailureKind::Credentials;
        self.no_directory()
    }

    pub(crate) fn workgroup(mut self) -> Self {
        self.settings.directory.servers.clear();
        self.facts = None;
        self.instance.properties.default_domain = Some("WORKGROUP".into());
        self.machine.domain = None;
        self
    }

    /// A role of a domain controller, which answers or does not.
    pub(crate) fn controller(mut self, short: &str, role: ControllerRole, is_up: bool) -> Self {
        let mut state = controller(short, role);
        if !is_up {
            (state.seconds, state.clock) =
                (Err(Failure::new(FailureKind::Unreachable, "connection refused")), None);
        }
        let states = &mut self.facts.as_mut().unwrap().controllers;
        states.retain(|known| (&known.server, known.role) != (&state.server, role));
        states.push(state);
        self
    }

    /// How far the clock of dc1 is ahead of ours, and how long the reading took.
    pub(crate) fn controller_clock(mut self, skew: f64, round_trip: f64) -> Self {
        for state in &mut self.facts.as_mut().unwrap().controllers {
            state.clock =
                state.clock.map(|clock| ClockReading { peer: clock.ours + skew, round_trip, ..clock });
        }
        self
    }

    /// A trust of our domain.
    pub(crate) fn trust(mut self, trust: Trust) -> Self {
        let policies = &mut self.facts.as_mut().unwrap().policies;
        policies.get_mut("corp.contoso.com").unwrap().as_mut().unwrap().trusts.as_mut().unwrap().push(trust);
        self
    }

    /// One more domain of the forest.
    pub(crate) fn domain(mut self, dns_name: &str, netbios_name: &str) -> Self {
        self.facts.as_mut().unwrap().domains.as_mut().unwrap().push(Domain {
            dns_name: dns_name.into(),
            netbios_name: netbios_name.into(),
            naming_context: context_of(dns_name),
        });
        self
    }

    /// The account is in this domain.
    pub(crate) fn living_in(mut self, sam: &str, dns_name: &str) -> Self {
        self.homes.insert(sam.into(), dns_name.into());
        self
    }

    /// A password from before the domain made AES keys.
    pub(crate) fn old_password(self) -> Self {
        let set = NOW as f64 - 4_000.0 * 86_400.0;
        self.with(|bench| bench.condition.password_set = Ok(PasswordSet::At(set)))
    }

    /// The condition of this account alone.
    pub(crate) fn condition(mut self, sam: &str, change: impl FnOnce(&mut Condition)) -> Self {
        change(self.conditions.entry(sam.into()).or_insert_with(condition));
        self
    }

    /// What holds for the domain could not be read.
    pub(crate) fn no_policy(self) -> Self {
        let gap = Self::refused();
        self.with(|bench| {
            if let Some(facts) = &mut bench.facts {
                facts.policies.values_mut().for_each(|policy| *policy = Err(gap.clone()));
            }
        })
    }

    /// One more own name of the computer (msDS-AdditionalDnsHostName).
    pub(crate) fn additional_name(&mut self, name: &str) {
        let key = AccountKey::computer(None, "SQL01");
        let computer = self.facts.as_mut().unwrap().computers.get_mut(&key);
        let Some(Ok(Lookup::Found(computer))) = computer else { panic!("no computer object") };
        computer.additional_names.push(host(name));
    }
}
