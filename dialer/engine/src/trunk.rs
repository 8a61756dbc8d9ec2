//! Which trunk takes a call, and the breaker that keeps an outage from burning people's caps.
//!
//! | breaker | INVITE | OPTIONS | becomes |
//! |---|---|---|---|
//! | closed | within the trunk's budget | when nothing was heard for [`KEEP_ALIVE`] | open, when the budget is used up and a call fails, or when OPTIONS fails that was answered before |
//! | open | none | every [`PROBE_EVERY`] | half open, on a good answer that comes late enough |
//! | half open | one at a time | when nothing was heard for [`KEEP_ALIVE`] | closed, on the first sign of a called party; open again, when the one INVITE or OPTIONS fails |
//!
//! "Late enough": where OPTIONS failed, too, its first good answer is news, and [`RETURN_FIRST`]
//! after opening will do; where it was answered all the time it says nothing of INVITEs, and
//! [`PAUSE_FIRST`] is waited. Both double with every failed try, up to [`PAUSE_MOST`].
//!
//! A trunk that asked for a rest (Retry-After) gets nothing until that is over, and then one INVITE
//! at a time until a called party shows: what else was judged for it would be committed in vain.

mod line;
mod pace;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use dialer_sip::{ProbeId, Probed};
use dialer_types::TrunkId;

use crate::{input::Lent, terms::Trunk};
use line::Line;

/// INVITEs a house may send into a trunk without one sign of a called party in between: ringing, an
/// answer, a final response of theirs. 100 Trying is none: a proxy says it before it knows. With the
/// single tries of the half-open breaker a carrier that answers OPTIONS with 200 and every INVITE
/// with 503 sees 20 INVITEs in the first quarter of an hour: 16, then one after 30, 90, 210 and
/// 450 s. A node of several gets its part ([`Trunk::budget`]).
pub const BUDGET: u32 = 16;

/// OPTIONS are sent so often, and a little more by chance, while a breaker is open. An unanswered
/// one is retransmitted for 32 s, each 4 s at the latest, before the next.
const PROBE_EVERY: Duration = Duration::from_secs(5);
/// OPTIONS are sent when nothing was heard of a trunk for so long: less than what NATs and firewalls
/// usually forget a UDP binding after.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// What chance adds to both at most, so that trunks and nodes do not ask in step.
const JITTER: Duration = Duration::from_secs(1);
/// How long an open breaker stays so where OPTIONS is answered all the while.
const PAUSE_FIRST: Duration = Duration::from_secs(30);
/// How long where OPTIONS failed and is answered again.
const RETURN_FIRST: Duration = Duration::from_secs(5);
/// The longest of either.
const PAUSE_MOST: Duration = Duration::from_secs(600);
/// The longest Retry-After that is honoured: a wrong header must not end a day's work.
const REST_MOST: Duration = Duration::from_secs(60);
/// How long the one try of a trunk is promised to a call that is being reserved and committed. What
/// takes longer has mostly failed.
const PROMISE: Duration = Duration::from_secs(1);
/// A half-open trunk that nobody had a call for in so long is not reported as down any more.
const SETTLED: Duration = Duration::from_secs(10);
/// A trunk that has carried calls and never answered OPTIONS is tried so long after it opened: some
/// carriers ignore OPTIONS.
const DEAF_PAUSE: Duration = Duration::from_secs(300);

/// How many contacts may be taken for a trunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admits {
    /// None.
    None,
    /// One, to see whether it works again.
    One,
    /// As many as its rate allows.
    Any,
}

/// How a trunk stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// What it takes now.
    pub admits: Admits,
    /// Whether its breaker is open: no sign yet that it works again.
    pub open: bool,
    /// Why, in one word: `up`, `full`, `waiting` (for a first sign of the calls just sent),
    /// `failing` (INVITEs), `silent`, `refused` or `unreachable` (OPTIONS), `retry_after`, `trying`.
    pub reason: &'static str,
}

/// Which INVITEs a call belongs to: what one of an earlier state of the breaker comes to says
/// nothing of the present one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Epoch(u32);

/// What a call said of its trunk in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Evidence {
    /// The called party showed.
    Party,
    /// The trunk failed; it may have said for how long (Retry-After of a 503).
    Failed(Option<Duration>),
    /// Nothing: we ended it ourselves.
    Nothing,
}

/// The trunks as they are.
#[derive(Debug)]
pub(crate) struct Trunks {
    lines: BTreeMap<TrunkId, Line>,
    /// False only when the simulator takes the breaker out.
    breaker: bool,
    /// Draining: OPTIONS are of no use any more.
    quiet: bool,
}

impl Trunks {
    pub(crate) const fn new(breaker: bool) -> Self {
        Self { lines: BTreeMap::new(), breaker, quiet: false }
    }

    /// Takes the trunks as configured now. Those that stay keep their health, unless their address
    /// is another: then it is another trunk.
    pub(crate) fn replace(&mut self, trunks: Vec<Trunk>, now: Instant) {
        let mut old = std::mem::take(&mut self.lines);
        for trunk in trunks {
            let line = match old.remove(&trunk.id) {
                Some(line) => line.changed(trunk, now),
                None => Line::new(trunk, now),
            };
            self.lines.insert(line.trunk.id, line);
        }
        // A trunk that was taken away still has calls to count down; it takes no new ones.
        for (id, line) in old {
            if line.live > 0 {
                self.lines.insert(id, line.retired());
            }
        }
    }

    /// This node's shares, as lent now.
    pub(crate) fn lent(&mut self, shares: &[Lent]) {
        for share in shares {
            if let Some(line) = self.lines.get_mut(&share.trunk) {
                line.lent(share.milli_cps, share.until);
            }
        }
    }

    /// Sends no more OPTIONS.
    pub(crate) const fn quiet(&mut self) {
        self.quiet = true;
    }

    /// The first of these that may take a call now and was not yet chosen as often as its rate
    /// goes; where all were, the one whose turn comes first.
    pub(crate) fn pick(&mut self, preferred: &[TrunkId], now: Instant) -> Option<TrunkId> {
        let mut soonest: Option<(Instant, TrunkId)> = None;
        for id in preferred {
            if !self.admits(*id, now) {
                continue;
            }
            let Some(line) = self.lines.get_mut(id) else { continue };
            if self.breaker && line.is_promised(now) {
                continue;
            }
            let rate = line.milli_cps(now);
            let Some(turn) = line.chosen.turn(rate, now) else { return Some(*id) };
            if soonest.is_none_or(|(before, _)| turn < before) {
                soonest = Some((turn, *id));
            }
        }
        soonest.map(|(_, id)| id)
    }

    /// A permit was given for a call by this trunk.
    pub(crate) fn chosen(&mut self, trunk: TrunkId, now: Instant) {
        if let Some(line) = self.lines.get_mut(&trunk) {
            line.promise(now);
        }
    }

    /// Whether the trunk may still take this call: asked again when the commit is back.
    pub(crate) fn admits(&self, trunk: TrunkId, now: Instant) -> bool {
        self.lines.get(&trunk).is_some_and(|line| self.lets(line, now))
    }

    fn lets(&self, line: &Line, now: Instant) -> bool {
        line.has_room() && (!self.breaker || line.admits(now))
    }

    pub(crate) fn get(&self, trunk: TrunkId) -> Option<&Trunk> {
        self.lines.get(&trunk).map(|line| &line.trunk)
    }

    /// An INVITE goes out.
    pub(crate) fn placed(&mut self, trunk: TrunkId, now: Instant) -> Epoch {
        self.lines.get_mut(&trunk).map_or(Epoch(0), |line| line.placed(now))
    }

    /// An INVITE went out again, with credentials.
    pub(crate) fn resent(&mut self, trunk: TrunkId, now: Instant) {
        if let Some(line) = self.lines.get_mut(&trunk) {
            line.pace.count(now);
        }
    }

    /// When the trunk's rate lets the next INVITE out; `None`: now.
    pub(crate) fn turn(&mut self, trunk: TrunkId, now: Instant) -> Option<Instant> {
        let line = self.lines.get_mut(&trunk)?;
        let rate = line.milli_cps(now);
        line.pace.turn(rate, now)
    }

    /// The first INVITE of a call has left: its second begins here.
    pub(crate) fn left(&mut self, trunk: TrunkId, now: Instant) {
        if let Some(line) = self.lines.get_mut(&trunk) {
            line.pace.left(now);
        }
    }

    /// The first INVITE of a call never left.
    pub(crate) fn stayed(&mut self, trunk: TrunkId) {
        if let Some(line) = self.lines.get_mut(&trunk) {
            line.pace.stayed();
        }
    }

    /// A called party showed: the trunk works.
    pub(crate) fn responded(&mut self, trunk: TrunkId, now: Instant) {
        if let Some(line) = self.lines.get_mut(&trunk) {
            line.responded(now);
        }
    }

    /// A call of the trunk is over.
    pub(crate) fn ended(&mut self, trunk: TrunkId, epoch: Epoch, said: Evidence, now: Instant) {
        if let Some(line) = self.lines.get_mut(&trunk) {
            line.ended(epoch, said, now);
        }
    }

    /// The INVITE never left.
    pub(crate) fn unsent(&mut self, trunk: TrunkId, epoch: Epoch) {
        if let Some(line) = self.lines.get_mut(&trunk) {
            line.unsent(epoch);
        }
    }

    /// Trunks that OPTIONS are to be sent to now. Lets every other timer fire.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<TrunkId> {
        if self.quiet {
            return Vec::new();
        }
        self.lines
            .values_mut()
            .filter_map(|line| line.expire(now).then_some(line.trunk.id))
            .collect()
    }

    /// OPTIONS went out, or could not: then it is tried later. `chance` is any number.
    pub(crate) fn probing(
        &mut self,
        trunk: TrunkId,
        probe: Option<ProbeId>,
        chance: u64,
        now: Instant,
    ) {
        if let Some(line) = self.lines.get_mut(&trunk) {
            line.probing(probe, jitter(chance), now);
        }
    }

    /// OPTIONS came to this. Returns the trunk, unless it is no longer the one that was asked.
    pub(crate) fn probed(
        &mut self,
        probe: ProbeId,
        outcome: Probed,
        chance: u64,
        now: Instant,
    ) -> Option<TrunkId> {
        let line = self.lines.values_mut().find(|line| line.is_probed_by(probe))?;
        line.probed(outcome, jitter(chance), now);
        Some(line.trunk.id)
    }

    /// When [`Trunks::expire`] has something to do.
    pub(crate) fn next(&self) -> Option<Instant> {
        if self.quiet { None } else { self.lines.values().filter_map(Line::next).min() }
    }

    /// How trunks stand that stand otherwise than when last asked.
    pub(crate) fn news(&mut self, now: Instant) -> Vec<(TrunkId, Standing)> {
        self.lines
            .values_mut()
            .filter_map(|line| line.news(now).map(|standing| (line.trunk.id, standing)))
            .collect()
    }
}

fn jitter(chance: u64) -> Duration {
    let most = u64::try_from(JITTER.as_millis()).unwrap_or(1).max(1);
    Duration::from_millis(chance % most)
}

#[cfg(test)]
mod tests;
