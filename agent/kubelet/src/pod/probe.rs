//! Probes as data: when the next one is due, and what a result changes.

use super::spec::{ContainerSpec, ProbeSpec};

/// What a probe decides about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeKind {
    Startup,
    Liveness,
    Readiness,
}

impl ProbeKind {
    /// As events name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
        }
    }

    pub fn of(self, container: &ContainerSpec) -> Option<&ProbeSpec> {
        match self {
            Self::Startup => container.startup_probe.as_ref(),
            Self::Liveness => container.liveness_probe.as_ref(),
            Self::Readiness => container.readiness_probe.as_ref(),
        }
    }
}

/// One probe of one running container.
#[derive(Clone, Debug)]
pub struct Probe {
    pub kind: ProbeKind,
    /// Monotonic ms.
    due: u64,
    period_ms: u64,
    success_threshold: u32,
    failure_threshold: u32,
    busy: bool,
    /// Results of the same kind in a row.
    run: u32,
    last: Option<bool>,
}

/// What a result means once thresholds are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not enough results in a row yet.
    Pending,
    Success,
    Failure,
}

impl Probe {
    /// The probes of a container that started at `started` (monotonic ms).
    pub fn all(container: &ContainerSpec, started: u64, now: u64) -> Vec<Self> {
        [ProbeKind::Startup, ProbeKind::Liveness, ProbeKind::Readiness]
            .into_iter()
            .filter_map(|kind| {
                let spec = kind.of(container)?;
                Some(Self {
                    kind,
                    due: (started + spec.initial_delay_seconds * 1000).max(now),
                    period_ms: spec.period_seconds.max(1) * 1000,
                    success_threshold: spec.success_threshold.max(1),
                    failure_threshold: spec.failure_threshold.max(1),
                    busy: false,
                    run: 0,
                    last: None,
                })
            })
            .collect()
    }

    /// When it wants to run; `None` while its result is awaited.
    pub fn due(&self) -> Option<u64> {
        (!self.busy).then_some(self.due)
    }

    /// Takes the turn that is due.
    pub fn begin(&mut self, now: u64) {
        self.busy = true;
        // A late turn moves the following ones: results never bunch up.
        self.due = now + self.period_ms;
    }

    /// Counts a result. `None` means that the probe could not be made and says nothing.
    pub fn finish(&mut self, success: Option<bool>) -> Verdict {
        self.busy = false;
        let Some(success) = success else { return Verdict::Pending };
        self.run = if self.last == Some(success) { self.run.saturating_add(1) } else { 1 };
        self.last = Some(success);
        match success {
            true if self.run >= self.success_threshold => Verdict::Success,
            false if self.run >= self.failure_threshold => Verdict::Failure,
            _ => Verdict::Pending,
        }
    }

    /// Runs again at once: another probe's success has made this one's answer worth knowing.
    pub fn hasten(&mut self, now: u64) {
        self.due = self.due.min(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn probe(spec: serde_json::Value) -> Probe {
        let container: ContainerSpec = serde_json::from_value(json!({"livenessProbe": spec})).unwrap();
        Probe::all(&container, 5000, 5000).remove(0)
    }

    #[test]
    fn thresholds_count_results_in_a_row() {
        let mut p = probe(json!({"failureThreshold": 3, "successThreshold": 2}));
        let mut check = |result: Option<bool>, expect: Verdict| assert_eq!(p.finish(result), expect);
        check(Some(false), Verdict::Pending);
        check(Some(false), Verdict::Pending);
        check(None, Verdict::Pending);
        check(Some(false), Verdict::Failure);
        check(Some(true), Verdict::Pending);
        check(Some(true), Verdict::Success);
        check(Some(false), Verdict::Pending);
    }

    #[test]
    fn periods_and_delays() {
        let mut p = probe(json!({"initialDelaySeconds": 2, "periodSeconds": 3}));
        assert_eq!(p.due(), Some(7000));
        p.begin(7100);
        assert_eq!(p.due(), None);
        p.finish(Some(true));
        assert_eq!(p.due(), Some(10_100));
    }
}
