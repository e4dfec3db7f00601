//! Many datagrams per system call: recvmmsg(2) and sendmmsg(2).

use socket2::SockAddr;
use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

/// Datagrams per call.
const SLOTS: usize = 32;
/// The largest query that is taken; longer ones arrive cut off and are refused as malformed.
const QUERY_BYTES: usize = 1500;

/// A datagram's place.
struct Slot {
    request: [u8; QUERY_BYTES],
    length: usize,
    peer: libc::sockaddr_storage,
    peer_length: libc::socklen_t,
    reply: Vec<u8>,
    has_reply: bool,
}

/// Buffers that are used again for every batch.
pub struct Batch {
    slots: Vec<Slot>,
    filled: usize,
}

impl Batch {
    pub fn new() -> Self {
        let slot = || Slot {
            request: [0; QUERY_BYTES],
            length: 0,
            // SAFETY: all-zero is a valid sockaddr_storage (family AF_UNSPEC).
            peer: unsafe { zeroed() },
            peer_length: 0,
            reply: Vec::with_capacity(1232),
            has_reply: false,
        };
        Self { slots: (0..SLOTS).map(|_| slot()).collect(), filled: 0 }
    }

    /// Waits for at least one datagram and takes what else is there.
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<()> {
        self.filled = 0;
        let mut vectors = [EMPTY_VECTOR; SLOTS];
        let mut headers = empty_headers();
        for ((slot, vector), header) in self.slots.iter_mut().zip(&mut vectors).zip(&mut headers) {
            *vector = libc::iovec { iov_base: slot.request.as_mut_ptr().cast(), iov_len: QUERY_BYTES };
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_name = (&raw mut slot.peer).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        }
        // SAFETY: the headers point to `vectors` and the slots, which outlive the call and are not otherwise used
        // during it; the count is that of the headers.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                headers.as_mut_ptr(),
                SLOTS as u32,
                libc::MSG_WAITFORONE,
                std::ptr::null_mut(),
            )
        };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        for (slot, header) in self.slots.iter_mut().zip(&headers).take(count) {
            slot.length = (header.msg_len as usize).min(QUERY_BYTES);
            slot.peer_length = header.msg_hdr.msg_namelen;
            slot.has_reply = false;
        }
        self.filled = count;
        Ok(())
    }

    /// Calls `each` with every received datagram, its sender and the buffer for the reply; it returns whether the
    /// buffer is to be sent.
    pub fn answer(&mut self, mut each: impl FnMut(&[u8], SocketAddr, &mut Vec<u8>) -> bool) {
        for slot in &mut self.slots[..self.filled] {
            let Some(peer) = address(&slot.peer, slot.peer_length) else { continue };
            slot.has_reply = each(&slot.request[..slot.length], peer, &mut slot.reply);
        }
    }

    /// Sends all replies.
    pub fn send(&mut self, socket: &UdpSocket) -> io::Result<()> {
        let mut vectors = [EMPTY_VECTOR; SLOTS];
        let mut headers = empty_headers();
        let mut count = 0;
        for slot in self.slots[..self.filled].iter_mut().filter(|slot| slot.has_reply) {
            let (vector, header) = (&mut vectors[count], &mut headers[count]);
            *vector = libc::iovec { iov_base: slot.reply.as_mut_ptr().cast(), iov_len: slot.reply.len() };
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_name = (&raw mut slot.peer).cast();
            header.msg_hdr.msg_namelen = slot.peer_length;
            count += 1;
        }
        let mut sent = 0;
        while sent < count {
            // SAFETY: as in `receive`; the headers from `sent` to `count` are filled.
            let result = unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    headers[sent..count].as_mut_ptr(),
                    (count - sent) as u32,
                    libc::MSG_DONTWAIT,
                )
            };
            // One that cannot be sent stops the call: the ones behind it still can.
            sent += usize::try_from(result).unwrap_or(1).max(1);
        }
        Ok(())
    }
}

const EMPTY_VECTOR: libc::iovec = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };

fn empty_headers() -> [libc::mmsghdr; SLOTS] {
    // SAFETY: all-zero is a valid mmsghdr: null pointers with lengths of zero.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

fn address(storage: &libc::sockaddr_storage, length: libc::socklen_t) -> Option<SocketAddr> {
    // SAFETY: `try_init` hands out valid storage, and the kernel has written an address of `length` bytes.
    let result = unsafe {
        SockAddr::try_init(|place, size| {
            place.cast::<libc::sockaddr_storage>().write(*storage);
            size.write(length);
            Ok(())
        })
    };
    result.ok().and_then(|((), address)| address.as_socket())
}
