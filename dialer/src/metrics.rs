//! Every metric of the dialer, in one place.
//!
//! | metric | labels | what |
//! |---|---|---|
//! | `ringfence_contacts_taken_total` | | contacts taken from `due` |
//! | `ringfence_denied_total` | `rule` | denials by deciding rule |
//! | `ringfence_returned_total` | `because` | contacts given back unjudged |
//! | `ringfence_placements_committed_total` | | placements made durable |
//! | `ringfence_commit_conflicts_total` | | commitments that Postgres refused: a head had moved |
//! | `ringfence_reserve_conflicts_total` | | reservations that Redis refused |
//! | `ringfence_commit_batch_size` | | commitments per transaction |
//! | `ringfence_commit_seconds` | | time of a commit transaction |
//! | `ringfence_invites_sent_total` | | first and re-sent INVITEs that left |
//! | `ringfence_invites_too_late_total` | | INVITEs held back because the permit had lapsed |
//! | `ringfence_placements_released_total` | | placements whose commit nobody knew the end of |
//! | `ringfence_dispositions_total` | `disposition` | placements settled |
//! | `ringfence_reaped_placements_total` | | placements of dead nodes settled as unknown |
//! | `ringfence_calls_live` | | calls placed and not over |
//! | `ringfence_attempts_live` | | contacts in the engine |
//! | `ringfence_ledger_depth` | | things to write down, waiting |
//! | `ringfence_ledger_lost_total` | | things Postgres refused for good (left to the reaper) |
//! | `ringfence_store_errors_total` | `store` | failed or late calls of a store |
//! | `ringfence_gate_open` | | 1 when contacts may be taken |
//! | `ringfence_store_up` | `store` | 1 when the store answers |
//! | `ringfence_trunk_open` | `trunk` | 1 when the breaker of a trunk is open: no INVITE |
//! | `ringfence_list_age_days` | `list` | age of the loaded copy of a national list |
//! | `ringfence_audit_leaves` | | leaves of the audit tree |
//! | `ringfence_nodes_live` | | dialer processes with a fresh heartbeat |
//! | `ringfence_sip_receive_buffer_bytes` | | what SO_RCVBUF came to |
//! | `ringfence_datagrams_received_total` | | SIP datagrams received |
//! | `ringfence_media_playing` | | prompts being played |

use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

/// The metrics of one process.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    /// `ringfence_contacts_taken_total`
    pub taken: IntCounter,
    /// `ringfence_denied_total`
    pub denied: IntCounterVec,
    /// `ringfence_returned_total`
    pub returned: IntCounterVec,
    /// `ringfence_placements_committed_total`
    pub committed: IntCounter,
    /// `ringfence_commit_conflicts_total`
    pub commit_conflicts: IntCounter,
    /// `ringfence_reserve_conflicts_total`
    pub reserve_conflicts: IntCounter,
    /// `ringfence_commit_batch_size`
    pub commit_batch: Histogram,
    /// `ringfence_commit_seconds`
    pub commit_seconds: Histogram,
    /// `ringfence_invites_sent_total`
    pub sent: IntCounter,
    /// `ringfence_invites_too_late_total`
    pub too_late: IntCounter,
    /// `ringfence_placements_released_total`
    pub released: IntCounter,
    /// `ringfence_dispositions_total`
    pub dispositions: IntCounterVec,
    /// `ringfence_reaped_placements_total`
    pub reaped: IntCounter,
    /// `ringfence_calls_live`
    pub calls: IntGauge,
    /// `ringfence_attempts_live`
    pub attempts: IntGauge,
    /// `ringfence_ledger_depth`
    pub ledger_depth: IntGauge,
    /// `ringfence_ledger_lost_total`
    pub ledger_lost: IntCounter,
    /// `ringfence_store_errors_total`
    pub store_errors: IntCounterVec,
    /// `ringfence_gate_open`
    pub gate_open: IntGauge,
    /// `ringfence_store_up`
    pub store_up: IntGaugeVec,
    /// `ringfence_trunk_open`
    pub trunk_open: IntGaugeVec,
    /// `ringfence_list_age_days`
    pub list_age: IntGaugeVec,
    /// `ringfence_audit_leaves`
    pub audit_leaves: IntGauge,
    /// `ringfence_nodes_live`
    pub nodes: IntGauge,
    /// `ringfence_sip_receive_buffer_bytes`
    pub receive_buffer: IntGauge,
    /// `ringfence_datagrams_received_total`
    pub datagrams: IntCounter,
    /// `ringfence_media_playing`
    pub playing: IntGauge,
}

/// Makes and registers metrics.
struct Maker(Registry);

impl Maker {
    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        let metric = IntCounter::new(name, help)?;
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counters(
        &self,
        name: &str,
        help: &str,
        label: &str,
    ) -> Result<IntCounterVec, prometheus::Error> {
        let metric = IntCounterVec::new(Opts::new(name, help), &[label])?;
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        let metric = IntGauge::new(name, help)?;
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn gauges(
        &self,
        name: &str,
        help: &str,
        label: &str,
    ) -> Result<IntGaugeVec, prometheus::Error> {
        let metric = IntGaugeVec::new(Opts::new(name, help), &[label])?;
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn histogram(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
    ) -> Result<Histogram, prometheus::Error> {
        let metric =
            Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))?;
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }
}

impl Metrics {
    /// A registry with every metric in it.
    ///
    /// # Errors
    /// If two metrics had one name.
    #[expect(clippy::too_many_lines, reason = "a table: one line a metric, and rustfmt breaks it")]
    pub fn new() -> Result<Self, prometheus::Error> {
        let m = Maker(Registry::new());
        const SECONDS: &[f64] = &[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0];
        const SIZES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];
        Ok(Self {
            taken: m.counter("ringfence_contacts_taken_total", "contacts taken from due")?,
            denied: m.counters("ringfence_denied_total", "denials by deciding rule", "rule")?,
            returned: m.counters(
                "ringfence_returned_total",
                "contacts given back unjudged",
                "because",
            )?,
            committed: m
                .counter("ringfence_placements_committed_total", "placements made durable")?,
            commit_conflicts: m
                .counter("ringfence_commit_conflicts_total", "commitments that Postgres refused")?,
            reserve_conflicts: m
                .counter("ringfence_reserve_conflicts_total", "reservations that Redis refused")?,
            commit_batch: m.histogram(
                "ringfence_commit_batch_size",
                "commitments per transaction",
                SIZES,
            )?,
            commit_seconds: m.histogram(
                "ringfence_commit_seconds",
                "time of a commit transaction",
                SECONDS,
            )?,
            sent: m
                .counter("ringfence_invites_sent_total", "first and re-sent INVITEs that left")?,
            too_late: m.counter(
                "ringfence_invites_too_late_total",
                "INVITEs held back: the permit had lapsed",
            )?,
            released: m.counter(
                "ringfence_placements_released_total",
                "placements with a commit of unknown end",
            )?,
            dispositions: m.counters(
                "ringfence_dispositions_total",
                "placements settled",
                "disposition",
            )?,
            reaped: m.counter(
                "ringfence_reaped_placements_total",
                "placements of dead nodes settled as unknown",
            )?,
            calls: m.gauge("ringfence_calls_live", "calls placed and not over")?,
            attempts: m.gauge("ringfence_attempts_live", "contacts in the engine")?,
            ledger_depth: m.gauge("ringfence_ledger_depth", "things to write down, waiting")?,
            ledger_lost: m
                .counter("ringfence_ledger_lost_total", "things Postgres refused for good")?,
            store_errors: m.counters(
                "ringfence_store_errors_total",
                "failed or late calls of a store",
                "store",
            )?,
            gate_open: m.gauge("ringfence_gate_open", "1 when contacts may be taken")?,
            store_up: m.gauges("ringfence_store_up", "1 when the store answers", "store")?,
            trunk_open: m.gauges(
                "ringfence_trunk_open",
                "1 when the breaker of a trunk is open",
                "trunk",
            )?,
            list_age: m.gauges(
                "ringfence_list_age_days",
                "age of the loaded copy of a national list",
                "list",
            )?,
            audit_leaves: m.gauge("ringfence_audit_leaves", "leaves of the audit tree")?,
            nodes: m.gauge("ringfence_nodes_live", "dialer processes with a fresh heartbeat")?,
            receive_buffer: m
                .gauge("ringfence_sip_receive_buffer_bytes", "what SO_RCVBUF came to")?,
            datagrams: m.counter("ringfence_datagrams_received_total", "SIP datagrams received")?,
            playing: m.gauge("ringfence_media_playing", "prompts being played")?,
            registry: m.0,
        })
    }

    /// The text of `/metrics`.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = Vec::new();
        match TextEncoder::new().encode(&self.registry.gather(), &mut out) {
            Ok(()) => String::from_utf8(out).unwrap_or_default(),
            Err(error) => format!("# {error}\n"),
        }
    }
}

/// A count as a gauge's value.
#[must_use]
pub fn gauge_value(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
