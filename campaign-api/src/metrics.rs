//! Every metric of this process. What each says stands in `docs/metrics.md`; the tests here hold the
//! two together. Served at `/metrics` of the admin listener.

use prometheus::{
    Encoder, Gauge, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder, core::Collector, process_collector::ProcessCollector,
};

/// Answers of the API, from a cached read to an import of a large list.
const SECONDS: &[f64] =
    &[0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];

/// The rule packs: taken or refused together.
pub const PACK: &str = "pack";

/// The metrics of the API.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    /// `ringfence_api_build_info{version}`.
    pub build: IntGaugeVec,
    /// `ringfence_api_requests_total{route,status}`.
    pub requests: IntCounterVec,
    /// `ringfence_api_request_seconds{route}`.
    pub request_seconds: HistogramVec,
    /// `ringfence_api_import_rows_total{result}`.
    pub import_rows: IntCounterVec,
    /// `ringfence_api_redis_failures_total`.
    pub redis_failures: IntCounter,
    /// `ringfence_api_opt_outs_total`.
    pub opt_outs: IntCounter,
    /// `ringfence_api_postgres_up`.
    pub postgres_up: IntGauge,
    /// `ringfence_api_clock_apart_seconds`.
    pub clock_apart: Gauge,
    /// `ringfence_api_retired`.
    pub retired: IntGauge,
    /// `ringfence_files_refused{kind}`.
    pub files_refused: IntGaugeVec,
    /// `ringfence_api_permits_total{result}`.
    pub permits: IntCounterVec,
    /// `ringfence_api_permits_closed_total`.
    pub permits_closed: IntCounter,
}

impl Metrics {
    /// Registers all of them; what has a fixed set of labels starts at zero.
    ///
    /// # Errors
    /// If a name is not a metric name: a mistake in this file.
    pub fn new() -> Result<Self, prometheus::Error> {
        let metrics = Self {
            registry: Registry::new(),
            build: IntGaugeVec::new(
                Opts::new("ringfence_api_build_info", "Always 1; the version of the build."),
                &["version"],
            )?,
            requests: IntCounterVec::new(
                Opts::new("ringfence_api_requests_total", "Requests, by route and HTTP status."),
                &["route", "status"],
            )?,
            request_seconds: HistogramVec::new(
                HistogramOpts::new("ringfence_api_request_seconds", "Time to answer, by route.")
                    .buckets(SECONDS.to_vec()),
                &["route"],
            )?,
            import_rows: IntCounterVec::new(
                Opts::new(
                    "ringfence_api_import_rows_total",
                    "Rows of contact lists: imported, rejected or duplicate.",
                ),
                &["result"],
            )?,
            redis_failures: IntCounter::new(
                "ringfence_api_redis_failures_total",
                "Times that Redis could not be told of a change. The change stands in Postgres.",
            )?,
            opt_outs: IntCounter::new(
                "ringfence_api_opt_outs_total",
                "Suppressions and revocations recorded.",
            )?,
            postgres_up: IntGauge::new(
                "ringfence_api_postgres_up",
                "1 when Postgres answered within a second, asked at each scrape.",
            )?,
            clock_apart: Gauge::new(
                "ringfence_api_clock_apart_seconds",
                "How far this process's clock is from Postgres's, at least; beyond 0.5 nothing is recorded or judged.",
            )?,
            retired: IntGauge::new(
                "ringfence_api_retired",
                "1 when a migration has retired this release: nothing is recorded or judged.",
            )?,
            files_refused: IntGaugeVec::new(
                Opts::new(
                    "ringfence_files_refused",
                    "1 while the rule packs on disk are refused: the last good ones are used.",
                ),
                &["kind"],
            )?,
            permits: IntCounterVec::new(
                Opts::new(
                    "ringfence_api_permits_total",
                    "Requests for a permit: permitted, repeated, denied, refused or unavailable.",
                ),
                &["result"],
            )?,
            permits_closed: IntCounter::new(
                "ringfence_api_permits_closed_total",
                "Permits that nobody told the end of: closed as outcome unknown, they count.",
            )?,
        };
        for collector in metrics.collectors() {
            metrics.registry.register(collector)?;
        }
        metrics.begin();
        Ok(metrics)
    }

    /// What is there from the start.
    fn begin(&self) {
        self.build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        for result in ["imported", "rejected", "duplicate"] {
            self.import_rows.with_label_values(&[result]);
        }
        for result in ["permitted", "repeated", "denied", "refused", "unavailable"] {
            self.permits.with_label_values(&[result]);
        }
        self.files_refused.with_label_values(&[PACK]);
    }

    fn collectors(&self) -> Vec<Box<dyn Collector>> {
        vec![
            Box::new(self.build.clone()),
            Box::new(self.requests.clone()),
            Box::new(self.request_seconds.clone()),
            Box::new(self.import_rows.clone()),
            Box::new(self.redis_failures.clone()),
            Box::new(self.opt_outs.clone()),
            Box::new(self.postgres_up.clone()),
            Box::new(self.clock_apart.clone()),
            Box::new(self.retired.clone()),
            Box::new(self.files_refused.clone()),
            Box::new(self.permits.clone()),
            Box::new(self.permits_closed.clone()),
            Box::new(ProcessCollector::for_self()),
        ]
    }

    /// The text that Prometheus reads.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = Vec::new();
        match TextEncoder::new().encode(&self.registry.gather(), &mut out) {
            Ok(()) => String::from_utf8_lossy(&out).into_owned(),
            Err(error) => format!("# {error}\n"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names and labels of the table in `docs/metrics.md` that are the API's.
    fn documented() -> Vec<(String, String)> {
        let table = include_str!("../../docs/metrics.md");
        let mut rows = Vec::new();
        for line in table.lines().filter(|line| line.starts_with("| `")) {
            let cells: Vec<_> = line.split('|').map(|cell| cell.trim().replace('`', "")).collect();
            if let [_, name, process, _, labels, ..] = &cells[..]
                && (process == "api" || process == "both")
            {
                rows.push((name.clone(), labels.clone()));
            }
        }
        rows.sort();
        rows
    }

    #[test]
    fn every_metric_has_a_row_in_the_table_and_every_row_a_metric() {
        let metrics = Metrics::new().unwrap();
        let mut registered: Vec<_> = metrics
            .collectors()
            .iter()
            .flat_map(|collector| collector.desc().into_iter().cloned().collect::<Vec<_>>())
            .map(|desc| (desc.fq_name.clone(), desc.variable_labels.join(", ")))
            .collect();
        registered.sort();
        assert_eq!(registered, documented());
    }

    #[test]
    fn the_types_of_the_table_are_those_of_the_scrape() {
        let metrics = Metrics::new().unwrap();
        metrics.requests.with_label_values(&["/", "200"]).inc();
        metrics.request_seconds.with_label_values(&["/"]).observe(0.1);
        let (text, table) = (metrics.text(), include_str!("../../docs/metrics.md"));
        for (name, _) in documented() {
            let row = table.lines().find(|line| line.starts_with(&format!("| `{name}` "))).unwrap();
            let kind = row.split('|').nth(3).unwrap().trim();
            assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "{name} is no {kind}");
        }
    }
}
