//! The head of an instance in the report as text: who it is, what it runs as and listens on, who is connected. No judgement.

use crate::findings::cluster;
use crate::findings::times::date;
use crate::model::condition::{Condition, PasswordSet};
use crate::model::connections::{AuthScheme, Origin};
use crate::model::evidence::Probe;
use crate::pipeline::{Assessment, InstanceAssessment};
use crate::remedy::printable;

use super::layout::line;
use super::{delegation, links};

/// Adds it.
pub(super) fn instance(
    page: &mut String,
    assessment: &Assessment,
    index: usize,
    instance: &InstanceAssessment,
) {
    let mut row = |name: &str, value: &str| line(page, &format!("  {name:<13}{}", printable(value)));
    let picture = &instance.picture;
    let Some(own) = assessment.settings.instances.get(index) else { return };
    let Some(slots) = assessment.evidence.instances.get(index) else { return };
    match slots.sqlserver.answer(Probe::SqlServer, assessment.at) {
        Ok(good) => {
            let properties = &good.facts.properties;
            row(
                "instance",
                &format!(
                    "{}, SQL Server {}, {}",
                    properties.server_name, properties.version, properties.edition
                ),
            );
        }
        Err(gap) => row("instance", &format!("{}: {gap}", own.address)),
    }
    if slots.standby().is_some() {
        return;
    }
    if let Err(why) = &picture.scope {
        row("domain", why);
        return;
    }
    match &picture.names {
        Ok(names) => row("name", &format!("{} (from {})", names.primary, names.source.name())),
        Err(gap) => row("name", &gap.to_string()),
    }
    match (&picture.account, &picture.holder) {
        (Ok(account), Ok(holder)) => {
            let stands_for = holder.nt_name();
            let same = account.shown.eq_ignore_ascii_case(&stands_for);
            let stands_for = if same { String::new() } else { format!(" = {stands_for}") };
            row("account", &format!("{}{stands_for} ({})", account.shown, holder.class.name()));
            let instance = slots.sqlserver.answer(Probe::SqlServer, assessment.at).ok();
            if let Some(why) = instance.and_then(|good| cluster::unsupported(account, &good.facts)) {
                row("", &why);
            }
        }
        (Ok(account), Err(gap)) => row("account", &format!("{}; {gap}", account.shown)),
        (Err(gap), _) => row("account", &gap.to_string()),
    }
    if let Ok(good) = slots.sqlserver.answer(Probe::SqlServer, assessment.at) {
        for refusal in good.facts.registration_refusals.iter().flatten() {
            // About the last start: what the access list allows since then is a finding's business.
            row(
                "registration",
                &format!("{} at the last start: {}", refusal.spn.label(), refusal.in_words()),
            );
        }
    }
    if let Ok(condition) = &picture.condition {
        row("password", &password(condition));
        row("encryption", &encryption(condition));
    }
    match &picture.ports {
        Ok(ports) => {
            let list: Vec<String> = ports
                .live
                .iter()
                .map(|live| match live.is_dynamic {
                    Ok(true) => format!("{} (dynamic)", live.port),
                    Ok(false) => format!("{} (static)", live.port),
                    Err(_) => format!("{} (static or dynamic: not known)", live.port),
                })
                .collect();
            row("ports", &if list.is_empty() { "none".to_owned() } else { list.join(", ") });
        }
        Err(gap) => row("ports", &gap.to_string()),
    }
    match slots.connections.answer(Probe::Connections, assessment.at) {
        Ok(good) => {
            let counts = |origin: Origin| {
                let parts: Vec<String> = AuthScheme::ALL
                    .into_iter()
                    .map(|scheme| format!("{} {}", good.facts.count(scheme, origin), scheme.name()))
                    .collect();
                parts.join(", ")
            };
            row("remote", &counts(Origin::Remote));
            row("local", &counts(Origin::Local));
        }
        Err(gap) => row("connections", &gap.to_string()),
    }
    for link in links::lines(instance) {
        row("linked", &link);
    }
    for target in delegation::lines(instance) {
        row("delegation", &target);
    }
    if let Ok(good) = slots.sqlserver.answer(Probe::SqlServer, assessment.at)
        && let Ok(session) = &good.facts.own_session
    {
        // A SQL login takes no part in the choice between Kerberos and NTLM.
        let is_integrated = !session.auth_scheme.eq_ignore_ascii_case("SQL");
        let local =
            if is_integrated && session.is_on_host() { ", local: NTLM would be by design" } else { "" };
        let sealed = if session.encrypted { "encrypted" } else { "not encrypted" };
        row(
            "own session",
            &format!("{} over {}, {sealed}{local}", session.auth_scheme, session.net_transport),
        );
    }
}

/// When it was set and when it ends.
fn password(condition: &Condition) -> String {
    let set = match &condition.password_set {
        Ok(PasswordSet::At(set)) => format!("set {}", date(*set)),
        Ok(PasswordSet::MustChange) => "has to be changed at the next logon".to_owned(),
        Err(gap) => gap.to_string(),
    };
    match &condition.password_expires {
        Ok(Some(expires)) => format!("{set}; expires {}", date(*expires)),
        Ok(None) => format!("{set}; never expires"),
        Err(gap) => format!("{set}; expiry: {gap}"),
    }
}

/// What the account allows.
fn encryption(condition: &Condition) -> String {
    match &condition.encryption_types {
        Ok(Some(types)) if types.names_a_cipher() => types.to_string(),
        Ok(_) => "not set: the domain controllers' default holds".to_owned(),
        Err(gap) => gap.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use crate::report::{Detail, text};
    use crate::samples::Bench;

    #[test]
    fn ntlm_by_design_is_said_of_an_integrated_session_alone() {
        let mut bench = Bench::new();
        for (scheme, expected) in [
            ("SQL", "SQL over TCP, encrypted\n"),
            ("NTLM", "NTLM over TCP, encrypted, local: NTLM would be by design\n"),
            ("KERBEROS", "KERBEROS over TCP, encrypted, local: NTLM would be by design\n"),
        ] {
            bench.instance.own_session.as_mut().unwrap().auth_scheme = scheme.to_owned();
            let page = text(&bench.assess(), Detail::Full);
            assert!(page.contains(&format!("own session  {expected}")), "{page}");
        }
    }
}
