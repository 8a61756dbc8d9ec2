//! OPTIONS outside any dialog: does the other side answer at all (RFC 3261 section 11)? One request
//! in a non-INVITE client transaction (section 17.1.2), without credentials: a challenge is an
//! answer, too.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::core::Core;
use crate::event::{Event, TransmitKind};
use crate::retry_after::retry_after;
use crate::transaction::Mark;
use crate::transaction::non_invite_client::{NonInviteClient, Step};
use crate::wire::{Base, Message, RequestBuilder};

/// The slot in branches and tags of probes: no call ever has it, for calls count from zero and
/// their number is bounded far below.
pub(crate) const SLOT: u32 = u32::MAX - 1;

/// Most probes at once, lingering ones included: one for each trunk of a large deployment. More
/// would be a mistake of the caller's, and grow without a bound.
const MAX_PROBES: usize = 1024;

/// A probe of one endpoint; never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProbeId(u64);

impl fmt::Display for ProbeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What became of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Probed {
    /// A final response other than 408 and 503 came: whoever says "405" or "401" is there.
    Alive,
    /// 503: no request is welcome (RFC 3261 section 21.5.4).
    Unavailable {
        /// For so long, if it was said (section 20.33). Not bounded yet: any number of seconds.
        retry_after: Option<Duration>,
    },
    /// Nothing final for 64*T1, or 408: somebody before the other side says the same.
    Silent,
    /// The datagram did not leave, or ICMP came back (section 8.1.3.1 takes it for a 503).
    Unreachable,
}

/// Why a probe was not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// As many as are allowed at once are under way or linger.
    #[error("{MAX_PROBES} probes are under way")]
    Full,
}

#[derive(Debug)]
struct Probe {
    nonce: u64,
    destination: SocketAddr,
    transaction: NonInviteClient,
}

/// The probes of an endpoint.
#[derive(Debug, Default)]
pub(crate) struct Probes {
    next: u64,
    probes: BTreeMap<ProbeId, Probe>,
    deadlines: BTreeSet<(Instant, ProbeId)>,
}

impl Probes {
    pub(crate) fn begin(
        &mut self,
        core: &mut Core,
        destination: SocketAddr,
        now: Instant,
    ) -> Result<ProbeId, ProbeError> {
        if self.probes.len() >= MAX_PROBES {
            return Err(ProbeError::Full);
        }
        self.next += 1;
        let (id, nonce) = (ProbeId(self.next), core.random.next());
        let bytes = print(core, destination, nonce);
        let transaction = NonInviteClient::new(bytes.clone(), core.timers(), now);
        core.send_probe(destination, bytes);
        self.probes.insert(id, Probe { nonce, destination, transaction });
        self.reschedule(id, None);
        Ok(id)
    }

    /// A response with a probe's slot. Whether its nonce is a probe's.
    pub(crate) fn receive(
        &mut self,
        core: &mut Core,
        nonce: u64,
        response: &Message<'_>,
        base: &Base<'_>,
        now: Instant,
    ) -> bool {
        let found = self.probes.iter_mut().find(|(_, probe)| probe.nonce == nonce);
        let (Some((id, probe)), Some(status)) = (found, response.status()) else {
            return false;
        };
        if base.cseq.method != b"OPTIONS" {
            return false;
        }
        let (id, before) = (*id, probe.transaction.deadline());
        if probe.transaction.receive(status, core.timers(), now) {
            let outcome = match status {
                408 => Probed::Silent,
                503 => Probed::Unavailable { retry_after: retry_after(response) },
                _ => Probed::Alive,
            };
            core.event(Event::Probed { probe: id, outcome });
        }
        self.reschedule(id, before);
        true
    }

    /// Sending to `destination` failed: probes that wait for it are over.
    pub(crate) fn transport_error(&mut self, core: &mut Core, destination: SocketAddr) {
        let lost: Vec<ProbeId> = self
            .probes
            .iter()
            .filter(|(_, probe)| probe.destination == destination && probe.transaction.is_open())
            .map(|(id, _)| *id)
            .collect();
        for id in lost {
            self.remove(id);
            core.event(Event::Probed { probe: id, outcome: Probed::Unreachable });
        }
    }

    /// Lets every timer due at `now` fire.
    pub(crate) fn expire(&mut self, core: &mut Core, now: Instant) {
        while let Some((deadline, id)) = self.deadlines.first().copied()
            && deadline <= now
        {
            let Some(probe) = self.probes.get_mut(&id) else {
                self.deadlines.remove(&(deadline, id));
                continue;
            };
            match probe.transaction.expire(now) {
                Step::Wait => {}
                Step::Retransmit(bytes) => core.send_probe(probe.destination, bytes),
                Step::TimedOut => {
                    core.event(Event::Probed { probe: id, outcome: Probed::Silent });
                }
            }
            self.reschedule(id, Some(deadline));
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.probes.is_empty()
    }

    /// Sets the deadline anew, or removes a probe that is over.
    fn reschedule(&mut self, id: ProbeId, before: Option<Instant>) {
        if let Some(before) = before {
            self.deadlines.remove(&(before, id));
        }
        match self.probes.get(&id).map(|probe| probe.transaction.deadline()) {
            Some(Some(next)) => drop(self.deadlines.insert((next, id))),
            Some(None) => drop(self.probes.remove(&id)),
            None => {}
        }
    }

    fn remove(&mut self, id: ProbeId) {
        if let Some(deadline) = self.probes.remove(&id).and_then(|p| p.transaction.deadline()) {
            self.deadlines.remove(&(deadline, id));
        }
    }
}

/// The request of section 11.1. It names nobody: neither From nor To holds a telephone number.
fn print(core: &mut Core, destination: SocketAddr, nonce: u64) -> Vec<u8> {
    let mark = Mark { slot: SLOT, nonce };
    let ours = core.config.advertised;
    // The Call-ID says nothing of the branch, which proves that a response is one to this request.
    let call_id = format!("options-{:016x}@ringfence", core.random.next());
    let tag = Mark { slot: SLOT, nonce: core.random.next() }.tag();
    let request = RequestBuilder::new("OPTIONS", format!("sip:{destination}").as_bytes())
        .header("Via", format!("SIP/2.0/UDP {ours};branch={};rport", mark.branch()))
        .header("Max-Forwards", "70")
        .header("From", format!("<sip:{ours}>;tag={tag}"))
        .header("To", format!("<sip:{destination}>"))
        .header("Call-ID", call_id)
        .header("CSeq", "1 OPTIONS")
        .header("Contact", format!("<sip:{ours}>"))
        .header("Accept", "application/sdp");
    if core.config.user_agent.is_empty() {
        request.build()
    } else {
        request.header("User-Agent", &core.config.user_agent).build()
    }
}

impl Core {
    fn send_probe(&mut self, destination: SocketAddr, payload: Vec<u8>) {
        self.transmits.push_back(crate::event::Transmit {
            destination,
            payload,
            kind: TransmitKind::Options,
            call: None,
            send_before: None,
        });
    }
}
