//! The seeded world that tries to break the promises.
//!
//! Several nodes, each with the real engine, policy and SIP core, share stores that fail, answer
//! late, lose writes or come back empty, clocks that disagree, and a network that loses, repeats,
//! delays and reorders. A simulated carrier answers. At the end [`check`] reads what went over the
//! wire with rules of its own, and every seed is the same run again.
//!
//! [`run`] takes the engine's fences as a type and the stores' fences as [`StoreFences`]: taking
//! any one out must make some seed fail, and a test for each shows that it does.

use std::sync::Arc;

use dialer_policy::{Options, PackSource, Ruleset};

mod carrier;
pub mod check;
mod node;
mod people;
mod rng;
mod stores;
mod world;

pub use check::{Finding, Summary, Violation};
pub use stores::StoreFences;
pub use world::run_fenced;
pub use world::{Faults, Plan, Scale, run};

/// Shortens the gap so that it binds within a run.
const HOUSE: &str = "[[override]]\nrule = \"house.min_gap\"\nseconds = 30\n";

/// Closes the day of the run, everywhere: what a change of rules puts in force for a while.
const QUIET: &str =
    "[[override]]\nrule = \"house.quiet_dates\"\nenabled = true\nclosed_on = [\"2026-12-01\"]\n";

/// The rules of a world.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The shipped packs with the house rules, the gap shortened to [`check::GAP_S`] seconds.
    pub open: Arc<Ruleset>,
    /// Those, and nobody is called.
    pub quiet: Arc<Ruleset>,
}

/// The rules of a world.
///
/// # Errors
/// Every fault of the packs, in one text.
pub fn rules() -> Result<Rules, String> {
    let with = |text: &str| {
        let house = PackSource { name: "sim-house.toml", text };
        Ruleset::shipped_with(&[house], Options { house: true })
            .map(Arc::new)
            .map_err(|faults| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    };
    Ok(Rules { open: with(HOUSE)?, quiet: with(&format!("{HOUSE}{QUIET}"))? })
}
