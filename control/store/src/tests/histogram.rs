//! The histograms that openraft gets from us.

use base2histogram::Histogram;

#[test]
fn percentiles_are_right_to_a_quarter_of_a_power_of_two() {
    let mut h = Histogram::<()>::new();
    assert_eq!(h.percentile(0.5), 0);
    (1..=1000).for_each(|value| h.record(value));
    for (share, exact) in [(0.001, 1.0), (0.01, 10.0), (0.5, 500.0), (0.9, 900.0), (0.999, 999.0)] {
        let found = h.percentile(share) as f64;
        assert!(found <= exact && found > exact * 0.79, "{share}: {found} for {exact}");
    }
    h.record(u64::MAX);
    h.record(0);
    let stats = h.percentile_stats();
    assert_eq!((stats.samples, h.percentile(1.0) >> 61), (1002, 7));
    assert_eq!(h.percentile(0.0), 0);
}
