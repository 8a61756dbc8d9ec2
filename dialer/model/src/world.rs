//! The state of the model.

use std::{
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    ops::Deref,
    sync::Arc,
};

use dialer_limiter::{
    Demand, Head, Token,
    memory::{Cache, Truth},
};
use dialer_types::SubjectId;

use crate::setup::{Faults, Setup};

/// A value of the real code in the state: shared, and compared by what it holds.
#[derive(Clone)]
pub struct Shared<T> {
    value: Arc<T>,
    digest: u64,
}

impl<T> Shared<T> {
    fn new(value: T, says: impl FnOnce(&T, &mut DefaultHasher)) -> Self {
        let mut hasher = DefaultHasher::new();
        says(&value, &mut hasher);
        Self { value: Arc::new(value), digest: hasher.finish() }
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Hash for Shared<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.digest);
    }
}

impl<T> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}
impl<T> Eq for Shared<T> {}
impl<T> PartialOrd for Shared<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Shared<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.digest.cmp(&other.digest)
    }
}
impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// The id of the subject of a bit.
pub(crate) fn id(subject: u8) -> SubjectId {
    SubjectId(i64::from(subject) + 1)
}

/// The bits that are set, from the lowest: the order of subjects.
pub(crate) fn each(bits: u8) -> impl Iterator<Item = u8> {
    (0..8).filter(move |bit| bits & (1 << bit) != 0)
}

/// A head as a value of the state.
pub(crate) fn head(head: Head) -> Shared<Head> {
    Shared::new(head, |head, out| head.encode().hash(out))
}

/// What a judgement asks for, as a value of the state.
pub(crate) fn demand(demand: Demand) -> Shared<Demand> {
    Shared::new(demand, |demand, out| {
        demand.placement().0.hash(out);
        for claim in demand.claims() {
            (claim.subject.0, claim.base.0, claim.next.encode()).hash(out);
        }
    })
}

/// A Redis as a value of the state.
pub(crate) fn cache(cache: Cache, subjects: u8) -> Shared<Cache> {
    Shared::new(cache, |cache, out| {
        for subject in 0..subjects {
            cache.read(id(subject)).map(Head::encode).hash(out);
        }
    })
}

/// Postgres's heads as a value of the state. In which order placements were committed is left out:
/// tokens say it.
pub(crate) fn truth(truth: Truth, subjects: u8) -> Shared<Truth> {
    Shared::new(truth, |truth, out| {
        for subject in 0..subjects {
            truth.read(id(subject)).map(Head::encode).hash(out);
        }
    })
}

/// Where a contact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// To be taken.
    Due,
    /// A hand has it.
    Leased(u8),
    /// The hand that had it is taken for dead.
    Orphaned(u8),
    /// Never again.
    Done,
}

/// Somebody to be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Contact {
    /// Its subjects, as Postgres has them.
    pub subjects: u8,
    /// Which try comes next.
    pub try_no: u8,
    /// Where it is.
    pub place: Place,
}

/// What a hand has taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Job {
    /// Which contact.
    pub contact: u8,
    /// Which try of it.
    pub try_no: u8,
    /// Its subjects when it was taken.
    pub subjects: u8,
}

/// A permitted judgement.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Judged {
    /// The placement's key.
    pub key: u64,
    /// When, in real time: the permit's life runs from here by the monotonic clock.
    pub at: u8,
    /// What it asks of the stores.
    pub demand: Shared<Demand>,
}

/// A subject's head, where it has been read.
pub type Got = Vec<(u8, Option<Shared<Head>>)>;

/// What a hand is at.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Nothing.
    Free,
    /// Reading: heads so far, in subject order (`None`: to be read from Postgres), and the fact.
    Reading {
        /// Heads.
        got: Got,
        /// Subjects of which there was a copy, though one that is not used.
        found: u8,
        /// Whether there is a consent.
        consent: Option<bool>,
    },
    /// Storing in Redis what Postgres said; then it goes on with these heads.
    Loading {
        /// Heads.
        got: Got,
        /// Subjects still to be stored, and whether a copy is replaced.
        load: Vec<(u8, bool)>,
        /// Whether there is a consent.
        consent: Option<bool>,
    },
    /// Every head is there; the fact is not.
    Known(Got),
    /// Asking Redis; how many heads it has granted, one by one.
    Reserving(Judged, u8),
    /// Postgres was asked.
    Committing(Judged),
    /// Durable; the engine has the datagram, or holds it.
    Cleared(Judged),
    /// The driver has the datagram, and until when it may send it by the lease that held then.
    Handed(Judged, u8),
    /// Ended; to be settled.
    Ended(u64, End),
    /// Given up without an answer; to be released.
    Released(u64),
}

/// How a placement ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum End {
    /// It provably never left.
    NotSent,
    /// It left.
    Counted,
    /// Nobody knows.
    Unknown,
}

/// A node and the call that it has under way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Hand {
    /// What it has taken.
    pub job: Option<Job>,
    /// What it is at.
    pub stage: Stage,
    /// Judgements so far.
    pub minted: u8,
    /// It has heard that the contact is not to be called.
    pub doomed: bool,
    /// The opt-out's row has come; a row comes once.
    pub told: bool,
    /// Until when it may send.
    pub lease: u8,
    /// A poll under way: when it began, and what it saw, once Postgres has been asked.
    pub poll: Option<(u8, Option<bool>)>,
}

/// A commit on its way to Postgres.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flying {
    /// Whose.
    pub hand: u8,
    /// Which contact and try.
    pub attempt: (u8, u8),
    /// The placement's key.
    pub key: u64,
    /// Compared and put.
    pub demand: Shared<Demand>,
    /// Its node died or was taken for dead.
    pub orphan: bool,
}

/// A committed placement.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Placed {
    /// Its key.
    pub key: u64,
    /// Which contact and try.
    pub attempt: (u8, u8),
    /// Whose heads it moved.
    pub subjects: u8,
    /// By which hand.
    pub hand: u8,
    /// That hand is taken for dead: a reaper may end it.
    pub orphan: bool,
    /// The outcomes written, corrections included.
    pub ends: Vec<End>,
    /// A suppression or revocation was committed before it.
    pub after_stop: bool,
    /// As many as the cap allows were committed before it.
    pub over: bool,
}

/// An INVITE on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sent {
    /// When.
    pub at: u8,
    /// Of which placement.
    pub key: u64,
    /// To whom.
    pub subjects: u8,
    /// Which contact and try.
    pub attempt: (u8, u8),
}

/// How far the opt-out is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OptOut {
    /// Nobody has asked for it.
    No,
    /// Its row can be seen, the heads have not moved (only without `row_with_heads`).
    Row,
    /// Committed at this tick.
    Committed(u8),
    /// The API has answered.
    Answered,
}

/// A broken promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Broken {
    /// G6: one INVITE too many to one subject within a window, on the wire.
    OverCap,
    /// G6: one placement too many, in the order of commits.
    OverCapAtCommit,
    /// G7: committed after a committed suppression or revocation, and sent.
    AfterStop,
    /// G7: sent after the API had answered.
    AfterAnswer,
    /// G4: sent and not committed.
    NotCommitted,
    /// G8: sent and called not sent.
    SentCalledUnsent,
    /// G2: two INVITEs of one try.
    Twice,
    /// G8: committed, and nobody will ever end it.
    NobodyEndsIt,
}

/// The state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct World {
    /// The tick.
    pub now: u8,
    /// Postgres's heads.
    pub truth: Shared<Truth>,
    /// The Redis instances that somebody talks to.
    pub redis: Vec<Shared<Cache>>,
    /// What a replica has.
    pub replica: Option<Shared<Cache>>,
    /// Everything Redis was ever told, for [`crate::setup::Redis::Anything`].
    pub ever: Vec<Vec<Shared<Head>>>,
    /// Postgres's consent, which calls of the first contact need.
    pub consent: bool,
    /// Subjects that a committed suppression binds.
    pub stopped: u8,
    /// Subjects that are one.
    pub merged: u8,
    /// The opt-out.
    pub opt_out: OptOut,
    /// Contacts.
    pub contacts: Vec<Contact>,
    /// Nodes.
    pub hands: Vec<Hand>,
    /// Commits on their way.
    pub flying: Vec<Flying>,
    /// Tries in `attempt`.
    pub attempts: Vec<(u8, u8)>,
    /// Committed placements.
    pub placements: Vec<Placed>,
    /// INVITEs.
    pub wire: Vec<Sent>,
    /// Faults left.
    pub faults: Faults,
    /// What was broken first.
    pub broken: Option<Broken>,
}

impl World {
    /// Everybody is due, Redis is empty.
    #[must_use]
    pub fn new(setup: &Setup) -> Self {
        let subjects = setup.subjects();
        let mut heads = Truth::default();
        for subject in 0..subjects {
            heads.create(id(subject), Head::new(Token(u128::from(subject) + 1)));
        }
        let truth = truth(heads, subjects);
        let ever = (0..subjects)
            .filter_map(|subject| Some(vec![head(truth.read(id(subject))?.clone())]))
            .collect();
        let fresh = Hand {
            job: None,
            stage: Stage::Free,
            minted: 0,
            doomed: false,
            told: false,
            lease: 0,
            poll: None,
        };
        Self {
            now: 0,
            truth,
            redis: vec![cache(Cache::default(), subjects)],
            replica: None,
            ever,
            consent: true,
            stopped: 0,
            merged: 0,
            opt_out: OptOut::No,
            contacts: setup
                .contacts
                .iter()
                .map(|subjects| Contact { subjects: *subjects, try_no: 1, place: Place::Due })
                .collect(),
            hands: vec![fresh; usize::from(setup.hands)],
            flying: Vec::new(),
            attempts: Vec::new(),
            placements: Vec::new(),
            wire: Vec::new(),
            faults: setup.faults,
            broken: None,
        }
    }

    /// The first broken promise stays.
    pub fn breaks(&mut self, broken: Broken) {
        self.broken.get_or_insert(broken);
    }
}
