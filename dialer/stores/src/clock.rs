//! The only reader of a clock here; and how far two clocks are apart.

use std::time::{Duration, Instant};

use dialer_types::UnixMillis;

/// How far a process's clock and Postgres's may be apart, as far as can be known: half of what any
/// two processes may be (`dialer_judge::CLOCK_BOUND`).
pub const NODE_BOUND: Duration = Duration::from_millis(500);

/// How far a clock that was read between two looks at ours is from ours, at least.
#[must_use]
pub fn apart(theirs: UnixMillis, before: UnixMillis, after: UnixMillis) -> Duration {
    if theirs < before {
        before.since(theirs)
    } else if theirs > after {
        theirs.since(after)
    } else {
        Duration::ZERO
    }
}

/// For how long something has been known.
#[expect(clippy::disallowed_methods, reason = "this is the clock module")]
pub(crate) fn mono() -> Instant {
    Instant::now()
}
