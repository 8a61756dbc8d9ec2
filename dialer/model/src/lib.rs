//! The gate's protocol as a model, explored whole by [`stateright`].
//!
//! Every state that a [`Setup`] allows is visited, so what holds here holds for every interleaving
//! within its bounds, and not only for those that a seed happens to find. Heads, tokens, demands,
//! histories and both stores are not modelled: they are `dialer-limiter`'s own code ([`Shared`]
//! values in the state). The rest is modelled step by step after the code that does it:
//!
//! | Action | What the code does |
//! |---|---|
//! | [`Action::Take`] | `store/take.rs`: a due contact is leased; a try that is used up is passed over |
//! | [`Action::Read`] | `store/heads.rs`: copies from Redis; none, or an open reservation, means Postgres |
//! | [`Action::ReadTruth`], [`Action::Load`] | the same: one statement for what is missing, then a `SET NX` each |
//! | [`Action::Facts`] | `engine.rs`, `gathered`: facts after heads |
//! | (within the last read) | `engine/judge.rs`: permit or denial, token, demand |
//! | [`Action::Reserve`] | `heads.lua`, `rf1_reserve`; in a cluster slot by slot |
//! | [`Action::Commit`] | `stores/src/commit.rs`, one transaction; its answer is heard or lost |
//! | [`Action::Impatient`] | `engine.rs`, `expire`: no answer within patience |
//! | [`Action::Release`] | `stores/src/release.rs`: bars the try, settles what was committed |
//! | [`Action::GiveUp`] | `engine/place.rs`, `unsent`: no trunk, no port, lapsed, doomed |
//! | [`Action::HandOver`], [`Action::Send`] | the engine's output taken by the driver; its last look, and the socket |
//! | [`Action::Settle`] | `stores/src/settle.rs`: outcome once, heads; then `rf1_follow`, or nobody is told |
//! | [`Action::Reap`] | `store/reap.rs`: what the dead left is unknown, their contacts are due |
//! | [`Action::Stop`], [`Action::Merge`] | an event of the API: `schema/heads.rs`, `move_heads`; Redis told or not |
//! | [`Action::PollBegin`] to [`Action::PollEnd`], [`Action::Answer`] | send leases: a poll of Postgres, its rows, its lease; the API's answer |
//!
//! Redis fails over to a replica that lost writes, splits in two, comes back empty, or says anything
//! at all; commits' answers are lost or come late; nodes crash or are taken for dead while they go on.
//!
//! Not in it: rules other than a cap, a mark and a consent; SIP after the first INVITE; several calls
//! of one node at a time (they share nothing that two nodes do not share); the pause that nothing can
//! exclude, between the driver's last look and the socket: [`Action::Send`] is both.
#![warn(missing_docs)]
#![allow(
    clippy::indexing_slicing,
    reason = "a model is a test: an index out of its bounds is a fault of the model and fails it"
)]

mod ends;
mod gate;
mod grant;
mod leases;
mod setup;
mod weather;
mod world;

use dialer_limiter::{Head, Token};
use stateright::{Model, Property};

pub use setup::{Event, Faults, Fences, Minting, Redis, Setup, Time};
pub use world::{
    Broken, Contact, End, Flying, Got, Hand, Job, Judged, OptOut, Place, Placed, Sent, Shared,
    Stage, World,
};
use world::{each, id};

/// Who is told of an event in Postgres: a Redis instance, or nobody.
pub type Told = Option<u8>;

/// What may happen. Hands, contacts, subjects and Redis instances by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table above says what each is")]
pub enum Action {
    Take { hand: u8, contact: u8 },
    Read { hand: u8, from: u8 },
    ReadTruth { hand: u8 },
    Load { hand: u8, into: u8 },
    Facts { hand: u8 },
    Reserve { hand: u8, at: u8, heard: bool },
    Commit { flying: u8, heard: bool, told: Told },
    Impatient { hand: u8 },
    Release { hand: u8, told: Told },
    GiveUp { hand: u8 },
    HandOver { hand: u8 },
    Send { hand: u8 },
    Settle { hand: u8, told: Told },
    Crash { hand: u8 },
    TakeForDead { hand: u8 },
    Reap { told: Told },
    Stop { event: Event, told: Told },
    Merge { told: Told },
    Replicate,
    Failover,
    Split,
    Heal { keep: u8 },
    Empty { which: u8 },
    Tick,
    PollBegin { hand: u8 },
    PollRun { hand: u8 },
    PollEnd { hand: u8 },
    Answer,
}

/// The model of a setup.
#[derive(Debug, Clone)]
pub struct Gate {
    /// What is explored.
    pub setup: Setup,
    /// Subjects in all.
    pub(crate) subjects: u8,
}

impl Gate {
    /// The model of a setup.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        Self { subjects: setup.subjects(), setup }
    }

    /// Ways in which Redis may be told: any instance, or none.
    pub(crate) fn tellings(&self, world: &World) -> Vec<Told> {
        let mut all = vec![None];
        if self.setup.redis != Redis::Anything {
            all.extend((0..world.redis.len()).map(|at| u8::try_from(at).ok()));
        }
        all
    }

    /// An event's token: never used again, whatever happens; or the counter's next.
    pub(crate) fn token(&self, held: &Head, kind: u8, number: u64) -> Token {
        match self.setup.fences.minting {
            Minting::Counter => Token(held.token().0 + 1),
            Minting::Fresh | Minting::PerTry => {
                Token((u128::from(kind) << 100) | u128::from(number))
            }
        }
    }

    /// Moves heads in Postgres in one transaction; Redis follows where it is told.
    pub(crate) fn advance(
        &self,
        world: &mut World,
        subjects: u8,
        told: Told,
        event: impl Fn(u8, &Head) -> Option<Head>,
    ) {
        let mut truth = (*world.truth).clone();
        let mut moved = Vec::new();
        for subject in each(subjects) {
            if let Some((from, next)) = truth.advance(id(subject), |head| event(subject, head)) {
                moved.push((subject, from, next));
            }
        }
        world.truth = world::truth(truth, self.subjects);
        if let Some(at) = told {
            let mut copy = (*world.redis[usize::from(at)]).clone();
            for (subject, from, next) in &moved {
                copy.follow(id(*subject), *from, next);
            }
            world.redis[usize::from(at)] = world::cache(copy, self.subjects);
        }
        for (subject, _, next) in moved {
            self.remember(world, subject, next);
        }
    }

    /// What Redis may say from now on.
    pub(crate) fn remember(&self, world: &mut World, subject: u8, head: Head) {
        if self.setup.redis == Redis::Anything {
            let ever = &mut world.ever[usize::from(subject)];
            let head = world::head(head);
            if let Err(at) = ever.binary_search(&head) {
                ever.insert(at, head);
            }
        }
    }

    /// Subjects that are one human, together.
    pub(crate) const fn human(world: &World, subjects: u8) -> u8 {
        if subjects & world.merged == 0 { subjects } else { subjects | world.merged }
    }

    fn step(&self, world: &mut World, action: Action) -> Option<()> {
        match action {
            Action::Take { hand, contact } => self.take(world, hand, contact),
            Action::Read { hand, from } => self.read(world, hand, from),
            Action::ReadTruth { hand } => self.read_truth(world, hand),
            Action::Load { hand, into } => self.load(world, hand, into),
            Action::Facts { hand } => self.facts(world, hand),
            Action::Reserve { hand, at, heard } => self.reserve(world, hand, at, heard),
            Action::Commit { flying, heard, told } => self.commit(world, flying, heard, told),
            Action::Impatient { hand } => self.impatient(world, hand),
            Action::Release { hand, told } => self.release(world, hand, told),
            Action::GiveUp { hand } => self.give_up(world, hand),
            Action::HandOver { hand } => self.hand_over(world, hand),
            Action::Send { hand } => self.send(world, hand),
            Action::Settle { hand, told } => self.settle(world, hand, told),
            Action::Crash { hand } => self.crash(world, hand),
            Action::TakeForDead { hand } => self.take_for_dead(world, hand),
            Action::Reap { told } => self.reap(world, told),
            Action::Stop { event, told } => self.stop(world, event, told),
            Action::Merge { told } => self.merge(world, told),
            Action::Replicate
            | Action::Failover
            | Action::Split
            | Action::Heal { .. }
            | Action::Empty { .. } => self.weather(world, action),
            Action::Tick => {
                world.now += 1;
                Some(())
            }
            Action::PollBegin { hand } => self.poll_begin(world, hand),
            Action::PollRun { hand } => self.poll_run(world, hand),
            Action::PollEnd { hand } => self.poll_end(world, hand),
            Action::Answer => {
                world.opt_out = OptOut::Answered;
                Some(())
            }
        }
    }
}

impl Model for Gate {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World::new(&self.setup)]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.broken.is_some() {
            return;
        }
        for hand in 0..self.setup.hands {
            self.hand_may(world, hand, actions);
            self.node_may(world, hand, actions);
        }
        self.commits_may(world, actions);
        self.reaper_may(world, actions);
        self.weather_may(world, actions);
        self.events_may(world, actions);
        if world.now < self.setup.time.until {
            actions.push(Action::Tick);
        }
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        self.step(&mut world, action)?;
        ends::check(&mut world);
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("no promise is broken", |_, world: &World| world.broken.is_none()),
            Property::sometimes("an INVITE leaves", |_, world: &World| !world.wire.is_empty()),
            Property::sometimes("as many leave as the cap allows", |gate: &Self, world: &World| {
                world.wire.len() >= gate.setup.cap
            }),
        ]
    }
}
