//! Who may write the lease next, from what was read and when it last changed by the own clock.

use crate::views::Lease;
use std::time::Duration;

/// The lease's last change as this process saw it. The times inside the lease are another clock's and are not
/// compared with anything.
#[derive(Default)]
pub(super) struct Seen {
    version: String,
    changed: Duration,
}

impl Seen {
    pub(super) fn observe(&mut self, lease: Option<&Lease>, now: Duration) {
        let version = lease.map(|l| l.metadata.resource_version.as_str()).unwrap_or_default();
        if version != self.version {
            self.version = version.to_owned();
            self.changed = now;
        }
    }
}

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Act {
    Create,
    /// Become the holder; `transitions` is the new count.
    Take {
        transitions: i64,
    },
    Renew,
    /// Another holds it.
    Wait,
}

pub(super) fn decide(
    lease: Option<&Lease>,
    seen: &Seen,
    identity: &str,
    now: Duration,
    duration: Duration,
) -> Act {
    let Some(lease) = lease else { return Act::Create };
    let holder = lease.spec.holder_identity.as_deref().unwrap_or_default();
    if holder == identity {
        return Act::Renew;
    }
    let transitions = lease.spec.lease_transitions.unwrap_or(0) + 1;
    let expired = now.saturating_sub(seen.changed) >= duration;
    if holder.is_empty() || expired { Act::Take { transitions } } else { Act::Wait }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn lease(holder: Option<&str>, version: &str) -> Lease {
        serde_json::from_value(json!({
            "metadata": {"resourceVersion": version},
            "spec": {"holderIdentity": holder.unwrap_or_default(), "leaseTransitions": 2}
        }))
        .unwrap()
    }

    #[test]
    fn only_an_expired_or_free_lease_is_taken() {
        let at = Duration::from_secs;
        let mut seen = Seen::default();
        let other = lease(Some("other"), "1");
        seen.observe(Some(&other), at(100));
        let check = |lease: Option<&Lease>, seen: &Seen, now, expected| {
            assert_eq!(decide(lease, seen, "me", at(now), at(15)), expected);
        };
        check(None, &seen, 100, Act::Create);
        check(Some(&lease(Some("me"), "1")), &seen, 100, Act::Renew);
        check(Some(&lease(None, "1")), &seen, 100, Act::Take { transitions: 3 });
        check(Some(&other), &seen, 114, Act::Wait);
        check(Some(&other), &seen, 115, Act::Take { transitions: 3 });
        seen.observe(Some(&lease(Some("other"), "2")), at(114));
        check(Some(&other), &seen, 115, Act::Wait);
    }
}
