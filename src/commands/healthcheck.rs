//! `healthcheck`: asks the daemon at its first configured address. Any HTTP answer is alive; containers without curl need
//! it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::config::Config;
use crate::web;

use super::exit;

/// How long it waits.
const DEADLINE: Duration = Duration::from_secs(3);

/// Asks and gives the exit code; the reason of a failure goes to stderr.
pub async fn run(config: &Config) -> u8 {
    let Some(address) = config.web.listen_addresses.first().copied().map(reachable) else {
        return exit::DEAD;
    };
    let path = format!("{}/-/healthy", config.web.route_prefix);
    match web::any_answer(address, &path, DEADLINE).await {
        Ok(_) => exit::OK,
        Err(why) => {
            eprintln!("{address}: {why}");
            exit::DEAD
        }
    }
}

/// A wildcard is listened on, not connected to.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
