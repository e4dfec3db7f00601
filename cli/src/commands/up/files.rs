//! What `keelson up` stands for, as ordinary configuration files. One that is there already is its owner's and used as
//! it is; a flag that says otherwise is refused and not ignored.

use crate::arguments::Up;
use anyhow::{Context, Result, bail};
use keelson_agent::config::{AgentConfig, DatapathMode};
use keelson_server::{Flags, ServerConfig};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};

const CONFIG_DIR: &str = "/etc/keelson";
const STATE: &str = "/var/lib/keelson";

/// Where everything is.
pub struct Files {
    pub server: PathBuf,
    pub agent: PathBuf,
    /// Where the server, which is not root, writes the administrator's kubeconfig.
    pub servers_kubeconfig: PathBuf,
    /// Where users find it.
    pub kubeconfig: PathBuf,
    /// Where the API is reached.
    pub api: SocketAddr,
    /// The node's state folder, with the server's below it.
    pub state: PathBuf,
}

impl Files {
    /// Writes what is not there, and checks that the flags do not contradict what is.
    pub fn write(arguments: &Up) -> Result<Self> {
        let dir = Path::new(CONFIG_DIR);
        fs::create_dir_all(dir).with_context(|| format!("cannot make {CONFIG_DIR}"))?;
        let (server, agent) = (dir.join("server.yaml"), dir.join("agent.yaml"));
        let (has_server, has_agent) = (server.exists(), agent.exists());
        if !has_server || !has_agent {
            let address = arguments.address.map_or_else(default_address, Ok)?;
            let (for_server, for_agent) = texts(arguments, address);
            write_new(&server, has_server, &for_server)?;
            write_new(&agent, has_agent, &for_agent)?;
        }
        let found = AgentConfig::load(&agent)?;
        let of_server = ServerConfig::load(Some(&server), Flags::default())?;
        if let Some(wrong) = contradiction(arguments, &of_server, &found) {
            bail!("{wrong}; change it in {CONFIG_DIR}, or leave the flag out");
        }
        let address = of_server.advertise_address.map_or_else(default_address, Ok)?;
        Ok(Self {
            server,
            agent,
            servers_kubeconfig: of_server.admin_kubeconfig,
            kubeconfig: dir.join("admin.kubeconfig"),
            api: SocketAddr::new(address, of_server.secure_port),
            state: found.state_dir,
        })
    }
}

/// The first flag that says something else than the files do.
fn contradiction(arguments: &Up, server: &ServerConfig, agent: &AgentConfig) -> Option<String> {
    if let Some(address) = arguments.address.filter(|address| server.advertise_address != Some(*address)) {
        let found = server.advertise_address.map_or_else(|| "not set".to_owned(), |found| found.to_string());
        return Some(format!("--address is {address}, and advertiseAddress in server.yaml is {found}"));
    }
    if let Some(state) = arguments.state.as_ref().filter(|state| **state != agent.state_dir) {
        let (state, found) = (state.display(), agent.state_dir.display());
        return Some(format!("--state is {state}, and stateDir in agent.yaml is {found}"));
    }
    let mode = arguments.datapath.as_deref().filter(|mode| *mode != name(agent.datapath))?;
    Some(format!("--datapath is {mode}, and datapath in agent.yaml is {}", name(agent.datapath)))
}

fn name(mode: DatapathMode) -> &'static str {
    match mode {
        DatapathMode::Auto => "auto",
        DatapathMode::Ebpf => "ebpf",
        DatapathMode::Iptables => "iptables",
    }
}

/// The server's configuration and the agent's.
fn texts(arguments: &Up, address: IpAddr) -> (String, String) {
    let state = arguments.state.as_deref().unwrap_or(Path::new(STATE));
    let of_server = state.join("server");
    // A JSON string is a YAML string, whatever is in it.
    let quoted = |path: &Path| serde_json::Value::from(path.display().to_string());
    let head = "apiVersion: keelson.dev/v1alpha1\nkind: ";
    let server = format!(
        "{head}ServerConfig\nstateDir: {}\nadvertiseAddress: \"{address}\"\nadminKubeconfig: {}\n",
        quoted(&of_server),
        quoted(&of_server.join("admin.kubeconfig")),
    );
    let agent = format!(
        "{head}AgentConfig\nserver: https://{}\ntokenFile: {}\nnodeIP: \"{address}\"\nstateDir: {}\ndatapath: {}\n",
        SocketAddr::new(address, 6443),
        quoted(&of_server.join("join-token")),
        quoted(state),
        arguments.datapath.as_deref().unwrap_or("auto"),
    );
    (server, agent)
}

fn write_new(file: &Path, exists: bool, text: &str) -> Result<()> {
    if exists {
        eprintln!("==> {} exists and is used as it is", file.display());
        return Ok(());
    }
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// The address that this machine would speak to others with.
fn default_address() -> Result<IpAddr> {
    // Connecting a UDP socket sends nothing: it only asks the routing table. The address is one of TEST-NET-1.
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket
        .connect((Ipv4Addr::new(192, 0, 2, 1), 9))
        .and_then(|()| socket.local_addr())
        .map(|address| address.ip())
        .context("this machine has no default route to tell its address by; say it with --address")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up(address: Option<&str>, state: Option<&str>, datapath: Option<&str>) -> Up {
        Up {
            address: address.map(|text| text.parse().unwrap()),
            state: state.map(PathBuf::from),
            datapath: datapath.map(str::to_owned),
        }
    }

    fn written(arguments: &Up) -> (ServerConfig, AgentConfig) {
        let (server, agent) = texts(arguments, arguments.address.unwrap_or("10.0.0.7".parse().unwrap()));
        (ServerConfig::from_yaml(&server).unwrap(), AgentConfig::parse("agent.yaml", &agent).unwrap())
    }

    #[test]
    fn what_is_written_is_what_was_asked_for() {
        let (server, agent) = written(&up(None, None, None));
        assert_eq!(server.state_dir, Path::new("/var/lib/keelson/server"));
        assert!(server.admin_kubeconfig.starts_with(&server.state_dir), "the server can write it");
        assert_eq!(agent.token_file.as_deref(), Some(Path::new("/var/lib/keelson/server/join-token")));
        assert_eq!((agent.server.as_str(), agent.datapath), ("https://10.0.0.7:6443", DatapathMode::Auto));
        let (server, agent) = written(&up(Some("fd00::7"), Some("/srv/a: b"), Some("iptables")));
        assert_eq!(server.state_dir, Path::new("/srv/a: b/server"));
        assert_eq!((agent.state_dir, agent.datapath), ("/srv/a: b".into(), DatapathMode::Iptables));
        assert_eq!(agent.server, "https://[fd00::7]:6443");
    }

    #[test]
    fn a_flag_is_not_ignored() {
        let (server, agent) = written(&up(Some("10.0.0.7"), None, None));
        let check = |arguments: &Up, wanted: Option<&str>| {
            assert_eq!(contradiction(arguments, &server, &agent).as_deref(), wanted);
        };
        check(&up(None, None, None), None);
        check(&up(Some("10.0.0.7"), Some(STATE), Some("auto")), None);
        check(
            &up(Some("10.0.0.8"), None, None),
            Some("--address is 10.0.0.8, and advertiseAddress in server.yaml is 10.0.0.7"),
        );
        check(
            &up(None, Some("/srv"), None),
            Some("--state is /srv, and stateDir in agent.yaml is /var/lib/keelson"),
        );
        check(&up(None, None, Some("ebpf")), Some("--datapath is ebpf, and datapath in agent.yaml is auto"));
    }
}
