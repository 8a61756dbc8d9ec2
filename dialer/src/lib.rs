//! The dialing process: IO only, no rules. What may be called is decided in `dialer-policy`, what is
//! done in `dialer-engine`; here are the clock, the sockets, the stores and the tasks between them.
#![warn(missing_docs)]

pub mod admin;
pub mod app;
pub mod batch;
pub mod campaigns;
pub mod cli;
pub mod clock;
pub mod driver;
pub mod gate;
pub mod inbox;
pub mod lists;
pub mod measure;
pub mod metrics;
pub mod outbox;
pub mod packs;
pub mod prompts;
pub mod rtp;
pub mod scheduler;
pub mod store;
pub mod supply;
pub mod trunks;
