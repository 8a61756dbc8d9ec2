//! The stores against a real PostgreSQL and a real Redis.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod audit;
mod commit;
mod diff;
mod differential;
mod evidence;
mod leases;
mod ledger;
mod nodes;
mod rules;
mod shares;
mod supply;
mod world;
