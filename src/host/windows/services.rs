//! Whether the service of an instance runs, and as whom: its process, and the account of that process's token. Asks the service control
//! manager for its status alone, starts and stops nothing.

use std::io;

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind};
use windows_service::Error;
use windows_service::service::{ServiceAccess, ServiceState, ServiceStatus};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};

use crate::model::observed::{Gap, Known, printable};

/// The services of this host.
pub(super) struct Services(ServiceManager);

impl Services {
    /// Opens the list of services; whoever is signed in may.
    pub(super) fn of_this_host() -> Known<Self> {
        ServiceManager::local_computer(None::<&str>, ServiceManagerAccess::CONNECT)
            .map(Self)
            .map_err(|error| gap("the service control manager", &error))
    }

    /// The SID of the account that the service's process really runs as.
    pub(super) fn owner(&self, service: &str) -> Known<String> {
        let process = self.process(service)?;
        let owner = owner_of(process, service)?;
        // A number of a process is given again when the process has ended.
        if self.process(service)? != process {
            return Err(Gap::peer_failed(format!("{service} was restarted while it was looked at")));
        }
        Ok(owner)
    }

    /// Whether the service runs here in any state but stopped: one that is starting or stopping is not given up yet.
    pub(super) fn is_running(&self, service: &str) -> Known<bool> {
        Ok(self.status(service)?.current_state != ServiceState::Stopped)
    }

    fn status(&self, service: &str) -> Known<ServiceStatus> {
        self.0
            .open_service(service, ServiceAccess::QUERY_STATUS)
            .and_then(|opened| opened.query_status())
            .map_err(|error| gap(&format!("the service {service}"), &error))
    }

    fn process(&self, service: &str) -> Known<u32> {
        self.status(service)?
            .process_id
            .ok_or_else(|| Gap::peer_failed(format!("the service {service} does not run")))
    }
}

/// Of this process alone the user is read; the crate tells a refusal by silence.
fn owner_of(process: u32, service: &str) -> Known<String> {
    let id = Pid::from_u32(process);
    let what = ProcessRefreshKind::nothing().with_user(UpdateKind::Always);
    let mut system = System::new();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[id]), true, what);
    let found = system
        .process(id)
        .ok_or_else(|| Gap::peer_failed(format!("the process {process} of {service} has ended")))?;
    found.user_id().map(|user| user.to_string()).ok_or_else(|| {
        not_shown(&format!(
            "the account of process {process} ({service}): Windows does not show it to the exporter"
        ))
    })
}

fn gap(what: &str, error: &Error) -> Gap {
    let Error::Winapi(error) = error else { return Gap::peer_failed(format!("{what}: {error}")) };
    let text = format!("{what}: {}", printable(&error.to_string()));
    if error.kind() == io::ErrorKind::PermissionDenied { not_shown(&text) } else { Gap::peer_failed(text) }
}

/// Not `no_permission`: an exporter with the least rights is shown the tokens of other accounts on no host, and that must
/// not make every verdict unknown (JUDGEMENT 14: an optional right that is not given).
fn not_shown(text: &str) -> Gap {
    Gap::disabled(format!("{text}; an administrator's right that the exporter does without"))
}
