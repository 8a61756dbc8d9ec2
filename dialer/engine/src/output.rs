//! What to do: drained after each input.

use std::{net::SocketAddr, sync::Arc};

use dialer_audit::Record;
use dialer_judge::{Commitment, Denied, Released, Returned, Settlement};
use dialer_limiter::Demand;
use dialer_media::Codec;
use dialer_sip::Transmit;
use dialer_types::{AttemptId, PlacementId, SubjectId, TrunkId};

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
