//! Programs as filters of a clsact qdisc: on pods' veths, and elsewhere on kernels without tcx (before 6.6).
//!
//! A filter stays until its interface goes or it is removed, so there is nothing to pin; a new agent finds
//! it by its priority and handle and puts its own program in its place.

use super::sys::AttachType;
use aya::programs::tc::{NlOptions, SchedClassifierLink, TcAttachOptions, TcHandle, qdisc_add_clsact};
use aya::programs::{Link, ProgramError, SchedClassifier, TcAttachType};

/// Smaller runs earlier.
const FIRST: u16 = 1;
const LAST: u16 = 0xbfff;
const HANDLE: TcHandle = TcHandle::new(0x6b65, 1);

/// Attaches a program, in the place of an earlier agent's if there is one.
pub fn attach(
    program: &mut SchedClassifier,
    interface: &str,
    kind: AttachType,
    first: bool,
) -> Result<(), ProgramError> {
    let priority = if first { FIRST } else { LAST };
    let direction = direction(kind);
    // One that is there is as good; what is really wrong shows when the filter is attached.
    let _ = qdisc_add_clsact(interface);
    let existing = SchedClassifierLink::attached(interface, direction, priority, HANDLE, None);
    let replaced = existing.map(|link| program.attach_to_link(link));
    let id = match replaced {
        Ok(Ok(id)) => id,
        _ => {
            let options = TcAttachOptions::Netlink(NlOptions { priority, handle: HANDLE, classid: None });
            program.attach_with_options(interface, direction, options)?
        }
    };
    // A dropped link would take the filter with it; this one outlives the agent.
    std::mem::forget(program.take_link(id)?);
    Ok(())
}

/// Removes our filters from an interface; none there is fine.
pub fn detach(interface: &str) {
    for (direction, priority) in
        [(TcAttachType::Ingress, FIRST), (TcAttachType::Ingress, LAST), (TcAttachType::Egress, LAST)]
    {
        if let Ok(link) = SchedClassifierLink::attached(interface, direction, priority, HANDLE, None) {
            let _ = link.detach();
        }
    }
}

fn direction(kind: AttachType) -> TcAttachType {
    if kind == AttachType::TcxEgress { TcAttachType::Egress } else { TcAttachType::Ingress }
}
