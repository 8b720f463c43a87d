//! The accounts of a service: the one that its entry names and the one that its process runs as, each with the AD object that
//! acts for it on the network (JUDGEMENT 5). Pure; whether such an object exists is the directory's to say.

use crate::model::account::{AccountKey, ServiceIdentity};
use crate::model::instance::{Instance, Platform, Properties};
use crate::model::observed::{Gap, Known};
use crate::model::settings::InstanceSettings;

/// An account of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceAccount {
    /// As SQL Server or the operator names it.
    pub shown: String,
    /// What that stands for.
    pub identity: ServiceIdentity,
    /// The AD object that acts for it on the network.
    pub key: AccountKey,
}

impl ServiceAccount {
    /// The account of this identity on the network.
    ///
    /// # Errors
    /// `not_applicable` for a machine-local account, which nothing in AD stands for.
    pub fn of(shown: String, identity: ServiceIdentity, properties: &Properties) -> Known<Self> {
        let key = match &identity {
            ServiceIdentity::Domain(key) => key.clone(),
            ServiceIdentity::BuiltIn | ServiceIdentity::Virtual | ServiceIdentity::LocalService => {
                // The computer account of the node that runs it, not of a cluster's virtual name.
                let node = properties.physical_name.as_deref().filter(|_| properties.is_clustered);
                AccountKey::computer(None, node.unwrap_or(&properties.machine_name))
            }
            ServiceIdentity::Local => {
                return Err(Gap::not_applicable(format!(
                    "the service runs as {shown}, a machine-local account, which AD does not know"
                )));
            }
        };
        Ok(Self { shown, identity, key })
    }
}

/// The account that the service entry names, or the operator, and what it stands for, before it is known whether AD has it.
///
/// # Errors
/// A gap where SQL Server cannot tell it: on Linux, or without the right to read `sys.dm_server_services`.
pub fn service_identity(
    settings: &InstanceSettings,
    instance: &Instance,
) -> Known<(String, ServiceIdentity)> {
    let shown = match (&settings.service_account, &instance.platform) {
        (Some(configured), _) => configured.clone(),
        // On Linux `sys.dm_server_services` makes up "LocalSystem" (First Responder Kit 3702).
        (None, Ok(Platform::Linux)) => {
            return Err(Gap::peer_failed(
                "SQL Server on Linux cannot tell its AD account; set instances[].service_account",
            ));
        }
        (None, _) => {
            let service = instance.service.as_ref().map_err(Clone::clone)?;
            service.account.clone().ok_or_else(|| {
                Gap::peer_failed(
                    "sys.dm_server_services shows no service account; set instances[].service_account",
                )
            })?
        }
    };
    let machine = Some(instance.properties.machine_name.as_str()).filter(|name| !name.is_empty());
    match ServiceIdentity::of(&shown, machine) {
        Some(identity) => Ok((shown, identity)),
        None => Err(Gap::peer_failed(format!(
            "{shown:?} is no account name; set instances[].service_account to DOMAIN\\name"
        ))),
    }
}

/// The AD account of [`service_identity`].
///
/// # Errors
/// As there; `not_applicable` for a machine-local account, which nothing in AD stands for.
pub fn service_account(settings: &InstanceSettings, instance: &Instance) -> Known<ServiceAccount> {
    let (shown, identity) = service_identity(settings, instance)?;
    ServiceAccount::of(shown, identity, &instance.properties)
}

/// The account that the process runs as, by the error log of its start. Built-in accounts are logged as the computer account,
/// with the name of the domain or of the workgroup before it (`CORP\SQL01$`).
///
/// # Errors
/// A gap where the log does not tell, or where the operator names the account: nothing contradicts his word.
pub fn running_identity(
    settings: &InstanceSettings,
    instance: &Instance,
) -> Known<(String, ServiceIdentity)> {
    if settings.service_account.is_some() {
        return Err(Gap::not_applicable("instances[].service_account names the account"));
    }
    let shown = instance.running_account.clone()?;
    let properties = &instance.properties;
    let hosts = [Some(properties.machine_name.as_str()), properties.physical_name.as_deref()];
    let mut hosts = hosts.into_iter().flatten().filter(|name| !name.is_empty());
    if let Some((authority, name)) = shown.split_once('\\') {
        let key = AccountKey::sam(None, name.trim());
        if hosts.clone().any(|host| key == AccountKey::computer(None, host)) {
            return Ok((shown, ServiceIdentity::BuiltIn));
        }
        // A node's own account is as local as the virtual name's would be.
        if hosts.any(|host| host.eq_ignore_ascii_case(authority.trim())) {
            return Ok((shown, ServiceIdentity::Local));
        }
    }
    match ServiceIdentity::of(&shown, None) {
        Some(identity) => Ok((shown, identity)),
        None => Err(Gap::not_applicable(format!("error log: {shown:?} is no account name"))),
    }
}

/// The AD account of [`running_identity`].
///
/// # Errors
/// As there; `not_applicable` for a machine-local account, which nothing in AD stands for.
pub fn running_account(settings: &InstanceSettings, instance: &Instance) -> Known<ServiceAccount> {
    let (shown, identity) = running_identity(settings, instance)?;
    ServiceAccount::of(shown, identity, &instance.properties)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    fn running(account: &str, change: impl FnOnce(&mut Instance)) -> Known<ServiceIdentity> {
        let mut instance = samples::instance();
        instance.running_account = Ok(account.into());
        change(&mut instance);
        running_identity(&InstanceSettings::default(), &instance).map(|(_, identity)| identity)
    }

    #[test]
    fn what_the_log_calls_the_account() {
        use ServiceIdentity::{BuiltIn, Domain, Local, Virtual};
        let domain = |name: &str| Domain(AccountKey::sam(Some("corp"), name));
        for (account, expected) in [
            ("CORP\\svc_sql", domain("svc_sql")),
            ("corp\\gmsa_sql$", domain("gmsa_sql$")),
            ("CORP\\SQL01$", BuiltIn),
            ("WORKGROUP\\sql01$", BuiltIn),
            ("CORP\\SQL02$", domain("sql02$")),
            ("NT Service\\MSSQLSERVER", Virtual),
            ("NT AUTHORITY\\NETWORK SERVICE", BuiltIn),
            ("LocalSystem", BuiltIn),
            ("SQL01\\bob", Local),
            (".\\bob", Local),
            ("svc_sql@corp.contoso.com", Domain(AccountKey::Upn("svc_sql@corp.contoso.com".into()))),
        ] {
            assert_eq!(running(account, |_| {}), Ok(expected), "{account}");
        }
        assert!(running("CORP\\", |_| {}).is_err());
    }

    #[test]
    fn a_cluster_has_the_names_of_its_node() {
        let cluster = |instance: &mut Instance| {
            instance.properties.is_clustered = true;
            instance.properties.machine_name = "SQLFCI".into();
            instance.properties.physical_name = Some("NODE-WITH-A-LONG-NAME".into());
        };
        assert_eq!(running("CORP\\NODE-WITH-A-LON$", cluster), Ok(ServiceIdentity::BuiltIn));
        assert_eq!(running("NODE-WITH-A-LONG-NAME\\bob", cluster), Ok(ServiceIdentity::Local));
    }

    #[test]
    fn the_operator_has_the_last_word() {
        let mut instance = samples::instance();
        instance.running_account = Ok("CORP\\svc_old".into());
        let own =
            InstanceSettings { service_account: Some("CORP\\svc_sql".into()), ..InstanceSettings::default() };
        assert!(running_identity(&own, &instance).is_err());
    }
}
