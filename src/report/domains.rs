//! Domains and trusts: each domain that is a neighbour of ours or that logins come from, the trust that leads there, and what
//! the KDCs at both ends said of it. Pure. Whether a trust is unusable is a finding, and stands there.

use serde::Serialize;

use crate::findings::domains::{self, DomainState, Domains, Relation};
use crate::model::domain::Trust;
use crate::model::observed::{Gap, Known};
use crate::model::ticket::{Refusal, Ticket, TrustPath};
use crate::pipeline::Assessment;
use crate::remedy::printable;

use super::layout::{columns, line};

/// One domain.
#[derive(Debug, Serialize)]
pub struct DomainReport {
    /// DNS name; where nothing but a login names it, that name.
    pub domain: String,
    /// NetBIOS name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub netbios_name: Option<String>,
    /// own, same_forest, trusted (its users can come in), trusting (only ours can go there), neither.
    pub relation: &'static str,
    /// The trust that leads there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust: Option<TrustReport>,
    /// Remote connections on NTLM of its users, over all instances.
    pub ntlm_connections: u64,
    /// Service accounts that live there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub service_accounts: Vec<String>,
    /// What the KDCs said of the way from our domain to this one; absent for our own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tickets: Option<CrossingReport>,
}

/// A trust, as the directory of our side holds it.
#[derive(Debug, Serialize)]
pub struct TrustReport {
    /// The domain whose directory holds it.
    pub held_by: String,
    /// The other end.
    pub partner: String,
    /// disabled, inbound (our users can go there), outbound (its users can come here), both directions.
    pub direction: &'static str,
    /// Its kind in words.
    pub kind: String,
    /// trustAttributes.
    pub attributes: u32,
    /// Whether its users need the right "Allowed to Authenticate".
    pub selective_authentication: bool,
    /// msDS-SupportedEncryptionTypes in words.
    pub encryption_types: String,
}

/// What both ends said when a ticket over the trust was asked for. Nothing of a ticket.
#[derive(Debug, Serialize)]
pub struct CrossingReport {
    /// issued_and_accepted, issued (the other end gave no answer), refused, not_asked.
    pub outcome: &'static str,
    /// The KDC that issued the ticket for the other realm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_by: Option<String>,
    /// The KDC of the other realm that took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted_by: Option<String>,
    /// The KDC that refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused_by: Option<String>,
    /// The error's name, else its number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// All of it in words, also why nobody was asked.
    pub text: String,
}

/// Everything, unless our own domain is all there is.
fn neighbours(assessment: &Assessment) -> Option<Domains<'_>> {
    let pictures: Vec<_> = assessment.instances.iter().map(|instance| &instance.picture).collect();
    let questions = &assessment.questions;
    let gaps = (questions.directory.as_ref().err(), questions.ticket.as_ref().err());
    let found = domains::domains(&assessment.evidence, &pictures, gaps, assessment.at).ok()?;
    found.states.iter().any(|state| state.relation != Relation::Own).then_some(found)
}

/// As values for JSON.
pub(super) fn rows(assessment: &Assessment) -> Vec<DomainReport> {
    let found = neighbours(assessment);
    found.iter().flat_map(|found| &found.states).map(report).collect()
}

fn report(state: &DomainState<'_>) -> DomainReport {
    DomainReport {
        domain: state.name.clone(),
        netbios_name: state.netbios_name.map(str::to_owned),
        relation: state.relation.name(),
        trust: state.trust.map(|(trust, held_by)| TrustReport {
            held_by: held_by.to_owned(),
            partner: trust.partner.clone(),
            direction: trust.direction.name(),
            kind: kind(trust),
            attributes: trust.attributes,
            selective_authentication: trust.is_selective(),
            encryption_types: encryption(trust),
        }),
        ntlm_connections: state.ntlm,
        service_accounts: state.accounts.iter().map(|name| (*name).to_owned()).collect(),
        tickets: (state.relation != Relation::Own).then(|| crossing(&state.tickets)),
    }
}

/// trustType, and what trustAttributes make of it (MS-ADTS 6.1.6.7.15, 6.1.6.7.9).
fn kind(trust: &Trust) -> String {
    match trust.kind {
        1 => "Windows NT (NTLM only)".to_owned(),
        2 if trust.is_within_forest() => "within the forest".to_owned(),
        2 if trust.is_forest_trust() => "forest".to_owned(),
        2 => "external".to_owned(),
        3 => "Kerberos realm".to_owned(),
        other => format!("trustType {other}"),
    }
}

fn encryption(trust: &Trust) -> String {
    match trust.encryption_types {
        _ if trust.uses_rc4() => "rc4 (trustAttributes)".to_owned(),
        Some(types) if types.names_a_cipher() => types.to_string(),
        Some(_) | None => "not set".to_owned(),
    }
}

fn crossing(known: &Known<&TrustPath>) -> CrossingReport {
    let blank = CrossingReport {
        outcome: "not_asked",
        issued_by: None,
        accepted_by: None,
        refused_by: None,
        code: None,
        text: String::new(),
    };
    let path = match known {
        Ok(path) => *path,
        Err(gap) => return CrossingReport { text: not_asked(gap), ..blank },
    };
    let by = |ticket: &Ticket| match ticket {
        Ticket::Granted(granted) => Some(format!("{} ({})", granted.kdc, granted.realm)),
        Ticket::Refused(_) => None,
    };
    let refusal = path.refusal();
    let code = refusal
        .map(|refusal| refusal.error.name().map_or_else(|| refusal.error.0.to_string(), str::to_owned));
    let (issued_by, accepted_by) = (by(&path.issued), path.accepted.as_ref().ok().and_then(by));
    let via: Vec<&str> = path.via.iter().map(|realm| realm.as_str()).collect();
    let mut said: Vec<String> = Vec::new();
    if !via.is_empty() {
        said.push(format!("by way of {}", via.join(", ")));
    }
    said.extend(issued_by.as_ref().map(|kdc| format!("issued by {kdc}")));
    said.extend(accepted_by.as_ref().map(|kdc| format!("accepted by {kdc}")));
    said.extend(refusal.map(|refusal| format!("refused by {refusal}")));
    if refusal.is_some_and(Refusal::is_of_the_client) {
        said.push("that is about the exporter's own account and says nothing of the trust".to_owned());
    }
    if let (None, Err(gap)) = (refusal, &path.accepted) {
        said.push(format!("the other end was not reached: {}", gap.text));
    }
    let outcome = match (refusal, &accepted_by) {
        (Some(_), _) => "refused",
        (None, Some(_)) => "issued_and_accepted",
        (None, None) => "issued",
    };
    CrossingReport {
        outcome,
        issued_by,
        accepted_by,
        refused_by: refusal.map(|refusal| format!("{} ({})", refusal.kdc, refusal.realm)),
        code,
        text: said.join("; "),
    }
}

/// A gap of a reason that is a fault is no choice: it was asked, or would have been.
fn not_asked(gap: &Gap) -> String {
    if gap.reason.is_failing() {
        format!("no answer: {}", gap.text)
    } else {
        format!("not asked: {}", gap.text)
    }
}

/// As text.
pub(super) fn table(page: &mut String, assessment: &Assessment) {
    let Some(found) = neighbours(assessment) else { return };
    line(page, "\nDomains and trusts");
    let head = ["Domain", "Relation", "Direction", "Trust", "Selective", "Encryption", "In use by"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(found.states.iter().map(row));
    let mut lines = String::new();
    columns(&mut lines, &rows);
    let mut lines = lines.lines();
    lines.by_ref().take(1).for_each(|head| line(page, head));
    let mut n_asked = 0;
    for (state, text) in found.states.iter().zip(lines) {
        line(page, text);
        if state.relation != Relation::Own && (state.relation != Relation::Neither || state.trust.is_some()) {
            line(page, &format!("    tickets: {}", printable(&crossing(&state.tickets).text)));
            n_asked += usize::from(state.tickets.is_ok());
        }
    }
    if found.n_left_out > 0 {
        line(page, &format!("  and {} more names without a trust", found.n_left_out));
    }
    if n_asked > 0 {
        line(
            page,
            "  A ticket goes from our domain to the other one: it proves that way. Users who come in take the other.",
        );
    }
    for gap in &found.gaps {
        line(page, &format!("  not known: {}", printable(&gap.to_string())));
    }
}

fn row(state: &DomainState<'_>) -> [String; 7] {
    let name = match state.netbios_name {
        Some(netbios) => format!("{} ({netbios})", state.name),
        None => state.name.clone(),
    };
    let relation = match state.relation {
        Relation::Own => "own",
        Relation::SameForest => "same forest",
        Relation::Trusted => "trusted",
        Relation::Trusting => "trusts ours only",
        Relation::Neither => "neither",
    };
    let of_trust = |tell: &dyn Fn(&Trust) -> String| match state.trust {
        Some((trust, _)) => tell(trust),
        None => "-".to_owned(),
    };
    let mut users: Vec<String> = state.accounts.iter().map(|account| printable(account)).collect();
    if state.ntlm > 0 {
        users.push(format!("{} remote on NTLM", state.ntlm));
    }
    [
        printable(&name),
        relation.to_owned(),
        of_trust(&|trust| trust.direction.name().to_owned()),
        of_trust(&kind),
        of_trust(&|trust| if trust.is_selective() { "yes" } else { "no" }.to_owned()),
        of_trust(&encryption),
        if users.is_empty() { "nobody seen".to_owned() } else { users.join(", ") },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::domain::TrustDirection;
    use crate::model::ticket::KerberosError;
    use crate::report::{Detail, json, text};
    use crate::samples::{Bench, crossing as crossed, trust};

    fn partner() -> Bench {
        Bench::new().trust(trust("partner.example", "PARTNER")).ntlm_client("APP1", "PARTNER", 4)
    }

    fn nobody() -> Bench {
        Bench::new().trust(trust("partner.example", "PARTNER"))
    }

    fn one_way() -> Bench {
        let mut partner = trust("partner.example", "PARTNER");
        partner.direction = TrustDirection::Outbound;
        Bench::new().trust(partner).ntlm_client("APP1", "PARTNER", 4)
    }

    /// The table, from its title on.
    fn shown(bench: &Bench) -> String {
        let page = text(&bench.assess(), Detail::Full);
        let at = page.find("Domains and trusts").unwrap_or(page.len());
        page[at..].split("\n\n").next().unwrap().to_owned()
    }

    #[test]
    fn a_domain_alone_needs_no_table() {
        assert_eq!(shown(&Bench::new()), "");
        assert_eq!(shown(&Bench::new().no_directory()), "");
        let value: serde_json::Value =
            serde_json::from_str(&json(&Bench::new().assess(), Detail::Full).unwrap()).unwrap();
        assert!(value["domains"].is_null());
    }

    #[test]
    fn what_the_kdcs_said() {
        let error = KerberosError::KDC_ERR_S_PRINCIPAL_UNKNOWN.0;
        for (bench, words) in [
            (partner(), "not asked: no identity is configured to ask for tickets with"),
            (
                partner().with_tickets(),
                "not asked: that comes with the next tickets, for 4 domains that logins are of at most",
            ),
            (nobody().with_tickets(), "not asked: no login on NTLM is of it, no service account here either"),
            (
                one_way().with_tickets(),
                "not asked: not to be proven from here: the trust is one-way, its users come in",
            ),
            (
                nobody()
                    .ntlm_client("APP1", "child.partner.example", 4)
                    .crossed("partner.example", crossed(None, None)),
                "issued by dc1.corp.contoso.com (corp.contoso.com); accepted by dc1.partner.example",
            ),
            (
                partner().crossed("partner.example", crossed(None, Some(12))),
                "issued by dc1.corp.contoso.com (corp.contoso.com); refused by dc1.partner.example (partner.example): \
                 KDC_ERR_POLICY (12): KDC policy rejects request; that is about the exporter's own account and says nothing \
                 of the trust",
            ),
            (
                partner().crossed("partner.example", crossed(None, None)),
                "issued by dc1.corp.contoso.com (corp.contoso.com); accepted by dc1.partner.example (partner.example)\n",
            ),
            (
                partner().crossed("partner.example", crossed(Some(error), None)),
                "refused by dc1.corp.contoso.com (corp.contoso.com): KDC_ERR_S_PRINCIPAL_UNKNOWN (7): server not found in",
            ),
            (
                partner().crossed("partner.example", crossed(None, Some(41))),
                "issued by dc1.corp.contoso.com (corp.contoso.com); refused by dc1.partner.example (partner.example): \
                 KRB_AP_ERR_MODIFIED (41)",
            ),
            (partner().no_kdc(), "no answer: ticket: timeout: "),
        ] {
            let page = shown(&bench);
            assert!(page.contains(&format!("    tickets: {words}")), "{words} is not in\n{page}");
        }
    }

    #[test]
    fn each_kind_of_neighbour() {
        let bench = partner()
            .trust({
                let mut other = trust("old.example", "OLD");
                (other.direction, other.kind, other.attributes) = (TrustDirection::Inbound, 1, 0);
                other.encryption_types = None;
                other
            })
            .ntlm_client("X", "SCANNER9", 2)
            .with(|bench| {
                let trusts = bench.facts.as_mut().unwrap().policies.get_mut("corp.contoso.com").unwrap();
                trusts.as_mut().unwrap().trusts.as_mut().unwrap()[0].attributes |= 0x10;
            });
        let page = shown(&bench);
        let squeezed: Vec<String> =
            page.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        for row in [
            "corp.contoso.com (CORP) own - - - - CORP\\svc_sql",
            "partner.example (PARTNER) trusted both directions forest yes aes256, aes128 4 remote on NTLM",
            "old.example (OLD) trusts ours only inbound Windows NT (NTLM only) no not set nobody seen",
            "SCANNER9 neither - - - - 2 remote on NTLM",
        ] {
            assert!(squeezed.iter().any(|line| line == row), "{row} is not in\n{page}");
        }
        let value: serde_json::Value =
            serde_json::from_str(&json(&bench.assess(), Detail::Full).unwrap()).unwrap();
        let told = &value["domains"];
        assert_eq!(told.as_array().unwrap().len(), 4);
        assert_eq!(told[1]["trust"]["selective_authentication"], true);
        assert_eq!(told[1]["trust"]["held_by"], "corp.contoso.com");
        assert_eq!((&told[1]["ntlm_connections"], &told[3]["relation"]), (&4.into(), &"neither".into()));
        assert_eq!(told[1]["tickets"]["outcome"], "not_asked");
        assert!(told[0]["tickets"].is_null() && told[3]["trust"].is_null());
        let names = json(&bench.assess(), Detail::Names).unwrap() + &text(&bench.assess(), Detail::Names);
        assert!(!names.contains("partner.example") && !names.contains("SCANNER9"), "{names}");
    }

    #[test]
    fn a_crossing_as_values() {
        let value = |issued, accepted| {
            let bench = partner().crossed("partner.example", crossed(issued, accepted));
            let rows = rows(&bench.assess());
            serde_json::to_value(&rows[1].tickets).unwrap()
        };
        let both = value(None, None);
        assert_eq!(both["outcome"], "issued_and_accepted");
        assert_eq!(both["accepted_by"], "dc1.partner.example (partner.example)");
        let refused = value(None, Some(41));
        assert_eq!(refused["outcome"], "refused");
        assert_eq!((&refused["code"], &refused["accepted_by"]), (&"KRB_AP_ERR_MODIFIED".into(), &().into()));
        assert_eq!(refused["refused_by"], "dc1.partner.example (partner.example)");
        assert_eq!(value(Some(9_999), None)["code"], "9999");
    }

    #[test]
    fn names_of_others_stay_on_their_line() {
        let hostile = Bench::new().trust(trust("evil\nSQL01: HEALTHY", "E\u{1b}[31m")).ntlm_client(
            "X",
            "BAD\nSQL01: HEALTHY",
            1,
        );
        let page = shown(&hostile);
        assert!(page.contains("evil\\u{a}sql01") || page.contains("evil\\u{a}SQL01"), "{page}");
        assert!(!page.lines().any(|line| line.starts_with("SQL01: HEALTHY")), "{page}");
        assert!(!page.contains('\u{1b}'), "{page}");
    }
}
