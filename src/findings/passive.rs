//! The passive node of a failover cluster instance (FCI): SQL Server is stopped there because another node runs it. That is
//! told by what the exporter's own host says, never by silence, and only for an instance that is proven to be that host's.

use std::sync::Arc;

use crate::model::evidence::{Evidence, InstanceEvidence, Probe};
use crate::model::host::HostName;
use crate::model::instance::DEFAULT_INSTANCE;
use crate::model::machine::{Engine, Machine};
use crate::model::observed::{Gap, Now};
use crate::model::settings::{InstanceSettings, Settings};

/// The evidence that counts: what an instance said that does not run on this node does not, nor do answers to questions that
/// were asked for its sake alone.
pub fn what_counts(settings: &Settings, mut evidence: Arc<Evidence>, now: Now) -> Arc<Evidence> {
    for (index, own) in settings.instances.iter().enumerate() {
        let Some(name) = stopped_here(own, &evidence, index, now) else { continue };
        // Which node runs it, and whether one does, is not seen from here.
        let why = Gap::not_applicable(format!(
            "the service is stopped on this node of the failover cluster instance {name}: it is judged on the node that \
             runs it"
        ));
        if let Some(slots) = Arc::make_mut(&mut evidence).instances.get_mut(index) {
            slots.stand_by(&why);
        }
    }
    evidence
}

/// Why no instance is judged, if none is.
pub fn nobody_in_scope(evidence: &Evidence) -> Gap {
    let standby = evidence.instances.iter().find_map(InstanceEvidence::standby);
    standby.cloned().unwrap_or_else(|| Gap::not_applicable("no instance is in a domain"))
}

/// The name of the FCI that the instance is, if this host is a node of it and its service is known to be stopped here.
fn stopped_here(own: &InstanceSettings, evidence: &Evidence, index: usize, now: Now) -> Option<HostName> {
    let host = evidence.host.answer(Probe::Host, now).ok()?;
    let engine = engine_of(own, &host.facts)?;
    let name = engine.cluster_name.as_ref().ok()?.clone()?;
    if engine.is_running != Ok(false) {
        return None;
    }
    // A failover since the host was looked at: the instance itself says that it runs here now.
    let slot = &evidence.instances.get(index)?.sqlserver;
    let is_here = slot.answer(Probe::SqlServer, now).is_ok_and(|good| {
        good.at.mono > host.at.mono && slot.is_up() == Some(true) && good.facts.sees_us_on_its_host()
    });
    (!is_here).then_some(name)
}

/// The engine of this host that the configured address leads to. An address elsewhere has none, whatever the instance is
/// called; and where the address does not tell which of several it is, nothing is guessed.
fn engine_of<'a>(own: &InstanceSettings, machine: &'a Machine) -> Option<&'a Engine> {
    let engines = machine.engines.as_deref().ok()?;
    let is_named = |engine: &&Engine| {
        let name = own.address_instance.as_deref();
        name.is_none_or(|name| engine.instance.eq_ignore_ascii_case(name))
    };
    // A network name belongs to one FCI: no name of an instance is needed beside it.
    let by_network_name = |engine: &&Engine| {
        let names = (&own.address_host, engine.cluster_name.as_ref().ok().and_then(Option::as_ref));
        matches!(names, (Some(host), Some(name)) if is_name_of(host, name, machine))
    };
    if let Some(engine) = engines.iter().filter(is_named).find(by_network_name) {
        return Some(engine);
    }
    if !is_this_host(own, machine) {
        return None;
    }
    match (&own.address_instance, own.address_port, engines) {
        (Some(_), _, _) => engines.iter().find(is_named),
        (None, None, _) => {
            engines.iter().find(|engine| engine.instance.eq_ignore_ascii_case(DEFAULT_INSTANCE))
        }
        // A port alone may be any instance's.
        (None, Some(_), [only]) => Some(only),
        (None, Some(_), _) => None,
    }
}

/// Whether the address is this host's own.
fn is_this_host(own: &InstanceSettings, machine: &Machine) -> bool {
    let by_address = own.address_ip.is_some_and(|address| {
        address.is_loopback() || machine.addresses.as_ref().is_ok_and(|own| own.contains(&address))
    });
    let by_name = match (&own.address_host, &machine.fqdn) {
        (Some(host), Ok(fqdn)) => is_name_of(host, fqdn, machine),
        _ => false,
    };
    by_address || by_name
}

/// Whether `host` means the computer or network name `name` of this host's domain: its first label, alone or with the domain.
fn is_name_of(host: &HostName, name: &HostName, machine: &Machine) -> bool {
    let suffixes =
        [machine.fqdn.as_ref().ok().map(HostName::suffix), machine.domain.as_ref().map(HostName::as_str)];
    host.short() == name.short() && (host.suffix().is_empty() || suffixes.contains(&Some(host.suffix())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Outcome;
    use crate::findings::verdict::Verdict;
    use crate::samples::{self, Bench};

    /// The instance of the bench at this address, on a Windows host that is a node of the FCI SQLVNN.
    fn node(address: &str) -> Bench {
        let (rest, port) =
            address.split_once(':').map_or((address, None), |(rest, port)| (rest, port.parse().ok()));
        let (name, instance) =
            rest.split_once('\\').map_or((rest, None), |(name, instance)| (name, Some(instance)));
        let ip = if name == "localhost" { Some("127.0.0.1".parse().unwrap()) } else { name.parse().ok() };
        let passive = Bench::new().engine(|engine| {
            engine.cluster_name = Ok(Some(samples::host("SQLVNN")));
            engine.is_running = Ok(false);
        });
        passive.with(|bench| {
            bench.is_silent = true;
            let own = &mut bench.settings.instances[0];
            own.address = address.into();
            own.address_host = HostName::parse(name).filter(|_| ip.is_none());
            (own.address_ip, own.address_port) = (ip, port);
            own.address_instance = instance.map(str::to_owned);
        })
    }

    fn is_passive(bench: &Bench) -> bool {
        let assessment = bench.assess();
        let is_passive = assessment.evidence.instances[0].standby().is_some();
        assert_eq!(assessment.instances[0].verdict == Verdict::NotApplicable, is_passive);
        is_passive
    }

    #[test]
    fn the_address_has_to_lead_to_the_instance_of_this_host() {
        for (address, expected) in [
            ("localhost", true),
            ("127.0.0.1", true),
            ("10.77.0.11", true),
            ("SQL01", true),
            ("sql01.corp.contoso.com", true),
            ("SQLVNN", true),
            ("sqlvnn.corp.contoso.com", true),
            ("sqlvnn:1433", true),
            ("localhost:1433", true),
            ("localhost\\MSSQLSERVER", true),
            // Another instance, another host, another domain: an exporter that watches them from here is not made blind.
            ("localhost\\PROD", false),
            ("sqlvnn\\PROD", false),
            ("sql02", false),
            ("sql02.corp.contoso.com", false),
            ("10.77.0.12", false),
            ("sqlvnn.other.example", false),
            ("sql01.other.example", false),
            ("corp.contoso.com", false),
        ] {
            assert_eq!(is_passive(&node(address)), expected, "{address}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_passive() {
        let engine = |change: fn(&mut Engine)| {
            node("localhost").with(|bench| change(&mut bench.machine.engines.as_mut().unwrap()[0]))
        };
        assert!(is_passive(&engine(|_| ())));
        assert!(!is_passive(&engine(|engine| engine.is_running = Ok(true))));
        assert!(!is_passive(&engine(|engine| engine.is_running = Err(Bench::refused()))));
        assert!(!is_passive(&engine(|engine| engine.cluster_name = Ok(None))), "stopped, and in no cluster");
        assert!(!is_passive(&engine(|engine| engine.cluster_name = Err(Bench::refused()))));
        let elsewhere = Gap::not_applicable("only a Windows host has a registry and process tokens");
        assert!(!is_passive(&node("SQLVNN").with(|bench| bench.machine.engines = Err(elsewhere))));
        assert!(!is_passive(&node("SQLVNN").with(|bench| bench.machine.engines = Ok(Vec::new()))));
        let nameless = node("sql01").with(|bench| bench.machine.fqdn = Err(Bench::refused()));
        assert!(!is_passive(&nameless));
    }

    #[test]
    fn a_port_alone_tells_an_instance_only_where_there_is_one() {
        let two = |address: &str| {
            node(address).with(|bench| {
                let engines = bench.machine.engines.as_mut().unwrap();
                let prod = Engine {
                    instance: "PROD".into(),
                    cluster_name: Ok(Some(samples::host("SQLVNN2"))),
                    is_running: Ok(true),
                    ..engines[0].clone()
                };
                engines.push(prod);
            })
        };
        for (address, expected) in [
            ("localhost", true),
            ("localhost:1433", false),
            ("localhost\\PROD", false),
            ("sqlvnn:1433", true),
            ("sqlvnn2:1433", false),
        ] {
            assert_eq!(is_passive(&two(address)), expected, "{address}");
        }
    }

    #[test]
    fn the_active_node_answers_through_the_network_name_and_changes_nothing() {
        let answering = |address: &str| node(address).with(|bench| bench.is_silent = false);
        assert!(is_passive(&answering("SQLVNN")), "another node answers");
        let moved = |is_here: bool, is_newer: bool, is_up: bool| {
            let bench = answering("SQLVNN").with(|bench| {
                let address = |text: &str| Some(text.parse().unwrap());
                let session = bench.instance.own_session.as_mut().unwrap();
                session.client_address = address(if is_here { "10.77.0.30" } else { "10.77.0.11" });
                session.local_address = address("10.77.0.30");
            });
            let (mut evidence, at) = (bench.evidence(), samples::now());
            if is_newer {
                let later = std::time::Duration::from_secs(30);
                evidence.instances[0].sqlserver.good.as_mut().unwrap().at.mono = at.mono + later;
            }
            if !is_up {
                let failure = crate::model::observed::Failure::new(
                    crate::model::observed::FailureKind::Timeout,
                    "no answer within 5 s",
                );
                evidence.instances[0].sqlserver.latest.as_mut().unwrap().failure = Some(failure);
            }
            let counts = what_counts(&bench.settings, Arc::new(evidence), at);
            counts.instances[0].standby().is_none()
        };
        assert!(moved(true, true, true), "a failover to here since the host was looked at");
        for (is_here, is_newer, is_up) in
            [(false, true, true), (true, false, true), (true, true, false), (false, false, true)]
        {
            assert!(!moved(is_here, is_newer, is_up), "{is_here} {is_newer} {is_up}");
        }
    }

    #[test]
    fn nothing_is_found_nothing_is_unknown_and_nothing_is_asked() {
        for address in ["localhost", "SQLVNN"] {
            let assessment = node(address).assess();
            for finding in &assessment.instances[0].findings {
                assert_eq!(finding.outcome, Outcome::NotApplicable, "{}", finding.rule.name);
                let why = finding.why_not.as_deref().unwrap_or_default();
                assert!(why.contains("this node of the failover cluster instance sqlvnn"), "{why}");
            }
            let gap = assessment.questions.directory.unwrap_err();
            assert!(!gap.reason.is_failing() && gap.text.contains("sqlvnn"), "{gap}");
            assert!(assessment.evidence.directory.off.is_some(), "an answer that grows old is not stale");
        }
    }

    #[test]
    fn another_instance_of_the_host_is_judged_as_ever() {
        let bench = node("SQLVNN").second_instance(|_| ());
        let assessment = bench.assess();
        assert_eq!(assessment.instances[0].verdict, Verdict::NotApplicable);
        assert_ne!(assessment.instances[1].verdict, Verdict::NotApplicable);
        assert!(assessment.questions.directory.is_ok() && assessment.evidence.directory.off.is_none());
    }
}
