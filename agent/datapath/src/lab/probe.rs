//! Servers that say who asked them, and clients that say what they were told.

use super::{Cgroup, Namespace};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(2);

/// Answers each TCP connection and each datagram on a port with `name asked by ADDRESS`.
pub fn serve(namespace: &Namespace, port: u16, name: &str) {
    let any = SocketAddr::from(([0, 0, 0, 0], port));
    let (tcp, udp) = namespace.run(move || (TcpListener::bind(any).unwrap(), UdpSocket::bind(any).unwrap()));
    let (tcp_name, udp_name) = (name.to_owned(), name.to_owned());
    std::thread::spawn(move || {
        while let Ok((mut stream, from)) = tcp.accept() {
            let _ = stream.write_all(format!("{tcp_name} asked by {}", from.ip()).as_bytes());
        }
    });
    std::thread::spawn(move || {
        let mut bytes = [0; 64];
        while let Ok((_, from)) = udp.recv_from(&mut bytes) {
            let _ = udp.send_to(format!("{udp_name} asked by {}", from.ip()).as_bytes(), from);
        }
    });
}

/// What a TCP server says to a client without socket programs: every packet is translated on its way.
pub fn tcp(namespace: &Namespace, to: &str) -> Result<String, String> {
    let to: SocketAddr = to.parse().unwrap();
    namespace.run(move || ask_tcp(to).map(|(text, _)| text))
}

/// The same by UDP; the answer must come from the address asked.
pub fn udp(namespace: &Namespace, to: &str) -> Result<String, String> {
    let to: SocketAddr = to.parse().unwrap();
    namespace.run(move || ask_udp(to))
}

/// By a UDP socket that is connected, which is told of errors.
pub fn udp_connected(namespace: &Namespace, to: &str) -> Result<String, String> {
    let to: SocketAddr = to.parse().unwrap();
    namespace.run(move || ask_udp_connected(to))
}

fn ask_tcp(to: SocketAddr) -> Result<(String, SocketAddr), String> {
    let mut stream =
        TcpStream::connect_timeout(&to, PATIENCE).map_err(|error| format!("{:?}", error.kind()))?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).map_err(|error| format!("{:?}", error.kind()))?;
    Ok((text, stream.peer_addr().unwrap()))
}

/// A socket of the family of who is asked.
fn bind(to: SocketAddr) -> UdpSocket {
    UdpSocket::bind(if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }).unwrap()
}

fn ask_udp(to: SocketAddr) -> Result<String, String> {
    let socket = bind(to);
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let kind = |error: std::io::Error| format!("{:?}", error.kind());
    socket.send_to(b"?", to).map_err(kind)?;
    let mut bytes = [0; 256];
    let (len, from) = socket.recv_from(&mut bytes).map_err(kind)?;
    assert_eq!(from, to, "the answer comes from the address asked");
    Ok(String::from_utf8_lossy(&bytes[..len]).into_owned())
}

/// What servers say to a process of a cgroup, whose sockets are translated. For TCP the peer's address
/// follows, as getpeername shows it.
pub fn in_cgroup(namespace: &Namespace, cgroup: &Cgroup, protocol: &str, to: &str) -> String {
    let netns = std::fs::File::open(namespace.path()).unwrap();
    let procs = cgroup.path.join("cgroup.procs");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "lab::probe::child", "--nocapture", "--test-threads=1"]);
    command.env("KEELSON_PROBE", format!("{protocol} {to}"));
    // SAFETY: between fork and exec only system calls are made: open, write, setns.
    unsafe {
        command.pre_exec(move || {
            std::fs::write(&procs, "0")?;
            nix::sched::setns(&netns, nix::sched::CloneFlags::CLONE_NEWNET).map_err(Into::into)
        });
    }
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text.lines().find_map(|line| line.split_once("PROBE ")).map(|(_, line)| line.to_owned());
    line.unwrap_or_else(|| panic!("no answer: {text}{}", String::from_utf8_lossy(&output.stderr)))
}

/// The process that [`in_cgroup`] starts; nothing without its variable.
#[test]
fn child() {
    let Ok(task) = std::env::var("KEELSON_PROBE") else { return };
    let (protocol, to) = task.split_once(' ').unwrap();
    let to: SocketAddr = to.parse().unwrap();
    let line = match protocol {
        "tcp" => ask_tcp(to).map(|(text, peer)| format!("{text}, peer {peer}")),
        "udp" => ask_udp(to),
        "udp-connected" => ask_udp_connected(to),
        other => panic!("unknown probe {other}"),
    };
    println!("PROBE {}", line.unwrap_or_else(|error| error));
}

fn ask_udp_connected(to: SocketAddr) -> Result<String, String> {
    let socket = bind(to);
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let kind = |error: std::io::Error| format!("{:?}", error.kind());
    socket.connect(to).map_err(kind)?;
    assert_eq!(socket.peer_addr().unwrap(), to, "the socket believes it talks to the service");
    socket.send(b"?").map_err(kind)?;
    let mut bytes = [0; 256];
    let len = socket.recv(&mut bytes).map_err(kind)?;
    Ok(String::from_utf8_lossy(&bytes[..len]).into_owned())
}

/// A TCP stream that is kept open, with an echo at its other end.
pub struct Held {
    stream: TcpStream,
}

impl Held {
    /// Opens a stream from one namespace to an address that leads to a free port of another.
    pub fn open(from: &Namespace, other: &Namespace, to: &str, port: u16) -> Self {
        let any = SocketAddr::from(([0, 0, 0, 0], port));
        let listener = other.run(move || TcpListener::bind(any).unwrap());
        let to: SocketAddr = to.parse().unwrap();
        let stream = from.run(move || TcpStream::connect_timeout(&to, PATIENCE).unwrap());
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        std::thread::spawn(move || {
            let (mut end, _) = listener.accept().unwrap();
            let mut bytes = [0; 256];
            while let Ok(len @ 1..) = end.read(&mut bytes) {
                end.write_all(&bytes[..len]).unwrap();
            }
        });
        Self { stream }
    }

    /// Sends words and expects them back.
    pub fn say(&mut self, words: &str) {
        self.stream.write_all(words.as_bytes()).unwrap();
        let mut back = vec![0; words.len()];
        self.stream.read_exact(&mut back).unwrap_or_else(|error| panic!("{words}: {error}"));
        assert_eq!(back, words.as_bytes());
    }
}

/// Sends a stream that is worth segmenting to everyone who asks at a port, after taking as much from them.
pub fn serve_bulk(namespace: &Namespace, port: u16) {
    let any = SocketAddr::from(([0, 0, 0, 0], port));
    let listener = namespace.run(move || TcpListener::bind(any).unwrap());
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            std::thread::spawn(move || {
                let mut taken = vec![0; BULK];
                stream.read_exact(&mut taken).unwrap();
                stream.write_all(&taken).unwrap();
            });
        }
    });
}

/// Bytes that a bulk stream carries each way.
const BULK: usize = 4 << 20;

/// Whether a bulk stream goes there and comes back whole.
pub fn bulk(namespace: &Namespace, to: &str) -> bool {
    let to: SocketAddr = to.parse().unwrap();
    namespace.run(move || {
        let mut stream = TcpStream::connect_timeout(&to, PATIENCE).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let sent: Vec<u8> = (0..BULK).map(|index| (index / 7) as u8).collect();
        let mut back = vec![0; BULK];
        stream.write_all(&sent).is_ok() && stream.read_exact(&mut back).is_ok() && back == sent
    })
}

/// A UDP socket that keeps its port.
pub struct Datagrams {
    socket: UdpSocket,
    to: SocketAddr,
}

impl Datagrams {
    pub fn open(namespace: &Namespace, to: &str) -> Self {
        let to = to.parse().unwrap();
        let socket = namespace.run(move || bind(to));
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, to }
    }

    pub fn ask(&self) -> Result<String, String> {
        let kind = |error: std::io::Error| format!("{:?}", error.kind());
        self.socket.send_to(b"?", self.to).map_err(kind)?;
        let mut bytes = [0; 256];
        let (len, _) = self.socket.recv_from(&mut bytes).map_err(kind)?;
        Ok(String::from_utf8_lossy(&bytes[..len]).into_owned())
    }
}

/// Sends one datagram and waits until it must have arrived.
pub fn send(namespace: &Namespace, to: &str, bytes: Vec<u8>) {
    let to: SocketAddr = to.parse().unwrap();
    namespace.run(move || bind(to).send_to(&bytes, to).unwrap());
    std::thread::sleep(Duration::from_millis(50));
}

/// Sends each datagram on a port back.
pub fn serve_echo(namespace: &Namespace, port: u16) {
    let any = SocketAddr::from(([0, 0, 0, 0], port));
    let socket = namespace.run(move || UdpSocket::bind(any).unwrap());
    std::thread::spawn(move || {
        let mut bytes = vec![0; 65_536];
        while let Ok((len, from)) = socket.recv_from(&mut bytes) {
            let _ = socket.send_to(&bytes[..len], from);
        }
    });
}

/// Whether a datagram comes back as it was sent, from the address asked.
pub fn echo(namespace: &Namespace, to: &str, len: usize) -> Result<(), String> {
    let to: SocketAddr = to.parse().unwrap();
    namespace.run(move || {
        let socket = bind(to);
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let kind = |error: std::io::Error| format!("{:?}", error.kind());
        // May be cut on its way: discovery of the path's limit would forbid that.
        let never: libc::c_int = libc::IP_PMTUDISC_DONT;
        // SAFETY: the kernel reads one number.
        let set = unsafe {
            let (value, size) = ((&raw const never).cast(), size_of::<libc::c_int>() as libc::socklen_t);
            libc::setsockopt(
                std::os::fd::AsRawFd::as_raw_fd(&socket),
                libc::IPPROTO_IP,
                libc::IP_MTU_DISCOVER,
                value,
                size,
            )
        };
        assert_eq!(set, 0);
        let sent: Vec<u8> = (0..len).map(|index| (index / 3) as u8).collect();
        socket.send_to(&sent, to).map_err(kind)?;
        let mut back = vec![0; len + 1];
        let (got, from) = socket.recv_from(&mut back).map_err(kind)?;
        if from == to && back[..got] == sent { Ok(()) } else { Err(format!("{got} bytes from {from}")) }
    })
}

/// Whether an interface is said to compute checksums of what it sends.
pub fn set_tx_checksums(namespace: &Namespace, interface: &str, on: bool) {
    /// include/uapi/linux/ethtool.h and sockios.h.
    const ETHTOOL_STXCSUM: u32 = 0x17;
    const SIOCETHTOOL: libc::c_ulong = 0x8946;
    #[repr(C)]
    struct Value {
        command: u32,
        data: u32,
    }
    #[repr(C)]
    struct Request {
        name: [u8; 16],
        data: *mut Value,
        rest: [u8; 16],
    }
    let mut name = [0; 16];
    name[..interface.len()].copy_from_slice(interface.as_bytes());
    namespace.run(move || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        let mut value = Value { command: ETHTOOL_STXCSUM, data: u32::from(on) };
        let mut request = Request { name, data: &raw mut value, rest: [0; 16] };
        let fd = std::os::fd::AsRawFd::as_raw_fd(&socket);
        // SAFETY: both structs are as the kernel has them and live as long as the call.
        let result = unsafe { libc::ioctl(fd, SIOCETHTOOL, &raw mut request) };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    });
}
