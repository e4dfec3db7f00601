use super::graph::{Graph, Work};
use super::plan::{Owner, Plan, plan};
use keelson_client::{Meta, Propagation, Resource};
use serde_json::{Value, json};

fn meta(uid: &str, change: Value) -> Meta {
    let mut object = json!({"name": uid, "namespace": "t", "uid": uid});
    for (name, value) in change.as_object().unwrap() {
        object[name] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

fn owned_by(uids: &[&str]) -> Value {
    let all: Vec<Value> = uids
        .iter()
        .map(|uid| json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": uid, "uid": uid, "blockOwnerDeletion": true}))
        .collect();
    json!({"ownerReferences": all})
}

fn deleting(finalizer: &str) -> Value {
    json!({"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": [finalizer]})
}

struct World(Graph);

impl World {
    fn new() -> Self {
        Self(Graph::default())
    }

    fn pod(&mut self, uid: &str, change: Value) -> Vec<String> {
        self.see(Resource::PODS, uid, change)
    }

    fn set(&mut self, uid: &str, change: Value) -> Vec<String> {
        self.see(Resource::REPLICA_SETS, uid, change)
    }

    fn see(&mut self, resource: Resource, uid: &str, change: Value) -> Vec<String> {
        let mapper = |_: &str, kind: &str| (kind == "ReplicaSet").then_some(Resource::REPLICA_SETS);
        text(self.0.observe(resource, &meta(uid, change), &mapper))
    }

    fn gone(&mut self, uid: &str) -> Vec<String> {
        text(self.0.gone(uid))
    }
}

fn text(work: Vec<Work>) -> Vec<String> {
    let mut all: Vec<String> = work.iter().map(Work::to_string).collect();
    all.sort();
    all.dedup();
    all
}

#[test]
fn dependents_follow_their_owner() {
    let mut world = World::new();
    assert!(world.set("rs", json!({})).is_empty());
    assert!(world.pod("p1", owned_by(&["rs"])).is_empty());
    assert!(world.pod("p2", owned_by(&["rs"])).is_empty());
    assert!(world.pod("p1", owned_by(&["rs"])).is_empty(), "seen again");
    assert_eq!(world.gone("rs"), ["attempt p1", "attempt p2"]);
    assert!(world.gone("p1").is_empty());
}

#[test]
fn an_owner_that_nobody_has_seen_is_asked_for() {
    let mut world = World::new();
    assert_eq!(world.pod("p1", owned_by(&["rs"])), ["attempt rs"]);
    let stand_in = world.0.get("rs").unwrap();
    assert!(stand_in.is_virtual && stand_in.resource == Some(Resource::REPLICA_SETS));
    assert_eq!(stand_in.key.to_string(), "t/rs");
    assert!(world.pod("p2", owned_by(&["rs"])).is_empty(), "once is enough");
    assert!(world.set("rs", json!({})).is_empty(), "there it is");
    assert!(!world.0.get("rs").unwrap().is_virtual);
    assert_eq!(world.gone("rs"), ["attempt p1", "attempt p2"]);

    world.pod("p3", owned_by(&["other"]));
    world.gone("p3");
    assert!(world.0.get("other").is_none(), "nobody needs the stand-in");
}

#[test]
fn foreground_deletion_waits_for_what_blocks() {
    let mut world = World::new();
    world.set("rs", json!({}));
    world.pod("p1", owned_by(&["rs"]));
    assert_eq!(world.set("rs", deleting("foregroundDeletion")), ["attempt p1", "attempt rs"]);
    assert!(world.set("rs", deleting("foregroundDeletion")).is_empty(), "once");
    assert_eq!(world.0.blocking("rs").len(), 1);
    assert_eq!(world.pod("p2", owned_by(&["rs"])), ["attempt p2"], "a late one must go too");
    assert_eq!(world.gone("p1"), ["attempt rs"]);
    let mut free = owned_by(&["rs"]);
    free["ownerReferences"][0]["blockOwnerDeletion"] = json!(false);
    assert_eq!(world.pod("p2", free), ["attempt rs"]);
    assert!(world.0.blocking("rs").is_empty());
}

#[test]
fn a_circle_of_those_that_wait_is_found() {
    let waiting = |owner: &str, block: bool| {
        let mut meta = deleting("foregroundDeletion");
        meta["ownerReferences"] = owned_by(&[owner])["ownerReferences"].clone();
        meta["ownerReferences"][0]["blockOwnerDeletion"] = json!(block);
        meta
    };
    let mut world = World::new();
    world.set("a", owned_by(&["c"]));
    world.set("b", owned_by(&["a"]));
    world.set("c", owned_by(&["b"]));
    world.set("a", waiting("c", true));
    world.set("b", waiting("a", true));
    assert!(!world.0.waits_for_itself("a"), "c does not wait yet");
    world.set("c", waiting("b", true));
    for uid in ["a", "b", "c"] {
        assert!(world.0.waits_for_itself(uid), "{uid}");
    }
    // One that hangs on the circle is not in it.
    world.set("d", waiting("c", true));
    assert!(!world.0.waits_for_itself("d"));
    assert_eq!(world.set("c", waiting("b", false)), ["attempt b"], "its owner looks again");
    for uid in ["a", "b", "c"] {
        assert!(!world.0.waits_for_itself(uid), "{uid}");
    }
    world.set("self", waiting("self", true));
    assert!(world.0.waits_for_itself("self"));
}

#[test]
fn orphaning_is_asked_for_once() {
    let mut world = World::new();
    world.set("rs", json!({}));
    world.pod("p1", owned_by(&["rs"]));
    assert_eq!(world.set("rs", deleting("orphan")), ["orphan rs"]);
    assert!(world.set("rs", deleting("orphan")).is_empty());
    assert_eq!(world.0.dependents("rs").len(), 1);
    assert!(world.pod("p1", json!({})).is_empty());
    assert!(world.0.dependents("rs").is_empty());
    assert!(world.gone("rs").is_empty(), "nobody depends on it any more");
}

#[test]
fn what_becomes_of_an_object() {
    use Owner::{Absent, Solid, Unknown, Waiting};
    let unlink = |uids: &[&str]| Plan::Unlink(uids.iter().map(|u| u.to_string()).collect());
    let rows: [(&[Owner], bool, Plan); 10] = [
        (&[], false, Plan::Keep),
        (&[Solid], false, Plan::Keep),
        (&[Unknown], false, Plan::Keep),
        (&[Absent], false, Plan::Delete(Propagation::Background)),
        (&[Absent, Absent], true, Plan::Delete(Propagation::Background)),
        (&[Solid, Absent], false, unlink(&["o1"])),
        (&[Waiting, Solid], false, unlink(&["o0"])),
        (&[Absent, Unknown], false, unlink(&["o0"])),
        (&[Waiting], false, Plan::Delete(Propagation::Background)),
        (&[Waiting], true, Plan::Delete(Propagation::Foreground)),
    ];
    for (owners, has_dependents, expected) in rows {
        let uids: Vec<String> = (0..owners.len()).map(|i| format!("o{i}")).collect();
        let uids: Vec<&str> = uids.iter().map(String::as_str).collect();
        let object = meta("x", owned_by(&uids));
        assert_eq!(plan(&object, owners, has_dependents), expected, "{owners:?}");
    }
    let mut keeps = owned_by(&["o0"]);
    keeps["finalizers"] = json!(["orphan"]);
    assert_eq!(plan(&meta("x", keeps), &[Absent], true), Plan::Delete(Propagation::Orphan));
}
