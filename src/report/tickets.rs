//! What KDCs answered in the report, in both forms: to requests for tickets to an instance's SPNs, and to a logon in the
//! name of its service account.

use serde::Serialize;

use crate::findings::tickets::{in_words, said_of};
use crate::model::evidence::{Good, Probe};
use crate::model::observed::Known;
use crate::model::spn::Spn;
use crate::model::ticket::{ClientAnswer, ClientName, Ticket, TicketFacts, TicketQuestion};
use crate::pipeline::{Assessment, InstanceAssessment};
use crate::remedy::printable;

use super::layout::line;

/// What a KDC answered to a request for a service ticket. Nothing of the ticket itself.
#[derive(Debug, Serialize)]
pub struct TicketReport {
    /// The SPN.
    pub spn: String,
    /// Whether it issued one; absent if no KDC gave an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub granted: Option<bool>,
    /// What it is encrypted with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_type: Option<String>,
    /// The version of that key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_version: Option<u32>,
    /// The error's number; of one in the way to an answer too, such as clocks that are too far apart (37).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<u32>,
    /// All of it in words.
    pub text: String,
}

/// What a KDC answered to a logon in the name of the service account without a proof.
#[derive(Debug, Serialize)]
pub struct ClientReport {
    /// In whose name.
    pub client: String,
    /// As in the label of the metric; absent if there was no usable answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    /// The keys that it named.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<String>,
    /// All of it in words.
    pub text: String,
}

/// What the KDC answered for this instance's SPNs; nothing where it is not asked.
pub(super) fn table(page: &mut String, assessment: &Assessment, instance: &InstanceAssessment) {
    let slot = &assessment.evidence.ticket;
    if slot.off.is_some() || instance.picture.scope.is_err() {
        return;
    }
    let answered = match slot.answer(Probe::Ticket, assessment.at) {
        Ok(good) => answered(good, instance),
        Err(gap) => {
            let gap = assessment.questions.ticket.as_ref().err().unwrap_or(&gap);
            line(page, &format!("\n  Tickets: {}", printable(&gap.to_string())));
            return;
        }
    };
    let as_client = said_of_account(assessment, instance);
    if answered.is_empty() && as_client.is_none() {
        return;
    }
    let width = answered.iter().map(|(spn, _)| spn.label().chars().count()).max().unwrap_or_default();
    line(page, "\n  Tickets");
    for (spn, known) in answered {
        let said = match known {
            Ok(ticket) => in_words(ticket),
            Err(gap) => gap.to_string(),
        };
        line(page, &format!("  {:<width$}  {}", printable(&spn.label()), printable(&said)));
    }
    if let Some((client, said)) = as_client {
        let said = said.as_ref().map_or_else(ToString::to_string, ToString::to_string);
        let text = format!("  a logon as {client} without a proof: {said}");
        line(page, &printable(&text));
    }
}

/// The answers for JSON.
pub(super) fn rows(assessment: &Assessment, instance: &InstanceAssessment) -> Vec<TicketReport> {
    let good = assessment.evidence.ticket.answer(Probe::Ticket, assessment.at).ok();
    let answered = good.map(|good| answered(good, instance)).unwrap_or_default();
    answered.into_iter().map(ticket_report).collect()
}

/// What it says of the service account, for JSON.
pub(super) fn service_account(
    assessment: &Assessment,
    instance: &InstanceAssessment,
) -> Option<ClientReport> {
    said_of_account(assessment, instance).map(client_report)
}

/// What a KDC says of the service account as a client, where one was asked.
fn said_of_account<'a>(
    assessment: &'a Assessment,
    instance: &'a InstanceAssessment,
) -> Option<(&'a ClientName, &'a Known<ClientAnswer>)> {
    let client = instance.picture.client.as_ref().filter(|_| instance.picture.scope.is_ok())?;
    Some((client, said_of(&assessment.evidence, client, assessment.at)?.0))
}

/// The SPNs of this instance that a KDC was asked for.
fn answered<'a>(
    good: &'a Good<TicketQuestion, TicketFacts>,
    instance: &InstanceAssessment,
) -> Vec<(&'a Spn, &'a Known<Ticket>)> {
    let expected = instance.picture.spns.iter().flatten().map(|judged| &judged.expected.spn);
    expected.filter_map(|spn| good.facts.tickets.get_key_value(spn)).collect()
}

fn ticket_report((spn, known): (&Spn, &Known<Ticket>)) -> TicketReport {
    let blank = TicketReport {
        spn: spn.label(),
        granted: None,
        encryption_type: None,
        key_version: None,
        error: None,
        text: String::new(),
    };
    match known {
        Ok(ticket @ Ticket::Granted(granted)) => TicketReport {
            granted: Some(true),
            encryption_type: Some(granted.encryption_type.to_string()),
            key_version: granted.key_version,
            text: in_words(ticket),
            ..blank
        },
        Ok(ticket @ Ticket::Refused(refusal)) => TicketReport {
            granted: Some(false),
            error: Some(refusal.error.0),
            text: in_words(ticket),
            ..blank
        },
        Err(gap) => TicketReport { error: gap.code.map(|code| code.0), text: gap.to_string(), ..blank },
    }
}

fn client_report((client, said): (&ClientName, &Known<ClientAnswer>)) -> ClientReport {
    let client = client.to_string();
    match said {
        Ok(said) => ClientReport {
            client,
            code: Some(said.code()),
            keys: said.keys().iter().map(ToString::to_string).collect(),
            text: said.to_string(),
        },
        Err(gap) => ClientReport { client, code: None, keys: Vec::new(), text: gap.to_string() },
    }
}
