use super::plan::{Remaining, Step, conditions, content, plan, without_ours};
use jiff::{SignedDuration, Timestamp};
use keelson_client::views::Namespace;
use keelson_client::{Resource, Served};
use serde_json::{Value, json};
use std::time::Duration;

fn namespace(deleting: bool, finalizers: Value) -> Namespace {
    let mut object = json!({"metadata": {"name": "t"}, "spec": {"finalizers": finalizers}});
    if deleting {
        object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    }
    serde_json::from_value(object).unwrap()
}

#[test]
fn only_deleted_namespaces_are_emptied() {
    let late = || Timestamp::now() + Duration::from_secs(9);
    assert_eq!(plan(&namespace(false, json!(["kubernetes"])), late()), Step::Nothing);
    assert_eq!(plan(&namespace(true, json!(["kubernetes"])), late()), Step::Empty);
    assert_eq!(plan(&namespace(true, json!(["other"])), late()), Step::Nothing);
    assert_eq!(without_ours(&namespace(true, json!(["kubernetes", "other"]))), ["other"]);
}

#[test]
fn content_is_left_alone_at_first() {
    let deleted = namespace(true, json!(["kubernetes"]));
    let at = deleted.metadata.deletion_timestamp.unwrap();
    for (millis, want) in [
        (0, Step::Wait(Duration::from_millis(2000))),
        (1999, Step::Wait(Duration::from_millis(1))),
        (2000, Step::Empty),
        (60_000, Step::Empty),
        // A clock that was set back holds nothing up.
        (-60_000, Step::Empty),
    ] {
        assert_eq!(plan(&deleted, at + SignedDuration::from_millis(millis)), want, "after {millis} ms");
    }
}

#[test]
fn what_belongs_to_the_content() {
    let served = |resource: Resource, verbs: &[&str]| Served {
        resource,
        verbs: verbs.iter().map(|v| v.to_string()).collect(),
    };
    let all = [
        served(Resource::CONFIG_MAPS, &["delete", "list"]),
        served(Resource::PODS, &["delete", "list"]),
        served(Resource::NODES, &["delete", "list"]),
        served(Resource::LOCAL_SUBJECT_ACCESS_REVIEWS, &["create"]),
    ];
    let (pods, others) = content(&all);
    let names = |kinds: Vec<&Served>| kinds.iter().map(|k| k.resource.plural).collect::<Vec<_>>();
    assert_eq!((names(pods), names(others)), (vec!["pods"], vec!["configmaps"]));
}

#[test]
fn conditions_say_what_remains() {
    let mut remaining = Remaining::default();
    remaining.objects.insert("pods.".into(), 2);
    remaining.finalizers.insert("example.com/hold".into(), 1);
    let at = |s| Timestamp::from_second(s).unwrap();
    let first = conditions(&[], &remaining, None, at(1));
    let text = |conditions: &[keelson_client::views::Condition], t: &str| {
        let c = conditions.iter().find(|c| c.r#type == t).unwrap();
        format!("{} {}: {}", c.status, c.reason, c.message)
    };
    assert_eq!(first.len(), 5);
    assert_eq!(
        text(&first, "NamespaceContentRemaining"),
        "True SomeResourcesRemain: Some resources are remaining: pods. has 2 resource instances"
    );
    assert_eq!(
        text(&first, "NamespaceFinalizersRemaining"),
        "True SomeFinalizersRemain: Some content in the namespace has finalizers remaining: \
         example.com/hold in 1 resource instances"
    );
    assert_eq!(conditions(&first, &remaining, None, at(9)), first, "nothing new is nothing to write");
    let done = conditions(&first, &Remaining::default(), None, at(9));
    assert_eq!(
        text(&done, "NamespaceContentRemaining"),
        "False ContentRemoved: All content successfully removed"
    );
}
