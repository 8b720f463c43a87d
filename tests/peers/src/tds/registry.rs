//! Rows of `sys.dm_server_registry`: the service's key and the network protocols under SuperSocketNetLib.
//! Nothing on Linux, where the content of the view is not documented.

use rusqlite::types::Value;

use super::{
    spec::Platform,
    tables::{ADMIN_PORT, BaseRow, row, text},
    world::World,
};

/// Rows of the view.
pub(crate) fn rows(world: &World) -> Vec<BaseRow> {
    let spec = world.spec();
    if spec.platform == Platform::Linux {
        return Vec::new();
    }
    let mut registry = Registry::default();
    let instance = spec.instance_name();
    let service = if spec.instance.is_none() { instance.to_owned() } else { format!("MSSQL${instance}") };
    let account = spec.account.clone().unwrap_or_else(|| format!("NT SERVICE\\{service}"));
    let service_key = format!("HKLM\\SYSTEM\\CurrentControlSet\\Services\\{service}");
    let image = format!(
        "\"C:\\Program Files\\Microsoft SQL Server\\{}\\MSSQL\\Binn\\sqlservr.exe\" -s{instance}",
        world.instance_id()
    );
    registry.text(&service_key, "ObjectName", &account);
    registry.text(&service_key, "ImagePath", &image);
    registry.number(&service_key, "Start", 2);
    let server =
        format!("HKLM\\Software\\Microsoft\\Microsoft SQL Server\\{}\\MSSQLServer", world.instance_id());
    if let Value::Text(version) = world.server_property("ProductVersion") {
        registry.text(&format!("{server}\\CurrentVersion"), "CurrentVersion", &version);
    }
    let network = format!("{server}\\SuperSocketNetLib");
    registry.number(&format!("{network}\\Sm"), "Enabled", 1);
    registry.number(&format!("{network}\\Np"), "Enabled", i64::from(spec.named_pipes));
    let pipe =
        if spec.instance.is_none() { "sql\\query".to_owned() } else { format!("{service}\\sql\\query") };
    registry.text(&format!("{network}\\Np"), "PipeName", &format!("\\\\.\\pipe\\{pipe}"));
    registry.text(&format!("{network}\\AdminConnection\\Tcp"), "TcpDynamicPorts", &ADMIN_PORT.to_string());
    tcp(world, &mut registry, &format!("{network}\\Tcp"));
    registry.rows
}

/// TCP with IPAll and the addresses that set-up found; those are frozen at installation.
fn tcp(world: &World, registry: &mut Registry, key: &str) {
    let spec = world.spec();
    registry.number(key, "Enabled", i64::from(spec.tcp));
    registry.number(key, "ListenOnAllIPs", i64::from(spec.listen_all));
    registry.number(key, "KeepAlive", 30_000);
    registry.text(key, "DisplayName", "TCP/IP");
    let ports: Vec<String> = spec.configured_ports().iter().map(u16::to_string).collect();
    let ports = ports.join(",");
    let dynamic = spec.dynamic_port.map(|port| port.to_string()).unwrap_or_default();
    // What set-up leaves on an address that is off: a named instance has "dynamic, none yet" there, a default
    // instance its port.
    let (idle_port, idle_dynamic) = if spec.instance.is_some() { ("", "0") } else { ("1433", "") };
    let all = format!("{key}\\IPAll");
    let (all_ports, all_dynamic) =
        if spec.listen_all { (ports.as_str(), dynamic.as_str()) } else { (idle_port, idle_dynamic) };
    registry.text(&all, "TcpPort", all_ports);
    registry.text(&all, "TcpDynamicPorts", all_dynamic);
    let addresses = [spec.address.as_str(), "fe80::215:5dff:fe4d:2a0b%4", "127.0.0.1", "::1"];
    for (index, address) in addresses.iter().enumerate() {
        let on = !spec.listen_all && index == 0;
        let this = format!("{key}\\IP{}", index + 1);
        registry.number(&this, "Active", 1);
        registry.number(&this, "Enabled", i64::from(on));
        registry.text(&this, "IpAddress", address);
        registry.text(&this, "TcpPort", if on { &ports } else { idle_port });
        registry.text(&this, "TcpDynamicPorts", if on { &dynamic } else { idle_dynamic });
    }
}

#[derive(Default)]
struct Registry {
    rows: Vec<BaseRow>,
}

impl Registry {
    fn text(&mut self, key: &str, name: &str, data: &str) {
        self.add(key, name, text(data));
    }

    fn number(&mut self, key: &str, name: &str, data: i64) {
        self.add(key, name, Value::Integer(data));
    }

    fn add(&mut self, key: &str, name: &str, data: Value) {
        self.rows.push(row([("registry_key", text(key)), ("value_name", text(name)), ("value_data", data)]));
    }
}
