//! A SQL Server Browser on loopback: answers the UDP requests of MC-SQLR (2.2) for a list of instances.
//! It does not know whether those instances run; broadcasts (0x02) are answered like a unicast list.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{net::UdpSocket, task::JoinHandle};

use crate::tds::SqlServerSpec;

/// An instance that the browser lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// `ServerName`.
    pub server: String,
    /// `InstanceName`, `MSSQLSERVER` for the default instance.
    pub name: String,
    /// `Version`, such as `16.0.1000.6`.
    pub version: String,
    /// `tcp`; absent when TCP is off.
    pub tcp_port: Option<u16>,
    /// `np`; absent when named pipes are off.
    pub pipe: Option<String>,
    /// `IsClustered`.
    pub is_clustered: bool,
    /// Port of the dedicated administrator connection.
    pub admin_port: Option<u16>,
}

/// How the browser behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// Answers rightly.
    #[default]
    Normal,
    /// Answers nothing, as behind a firewall or when stopped.
    Silent,
    /// Answers bytes that are no SVR_RESP.
    Garbage,
    /// Answers a list far above the 1,024 bytes that one instance may take (MC-SQLR 2.2.5).
    Oversize,
}

/// A running browser; it stops when it is dropped.
#[derive(Debug)]
pub struct Browser {
    shared: Arc<Mutex<State>>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    instances: Vec<Instance>,
    behaviour: Behaviour,
    requests: Vec<Vec<u8>>,
}

impl Instance {
    /// The instance of a scenario, with the version and ports that the spec implies.
    pub fn of(spec: &SqlServerSpec) -> Self {
        let major = match spec.version {
            2014 => 12,
            2016 => 13,
            2017 => 14,
            2019 => 15,
            2022 => 16,
            _ => 17,
        };
        let pipe = match &spec.instance {
            Some(name) => format!("\\\\{}\\pipe\\MSSQL${name}\\sql\\query", spec.host),
            None => format!("\\\\{}\\pipe\\sql\\query", spec.host),
        };
        Self {
            server: spec.host.clone(),
            name: spec.instance_name().to_owned(),
            // The browser tells the version of the release, whatever updates are installed.
            version: format!("{major}.0.1000.6"),
            tcp_port: spec.listening_ports().first().copied(),
            pipe: spec.named_pipes.then_some(pipe),
            is_clustered: false,
            admin_port: None,
        }
    }

    /// The instance's part of RESP_DATA (MC-SQLR 2.2.5).
    fn describe(&self) -> String {
        let clustered = if self.is_clustered { "Yes" } else { "No" };
        let mut text = format!(
            "ServerName;{};InstanceName;{};IsClustered;{clustered};Version;{}",
            self.server, self.name, self.version
        );
        if let Some(port) = self.tcp_port {
            text += &format!(";tcp;{port}");
        }
        if let Some(pipe) = &self.pipe {
            text += &format!(";np;{pipe}");
        }
        text + ";;"
    }
}

impl Browser {
    /// Starts a browser on an address of the caller's choice, inside a tokio runtime; port 0 lets the system choose.
    pub fn start(address: SocketAddr, instances: Vec<Instance>) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let state = State { instances, behaviour: Behaviour::default(), requests: Vec::new() };
        let shared = Arc::new(Mutex::new(state));
        let task = tokio::spawn(serve(UdpSocket::from_std(socket)?, Arc::clone(&shared)));
        Ok(Self { shared, address, task })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Lists other instances from the next request on.
    pub fn set_instances(&self, instances: Vec<Instance>) {
        locked(&self.shared).instances = instances;
    }

    /// Behaves otherwise from the next request on.
    pub fn set_behaviour(&self, behaviour: Behaviour) {
        locked(&self.shared).behaviour = behaviour;
    }

    /// Datagrams seen.
    pub fn requests(&self) -> Vec<Vec<u8>> {
        locked(&self.shared).requests.clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn locked(shared: &Mutex<State>) -> MutexGuard<'_, State> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(socket: UdpSocket, shared: Arc<Mutex<State>>) {
    let mut space = [0; 1_500];
    loop {
        // An error here is the ICMP echo of an earlier answer that nobody took.
        let Ok((length, peer)) = socket.recv_from(&mut space).await else { continue };
        let request = space.get(..length).unwrap_or_default();
        let answer = {
            let mut state = locked(&shared);
            state.requests.push(request.to_vec());
            state.answer(request)
        };
        if let Some(answer) = answer {
            let _ = socket.send_to(&answer, peer).await;
        }
    }
}

/// Message types (MC-SQLR 2.2.1 to 2.2.6).
const CLNT_BCAST_EX: u8 = 0x02;
const CLNT_UCAST_EX: u8 = 0x03;
const CLNT_UCAST_INST: u8 = 0x04;
const CLNT_UCAST_DAC: u8 = 0x0F;
const SVR_RESP: u8 = 0x05;

/// Size of an oversize answer: near the largest datagram that IPv4 carries.
const OVERSIZE: usize = 60_000;

impl State {
    /// The answer to a request; none for an unknown instance or a malformed request.
    fn answer(&self, request: &[u8]) -> Option<Vec<u8>> {
        let right = self.right_answer(request)?;
        match self.behaviour {
            Behaviour::Normal => Some(right),
            Behaviour::Silent => None,
            Behaviour::Garbage => Some(right.iter().map(|byte| byte.wrapping_mul(37) ^ 0xA7).collect()),
            Behaviour::Oversize => {
                let part = right.get(3..)?;
                let mut data = Vec::new();
                while data.len() + part.len() <= OVERSIZE {
                    data.extend_from_slice(part);
                }
                Some(response(&data))
            }
        }
    }

    fn right_answer(&self, request: &[u8]) -> Option<Vec<u8>> {
        match request {
            [CLNT_BCAST_EX | CLNT_UCAST_EX] => {
                let list: String = self.instances.iter().map(Instance::describe).collect();
                Some(response(list.as_bytes()))
            }
            [CLNT_UCAST_INST, name @ ..] => Some(response(self.find(name)?.describe().as_bytes())),
            // Protocol version 1, then the name; the answer is version 1 and a port.
            [CLNT_UCAST_DAC, 1, name @ ..] => {
                let [low, high] = self.find(name)?.admin_port?.to_le_bytes();
                Some(vec![SVR_RESP, 6, 0, 1, low, high])
            }
            _ => None,
        }
    }

    /// An instance by the zero-terminated name of a request.
    fn find(&self, name: &[u8]) -> Option<&Instance> {
        let name = name.split(|byte| *byte == 0).next()?;
        let name = std::str::from_utf8(name).ok()?;
        self.instances.iter().find(|instance| instance.name.eq_ignore_ascii_case(name))
    }
}

fn response(data: &[u8]) -> Vec<u8> {
    let mut bytes = vec![SVR_RESP];
    bytes.extend((data.len() as u16).to_le_bytes());
    bytes.extend(data);
    bytes
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, time::Duration};

    use super::*;

    fn prod() -> Instance {
        let yaml = "{ host: SQL01, instance: PROD, dynamic_port: 50123, named_pipes: true }";
        Instance::of(&yaml_serde::from_str(yaml).unwrap())
    }

    async fn socket(browser: &Browser) -> UdpSocket {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        socket.connect(browser.addr()).await.unwrap();
        socket
    }

    async fn answer(socket: &UdpSocket) -> Vec<u8> {
        let mut space = vec![0; 65_536];
        let answer = tokio::time::timeout(Duration::from_secs(60), socket.recv(&mut space)).await;
        space.truncate(answer.expect("an answer in time").unwrap());
        space
    }

    async fn ask(browser: &Browser, request: &[u8]) -> Vec<u8> {
        let socket = socket(browser).await;
        socket.send(request).await.unwrap();
        answer(&socket).await
    }

    /// Whether there is no answer: the first one is that to another question, which is asked once this one was heard. It leaves
    /// the browser with an instance for that alone.
    async fn is_silent(browser: &Browser, request: &[u8]) -> bool {
        let socket = socket(browser).await;
        let n_heard = browser.requests().len();
        socket.send(request).await.unwrap();
        while browser.requests().len() == n_heard {
            tokio::task::yield_now().await;
        }
        browser.set_behaviour(Behaviour::Normal);
        browser.set_instances(vec![Instance { name: "AFTERWARDS".to_owned(), ..prod() }]);
        socket.send(b"\x04AFTERWARDS\0").await.unwrap();
        String::from_utf8_lossy(&answer(&socket).await).contains("AFTERWARDS")
    }

    fn browser(instances: Vec<Instance>) -> Browser {
        Browser::start((Ipv4Addr::LOCALHOST, 0).into(), instances).unwrap()
    }

    const PROD: &str = "ServerName;SQL01;InstanceName;PROD;IsClustered;No;Version;16.0.1000.6;tcp;50123;\
                        np;\\\\SQL01\\pipe\\MSSQL$PROD\\sql\\query;;";

    #[tokio::test]
    async fn one_instance_and_the_list() {
        let default = Instance::of(&SqlServerSpec::of("SQL01"));
        let browser = browser(vec![prod(), default]);
        let answer = ask(&browser, b"\x04prod\0").await;
        assert_eq!(answer[0], 0x05);
        assert_eq!(usize::from(u16::from_le_bytes([answer[1], answer[2]])), answer.len() - 3);
        assert_eq!(std::str::from_utf8(&answer[3..]).unwrap(), PROD);
        let answer = ask(&browser, b"\x03").await;
        let list = std::str::from_utf8(&answer[3..]).unwrap();
        let second =
            "ServerName;SQL01;InstanceName;MSSQLSERVER;IsClustered;No;Version;16.0.1000.6;tcp;1433;;";
        assert_eq!(list, format!("{PROD}{second}"));
        assert_eq!(browser.requests().len(), 2);
        assert!(is_silent(&browser, b"\x04other\0").await);
    }

    #[tokio::test]
    async fn admin_port() {
        let browser = browser(vec![Instance { admin_port: Some(1434), ..prod() }]);
        assert_eq!(ask(&browser, b"\x0F\x01PROD\0").await, [5, 6, 0, 1, 0x9A, 0x05]);
    }

    #[tokio::test]
    async fn misbehaviour() {
        let browser = browser(vec![prod()]);
        browser.set_behaviour(Behaviour::Garbage);
        assert_ne!(ask(&browser, b"\x03").await[0], 0x05);
        browser.set_behaviour(Behaviour::Oversize);
        assert!(ask(&browser, b"\x04PROD\0").await.len() > 50_000);
        browser.set_behaviour(Behaviour::Silent);
        assert!(is_silent(&browser, b"\x03").await);
        browser.set_instances(Vec::new());
        assert!(is_silent(&browser, b"\x04PROD\0").await);
    }
}
