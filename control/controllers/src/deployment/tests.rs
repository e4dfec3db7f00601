use super::plan::{Observed, Plan, plan};
use super::rounding::{Bounds, bounds};
use super::set::{same_template, template_hash};
use jiff::Timestamp;
use keelson_client::views::{Deployment, ReplicaSet};
use serde_json::{Value, json};
use std::sync::Arc;

type Sets = Vec<Arc<ReplicaSet>>;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn template(image: &str) -> Value {
    json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": image}]}})
}

/// A deployment of image `v2` with `spec` merged in.
fn deployment(replicas: i64, spec: Value) -> Deployment {
    let mut object = json!({
        "metadata": {"name": "web", "namespace": "t", "uid": "d", "generation": 2, "resourceVersion": "9"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template("v2"),
                 "strategy": {"type": "RollingUpdate"}, "progressDeadlineSeconds": 600,
                 "revisionHistoryLimit": 10}
    });
    for (name, value) in spec.as_object().unwrap() {
        object["spec"][name] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

/// A set of an image: its size, how many of it are available, and the deployment's size when last scaled.
fn set(image: &str, revision: i64, size: i64, available: i64, desired: i64) -> Arc<ReplicaSet> {
    Arc::new(
        serde_json::from_value(json!({
            "metadata": {"name": format!("web-{image}"), "uid": image, "resourceVersion": "7", "annotations": {
                "deployment.kubernetes.io/revision": revision.to_string(),
                "deployment.kubernetes.io/desired-replicas": desired.to_string(),
                "deployment.kubernetes.io/max-replicas": (desired + (desired + 3) / 4).to_string()},
                "creationTimestamp": format!("2026-01-01T00:00:{revision:02}Z")},
            "spec": {"replicas": size, "template": template(image)},
            "status": {"replicas": size, "readyReplicas": available, "availableReplicas": available}
        }))
        .unwrap(),
    )
}

fn run(deployment: &Deployment, sets: Vec<Arc<ReplicaSet>>) -> Plan {
    plan(Observed { deployment, sets, has_pods: &|_| false, now: at(1000) })
}

/// The sizes a plan leads to, as text: `web-v1 3>2`.
fn sizes(plan: &Plan) -> Vec<String> {
    let created = plan.create.iter().map(|c| format!("+{}", c.size));
    let scaled = plan.patches.iter().filter(|p| p.from != p.to);
    created.chain(scaled.map(|p| format!("{} {}>{}", p.name, p.from, p.to))).collect()
}

fn condition(plan: &Plan, r#type: &str) -> String {
    let status = plan.status.as_ref().expect("a new status");
    let found = status.conditions.iter().find(|c| c.r#type == r#type);
    found.map(|c| format!("{} {}: {}", c.status, c.reason, c.message)).unwrap_or_default()
}

#[test]
fn bounds_round_as_documented() {
    let rows = [
        (json!({}), 10, 3, 2),
        (json!({"maxSurge": "25%", "maxUnavailable": "25%"}), 1, 1, 0),
        (json!({"maxSurge": "25%", "maxUnavailable": "25%"}), 4, 1, 1),
        (json!({"maxSurge": 0, "maxUnavailable": 0}), 4, 0, 1),
        (json!({"maxSurge": "0%", "maxUnavailable": "10%"}), 4, 0, 1),
        (json!({"maxSurge": "100%", "maxUnavailable": "100%"}), 3, 3, 3),
        (json!({"maxSurge": 5, "maxUnavailable": 9}), 3, 5, 3),
    ];
    for (rolling, replicas, surge, unavailable) in rows {
        let strategy = json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": rolling}});
        let found = bounds(&deployment(replicas, strategy.clone()));
        assert_eq!(found, Bounds { surge, unavailable }, "{replicas} {strategy}");
    }
    let recreate = deployment(4, json!({"strategy": {"type": "Recreate"}}));
    assert_eq!(bounds(&recreate), Bounds { surge: 0, unavailable: 0 });
}

#[test]
fn rolling_updates_move_in_steps() {
    let cases: [(&str, i64, Sets, &[&str]); 9] = [
        ("the first set gets all", 3, vec![], &["+3"]),
        ("a new set gets the surge", 4, vec![set("v1", 1, 4, 4, 4)], &["+1"]),
        (
            "old pods leave as far as allowed",
            4,
            vec![set("v1", 1, 4, 4, 4), set("v2", 2, 1, 0, 4)],
            &["web-v1 4>3"],
        ),
        (
            "the new set grows into the room",
            4,
            vec![set("v1", 1, 3, 3, 4), set("v2", 2, 1, 0, 4)],
            &["web-v2 1>2"],
        ),
        (
            "nothing to do until pods are available",
            4,
            vec![set("v1", 1, 3, 3, 4), set("v2", 2, 2, 0, 4)],
            &[],
        ),
        ("broken old pods go first", 4, vec![set("v1", 1, 4, 1, 4), set("v2", 2, 1, 1, 4)], &["web-v1 4>2"]),
        ("the last old pod", 4, vec![set("v1", 1, 1, 1, 4), set("v2", 2, 4, 4, 4)], &["web-v1 1>0"]),
        ("done", 4, vec![set("v1", 1, 0, 0, 4), set("v2", 2, 4, 4, 4)], &[]),
        ("a rollback reuses its set", 2, vec![set("v2", 1, 0, 0, 2), set("v1", 2, 2, 2, 2)], &["web-v2 0>1"]),
    ];
    for (name, replicas, sets, expected) in cases {
        assert_eq!(sizes(&run(&deployment(replicas, json!({})), sets)), expected, "{name}");
    }
}

#[test]
fn a_rollout_ends_and_never_breaks_its_bounds() {
    for replicas in [0, 1, 2, 3, 7, 10] {
        for (surge, unavailable) in [("25%", "25%"), ("0%", "0%"), ("100%", "0%"), ("0%", "100%")] {
            let rolling = json!({"maxSurge": surge, "maxUnavailable": unavailable});
            let spec = json!({"strategy": {"type": "RollingUpdate", "rollingUpdate": rolling}});
            let deployment = deployment(replicas, spec);
            let limits = bounds(&deployment);
            let mut sets = vec![set("v1", 1, replicas, replicas, replicas)];
            let mut rounds = 0;
            loop {
                let plan = run(&deployment, sets.clone());
                let steps = sizes(&plan);
                if let Some(new) = &plan.create {
                    sets.push(set("v2", 2, new.size, 0, replicas));
                }
                for change in &plan.patches {
                    let old = sets.iter_mut().find(|s| s.metadata.name == change.name).unwrap();
                    let revision = if change.name == "web-v1" { 1 } else { 2 };
                    let kept = old.status.available_replicas.min(change.to);
                    *old = set(&change.name[4..], revision, change.to, kept, replicas);
                }
                let total: i64 = sets.iter().map(|s| s.spec.replicas.unwrap()).sum();
                let available: i64 = sets.iter().map(|s| s.status.available_replicas).sum();
                assert!(total <= replicas + limits.surge, "{replicas} {surge} {unavailable}: {total}");
                assert!(available >= replicas - limits.unavailable, "{replicas} {surge} {unavailable}");
                if steps.is_empty() {
                    // Everything that was started becomes available.
                    let waiting = sets.iter().any(|s| s.status.available_replicas < s.spec.replicas.unwrap());
                    if !waiting {
                        break;
                    }
                    for s in &mut sets {
                        let size = s.spec.replicas.unwrap();
                        let revision = if s.metadata.uid == "v1" { 1 } else { 2 };
                        *s = set(&s.metadata.uid.clone(), revision, size, size, replicas);
                    }
                }
                rounds += 1;
                assert!(rounds < 100, "{replicas} {surge} {unavailable} does not end");
            }
            let left: Vec<i64> = sets.iter().map(|s| s.spec.replicas.unwrap()).collect();
            assert_eq!(left, [0, replicas], "{replicas} {surge} {unavailable}");
        }
    }
}

#[test]
fn the_new_set_is_as_kubernetes_makes_it() {
    let mut deployment = deployment(3, json!({"minReadySeconds": 5}));
    deployment.metadata.annotations.insert("note".into(), "x".into());
    deployment
        .metadata
        .annotations
        .insert("kubectl.kubernetes.io/last-applied-configuration".into(), "{}".into());
    let plan = run(&deployment, vec![set("v1", 4, 3, 3, 3)]);
    let new = plan.create.as_ref().unwrap();
    let hash = template_hash(&template("v2"), None);
    assert_eq!(new.name, format!("web-{hash}"));
    assert_eq!(new.body["metadata"]["labels"], json!({"app": "web", "pod-template-hash": hash}));
    assert_eq!(new.body["spec"]["selector"]["matchLabels"]["pod-template-hash"], json!(hash));
    assert_eq!(new.body["spec"]["template"]["metadata"]["labels"]["pod-template-hash"], json!(hash));
    assert_eq!(new.body["spec"]["minReadySeconds"], json!(5));
    assert_eq!(
        new.body["metadata"]["annotations"],
        json!({"note": "x", "deployment.kubernetes.io/revision": "5",
               "deployment.kubernetes.io/desired-replicas": "3", "deployment.kubernetes.io/max-replicas": "4"})
    );
    assert_eq!(new.body["metadata"]["ownerReferences"][0]["controller"], json!(true));
    assert_eq!(plan.revision, Some(5));
    assert_eq!(
        condition(&plan, "Progressing"),
        format!("True NewReplicaSetCreated: Created new replica set \"{}\"", new.name)
    );
}

#[test]
fn hashes_depend_on_the_template_and_on_collisions() {
    let hash = template_hash(&template("v1"), None);
    assert!(hash.chars().all(|c| "bcdfghjklmnpqrstvwxz2456789".contains(c)), "{hash}");
    assert_ne!(hash, template_hash(&template("v2"), None));
    assert_ne!(hash, template_hash(&template("v1"), Some(1)));
    let mut labeled = template("v1");
    labeled["metadata"]["labels"]["pod-template-hash"] = json!(hash);
    labeled["metadata"]["creationTimestamp"] = Value::Null;
    assert!(same_template(&labeled, &template("v1")));
    assert_eq!(hash, template_hash(&labeled, None));
}

#[test]
fn a_rollback_becomes_the_newest_revision() {
    let plan = run(&deployment(2, json!({})), vec![set("v2", 1, 0, 0, 2), set("v1", 2, 2, 2, 2)]);
    let change = plan.patches.iter().find(|p| p.name == "web-v2").unwrap();
    let annotations = &change.patch["metadata"]["annotations"];
    assert_eq!(annotations["deployment.kubernetes.io/revision"], json!("3"));
    assert_eq!(annotations["deployment.kubernetes.io/revision-history"], json!("1"));
    assert_eq!(plan.revision, Some(3));
}

#[test]
fn recreate_waits_for_the_last_old_pod() {
    let deployment = deployment(3, json!({"strategy": {"type": "Recreate"}}));
    let run = |sets, has_pods: bool| {
        plan(Observed { deployment: &deployment, sets, has_pods: &|_| has_pods, now: at(1000) })
    };
    assert_eq!(sizes(&run(vec![set("v1", 1, 3, 3, 3)], true)), ["web-v1 3>0"]);
    assert!(sizes(&run(vec![set("v1", 1, 0, 0, 3)], true)).is_empty());
    assert_eq!(sizes(&run(vec![set("v1", 1, 0, 0, 3)], false)), ["+3"]);
    assert_eq!(sizes(&run(vec![set("v1", 1, 0, 0, 3), set("v2", 2, 0, 0, 3)], false)), ["web-v2 0>3"]);
}

#[test]
fn scaling() {
    let cases: [(&str, i64, Sets, &[&str]); 6] = [
        ("one set takes all", 5, vec![set("v2", 1, 3, 3, 3)], &["web-v2 3>5"]),
        ("to nothing", 0, vec![set("v2", 1, 3, 3, 3)], &["web-v2 3>0"]),
        ("from nothing", 3, vec![set("v2", 1, 0, 0, 0)], &["web-v2 0>3"]),
        (
            "in proportion in the middle of a rollout",
            20,
            vec![set("v1", 1, 8, 8, 10), set("v2", 2, 5, 5, 10)],
            &["web-v1 8>15", "web-v2 5>10"],
        ),
        (
            "down in proportion",
            5,
            vec![set("v1", 1, 8, 8, 10), set("v2", 2, 5, 5, 10)],
            &["web-v1 8>4", "web-v2 5>3"],
        ),
        (
            "all to nothing",
            0,
            vec![set("v1", 1, 8, 8, 10), set("v2", 2, 5, 5, 10)],
            &["web-v1 8>0", "web-v2 5>0"],
        ),
    ];
    for (name, replicas, sets, expected) in cases {
        assert_eq!(sizes(&run(&deployment(replicas, json!({})), sets)), expected, "{name}");
    }
}

#[test]
fn paused_deployments_scale_but_do_not_roll() {
    let paused = deployment(3, json!({"paused": true}));
    let plan = run(&paused, vec![set("v1", 1, 3, 3, 3)]);
    assert!(sizes(&plan).is_empty());
    assert_eq!(condition(&plan, "Progressing"), "Unknown DeploymentPaused: Deployment is paused");
    assert_eq!(
        sizes(&run(&deployment(5, json!({"paused": true})), vec![set("v1", 1, 3, 3, 3)])),
        ["web-v1 3>5"]
    );
}

#[test]
fn history_is_kept_to_its_limit() {
    let old: Vec<_> = (1..=4).map(|r| set(&format!("o{r}"), r, 0, 0, 2)).collect();
    let with = |limit: i64, mut sets: Vec<Arc<ReplicaSet>>, available| {
        sets.push(set("v2", 5, 2, available, 2));
        let plan = run(&deployment(2, json!({"revisionHistoryLimit": limit})), sets);
        plan.delete.iter().map(|s| s.metadata.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(with(2, old.clone(), 2), ["web-o1", "web-o2"]);
    assert!(with(2, old.clone(), 1).is_empty(), "not before the rollout is through");
    assert!(with(4, old.clone(), 2).is_empty());
    assert_eq!(with(0, old, 2).len(), 4);
}

#[test]
fn conditions_tell_the_rollout() {
    let mut deployment = deployment(2, json!({}));
    let plan = run(&deployment, vec![set("v2", 1, 2, 1, 2)]);
    assert_eq!(
        condition(&plan, "Available"),
        "False MinimumReplicasUnavailable: Deployment does not have minimum availability."
    );
    assert_eq!(
        condition(&plan, "Progressing"),
        "True ReplicaSetUpdated: ReplicaSet \"web-v2\" is progressing."
    );
    assert_eq!(plan.again, Some(std::time::Duration::from_secs(601)));

    deployment.status = plan.status.unwrap();
    let late = |sets| plan_at(&deployment, sets, 1700);
    let plan = late(vec![set("v2", 1, 2, 1, 2)]);
    assert_eq!(
        condition(&plan, "Progressing"),
        "False ProgressDeadlineExceeded: ReplicaSet \"web-v2\" has timed out progressing."
    );
    let plan = late(vec![set("v2", 1, 2, 2, 2)]);
    assert_eq!(
        condition(&plan, "Progressing"),
        "True NewReplicaSetAvailable: ReplicaSet \"web-v2\" has successfully progressed."
    );
    assert_eq!(
        condition(&plan, "Available"),
        "True MinimumReplicasAvailable: Deployment has minimum availability."
    );
    assert_eq!(plan.again, None);
    let status = plan.status.unwrap();
    assert_eq!((status.replicas, status.updated_replicas, status.ready_replicas), (2, 2, 2));
    assert_eq!(
        (status.available_replicas, status.unavailable_replicas, status.observed_generation),
        (2, 0, 2)
    );
}

fn plan_at(deployment: &Deployment, sets: Vec<Arc<ReplicaSet>>, second: i64) -> Plan {
    plan(Observed { deployment, sets, has_pods: &|_| false, now: at(second) })
}

#[test]
fn a_sets_failure_is_the_deployments() {
    let mut failing = (*set("v2", 1, 2, 0, 2)).clone();
    failing.status.conditions = serde_json::from_value(
        json!([{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "quota"}]),
    )
    .unwrap();
    let plan = run(&deployment(2, json!({})), vec![Arc::new(failing)]);
    assert_eq!(condition(&plan, "ReplicaFailure"), "True FailedCreate: quota");
}

#[test]
fn nothing_is_written_when_nothing_changed() {
    let mut deployment = deployment(2, json!({}));
    deployment.metadata.annotations.insert("deployment.kubernetes.io/revision".into(), "1".into());
    let first = run(&deployment, vec![set("v2", 1, 2, 2, 2)]);
    deployment.status = first.status.unwrap();
    let second = plan_at(&deployment, vec![set("v2", 1, 2, 2, 2)], 5000);
    assert!(second.patches.is_empty() && second.status.is_none() && second.revision.is_none());
}
