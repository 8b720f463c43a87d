//! The one statement behind which SQL Server itself waits for somebody: its host asks a domain controller for a name. Sent
//! last, with a deadline of its own, and its answer outlives the connection: a dead domain controller must cost the look
//! nothing but this answer, and that at most every five minutes.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::Session;
use crate::model::account::{AccountKey, ServiceIdentity};
use crate::model::instance::{Instance, Platform, StatementOutcome};
use crate::model::observed::{Gap, Known};
use crate::model::start::NameTranslation;
use crate::sqlserver::client::{Answer, Client};
use crate::sqlserver::look::{SLOW_EVERY, refusal_gap};
use crate::sqlserver::{decode, queries};

/// A domain controller on the next continent answers in a fraction of this; a chosen limit.
const LIMIT: Duration = Duration::from_secs(2);

/// `SUSER_SID` takes a `sysname` (its page): a longer name would be cut, and the rest of it be another one.
const LONGEST_NAME: usize = 100;

/// The last answer.
pub(super) struct Translated {
    at: Instant,
    account: String,
    known: Known<NameTranslation>,
    outcome: StatementOutcome,
}

impl Session {
    /// Adds the translation to what the instance told, asked now or within the last five minutes. Gives the connection back if
    /// it is still good.
    pub(super) async fn translated(
        &mut self,
        client: Client,
        instance: &mut Instance,
        began: Instant,
    ) -> Option<Client> {
        let name = queries::SERVICE_SID.name;
        let account = match account_to_ask(instance) {
            Ok(account) => account,
            Err(gap) => {
                instance.statements.insert(name, StatementOutcome::NotSent(gap.text.clone()));
                instance.name_translation = Err(gap);
                return Some(client);
            }
        };
        let is_good = |last: &&Translated| last.account == account && last.at.elapsed() < SLOW_EVERY;
        if let Some(last) = self.translated.as_ref().filter(is_good) {
            instance.statements.insert(name, last.outcome.clone());
            instance.name_translation = last.known.clone();
            return Some(client);
        }
        let (client, outcome, known) = self.translate(client, instance, &account, began).await;
        instance.statements.insert(name, outcome.clone());
        instance.name_translation = known.clone();
        self.translated = Some(Translated { at: Instant::now(), account, known, outcome });
        client
    }

    async fn translate(
        &mut self,
        mut client: Client,
        instance: &Instance,
        account: &str,
        began: Instant,
    ) -> (Option<Client>, StatementOutcome, Known<NameTranslation>) {
        let statement = &queries::SERVICE_SID;
        self.step = statement.name;
        // Half of what is left, so that the look's own deadline is never the one that passes.
        let limit = LIMIT.min(self.settings.timeout.saturating_sub(began.elapsed()) / 2);
        let unanswered = |text: String| {
            let gap = Gap::peer_failed(format!("statement {}: {text}", statement.name));
            (None, StatementOutcome::Unanswered(text), Err(gap))
        };
        let asked = timeout(limit, client.ask(statement, &[])).await;
        let rows = match asked {
            Err(_) => {
                let seconds = limit.as_secs_f64();
                return unanswered(format!(
                    "no answer within {seconds:.1} s: its host waits for a domain controller"
                ));
            }
            Ok(Err(error)) => return unanswered(error.to_string()),
            Ok(Ok(Answer::Refused { number, text })) => {
                let (outcome, known) = refusal_gap(statement, instance.properties.major, number, &text);
                return (Some(client), outcome, known);
            }
            Ok(Ok(Answer::Undecodable(text))) => Err(text),
            Ok(Ok(Answer::Rows(rows))) => {
                let instance_name = instance.properties.instance_name.as_deref();
                decode::name_translation(&rows, instance_name, account).map_err(|error| error.to_string())
            }
        };
        match rows {
            Ok(translation) => (Some(client), StatementOutcome::Answered, Ok(translation)),
            Err(text) => {
                let gap = Gap::peer_failed(format!("statement {}: {text}", statement.name));
                (Some(client), StatementOutcome::Undecodable(text), Err(gap))
            }
        }
    }
}

/// The name to ask for: a domain account's, written `DOMAIN\name`.
///
/// # Errors
/// If there is none: another kind of account, another platform, a service entry that is not known.
fn account_to_ask(instance: &Instance) -> Known<String> {
    if instance.platform == Ok(Platform::Linux) {
        return Err(Gap::not_applicable("SQL Server on Linux translates no Windows names"));
    }
    let service = instance.service.as_ref().map_err(Clone::clone)?;
    let machine = Some(instance.properties.machine_name.as_str()).filter(|name| !name.is_empty());
    let account = service.account.clone().unwrap_or_default();
    let is_domain_account = matches!(
        ServiceIdentity::of(&account, machine),
        Some(ServiceIdentity::Domain(AccountKey::Sam { domain: Some(_), .. }))
    );
    if is_domain_account && account.chars().count() <= LONGEST_NAME {
        return Ok(account);
    }
    Err(Gap::not_applicable("the service account is not written as DOMAIN\\name"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn only_names_with_a_domain_are_asked_for() {
        let ask = |account: &str| {
            let mut instance = samples::instance();
            instance.service.as_mut().unwrap().account = Some(account.into());
            account_to_ask(&instance).ok()
        };
        assert_eq!(ask("CORP\\svc_sql").as_deref(), Some("CORP\\svc_sql"));
        assert_eq!(ask("CORP\\gmsa_sql$").as_deref(), Some("CORP\\gmsa_sql$"));
        for other in
            ["svc_sql@corp.contoso.com", "NT SERVICE\\MSSQLSERVER", "LocalSystem", ".\\bob", "SQL01\\bob", ""]
        {
            assert_eq!(ask(other), None, "{other}");
        }
        assert_eq!(ask(&format!("CORP\\{}", "x".repeat(200))), None);
        let mut linux = samples::instance();
        linux.platform = Ok(Platform::Linux);
        assert!(account_to_ask(&linux).is_err());
        let mut blind = samples::instance();
        blind.service = Err(Gap::no_permission("refused: 300"));
        assert_eq!(account_to_ask(&blind).unwrap_err().text, "refused: 300");
    }
}
