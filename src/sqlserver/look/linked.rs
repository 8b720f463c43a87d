//! Linked servers: asked for only with the right without which rows are hidden (JUDGEMENT 7, 17).

use super::Round;
use crate::model::instance::{LinkedServer, StatementOutcome};
use crate::model::observed::{Gap, Known};
use crate::sqlserver::error::Error;
use crate::sqlserver::{decode, queries};

impl Round<'_, '_> {
    pub(super) async fn linked_servers(&mut self) -> Result<Known<Vec<LinkedServer>>, Error> {
        let statement = &queries::LINKED_SERVERS;
        let major = self.identity.properties.major;
        let right = statement.right.on(major);
        if !self.look.linked_servers {
            self.skip(&[statement], "linked_servers is false");
            return Ok(Err(Gap::disabled("instances[].linked_servers is false")));
        }
        if !self.holds(right) {
            self.skip(&[statement], &format!("{right} is not held"));
            return Ok(Err(Gap::disabled(format!("linked servers: {right} is not held"))));
        }
        // Until 2019 the one right shows the logins too (`sys.linked_logins` page).
        let security = queries::SECURITY.on(major);
        let sees_logins = major < queries::MAJOR_2022 || self.holds(security);
        let known = self.ask(statement, |rows| decode::linked_servers(rows, sees_logins)).await?;
        let hides = |server: &LinkedServer| server.passes_caller.is_err();
        if !sees_logins && known.as_ref().is_ok_and(|servers| servers.iter().any(hides)) {
            let refused = StatementOutcome::Refused { number: 0, for_permission: true, right: security };
            self.outcomes.insert(statement.name, refused);
        }
        Ok(known)
    }
}
