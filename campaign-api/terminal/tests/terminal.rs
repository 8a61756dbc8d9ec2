//! The program as a person types it, against the real API on a real Postgres and Redis.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "terminal/completion.rs"]
mod completion;
#[path = "terminal/early.rs"]
mod early;
#[path = "terminal/errors.rs"]
mod errors;
#[path = "terminal/first_hour.rs"]
mod first_hour;
#[path = "terminal/records.rs"]
mod records;
#[path = "terminal/supplied.rs"]
mod supplied;
#[path = "terminal/world.rs"]
mod world;
