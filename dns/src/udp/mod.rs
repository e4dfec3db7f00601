//! The UDP loop: one thread per socket, batches in and out, answers of the cluster without a task or a lock held
//! while waiting. What must be asked for upstream is handed to the runtime over a bounded channel.

mod batch;

use crate::answer::{Outcome, Transport, answer, servfail};
use crate::forward::Forwarder;
use crate::wire::name::Name;
use crate::wire::query::{Parsed, parse};
use crate::wire::reply::udp_limit;
use crate::zone::Zone;
use batch::Batch;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};

/// How often a silent loop looks whether it should end.
const LOOK: Duration = Duration::from_millis(200);
/// Questions on their way upstream; what comes beyond fails at once, so that memory stays bounded.
pub const UPSTREAM_MAX: usize = 1000;

/// A question for upstream.
pub struct Job {
    request: Vec<u8>,
    behind: Vec<Name>,
    peer: SocketAddr,
    socket: Arc<UdpSocket>,
}

/// Opens a socket that shares its address with those of other threads.
pub fn open(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_port(true)?;
    socket.set_read_timeout(Some(LOOK))?;
    socket.bind(&SockAddr::from(address))?;
    Ok(socket.into())
}

/// Answers until `ending` is set.
pub fn run(socket: UdpSocket, zone: &Zone, upstream: &mpsc::Sender<Job>, ending: &AtomicBool) {
    let socket = Arc::new(socket);
    let mut batch = Batch::new();
    let mut rotation = 0_usize;
    while !ending.load(Ordering::Relaxed) {
        if let Err(error) = batch.receive(&socket) {
            if !is_transient(&error) {
                tracing::error!(%error, "the DNS socket is broken");
                return;
            }
            continue;
        }
        batch.answer(|request, peer, buffer| {
            rotation = rotation.wrapping_add(1);
            match answer(zone, request, Transport::Udp, rotation, buffer) {
                Outcome::Reply => true,
                Outcome::Drop => false,
                Outcome::Forward { behind } => {
                    let job = Job { request: request.to_vec(), behind, peer, socket: socket.clone() };
                    upstream.try_send(job).is_err() && servfail(request, buffer)
                }
            }
        });
        // Replies are best effort: a client that has gone is no error of ours.
        let _ = batch.send(&socket);
    }
}

fn is_transient(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, Interrupted, TimedOut, WouldBlock};
    [WouldBlock, TimedOut, Interrupted, ConnectionRefused].contains(&error.kind())
}

/// Asks upstream, so many at a time, and sends the replies from the socket that the question came to.
pub async fn forward_all(mut jobs: mpsc::Receiver<Job>, forwarder: Arc<Forwarder>) {
    let slots = Arc::new(Semaphore::new(UPSTREAM_MAX));
    while let Some(job) = jobs.recv().await {
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        let forwarder = forwarder.clone();
        tokio::spawn(async move {
            if let Some(reply) = forward(&forwarder, &job).await {
                let _ = job.socket.send_to(&reply, job.peer);
            }
            drop(slot);
        });
    }
}

async fn forward(forwarder: &Forwarder, job: &Job) -> Option<Vec<u8>> {
    let Parsed::Query(query) = parse(&job.request) else { return None };
    let limit = udp_limit(&query);
    let reply = forwarder.answer(&job.request, &job.behind).await;
    let mut bytes = Vec::new();
    let Some(mut reply) = reply else {
        return servfail(&job.request, &mut bytes).then_some(bytes);
    };
    bytes = reply.to_vec().ok()?;
    if bytes.len() > limit {
        // Nothing but the sign to ask again over TCP.
        reply.answers.clear();
        reply.authorities.clear();
        reply.additionals.clear();
        reply.metadata.truncation = true;
        bytes = reply.to_vec().ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;
