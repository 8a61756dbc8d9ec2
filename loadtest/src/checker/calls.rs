//! From datagrams to placements: one INVITE each, with what became of it.

use std::collections::HashMap;

use dialer_types::Outcome;

use super::scan::{Scanned, scan};
use crate::wirelog::{Datagram, Direction};

/// One out-of-dialog INVITE with its retransmissions and its re-send after a challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// First datagram of it at the carrier, milliseconds since 1970 UTC.
    pub at: i64,
    /// Call-ID.
    pub call_id: String,
    /// Called number as on the wire.
    pub number: String,
    /// What `X-Ringfence-Campaign` said.
    pub campaign: Option<String>,
    /// INVITE datagrams seen, retransmissions included.
    pub datagrams: u32,
    /// A second INVITE under a Call-ID that was neither retransmission nor re-send.
    pub repeated: bool,
    /// A 180 or 183 was sent.
    pub rang: bool,
    /// First 2xx.
    pub answered_at: Option<i64>,
    /// First final response of 300 or more, other than one that was followed by a re-send.
    pub failed: Option<(u16, i64)>,
    /// First CANCEL.
    pub cancelled_at: Option<i64>,
    /// First BYE, either way.
    pub bye_at: Option<i64>,
    branch: String,
    cseq: u32,
}

impl Placement {
    /// When it was over; `None` while (as far as the log goes) it is not.
    #[must_use]
    pub fn ended_at(&self) -> Option<i64> {
        if self.answered_at.is_some() { self.bye_at } else { self.failed.map(|(_, at)| at) }
    }

    /// The word the campaign's retry table uses for how it ended.
    #[must_use]
    pub fn disposition(&self) -> &'static str {
        if self.answered_at.is_some() {
            return "answered";
        }
        match self.failed.map(|(status, _)| status) {
            Some(486 | 600) => "busy",
            Some(480 | 408 | 487) if self.rang => "no_answer",
            Some(480 | 430) => "unavailable",
            Some(404 | 484 | 485 | 604) => "invalid_number",
            Some(410) => "disconnected",
            Some(501 | 505 | 513 | 580) => "misconfigured",
            Some(603) => "rejected",
            Some(607) => "unwanted",
            Some(608) => "blocked",
            Some(482 | 483) => "loop",
            Some(408 | 487 | 500..=599) => "congestion",
            Some(300..=399) => "redirected",
            Some(_) => "misconfigured",
            None if self.cancelled_at.is_some() && self.rang => "no_answer",
            None if self.cancelled_at.is_some() => "congestion",
            None => "outcome_unknown",
        }
    }

    /// What rules count it as.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self.disposition() {
            "answered" => Outcome::Conversation,
            "busy" => Outcome::Busy,
            "no_answer" | "unavailable" => Outcome::NoAnswer,
            "invalid_number" | "disconnected" => Outcome::Sit,
            "rejected" | "unwanted" => Outcome::Refused,
            "outcome_unknown" => Outcome::Unknown,
            _ => Outcome::Failed,
        }
    }
}

/// Groups a log into placements, in the order of their first INVITE.
#[must_use]
pub fn placements(log: &[Datagram]) -> Vec<Placement> {
    let mut calls = Calls::default();
    for datagram in log {
        let Some(scanned) = scan(&datagram.raw) else {
            continue;
        };
        calls.take(&scanned, datagram.dir, datagram.t_us.div_euclid(1000));
    }
    calls.all
}

#[derive(Default)]
struct Calls {
    all: Vec<Placement>,
    by_call_id: HashMap<String, Vec<usize>>,
}

impl Calls {
    fn take(&mut self, scanned: &Scanned, dir: Direction, at: i64) {
        match (dir, scanned.method.as_str(), scanned.status) {
            // A To tag marks a re-INVITE, but only where there is a call it could belong to.
            (Direction::In, "INVITE", _)
                if scanned.to_tag.is_none() || !self.by_call_id.contains_key(&scanned.call_id) =>
            {
                self.invite(scanned, at);
            }
            (Direction::In, "CANCEL", _) => {
                if let Some(call) = self.branch(scanned) {
                    call.cancelled_at.get_or_insert(at);
                }
            }
            (_, "BYE", _) => {
                if let Some(call) = self.last(&scanned.call_id) {
                    call.bye_at.get_or_insert(at);
                }
            }
            (Direction::Out, "", 101..) if scanned.cseq_method == "INVITE" => {
                self.response(scanned, at);
            }
            _ => {}
        }
    }

    fn invite(&mut self, scanned: &Scanned, at: i64) {
        if let Some(call) = self.branch(scanned) {
            call.datagrams += 1;
            return;
        }
        let mut repeated = false;
        if let Some(call) = self.last(&scanned.call_id) {
            let challenged = matches!(call.failed, Some((401 | 407 | 422, _)));
            let same = call.number == scanned.callee;
            if challenged && same && Some(scanned.cseq) == call.cseq.checked_add(1) {
                call.failed = None;
                call.branch.clone_from(&scanned.branch);
                call.cseq = scanned.cseq;
                call.datagrams += 1;
                return;
            }
            repeated = true;
        }
        self.by_call_id.entry(scanned.call_id.clone()).or_default().push(self.all.len());
        self.all.push(Placement {
            at,
            call_id: scanned.call_id.clone(),
            number: scanned.callee.clone(),
            campaign: scanned.campaign.clone(),
            datagrams: 1,
            repeated,
            rang: false,
            answered_at: None,
            failed: None,
            cancelled_at: None,
            bye_at: None,
            branch: scanned.branch.clone(),
            cseq: scanned.cseq,
        });
    }

    fn response(&mut self, scanned: &Scanned, at: i64) {
        let Some(call) = self.branch(scanned) else {
            return;
        };
        match scanned.status {
            180..=183 => call.rang = true,
            200..=299 if call.answered_at.is_none() && call.failed.is_none() => {
                call.answered_at = Some(at);
            }
            300.. if call.failed.is_none() && call.answered_at.is_none() => {
                call.failed = Some((scanned.status, at));
            }
            _ => {}
        }
    }

    /// The placement under this Call-ID that uses this branch.
    fn branch(&mut self, scanned: &Scanned) -> Option<&mut Placement> {
        let all = &self.all;
        let index = self
            .by_call_id
            .get(&scanned.call_id)?
            .iter()
            .rev()
            .copied()
            .find(|&index| all.get(index).is_some_and(|call| call.branch == scanned.branch))?;
        self.all.get_mut(index)
    }

    fn last(&mut self, call_id: &str) -> Option<&mut Placement> {
        let index = *self.by_call_id.get(call_id)?.last()?;
        self.all.get_mut(index)
    }
}
