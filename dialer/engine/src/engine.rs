//! The engine: every attempt of one shard.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use dialer_judge::Order;
use dialer_media::Offer;
use dialer_policy::Ruleset;
use dialer_sip::{CallId, Endpoint, Transmit};
use dialer_types::{AttemptId, Mint, NodeId, Now, PlacementId};

use crate::{
    attempt::{Attempt, State},
    fences::{AllFences, Fences},
    input::{Answer, Input},
    output::Output,
    trunk::Trunks,
};

/// What an engine is told once.
#[derive(Debug, Clone)]
pub struct Config {
    /// This incarnation of the process.
    pub node: NodeId,
    /// The SIP core.
    pub sip: dialer_sip::Config,
    /// Where media arrives: address of the SDP offer.
    pub rtp_address: IpAddr,
    /// Ports that the media thread has bound; also the most calls at once.
    pub rtp_ports: Vec<u16>,
    /// The longest a permit may live. 5 s: long against a commit, short against a cap's window.
    pub permit_life: Duration,
    /// How far clocks may disagree. 1 s.
    pub clock_bound: Duration,
    /// How long a store may take before it counts as unavailable.
    pub store_patience: Duration,
    /// Deferred contacts are spread over this after their window opens.
    pub spread: Duration,
    /// Offset of the demo clock, for the audit; 0 in production.
    pub clock_offset_ms: i64,
    /// Names the campaign in an `X-Ringfence-Campaign` header.
    pub campaign_header: bool,
}

/// Counts since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Contacts taken.
    pub taken: u64,
    /// Contacts whose every number was denied.
    pub denied: u64,
    /// Judgements that lost their race.
    pub conflicts: u64,
    /// INVITEs that left.
    pub sent: u64,
    /// Placements settled.
    pub settled: u64,
}

/// Sans-IO: see the crate's documentation for how to drive it.
#[derive(Debug)]
pub struct Engine<F: Fences = AllFences> {
    pub(crate) config: Config,
    pub(crate) ruleset: Arc<Ruleset>,
    pub(crate) endpoint: Endpoint,
    pub(crate) mint: Mint,
    pub(crate) attempts: BTreeMap<AttemptId, Attempt>,
    pub(crate) placements: BTreeMap<PlacementId, AttemptId>,
    pub(crate) calls: BTreeMap<CallId, AttemptId>,
    pub(crate) trunks: Trunks,
    pub(crate) ports: VecDeque<u16>,
    pub(crate) outputs: VecDeque<Output>,
    /// Until when INVITEs may leave.
    pub(crate) lease: Option<Instant>,
    /// Answers to challenges that wait for a lease or for their trunk's turn. At most one a call.
    pub(crate) unleased: Vec<Transmit>,
    pub(crate) draining: bool,
    pub(crate) gauges: Gauges,
    deadlines: BTreeSet<(Instant, AttemptId)>,
    _fences: std::marker::PhantomData<F>,
}

impl Engine<AllFences> {
    /// An engine with every fence. `seed`: 32 unpredictable bytes, different for each one ever made.
    #[must_use]
    pub fn new(config: Config, ruleset: Arc<Ruleset>, seed: [u8; 32]) -> Self {
        Self::with_fences(config, ruleset, seed)
    }
}

impl<F: Fences> Engine<F> {
    /// An engine with these fences: for the simulator, which takes them out one at a time.
    #[must_use]
    pub fn with_fences(config: Config, ruleset: Arc<Ruleset>, seed: [u8; 32]) -> Self {
        let mut sip_seed = seed;
        sip_seed.reverse();
        for byte in &mut sip_seed {
            *byte ^= 0x5A;
        }
        Self {
            endpoint: Endpoint::new(config.sip.clone(), sip_seed),
            mint: Mint::new(seed),
            ports: config.rtp_ports.iter().copied().collect(),
            config,
            ruleset,
            attempts: BTreeMap::new(),
            placements: BTreeMap::new(),
            calls: BTreeMap::new(),
            trunks: Trunks::new(F::BREAKER),
            outputs: VecDeque::new(),
            lease: None,
            unleased: Vec::new(),
            draining: false,
            gauges: Gauges::default(),
            deadlines: BTreeSet::new(),
            _fences: std::marker::PhantomData,
        }
    }

    /// Something happened. Drain [`Engine::poll_output`] before the next input.
    pub fn handle_input(&mut self, input: Input<'_>, now: Now) {
        match input {
            Input::Due(order) => self.due(order, now),
            Input::Heads(id, answer) => self.gathered(id, now, |attempt| match answer {
                Answer::Given(read) => {
                    if let State::Gathering { heads, .. } = &mut attempt.state {
                        *heads = Some(read);
                    }
                    true
                }
                Answer::Unavailable => false,
            }),
            Input::Facts(id, answer) => self.gathered(id, now, |attempt| match answer {
                Answer::Given(read) => {
                    if let State::Gathering { facts, .. } = &mut attempt.state {
                        *facts = Some(read);
                    }
                    true
                }
                Answer::Unavailable => false,
            }),
            Input::Reserved(placement, answer) => self.reserved(placement, answer, now),
            Input::Committed(placement, answer) => self.committed(placement, answer, now),
            Input::Datagram(source, data) => self.endpoint.handle_datagram(source, data, now.mono),
            Input::Sent(call) => self.sent(call, now),
            Input::TooLate(call) => self.endpoint.not_sent(call, now.mono),
            Input::TransportError(to) => self.endpoint.handle_transport_error(to, now.mono),
            Input::Played(placement) => self.played(placement, now),
            Input::Leased(until) => self.leased(until, now),
            Input::Suppressed(out) => self.suppressed(&out, now),
            Input::Halted(campaign) => self.halted(campaign),
            Input::Trunks(trunks) => self.trunks.replace(trunks, now.mono),
            Input::Lent(shares) => self.trunks.lent(&shares),
            // Nothing is looked for: whatever is cleared from now on is compared with these. An
            // INVITE that was cleared left with the outputs of the input before.
            Input::Rules(rules) => self.ruleset = rules,
            Input::Drain => {
                self.draining = true;
                self.trunks.quiet();
            }
            Input::HangUp => self.hang_up(now),
            Input::Timeout => {
                self.endpoint.handle_timeout(now.mono);
                self.expire(now);
                self.give_up_unleased(now);
                self.probe_trunks(now);
            }
        }
        self.drain_endpoint(now);
        self.tell_trunks(now);
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is wanted next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let store = self.deadlines.first().map(|(deadline, _)| *deadline);
        let unleased = self.unleased.iter().filter_map(|transmit| transmit.send_before).min();
        let next = [store, self.endpoint.poll_timeout(), self.trunks.next(), unleased];
        next.into_iter().flatten().min()
    }

    /// Attempts under way.
    #[must_use]
    pub fn live_attempts(&self) -> usize {
        self.attempts.len()
    }

    /// Calls placed and not over.
    #[must_use]
    pub fn live_calls(&self) -> usize {
        self.calls.len()
    }

    /// Calls of one campaign that are under way in any state: what its concurrency is counted by.
    #[must_use]
    pub fn live_of(&self, campaign: dialer_types::CampaignId) -> usize {
        self.attempts.values().filter(|attempt| attempt.order.campaign.id == campaign).count()
    }

    /// Whether nothing is under way and nothing lingers: for leak checks.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.attempts.is_empty()
            && self.placements.is_empty()
            && self.calls.is_empty()
            && self.deadlines.is_empty()
            && self.outputs.is_empty()
            && self.unleased.is_empty()
            && self.ports.len() == self.config.rtp_ports.len()
            && self.endpoint.is_idle()
    }

    /// Counts since the start.
    #[must_use]
    pub const fn gauges(&self) -> Gauges {
        self.gauges
    }

    fn due(&mut self, order: Box<Order>, now: Now) {
        if self.draining && F::DRAIN {
            self.give_back(&order, Duration::ZERO, "draining", now);
            return;
        }
        if self.attempts.contains_key(&order.attempt) {
            return; // taken twice: it is the same attempt
        }
        self.gauges.taken += 1;
        let attempt = Attempt {
            order,
            rounds: 0,
            deadline: None,
            doom: None,
            minted: None,
            state: State::Gathering { heads: None, facts: None },
        };
        self.gather(attempt, now);
    }

    /// Asks for the heads; the facts follow when they are there.
    pub(crate) fn gather(&mut self, mut attempt: Attempt, now: Now) {
        attempt.state = State::Gathering { heads: None, facts: None };
        let id = attempt.order.attempt;
        self.outputs.push_back(if F::HEADS_FIRST {
            Output::ReadHeads(id, attempt.order.subjects())
        } else {
            Output::LoadFacts(id)
        });
        self.wait(attempt, now);
    }

    fn gathered(&mut self, id: AttemptId, now: Now, take: impl FnOnce(&mut Attempt) -> bool) {
        if !matches!(
            self.attempts.get(&id).map(|attempt| &attempt.state),
            Some(State::Gathering { .. })
        ) {
            return;
        }
        let Some(mut attempt) = self.remove(id) else {
            return;
        };
        if !take(&mut attempt) {
            self.give_back(&attempt.order, Duration::from_secs(1), "gate_unavailable", now);
            return;
        }
        if let Some(doom) = attempt.doom {
            // What was read may be older than the event: give it back, it is judged afresh.
            self.give_back(&attempt.order, Duration::ZERO, doom.word(), now);
            return;
        }
        let State::Gathering { heads, facts } = &mut attempt.state else {
            return;
        };
        match (heads.take(), facts.take()) {
            (Some(heads), Some(facts)) => self.judge(attempt, &heads, &facts, now),
            (read, None) => {
                attempt.state = State::Gathering { heads: read, facts: None };
                self.outputs.push_back(Output::LoadFacts(id));
                self.wait(attempt, now);
            }
            (None, read) => {
                let subjects = attempt.order.subjects();
                attempt.state = State::Gathering { heads: None, facts: read };
                self.outputs.push_back(Output::ReadHeads(id, subjects));
                self.wait(attempt, now);
            }
        }
    }

    /// Puts an attempt that waits for a store back, with a deadline.
    pub(crate) fn wait(&mut self, attempt: Attempt, now: Now) {
        self.wait_until(now.mono + self.config.store_patience, attempt);
    }

    /// Puts an attempt back that is looked at again at a certain moment.
    pub(crate) fn wait_until(&mut self, deadline: Instant, mut attempt: Attempt) {
        let id = attempt.order.attempt;
        attempt.deadline = Some(deadline);
        self.deadlines.insert((deadline, id));
        self.attempts.insert(id, attempt);
    }

    pub(crate) fn remove(&mut self, id: AttemptId) -> Option<Attempt> {
        let attempt = self.attempts.remove(&id)?;
        if let Some(deadline) = attempt.deadline {
            self.deadlines.remove(&(deadline, id));
        }
        Some(attempt)
    }

    /// A store that has not answered by now counts as unavailable (G5).
    fn expire(&mut self, now: Now) {
        while let Some((deadline, id)) = self.deadlines.first().copied()
            && deadline <= now.mono
        {
            self.deadlines.remove(&(deadline, id));
            let Some(attempt) = self.attempts.get(&id) else {
                continue;
            };
            match &attempt.state {
                State::Gathering { .. } => self.gathered(id, now, |_| false),
                State::Reserving(chosen) => {
                    self.reserved(chosen.judged.placement, Answer::Unavailable, now);
                }
                State::Committing(chosen, _) => {
                    self.committed(chosen.judged.placement, Answer::Unavailable, now);
                }
                State::Holding(chosen, _) => self.held(chosen.judged.placement, now),
                State::Calling(_) => {}
            }
        }
    }

    /// The SDP offer for a placement on this port.
    pub(crate) fn offer(&self, placement: PlacementId, port: u16) -> Offer {
        // RFC 8866 section 5.2 wants a number: the time part of the id and some of its chance.
        let id = u64::try_from(placement.0 >> 66).unwrap_or(0);
        Offer::new(id, self.config.rtp_address, port)
    }
}
