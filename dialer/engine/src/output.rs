//! What to do: drained after each input.

use std::{net::SocketAddr, sync::Arc};

use dialer_audit::Record;
use dialer_judge::Next;
use dialer_limiter::{Demand, Token};
use dialer_media::Codec;
use dialer_sip::Transmit;
use dialer_types::{
    AttemptId, CampaignId, Disposition, PlacementId, RuleId, SellerId, SubjectId, TrunkId,
    UnixMillis,
};

use crate::trunk::Standing;

/// Something to do.
#[derive(Debug)]
pub enum Output {
    /// Read these heads: Redis first, Postgres where it has none.
    ReadHeads(AttemptId, Vec<SubjectId>),
    /// Read the contact's facts, now that its heads are read.
    LoadFacts(AttemptId),
    /// Take a send slot of the trunk, then reserve in Redis.
    Reserve(TrunkId, Arc<Demand>),
    /// Commit in Postgres: compare the tokens, advance the heads, insert attempt, placement,
    /// decisions and audit entries, all or nothing.
    Commit(Box<Commitment>),
    /// Drop these heads from Redis: Postgres disagreed with them.
    Forget(Vec<SubjectId>),
    /// The rules denied: record it, and put the contact where it waits, in one transaction.
    Deny(Box<Denied>),
    /// No judgement could be made: the contact is due again, as it was.
    Return(Returned),
    /// The commit's answer never came and the INVITE never left: make sure that the attempt can
    /// no longer commit, or settle it as not sent if it has. To be repeated until Postgres answers.
    Release(Box<Released>),
    /// Append this record to the audit.
    Record(Box<Record>),
    /// Settle in Postgres, then in Redis, and put the contact where it goes next.
    Settle(Box<Settlement>),
    /// Send this datagram, after comparing the clock with its `send_before`.
    Transmit(Transmit),
    /// Play the prompt.
    StartMedia(MediaStart),
    /// The call is over: the port is free once its media has stopped.
    StopMedia(PlacementId, u16),
    /// A trunk stands otherwise than before.
    TrunkChanged(TrunkId, Standing),
    /// OPTIONS to a trunk came to this: `ok`, `refused`, `silent` or `unreachable`.
    TrunkProbed(TrunkId, &'static str),
}

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

/// A prompt to play.
#[derive(Debug, Clone)]
pub struct MediaStart {
    /// For which placement.
    pub placement: PlacementId,
    /// From which of our ports.
    pub port: u16,
    /// To where.
    pub remote: SocketAddr,
    /// In which format.
    pub codec: Codec,
    /// Under which RTP payload type: 0 for PCMU and 8 for PCMA, unless the answer says otherwise.
    pub payload_type: u8,
    /// Which prompt.
    pub prompt: Arc<str>,
}
