//! The seeded world that tries to break the promises.
//!
//! Several nodes, each with the real engine, policy and SIP core, share stores that fail, answer
//! late, lose writes or come back empty, clocks that disagree, and a network that loses, repeats,
//! delays and reorders. A simulated carrier answers. At the end [`check`] reads what went over the
//! wire with rules of its own, and every seed is the same run again.
//!
//! [`run`] takes the engine's fences as a type and the stores' fences as [`StoreFences`]: taking
//! any one out must make some seed fail, and a test for each shows that it does.

use dialer_policy::{Options, Ruleset};

mod carrier;
pub mod check;
mod node;
mod people;
mod rng;
mod stores;
mod world;

pub use check::{Finding, Summary, Violation};
pub use stores::StoreFences;
pub use world::{Faults, Plan, run};
pub use world::run_fenced;

/// The shipped packs with the house rules, the gap shortened to [`check::GAP_S`] seconds so that
/// caps bind within a run.
///
/// # Errors
/// Every fault of the packs, in one text.
pub fn rules() -> Result<Ruleset, String> {
    Ruleset::shipped(Options { house: true }).map_err(|faults| format!("{faults:?}"))
}
