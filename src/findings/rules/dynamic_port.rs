//! `dynamic_port`: the instance chose a port itself and its SPN is good today. Fine where the account registers itself; a fact
//! that firewalls and hand-made SPNs should know.

use crate::expected::LivePort;
use crate::findings::registration::registers_itself;
use crate::findings::spns::{JudgedSpn, Status};
use crate::findings::{Case, Judged, Rule, Scope, Severity, Subject};
use crate::model::change::Change;
use crate::model::observed::{Gap, Known};
use crate::model::spn::Spn;

pub(super) const RULE: Rule = Rule {
    name: "dynamic_port",
    severity: Severity::Info,
    escalates: false,
    scope: Scope::Domain,
    meaning: "The instance chose its own port, and that port's SPN is good. The advice against dynamic ports \
              applies only where SPNs are registered by hand.",
    seen: "A live port that is not a configured static port, while TcpDynamicPorts is set for the addresses in use.",
    repair: "If SPNs are registered by hand: give the instance a static port.",
    source: "https://learn.microsoft.com/troubleshoot/sql/database-engine/connect/using-kerberosmngr-sqlserver",
    check,
};

fn check(case: &Case<'_>) -> Judged {
    each(case, Prospect::KeptUp)
}

/// What becomes of the SPN of a dynamic port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prospect {
    /// It is good today, and the account registers the next port's itself.
    KeptUp,
    /// It is not good, or the account cannot register the next port's.
    AtRisk,
}

/// A subject for each dynamic port with this prospect.
pub(super) fn each(case: &Case<'_>, wanted: Prospect) -> Judged {
    let live = case.ports().map(|ports| ports.live.iter());
    Judged::each(live, "no TCP port", |live| judge(case, live, wanted))
}

fn prospect(case: &Case<'_>, judged: &JudgedSpn) -> Known<Prospect> {
    match &judged.status {
        Status::Unknown(gap) => Err(gap.clone()),
        Status::Missing | Status::Duplicate | Status::Misplaced => Ok(Prospect::AtRisk),
        Status::Good => match registers_itself(case)? {
            true => Ok(Prospect::KeptUp),
            false => Ok(Prospect::AtRisk),
        },
    }
}

fn judge(case: &Case<'_>, live: &LivePort, wanted: Prospect) -> Known<Option<Subject>> {
    if !live.is_dynamic.clone()? {
        return Ok(None);
    }
    let spn = Spn::with_port(&case.names()?.primary, live.port);
    let judged = case.spn(&spn)?.ok_or_else(|| Gap::peer_failed(format!("{} is not judged", spn.label())))?;
    if prospect(case, judged)? != wanted {
        return Ok(None);
    }
    let entries = entries(case);
    let text =
        format!("port {} was chosen at start (TCP Dynamic Ports under {})", live.port, entries.join(", "));
    let mut subject = Subject::new(spn.label(), text);
    if wanted == Prospect::AtRisk && matches!(judged.status, Status::Good) {
        subject =
            subject.line("its SPN is good today, but the account cannot register that of the next port");
    }
    Ok(Some(subject.then(Change::SetStaticPort { entries, port: live.port })))
}

/// The registry entries in use: the KB's remedy branches on them.
fn entries(case: &Case<'_>) -> Vec<String> {
    let Ok(registry) = case.registry() else { return Vec::new() };
    let effective = crate::expected::effective_entries(registry);
    effective
        .into_iter()
        .filter(|entry| entry.dynamic_port.is_some())
        .map(|entry| entry.name.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::model::observed::Known;
    use crate::samples::{Bench, Seen};

    const PORT: &str = "MSSQLSvc/sql01.corp.contoso.com:50123";

    #[test]
    fn outcomes() {
        let judge = |bench: Bench| bench.judge(&super::RULE);
        let registers = |may: Known<bool>| {
            Bench::new().dynamic_port(50_123).with(|bench| bench.condition.registers_itself = may)
        };
        let dynamic = || registers(Ok(true));
        assert_eq!(judge(dynamic()), Seen::applies(&[PORT]));
        assert_eq!(judge(Bench::new()), Seen::clear());
        assert_eq!(judge(registers(Ok(false))), Seen::clear());
        assert_eq!(judge(registers(Err(Bench::refused()))), Seen::unknown());
        assert_eq!(judge(dynamic().spns("svc_old", &[PORT])), Seen::clear());
        assert_eq!(judge(dynamic().no_directory()), Seen::unknown());
        let blind = dynamic().with(|bench| bench.instance.registry = Err(Bench::refused()));
        assert_eq!(judge(blind), Seen::unknown());
        let two =
            dynamic().with(|bench| bench.also_listen(50_124)).not_asked(&PORT.replace("50123", "50124"));
        assert_eq!(judge(two), Seen::applies(&[PORT]).and_unknown());
        assert_eq!(judge(Bench::new().ports(&[])), Seen::not_applicable());
    }
}
