//! Sizes during a rolling update, and a change of size in the middle of one.

use super::rounding::{bounds, is_rolling, replicas};
use super::set::{MAX, Set};
use keelson_client::views::Deployment;

/// The size that the new set may grow to from `size` when all sets together have `total` pods.
pub(super) fn room_for_new(deployment: &Deployment, size: i64, total: i64) -> i64 {
    let wanted = replicas(deployment);
    if !is_rolling(deployment) {
        return wanted;
    }
    let room = wanted + bounds(deployment).surge - total;
    if room <= 0 { size } else { size + room.min(wanted - size) }
}

/// Grows (or, above the wanted size, shrinks) the new set. True when its size changed.
pub(super) fn reconcile_new(deployment: &Deployment, new: &mut Set, old: &[Set]) -> bool {
    let wanted = replicas(deployment);
    if new.size == wanted {
        return false;
    }
    let total = old.iter().map(|s| s.size).sum::<i64>() + new.size;
    let size = if new.size > wanted { wanted } else { room_for_new(deployment, new.size, total) };
    new.scale(size, deployment)
}

/// Shrinks the old sets as far as enough pods stay available: first by pods that are not available anyway.
pub(super) fn reconcile_old(deployment: &Deployment, new: &Set, old: &mut [Set]) -> bool {
    let old_total: i64 = old.iter().map(|s| s.size).sum();
    if old_total == 0 {
        return false;
    }
    let min_available = replicas(deployment) - bounds(deployment).unavailable;
    let new_unavailable = new.size - new.available();
    let may_go = old_total + new.size - min_available - new_unavailable;
    if may_go <= 0 {
        return false;
    }
    let mut left = may_go;
    for set in old.iter_mut() {
        let broken = (set.size - set.available()).clamp(0, left);
        if set.size > 0 && broken > 0 {
            set.scale(set.size - broken, deployment);
            left -= broken;
        }
    }
    let available = old.iter().map(Set::available).sum::<i64>() + new.available();
    let mut left = available - min_available;
    for set in old.iter_mut() {
        let go = set.size.min(left.max(0));
        if go > 0 {
            set.scale(set.size - go, deployment);
            left -= go;
        }
    }
    old.iter().any(|s| s.size != s.old_size())
}

/// Shares a change of size among the sets in proportion to what they have; leftovers go to the largest.
pub(super) fn scale_proportionally(deployment: &Deployment, mut sets: Vec<&mut Set>) {
    let wanted = replicas(deployment);
    let allowed = if wanted > 0 { wanted + bounds(deployment).surge } else { 0 };
    let to_add = allowed - sets.iter().map(|s| s.size).sum::<i64>();
    // Sets arrive oldest first: growing favours the newer of equals, shrinking the older.
    if to_add > 0 {
        sets.reverse();
    }
    sets.sort_by_key(|s| -s.size);
    let mut added = 0;
    let mut sizes = Vec::with_capacity(sets.len());
    for set in &sets {
        let share = share(deployment, set, to_add, added);
        added += share;
        sizes.push(set.size + share);
    }
    if to_add != 0
        && let Some(first) = sizes.first_mut()
    {
        *first = (*first + to_add - added).max(0);
    }
    for (set, size) in sets.into_iter().zip(sizes) {
        set.scale(size, deployment);
    }
}

fn share(deployment: &Deployment, set: &Set, to_add: i64, added: i64) -> i64 {
    if set.size == 0 || to_add == 0 || to_add == added {
        return 0;
    }
    let fraction = fraction(deployment, set);
    let allowed = to_add - added;
    if to_add > 0 { fraction.min(allowed) } else { fraction.max(allowed) }
}

/// The change that keeps the set's part of the whole, against the whole as it was when it was last scaled.
fn fraction(deployment: &Deployment, set: &Set) -> i64 {
    let wanted = replicas(deployment);
    if wanted == 0 {
        return -set.size;
    }
    let before = set.number(MAX).filter(|max| *max > 0).unwrap_or(deployment.status.replicas);
    if before <= 0 {
        return 0;
    }
    let whole = wanted + bounds(deployment).surge;
    // Half up, as Kubernetes rounds.
    (2 * set.size * whole + before) / (2 * before) - set.size
}
