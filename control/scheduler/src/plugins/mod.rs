//! Filters and scores under upstream's names, one file each.
//!
//! A filter tells for one node whether the pod may run there. A score gives each feasible node 0 to 100.

pub(crate) mod balanced;
pub(crate) mod image_locality;
pub(crate) mod inter_pod_affinity;
pub(crate) mod node_affinity;
pub(crate) mod node_ports;
pub(crate) mod resources_fit;
pub(crate) mod spread_counts;
pub(crate) mod taints;
pub(crate) mod topology_spread;

/// The best score of a node by one plugin.
pub(crate) const SCORE_MAX: i64 = 100;

/// Scales scores so that the best is 100; `reverse` makes few points the best.
pub(crate) fn normalize(scores: &mut [i64], reverse: bool) {
    let max = scores.iter().copied().max().unwrap_or(0);
    for score in scores {
        if max == 0 {
            *score = if reverse { SCORE_MAX } else { *score };
            continue;
        }
        *score = SCORE_MAX * *score / max;
        if reverse {
            *score = SCORE_MAX - *score;
        }
    }
}
