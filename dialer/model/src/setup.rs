//! What is explored: who calls whom, what may happen, and which fences stand.

/// How a judgement's token is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Minting {
    /// A new one for each judgement: the fence.
    Fresh,
    /// One for all judgements of a try.
    PerTry,
    /// The token before, plus one.
    Counter,
}

/// What Redis may do to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redis {
    /// One instance, or two when its brain is split; a function call touches all its heads at once.
    Whole,
    /// The same in a cluster: heads are read and reserved one by one, in subject order.
    Slots,
    /// It says of each head anything it was ever told, or that it has none, and grants whatever it is
    /// asked: more than every failover, lost write, stale load and late message together can do.
    Anything,
}

/// Fences, each of which may be taken out.
#[derive(Debug, Clone, Copy)]
pub struct Fences {
    /// Postgres commits only on the tokens that were judged (`stores/src/commit.rs`, `lock_heads`).
    pub compare: bool,
    /// What a token is (`engine/judge.rs`, `FRESH_TOKEN`).
    pub minting: Minting,
    /// A copy whose last event is an open reservation is read from Postgres instead
    /// (`store/heads.rs`, `is_reserved`).
    pub reserved_is_reread: bool,
    /// A load puts no head where one is (`store/redis.rs`, `SET NX`).
    pub load_never_overwrites: bool,
    /// Windows are longer by a permit's life (`engine/judge.rs`, `GUARD`).
    pub guard_life: bool,
    /// Windows are longer by what clocks may differ (the same).
    pub guard_clocks: bool,
    /// What is older than a window drops out of a head only with the guard past
    /// (`HORIZON`, far longer than any window).
    pub horizon_covers_guard: bool,
    /// Nothing leaves once the permit's life is over (`driver.rs`, `send_before`).
    pub not_after: bool,
    /// A release bars its try, so that a commit under way fails (`stores/src/release.rs`).
    pub release_bars: bool,
    /// A try is committed once (`attempt`'s primary key).
    pub attempt_once: bool,
    /// What a dead node left open counts (`store/reap.rs`).
    pub unknown_counts: bool,
    /// Heads are read before facts (`engine.rs`, `HEADS_FIRST`).
    pub heads_first: bool,
    /// An INVITE waits for its commit (`engine/clearance.rs`: the receipt).
    pub commit_first: bool,
    /// A commit without an answer is no (`engine.rs`, `expire`).
    pub silence_denies: bool,
    /// A suppression or revocation gives the head a new token (`schema/heads.rs`, `move_heads`).
    pub stop_moves_head: bool,
    /// A merge gives the heads new tokens.
    pub merge_moves_heads: bool,
    /// A merge closes the head that it empties.
    pub merge_closes_head: bool,
    /// A merge takes the other's history over.
    pub merge_unites: bool,
    /// What the driver holds is never called not sent (`engine/calls.rs`, `doom_where`).
    pub handed_may_leave: bool,
    /// Settling keeps what was sent in the head (`stores/src/settle.rs`).
    pub settle_keeps: bool,
    /// An INVITE leaves only under a send lease.
    pub lease: bool,
    /// A lease runs from when its poll began, not from when it ended.
    pub lease_from_begin: bool,
    /// A datagram leaves under the lease that held when the driver took it, not under one that was
    /// given since: what that poll saw could not stop it any more.
    pub lease_of_handover: bool,
    /// What a poll saw reaches the engine before its lease does.
    pub rows_before_lease: bool,
    /// The API answers when every lease that has not seen the row has lapsed.
    pub answer_waits: bool,
    /// The row that polls see and the heads change in one transaction.
    pub row_with_heads: bool,
}

impl Fences {
    /// Every fence stands.
    pub const ALL: Self = Self {
        compare: true,
        minting: Minting::Fresh,
        reserved_is_reread: true,
        load_never_overwrites: true,
        guard_life: true,
        guard_clocks: true,
        horizon_covers_guard: true,
        not_after: true,
        release_bars: true,
        attempt_once: true,
        unknown_counts: true,
        heads_first: true,
        commit_first: true,
        silence_denies: true,
        stop_moves_head: true,
        merge_moves_heads: true,
        merge_closes_head: true,
        merge_unites: true,
        handed_may_leave: true,
        settle_keeps: true,
        lease: true,
        lease_from_begin: true,
        lease_of_handover: true,
        rows_before_lease: true,
        answer_waits: true,
        row_with_heads: true,
    };
}

/// Time, in ticks of a model's own.
#[derive(Debug, Clone, Copy)]
pub struct Time {
    /// The last tick.
    pub until: u8,
    /// A cap's window.
    pub window: u8,
    /// A permit's life.
    pub life: u8,
    /// What clocks may differ by: hand 0 is ahead by this, the others are right.
    pub clocks: u8,
    /// A send lease.
    pub lease: u8,
}

impl Time {
    /// No time passes and no window ends.
    pub const NONE: Self = Self { until: 0, window: 100, life: 100, clocks: 0, lease: 0 };
}

/// One thing that may happen once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Do not call the first contact: a mark on its person and number.
    Suppress,
    /// The first contact's consent is taken back: a fact, and a touch of the person's head.
    Revoke,
    /// The persons of the first two contacts are one.
    Merge,
    /// Do not call the first contact, by way of the API and the send leases.
    OptOut,
}

/// How many faults may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Faults {
    /// Failover to a replica that lost writes, split brain, empty restart.
    pub redis: u8,
    /// Answers lost or late.
    pub answers: u8,
    /// Nodes that crash, or are taken for dead while they are only slow.
    pub nodes: u8,
}

/// What is explored.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Which fences stand.
    pub fences: Fences,
    /// The subjects of each contact, as bits; the lowest bit is its person.
    pub contacts: Vec<u8>,
    /// Nodes, each with one call under way at most.
    pub hands: u8,
    /// Calls that a subject may get in a window.
    pub cap: usize,
    /// Tries of a contact.
    pub tries: u8,
    /// Judgements of a node.
    pub judgements: u8,
    /// Redis.
    pub redis: Redis,
    /// Events that may happen, each once.
    pub events: Vec<Event>,
    /// Faults that may happen.
    pub faults: Faults,
    /// Time.
    pub time: Time,
}

impl Setup {
    /// Two nodes and one contact without numbers or time, on a Redis that does what it should.
    #[must_use]
    pub fn plain() -> Self {
        Self {
            fences: Fences::ALL,
            contacts: vec![0b1],
            hands: 2,
            cap: 1,
            tries: 2,
            judgements: 2,
            redis: Redis::Whole,
            events: Vec::new(),
            faults: Faults::default(),
            time: Time::NONE,
        }
    }

    /// Subjects in all.
    #[must_use]
    pub fn subjects(&self) -> u8 {
        let all = self.contacts.iter().fold(0, |all, one| all | one);
        8 - u8::try_from(all.leading_zeros()).unwrap_or(8)
    }

    /// Whether something of this kind may happen.
    #[must_use]
    pub fn may(&self, event: Event) -> bool {
        self.events.contains(&event)
    }

    /// For how long an entry counts: window and guard, in ticks.
    #[must_use]
    pub fn counts_for(&self) -> u8 {
        let life = if self.fences.guard_life { self.time.life } else { 0 };
        let clocks = if self.fences.guard_clocks { self.time.clocks } else { 0 };
        self.time.window.saturating_add(life).saturating_add(clocks)
    }
}
