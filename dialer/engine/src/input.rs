//! What happened: the only way anything reaches the engine.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use dialer_audit::Receipt;
use dialer_limiter::{Head, Reservation};
use dialer_policy::Ruleset;
use dialer_sip::CallId;
use dialer_types::{AttemptId, CampaignId, PlacementId, Purpose, SellerNo, SubjectId, TrunkId};

use dialer_judge::{ContactFacts, Order};

use crate::terms::Trunk;

/// What a store said. Late, failed and unreadable are the same answer (G5).
#[derive(Debug)]
pub enum Answer<T> {
    /// It answered.
    Given(T),
    /// It did not, or nobody knows whether it did.
    Unavailable,
}

/// A head was not the one judged: judge again on the fresh ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conflict;

/// These subjects must not be called any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptOut {
    /// Whom.
    pub subjects: Vec<SubjectId>,
    /// By whom not; `SellerNo(0)`: by anybody.
    pub seller: SellerNo,
    /// For which purpose not; `None`: for none.
    pub purpose: Option<Purpose>,
}

impl OptOut {
    /// Whether it is about calls of this seller for this purpose.
    #[must_use]
    pub fn binds(&self, seller: SellerNo, purpose: Purpose) -> bool {
        (self.seller == seller || self.seller == SellerNo(0))
            && self.purpose.is_none_or(|about| about == purpose)
    }
}

/// What this node may send of a trunk's calls a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lent {
    /// Of which trunk.
    pub trunk: TrunkId,
    /// Thousandths of an INVITE a second, re-sends included.
    pub milli_cps: u64,
    /// Until when: nothing is sent by this share afterwards.
    pub until: Instant,
}

/// Something that happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// The scheduler took a contact.
    Due(Box<Order>),
    /// The heads asked for by `Output::ReadHeads`, all of them.
    Heads(AttemptId, Answer<Vec<(SubjectId, Head)>>),
    /// The facts asked for by `Output::LoadFacts`, read after the heads.
    Facts(AttemptId, Answer<Box<ContactFacts>>),
    /// Redis answered a reserve. A conflict means that the heads have moved.
    Reserved(PlacementId, Answer<Result<Reservation, Conflict>>),
    /// Postgres answered a commit. `Unavailable`: it may or may not have happened.
    Committed(PlacementId, Answer<Result<Receipt, Conflict>>),
    /// A datagram came in.
    Datagram(SocketAddr, &'a [u8]),
    /// The first or re-sent INVITE of this call left the socket just now.
    Sent(CallId),
    /// The INVITE of this call was held back because its `send_before` had passed.
    TooLate(CallId),
    /// Sending to this address failed.
    TransportError(SocketAddr),
    /// The prompt of this call has been played, or its media failed.
    Played(PlacementId),
    /// Every opt-out that was durable when this lease was asked for has been given to the engine:
    /// INVITEs may leave until then (G7).
    Leased(Instant),
    /// Somebody said no, or took a consent back.
    Suppressed(OptOut),
    /// This campaign was paused or stopped: nothing more of it is placed.
    Halted(CampaignId),
    /// The trunks as they are now.
    Trunks(Vec<Trunk>),
    /// This node's shares of the rates; a trunk that is not named keeps the one it has.
    Lent(Vec<Lent>),
    /// Other rules are in force: what is judged by those until now and is not on the wire is not
    /// placed, and judged again.
    Rules(Arc<Ruleset>),
    /// Place nothing more; what is under way ends by itself (G10).
    Drain,
    /// End what is under way, too.
    HangUp,
    /// Time has passed.
    Timeout,
}
