//! The DNS server of a node, put together.

use crate::feed;
use crate::forward::Forwarder;
use crate::tcp::Handler;
use crate::udp::{self, UPSTREAM_MAX};
use crate::zone::Zone;
use hickory_server::Server;
use keelson_client::Client;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// How long a TCP client may be silent.
const TCP_TIMEOUT: Duration = Duration::from_secs(10);
/// Replies that may wait for a slow TCP client.
const TCP_REPLIES: usize = 64;

/// What a node's DNS server needs to know.
#[derive(Clone, Debug)]
pub struct DnsConfig {
    /// The cluster DNS address; it must be on an interface of this node already.
    pub address: IpAddr,
    /// 53, but in tests.
    pub port: u16,
    /// The cluster's domain, such as `cluster.local`.
    pub domain: String,
    /// Where the servers for all other names stand.
    pub resolv_conf: PathBuf,
    /// UDP threads.
    pub threads: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    #[error("clusterDomain {0:?} is no domain name")]
    Domain(String),
    #[error("cannot listen on {address} for DNS: {source}{}", hint(.source))]
    Listen { address: SocketAddr, source: io::Error },
    #[error("cannot start a DNS thread: {0}")]
    Thread(io::Error),
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; another DNS server has the port: stop it, or let it not listen on every address"
        }
        io::ErrorKind::AddrNotAvailable => "; the address is not on any interface of this node",
        _ => "",
    }
}

/// A running DNS server.
pub struct Dns {
    zone: Arc<Zone>,
    ending: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    tasks: JoinSet<()>,
    tcp: Server<Handler>,
}

impl Dns {
    /// Starts to answer at once: SERVFAIL for what is not known until the view is in sync.
    pub async fn start(config: DnsConfig, client: Client) -> Result<Self, DnsError> {
        let zone = Zone::new(&config.domain, config.address)
            .ok_or_else(|| DnsError::Domain(config.domain.clone()))?;
        let zone = Arc::new(zone);
        let forwarder = Arc::new(Forwarder::from_resolv_conf(&config.resolv_conf, config.address));
        let address = SocketAddr::new(config.address, config.port);
        let listen = |source| DnsError::Listen { address, source };

        let listener = tokio::net::TcpListener::bind(address).await.map_err(listen)?;
        let mut tcp = Server::new(Handler::new(zone.clone(), forwarder.clone()));
        tcp.register_listener(listener, TCP_TIMEOUT, TCP_REPLIES);

        let (upstream, jobs) = mpsc::channel(UPSTREAM_MAX);
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&forwarder).follow());
        tasks.spawn(udp::forward_all(jobs, forwarder));
        tasks.spawn(feed::run(client, zone.clone()));

        let ending = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for index in 0..config.threads.max(1) {
            let socket = udp::open(address).map_err(listen)?;
            let (zone, upstream, ending) = (zone.clone(), upstream.clone(), ending.clone());
            let thread = std::thread::Builder::new()
                .name(format!("dns-{index}"))
                .spawn(move || udp::run(socket, &zone, &upstream, &ending))
                .map_err(DnsError::Thread)?;
            threads.push(thread);
        }
        Ok(Self { zone, ending, threads, tasks, tcp })
    }

    /// Whether its view of the cluster is in sync.
    pub fn is_synced(&self) -> bool {
        self.zone.is_synced()
    }

    /// Stops answering.
    pub async fn shutdown(mut self) {
        self.ending.store(true, Ordering::Relaxed);
        self.tasks.abort_all();
        let _ = self.tcp.shutdown_gracefully().await;
        for thread in self.threads {
            // It ends within its read timeout; a panic in it was logged where it happened.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}
