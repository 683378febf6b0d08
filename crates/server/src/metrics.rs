//! Counters for Prometheus.

use crate::ErrorKind;
use crate::database::JobCounts;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

type Label = [(&'static str, String); 1];

/// What the server counts.
pub(crate) struct Metrics {
    registry: Registry,
    jobs: Family<Label, Gauge>,
    planned: Gauge,
    budget: Gauge,
    stages: Family<Label, Histogram>,
    analyses: Histogram,
    failed: Family<Label, Counter>,
    refused: Family<Label, Counter>,
    requests: Family<Label, Counter>,
    uploaded: Counter,
}

fn seconds() -> Histogram {
    Histogram::new([
        0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0,
    ])
}

impl Metrics {
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("multirnet");
        let metrics = Self {
            jobs: Family::default(),
            planned: Gauge::default(),
            budget: Gauge::default(),
            stages: Family::new_with_constructor(seconds),
            analyses: seconds(),
            failed: Family::default(),
            refused: Family::default(),
            requests: Family::default(),
            uploaded: Counter::default(),
            registry: Registry::default(),
        };
        registry.register("jobs", "Jobs by state", metrics.jobs.clone());
        registry.register_with_unit(
            "memory_planned",
            "Planned memory of running analyses",
            Unit::Bytes,
            metrics.planned.clone(),
        );
        registry.register_with_unit(
            "memory_budget",
            "Memory that analyses may take",
            Unit::Bytes,
            metrics.budget.clone(),
        );
        registry.register_with_unit(
            "stage_duration",
            "Time of each stage of an analysis",
            Unit::Seconds,
            metrics.stages.clone(),
        );
        registry.register_with_unit(
            "analysis_duration",
            "Time of a whole analysis",
            Unit::Seconds,
            metrics.analyses.clone(),
        );
        registry.register(
            "jobs_failed",
            "Failed jobs by reason",
            metrics.failed.clone(),
        );
        registry.register(
            "refused",
            "Refused requests by reason",
            metrics.refused.clone(),
        );
        registry.register("requests", "Answers by status", metrics.requests.clone());
        registry.register_with_unit(
            "uploaded",
            "Bytes of uploads",
            Unit::Bytes,
            metrics.uploaded.clone(),
        );
        Self {
            registry,
            ..metrics
        }
    }

    pub fn stage(&self, stage: &str, seconds: f64) {
        let label = [("stage", stage.to_owned())];
        self.stages.get_or_create(&label).observe(seconds);
    }

    pub fn finished(&self, seconds: f64) {
        self.analyses.observe(seconds);
    }

    pub fn failed(&self, reason: &str) {
        self.failed
            .get_or_create(&[("reason", reason.to_owned())])
            .inc();
    }

    pub fn refused(&self, reason: ErrorKind) {
        let reason = format!("{reason:?}").to_lowercase();
        self.refused.get_or_create(&[("reason", reason)]).inc();
    }

    pub fn answered(&self, status: u16) {
        self.requests
            .get_or_create(&[("status", status.to_string())])
            .inc();
    }

    pub fn uploaded(&self, bytes: u64) {
        self.uploaded.inc_by(bytes);
    }

    /// The text that Prometheus reads.
    pub fn text(&self, jobs: &JobCounts, planned: u64, budget: u64) -> String {
        let states = [
            ("queued", jobs.queued),
            ("running", jobs.running),
            ("done", jobs.done),
            ("failed", jobs.failed),
            ("cancelled", jobs.cancelled),
        ];
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        for (state, count) in states {
            self.jobs
                .get_or_create(&[("state", state.to_owned())])
                .set(number(count));
        }
        self.planned.set(number(planned));
        self.budget.set(number(budget));
        let mut text = String::new();
        // Writing to a text cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
