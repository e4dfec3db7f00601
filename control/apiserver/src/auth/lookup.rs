//! How authentication and admission see stored objects: the current state, by resource and key.

use bytes::Bytes;
use serde::Deserialize;

/// The current state of stored objects. `kind` is the qualified resource (`pods`, `roles.rbac.authorization.k8s.io`),
/// `key` is `namespace/name` or `name`.
pub trait Lookup: Send + Sync {
    /// The object's revision and its JSON.
    fn lookup(&self, kind: &str, key: &str) -> Option<(u64, Bytes)>;
}

impl Lookup for keelson_store::Store {
    fn lookup(&self, kind: &str, key: &str) -> Option<(u64, Bytes)> {
        self.get(kind, key).map(|stored| (stored.revision, stored.bytes))
    }
}

/// What authentication and admission read of most objects.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Brief {
    pub metadata: BriefMeta,
    pub spec: BriefSpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct BriefMeta {
    pub name: String,
    pub uid: String,
    pub deletion_timestamp: Option<String>,
}

/// Fields of a pod's spec; absent in other kinds.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct BriefSpec {
    pub node_name: String,
    pub service_account_name: String,
}

/// The object's essentials; `None` when it is not there or cannot be read.
pub(super) fn brief(objects: &dyn Lookup, kind: &str, key: &str) -> Option<(u64, Brief)> {
    let (revision, bytes) = objects.lookup(kind, key)?;
    serde_json::from_slice(&bytes).ok().map(|brief| (revision, brief))
}

#[cfg(test)]
pub(super) mod testing {
    use super::{Bytes, Lookup};
    use parking_lot::Mutex;
    use serde_json::Value;
    use std::collections::BTreeMap;

    /// Objects in a map, with revisions that count up, as the store's do.
    #[derive(Default)]
    pub struct Map(Mutex<State>);

    #[derive(Default)]
    struct State {
        revision: u64,
        objects: BTreeMap<String, (u64, Bytes)>,
    }

    impl Map {
        pub fn put(&self, kind: &str, key: &str, object: &Value) {
            let mut state = self.0.lock();
            state.revision += 1;
            let revision = state.revision;
            state.objects.insert(format!("{kind} {key}"), (revision, Bytes::from(object.to_string())));
        }

        pub fn delete(&self, kind: &str, key: &str) {
            self.0.lock().objects.remove(&format!("{kind} {key}"));
        }
    }

    impl Lookup for Map {
        fn lookup(&self, kind: &str, key: &str) -> Option<(u64, Bytes)> {
            self.0.lock().objects.get(&format!("{kind} {key}")).cloned()
        }
    }
}
