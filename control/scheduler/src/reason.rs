//! Why a node cannot take a pod, in Kubernetes' words.

use std::collections::BTreeMap;
use std::fmt;

/// One reason; the texts are read by users and by tools.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Reason {
    Unschedulable,
    OtherNodeName,
    Taint,
    NodeAffinity,
    Ports,
    TooManyPods,
    /// Of the resource with this name.
    Insufficient(String),
    Spread,
    SpreadLabelMissing,
    Affinity,
    AntiAffinity,
    ExistingAntiAffinity,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unschedulable => "node(s) were unschedulable",
            Self::OtherNodeName => "node(s) didn't match the requested node name",
            Self::Taint => "node(s) had untolerated taint(s)",
            Self::NodeAffinity => "node(s) didn't match Pod's node affinity/selector",
            Self::Ports => "node(s) didn't have free ports for the requested pod ports",
            Self::TooManyPods => "Too many pods",
            Self::Insufficient(name) => return write!(f, "Insufficient {name}"),
            Self::Spread => "node(s) didn't match pod topology spread constraints",
            Self::SpreadLabelMissing => {
                "node(s) didn't match pod topology spread constraints (missing required label)"
            }
            Self::Affinity => "node(s) didn't match pod affinity rules",
            Self::AntiAffinity => "node(s) didn't match pod anti-affinity rules",
            Self::ExistingAntiAffinity => "node(s) didn't satisfy existing pods anti-affinity rules",
        })
    }
}

/// Which changes of the cluster may remove a reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hints(u8);

impl Hints {
    /// A node came, or its labels, taints or cordon changed.
    pub(crate) const NODE: Self = Self(1);
    /// A node's allocatable resources changed.
    pub(crate) const CAPACITY: Self = Self(2);
    /// A pod left a node.
    pub(crate) const POD_GONE: Self = Self(4);
    /// A pod came to a node, or its labels changed.
    pub(crate) const POD_CAME: Self = Self(8);
    pub(crate) const ALL: Self = Self(15);

    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl Reason {
    pub(crate) fn hints(&self) -> Hints {
        match self {
            Self::Unschedulable | Self::OtherNodeName | Self::Taint | Self::NodeAffinity => Hints::NODE,
            Self::SpreadLabelMissing => Hints::NODE,
            Self::Ports => Hints::NODE.and(Hints::POD_GONE),
            Self::TooManyPods | Self::Insufficient(_) => {
                Hints::NODE.and(Hints::CAPACITY).and(Hints::POD_GONE)
            }
            Self::Spread | Self::Affinity => Hints::NODE.and(Hints::POD_GONE).and(Hints::POD_CAME),
            Self::AntiAffinity | Self::ExistingAntiAffinity => {
                Hints::NODE.and(Hints::POD_GONE).and(Hints::POD_CAME)
            }
        }
    }
}

/// Why no node takes a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Misfit {
    pub(crate) nodes: usize,
    /// How many nodes each reason excludes.
    pub(crate) reasons: BTreeMap<Reason, usize>,
}

impl Misfit {
    pub(crate) fn add(&mut self, reason: Reason) {
        *self.reasons.entry(reason).or_default() += 1;
    }

    pub(crate) fn hints(&self) -> Hints {
        self.reasons.keys().fold(Hints::NODE, |all, reason| all.and(reason.hints()))
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nodes == 0 {
            return f.write_str("no nodes available to schedule pods");
        }
        let mut texts: Vec<String> = self.reasons.iter().map(|(reason, n)| format!("{n} {reason}")).collect();
        texts.sort();
        write!(f, "0/{} nodes are available: {}.", self.nodes, texts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_a_pod_that_fits_nowhere() {
        assert_eq!(Misfit::default().to_string(), "no nodes available to schedule pods");
        let mut misfit = Misfit { nodes: 3, ..Misfit::default() };
        misfit.add(Reason::Taint);
        misfit.add(Reason::Insufficient("memory".into()));
        misfit.add(Reason::Insufficient("cpu".into()));
        misfit.add(Reason::Insufficient("cpu".into()));
        assert_eq!(
            misfit.to_string(),
            "0/3 nodes are available: 1 Insufficient memory, 1 node(s) had untolerated taint(s), 2 Insufficient cpu."
        );
        assert!(misfit.hints().meets(Hints::POD_GONE) && !misfit.hints().meets(Hints::POD_CAME));
    }
}
