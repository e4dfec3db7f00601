use super::*;

const NOW: i64 = 1_000_000;

fn def(plural: &str) -> &'static KindDef {
    kinds::find("", "v1", plural).expect("served")
}

fn pod(metadata: Value, node: &str) -> Value {
    let mut object =
        json!({"metadata": {"name": "p", "generation": 1}, "spec": {"nodeName": node}, "status": {}});
    for (key, value) in metadata.as_object().expect("a map") {
        object["metadata"][key] = value.clone();
    }
    object
}

fn grace_of(plan: &Plan) -> Option<(&str, Option<i64>, Option<&str>)> {
    let object = match plan {
        Plan::Mark(object) => ("mark", Some(object)),
        Plan::Remove(object) => ("remove", object.as_ref()),
        Plan::Pending => ("pending", None),
    };
    let meta = |f: fn(&Value) -> Option<i64>| object.1.and_then(f);
    Some((object.0, meta(meta::deletion_grace_period_seconds), object.1.and_then(meta::deletion_timestamp)))
}

#[test]
fn pods() {
    let at = |seconds: i64| time::seconds(NOW + seconds);
    let check = |object: Value, grace: Option<i64>, want: (&str, Option<i64>, Option<String>)| {
        let options = DeleteOptions { grace_period_seconds: grace, ..DeleteOptions::default() };
        let plan = plan(def("pods"), &object, &options, NOW);
        assert_eq!(grace_of(&plan), Some((want.0, want.1, want.2.as_deref())), "{object} {grace:?}");
    };
    check(pod(json!({}), "n"), None, ("mark", Some(30), Some(at(30))));
    check(pod(json!({}), "n"), Some(5), ("mark", Some(5), Some(at(5))));
    check(pod(json!({}), "n"), Some(-1), ("mark", Some(1), Some(at(1))));
    check(pod(json!({}), "n"), Some(0), ("remove", Some(0), Some(at(0))));
    check(pod(json!({}), ""), None, ("remove", Some(0), Some(at(0))));
    let marked = json!({"deletionTimestamp": at(20), "deletionGracePeriodSeconds": 30});
    check(pod(marked.clone(), "n"), None, ("pending", None, None));
    check(pod(marked.clone(), "n"), Some(40), ("pending", None, None));
    check(pod(marked.clone(), "n"), Some(10), ("mark", Some(10), Some(at(0))));
    check(pod(marked, "n"), Some(0), ("remove", Some(0), Some(at(-10))));
    let held = json!({"finalizers": ["x/y"]});
    check(pod(held, "n"), Some(0), ("mark", Some(0), Some(at(0))));
}

#[test]
fn propagation() {
    let check = |had: Value, policy: Option<Propagation>, want: Option<Vec<&str>>| {
        let object = json!({"metadata": {"name": "c", "finalizers": had}});
        let options = DeleteOptions { propagation: policy, ..DeleteOptions::default() };
        let finalizers = match plan(def("configmaps"), &object, &options, NOW) {
            Plan::Mark(object) => {
                Some(meta::finalizers(&object).into_iter().map(str::to_owned).collect::<Vec<_>>())
            }
            Plan::Remove(_) => None,
            Plan::Pending => panic!("a deletion that nobody began"),
        };
        let want: Option<Vec<String>> = want.map(|w| w.into_iter().map(str::to_owned).collect());
        assert_eq!(finalizers, want, "{object} {policy:?}");
    };
    check(json!([]), None, None);
    check(json!(["a/b"]), None, Some(vec!["a/b"]));
    check(json!([]), Some(Propagation::Orphan), Some(vec!["orphan"]));
    check(json!(["a/b"]), Some(Propagation::Foreground), Some(vec!["a/b", "foregroundDeletion"]));
    check(json!(["orphan"]), Some(Propagation::Background), None);
}

#[test]
fn namespaces() {
    let object = json!({"metadata": {"name": "n"}, "spec": {"finalizers": ["kubernetes"]}, "status": {}});
    let Plan::Mark(marked) = plan(def("namespaces"), &object, &DeleteOptions::default(), NOW) else {
        panic!("not marked")
    };
    assert_eq!(marked["status"]["phase"], "Terminating");
    assert_eq!(plan(def("namespaces"), &marked, &DeleteOptions::default(), NOW), Plan::Pending);
}
