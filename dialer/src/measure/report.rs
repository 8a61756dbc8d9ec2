//! What was measured, and how it reads.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::{cpu::Spent, lab::Part, limiter::Limiter, refusals::Refusals};
use crate::store::Stores;

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// People in the database.
    pub persons: u32,
    /// Contacts in the gate at once, where as many go as can.
    pub at_once: u16,
    /// Redis alone.
    pub limiter: Limiter,
    /// Refusals.
    pub refusals: Refusals,
    /// The whole gate.
    pub whole: Whole,
    /// The whole gate after Redis lost everything.
    pub emptied: Emptied,
    /// Canonical bytes of a placement's decision and intent.
    pub evidence_bytes: u64,
    /// What a placement adds to the database, indexes and all, in bytes.
    pub postgres_bytes: u64,
}

/// The whole gate: heads, facts, verdict, slot, reservation, commit, clearance.
#[derive(Debug, Clone, Serialize)]
pub struct Whole {
    /// Placements cleared a second, as many as go.
    pub clearances_per_second: u64,
    /// Milliseconds each of them took then: the median.
    pub busy_p50_ms: f64,
    /// Microseconds of processor time for each: dialer, Postgres, Redis.
    pub cpu_us: [f64; 3],
    /// How many a second the second part was run at.
    pub steady_rate: u64,
    /// How many a second were cleared in it.
    pub steady_cleared: u64,
    /// Milliseconds from taken to cleared in it: the median.
    pub p50_ms: f64,
    /// The same, of a hundred the slowest.
    pub p99_ms: f64,
    /// Contacts that were given back or denied.
    pub not_cleared: u64,
    /// Milliseconds of each step in it, on the average: of a batch, but for slot.
    pub steps_ms: BTreeMap<&'static str, f64>,
    /// How many were in each of its batches, on the average.
    pub batches: BTreeMap<&'static str, f64>,
}

/// How often each step was gone through so far, and how many seconds it took in all.
#[derive(Debug, Clone)]
pub(super) struct Steps(BTreeMap<&'static str, (u64, f64)>);

impl Steps {
    pub(super) fn so_far(stores: &Stores) -> Self {
        let step = |step| {
            let times = stores.metrics.step_seconds.with_label_values(&[step]);
            (step, (times.get_sample_count(), times.get_sample_sum()))
        };
        Self(["heads", "facts", "slot", "reserve", "commit"].map(step).into())
    }

    pub(super) fn since(mut self, before: &Self) -> Self {
        for (step, (count, sum)) in &mut self.0 {
            let (count_before, sum_before) = before.0.get(step).copied().unwrap_or_default();
            (*count, *sum) = (*count - count_before, *sum - sum_before);
        }
        self
    }

    fn millis(&self) -> BTreeMap<&'static str, f64> {
        let of = |(step, (count, sum)): (&&'static str, &(u64, f64))| {
            (*step, sum * 1e3 * each(1, *count))
        };
        self.0.iter().map(of).collect()
    }

    /// The mean batch of each step but `slot`, which is of one placement.
    fn batches(&self, cleared: u64) -> BTreeMap<&'static str, f64> {
        let batched = self.0.iter().filter(|(step, _)| **step != "slot");
        batched.map(|(step, (count, _))| (*step, each(cleared, *count))).collect()
    }
}

/// After Redis lost everything.
#[derive(Debug, Clone, Serialize)]
pub struct Emptied {
    /// In which second nine tenths of the rate before were reached again.
    pub seconds: Option<u32>,
    /// Placements cleared in each second since.
    pub per_second: Vec<u64>,
}

impl fmt::Display for Emptied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seconds {
            Some(second) => write!(f, "nine tenths of the rate again in second {second}")?,
            None => {
                let seconds = self.per_second.len();
                write!(f, "not at nine tenths of the rate within {seconds} seconds")?;
                if seconds < super::AGAIN_WITHIN as usize {
                    write!(f, ", then all were called")?;
                }
            }
        }
        let rates = self.per_second.iter().map(u64::to_string).collect::<Vec<_>>().join(" ");
        write!(f, " (each second: {rates})")
    }
}

impl Whole {
    pub(super) fn of(most: Part, half: Part, rate: u64, spent: Spent, steps: &Steps) -> Self {
        Self {
            clearances_per_second: most.per_second(),
            busy_p50_ms: most.p50.as_secs_f64() * 1e3,
            cpu_us: [spent.dialer, spent.postgres, spent.redis].map(|us| each(us, most.cleared)),
            steady_rate: rate,
            steady_cleared: half.per_second(),
            p50_ms: half.p50.as_secs_f64() * 1e3,
            p99_ms: half.p99.as_secs_f64() * 1e3,
            not_cleared: most.not_cleared + half.not_cleared,
            steps_ms: steps.millis(),
            batches: steps.batches(half.cleared),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "microseconds and counts far below 2^52")]
pub(super) fn each(sum: u64, count: u64) -> f64 {
    sum as f64 / count.max(1) as f64
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { persons, at_once, limiter, refusals, whole, emptied, .. } = self;
        writeln!(f, "{persons} people")?;
        writeln!(
            f,
            "  Redis         {} reservations a second and core, two heads of seven entries each",
            limiter.reservations_per_core
        )?;
        writeln!(
            f,
            "                {} where nothing is decided: ratio {:.2}",
            limiter.touches_per_core, limiter.ratio
        )?;
        let Limiter { steady, p50_us, p99_us, p999_us, bytes_per_subject, .. } = limiter;
        writeln!(
            f,
            "                at {steady} a second: p50 {p50_us} us, p99 {p99_us} us, p99.9 {p999_us} us"
        )?;
        writeln!(f, "                {bytes_per_subject} bytes a subject")?;
        let Refusals { per_core, dialer_us, redis_us, .. } = refusals;
        writeln!(
            f,
            "  refusals      {per_core} a second and core (dialer {dialer_us:.1} us, Redis {redis_us:.1} us; \
             {} transactions of Postgres for {})",
            refusals.postgres_transactions, refusals.made
        )?;
        let [dialer, postgres, redis] = whole.cpu_us;
        writeln!(
            f,
            "  clearances    {} a second, {at_once} in the gate at once (p50 {:.1} ms)",
            whole.clearances_per_second, whole.busy_p50_ms
        )?;
        writeln!(
            f,
            "                processor time of each: dialer {dialer:.0} us, Postgres {postgres:.0} us, \
             Redis {redis:.0} us"
        )?;
        writeln!(
            f,
            "  at {:<10} a second: {} cleared, p50 {:.2} ms, p99 {:.2} ms",
            whole.steady_rate, whole.steady_cleared, whole.p50_ms, whole.p99_ms
        )?;
        let steps = whole.steps_ms.iter().map(|(step, ms)| match whole.batches.get(step) {
            Some(size) => format!("{step} {ms:.2} ms for {size:.1}"),
            None => format!("{step} {ms:.2} ms"),
        });
        writeln!(f, "                steps: {}", steps.collect::<Vec<_>>().join(", "))?;
        writeln!(f, "  not cleared   {}", whole.not_cleared)?;
        writeln!(f, "  Redis emptied {emptied}")?;
        writeln!(
            f,
            "  a placement   {} bytes of evidence, {} bytes in Postgres",
            self.evidence_bytes, self.postgres_bytes
        )
    }
}
