//! From what is known of a contact to a verdict. Pure.
//!
//! The gate asks here before it dials, and the API asks here when somebody wants to know why a
//! contact is not called: one brain, so that the two cannot differ. The facts come from
//! `dialer-facts`, the rules from `dialer-policy`.
#![warn(missing_docs)]

mod abilities;
mod handover;
mod known;
mod ledger;
mod order;
mod outlook;
mod record;
mod retry;
mod supplied;
mod terms;
mod walk;

pub use abilities::abilities;
pub use handover::{Handover, HandoverError, stands_until};
pub use known::{ContactFacts, Entry, NumberFacts};
pub use ledger::{Commitment, Denied, Released, Returned, Settlement, Spoken};
pub use order::{Campaign, Order};
pub use outlook::{Next, Outlook, blocking, cause};
pub use record::{Permitted, Scene, decision, ending, intent};
pub use retry::{OtherNumbers, RetryRules};
pub use supplied::{Checks, Supplied};
pub use terms::{
    CLOCK_BOUND, CallTerms, CampaignTerms, GUARD, HORIZON, PERMIT_LIFE, has_room, judge,
};
pub use walk::{Stretch, next_look, walk};
