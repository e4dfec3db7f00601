//! The bpf(2) calls that the loader library does not offer: links of every kind created and updated in one
//! way, and batches.

pub mod test_run;

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Commands of bpf(2), include/uapi/linux/bpf.h.
#[derive(Clone, Copy)]
enum Command {
    MapLookup = 1,
    MapUpdate = 2,
    MapDelete = 3,
    MapNextKey = 4,
    ProgramLoad = 5,
    ObjectPin = 6,
    ObjectGet = 7,
    ProgramTestRun = 10,
    MapLookupBatch = 24,
    MapUpdateBatch = 26,
    LinkCreate = 28,
    LinkUpdate = 29,
}

/// Where a link attaches, include/uapi/linux/bpf.h.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum AttachType {
    Connect4 = 10,
    Connect6 = 11,
    Sendmsg4 = 14,
    Sendmsg6 = 15,
    Recvmsg4 = 19,
    Recvmsg6 = 20,
    Getpeername4 = 29,
    Getpeername6 = 30,
    TcxIngress = 46,
    TcxEgress = 47,
}

/// Place among the programs of a tcx hook.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Place {
    /// cgroup links know no order.
    Any = 0,
    /// BPF_F_BEFORE without a relative: first.
    First = 8,
    /// BPF_F_AFTER without a relative: last.
    Last = 16,
}

/// Update flags of map elements.
pub const ANY: u64 = 0;
pub const EXIST: u64 = 2;

/// What the kernel tells this thread's network namespace by, as programs see it. Kernels before 5.14 do not say.
pub fn netns_cookie() -> io::Result<u64> {
    const SO_NETNS_COOKIE: libc::c_int = 71;
    let socket = std::net::UdpSocket::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
    let (mut cookie, mut len) = (0_u64, size_of::<u64>() as libc::socklen_t);
    // SAFETY: the kernel writes at most `len` bytes to the number.
    let result = unsafe {
        let cookie = std::ptr::from_mut(&mut cookie).cast();
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, SO_NETNS_COOKIE, cookie, &raw mut len)
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(cookie) }
}

fn call<T>(command: Command, attributes: &mut T) -> io::Result<i64> {
    // SAFETY: every attribute struct below is repr(C), matches the kernel's union member and is given with
    // its size; pointers within it live as long as the call.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, command as libc::c_long, std::ptr::from_mut(attributes), size_of::<T>())
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn owned(fd: i64) -> OwnedFd {
    // SAFETY: the kernel has just returned this descriptor and nobody else knows it.
    unsafe { OwnedFd::from_raw_fd(fd as i32) }
}

fn pointer<T: ?Sized>(value: &T) -> u64 {
    std::ptr::from_ref(value).cast::<u8>() as u64
}

#[repr(C)]
struct Element {
    map: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

impl Element {
    fn new(map: BorrowedFd<'_>, key: u64, value: u64, flags: u64) -> Self {
        Self { map: map.as_raw_fd() as u32, padding: 0, key, value, flags }
    }
}

/// Reads an element into `value`; `false` when the key is absent.
pub fn map_lookup<K>(map: BorrowedFd<'_>, key: &K, value: &mut [u8]) -> io::Result<bool> {
    let mut element = Element::new(map, pointer(key), value.as_mut_ptr() as u64, 0);
    present(call(Command::MapLookup, &mut element))
}

/// Writes an element.
pub fn map_update<K, V>(map: BorrowedFd<'_>, key: &K, value: &V, flags: u64) -> io::Result<()> {
    call(Command::MapUpdate, &mut Element::new(map, pointer(key), pointer(value), flags)).map(drop)
}

/// Removes an element; `false` when the key is absent.
pub fn map_delete<K>(map: BorrowedFd<'_>, key: &K) -> io::Result<bool> {
    present(call(Command::MapDelete, &mut Element::new(map, pointer(key), 0, 0)))
}

/// Reads the key after `key`, or the first; `false` at the end.
pub fn map_next_key<K>(map: BorrowedFd<'_>, key: Option<&K>, next: &mut K) -> io::Result<bool> {
    let after = key.map_or(0, pointer);
    present(call(Command::MapNextKey, &mut Element::new(map, after, pointer(next), 0)))
}

fn present(result: io::Result<i64>) -> io::Result<bool> {
    match result {
        Ok(_) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(false),
        Err(error) => Err(error),
    }
}

#[repr(C)]
struct Batch {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map: u32,
    element_flags: u64,
    flags: u64,
}

/// Writes many elements in one call.
pub fn map_update_batch<K, V>(map: BorrowedFd<'_>, keys: &[K], values: &[V]) -> io::Result<()> {
    assert_eq!(keys.len(), values.len(), "one value per key");
    if keys.is_empty() {
        return Ok(());
    }
    let mut batch = Batch {
        in_batch: 0,
        out_batch: 0,
        keys: pointer(keys),
        values: pointer(values),
        count: keys.len() as u32,
        map: map.as_raw_fd() as u32,
        element_flags: ANY,
        flags: 0,
    };
    call(Command::MapUpdateBatch, &mut batch).map(drop)
}

/// Reads up to `keys.len()` entries of a hash map from a position on (`None` is the start). Yields how many
/// were read and where to go on; `None` there means the end.
pub fn map_lookup_batch<K, V>(
    map: BorrowedFd<'_>,
    from: Option<u32>,
    keys: &mut [MaybeUninit<K>],
    values: &mut [MaybeUninit<V>],
) -> io::Result<(usize, Option<u32>)> {
    assert_eq!(keys.len(), values.len(), "one value per key");
    let mut next = 0_u32;
    let mut batch = Batch {
        in_batch: from.as_ref().map_or(0, pointer),
        out_batch: std::ptr::from_mut(&mut next) as u64,
        keys: keys.as_mut_ptr() as u64,
        values: values.as_mut_ptr() as u64,
        count: keys.len() as u32,
        map: map.as_raw_fd() as u32,
        element_flags: ANY,
        flags: 0,
    };
    match call(Command::MapLookupBatch, &mut batch) {
        Ok(_) => Ok((batch.count as usize, Some(next))),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok((batch.count as usize, None)),
        Err(error) => Err(error),
    }
}

#[repr(C)]
struct Object {
    path: u64,
    fd: u32,
    flags: u32,
}

fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))
}

/// Pins a map, program or link under a path of a bpffs.
pub fn pin(fd: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = c_path(path)?;
    let mut object = Object { path: path.as_ptr() as u64, fd: fd.as_raw_fd() as u32, flags: 0 };
    call(Command::ObjectPin, &mut object).map(drop)
}

/// Opens what is pinned under a path.
pub fn open_pin(path: &Path) -> io::Result<OwnedFd> {
    let path = c_path(path)?;
    call(Command::ObjectGet, &mut Object { path: path.as_ptr() as u64, fd: 0, flags: 0 }).map(owned)
}

#[repr(C)]
struct LinkCreate {
    program: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
    relative: u32,
    padding: u32,
    expected_revision: u64,
}

/// Attaches a program to an interface (tcx) or to an open cgroup folder.
pub fn link_create(
    program: BorrowedFd<'_>,
    target: u32,
    kind: AttachType,
    place: Place,
) -> io::Result<OwnedFd> {
    let mut link = LinkCreate {
        program: program.as_raw_fd() as u32,
        target,
        attach_type: kind as u32,
        flags: place as u32,
        relative: 0,
        padding: 0,
        expected_revision: 0,
    };
    call(Command::LinkCreate, &mut link).map(owned)
}

#[repr(C)]
struct LinkUpdate {
    link: u32,
    program: u32,
    flags: u32,
    old_program: u32,
}

/// Swaps the program of a link; no packet and no call passes without one.
pub fn link_update(link: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let mut update = LinkUpdate {
        link: link.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        flags: 0,
        old_program: 0,
    };
    call(Command::LinkUpdate, &mut update).map(drop)
}
