//! Cases of the cork: what goes out together, what does not wait, and peers that are slow or gone.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};
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

#[tokio::test]
async fn streams_that_were_woken_together_write_together() {
    const STREAMS: usize = 20;
    let (corked, cork) = cork(Slow::new(usize::MAX));
    let corked = Arc::new(tokio::sync::Mutex::new(corked));
    // Each stream of a connection is a task; it hands its frame over and wakes the connection, as HTTP/2 does.
    let (event, handed) = (Arc::new(Notify::new()), Arc::new((Notify::new(), AtomicUsize::new(0))));
    let waiting: Vec<_> = (0..STREAMS)
        .map(|_| {
            let (event, handed) = (Arc::clone(&event), Arc::clone(&handed));
            let woken = Arc::clone(&event).notified_owned();
            drop(event);
            tokio::spawn(async move {
                woken.await;
                handed.1.fetch_add(1, Ordering::Relaxed);
                handed.0.notify_one();
            })
        })
        .collect();
    tokio::task::yield_now().await;
    event.notify_waiters();
    let mut written = 0;
    cork.run(async {
        while written < STREAMS {
            handed.0.notified().await;
            for _ in 0..handed.1.swap(0, Ordering::Relaxed) {
                corked.lock().await.write_all(&[7; 100]).await.unwrap();
                written += 1;
            }
        }
        // As a connection that stays open.
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
    })
    .await;
    for stream in waiting {
        stream.await.unwrap();
    }
    let writes: Vec<_> = cork.0.lock().writes.iter().map(Vec::len).collect();
    assert_eq!(writes, [100 * STREAMS]);
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
    cork.run(async {
        corked.write_all(b"anybody?").await.unwrap();
        std::future::pending::<()>().await;
    })
    .await;
}
