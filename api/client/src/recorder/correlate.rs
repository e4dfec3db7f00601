//! Which occurrences become a new Event, which count one up, and which are too many.
//!
//! The figures are Kubernetes' own: an object may raise 25 events at once and one per 5 minutes after that;
//! more than ten messages for the same reason within 10 minutes are combined.

use super::{EventType, ObjectRef, Occurrence};
use std::collections::{BTreeMap, HashMap, HashSet};

const BURST: f64 = 25.0;
const REFILL_SECONDS: f64 = 300.0;
const SIMILAR_MAX: usize = 10;
const SIMILAR_SECONDS: i64 = 600;
/// Entries that are remembered; the oldest leave first.
const REMEMBERED_MAX: usize = 4096;

/// What to do with an occurrence.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Create { name: String, message: String },
    Count { name: String, message: String, count: u32 },
    Drop,
}

type Series = (ObjectRef, EventType, String);

#[derive(Default)]
pub(super) struct Correlator {
    written: Bounded<(Series, String), Written>,
    similar: Bounded<Series, Similar>,
    buckets: Bounded<ObjectRef, Bucket>,
}

struct Written {
    name: String,
    count: u32,
}

struct Similar {
    messages: HashSet<String>,
    last: i64,
}

struct Bucket {
    tokens: f64,
    last: i64,
}

impl Correlator {
    pub(super) fn decide(&mut self, occurrence: &Occurrence) -> Decision {
        let now = occurrence.at.as_second();
        let series = (occurrence.object.clone(), occurrence.event_type, occurrence.reason.clone());
        let combined = self.combines(&series, &occurrence.message, now);
        let message = if combined {
            format!("(combined from similar events): {}", occurrence.message)
        } else {
            occurrence.message.clone()
        };
        // The text of a combined event changes with each occurrence; it stays one event.
        let text = if combined { String::new() } else { occurrence.message.clone() };
        if !self.allows(&occurrence.object, now) {
            return Decision::Drop;
        }
        let key = (series, text);
        if let Some(written) = self.written.get(&key) {
            written.count += 1;
            return Decision::Count { name: written.name.clone(), message, count: written.count };
        }
        let name = event_name(&occurrence.object.name, occurrence.at.as_nanosecond());
        self.written.insert(key, Written { name: name.clone(), count: 1 });
        Decision::Create { name, message }
    }

    fn combines(&mut self, series: &Series, message: &str, now: i64) -> bool {
        match self.similar.get(series) {
            Some(similar) if now - similar.last <= SIMILAR_SECONDS => {
                similar.last = now;
                if similar.messages.len() < SIMILAR_MAX {
                    similar.messages.insert(message.to_owned());
                }
                similar.messages.len() >= SIMILAR_MAX && !similar.messages.contains(message)
            }
            _ => {
                let messages = HashSet::from([message.to_owned()]);
                self.similar.insert(series.clone(), Similar { messages, last: now });
                false
            }
        }
    }

    fn allows(&mut self, object: &ObjectRef, now: i64) -> bool {
        if self.buckets.get(object).is_none() {
            self.buckets.insert(object.clone(), Bucket { tokens: BURST, last: now });
        }
        let Some(bucket) = self.buckets.get(object) else { return true };
        // A clock that goes back refills nothing.
        let passed = (now - bucket.last).max(0);
        #[allow(clippy::cast_precision_loss)]
        let refilled = bucket.tokens + passed as f64 / REFILL_SECONDS;
        bucket.last = now;
        bucket.tokens = refilled.min(BURST);
        if bucket.tokens < 1.0 {
            return false;
        }
        bucket.tokens -= 1.0;
        true
    }
}

/// `<object>.<hex of the time>`, within a name's 253 characters.
fn event_name(object: &str, nanoseconds: i128) -> String {
    let end = object.char_indices().map(|(i, c)| i + c.len_utf8()).take_while(|e| *e <= 230).last();
    format!("{}.{nanoseconds:x}", &object[..end.unwrap_or(0)])
}

/// A map that forgets its oldest entries.
struct Bounded<K, V> {
    entries: HashMap<K, (u64, V)>,
    order: BTreeMap<u64, K>,
    next: u64,
}

impl<K, V> Default for Bounded<K, V> {
    fn default() -> Self {
        Self { entries: HashMap::new(), order: BTreeMap::new(), next: 0 }
    }
}

impl<K: Clone + Eq + std::hash::Hash, V> Bounded<K, V> {
    fn get(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|(_, value)| value)
    }

    fn insert(&mut self, key: K, value: V) {
        if let Some((age, _)) = self.entries.insert(key.clone(), (self.next, value)) {
            self.order.remove(&age);
        }
        self.order.insert(self.next, key);
        self.next += 1;
        while self.entries.len() > REMEMBERED_MAX {
            let Some((_, oldest)) = self.order.pop_first() else { return };
            self.entries.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn occurrence(name: &str, message: &str, second: i64) -> Occurrence {
        Occurrence {
            object: ObjectRef { kind: "Pod".into(), name: name.into(), ..ObjectRef::default() },
            event_type: EventType::Warning,
            reason: "BackOff".into(),
            message: message.into(),
            at: Timestamp::from_second(second).unwrap(),
        }
    }

    #[test]
    fn the_same_again_counts_up() {
        let mut correlator = Correlator::default();
        let first = correlator.decide(&occurrence("a", "m", 1));
        let Decision::Create { name, .. } = first else { panic!("{first:?}") };
        assert_eq!(name, "a.3b9aca00");
        let again = correlator.decide(&occurrence("a", "m", 2));
        assert_eq!(again, Decision::Count { name, message: "m".into(), count: 2 });
        assert!(matches!(correlator.decide(&occurrence("b", "m", 2)), Decision::Create { .. }));
    }

    #[test]
    fn an_object_may_not_flood() {
        let mut correlator = Correlator::default();
        let written = |correlator: &mut Correlator, second| {
            (0..100).filter(|_| correlator.decide(&occurrence("a", "m", second)) != Decision::Drop).count()
        };
        assert_eq!(written(&mut correlator, 1), 25);
        assert_eq!(written(&mut correlator, 301), 1);
        assert!(matches!(correlator.decide(&occurrence("b", "m", 301)), Decision::Create { .. }));
    }

    #[test]
    fn many_messages_for_one_reason_become_one_event() {
        let mut correlator = Correlator::default();
        let decisions: Vec<_> =
            (0..13).map(|n| correlator.decide(&occurrence("a", &format!("m{n}"), 1))).collect();
        let created = decisions.iter().filter(|d| matches!(d, Decision::Create { .. })).count();
        assert_eq!(created, 11, "ten of their own and the combined one");
        let Decision::Count { message, count, .. } = &decisions[12] else { panic!("{decisions:?}") };
        assert_eq!((message.as_str(), *count), ("(combined from similar events): m12", 3));
    }

    #[test]
    fn names_stay_within_their_length() {
        assert!(event_name(&"x".repeat(253), i128::from(i64::MAX)).len() <= 253);
        assert!(event_name(&"ü".repeat(200), 1).len() <= 253);
    }
}
