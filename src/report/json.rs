//! The report as values for JSON: its frame and that of an instance. Each thing in them is made by the file that has its text.

use serde::Serialize;

use crate::findings::verdict::Verdict;
use crate::model::evidence::Probe;
use crate::pipeline::{Assessment, InstanceAssessment};

use super::Detail;
use super::account::AccountReport;
use super::controllers::{self, ControllerReport};
use super::delegation::{self, TargetReport};
use super::domains::{self, DomainReport};
use super::findings::{self, FindingReport};
use super::links::{self, LinkReport};
use super::spns::{self, SpnReport};
use super::tickets::{self, ClientReport, TicketReport};

/// The report as JSON: also the plan file of `script` and `fix` (JUDGEMENT 16), so it has the evidence's time, the
/// domain controller and the objects' GUIDs.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Version of this form.
    pub report: u32,
    /// When it was judged, Unix seconds.
    pub judged_at: f64,
    /// The domain controller that answered, and when.
    pub directory: Option<Directory>,
    /// The domains of the forest, those behind its trusts, and those that logins name; empty where there is our own alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub domains: Vec<DomainReport>,
    /// The domain controllers in use, one row for each role.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub controllers: Vec<ControllerReport>,
    /// The instances, in the order of the configuration.
    pub instances: Vec<InstanceReport>,
}

/// Where the evidence about AD comes from.
#[derive(Debug, Serialize)]
pub struct Directory {
    /// Its name.
    pub server: String,
    /// The Global Catalog, if one answered.
    pub global_catalog: Option<String>,
    /// When, Unix seconds.
    pub asked_at: f64,
}

/// One instance.
#[derive(Debug, Serialize)]
pub struct InstanceReport {
    /// The label `mssql_instance`.
    pub name: String,
    /// The verdict.
    pub verdict: &'static str,
    /// The FQDN that clients use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fqdn: Option<String>,
    /// The account as AD has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountReport>,
    /// The SPN table.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub spns: Vec<SpnReport>,
    /// What the KDC answered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tickets: Vec<TicketReport>,
    /// What it says of the service account as a client; absent where it was not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_at_kdc: Option<ClientReport>,
    /// The linked servers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub linked_servers: Vec<LinkReport>,
    /// The service account's list of constrained delegation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub delegation_targets: Vec<TargetReport>,
    /// Every rule but the clear ones.
    pub findings: Vec<FindingReport>,
}

/// The report as values for JSON.
pub fn report(assessment: &Assessment, detail: Detail) -> Report {
    let directory = assessment.evidence.directory.answer(Probe::Directory, assessment.at).ok();
    Report {
        report: 1,
        judged_at: assessment.at.unix_seconds(),
        directory: directory.filter(|_| detail == Detail::Full).map(|good| Directory {
            server: good.facts.server.name.clone(),
            global_catalog: good.facts.server.global_catalog.clone(),
            asked_at: good.at.unix_seconds(),
        }),
        domains: if detail == Detail::Full { domains::rows(assessment) } else { Vec::new() },
        controllers: if detail == Detail::Full { controllers::rows(assessment) } else { Vec::new() },
        instances: assessment
            .instances
            .iter()
            .map(|instance| instance_report(assessment, instance, detail))
            .collect(),
    }
}

fn instance_report(assessment: &Assessment, instance: &InstanceAssessment, detail: Detail) -> InstanceReport {
    let is_full = detail == Detail::Full;
    let picture = &instance.picture;
    let in_scope = is_full && instance.verdict != Verdict::NotApplicable;
    InstanceReport {
        name: instance.name.clone(),
        verdict: instance.verdict.name(),
        fqdn: picture.names.as_ref().ok().filter(|_| is_full).map(|names| names.primary.to_string()),
        account: picture.holder.as_ref().ok().filter(|_| is_full).map(AccountReport::of),
        spns: if in_scope { spns::rows(instance) } else { Vec::new() },
        tickets: if in_scope { tickets::rows(assessment, instance) } else { Vec::new() },
        service_account_at_kdc: tickets::service_account(assessment, instance).filter(|_| in_scope),
        linked_servers: if in_scope { links::rows(instance) } else { Vec::new() },
        delegation_targets: if in_scope { delegation::rows(instance) } else { Vec::new() },
        findings: findings::rows(instance, is_full),
    }
}
