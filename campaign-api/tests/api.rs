//! The API over HTTP, on a real Postgres and a real Redis.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

#[path = "api/attempts.rs"]
mod attempts;
#[path = "api/campaigns.rs"]
mod campaigns;
#[path = "api/imports.rs"]
mod imports;
#[path = "api/keys.rs"]
mod keys;
#[path = "api/languages.rs"]
mod languages;
#[path = "api/opt_outs.rs"]
mod opt_outs;
#[path = "api/outages.rs"]
mod outages;
#[path = "api/world.rs"]
mod world;
