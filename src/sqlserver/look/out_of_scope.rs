//! What an Azure SQL edition gives: its names and nothing else, as it is out of scope (JUDGEMENT 17).

use std::collections::BTreeMap;

use tokio::time::Instant;

use super::{Outcomes, Slow};
use crate::model::instance::{ClockReading, Instance, Properties, StatementOutcome};
use crate::model::observed::{Gap, Known};
use crate::sqlserver::decode::Uptime;
use crate::sqlserver::queries;

pub(super) fn out_of_scope(properties: Properties, clock: ClockReading) -> (Instance, Slow, Option<Uptime>) {
    let text = format!("engine edition {} (Azure SQL) is out of scope", properties.engine_edition);
    fn gap<T>(text: &str) -> Known<T> {
        Err(Gap::not_applicable(text))
    }
    let slow = Slow {
        at: Instant::now(),
        properties: properties.clone(),
        started: gap(&text),
        listeners: gap(&text),
        platform: gap(&text),
        local_addresses: gap(&text),
        own_session: gap(&text),
        registry: gap(&text),
        service: gap(&text),
        availability: gap(&text),
        endpoints: gap(&text),
        linked_servers: gap(&text),
        tcp_start_errors: gap(&text),
        registration_refusals: gap(&text),
        running_account: gap(&text),
        outcomes: Outcomes::new(),
    };
    let instance = Instance {
        properties,
        platform: gap(&text),
        started: gap(&text),
        clock: Ok(clock),
        local_addresses: gap(&text),
        own_session: gap(&text),
        listeners: gap(&text),
        registry: gap(&text),
        service: gap(&text),
        availability: gap(&text),
        endpoints: gap(&text),
        linked_servers: gap(&text),
        tcp_start_errors: gap(&text),
        registration_refusals: gap(&text),
        running_account: gap(&text),
        name_translation: gap(&text),
        statements: BTreeMap::from([(queries::PROPERTIES.name, StatementOutcome::Answered)]),
    };
    (instance, slow, None)
}
