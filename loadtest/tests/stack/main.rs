//! Tests on a whole private stack: API, dialer, PostgreSQL and Redis as processes, a carrier or
//! SIPp on real UDP.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic, in its helpers too"
)]

mod common;
mod dialers;
mod opt_outs;
mod reload;
mod road;
mod sipp;
mod stale;
mod stall;
mod supplied;
mod trouble;
