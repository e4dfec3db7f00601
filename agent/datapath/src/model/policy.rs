//! When policies are asked about a flow, and what it says of that afterwards.
//!
//! None is enforced yet, so there is no answer to model: every flow may be.

use super::*;

impl Model {
    /// Asks about a flow whose first packet came from `sender`, as it opens or anew.
    pub(super) fn ask(&mut self, opener: Opener, sender: &Address) -> Mark {
        self.asked = true;
        let pod = if opener == Opener::Pod { self.tables.endpoints.get(sender) } else { None };
        let set = pod.map_or(0, |pod| pod.policy_set);
        Mark { set, epoch: self.tables.config.policy_epoch }
    }

    /// Asks once more about a flow that was judged in another epoch.
    pub(super) fn renew(&mut self, tuple: &Tuple, flow: &Flow) {
        if flow.mark.epoch == self.tables.config.policy_epoch {
            return;
        }
        let answer = flow.translated.reversed();
        let mark = self.ask(flow.opener, if flow.reply { &answer.source } else { &tuple.source });
        for key in [*tuple, answer] {
            if let Some(flow) = self.flows.get_mut(&key) {
                flow.mark = mark;
            }
        }
    }
}
