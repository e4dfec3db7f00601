//! Cases of the cork: what goes out together, what does not wait, and peers that are slow or gone.

use super::*;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

/// Bytes that [`Slow`] holds at most.
const ROOM: usize = 64 * 1024;

/// A stream that counts its writes and takes at most `takes` bytes in each; full every other time.
struct Slow {
    held: Vec<u8>,
    writes: Vec<Vec<u8>>,
    takes: usize,
    full: bool,
}

impl Slow {
    fn new(takes: usize) -> Self {
        Self { held: Vec::new(), writes: Vec::new(), takes, full: false }
    }
}

impl Hold for Slow {
    fn hold(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        let before = self.held.len();
        for part in parts {
            let room = ROOM - self.held.len();
            self.held.extend_from_slice(&part[..part.len().min(room)]);
        }
        Ok(self.held.len() - before)
    }

    fn holds(&self) -> bool {
        !self.held.is_empty()
    }
}

impl AsyncRead for Slow {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl AsyncWrite for Slow {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        unreachable!("everything that is written is held first")
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            self.full = !self.full && self.takes < usize::MAX;
            if self.full {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            let count = self.held.len().min(self.takes);
            let taken = self.held.drain(..count).collect();
            self.writes.push(taken);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Bursts of frames of these lengths, each a frame after a turn that some other task had; the writes that come of it.
async fn check(takes: usize, bursts: &[&[usize]], want_writes: &[usize]) {
    let (mut corked, cork) = cork(Slow::new(takes));
    let (mut sent, mut next) = (Vec::new(), 0u8);
    cork.run(async {
        for burst in bursts {
            for length in *burst {
                let frame = vec![next; *length];
                corked.write_all(&frame).await.unwrap();
                corked.flush().await.unwrap();
                sent.extend(frame);
                next += 1;
            }
            // Two turns: the one that is waited for, and the one in which everything goes out.
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
        }
        corked.shutdown().await.unwrap();
    })
    .await;
    let stream = cork.0.lock();
    assert_eq!(stream.writes.concat(), sent, "{bursts:?}");
    if takes == usize::MAX {
        let writes: Vec<_> = stream.writes.iter().map(Vec::len).collect();
        assert_eq!(writes, want_writes, "{bursts:?}");
    }
}

#[tokio::test]
async fn a_turn_is_one_write() {
    let all = usize::MAX;
    check(all, &[&[9, 1500, 9, 1500], &[9], &[]], &[3018, 9]).await;
    // No more is held than there is room for.
    check(all, &[&[ROOM - 1, 9, 20]], &[ROOM, 28]).await;
    check(all, &[&[3 * ROOM]], &[ROOM, ROOM, ROOM]).await;
    // A peer that takes little at a time gets everything in order.
    for takes in [7, 1000] {
        check(takes, &[&[9, 1500, 9], &[3, ROOM], &[5]], &[]).await;
    }
}

/// One worker, as it runs a task that was woken before those that wait already.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn streams_that_were_woken_together_write_together() {
    const STREAMS: usize = 20;
    let (mut corked, cork) = cork(Slow::new(usize::MAX));
    let event = Arc::new(Notify::new());
    // Each stream of a connection is a task; it hands its frame over and wakes the connection, as HTTP/2 does.
    let (hand_over, mut handed) = tokio::sync::mpsc::channel(STREAMS);
    for _ in 0..STREAMS {
        let (woken, hand_over) = (Arc::clone(&event).notified_owned(), hand_over.clone());
        tokio::spawn(async move {
            woken.await;
            hand_over.try_send([7; 100]).unwrap();
        });
    }
    let connection = tokio::spawn(async move {
        cork.run(async {
            for _ in 0..STREAMS {
                corked.write_all(&handed.recv().await.unwrap()).await.unwrap();
            }
            // It stays open for as long as it would wait.
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
        })
        .await;
        let stream = cork.0.lock();
        stream.writes.iter().map(Vec::len).collect::<Vec<_>>()
    });
    tokio::spawn(async move { event.notify_waiters() });
    assert_eq!(connection.await.unwrap(), [100 * STREAMS]);
}

/// Both ends of a connection with TLS over a pipe of `room` bytes.
async fn tls(
    room: usize,
) -> (TlsStream<tokio::io::DuplexStream>, tokio_rustls::client::TlsStream<tokio::io::DuplexStream>) {
    let key = rcgen::generate_simple_self_signed(["server".to_owned()]).unwrap();
    let certificate = super::super::tls::ServerCertificate::from_pem(
        key.cert.pem().as_bytes(),
        key.signing_key.serialize_pem().as_bytes(),
    );
    let mut roots = rustls::RootCertStore::empty();
    roots.add(key.cert.der().clone()).unwrap();
    let config = rustls::ClientConfig::builder_with_provider(super::super::tls::provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let acceptor = tokio_rustls::TlsAcceptor::from(super::super::tls::server_config(certificate.unwrap()));
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let (here, there) = tokio::io::duplex(room);
    let name = "server".try_into().unwrap();
    let (server, client) = tokio::join!(acceptor.accept(here), connector.connect(name, there));
    (server.unwrap(), client.unwrap())
}

#[tokio::test]
async fn much_goes_through_a_narrow_pipe_both_ways() {
    let (server, mut client) = tls(1000).await;
    let (mut corked, cork) = cork(server);
    let serve = async {
        let mut asked = [0; 5];
        corked.read_exact(&mut asked).await.unwrap();
        assert_eq!(&asked, b"hello");
        for n in 0..40u8 {
            corked.write_all(&vec![n; 10_000]).await.unwrap();
        }
        corked.shutdown().await.unwrap();
    };
    let ask = async {
        client.write_all(b"hello").await.unwrap();
        client.flush().await.unwrap();
        let mut read = Vec::new();
        client.read_to_end(&mut read).await.unwrap();
        read
    };
    let (read, ()) = tokio::join!(ask, cork.run(serve));
    let want: Vec<u8> = (0..40u8).flat_map(|n| vec![n; 10_000]).collect();
    assert!(read == want, "{} of {} bytes", read.len(), want.len());
}

#[tokio::test]
async fn a_broken_peer_ends_the_connection() {
    let (server, client) = tls(100_000).await;
    let (mut corked, cork) = cork(server);
    drop(client);
    let connection = cork.run(async {
        corked.write_all(b"anybody?").await.unwrap();
        std::future::pending::<()>().await;
    });
    tokio::time::timeout(Duration::from_secs(10), connection).await.expect("the connection ends");
}

/// A connection as it is, of which only the end matters.
struct Plain(tokio::net::TcpStream);

impl Hold for Plain {
    fn hold(&mut self, _: &[IoSlice<'_>]) -> io::Result<usize> {
        unreachable!("nothing is written through it")
    }

    fn holds(&self) -> bool {
        false
    }
}

impl AsyncRead for Plain {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Plain {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        unreachable!("nothing is written through it")
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A peer that still speaks when the server has ended, and reads late, as one that acknowledges frames does.
#[tokio::test]
async fn who_lingers_is_heard_to_the_end() {
    const BYTES: usize = 2 << 20;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut peer = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (mut server, _) = listener.accept().await.unwrap();
    let served = tokio::spawn(async move {
        server.write_all(&vec![7; BYTES]).await.unwrap();
        server.shutdown().await.unwrap();
        cork(Plain(server)).1.linger(Duration::from_secs(10)).await;
    });
    peer.write_all(b"an acknowledgement").await.unwrap();
    let mut heard = vec![0; BYTES / 2];
    peer.read_exact(&mut heard).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    peer.write_all(b"another").await.unwrap();
    heard.clear();
    peer.read_to_end(&mut heard).await.expect("no reset");
    assert_eq!(heard.len(), BYTES / 2);
    drop(peer);
    tokio::time::timeout(Duration::from_secs(5), served).await.expect("the peer's end ends it").unwrap();
}
