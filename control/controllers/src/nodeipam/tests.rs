use super::plan::{Pool, Range};

fn pool(cluster: &str) -> Pool {
    Pool::new(Range::parse(cluster).unwrap())
}

fn give(pool: &mut Pool, node: &str) -> String {
    pool.allocate(node).map(|r| r.to_string()).unwrap_or_default()
}

#[test]
fn ranges_in_order_without_overlap() {
    let mut pool = pool("10.244.0.0/16");
    pool.occupy("old", ["10.244.1.0/24", "192.168.0.0/24"].into_iter());
    assert_eq!(give(&mut pool, "a"), "10.244.0.0/24");
    assert_eq!(give(&mut pool, "b"), "10.244.2.0/24");
    assert_eq!(give(&mut pool, "a"), "10.244.0.0/24", "asking again gives the same");
    pool.release("a");
    assert_eq!(give(&mut pool, "c"), "10.244.0.0/24");
}

#[test]
fn larger_and_smaller_ranges_are_respected() {
    let mut big = pool("10.244.0.0/16");
    big.occupy("big", ["10.244.0.0/22", "10.244.4.128/25"].into_iter());
    assert_eq!(give(&mut big, "a"), "10.244.5.0/24");
    let mut covered = pool("10.244.0.0/16");
    covered.occupy("all", ["10.0.0.0/8"].into_iter());
    assert_eq!(give(&mut covered, "a"), "");
}

#[test]
fn an_exhausted_pool_says_no() {
    let mut pool = pool("10.0.0.0/23");
    assert_eq!(give(&mut pool, "a"), "10.0.0.0/24");
    assert_eq!(give(&mut pool, "b"), "10.0.1.0/24");
    assert_eq!(give(&mut pool, "c"), "");
    pool.release("b");
    assert_eq!(give(&mut pool, "c"), "10.0.1.0/24");
}

#[test]
fn ipv6_and_bad_input() {
    assert_eq!(give(&mut pool("fd00:10:244::/48"), "a"), "fd00:10:244::/64");
    for bad in ["", "10.0.0.0", "10.0.0.0/33", "x/8", "::/129", "10.0.0.0/-1"] {
        assert!(Range::parse(bad).is_err(), "{bad}");
    }
    assert_eq!(Range::parse("0.0.0.0/0").unwrap().to_string(), "0.0.0.0/0");
}
