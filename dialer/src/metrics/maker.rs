//! Makes and registers metrics, and remembers what it made for the table in `docs/metrics.md`.

use std::cell::RefCell;

use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, core::Collector,
};

use prometheus::{Error, Gauge, GaugeVec};

/// One metric as it is registered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Described {
    /// Its name.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// Its labels, in order.
    pub labels: Vec<String>,
}

/// Makes metrics.
#[derive(Debug)]
pub(super) struct Maker {
    pub(super) registry: Registry,
    made: RefCell<Vec<Described>>,
}

type Made<T> = Result<T, Error>;

impl Maker {
    pub(super) fn new() -> Self {
        Self { registry: Registry::new(), made: RefCell::default() }
    }

    fn put<C: Collector + Clone + 'static>(
        &self,
        metric: C,
        name: &str,
        kind: &'static str,
        labels: &[&str],
    ) -> Made<C> {
        self.registry.register(Box::new(metric.clone()))?;
        self.made.borrow_mut().push(Described {
            name: name.to_owned(),
            kind,
            labels: labels.iter().map(ToString::to_string).collect(),
        });
        Ok(metric)
    }

    pub(super) fn counter(&self, name: &str, help: &str) -> Made<IntCounter> {
        self.put(IntCounter::new(name, help)?, name, "counter", &[])
    }

    pub(super) fn counters(&self, name: &str, help: &str, labels: &[&str]) -> Made<IntCounterVec> {
        self.put(IntCounterVec::new(Opts::new(name, help), labels)?, name, "counter", labels)
    }

    pub(super) fn gauge(&self, name: &str, help: &str) -> Made<IntGauge> {
        self.put(IntGauge::new(name, help)?, name, "gauge", &[])
    }

    pub(super) fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> Made<IntGaugeVec> {
        self.put(IntGaugeVec::new(Opts::new(name, help), labels)?, name, "gauge", labels)
    }

    /// A gauge with a fraction: seconds, calls per second.
    pub(super) fn fine_gauge(&self, name: &str, help: &str) -> Made<Gauge> {
        self.put(Gauge::new(name, help)?, name, "gauge", &[])
    }

    pub(super) fn fine_gauges(&self, name: &str, help: &str, labels: &[&str]) -> Made<GaugeVec> {
        self.put(GaugeVec::new(Opts::new(name, help), labels)?, name, "gauge", labels)
    }

    pub(super) fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Made<Histogram> {
        let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.put(Histogram::with_opts(opts)?, name, "histogram", &[])
    }

    pub(super) fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> Made<HistogramVec> {
        let opts = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        self.put(HistogramVec::new(opts, labels)?, name, "histogram", labels)
    }

    /// What the operating system says of this process: names as every Prometheus client has them.
    pub(super) fn process(&self) -> Made<()> {
        #[cfg(target_os = "linux")]
        {
            let process = prometheus::process_collector::ProcessCollector::for_self();
            let described: Vec<_> = process
                .desc()
                .into_iter()
                .map(|desc| Described {
                    name: desc.fq_name.clone(),
                    kind: if desc.fq_name.ends_with("_total") { "counter" } else { "gauge" },
                    labels: Vec::new(),
                })
                .collect();
            self.registry.register(Box::new(process))?;
            self.made.borrow_mut().extend(described);
        }
        Ok(())
    }

    /// The registry and all that is in it.
    pub(super) fn finish(self) -> (Registry, Vec<Described>) {
        let mut made = self.made.into_inner();
        made.sort();
        (self.registry, made)
    }
}
