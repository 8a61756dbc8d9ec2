//! Whether contacts may be taken: every store answers, opt-outs are heard and clocks agree (G5).

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering},
    },
};

use dialer_stores::Store;

use crate::metrics::{Metrics, gauge_value};

/// What must be there for contacts to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Need {
    /// The truth answers.
    Postgres = 1,
    /// The copy answers.
    Redis = 2,
    /// Opt-outs are being heard: there is a send lease.
    Lease = 4,
    /// This node's heartbeat is written.
    Heartbeat = 8,
    /// This node's clock is Postgres's, within the bound.
    Clock = 16,
    /// Redis's clock is this node's, within the bound.
    RedisClock = 32,
}

impl Need {
    const ALL: [Self; 6] =
        [Self::Postgres, Self::Redis, Self::Lease, Self::Heartbeat, Self::Clock, Self::RedisClock];

    /// The label of the metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::Lease => "lease",
            Self::Heartbeat => "heartbeat",
            Self::Clock => "clock",
            Self::RedisClock => "redis_clock",
        }
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug)]
struct Inner {
    met: AtomicU8,
    /// Things to write down that have not been written.
    ledger: AtomicUsize,
    /// The process stops: nothing new is taken.
    draining: AtomicBool,
    /// The store that the start waits for.
    waiting: Mutex<Option<Store>>,
    metrics: Metrics,
}

/// The state of the gate, shared by every task. Starts closed.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Inner>);

/// Things to write down before nothing new is taken: half of what may wait.
pub const LEDGER_FULL: usize = 5_000;

impl Gate {
    /// Closed until every [`Need`] is met.
    #[must_use]
    pub fn new(metrics: Metrics) -> Self {
        for need in Need::ALL {
            metrics.store_up.with_label_values(&[need.as_str()]).set(0);
        }
        let gate = Self(Arc::new(Inner {
            met: AtomicU8::new(0),
            ledger: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            waiting: Mutex::new(None),
            metrics,
        }));
        gate.show();
        gate
    }

    /// The metrics that it keeps.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Says which store the start waits for, if any.
    pub fn wait_for(&self, store: Option<Store>) {
        *self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner) = store;
    }

    /// Which store the start waits for.
    #[must_use]
    pub fn waiting(&self) -> Option<Store> {
        *self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Closed for good: the process stops.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::Release);
    }

    /// Brings the gauges up to date: called when somebody is about to read them.
    pub fn show(&self) {
        let missing = self.missing();
        self.0.metrics.gate_open.set(i64::from(missing.is_empty()));
        for cause in Self::causes() {
            let closes = i64::from(missing.contains(&cause));
            self.0.metrics.gate_closed.with_label_values(&[cause]).set(closes);
        }
    }

    /// Everything that can close the gate.
    fn causes() -> impl Iterator<Item = &'static str> {
        Need::ALL.into_iter().map(Need::as_str).chain(["ledger", "draining"])
    }

    /// Says whether a need is met now. Logs when that changes.
    pub fn report(&self, need: Need, met: bool) {
        let bit = need as u8;
        let before = if met {
            self.0.met.fetch_or(bit, Ordering::AcqRel)
        } else {
            self.0.met.fetch_and(!bit, Ordering::AcqRel)
        };
        if (before & bit != 0) == met {
            return;
        }
        self.0.metrics.store_up.with_label_values(&[need.as_str()]).set(i64::from(met));
        if met {
            tracing::info!(need = need.as_str(), "the gate's need is met");
        } else {
            tracing::warn!(need = need.as_str(), "the gate is closed: nothing is placed");
        }
    }

    /// Whether one need is met.
    #[must_use]
    pub fn met(&self, need: Need) -> bool {
        self.0.met.load(Ordering::Acquire) & need as u8 != 0
    }

    /// Whether contacts may be taken.
    #[must_use]
    pub fn is_open(&self) -> bool {
        Need::ALL.into_iter().all(|need| self.met(need))
            && self.0.ledger.load(Ordering::Acquire) < LEDGER_FULL
            && !self.0.draining.load(Ordering::Acquire)
    }

    /// What keeps the gate closed, for `/readyz` and the metrics.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let missing = Need::ALL.into_iter().filter(|need| !self.met(*need)).map(Need::as_str);
        let full = self.0.ledger.load(Ordering::Acquire) >= LEDGER_FULL;
        let draining = self.0.draining.load(Ordering::Acquire);
        missing.chain(full.then_some("ledger")).chain(draining.then_some("draining")).collect()
    }

    /// One more thing to write down.
    pub fn owed(&self) {
        let owed = self.0.ledger.fetch_add(1, Ordering::AcqRel) + 1;
        self.0.metrics.ledger_depth.set(gauge_value(owed));
    }

    /// So many things were written down.
    pub fn paid(&self, count: usize) {
        let owed = self.0.ledger.fetch_sub(count, Ordering::AcqRel) - count;
        self.0.metrics.ledger_depth.set(gauge_value(owed));
    }

    /// Things that are not written down yet.
    #[must_use]
    pub fn debt(&self) -> usize {
        self.0.ledger.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_is_open_only_while_every_need_is_met_and_the_ledger_has_room() {
        let gate = Gate::new(Metrics::new().unwrap());
        for need in Need::ALL {
            assert!(!gate.is_open());
            gate.report(need, true);
        }
        assert!(gate.is_open());
        gate.report(Need::Redis, false);
        assert!(!gate.is_open());
        assert_eq!(gate.missing(), ["redis"]);
        gate.report(Need::Redis, true);
        for _ in 0..LEDGER_FULL {
            gate.owed();
        }
        assert!(!gate.is_open());
        gate.paid(1);
        assert!(gate.is_open());
        gate.drain();
        assert!(!gate.is_open());
        assert_eq!(gate.missing(), ["draining"]);
    }

    #[test]
    fn the_gauges_say_why_the_gate_is_closed() {
        let metrics = Metrics::new().unwrap();
        let gate = Gate::new(metrics.clone());
        let closed = |cause| metrics.gate_closed.with_label_values(&[cause]).get();
        assert_eq!((metrics.gate_open.get(), closed("postgres"), closed("ledger")), (0, 1, 0));
        for need in Need::ALL {
            gate.report(need, true);
        }
        gate.show();
        assert_eq!((metrics.gate_open.get(), closed("postgres")), (1, 0));
        for _ in 0..LEDGER_FULL {
            gate.owed();
        }
        gate.show();
        assert_eq!((metrics.gate_open.get(), closed("postgres"), closed("ledger")), (0, 0, 1));
    }
}
