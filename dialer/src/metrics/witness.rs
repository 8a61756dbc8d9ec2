//! A second look at what leaves, by the promises alone: it knows what was asked of Postgres and what
//! Postgres said, and nothing of why. An INVITE that breaks a promise is counted under
//! `ringfence_violations_total` and held back. Always zero: the fences before it hold.
//!
//! Lives in the shard: no lock, one map lookup an INVITE. Holds as many placements as the engine.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use dialer_audit::{Body, record::Verdict};
use dialer_engine::{Answer, Commitment, Input, Next, Output, Settlement, Transmit, TransmitKind};
use dialer_limiter::{Entry, Token};
use dialer_types::{
    CampaignId, Disposition, Now, PlacementId, Purpose, SellerNo, SubjectId, TrunkId, UnixMillis,
};

use super::Metrics;

/// The promises that are looked at; [`Witness`] for all but G9, which the audit sequencer looks at
/// when it reads the tree back.
pub const PROMISES: [&str; 8] = ["G1", "G2", "G3", "G4", "G6", "G7", "G8", "G10"];
/// The tree that was read back is not the one a checkpoint was signed for.
pub const AUDIT_PROMISE: &str = "G9";
/// How far past `not_after` the wall clock may be without a complaint: the driver compares the
/// monotonic clock, and one that is slewed parts from it by 500 ppm of a permit's 5 s at most.
const SLEW_MS: i64 = 10;
/// Settled placements that are remembered: a second settlement comes at once or never.
const REMEMBERED: usize = 4_096;

/// A placement that was put before Postgres.
#[derive(Debug)]
struct Placed {
    placement: PlacementId,
    trunk: TrunkId,
    campaign: CampaignId,
    subjects: Vec<SubjectId>,
    seller: SellerNo,
    purpose: Purpose,
    not_after: UnixMillis,
    /// Postgres has said that it is durable.
    durable: bool,
    /// Suppressed or halted since.
    stopped: Option<&'static str>,
    sent: bool,
}

/// The second look.
#[derive(Debug)]
pub struct Witness {
    metrics: Metrics,
    /// By Call-ID.
    placed: BTreeMap<String, Placed>,
    call_ids: BTreeMap<PlacementId, String>,
    settled: BTreeSet<PlacementId>,
    order: VecDeque<PlacementId>,
    draining: bool,
}

impl Witness {
    /// Has seen nothing yet.
    #[must_use]
    pub const fn new(metrics: Metrics) -> Self {
        Self {
            metrics,
            placed: BTreeMap::new(),
            call_ids: BTreeMap::new(),
            settled: BTreeSet::new(),
            order: VecDeque::new(),
            draining: false,
        }
    }

    fn broken(&self, promise: &'static str, what: &str) {
        self.metrics.violations.with_label_values(&[promise]).inc();
        tracing::error!(promise, what, "a promise would have been broken");
    }

    /// Before the engine hears it.
    pub fn heard(&mut self, input: &Input<'_>, now: Now) {
        match input {
            Input::Committed(placement, answer) => {
                let durable = matches!(answer, Answer::Given(Ok(_)));
                if durable {
                    let judged = i64::try_from(placement.0 >> 80).unwrap_or(now.wall.0);
                    let took = now.wall.since(UnixMillis(judged));
                    self.metrics.clearance_seconds.observe(took.as_secs_f64());
                }
                if let Some(placed) = self.of(*placement) {
                    placed.durable = durable;
                }
            }
            Input::Suppressed(out) => {
                for placed in self.placed.values_mut() {
                    let bound = out.binds(placed.seller, placed.purpose);
                    if bound && placed.subjects.iter().any(|it| out.subjects.contains(it)) {
                        placed.stopped = Some("G7");
                    }
                }
            }
            Input::Halted(campaign) => {
                for placed in self.placed.values_mut().filter(|p| p.campaign == *campaign) {
                    placed.stopped.get_or_insert("G10");
                }
            }
            Input::Drain | Input::HangUp => self.draining = true,
            _ => {}
        }
    }

    /// Before it is done what the engine wants.
    pub fn wanted(&mut self, output: &Output) {
        match output {
            Output::Reserve(..) => self.metrics.judged.with_label_values(&["permit"]).inc(),
            Output::Deny(denied) => {
                let verdict = match denied.next {
                    Next::Due { .. } => "defer",
                    Next::Park { .. } | Next::Finished { .. } => "refuse",
                };
                self.metrics.judged.with_label_values(&[verdict]).inc();
            }
            Output::Commit(commitment) => self.asked(commitment),
            Output::Release(released) => self.forget(released.placement),
            Output::Settle(settlement) => self.ended(settlement),
            _ => {}
        }
    }

    fn asked(&mut self, commitment: &Commitment) {
        let placement = commitment.demand.placement();
        if let Some(why) = uncounted(commitment) {
            self.broken("G6", why);
        }
        let claims = commitment.demand.claims();
        let entry = claims.iter().find_map(|claim| claim.next.entries().last());
        let placed = Placed {
            placement,
            trunk: commitment.trunk,
            campaign: commitment.campaign,
            subjects: claims.iter().map(|claim| claim.subject).collect(),
            seller: entry.map_or(SellerNo(0), |entry| entry.seller),
            purpose: entry.map_or(Purpose::Telemarketing, |entry| entry.purpose),
            not_after: commitment.not_after,
            durable: false,
            stopped: None,
            sent: false,
        };
        self.call_ids.insert(placement, commitment.sip_call_id.clone());
        self.placed.insert(commitment.sip_call_id.clone(), placed);
    }

    /// Whether this datagram may leave, directly before it does. Anything but a first or re-sent
    /// INVITE may.
    #[must_use]
    pub fn lets_out(&self, transmit: &Transmit, now: Now) -> bool {
        let first = transmit.kind == TransmitKind::InviteFirst;
        if !first && transmit.kind != TransmitKind::InviteResend {
            return true;
        }
        let placed = call_id(&transmit.payload).and_then(|id| self.placed.get(id));
        let Some(placed) = placed else {
            self.broken("G1", "an invite of no placement");
            return false;
        };
        let found = if !placed.durable {
            Some(("G4", "an invite of a placement that is not durable"))
        } else if first && placed.sent {
            Some(("G2", "a second invite of one placement"))
        } else if now.wall.0 >= placed.not_after.0.saturating_add(SLEW_MS) {
            Some(("G3", "an invite later than its verdict stands"))
        } else if first && self.draining {
            Some(("G10", "an invite while draining"))
        } else {
            let stopped = placed.stopped.filter(|_| first);
            stopped.map(|promise| (promise, "an invite after an opt-out or a halt"))
        };
        if let Some((promise, what)) = found {
            self.broken(promise, what);
        }
        found.is_none()
    }

    /// It has left.
    pub fn left(&mut self, transmit: &Transmit) {
        let placed = call_id(&transmit.payload).and_then(|id| self.placed.get_mut(id));
        let Some(placed) = placed else { return };
        let trunk = placed.trunk.to_string();
        self.metrics.trunk_invites.with_label_values(&[trunk.as_str()]).inc();
        if !placed.sent {
            self.metrics.trunk_calls.with_label_values(&[trunk.as_str()]).inc();
        }
        placed.sent = true;
    }

    fn ended(&mut self, settlement: &Settlement) {
        if !self.settled.insert(settlement.placement) {
            self.broken("G8", "a second outcome of one placement");
            return;
        }
        self.order.push_back(settlement.placement);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.settled.remove(&oldest);
        }
        let Some(placed) = self.of(settlement.placement) else { return };
        let (trunk, sent) = (placed.trunk.to_string(), placed.sent);
        self.forget(settlement.placement);
        let trunk = trunk.as_str();
        if sent {
            self.metrics.trunk_calls.with_label_values(&[trunk]).dec();
        }
        if settlement.disposition == Disposition::NotSent {
            return;
        }
        let code = match settlement.spoken.sip_code {
            Some(code @ 200..=699) => code.to_string(),
            Some(_) => "other".to_owned(),
            None => "none".to_owned(),
        };
        self.metrics.trunk_responses.with_label_values(&[trunk, code.as_str()]).inc();
        if settlement.spoken.answered_at.is_some() {
            self.metrics.trunk_answered.with_label_values(&[trunk]).inc();
        }
    }

    fn of(&mut self, placement: PlacementId) -> Option<&mut Placed> {
        let placed = self.placed.get_mut(self.call_ids.get(&placement)?)?;
        (placed.placement == placement).then_some(placed)
    }

    fn forget(&mut self, placement: PlacementId) {
        if let Some(call_id) = self.call_ids.remove(&placement) {
            self.placed.remove(&call_id);
        }
    }
}

/// Why a commitment would let a cap be exceeded: by its own evidence a cap is used up or a rule
/// denied, or a head that it leaves behind does not count it.
fn uncounted(commitment: &Commitment) -> Option<&'static str> {
    let placement = commitment.demand.placement();
    let permits = commitment.records.iter().filter_map(|record| match &record.body {
        Body::Decision(decision) if decision.verdict == Verdict::Permit => Some(decision),
        _ => None,
    });
    for permit in permits {
        if !permit.denied_by.is_empty() {
            return Some("a permit that a rule denied");
        }
        if permit.counters.iter().any(|counter| counter.count >= counter.cap) {
            return Some("a permit for a cap that is used up");
        }
    }
    let key = Entry::key_of(placement);
    let counted = commitment.demand.claims().iter().all(|claim| {
        claim.next.token() == Token::from(placement)
            && claim.next.entries().iter().any(|entry| entry.key == key)
    });
    (!counted).then_some("a head that does not count its placement")
}

/// The Call-ID of a message as its bytes say it, whatever the engine thinks it sent.
fn call_id(message: &[u8]) -> Option<&str> {
    for line in message.split(|byte| *byte == b'\n') {
        let line = line.trim_ascii();
        if line.is_empty() {
            return None;
        }
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, value) = line.split_at(colon);
        let name = name.trim_ascii();
        if name.eq_ignore_ascii_case(b"call-id") || name.eq_ignore_ascii_case(b"i") {
            return std::str::from_utf8(value.get(1..)?.trim_ascii()).ok();
        }
    }
    None
}

#[cfg(test)]
mod tests;
