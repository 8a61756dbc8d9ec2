//! Redis, by the way that all processes share.

pub use dialer_stores::{Redis, RedisError};
