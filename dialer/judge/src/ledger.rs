//! What the stores are asked to write down: a placement, a denial, and how either ends.

use std::sync::Arc;

use dialer_audit::Record;
use dialer_limiter::{Demand, Token};
use dialer_types::{
    AttemptId, CampaignId, Disposition, PlacementId, RuleId, SellerId, SubjectId, TrunkId,
    UnixMillis,
};

use crate::Next;

/// What a commit writes.
#[derive(Debug)]
pub struct Commitment {
    /// The claims to compare and advance.
    pub demand: Arc<Demand>,
    /// The attempt.
    pub attempt: AttemptId,
    /// Its campaign.
    pub campaign: CampaignId,
    /// Its seller.
    pub seller: SellerId,
    /// Whose number.
    pub number: SubjectId,
    /// Whom.
    pub person: SubjectId,
    /// About what.
    pub account: Option<SubjectId>,
    /// By which trunk.
    pub trunk: TrunkId,
    /// When it was judged.
    pub at: UnixMillis,
    /// Until when the INVITE may leave.
    pub not_after: UnixMillis,
    /// Its Call-ID.
    pub sip_call_id: String,
    /// The decisions (denials of other numbers first, then the permit) and the intent.
    pub records: Vec<Record>,
}

/// A judgement that denied every number of the contact.
#[derive(Debug)]
pub struct Denied {
    /// The attempt that was not made. The next judgement is of the same attempt.
    pub attempt: AttemptId,
    /// Its campaign.
    pub campaign: CampaignId,
    /// Where the contact waits.
    pub next: Next,
    /// One decision per number judged.
    pub records: Vec<Record>,
    /// The denying rules of the number that decides `next`.
    pub rules: Vec<RuleId>,
    /// The heads the denial rests on. Where Postgres has others by now, the contact is due at once
    /// instead: what it would wait for may have come already, or the copy was stale.
    pub judged: Vec<(SubjectId, Token)>,
}

/// A contact given back unjudged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returned {
    /// The attempt.
    pub attempt: AttemptId,
    /// Its campaign.
    pub campaign: CampaignId,
    /// When it is due again.
    pub at: UnixMillis,
    /// Why: fixed words, for `due.because` and the metrics.
    pub because: &'static str,
}

/// A placement whose commit nobody knows the end of, and which never left.
#[derive(Debug)]
pub struct Released {
    /// The placement.
    pub placement: PlacementId,
    /// Its attempt.
    pub attempt: AttemptId,
    /// Its campaign.
    pub campaign: CampaignId,
    /// The heads it may have advanced.
    pub subjects: Vec<SubjectId>,
    /// When the contact is due again.
    pub due_at: UnixMillis,
    /// Why it was not sent.
    pub because: &'static str,
    /// When it was given up.
    pub at: UnixMillis,
}

/// How a placement ended and what becomes of its contact.
#[derive(Debug)]
pub struct Settlement {
    /// The placement.
    pub placement: PlacementId,
    /// Its attempt.
    pub attempt: AttemptId,
    /// Its campaign.
    pub campaign: CampaignId,
    /// The heads that hold it.
    pub subjects: Vec<SubjectId>,
    /// How it ended.
    pub disposition: Disposition,
    /// What was seen.
    pub spoken: Spoken,
    /// Where the contact goes.
    pub next: Next,
    /// Placements made for the contact, with this one where it counts.
    pub made: u16,
    /// The position of the number to try first next time.
    pub next_position: u8,
    /// The outcome, or the not-sent, for the audit.
    pub record: Record,
    /// When.
    pub at: UnixMillis,
}

/// What was seen of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spoken {
    /// Final SIP status.
    pub sip_code: Option<u16>,
    /// Q.850 cause.
    pub q850: Option<u8>,
    /// Milliseconds of ringing.
    pub ring_ms: Option<u32>,
    /// When it was answered.
    pub answered_at: Option<UnixMillis>,
}
