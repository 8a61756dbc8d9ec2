//! Calls against a scripted far end, on a clock of their own: nothing sleeps.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::missing_panics_doc,
    reason = "tests"
)]

mod answered;
mod auth;
mod cancel;
mod options;
mod refused;
mod rig;
mod unsolicited;
