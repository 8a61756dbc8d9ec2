//! How long the other side asks to be left alone.

use std::time::Duration;

use crate::wire::Message;

/// Seconds of Retry-After; a comment or parameters may follow (RFC 3261 section 20.33).
pub(crate) fn retry_after(response: &Message<'_>) -> Option<Duration> {
    let value = response.header("Retry-After")?;
    let end = value.iter().position(|b| !b.is_ascii_digit()).unwrap_or(value.len());
    let seconds: u32 = std::str::from_utf8(value.get(..end)?).ok()?.parse().ok()?;
    Some(Duration::from_secs(u64::from(seconds)))
}
