//! The allocator of every role. Requests make and drop many small things on few threads, on which glibc's allocator
//! spends a tenth of their time.

use libmimalloc_sys::{mi_collect, mi_thread_init};
use mimalloc::MiMalloc;
use std::thread;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// How often freed memory goes back to the kernel.
const EVERY: Duration = Duration::from_secs(5);

/// Gives freed memory back from now on. By itself the allocator does so only when it is asked for more, and a
/// process that has become quiet, such as an agent that has loaded its programs, keeps what it needed to start.
pub fn give_back() -> std::io::Result<()> {
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
