//! Notices at once when a container's first process ends, without asking the runtime over and over.

use super::Context;
use nix::errno::Errno;
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The runtime learns of the end a little later than the kernel: it is asked after these pauses.
const ASK_AFTER: [Duration; 5] = [
    Duration::from_millis(2),
    Duration::from_millis(10),
    Duration::from_millis(30),
    Duration::from_millis(100),
    Duration::from_millis(300),
];
/// And after as many more of the last one, when it is known that the process has ended: on a busy machine the runtime
/// may take seconds.
const ASK_MORE: usize = 100;

/// Asks for a look at the runtime when the process ends. Best effort: the periodic look sees it in any case.
pub(super) fn watch(context: &Arc<Context>, container: &str, pid: Option<i32>) {
    // Without a descriptor the process has ended already (or this kernel has no pidfds).
    let fd = pid.and_then(|pid| open(pid).ok());
    let (context, container) = (Arc::clone(context), container.to_owned());
    tokio::spawn(async move {
        let more = if fd.is_some() { ASK_MORE } else { 0 };
        if let Some(fd) = fd {
            // SAFETY: the AsyncFd owns the descriptor: it stays open, and the same, until its registration ends.
            let Ok(fd) = (unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }) else { return };
            if fd.readable().await.is_err() {
                return;
            }
        }
        let last = ASK_AFTER[ASK_AFTER.len() - 1];
        for pause in ASK_AFTER.into_iter().chain(std::iter::repeat_n(last, more)) {
            tokio::time::sleep(pause).await;
            let running = i32::from(keelson_proto::cri::ContainerState::ContainerRunning);
            let status = context.cri.container_status(&container).await;
            if !status.is_ok_and(|s| s.state == running) {
                break;
            }
        }
        context.look.notify_one();
    });
}

fn open(pid: i32) -> nix::Result<OwnedFd> {
    // SAFETY: pidfd_open takes two integers and touches no memory of ours.
    let raw = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, libc::O_NONBLOCK) };
    let raw = Errno::result(raw)?;
    let raw = i32::try_from(raw).map_err(|_| Errno::EBADF)?;
    // SAFETY: the call succeeded, so this is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}
