//! Packets from a host of the cluster's underlay.

use super::cluster::TestCluster;
use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;
use xtask::cluster::in_netns;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Runs a program in the network of a host (`client`, `server`, `node1` ...); stdout, or what went wrong.
pub fn in_host(cluster: &TestCluster, host: &str, program: &str, args: &[&str]) -> Result<String, String> {
    let path = xtask::run::which(program).ok_or_else(|| format!("{program} is not installed"))?;
    let output = in_netns(&cluster.names.netns_path(host), Path::new(&path))
        .args(args)
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// The body of a 200 to a GET of `http://ADDRESS:PORT/PATH`, as `host` gets it.
pub fn http_get(cluster: &TestCluster, host: &str, url: &str) -> Result<String, String> {
    let rest = url.strip_prefix("http://").ok_or("the URL is not http")?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let request = request(authority, path);
    let netns = cluster.names.netns_path(host);
    let reply = inside(&netns, || exchange(authority, &request)).map_err(|error| error.to_string())?;
    match reply.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200 ") => Ok(body.to_owned()),
        _ => Err(format!("not a 200: {reply}")),
    }
}

/// Takes connections and sends datagrams back on a port of a host, until the test ends.
pub fn serve_echo(cluster: &TestCluster, host: &str, port: u16) {
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    let bound =
        inside(&cluster.names.netns_path(host), || Ok((TcpListener::bind(any)?, UdpSocket::bind(any)?)));
    let (tcp, udp) = bound.expect("the port is free");
    std::thread::spawn(move || while tcp.accept().is_ok() {});
    std::thread::spawn(move || {
        let mut bytes = [0; 2048];
        while let Ok((len, from)) = udp.recv_from(&mut bytes) {
            let _ = udp.send_to(&bytes[..len], from);
        }
    });
}

/// Sends datagrams from a host, one packet each.
pub fn send_datagrams(cluster: &TestCluster, host: &str, to: SocketAddr, count: u64) {
    let sent = inside(&cluster.names.netns_path(host), || {
        let socket = UdpSocket::bind(SocketAddr::from(([0, 0, 0, 0], 0)))?;
        (0..count).try_for_each(|_| socket.send_to(b"x", to).map(drop))
    });
    sent.expect("datagrams can be sent");
}

/// A GET of `/PATH`.
pub(super) fn request(authority: &str, path: &str) -> String {
    format!("GET /{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n")
}

pub(super) fn exchange(authority: &str, request: &str) -> io::Result<String> {
    let address = authority.parse().map_err(io::Error::other)?;
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(request.as_bytes())?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    Ok(reply)
}

/// Runs `work` on a thread of its own that is in the network namespace at `netns`.
fn inside<T: Send>(netns: &Path, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let entered = scope.spawn(|| {
            setns(File::open(netns)?, CloneFlags::CLONE_NEWNET)?;
            work()
        });
        entered.join().unwrap_or_else(|_| Err(io::Error::other("the thread panicked")))
    })
}
