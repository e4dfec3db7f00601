use super::*;
use serde_json::json;

fn pod(uid: &str, priority: i32, gated: bool) -> Arc<PodInfo> {
    let gates = if gated { json!([{"name": "g"}]) } else { json!([]) };
    let pod = serde_json::from_value(json!({
        "metadata": {"name": uid, "uid": uid},
        "spec": {"priority": priority, "schedulingGates": gates}
    }));
    Arc::new(PodInfo::new(&pod.unwrap()))
}

fn at(second: u64) -> Duration {
    Duration::from_secs(second)
}

fn pop(queue: &mut Queue) -> String {
    queue.pop().map(|p| p.meta.uid.clone()).unwrap_or_default()
}

#[test]
fn priority_then_arrival() {
    let mut queue = Queue::default();
    for (uid, priority) in [("a", 0), ("b", 5), ("c", 0), ("d", 5)] {
        queue.add(pod(uid, priority, false), at(0));
    }
    queue.remove("c");
    let order: Vec<String> = (0..4).map(|_| pop(&mut queue)).collect();
    assert_eq!(order, ["b", "d", "a", ""]);
}

#[test]
fn a_pod_waits_for_what_may_help_it() {
    let mut queue = Queue::default();
    queue.add(pod("a", 0, false), at(0));
    assert_eq!(pop(&mut queue), "a");
    queue.no_node("a", Hints::POD_GONE, at(0));
    queue.wake(Hints::CAPACITY, at(100));
    queue.tick(at(100));
    assert_eq!(pop(&mut queue), "");
    queue.wake(Hints::POD_GONE, at(100));
    assert_eq!(pop(&mut queue), "a");
}

#[test]
fn a_woken_pod_in_its_pause_goes_when_nobody_else_does() {
    let mut queue = Queue::default();
    queue.add(pod("a", 0, false), at(0));
    queue.pop();
    queue.no_node("a", Hints::ALL, at(0));
    queue.wake(Hints::NODE, at(0));
    assert_eq!(queue.next_due(), Some(at(1)));
    queue.add(pod("b", -5, false), at(0));
    assert_eq!((pop(&mut queue), pop(&mut queue)), ("b".to_owned(), "a".to_owned()));
}

#[test]
fn errors_are_waited_out() {
    let mut queue = Queue::default();
    queue.add(pod("a", 0, false), at(0));
    let mut now = at(0);
    for pause in [1, 2, 4, 8, 10, 10] {
        queue.tick(now);
        assert_eq!(pop(&mut queue), "a");
        queue.failed("a", now);
        assert_eq!(pop(&mut queue), "", "not before its pause is over");
        assert_eq!(queue.next_due(), Some(now + at(pause)));
        now += at(pause);
    }
}

#[test]
fn gates_keep_a_pod_back_and_forgotten_pods_are_found() {
    let mut queue = Queue::default();
    queue.add(pod("a", 0, true), at(0));
    queue.wake(Hints::ALL, at(0));
    assert_eq!(pop(&mut queue), "");
    queue.add(pod("a", 0, false), at(1));
    assert_eq!(pop(&mut queue), "a");
    queue.no_node("a", Hints::NODE, at(1));
    queue.sweep(at(300));
    assert_eq!(pop(&mut queue), "");
    queue.sweep(at(301));
    assert_eq!(pop(&mut queue), "a");
}

#[test]
fn an_update_during_binding_does_not_queue_twice() {
    let mut queue = Queue::default();
    queue.add(pod("a", 0, false), at(0));
    queue.pop();
    queue.add(pod("a", 3, false), at(0));
    assert_eq!(pop(&mut queue), "");
    queue.failed("a", at(0));
    queue.tick(at(1));
    assert_eq!(queue.pop().unwrap().priority, 3);
}
