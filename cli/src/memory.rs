//! The allocator of every role. Requests make and drop many small things on few threads, on which glibc's allocator
//! spends a tenth of their time. By itself it gives freed memory back to the kernel only when it is asked for more,
//! so that a process that has become quiet keeps what it once needed.

use libmimalloc_sys::{mi_collect, mi_option_set, mi_option_t, mi_option_use_numa_nodes, mi_thread_init};
use mimalloc::MiMalloc;
use std::thread;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// How often freed memory goes back to the kernel.
const EVERY: Duration = Duration::from_secs(5);

/// The option `purge_delay`, in milliseconds. The bindings have no name for it; in mimalloc's list it is the one before.
const PURGE_DELAY: mi_option_t = mi_option_use_numa_nodes - 1;

/// Gives freed memory back at once from now on: for a role that allocates little once it has started.
pub fn give_back_at_once() {
    // SAFETY: options may be set at any time; this one is read whenever memory is freed.
    unsafe { mi_option_set(PURGE_DELAY, 0) };
}

/// Gives freed memory back every few seconds from now on: for a role under load, which will want it again.
pub fn give_back_now_and_then() -> std::io::Result<()> {
    thread::Builder::new().name("keelson-memory".into()).spawn(|| {
        // SAFETY: as below. A thread that has never asked for memory is unknown, and what it calls does nothing.
        unsafe { mi_thread_init() };
        loop {
            thread::sleep(EVERY);
            // SAFETY: may be called at any time from any thread; it looks at what no thread owns, and at this thread's own.
            unsafe { mi_collect(false) };
        }
    })?;
    Ok(())
}
