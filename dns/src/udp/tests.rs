//! The loop on real sockets: cluster names answered here, others by an upstream server that is a second loop.

use super::*;
use crate::records::Records;
use crate::zone::Source;
use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::{Name as DnsName, RecordType};
use std::net::{IpAddr, Ipv4Addr};

/// A running loop on an address of the loopback network.
struct Server {
    address: SocketAddr,
    ending: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    /// One that knows nothing but its zone.
    fn upstream(ip: IpAddr, zone: Zone) -> Self {
        let (nowhere, _jobs) = mpsc::channel(1);
        Self::start(ip, zone, nowhere)
    }

    fn start(ip: IpAddr, zone: Zone, upstream: mpsc::Sender<Job>) -> Self {
        let socket = open(SocketAddr::new(ip, 53)).unwrap();
        let address = socket.local_addr().unwrap();
        let ending = Arc::new(AtomicBool::new(false));
        let flag = ending.clone();
        let thread = std::thread::spawn(move || run(socket, &zone, &upstream, &flag));
        Self { address, ending, thread: Some(thread) }
    }

    fn ask(&self, name: &str) -> Message {
        let mut message = Message::query();
        message.add_query(Query::query(DnsName::from_ascii(name).unwrap(), RecordType::A));
        let socket = UdpSocket::bind((self.address.ip(), 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket.send_to(&message.to_vec().unwrap(), self.address).unwrap();
        let mut bytes = [0; 1500];
        let (length, peer) = socket.recv_from(&mut bytes).unwrap();
        assert_eq!(peer, self.address, "the reply comes from where the question went");
        let reply = Message::from_vec(&bytes[..length]).unwrap();
        assert_eq!(reply.metadata.id, message.metadata.id);
        reply
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// A zone with one address.
fn zone(domain: &str, name: &str, address: &str) -> Zone {
    let zone = Zone::new(domain, "10.96.0.10".parse().unwrap()).unwrap();
    let mut records = Records::default();
    records.add_address(address.parse().unwrap());
    zone.set(Source::Namespace("test".to_owned()), vec![(Name::parse(name).unwrap(), records)]);
    zone.set_synced(true);
    zone
}

fn addresses(reply: &Message) -> Vec<String> {
    reply.answers.iter().map(|record| record.data.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cluster_names_and_others() {
    let [own, up] = [71, 72].map(|last| IpAddr::V4(Ipv4Addr::new(127, 53, 0, last)));
    let upstream = Server::upstream(up, zone("example.org", "www.example.org", "192.0.2.7"));

    let file = std::env::temp_dir().join(format!("keelson-dns-resolv-{}", std::process::id()));
    std::fs::write(&file, format!("nameserver {own}\nnameserver {up}\n")).unwrap();
    let forwarder = Arc::new(Forwarder::from_resolv_conf(&file, own));
    std::fs::remove_file(&file).unwrap();
    let (jobs, queue) = mpsc::channel(16);
    let forwarding = tokio::spawn(forward_all(queue, forwarder));
    let server = Server::start(own, zone("cluster.local", "web.cluster.local", "10.96.0.5"), jobs);

    let check = |name: &str, rcode: ResponseCode, expected: &[&str]| {
        let reply = server.ask(name);
        assert_eq!(reply.metadata.response_code, rcode, "{name}");
        assert_eq!(addresses(&reply), expected, "{name}");
    };
    tokio::task::block_in_place(|| {
        check("web.cluster.local.", ResponseCode::NoError, &["10.96.0.5"]);
        check("no.cluster.local.", ResponseCode::NXDomain, &[]);
        check("www.example.org.", ResponseCode::NoError, &["192.0.2.7"]);
        check("no.example.org.", ResponseCode::NXDomain, &[]);
        drop(upstream);
        check("www.example.org.", ResponseCode::NoError, &["192.0.2.7"]);
    });
    drop(server);
    forwarding.await.unwrap();
}

/// The file is the machine's: what it says is followed, and what it says amid being written is not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_upstream_servers() {
    let [own, first, second] = [73, 74, 75].map(|last| IpAddr::V4(Ipv4Addr::new(127, 53, 0, last)));
    let file = std::env::temp_dir().join(format!("keelson-dns-follow-{}", std::process::id()));
    // Before the network is there.
    let forwarder = Arc::new(Forwarder::from_resolv_conf(&file, own));
    let (jobs, queue) = mpsc::channel(16);
    let forwarding = tokio::spawn(forward_all(queue, Arc::clone(&forwarder)));
    let server = Server::start(own, zone("cluster.local", "web.cluster.local", "10.96.0.5"), jobs);
    let upstreams = [(first, "192.0.2.1"), (second, "192.0.2.2")]
        .map(|(ip, address)| Server::upstream(ip, zone("example.org", "www.example.org", address)));
    let check = |text: &str, rcode: ResponseCode, expected: &[&str]| {
        std::fs::write(&file, text).unwrap();
        forwarder.refresh();
        let reply = server.ask("www.example.org.");
        assert_eq!(
            (reply.metadata.response_code, addresses(&reply)),
            (rcode, expected.iter().map(|a| (*a).to_owned()).collect()),
            "{text}"
        );
    };
    tokio::task::block_in_place(|| {
        check(&format!("nameserver {own}\n"), ResponseCode::ServFail, &[]);
        check(&format!("nameserver {first}\n"), ResponseCode::NoError, &["192.0.2.1"]);
        check("", ResponseCode::NoError, &["192.0.2.1"]);
        check(
            &format!("search a.b\nnameserver {own}\nnameserver {second}\n"),
            ResponseCode::NoError,
            &["192.0.2.2"],
        );
        std::fs::remove_file(&file).unwrap();
    });
    drop((server, upstreams));
    forwarding.await.unwrap();
}
