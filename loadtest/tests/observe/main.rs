//! What operations look at: dashboards, alerts, the runbook, and the metrics under them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic, in its helpers too"
)]

mod alerts;
mod dashboards;
mod live;

use std::path::{Path, PathBuf};

/// The checkout.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: &str) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Names of metrics that the table of `docs/metrics.md` has.
fn documented() -> Vec<String> {
    let names: Vec<_> = read("docs/metrics.md")
        .lines()
        .filter_map(|line| {
            line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name.to_owned())
        })
        .collect();
    assert!(names.len() > 50, "{names:?}");
    names
}

/// The metrics that a query names, without the suffixes of a histogram.
fn metrics_of(query: &str) -> Vec<String> {
    query
        .split(|sign: char| !(sign.is_ascii_alphanumeric() || sign == '_'))
        .filter(|word| word.starts_with("ringfence_") || word.starts_with("process_"))
        .map(|word| {
            let stem = ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end));
            stem.unwrap_or(word).to_owned()
        })
        .collect()
}
