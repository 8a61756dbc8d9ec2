//! The attempt's states. Each owns the proofs it has gathered; a transition consumes the old one.

use std::{sync::Arc, time::Instant};

use dialer_audit::{Receipt, Record};
use dialer_judge::{ContactFacts, Order};
use dialer_limiter::{Demand, Head, Reservation};
use dialer_sip::CallId;
use dialer_types::{E164, PlacementId, SubjectId, TrunkId, UnixMillis};

use crate::clearance::Judged;

use crate::trunk::Epoch;

/// Why an attempt must not be placed any more, whatever its proofs say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doom {
    Suppressed,
    Halted,
    Draining,
}

impl Doom {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Suppressed => "suppressed",
            Self::Halted => "halted",
            Self::Draining => "draining",
        }
    }
}

/// One attempt under way.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) order: Box<Order>,
    /// Judgements that lost their race so far.
    pub(crate) rounds: u8,
    /// When the store that was asked counts as unavailable; `None` while calling.
    pub(crate) deadline: Option<Instant>,
    pub(crate) doom: Option<Doom>,
    /// The last token minted for it: only looked at when the fence of fresh tokens is out.
    pub(crate) minted: Option<PlacementId>,
    pub(crate) state: State,
}

/// How far it is.
#[derive(Debug)]
pub(crate) enum State {
    /// Heads, then facts, are being read.
    Gathering { heads: Option<Vec<(SubjectId, Head)>>, facts: Option<Box<ContactFacts>> },
    /// Judged and permitted; Redis is asked.
    Reserving(Box<Chosen>),
    /// Reserved; Postgres is asked.
    Committing(Box<Chosen>, Reservation),
    /// Durable; waits for the trunk's rate to let one more INVITE out.
    Holding(Box<Chosen>, Box<(Reservation, Receipt)>),
    /// Cleared and placed; the clearance is used up.
    Calling(Calling),
}

/// A permitted placement on its way to the wire.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub(crate) judged: Judged,
    pub(crate) number: E164,
    pub(crate) number_subject: SubjectId,
    pub(crate) position: u8,
    pub(crate) trunk: TrunkId,
    pub(crate) demand: Arc<Demand>,
    pub(crate) sip_call_id: String,
    /// Decisions to be written with the commit.
    pub(crate) records: Vec<Record>,
    pub(crate) at: UnixMillis,
}

/// A placed call.
#[derive(Debug)]
pub(crate) struct Calling {
    pub(crate) placement: PlacementId,
    pub(crate) call: CallId,
    pub(crate) subjects: Vec<SubjectId>,
    pub(crate) position: u8,
    pub(crate) trunk: TrunkId,
    pub(crate) epoch: Epoch,
    pub(crate) port: u16,
    pub(crate) sip_call_id: String,
    pub(crate) sent: bool,
    pub(crate) answered_at: Option<UnixMillis>,
    pub(crate) media: bool,
}

impl Chosen {
    pub(crate) fn subjects(&self) -> Vec<SubjectId> {
        self.demand.claims().iter().map(|claim| claim.subject).collect()
    }
}
