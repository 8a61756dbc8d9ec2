//! What goes wrong when: a pure function of the seed, the length of the storm and the kinds wanted.
//!
//! Faults of the stores come one after the other, each with time to recover: two at once would hide
//! how long the gate stays closed after one. Faults of the nodes and of single connections come in a
//! lane of their own beside them, so that most stores fail while a dialer is frozen, dead or cut off.

use std::{fmt, str::FromStr, time::Duration};

use crate::made::dice::Dice;

/// Dialers of the drill.
pub const DIALERS: usize = 3;
/// Which of them has a wall clock of its own, from 0.
pub(super) const CLOCKED: usize = 2;
/// Before the first fault: calls are flowing.
const QUIET: Duration = Duration::from_secs(4);

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// SIGKILL of the Redis primary; it comes back seconds later, as what the Sentinels make of it.
    RedisPrimaryKill,
    /// SIGKILL of the Redis primary and an empty one in its place at once.
    RedisPrimaryEmptied,
    /// SIGSTOP of the Redis primary, for less or more than the Sentinels wait.
    RedisPrimaryPause,
    /// A replica whose link was cut for seconds is promoted: what was written meanwhile is lost.
    RedisLostWrites,
    /// A replica is made a second primary, and one dialer is led to it.
    RedisSplitBrain,
    /// FLUSHALL.
    RedisFlush,
    /// FUNCTION FLUSH.
    RedisFunctionFlush,
    /// `maxmemory` below what is in use: every write is refused.
    RedisOutOfMemory,
    /// Postgres ends at once, as in a crash of its machine, and comes back.
    PostgresKill,
    /// SIGKILL of a Postgres backend in the middle of a commit: all of Postgres starts anew.
    PostgresBackendKill,
    /// SIGSTOP of all of Postgres.
    PostgresPause,
    /// SIGKILL of a dialer, started again soon.
    DialerKill,
    /// SIGTERM of a dialer, started again when it has drained.
    DialerDrain,
    /// SIGSTOP of a dialer for longer than a send lease.
    DialerPauseLease,
    /// SIGSTOP of a dialer for longer than a permit lives.
    DialerPausePermit,
    /// SIGSTOP of a dialer for so long that the others take it for dead.
    DialerPauseDead,
    /// SIGKILL of the API.
    ApiKill,
    /// SIGSTOP of the API.
    ApiPause,
    /// SIGKILL of a Redis replica.
    ReplicaKill,
    /// SIGSTOP of a Redis replica.
    ReplicaPause,
    /// SIGKILL of a Sentinel.
    SentinelKill,
    /// SIGSTOP of a Sentinel.
    SentinelPause,
    /// Every connection between a dialer and Redis is reset.
    RedisReset,
    /// What a dialer and Redis say to each other arrives late.
    RedisDelay,
    /// What a dialer and Redis say to each other does not arrive, and the connection stays.
    RedisHold,
    /// Every connection between a dialer and Postgres is reset.
    PostgresReset,
    /// What a dialer and Postgres say to each other arrives late.
    PostgresDelay,
    /// What a dialer and Postgres say to each other does not arrive, and the connection stays.
    PostgresHold,
    /// The wall clock of one dialer is stepped by minutes, and back.
    ClockStep,
}

impl Kind {
    /// All, with their names, in the order in which they are reported.
    pub const ALL: [(Self, &'static str); 29] = [
        (Self::RedisPrimaryKill, "redis-primary-kill"),
        (Self::RedisPrimaryEmptied, "redis-primary-emptied"),
        (Self::RedisPrimaryPause, "redis-primary-pause"),
        (Self::RedisLostWrites, "redis-lost-writes"),
        (Self::RedisSplitBrain, "redis-split-brain"),
        (Self::RedisFlush, "redis-flush"),
        (Self::RedisFunctionFlush, "redis-function-flush"),
        (Self::RedisOutOfMemory, "redis-out-of-memory"),
        (Self::PostgresKill, "postgres-kill"),
        (Self::PostgresBackendKill, "postgres-backend-kill"),
        (Self::PostgresPause, "postgres-pause"),
        (Self::DialerKill, "dialer-kill"),
        (Self::DialerDrain, "dialer-drain"),
        (Self::DialerPauseLease, "dialer-pause-lease"),
        (Self::DialerPausePermit, "dialer-pause-permit"),
        (Self::DialerPauseDead, "dialer-pause-dead"),
        (Self::ApiKill, "api-kill"),
        (Self::ApiPause, "api-pause"),
        (Self::ReplicaKill, "replica-kill"),
        (Self::ReplicaPause, "replica-pause"),
        (Self::SentinelKill, "sentinel-kill"),
        (Self::SentinelPause, "sentinel-pause"),
        (Self::RedisReset, "redis-reset"),
        (Self::RedisDelay, "redis-delay"),
        (Self::RedisHold, "redis-hold"),
        (Self::PostgresReset, "postgres-reset"),
        (Self::PostgresDelay, "postgres-delay"),
        (Self::PostgresHold, "postgres-hold"),
        (Self::ClockStep, "clock-step"),
    ];

    /// Its name on the command line and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    /// Whether it hits a store that all dialers share.
    const fn of_stores(self) -> bool {
        matches!(
            self,
            Self::RedisPrimaryKill
                | Self::RedisPrimaryEmptied
                | Self::RedisPrimaryPause
                | Self::RedisLostWrites
                | Self::RedisSplitBrain
                | Self::RedisFlush
                | Self::RedisFunctionFlush
                | Self::RedisOutOfMemory
                | Self::PostgresKill
                | Self::PostgresBackendKill
                | Self::PostgresPause
        )
    }

    /// Whether an answer of the API may have to wait for its end.
    pub(super) const fn holds_answers(self) -> bool {
        matches!(
            self,
            Self::PostgresKill
                | Self::PostgresBackendKill
                | Self::PostgresPause
                | Self::ApiKill
                | Self::ApiPause
        )
    }

    /// How long it lasts, milliseconds, both included. Outages of a store end before the gate would
    /// have to be closed for ten seconds by them alone.
    const fn lasts(self) -> (u64, u64) {
        match self {
            Self::RedisPrimaryKill => (4000, 7000),
            Self::RedisPrimaryPause | Self::RedisLostWrites => (200, 4000),
            Self::RedisSplitBrain | Self::RedisOutOfMemory => (2000, 4000),
            Self::PostgresKill | Self::DialerKill | Self::ApiKill => (200, 2000),
            Self::PostgresPause => (150, 4000),
            Self::DialerPauseLease => (110, 900),
            Self::DialerPausePermit => (5200, 8000),
            Self::DialerPauseDead => (16_000, 18_000),
            Self::ApiPause => (200, 3000),
            Self::ReplicaKill | Self::ReplicaPause => (1000, 4000),
            Self::SentinelKill | Self::SentinelPause => (2000, 6000),
            Self::RedisDelay | Self::PostgresDelay => (2000, 5000),
            Self::RedisHold | Self::PostgresHold => (300, 6000),
            Self::ClockStep => (4000, 9000),
            Self::RedisPrimaryEmptied
            | Self::RedisFlush
            | Self::RedisFunctionFlush
            | Self::PostgresBackendKill
            | Self::DialerDrain
            | Self::RedisReset
            | Self::PostgresReset => (0, 0),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The kinds wanted: `all`, `none`, or names with commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kinds(Vec<Kind>);

impl Default for Kinds {
    fn default() -> Self {
        Self(Kind::ALL.iter().map(|(kind, _)| *kind).collect())
    }
}

impl FromStr for Kinds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => return Ok(Self::default()),
            "none" => return Ok(Self(Vec::new())),
            _ => {}
        }
        let kind = |word: &str| {
            let found = Kind::ALL.iter().find(|(_, name)| *name == word.trim());
            found.map(|(kind, _)| *kind).ok_or_else(|| {
                let names: Vec<_> = Kind::ALL.iter().map(|(_, name)| *name).collect();
                format!("no fault {word:?}; there are: all, none, {}", names.join(", "))
            })
        };
        text.split(',').map(kind).collect::<Result<_, _>>().map(Self)
    }
}

/// One fault of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planned {
    /// What.
    pub kind: Kind,
    /// When, from the start of the storm.
    pub at: Duration,
    /// How long; zero for what is done in an instant.
    pub lasts: Duration,
    /// Which dialer, replica or Sentinel it hits, from 0.
    pub target: usize,
    /// How far a clock is stepped, seconds; how late a delayed message comes, milliseconds.
    pub by: i64,
}

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        match self.kind {
            Kind::ClockStep => write!(f, " by {} s", self.by)?,
            Kind::RedisDelay | Kind::PostgresDelay => write!(f, " of {} ms", self.by)?,
            _ => {}
        }
        if !self.kind.of_stores() && !matches!(self.kind, Kind::ApiKill | Kind::ApiPause) {
            write!(f, ", number {}", self.target + 1)?;
        }
        if self.lasts.is_zero() { Ok(()) } else { write!(f, ", for {:?}", self.lasts) }
    }
}

/// The faults of a storm, the first first. The same three arguments give the same faults.
#[must_use]
pub fn plan(seed: u64, storm: Duration, kinds: &Kinds) -> Vec<Planned> {
    let (stores, nodes): (Vec<Kind>, Vec<Kind>) =
        kinds.0.iter().copied().partition(|kind| kind.of_stores());
    // How much time passes between the end of one and the begin of the next, milliseconds.
    let mut planned = lane(&mut Dice::new(seed, "stores"), storm, &stores, (5000, 8000));
    planned.extend(lane(&mut Dice::new(seed, "nodes"), storm, &nodes, (500, 3000)));
    planned.sort_by_key(|fault| fault.at);
    planned
}

/// Every kind once in each round, in an order by chance.
fn lane(dice: &mut Dice, storm: Duration, kinds: &[Kind], pause: (u64, u64)) -> Vec<Planned> {
    let mut planned = Vec::new();
    let mut at = QUIET;
    while !kinds.is_empty() {
        let mut round = kinds.to_vec();
        while !round.is_empty() {
            let next = dice.below(u64::try_from(round.len()).unwrap_or(1));
            let kind = round.swap_remove(usize::try_from(next).unwrap_or(0));
            let lasts = between(dice, kind.lasts());
            let target = usize::try_from(dice.below(3)).unwrap_or(0);
            let fault = Planned {
                kind,
                at,
                lasts,
                target: if kind == Kind::ClockStep { CLOCKED } else { target },
                by: by(dice, kind),
            };
            at += lasts;
            // The last one has time to end within the storm.
            if at >= storm {
                return planned;
            }
            planned.push(fault);
            at += between(dice, pause);
        }
    }
    planned
}

fn between(dice: &mut Dice, (from, to): (u64, u64)) -> Duration {
    Duration::from_millis(from + dice.below(to - from + 1))
}

fn by(dice: &mut Dice, kind: Kind) -> i64 {
    let (size, back) = (dice.below(540), dice.percent(50));
    let size = i64::try_from(size).unwrap_or(0);
    match kind {
        // One minute to ten.
        Kind::ClockStep if back => -60 - size,
        Kind::ClockStep => 60 + size,
        Kind::RedisDelay | Kind::PostgresDelay => 20 + size,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const STORM: Duration = Duration::from_secs(300);

    #[test]
    fn a_plan_follows_from_its_seed() {
        let all = Kinds::default();
        assert_eq!(plan(7, STORM, &all), plan(7, STORM, &all));
        assert_ne!(plan(7, STORM, &all), plan(8, STORM, &all));
        assert_eq!(plan(7, STORM, &"none".parse().unwrap()), []);
    }

    #[test]
    fn every_kind_comes_and_ends_within_the_storm_and_stores_fail_one_at_a_time() {
        for seed in 0..50 {
            let planned = plan(seed, STORM, &Kinds::default());
            let kinds: BTreeSet<Kind> = planned.iter().map(|fault| fault.kind).collect();
            assert_eq!(kinds.len(), Kind::ALL.len(), "seed {seed}");
            assert!(planned.iter().all(|fault| fault.at + fault.lasts < STORM && fault.target < 3));
            let stores: Vec<_> = planned.iter().filter(|fault| fault.kind.of_stores()).collect();
            for pair in stores.windows(2) {
                assert!(pair[1].at >= pair[0].at + pair[0].lasts + Duration::from_secs(5));
            }
        }
    }

    #[test]
    fn kinds_are_chosen_by_name_and_a_wrong_name_is_told_the_right_ones() {
        let kinds: Kinds = "redis-flush, clock-step".parse().unwrap();
        assert_eq!(kinds.0, [Kind::RedisFlush, Kind::ClockStep]);
        let error = "redis-flus".parse::<Kinds>().unwrap_err();
        assert!(error.contains("redis-flus") && error.contains("redis-flush"), "{error}");
    }
}
