//! Which permission a view takes and whether the logins hold it, from the permission texts of `dmv.json`.
//! One set of permissions for all logins of a server; no roles, no DENY, no ownership.

use super::{
    catalogue::{self, Object},
    failure::SqlError,
    spec::SqlServerSpec,
};

/// First version with the finer server-state permissions ("What's new in SQL Server 2022").
const FINER_PERMISSIONS: u16 = 2022;

/// Permissions of the logins of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rights {
    version: u16,
    held: Vec<String>,
}

/// What a login may see of a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// Everything.
    All,
    /// Only the rows of the asking session.
    OwnSession,
    /// The view, but no row of it.
    Nothing,
}

impl Rights {
    /// The rights that the spec lists, or what the exporter's documentation asks for.
    pub(crate) fn of(spec: &SqlServerSpec) -> Self {
        let default: &[&str] = if spec.version < FINER_PERMISSIONS {
            &["VIEW SERVER STATE", "VIEW ANY DEFINITION"]
        } else {
            &["VIEW SERVER PERFORMANCE STATE", "VIEW SERVER SECURITY STATE", "VIEW ANY DEFINITION"]
        };
        let listed =
            spec.rights.clone().unwrap_or_else(|| default.iter().map(|&name| name.to_owned()).collect());
        let held = listed.iter().map(|name| name.trim().to_ascii_uppercase()).collect();
        Self { version: spec.version, held }
    }

    /// Whether a server permission that this version has is held, itself or by a higher one.
    pub(crate) fn has(&self, permission: &str) -> bool {
        let listed = |name: &str| self.held.iter().any(|held| held == name);
        if !catalogue::permission_exists(permission, self.version) {
            return false;
        }
        let implied = match permission {
            "VIEW SERVER PERFORMANCE STATE" | "VIEW SERVER SECURITY STATE" => listed("VIEW SERVER STATE"),
            "VIEW ANY SECURITY DEFINITION" | "VIEW ANY PERFORMANCE DEFINITION" => {
                listed("VIEW ANY DEFINITION")
            }
            _ => false,
        };
        listed(permission) || implied || listed("CONTROL SERVER")
    }

    /// `HAS_PERMS_BY_NAME` of the server, of a procedure, or of an availability group.
    pub(crate) fn by_name(
        &self,
        securable: Option<&str>,
        class: Option<&str>,
        permission: &str,
    ) -> Option<i64> {
        let permission = permission.trim().to_ascii_uppercase();
        let class = class.map(str::to_ascii_uppercase);
        match (securable, class.as_deref()) {
            (None, None | Some("SERVER")) => catalogue::permission_exists(&permission, self.version)
                .then(|| i64::from(self.has(&permission))),
            (Some(name), Some("OBJECT")) if permission == "EXECUTE" => {
                Some(i64::from(self.may_execute(name)))
            }
            (Some(name), Some("AVAILABILITY GROUP")) if permission == "VIEW DEFINITION" => {
                let own = format!("VIEW DEFINITION ON AVAILABILITY GROUP::{}", name.to_ascii_uppercase());
                Some(i64::from(self.has("VIEW ANY DEFINITION") || self.held.contains(&own)))
            }
            _ => None,
        }
    }

    /// Whether a procedure may be executed; the error log's also by the permission made for it in 2022, of which only the page of
    /// sp_readerrorlog speaks.
    pub(crate) fn may_execute(&self, procedure: &str) -> bool {
        let bare = procedure.rsplit('.').next().unwrap_or(procedure).to_ascii_uppercase();
        let granted = self.held.iter().any(|held| {
            held.strip_prefix("EXECUTE ON ")
                .is_some_and(|name| name.rsplit('.').next() == Some(bare.as_str()))
        });
        let reads_log = bare == "SP_READERRORLOG" && self.has("VIEW ANY ERROR LOG");
        granted || reads_log || self.has("CONTROL SERVER")
    }

    /// What may be seen of a view, or the refusal of the statement that reads it.
    pub(crate) fn sight(&self, object: &Object) -> Result<Sight, SqlError> {
        let text = object.permission(self.version);
        let server_state =
            ["VIEW SERVER PERFORMANCE STATE", "VIEW SERVER SECURITY STATE", "VIEW SERVER STATE"];
        let needed = server_state.into_iter().find(|name| text.starts_with(name));
        let is_dynamic = object.name.starts_with("sys.dm_") || object.is_function;
        match needed {
            Some(needed) if self.has(needed) => Ok(Sight::All),
            Some(_) if text.ends_with("for other sessions") => Ok(Sight::OwnSession),
            Some(needed) if is_dynamic => Err(self.refusal(needed, object)),
            None if is_dynamic || object.name == "sys.servers" => Ok(Sight::All),
            _ => Ok(self.metadata_sight(object)),
        }
    }

    /// Catalogue views hide rows instead of refusing ("Metadata visibility configuration").
    fn metadata_sight(&self, object: &Object) -> Sight {
        let about_groups = object.name.starts_with("sys.availability_");
        let granted_group = about_groups
            && self.held.iter().any(|held| held.starts_with("VIEW DEFINITION ON AVAILABILITY GROUP::"));
        // From 2022 on the pages of the endpoint and login views name SECURITY STATE.
        let by_security = !about_groups && self.has("VIEW SERVER SECURITY STATE");
        if self.has("VIEW ANY DEFINITION") || granted_group || by_security {
            Sight::All
        } else {
            Sight::Nothing
        }
    }

    /// 300, and on 2022 and later 371 for the connections view as was measured on 2025.
    fn refusal(&self, permission: &str, object: &Object) -> SqlError {
        let number = if self.version >= FINER_PERMISSIONS && object.name == "sys.dm_exec_connections" {
            371
        } else {
            300
        };
        SqlError::denied(
            number,
            format!("{permission} permission was denied on object 'server', database 'master'."),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(version: u16, held: &[&str]) -> Rights {
        let held = Some(held.iter().map(|&name| name.to_owned()).collect());
        Rights::of(&SqlServerSpec { version, rights: held, ..SqlServerSpec::of("SQL01") })
    }

    fn sight(rights: &Rights, view: &str) -> Result<Sight, i32> {
        let object = catalogue::object(view, rights.version).unwrap();
        rights.sight(object).map_err(|error| error.number)
    }

    #[test]
    fn views_refuse_or_hide() {
        let none = rights(2019, &[]);
        assert_eq!(sight(&none, "sys.dm_exec_connections"), Err(300));
        assert_eq!(sight(&none, "sys.dm_exec_sessions"), Ok(Sight::OwnSession));
        assert_eq!(sight(&none, "sys.dm_os_host_info"), Ok(Sight::All));
        assert_eq!(sight(&none, "sys.availability_groups"), Ok(Sight::Nothing));
        assert_eq!(sight(&none, "sys.server_event_sessions"), Ok(Sight::Nothing));
        let none = rights(2022, &[]);
        assert_eq!(sight(&none, "sys.dm_exec_connections"), Err(371));
        assert_eq!(sight(&none, "sys.dm_os_host_info"), Err(300));
        let performance = rights(2022, &["VIEW SERVER PERFORMANCE STATE"]);
        assert_eq!(sight(&performance, "sys.dm_exec_connections"), Ok(Sight::All));
        assert_eq!(sight(&performance, "sys.dm_tcp_listener_states"), Err(300));
        assert_eq!(sight(&performance, "sys.tcp_endpoints"), Ok(Sight::Nothing));
        let state = rights(2022, &["View Server State"]);
        assert_eq!(sight(&state, "sys.dm_tcp_listener_states"), Ok(Sight::All));
        assert_eq!(sight(&state, "sys.tcp_endpoints"), Ok(Sight::All));
        assert_eq!(sight(&state, "sys.availability_groups"), Ok(Sight::Nothing));
    }

    #[test]
    fn permissions_by_name() {
        let old = rights(2019, &["VIEW SERVER STATE", "EXECUTE ON xp_readerrorlog"]);
        assert_eq!(old.by_name(None, None, "VIEW SERVER STATE"), Some(1));
        assert_eq!(old.by_name(None, None, "VIEW ANY DEFINITION"), Some(0));
        assert_eq!(old.by_name(None, None, "VIEW SERVER SECURITY STATE"), None);
        assert_eq!(old.by_name(Some("sys.xp_readerrorlog"), Some("OBJECT"), "EXECUTE"), Some(1));
        let new = rights(2022, &["VIEW SERVER STATE"]);
        assert_eq!(new.by_name(None, None, "VIEW SERVER SECURITY STATE"), Some(1));
        assert_eq!(new.by_name(None, None, "NO SUCH THING"), None);
        assert!(!new.may_execute("master.dbo.xp_readerrorlog"));
        assert!(rights(2022, &["VIEW ANY ERROR LOG"]).may_execute("sys.sp_readerrorlog"));
        assert!(!rights(2022, &["VIEW ANY ERROR LOG"]).may_execute("sys.xp_readerrorlog"));
        assert!(!rights(2019, &["VIEW ANY ERROR LOG"]).may_execute("sys.sp_readerrorlog"));
    }
}
