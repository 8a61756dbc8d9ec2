//! Every metric of the dialer, in one place. What each says, of what it is counted and what to do
//! with it stands in `docs/metrics.md`; `tests` here hold the two together.

mod maker;
pub mod survey;
pub mod witness;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use chrono::{NaiveDate, NaiveTime};
use dialer_types::UnixMillis;
pub use maker::Described;
use maker::Maker;
use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramTimer, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, IntGaugeVec, Registry, TextEncoder,
};

/// Steps of a call of a store or the gate: from a Redis on the same machine to the patience of the
/// stores (2 s) and a retry.
const SECONDS: &[f64] =
    &[0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0];
/// Commitments of a transaction: at most 64.
const SIZES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];

/// What the rules in force ask of lists and feeds.
#[derive(Debug, Default)]
struct Bounds {
    /// Which rules: their hash.
    rules: String,
    /// How old each list may be for the strictest rule, in days.
    list_days: BTreeMap<Arc<str>, u32>,
    /// How old the feed may be, in seconds, if any rule asks.
    feed: Option<i64>,
}

/// The metrics of one process.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    described: Arc<[Described]>,
    bounds: Arc<ArcSwap<Bounds>>,
    lists_shown: Arc<Mutex<Vec<String>>>,
    /// `ringfence_build_info{version,rules}`
    pub build: IntGaugeVec,
    /// `ringfence_contacts_taken_total`
    pub taken: IntCounter,
    /// `ringfence_judgements_total{verdict}`
    pub judged: IntCounterVec,
    /// `ringfence_denied_total{rule}`
    pub denied: IntCounterVec,
    /// `ringfence_returned_total{because}`
    pub returned: IntCounterVec,
    /// `ringfence_placements_committed_total`
    pub committed: IntCounter,
    /// `ringfence_commit_conflicts_total`
    pub commit_conflicts: IntCounter,
    /// `ringfence_reserve_conflicts_total`
    pub reserve_conflicts: IntCounter,
    /// `ringfence_commit_queue`
    pub commit_queue: IntGauge,
    /// `ringfence_commits_late_total`
    pub commits_late: IntCounter,
    /// `ringfence_scheduler_held_back_total`
    pub held_back: IntCounter,
    /// `ringfence_commit_batch_size`
    pub commit_batch: Histogram,
    /// `ringfence_gate_step_seconds{step}`
    pub step_seconds: HistogramVec,
    /// `ringfence_gate_clearance_seconds`
    pub clearance_seconds: Histogram,
    /// `ringfence_gate_open`
    pub gate_open: IntGauge,
    /// `ringfence_gate_closed{cause}`
    pub gate_closed: IntGaugeVec,
    /// `ringfence_send_lease_seconds`
    pub lease_seconds: Histogram,
    /// `ringfence_send_leases_lost_total`
    pub leases_lost: IntCounter,
    /// `ringfence_violations_total{promise}`
    pub violations: IntCounterVec,
    /// `ringfence_invites_sent_total`
    pub sent: IntCounter,
    /// `ringfence_invites_too_late_total`
    pub too_late: IntCounter,
    /// `ringfence_placements_released_total`
    pub released: IntCounter,
    /// `ringfence_dispositions_total{disposition}`
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
    /// `ringfence_store_errors_total{store}`
    pub store_errors: IntCounterVec,
    /// `ringfence_store_seconds{store}`
    pub store_seconds: HistogramVec,
    /// `ringfence_store_up{store}`
    pub store_up: IntGaugeVec,
    /// `ringfence_heads_read_total{from}`
    pub heads_read: IntCounterVec,
    /// `ringfence_redis_used_bytes`
    pub redis_used: IntGauge,
    /// `ringfence_redis_limit_bytes`
    pub redis_limit: IntGauge,
    /// `ringfence_redis_evicted_keys`
    pub redis_evicted: IntGauge,
    /// `ringfence_redis_out_of_memory`
    pub redis_full: IntGauge,
    /// `ringfence_postgres_synchronous_standby`
    pub synchronous_standby: IntGauge,
    /// `ringfence_trunk_breaker_open{trunk}`
    pub trunk_open: IntGaugeVec,
    /// `ringfence_trunk_info{trunk,name}`
    pub trunk_info: IntGaugeVec,
    /// `ringfence_trunk_invites_total{trunk}`
    pub trunk_invites: IntCounterVec,
    /// `ringfence_trunk_calls{trunk}`
    pub trunk_calls: IntGaugeVec,
    /// `ringfence_trunk_calls_limit{trunk}`
    pub trunk_calls_limit: IntGaugeVec,
    /// `ringfence_trunk_rate_limit{trunk}`
    pub trunk_rate_limit: GaugeVec,
    /// `ringfence_trunk_share{trunk}`
    pub trunk_share: GaugeVec,
    /// `ringfence_trunk_answered_total{trunk}`
    pub trunk_answered: IntCounterVec,
    /// `ringfence_trunk_responses_total{trunk,code}`
    pub trunk_responses: IntCounterVec,
    /// `ringfence_trunk_probes_total{trunk,result}`
    pub trunk_probes: IntCounterVec,
    /// `ringfence_list_age_seconds{list}`
    pub list_age: IntGaugeVec,
    /// `ringfence_list_fresh_seconds{list}`
    pub list_fresh: IntGaugeVec,
    /// `ringfence_files_refused{kind}`
    pub files_refused: IntGaugeVec,
    /// `ringfence_feed_age_seconds{feed}`
    pub feed_age: IntGaugeVec,
    /// `ringfence_feed_fresh_seconds{feed}`
    pub feed_fresh: IntGaugeVec,
    /// `ringfence_audit_leaves`
    pub audit_leaves: IntGauge,
    /// `ringfence_audit_unsequenced_entries`
    pub audit_unsequenced: IntGauge,
    /// `ringfence_audit_unsequenced_seconds`
    pub audit_behind: Gauge,
    /// `ringfence_audit_unsigned_leaves`
    pub audit_unsigned: IntGauge,
    /// `ringfence_audit_checkpoint_age_seconds`
    pub checkpoint_age: Gauge,
    /// `ringfence_contacts_due`
    pub due: IntGauge,
    /// `ringfence_contacts_waiting`
    pub waiting: IntGauge,
    /// `ringfence_contacts_parked{cause}`
    pub parked: IntGaugeVec,
    /// `ringfence_contacts_leased`
    pub leased: IntGauge,
    /// `ringfence_campaigns{status}`
    pub campaigns: IntGaugeVec,
    /// `ringfence_campaign_stalled{campaign}`
    pub campaign_stalled: IntGaugeVec,
    /// `ringfence_survey_success_timestamp_seconds`
    pub surveyed: Gauge,
    /// `ringfence_survey_errors_total`
    pub survey_errors: IntCounter,
    /// `ringfence_clock_offset_seconds`
    pub clock_offset: Gauge,
    /// `ringfence_clock_skew_seconds`
    pub clock_skew: Gauge,
    /// `ringfence_nodes_live`
    pub nodes: IntGauge,
    /// `ringfence_sip_receive_buffer_bytes`
    pub receive_buffer: IntGauge,
    /// `ringfence_datagrams_received_total`
    pub datagrams: IntCounter,
    /// `ringfence_media_playing`
    pub playing: IntGauge,
}

impl Metrics {
    /// A registry with every metric in it; what has a fixed set of labels starts at zero.
    ///
    /// # Errors
    /// If two metrics had one name.
    pub fn new() -> Result<Self, prometheus::Error> {
        let m = Maker::new();
        m.process()?;
        let metrics = Self::made(m)?;
        metrics.start_at_zero();
        Ok(metrics)
    }

    #[expect(clippy::too_many_lines, reason = "a table: one line a metric, and rustfmt breaks it")]
    fn made(m: Maker) -> Result<Self, prometheus::Error> {
        // Counted at the end: the maker is used up by `finish`.
        let mut all = Self {
            registry: Registry::new(),
            described: Arc::default(),
            bounds: Arc::default(),
            lists_shown: Arc::default(),
            build: m.gauges("ringfence_build_info", "always 1: the version of the build and the hash of the rule packs", &["version","rules"])?,
            taken: m.counter("ringfence_contacts_taken_total", "contacts taken from due")?,
            judged: m.counters("ringfence_judgements_total", "contacts judged, by what the rules said", &["verdict"])?,
            denied: m.counters("ringfence_denied_total", "denials by deciding rule", &["rule"])?,
            returned: m.counters("ringfence_returned_total", "contacts given back unjudged", &["because"])?,
            committed: m.counter("ringfence_placements_committed_total", "placements made durable")?,
            commit_conflicts: m.counter("ringfence_commit_conflicts_total", "commitments that Postgres refused: a head had moved")?,
            reserve_conflicts: m.counter("ringfence_reserve_conflicts_total", "reservations that Redis refused: a head had moved")?,
            commit_queue: m.gauge("ringfence_commit_queue", "commitments that wait for a transaction")?,
            commits_late: m.counter("ringfence_commits_late_total", "commitments that were not made, because they had waited too long")?,
            held_back: m.counter("ringfence_scheduler_held_back_total", "looks at which no contact was taken, because the queue of a store was half full")?,
            commit_batch: m.histogram("ringfence_commit_batch_size", "commitments per transaction", SIZES)?,
            step_seconds: m.histograms("ringfence_gate_step_seconds", "time of one step of the gate", &["step"], SECONDS)?,
            clearance_seconds: m.histogram("ringfence_gate_clearance_seconds", "from the permit to its clearance: slot, reservation and commit", SECONDS)?,
            gate_open: m.gauge("ringfence_gate_open", "1 when contacts may be taken")?,
            gate_closed: m.gauges("ringfence_gate_closed", "1 for each cause that keeps the gate closed", &["cause"])?,
            lease_seconds: m.histogram("ringfence_send_lease_seconds", "time of a question for new opt-outs", SECONDS)?,
            leases_lost: m.counter("ringfence_send_leases_lost_total", "times that the send lease lapsed before it was renewed")?,
            violations: m.counters("ringfence_violations_total", "broken promises noticed at the wire: always zero", &["promise"])?,
            sent: m.counter("ringfence_invites_sent_total", "first and re-sent INVITEs that left")?,
            too_late: m.counter("ringfence_invites_too_late_total", "INVITEs held back: the permit had lapsed")?,
            released: m.counter("ringfence_placements_released_total", "placements with a commit of unknown end")?,
            dispositions: m.counters("ringfence_dispositions_total", "placements settled", &["disposition"])?,
            reaped: m.counter("ringfence_reaped_placements_total", "placements of dead nodes settled as unknown")?,
            calls: m.gauge("ringfence_calls_live", "calls placed and not over")?,
            attempts: m.gauge("ringfence_attempts_live", "contacts in the engine")?,
            ledger_depth: m.gauge("ringfence_ledger_depth", "things to write down, waiting")?,
            ledger_lost: m.counter("ringfence_ledger_lost_total", "things Postgres refused for good")?,
            store_errors: m.counters("ringfence_store_errors_total", "failed or late calls of a store", &["store"])?,
            store_seconds: m.histograms("ringfence_store_seconds", "time of a call of a store, failed ones too", &["store"], SECONDS)?,
            store_up: m.gauges("ringfence_store_up", "1 when the need of the gate is met", &["store"])?,
            heads_read: m.counters("ringfence_heads_read_total", "heads read for judgements: redis, a copy; missing, reserved or unreadable, from Postgres because the copy was", &["from"])?,
            redis_used: m.gauge("ringfence_redis_used_bytes", "memory that Redis uses, over all masters")?,
            redis_limit: m.gauge("ringfence_redis_limit_bytes", "maxmemory of Redis, over all masters; 0: no limit")?,
            redis_evicted: m.gauge("ringfence_redis_evicted_keys", "copies that Redis dropped to make room, since it started")?,
            redis_full: m.gauge("ringfence_redis_out_of_memory", "1 while Redis takes no writes because its memory is full: the gate is closed")?,
            synchronous_standby: m.gauge("ringfence_postgres_synchronous_standby", "1 when commits waited for a standby at the start of this process")?,
            trunk_open: m.gauges("ringfence_trunk_breaker_open", "1 when the breaker of a trunk is open: no INVITE goes there", &["trunk"])?,
            trunk_info: m.gauges("ringfence_trunk_info", "always 1: the name of a trunk", &["trunk","name"])?,
            trunk_invites: m.counters("ringfence_trunk_invites_total", "INVITEs that left, re-sends after a challenge too", &["trunk"])?,
            trunk_calls: m.gauges("ringfence_trunk_calls", "calls placed over a trunk and not over", &["trunk"])?,
            trunk_calls_limit: m.gauges("ringfence_trunk_calls_limit", "calls a trunk may carry at once, over all dialers", &["trunk"])?,
            trunk_rate_limit: m.fine_gauges("ringfence_trunk_rate_limit", "calls per second a trunk may be sent, over all dialers", &["trunk"])?,
            trunk_share: m.fine_gauges("ringfence_trunk_share", "calls per second of a trunk that are lent to this process", &["trunk"])?,
            trunk_answered: m.counters("ringfence_trunk_answered_total", "calls of a trunk that were answered", &["trunk"])?,
            trunk_responses: m.counters("ringfence_trunk_responses_total", "calls of a trunk by final SIP status; none: no final response", &["trunk","code"])?,
            trunk_probes: m.counters(
                "ringfence_trunk_probes_total",
                "OPTIONS sent to a trunk, by what came back",
                &["trunk", "result"],
            )?,
            list_age: m.gauges("ringfence_list_age_seconds", "age of the loaded copy of a national list", &["list"])?,
            list_fresh: m.gauges("ringfence_list_fresh_seconds", "until the loaded copy of a list is too old for the strictest rule; negative: it is", &["list"])?,
            files_refused: m.gauges("ringfence_files_refused", "files that were last read in vain, of packs 1 for all of them: the last good copy is used, if there is one", &["kind"])?,
            audit_leaves: m.gauge("ringfence_audit_leaves", "leaves of the audit tree")?,
            audit_unsequenced: m.gauge("ringfence_audit_unsequenced_entries", "audit entries that are not leaves yet")?,
            audit_behind: m.fine_gauge("ringfence_audit_unsequenced_seconds", "age of the oldest audit entry that is not a leaf yet")?,
            audit_unsigned: m.gauge("ringfence_audit_unsigned_leaves", "leaves since the last signed checkpoint")?,
            feed_age: m.gauges("ringfence_feed_age_seconds", "age of the loaded copy of a feed", &["feed"])?,
            feed_fresh: m.gauges("ringfence_feed_fresh_seconds", "until the loaded copy of a feed is too old for the strictest rule; negative: it is", &["feed"])?,
            checkpoint_age: m.fine_gauge("ringfence_audit_checkpoint_age_seconds", "since the last checkpoint was signed")?,
            due: m.gauge("ringfence_contacts_due", "contacts of running campaigns that are due now")?,
            waiting: m.gauge("ringfence_contacts_waiting", "contacts that become due later, or whose campaign does not run")?,
            parked: m.gauges("ringfence_contacts_parked", "contacts that wait for something, by what", &["cause"])?,
            leased: m.gauge("ringfence_contacts_leased", "contacts that this process has taken")?,
            campaigns: m.gauges("ringfence_campaigns", "campaigns by status", &["status"])?,
            campaign_stalled: m.gauges("ringfence_campaign_stalled", "1 when a running campaign has no trunk that takes calls of this process, or no prompt that it can play", &["campaign"])?,
            surveyed: m.fine_gauge("ringfence_survey_success_timestamp_seconds", "when the queue and the audit were last counted, by real time")?,
            survey_errors: m.counter("ringfence_survey_errors_total", "counts of the queue and the audit that failed")?,
            clock_offset: m.fine_gauge("ringfence_clock_offset_seconds", "how far the demo's clock is ahead of real time; 0 in production")?,
            clock_skew: m.fine_gauge("ringfence_clock_skew_seconds", "this machine's clock minus that of Postgres")?,
            nodes: m.gauge("ringfence_nodes_live", "dialer processes with a fresh heartbeat")?,
            receive_buffer: m.gauge("ringfence_sip_receive_buffer_bytes", "what SO_RCVBUF came to")?,
            datagrams: m.counter("ringfence_datagrams_received_total", "SIP datagrams received")?,
            playing: m.gauge("ringfence_media_playing", "prompts being played")?,
        };
        let (registry, described) = m.finish();
        all.registry = registry;
        all.described = described.into();
        Ok(all)
    }

    fn start_at_zero(&self) {
        for verdict in ["permit", "defer", "refuse"] {
            self.judged.with_label_values(&[verdict]);
        }
        for promise in witness::PROMISES {
            self.violations.with_label_values(&[promise]);
        }
        self.violations.with_label_values(&[witness::AUDIT_PROMISE]);
        for step in STEPS {
            self.step_seconds.with_label_values(&[step]);
        }
        for disposition in dialer_types::Disposition::ALL {
            self.dispositions.with_label_values(&[disposition.as_str()]);
        }
        for kind in LISTS.into_iter().chain([PACK]) {
            self.files_refused.with_label_values(&[kind]);
        }
        for status in survey::STATUSES {
            self.campaigns.with_label_values(&[status]);
        }
        for store in ["postgres", "redis"] {
            self.store_errors.with_label_values(&[store]);
            self.store_seconds.with_label_values(&[store]);
        }
        for from in ["redis", "missing", "reserved", "unreadable"] {
            self.heads_read.with_label_values(&[from]);
        }
    }

    /// Says which build this is and by which rules it judges from now on; every rule's denials start
    /// at zero, and those of a rule that is gone stay what they are.
    pub fn describe_rules(&self, rules: &dialer_policy::Ruleset) {
        const BUILD: &str = env!("CARGO_PKG_VERSION");
        let bounds = Bounds {
            rules: rules.version().to_string(),
            list_days: rules.list_ages(),
            feed: rules.feed_age(),
        };
        self.build.with_label_values(&[BUILD, &bounds.rules]).set(1);
        for rule in rules.rule_ids() {
            self.denied.with_label_values(&[rule.as_str()]);
        }
        let bounds = Arc::new(bounds);
        let before = self.bounds.swap(Arc::clone(&bounds));
        if before.rules != bounds.rules {
            // The only error is that it is not there: the first rules have none before them.
            let _absent = self.build.remove_label_values(&[BUILD, &before.rules]);
        }
    }

    /// Shows the age of a list's copy, counted from the midnight (UTC) of its day, and for how long
    /// the strictest rule that asks for it takes it yet; a list that no rule bounds has no end.
    /// Returns for how many seconds it is fresh yet.
    pub fn show_list(&self, list: &str, as_of: NaiveDate, now: UnixMillis) -> Option<i64> {
        let since = now.0 / 1000 - as_of.and_time(NaiveTime::MIN).and_utc().timestamp();
        self.list_age.with_label_values(&[list]).set(since);
        let Some(days) = self.bounds.load().list_days.get(list).copied() else {
            // It may have had one under the rules before.
            let _absent = self.list_fresh.remove_label_values(&[list]);
            return None;
        };
        // A list of exactly so many days is fresh until that day is over.
        let fresh = (i64::from(days) + 1) * 86_400 - since;
        self.list_fresh.with_label_values(&[list]).set(fresh);
        Some(fresh)
    }

    /// Forgets the lists that no file holds any more: they have no age.
    pub fn keep_lists(&self, held: &[&str]) {
        let mut shown = self.lists_shown.lock().unwrap_or_else(PoisonError::into_inner);
        for gone in shown.iter().filter(|list| !held.contains(&list.as_str())) {
            // The only error is that it is not there.
            let _absent = self.list_age.remove_label_values(&[gone.as_str()]);
            let _absent = self.list_fresh.remove_label_values(&[gone.as_str()]);
        }
        *shown = held.iter().map(|list| (*list).to_owned()).collect();
    }

    /// Shows how old the copy of the emergency feed is, and for how long the strictest rule takes it
    /// yet; nothing if there is none.
    pub fn show_feed(&self, as_of: Option<UnixMillis>, now: UnixMillis) {
        let Some(as_of) = as_of else {
            self.feed_age.reset();
            self.feed_fresh.reset();
            return;
        };
        let age = (now.0 - as_of.0) / 1000;
        self.feed_age.with_label_values(&[EMERGENCY]).set(age);
        match self.bounds.load().feed {
            Some(bound) => self.feed_fresh.with_label_values(&[EMERGENCY]).set(bound - age),
            None => self.feed_fresh.reset(),
        }
    }

    /// Times a step of the gate until dropped.
    #[must_use = "it is dropped when the step is over"]
    pub fn step(&self, step: &str) -> HistogramTimer {
        self.step_seconds.with_label_values(&[step]).start_timer()
    }

    /// What is registered: the table of `docs/metrics.md` says the same.
    #[must_use]
    pub fn described(&self) -> &[Described] {
        &self.described
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

/// What is read from the folder of lists while the dialer runs.
pub const LISTS: [&str; 2] = ["list", "feed"];
/// The rule packs, which are read while it runs, too, and taken or refused together.
pub const PACK: &str = "pack";

/// The one feed there is.
const EMERGENCY: &str = "emergency";

/// The steps of the gate that are timed apart.
pub const STEPS: [&str; 5] = ["heads", "facts", "slot", "reserve", "commit"];

/// A count as a gauge's value.
#[must_use]
pub fn gauge_value(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
