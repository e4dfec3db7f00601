//! ImageLocality: nodes that have the pod's images already, large and rare ones counting most.

use super::SCORE_MAX;
use crate::cluster::Nodes;
use crate::pod::PodInfo;

/// Below this many bytes an image is no reason; above 1000 MiB per container it is no more of one.
const MIN_BYTES: i64 = 23 << 20;
const MAX_BYTES_PER_CONTAINER: i64 = 1000 << 20;

pub(crate) fn score(pod: &PodInfo, nodes: &Nodes, node: usize) -> i64 {
    let total = i64::try_from(nodes.real().count()).unwrap_or(i64::MAX).max(1);
    let mut sum = 0;
    for image in &pod.images {
        let name = normalized(image);
        if let Some(size) = nodes.images[node].get(&name) {
            let having = nodes.real().iter().filter(|n| nodes.images[*n].contains_key(&name)).count();
            let having = i64::try_from(having).unwrap_or(i64::MAX);
            // Spread images count more: else one node would draw all pods of an image to itself.
            sum += size / total * having;
        }
    }
    let containers = i64::try_from(pod.images.len()).unwrap_or(1).max(1);
    let max = MAX_BYTES_PER_CONTAINER * containers;
    SCORE_MAX * (sum.clamp(MIN_BYTES, max) - MIN_BYTES) / (max - MIN_BYTES)
}

/// Image names of nodes carry their tag.
fn normalized(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    if last.contains(':') || last.contains('@') { image.to_owned() } else { format!("{image}:latest") }
}
