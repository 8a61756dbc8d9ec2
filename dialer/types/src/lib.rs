//! Numbers (masked when printed), ids, time and dispositions: the words every other crate shares.
//!
//! Pure: no clock, no randomness, no IO. Time is an argument ([`Now`]); ids come from a [`Mint`]
//! that the shell seeds once.
#![warn(missing_docs)]

mod call;
mod disposition;
mod e164;
mod ids;
mod now;
mod rule;
mod say;

pub use call::{LineType, PartyRole, PartyType, Purpose, Technology, UnknownWord};
pub use disposition::{Disposition, Outcome};
pub use e164::{E164, E164Error};
pub use ids::{
    AttemptId, CampaignId, CampaignNo, ContactId, EventId, IdError, ListId, Mint, NodeId, PersonId,
    PlacementId, SellerId, SellerNo, SubjectId, TrunkId,
};
pub use now::{Now, UnixMillis};
pub use rule::RuleId;
pub use say::{Filling, Language, Say};
