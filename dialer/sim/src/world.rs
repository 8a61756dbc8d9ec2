//! The world: one queue of events, virtual time, chance from the seed.

use std::{
    collections::{BinaryHeap, VecDeque},
    marker::PhantomData,
    sync::Arc,
    time::Duration,
};

use dialer_engine::{AllFences, Config, Engine, Fences, Input, Lent, Order, Trunk};
use dialer_types::{AttemptId, ContactId, NodeId, PlacementId, SubjectId, UnixMillis};

use crate::{
    Rules,
    carrier::{self, Carrier},
    check::{Log, Summary},
    node::{Base, Node},
    people::{People, TRUNKS},
    rng::Rng,
    stores::{Contact, Incarnation, Place, StoreFences, Stores},
};

mod drive;
mod ears;
mod packs;
mod trouble;
mod weather;

use drive::{Op, Reply};
use ears::Ear;
pub(crate) use ears::{ANSWER_MS, HASTY_MS};
use packs::Again;
use trouble::Trouble;
pub(crate) use weather::Links;
use weather::Weather;

/// Which faults the world has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Faults {
    /// None: a quiet afternoon.
    None,
    /// All of them, at random.
    All,
}

/// A run.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// All chance comes from here.
    pub seed: u64,
    /// What goes wrong.
    pub faults: Faults,
    /// The stores' fences.
    pub stores: StoreFences,
    /// Whether the rules change in the middle of the run, and change back.
    pub rules_change: bool,
    /// Whether the stores and the ways to them fail in every way they can.
    pub weather: bool,
    /// How many nodes and people there are.
    pub scale: Scale,
}

impl Plan {
    /// A small world with every fault and every fence.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            seed,
            faults: Faults::All,
            stores: StoreFences::ALL,
            rules_change: false,
            weather: false,
            scale: Scale::Small,
        }
    }
}

/// How many nodes and people there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Up to three nodes and sixteen people, by chance.
    Small,
    /// As many as these.
    Of {
        /// Nodes; at most 100.
        nodes: usize,
        /// People; at most 5,000.
        people: usize,
    },
}

/// Contacts are taken for this long.
pub(crate) const TAKING_MS: u64 = 600_000;
/// Then everything settles.
const END_MS: u64 = TAKING_MS + 150_000;
/// INVITEs a simulated trunk may be sent without a sign of a called party: less than in a dialer,
/// because the simulator's people are few.
pub(crate) const BUDGET: u32 = 4;
/// A node silent for this long is taken for dead.
const DEAD_AFTER_MS: u64 = 15_000;
/// How often a node writes its heartbeat.
const BEAT_MS: u64 = 1_000;

#[derive(Debug)]
pub(crate) enum Event {
    Tick(usize),
    Wake(Incarnation),
    Apply(Incarnation, Box<Op>),
    Answer(Incarnation, Box<Reply>),
    ToNode(usize, u8, Vec<u8>),
    ToCarrier(u8, Vec<u8>),
    CarrierAgain(u8, Vec<u8>, SocketOf, u32),
    Played(Incarnation, PlacementId),
    SendLate(Incarnation, Box<dialer_engine::Transmit>),
    Resume(usize),
    Restart(usize),
    Ear(Ear),
    Trouble(Trouble),
    Weather(Weather),
    /// A node finds that it was taken for dead.
    TakenForDead(Incarnation),
    Reap,
    /// Other packs are on every node's disk; whether they are the quiet ones.
    Packs(bool),
    /// A node finds them there.
    Found(Incarnation),
    Again(Again),
}

/// Which node's socket.
pub(crate) type SocketOf = usize;

struct Scheduled(u64, u64, Event);

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}
impl Eq for Scheduled {}
impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.0, other.1).cmp(&(self.0, self.1))
    }
}

pub(crate) struct World<F: Fences> {
    pub(crate) rng: Rng,
    pub(crate) faults: Faults,
    pub(crate) weather: bool,
    pub(crate) now_ms: u64,
    pub(crate) base: Base,
    pub(crate) people: People,
    pub(crate) stores: Stores,
    pub(crate) snapshots: VecDeque<dialer_limiter::memory::Cache>,
    pub(crate) nodes: Vec<Node<F>>,
    pub(crate) carriers: [Carrier; 2],
    pub(crate) log: Log,
    /// Incarnations that ended, and when.
    pub(crate) dead: Vec<(Incarnation, u64)>,
    /// Opt-outs nodes have not heard of because the cache was away.
    queue: BinaryHeap<Scheduled>,
    order: u64,
    pub(crate) rules: Rules,
    /// Whether the quiet packs are on disk.
    pub(crate) quiet: bool,
    /// When a node last put other rules in force.
    pub(crate) changed_at: Option<UnixMillis>,
    fences: PhantomData<F>,
}

/// Runs one seed and says what it found.
#[must_use]
pub fn run<F: Fences + std::fmt::Debug>(plan: Plan, rules: &Rules) -> Summary {
    let mut world = World::<F>::new(plan, rules.clone());
    world.play();
    crate::check::check(&world)
}

/// Runs one seed with every fence, under the same rules all the while.
#[must_use]
pub fn run_fenced(seed: u64, faults: Faults, rules: &Rules) -> Summary {
    run::<AllFences>(Plan { faults, ..Plan::new(seed) }, rules)
}

#[expect(
    clippy::disallowed_methods,
    reason = "an origin for virtual time; its value never matters"
)]
fn origin() -> Base {
    // 2026-12-01T20:52:00Z: the British window closes eight minutes into the run.
    Base { wall: UnixMillis(1_796_158_320_000), mono: std::time::Instant::now() }
}

impl<F: Fences> World<F> {
    fn new(plan: Plan, rules: Rules) -> Self {
        let mut rng = Rng::new(plan.seed, 1);
        let count = usize::try_from(rng.between(6, 16)).unwrap_or(6);
        let count = if let Scale::Of { people, .. } = plan.scale { people } else { count };
        let people = People::new(count, &mut rng);
        let mut stores = Stores::new(plan.stores);
        let base = origin();
        for number in &people.numbers {
            let token = stores.token();
            stores.truth.create(number.subject, dialer_limiter::Head::new(token));
        }
        for (index, person) in people.persons.iter().enumerate() {
            for subject in [Some(person.subject), person.account].into_iter().flatten() {
                let token = stores.token();
                stores.truth.create(subject, dialer_limiter::Head::new(token));
            }
            for campaign in 0..people.campaigns.len() {
                if !rng.chance(700) {
                    continue;
                }
                let id = ContactId(u128::from(rng.between(1, u64::MAX - 1)) << 8);
                let place = Place::Due(base.wall_at(rng.between(0, 30_000)));
                stores.contacts.insert(
                    id,
                    Contact {
                        campaign,
                        person: index,
                        try_no: 1,
                        made: 0,
                        next_position: 0,
                        place,
                        judged: None,
                    },
                );
            }
        }
        let mut world = Self {
            rng,
            faults: plan.faults,
            weather: plan.weather,
            now_ms: 0,
            base,
            people,
            stores,
            snapshots: VecDeque::new(),
            nodes: Vec::new(),
            carriers: [Carrier::default(), Carrier::default()],
            log: Log::default(),
            dead: Vec::new(),
            queue: BinaryHeap::new(),
            order: 0,
            rules,
            quiet: false,
            changed_at: None,
            fences: PhantomData,
        };
        world.begin(plan);
        world
    }

    /// Nodes start, and what will go wrong is decided.
    fn begin(&mut self, plan: Plan) {
        let count = usize::try_from(self.rng.between(1, 3)).unwrap_or(1);
        let count = if let Scale::Of { nodes, .. } = plan.scale { nodes } else { count };
        for node in 0..count {
            self.start_node(node);
            self.at(self.now_ms + 10, Event::Tick(node));
        }
        self.at(5_000, Event::Reap);
        self.plan_trouble();
        if plan.rules_change {
            self.plan_packs(plan.seed);
        }
        if plan.weather {
            self.plan_weather(plan.seed);
        }
    }

    fn start_node(&mut self, node: usize) {
        let generation = self.nodes.get(node).map_or(0, |node| node.at.generation + 1);
        let at = Incarnation { node, generation };
        let skew_ms = i64::try_from(self.rng.between(0, 800)).unwrap_or(0) - 400;
        let host = 100 + u8::try_from(node).unwrap_or(0);
        let config = Config {
            node: NodeId(u128::from(generation) << 16 | u128::from(host)),
            sip: dialer_sip::Config {
                advertised: ([10, 0, 0, host], 5060).into(),
                user_agent: "ringfence-sim".into(),
                timers: dialer_sip::Timers::default(),
                max_calls: 200,
            },
            rtp_address: [10, 0, 0, host].into(),
            rtp_ports: (20_000..20_050).collect(),
            permit_life: Duration::from_secs(5),
            clock_bound: Duration::from_secs(1),
            store_patience: Duration::from_secs(4),
            spread: Duration::from_secs(2),
            clock_offset_ms: 0,
            campaign_header: false,
        };
        let seed = self.rng.seed();
        let engine = Engine::<F>::with_fences(config, self.on_disk(), seed);
        let fresh = Node {
            at,
            engine: Some(engine),
            skew_ms,
            paused_until: 0,
            waiting: VecDeque::new(),
            datagrams: VecDeque::new(),
            wake_ms: None,
            draining_since: None,
            // What was recorded before stands in the heads.
            heard: self.log.opt_outs.len(),
            links: Links::default(),
        };
        if let Some(old) = self.nodes.get_mut(node) {
            *old = fresh;
        } else {
            self.nodes.push(fresh);
        }
        let trunks = TRUNKS
            .iter()
            .zip(1u8..)
            .map(|(id, host)| Trunk {
                id: *id,
                address: carrier::address(host),
                credentials: None,
                max_concurrent: 50,
                budget: BUDGET,
            })
            .collect();
        self.give(node, Input::Trunks(trunks));
        let until = self.base.mono + Duration::from_secs(24 * 3600);
        let share = |trunk| Lent { trunk, milli_cps: 100_000, until };
        self.give(node, Input::Lent(TRUNKS.map(share).to_vec()));
        self.at(self.now_ms, Event::Ear(Ear::Ask(at)));
        self.begins_with_packs(at);
    }

    pub(crate) fn at(&mut self, at_ms: u64, event: Event) {
        self.order += 1;
        self.queue.push(Scheduled(at_ms, self.order, event));
    }

    pub(crate) fn after(&mut self, low_ms: u64, high_ms: u64, event: Event) {
        let at = self.now_ms + self.rng.between(low_ms, high_ms);
        self.at(at, event);
    }

    fn play(&mut self) {
        while let Some(Scheduled(at_ms, _, event)) = self.queue.pop() {
            if at_ms > END_MS {
                break;
            }
            self.now_ms = at_ms;
            self.stores.now_ms = at_ms;
            self.happen(event);
        }
        self.now_ms = END_MS;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Tick(node) => self.tick(node),
            Event::Wake(at) => {
                if let Some(node) = self.alive(at) {
                    node.wake_ms = None;
                    self.give(at.node, Input::Timeout);
                }
            }
            Event::Apply(at, op) => self.apply(at, *op),
            Event::Answer(at, reply) => self.answer(at, *reply),
            Event::ToNode(node, from, bytes) => self.datagram(node, from, bytes),
            Event::ToCarrier(trunk, bytes) => self.carrier_hears(trunk, &bytes),
            Event::CarrierAgain(trunk, call_id, node, round) => {
                self.carrier_again(trunk, call_id, node, round);
            }
            Event::Played(at, placement) => {
                if self.alive(at).is_some() {
                    self.give(at.node, Input::Played(placement));
                }
            }
            Event::SendLate(at, transmit) => self.send_late(at, *transmit),
            Event::Resume(node) => self.resume(node),
            Event::Restart(node) => {
                if self.nodes.get(node).is_some_and(|node| node.engine.is_none()) {
                    self.start_node(node);
                }
            }
            Event::Ear(ear) => self.ear(ear),
            Event::Trouble(trouble) => self.trouble(trouble),
            Event::Weather(weather) => self.weather(weather),
            Event::TakenForDead(at) => {
                if self.alive(at).is_some() {
                    self.crash(at.node);
                }
            }
            Event::Reap => self.reap(),
            Event::Packs(quiet) => self.packs(quiet),
            Event::Found(at) => self.found(at),
            Event::Again(again) => self.again(again),
        }
    }

    pub(crate) fn alive(&mut self, at: Incarnation) -> Option<&mut Node<F>> {
        self.nodes.get_mut(at.node).filter(|node| node.at == at && node.engine.is_some())
    }

    /// The scheduler of a node takes what is due.
    fn tick(&mut self, node: usize) {
        if self.now_ms < TAKING_MS {
            // Each look goes over all contacts: where there are many, looks are rarer.
            let pause = if self.nodes.len() > 3 { 1_000 } else { 200 };
            self.at(self.now_ms + pause, Event::Tick(node));
        }
        let Some(held) = self.nodes.get(node) else {
            return;
        };
        let ready = held.engine.is_some()
            && held.draining_since.is_none()
            && held.paused_until <= self.now_ms
            && self.now_ms >= held.links.no_truth_until
            && self.now_ms >= held.links.no_cache_until
            && !(held.links.is_off() && self.stores.fences.clock_closes)
            && self.stores.truth_up
            && self.stores.cache_up;
        if !ready {
            return;
        }
        let (at, now) = (held.at, held.now(self.base, self.now_ms).wall);
        let due: Vec<ContactId> = self
            .stores
            .contacts
            .iter()
            .filter(|(_, contact)| matches!(contact.place, Place::Due(at) if at <= now))
            .map(|(id, _)| *id)
            .take(3)
            .collect();
        for id in due {
            if let Some(order) = self.lease(id, at) {
                self.give(node, Input::Due(Box::new(order)));
            }
        }
    }

    fn lease(&mut self, id: ContactId, by: Incarnation) -> Option<Order> {
        let contact = self.stores.contacts.get_mut(&id)?;
        contact.place = Place::Leased(by);
        contact.judged = None;
        let person = self.people.persons.get(contact.person)?;
        let mut numbers: Vec<(u8, SubjectId)> = person
            .numbers
            .iter()
            .zip(0u8..)
            .filter_map(|(index, position)| {
                Some((position, self.people.numbers.get(*index)?.subject))
            })
            .collect();
        let shift = usize::from(contact.next_position) % numbers.len().max(1);
        numbers.rotate_left(shift);
        Some(Order {
            attempt: AttemptId { contact: id, try_no: contact.try_no },
            made: contact.made,
            campaign: Arc::clone(self.people.campaigns.get(contact.campaign)?),
            person: person.subject,
            account: person.account,
            numbers,
        })
    }

    fn reap(&mut self) {
        if self.stores.truth_up {
            let (old, young): (Vec<_>, Vec<_>) = std::mem::take(&mut self.dead)
                .into_iter()
                .partition(|(_, since)| since + DEAD_AFTER_MS <= self.now_ms);
            self.dead = young;
            for (dead, _) in old {
                let now = self.base.wall_at(self.now_ms);
                self.stores.reap(dead, now);
            }
        }
        self.at(self.now_ms + 5_000, Event::Reap);
    }
}

/// For how long a deferred or retried contact may be late and not count as missed.
pub(crate) const SLACK_MS: u64 = 25_000;
