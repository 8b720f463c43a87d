//! The error log: asked only with the right to read it held, and what its lines about the last start become.

use super::{Round, pick};
use crate::model::observed::{Gap, Known};
use crate::model::start::RegistrationRefusal;
use crate::sqlserver::decode::{self, Row, Undecodable, Uptime};
use crate::sqlserver::error::Error;
use crate::sqlserver::queries::{self, Statement};

impl Round<'_, '_> {
    pub(super) async fn tcp_start_errors(&mut self, uptime: Option<Uptime>) -> Result<Known<bool>, Error> {
        let major = self.identity.properties.major;
        let statements = [
            pick(&[&queries::ERROR_LOG_26023, &queries::ERROR_LOG_26023_2014], major),
            pick(&[&queries::ERROR_LOG_26024, &queries::ERROR_LOG_26024_2014], major),
        ];
        if let Some(gap) = self.closed_log(&statements) {
            return Ok(Err(gap));
        }
        let since = uptime.map(|uptime| uptime.started_local);
        let mut found = false;
        for (statement, number) in statements.into_iter().zip(["26023", "26024"]) {
            match self.ask(statement, |rows| decode::start_error(rows, number, since)).await? {
                Ok(is_there) => found |= is_there,
                Err(gap) => return Ok(Err(gap)),
            }
        }
        Ok(Ok(found))
    }

    pub(super) async fn registration_refusals(
        &mut self,
        is_linux: bool,
        uptime: Option<Uptime>,
    ) -> Result<Known<Vec<RegistrationRefusal>>, Error> {
        let variants = [&queries::ERROR_LOG_26067, &queries::ERROR_LOG_26067_2014];
        let statement = pick(&variants, self.identity.properties.major);
        self.of_this_start(statement, is_linux, uptime, decode::registration_refusals).await
    }

    pub(super) async fn running_account(
        &mut self,
        is_linux: bool,
        uptime: Option<Uptime>,
    ) -> Result<Known<String>, Error> {
        let variants = [&queries::ERROR_LOG_49904, &queries::ERROR_LOG_49904_2014];
        let statement = pick(&variants, self.identity.properties.major);
        let named = self.of_this_start(statement, is_linux, uptime, decode::running_account).await?;
        Ok(named.and_then(|account| {
            // Optional evidence: that a log of other words lacks it is no blind spot to be repaired.
            account.ok_or_else(|| {
                Gap::not_applicable("the error log does not name the running account (it does so in English)")
            })
        }))
    }

    /// What the log says of this start. Without knowing the start nothing can be told apart from an earlier one.
    async fn of_this_start<T>(
        &mut self,
        statement: &'static Statement,
        is_linux: bool,
        uptime: Option<Uptime>,
        decode: impl FnOnce(&[Row], f64) -> Result<T, Undecodable>,
    ) -> Result<Known<T>, Error> {
        if is_linux {
            // There SPNs and keys come from a keytab; the engine registers nothing and its log names no account.
            let text = "SQL Server on Linux registers no SPNs and logs no service account";
            self.skip(&[statement], text);
            return Ok(Err(Gap::not_applicable(text)));
        }
        if let Some(gap) = self.closed_log(&[statement]) {
            return Ok(Err(gap));
        }
        let Some(uptime) = uptime else {
            let text = "the start of the service is not known";
            self.skip(&[statement], text);
            return Ok(Err(Gap::no_permission(format!("error log: {text}"))));
        };
        self.ask(statement, |rows| decode(rows, uptime.started_local)).await
    }

    /// Why the log is not read, if so: the right is an optional grant.
    fn closed_log(&mut self, statements: &[&'static Statement]) -> Option<Gap> {
        let right = queries::ERROR_LOG.on(self.identity.properties.major);
        if self.holds(right) {
            return None;
        }
        self.skip(statements, &format!("{right} is not held"));
        Some(Gap::disabled(format!("error log: {right} is not held")))
    }
}
