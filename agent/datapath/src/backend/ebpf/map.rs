//! A typed handle to one map.

use super::sys;
use keelson_ebpf_abi::Plain;
use std::io;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

/// A map with keys `K` and values `V`, both plain bytes.
#[derive(Debug)]
pub struct Map<K, V> {
    fd: OwnedFd,
    kind: PhantomData<fn(K) -> V>,
}

impl<K: Plain, V: Plain> Map<K, V> {
    /// Takes a descriptor; the caller vouches for the map's types.
    pub fn new(fd: OwnedFd) -> Self {
        Self { fd, kind: PhantomData }
    }

    /// The value under a key.
    pub fn get(&self, key: &K) -> io::Result<Option<V>> {
        let mut value = MaybeUninit::<V>::zeroed();
        // SAFETY: the slice covers exactly the value, which is plain bytes.
        let bytes = unsafe { std::slice::from_raw_parts_mut(value.as_mut_ptr().cast(), size_of::<V>()) };
        let found = sys::map_lookup(self.fd.as_fd(), key, bytes)?;
        // SAFETY: zeroed or written by the kernel; every bit pattern is a value of a plain type.
        Ok(found.then(|| unsafe { value.assume_init() }))
    }

    /// Writes a value.
    pub fn set(&self, key: &K, value: &V) -> io::Result<()> {
        sys::map_update(self.fd.as_fd(), key, value, sys::ANY)
    }

    /// Writes the value of a key that is there; one that is gone meanwhile stays gone.
    pub fn replace(&self, key: &K, value: &V) -> io::Result<()> {
        match sys::map_update(self.fd.as_fd(), key, value, sys::EXIST) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            result => result,
        }
    }

    /// Writes many values in one call.
    pub fn set_all(&self, keys: &[K], values: &[V]) -> io::Result<()> {
        sys::map_update_batch(self.fd.as_fd(), keys, values)
    }

    /// Removes a key; whether it was there.
    pub fn remove(&self, key: &K) -> io::Result<bool> {
        sys::map_delete(self.fd.as_fd(), key)
    }

    /// Hands every entry of a hash map to `visit`, in batches. Entries that change meanwhile may be missed or
    /// seen twice.
    pub fn visit(&self, mut visit: impl FnMut(&K, &V)) -> io::Result<()> {
        let mut keys = vec![MaybeUninit::<K>::zeroed(); BATCH];
        let mut values = vec![MaybeUninit::<V>::zeroed(); BATCH];
        let mut from = None;
        loop {
            let (count, next) = sys::map_lookup_batch(self.fd.as_fd(), from, &mut keys, &mut values)?;
            for (key, value) in keys.iter().zip(&values).take(count) {
                // SAFETY: zeroed or written by the kernel; every bit pattern is a value of a plain type.
                visit(unsafe { key.assume_init_ref() }, unsafe { value.assume_init_ref() });
            }
            match next {
                Some(next) => from = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Every entry of a hash map.
    pub fn entries(&self) -> io::Result<Vec<(K, V)>> {
        let mut entries = Vec::new();
        self.visit(|key, value| entries.push((*key, *value)))?;
        Ok(entries)
    }

    /// Every key of a map that knows no batches.
    pub fn keys(&self) -> io::Result<Vec<K>> {
        let mut keys: Vec<K> = Vec::new();
        let mut next = MaybeUninit::<K>::zeroed();
        // SAFETY: zeroed or written by the kernel; every bit pattern is a value of a plain type.
        let slot = unsafe { next.assume_init_mut() };
        while sys::map_next_key(self.fd.as_fd(), keys.last(), slot)? {
            keys.push(*slot);
        }
        Ok(keys)
    }
}

/// Entries per call; more than any bucket of a hash map holds.
const BATCH: usize = 4096;

/// An array with one value per CPU under each index.
#[derive(Debug)]
pub struct PerCpu<V> {
    fd: OwnedFd,
    cpus: usize,
    kind: PhantomData<V>,
}

impl<V: Plain> PerCpu<V> {
    /// Takes a descriptor; the caller vouches for the map's type.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        let cpus = aya::util::nr_cpus().map_err(|(_, error)| error)?;
        Ok(Self { fd, cpus, kind: PhantomData })
    }

    /// The values of all CPUs under an index.
    pub fn get(&self, index: u32) -> io::Result<Vec<V>> {
        // The kernel rounds each CPU's value up to eight bytes.
        let stride = size_of::<V>().next_multiple_of(8);
        let mut bytes = vec![0_u8; stride * self.cpus];
        sys::map_lookup(self.fd.as_fd(), &index, &mut bytes)?;
        let read = |chunk: &[u8]| {
            // SAFETY: the chunk holds at least one value of a plain type; the read needs no alignment.
            unsafe { chunk.as_ptr().cast::<V>().read_unaligned() }
        };
        Ok(bytes.chunks_exact(stride).map(read).collect())
    }
}
