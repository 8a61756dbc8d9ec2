//! The only reader of a clock here.

use std::time::Instant;

/// For how long something has been known.
#[expect(clippy::disallowed_methods, reason = "this is the clock module")]
pub(crate) fn mono() -> Instant {
    Instant::now()
}
