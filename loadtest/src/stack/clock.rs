//! The rig's clock: the one place of the stack and the demo that reads it.
#![allow(clippy::disallowed_methods, reason = "this is the clock module of the rig")]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01 UTC, real time.
#[must_use]
pub fn real_unix_millis() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or(0)
}

/// For measuring how long something took, and for bounding it.
#[must_use]
pub fn monotonic() -> Instant {
    Instant::now()
}
