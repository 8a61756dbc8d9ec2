//! The only reader of the clocks in this process.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use dialer_types::UnixMillis;

/// Wall time, moved by the stored offset of a demo deployment.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    offset_ms: i64,
}

impl Clock {
    /// The clock of a deployment. Only a demo may have an offset; the caller has checked that.
    #[must_use]
    pub const fn new(offset_ms: i64) -> Self {
        Self { offset_ms }
    }

    /// The demo's offset, in milliseconds; 0 elsewhere.
    #[must_use]
    pub const fn offset_ms(&self) -> i64 {
        self.offset_ms
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        UnixMillis(self.unmoved().0.saturating_add(self.offset_ms))
    }

    /// Now, without the offset: what other machines' clocks are compared with.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock module")]
    pub fn unmoved(&self) -> UnixMillis {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// For measuring how long a request took.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the clock module")]
pub fn mono() -> Instant {
    Instant::now()
}
