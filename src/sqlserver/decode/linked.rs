//! Linked servers out of their rows. What a data source names is not decided here.

use super::row::{Row, Undecodable};
use crate::model::instance::LinkedServer;
use crate::model::observed::Gap;
use crate::sqlserver::queries::LINKED_SERVERS_LIMIT;

/// The rows of `linked_servers`. `sees_logins`: whether no mapping can be hidden from this login.
///
/// # Errors
/// If a server has no name or provider, or there are more than are asked for: a part would look like the whole.
pub fn linked_servers(rows: &[Row], sees_logins: bool) -> Result<Vec<LinkedServer>, Undecodable> {
    if rows.len() > LINKED_SERVERS_LIMIT {
        let text = format!("more than {LINKED_SERVERS_LIMIT} linked servers; they are not judged");
        return Err(Undecodable::new("name", text));
    }
    rows.iter()
        .map(|row| {
            let name = row.required_text("name")?.to_owned();
            let hides_a_login = row.required_int("hidden_login")? != 0;
            let hides_all = row.required_count("mappings")? == 0 && !sees_logins;
            let passes_caller = match row.required_int("passes_caller")? {
                0 if hides_a_login || hides_all => {
                    Err(Gap::no_permission(format!("the logins of linked server {name} are hidden")))
                }
                passes => Ok(passes != 0),
            };
            Ok(LinkedServer {
                provider: row.required_text("provider")?.to_owned(),
                data_source: row.owned_text("data_source")?,
                passes_caller,
                name,
            })
        })
        .collect()
}
