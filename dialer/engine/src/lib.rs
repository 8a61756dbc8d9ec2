//! The attempt as states that own their proofs, and the clearance: the one road to the wire.
//!
//! Sans-IO: [`Engine::handle_input`] takes what happened (a contact is due, a store answered, a
//! datagram came, time passed), [`Engine::poll_output`] gives what to do (read, reserve, commit,
//! send, settle), [`Engine::poll_timeout`] says when to come back. Drain the outputs after each
//! input. Stores answer by input; a late answer and a failed one are the same answer
//! ([`Answer::Unavailable`]) and mean no call.
//!
//! The way of an attempt, each arrow one output and one input:
//! heads -> facts -> judge -> reserve -> commit -> [`Clearance`] -> INVITE -> settle.
//! Heads are read before facts: a fact that changed in between moved the head's token in Postgres,
//! and the commit fails. What is judged on an older fact never dials.
#![warn(missing_docs)]

mod attempt;
mod calls;
mod clearance;
mod engine;
mod fences;
mod input;
mod judge;
mod lease;
mod output;
mod place;
mod terms;
mod trunk;

pub use clearance::{Clearance, ClearanceError};
pub use engine::{Config, Engine, Gauges};
pub use fences::{AllFences, Fences};
pub use input::{Answer, Conflict, Input, Lent, OptOut};
pub use output::{MediaStart, Output};
pub use terms::Trunk;
pub use trunk::{Admits, BUDGET, Standing};

/// What is known, what is judged and what is written down: shared with everybody who asks why, and
/// with the gate as a service.
pub use dialer_judge::{
    Campaign, Checks, Commitment, ContactFacts, Denied, Next, NumberFacts, Order, OtherNumbers,
    Released, RetryRules, Returned, Settlement, Spoken, Supplied,
};

/// What the driver sends and where: the SIP core stays behind this crate.
pub use dialer_sip::{CallId, Config as SipConfig, Credentials, Timers, Transmit, TransmitKind};
