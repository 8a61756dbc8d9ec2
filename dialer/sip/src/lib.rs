//! Sans-IO SIP user agent client over UDP: RFC 3261 transactions and dialogs, RFC 6026, digest
//! (RFC 7616, RFC 8760), CANCEL and its races. No socket, no clock, no threads: datagrams and times
//! go into an [`Endpoint`], datagrams and events come out.

pub mod wire;

mod call;
mod config;
mod core;
mod dialog;
mod digest;
mod disposition;
mod endpoint;
mod event;
mod probe;
mod random;
mod retry_after;
mod transaction;

pub use config::{Config, Credentials, Invite, InviteError, Timers};
pub use disposition::{Ending, Reason, classify};
pub use endpoint::Endpoint;
pub use event::{By, CallId, Ended, Event, Transmit, TransmitKind};
pub use probe::{ProbeError, ProbeId, Probed};
