//! What the service counts, as Prometheus reads it.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// A number that only grows.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, n: usize) {
        self.0.fetch_add(n as u64, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that goes up and down.
#[derive(Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    pub fn set(&self, n: i64) {
        self.0.store(n, Ordering::Relaxed);
    }

    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Upper bounds of the buckets, in seconds.
const BOUNDS: [f64; 12] = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 60.0,
];

/// How often something took how long.
#[derive(Default)]
pub struct Histogram {
    buckets: [AtomicU64; BOUNDS.len()],
    count: AtomicU64,
    micros: AtomicU64,
}

impl Histogram {
    /// So many took so long.
    pub fn add(&self, took: Duration, times: u64) {
        let seconds = took.as_secs_f64();
        for (bucket, bound) in self.buckets.iter().zip(BOUNDS) {
            if seconds <= bound {
                bucket.fetch_add(times, Ordering::Relaxed);
            }
        }
        self.count.fetch_add(times, Ordering::Relaxed);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.micros
            .fetch_add(micros.saturating_mul(times), Ordering::Relaxed);
    }

    fn show(&self, name: &str, out: &mut String) {
        for (bucket, bound) in self.buckets.iter().zip(BOUNDS) {
            let _ = writeln!(
                out,
                "{name}_bucket{{le=\"{bound}\"}} {}",
                bucket.load(Ordering::Relaxed)
            );
        }
        let count = self.count.load(Ordering::Relaxed);
        let _ = writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {count}");
        let _ = writeln!(
            out,
            "{name}_sum {}",
            self.micros.load(Ordering::Relaxed) as f64 / 1e6
        );
        let _ = writeln!(out, "{name}_count {count}");
    }
}

/// All of them; each is described once, in [`Metrics::show`].
#[derive(Default)]
pub struct Metrics {
    pub events: Counter,
    pub events_refused: Counter,
    pub events_decided: Counter,
    pub tag_changes: Counter,
    pub tag_changes_refused: Counter,
    pub callbacks: Counter,
    pub callbacks_refused: Counter,
    pub pages: Counter,
    pub fetches_failed: Counter,
    pub runs: Counter,
    pub missed: Counter,
    pub accepted: Counter,
    pub refused: Counter,
    pub unknown: Counter,
    pub expired: Counter,
    pub opted_out: Counter,
    pub withdrawn: Counter,
    pub reloads: Counter,
    pub reloads_refused: Counter,
    pub failures: Counter,
    pub requests: Counter,
    pub campaigns: Gauge,
    pub campaigns_stopped: Gauge,
    pub waits: Gauge,
    pub clock_jumped: Gauge,
    pub retrying: Gauge,
    pub unmatched_receipts: Gauge,
    /// From the acknowledgement of an event to its decision.
    pub decision: Histogram,
}

impl Metrics {
    /// In the text format of Prometheus, version 0.0.4.
    pub fn show(&self) -> String {
        let mut out = String::new();
        let counters: [(&str, &str, &Counter); 21] = [
            ("tagcast_events_total", "Events acknowledged", &self.events),
            (
                "tagcast_events_refused_total",
                "Lines of events refused",
                &self.events_refused,
            ),
            (
                "tagcast_events_decided_total",
                "Events decided by the scheduler",
                &self.events_decided,
            ),
            (
                "tagcast_tag_changes_total",
                "Tag changes acknowledged",
                &self.tag_changes,
            ),
            (
                "tagcast_tag_changes_refused_total",
                "Lines of tag changes refused",
                &self.tag_changes_refused,
            ),
            ("tagcast_callbacks_total", "Callbacks kept", &self.callbacks),
            (
                "tagcast_callbacks_refused_total",
                "Callbacks refused: wrong signature, unknown account",
                &self.callbacks_refused,
            ),
            (
                "tagcast_mailbox_pages_total",
                "Pages of messages fetched from mailboxes of platforms",
                &self.pages,
            ),
            (
                "tagcast_mailbox_failures_total",
                "Times that a page of a mailbox could not be fetched",
                &self.fetches_failed,
            ),
            (
                "tagcast_runs_total",
                "Runs planned; each trigger event and each part of a follow-up is one",
                &self.runs,
            ),
            (
                "tagcast_missed_total",
                "Due instants beyond their deadline",
                &self.missed,
            ),
            (
                "tagcast_messages_accepted_total",
                "Messages that a platform accepted",
                &self.accepted,
            ),
            (
                "tagcast_messages_refused_total",
                "Messages that a platform refused",
                &self.refused,
            ),
            (
                "tagcast_messages_unknown_total",
                "Messages sent without an answer",
                &self.unknown,
            ),
            (
                "tagcast_messages_expired_total",
                "Messages not sent within their deadline",
                &self.expired,
            ),
            (
                "tagcast_opt_outs_total",
                "Users who opted out",
                &self.opted_out,
            ),
            (
                "tagcast_withdrawn_total",
                "Planned messages withdrawn because consent ended or their words became forbidden",
                &self.withdrawn,
            ),
            (
                "tagcast_reloads_total",
                "Changed programs loaded",
                &self.reloads,
            ),
            (
                "tagcast_reloads_refused_total",
                "Changed programs refused for their errors",
                &self.reloads_refused,
            ),
            (
                "tagcast_failures_total",
                "Times that work failed and was tried again later: disk full, ledger locked",
                &self.failures,
            ),
            (
                "tagcast_http_requests_total",
                "HTTP requests answered",
                &self.requests,
            ),
        ];
        for (name, help, counter) in counters {
            let _ = writeln!(
                out,
                "# HELP {name} {help}\n# TYPE {name} counter\n{name} {}",
                counter.get()
            );
        }
        let gauges: [(&str, &str, &Gauge); 6] = [
            ("tagcast_campaigns", "Live campaigns", &self.campaigns),
            (
                "tagcast_campaigns_stopped",
                "Campaigns stopped because of their channel",
                &self.campaigns_stopped,
            ),
            (
                "tagcast_waits",
                "Users in a wait after their event",
                &self.waits,
            ),
            (
                "tagcast_unmatched_receipts",
                "Receipts for unknown message ids",
                &self.unmatched_receipts,
            ),
            (
                "tagcast_retrying",
                "1 while work waits to be tried again: disk full, ledger locked",
                &self.retrying,
            ),
            (
                "tagcast_clock_jumped",
                "1 while the wall clock is off and nothing is sent",
                &self.clock_jumped,
            ),
        ];
        for (name, help, gauge) in gauges {
            let _ = writeln!(
                out,
                "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {}",
                gauge.get()
            );
        }
        let name = "tagcast_decision_seconds";
        let _ = writeln!(
            out,
            "# HELP {name} From the acknowledgement of an event to its decision\n# TYPE {name} histogram"
        );
        self.decision.show(name, &mut out);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_prometheus_reads_it() {
        let metrics = Metrics::default();
        metrics.events.add(3);
        metrics.waits.set(7);
        metrics.decision.add(Duration::from_millis(3), 2);
        let text = metrics.show();
        for line in [
            "tagcast_events_total 3",
            "# TYPE tagcast_waits gauge",
            "tagcast_waits 7",
            "tagcast_decision_seconds_bucket{le=\"0.002\"} 0",
            "tagcast_decision_seconds_bucket{le=\"0.005\"} 2",
            "tagcast_decision_seconds_bucket{le=\"+Inf\"} 2",
            "tagcast_decision_seconds_sum 0.006",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
        // Every line is a comment, or a name, perhaps with a label, and a number.
        for line in text.lines().filter(|l| !l.starts_with("# ")) {
            assert!(
                line.split_once(' ').is_some_and(
                    |(name, n)| name.starts_with("tagcast_") && n.parse::<f64>().is_ok()
                ),
                "{line}"
            );
        }
    }
}
