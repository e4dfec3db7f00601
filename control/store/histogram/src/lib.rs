//! Histograms with logarithmic buckets, for openraft.
//!
//! openraft counts batch sizes in histograms of a crate of this name, which at its first use computes tables for
//! every precision it offers: 26 MB that stay. This one has the part of its interface that openraft calls, one
//! precision and no tables. It takes that crate's place by `[patch.crates-io]` in the workspace's manifest; when
//! openraft or the crate needs less, it can go.

use std::fmt;

/// Buckets per power of two.
const STEPS: u32 = 4;
/// Values up to here have a bucket of their own.
const EXACT: u64 = STEPS as u64;
const BUCKETS: usize = (EXACT as usize) + ((64 - EXACT.trailing_zeros()) * STEPS) as usize;

/// Counts of values, in buckets a quarter of a power of two wide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram<T = ()> {
    counts: Vec<u64>,
    total: u64,
    data: Option<T>,
}

impl<T> Default for Histogram<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Histogram<T> {
    /// One without values; it takes memory with its first.
    pub fn new() -> Self {
        Histogram { counts: Vec::new(), total: 0, data: None }
    }

    /// Counts a value.
    pub fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }

    /// Counts a value several times.
    pub fn record_n(&mut self, value: u64, count: u64) {
        if self.counts.is_empty() {
            self.counts = vec![0; BUCKETS];
        }
        self.counts[bucket(value)] += count;
        self.total += count;
    }

    /// Number of values counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The smallest value of the bucket under which the given share of values lies; 0 without values.
    pub fn percentile(&self, share: f64) -> u64 {
        let rank = (self.total as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return smallest(bucket);
            }
        }
        0
    }

    /// The percentiles that openraft shows.
    pub fn percentile_stats(&self) -> PercentileStats {
        PercentileStats {
            samples: self.total,
            p0_1: self.percentile(0.001),
            p1: self.percentile(0.01),
            p5: self.percentile(0.05),
            p10: self.percentile(0.1),
            p50: self.percentile(0.5),
            p90: self.percentile(0.9),
            p99: self.percentile(0.99),
            p99_9: self.percentile(0.999),
        }
    }
}

/// The bucket of a value: which power of two, and which quarter of it.
fn bucket(value: u64) -> usize {
    if value < EXACT {
        return value as usize;
    }
    let power = value.ilog2();
    let quarter = (value >> (power - STEPS.trailing_zeros())) & (u64::from(STEPS) - 1);
    EXACT as usize + ((power - EXACT.trailing_zeros()) * STEPS) as usize + quarter as usize
}

/// The smallest value of a bucket.
fn smallest(bucket: usize) -> u64 {
    if bucket < EXACT as usize {
        return bucket as u64;
    }
    let above = bucket as u32 - EXACT as u32;
    let (power, quarter) = (above / STEPS + EXACT.trailing_zeros(), u64::from(above % STEPS));
    (1 << power) + (quarter << (power - STEPS.trailing_zeros()))
}

/// Percentiles of a [`Histogram`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PercentileStats {
    /// Values counted.
    pub samples: u64,
    /// The value under which a thousandth lies; the others likewise.
    pub p0_1: u64,
    /// 1 %.
    pub p1: u64,
    /// 5 %.
    pub p5: u64,
    /// 10 %.
    pub p10: u64,
    /// Half.
    pub p50: u64,
    /// 90 %.
    pub p90: u64,
    /// 99 %.
    pub p99: u64,
    /// 99.9 %.
    pub p99_9: u64,
}

impl fmt::Display for PercentileStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n={} p50={} p90={} p99={}", self.samples, self.p50, self.p90, self.p99)
    }
}

/// Named histograms, one line of percentiles each.
#[derive(Clone, Debug, Default)]
pub struct AsciiChart {
    rows: Vec<(String, PercentileStats)>,
}

impl AsciiChart {
    /// One without rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a row.
    #[must_use]
    pub fn add<T>(mut self, name: impl Into<String>, histogram: Histogram<T>) -> Self {
        self.rows.push((name.into(), histogram.percentile_stats()));
        self
    }
}

impl fmt::Display for AsciiChart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rows.iter().try_for_each(|(name, stats)| writeln!(f, "{name}: {stats}"))
    }
}
