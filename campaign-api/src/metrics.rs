//! Every metric of this process, with what it says. Served at `/metrics` of the admin listener.

use prometheus::{
    Encoder, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry, TextEncoder,
};

/// The metrics of the API.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
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
}

impl Metrics {
    /// Registers all of them.
    ///
    /// # Errors
    /// If a name is not a metric name: a mistake in this file.
    pub fn new() -> Result<Self, prometheus::Error> {
        let metrics = Self {
            registry: Registry::new(),
            requests: IntCounterVec::new(
                Opts::new("ringfence_api_requests_total", "Requests, by route and HTTP status."),
                &["route", "status"],
            )?,
            request_seconds: HistogramVec::new(
                HistogramOpts::new("ringfence_api_request_seconds", "Time to answer, by route."),
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
        };
        metrics.registry.register(Box::new(metrics.requests.clone()))?;
        metrics.registry.register(Box::new(metrics.request_seconds.clone()))?;
        metrics.registry.register(Box::new(metrics.import_rows.clone()))?;
        metrics.registry.register(Box::new(metrics.redis_failures.clone()))?;
        metrics.registry.register(Box::new(metrics.opt_outs.clone()))?;
        Ok(metrics)
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
