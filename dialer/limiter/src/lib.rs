//! Subject heads: packed history, tokens and compare-and-set (DESIGN section 4).
//!
//! A *head* is what is known of one subject: the token of the last event that changed it, its
//! marks (suppressed for a seller or for all, declined for ever) and its packed history of
//! placements. Postgres holds the truth, Redis a copy, and both change a head only by
//! compare-and-set on its token. A token is minted for one judgement on one base and never used
//! again, so equal tokens mean equal histories.
//!
//! Pure: the stores live elsewhere. [`memory`] is the oracle the real ones are tested against, and
//! what the simulator runs on; [`FUNCTIONS`] is the Redis side.
#![warn(missing_docs)]

mod demand;
mod entry;
mod head;
pub mod memory;
pub mod shares;

pub use demand::{Claim, Demand, DemandError, Reservation};
pub use entry::{Entry, Mark, MarkKind};
pub use head::{Head, HeadError, MAX_ENTRIES, MAX_MARKS, Token};

/// The Redis function library, named by its format version so that two releases run side by side.
pub const FUNCTIONS: &str = include_str!("heads.lua");

/// The Redis key of a subject's head in this format version.
#[must_use]
pub fn redis_key(subject: dialer_types::SubjectId) -> String {
    format!("rf1:{{{}}}", subject.0)
}
