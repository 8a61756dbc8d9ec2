//! Shares of a trunk's calls a second, lent to nodes (DESIGN section 4, *Rates*).
//!
//! All nodes together never send more than the trunk's figure in any one second: what is lent adds up
//! to no more than that, a node stops using a share before its life is over, and what a node gave up
//! is lent again only when no second holds calls sent by it any more. Shares are whole calls a second,
//! because two halves of a call in one second are two calls.
//!
//! Pure: [`lend`] computes one node's row from all rows, which the caller has locked. Times are those
//! of the store that keeps the rows; nodes measure the life of a share on their own monotonic clock,
//! from before they asked.

use std::time::Duration;

use dialer_types::{NodeId, UnixMillis};

/// How long a share lives, unless it is renewed. Long against a renewal that is late, short against
/// the patience of whoever waits for a dead node's share.
pub const SHARE_LIFE: Duration = Duration::from_secs(3);
/// Added wherever the end of a share is waited for: milliseconds are cut, monotonic clocks differ by
/// less than a hundred millionths.
const MARGIN: Duration = Duration::from_millis(10);

/// What one node holds of one trunk, as the store keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Who.
    pub node: NodeId,
    /// Calls a second it may send.
    pub calls: u32,
    /// Calls a second it has work for.
    pub wanted: u32,
    /// When it ends unless it is renewed.
    pub until: UnixMillis,
    /// Calls a second that it held before, and had sent by a moment ago.
    pub before: u32,
    /// Until when those count.
    pub before_until: UnixMillis,
}

impl Share {
    /// Nothing is held yet.
    const fn none(node: NodeId) -> Self {
        let never = UnixMillis(0);
        Self { node, calls: 0, wanted: 0, until: never, before: 0, before_until: never }
    }

    /// What others must leave to this node: what it holds and what it held.
    fn counted(&self, rest: Duration, now: UnixMillis) -> u32 {
        let calls = if now < self.until.after(rest) { self.calls } else { 0 };
        calls.max(self.held_before(now))
    }

    fn held_before(&self, now: UnixMillis) -> u32 {
        if now < self.before_until { self.before } else { 0 }
    }
}

/// What a node asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// Who.
    pub node: NodeId,
    /// The most it has been sending since it asked: no more than it holds.
    pub using: u32,
    /// What it has work for.
    pub wanted: u32,
}

/// The figure of a trunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figure {
    milli_cps: u64,
}

impl Figure {
    /// Thousandths of a call a second.
    #[must_use]
    pub const fn new(milli_cps: u64) -> Self {
        Self { milli_cps }
    }

    /// What is lent in pieces: whole calls a second; of a slower trunk the whole of it.
    #[must_use]
    pub fn calls(self) -> u32 {
        u32::try_from(self.milli_cps / 1_000).unwrap_or(u32::MAX).max(u32::from(self.milli_cps > 0))
    }

    /// What so many pieces are, in thousandths of a call a second.
    #[must_use]
    pub fn milli_cps(self, calls: u32) -> u64 {
        (u64::from(calls) * 1_000).min(self.milli_cps)
    }

    /// How long calls count after they were sent: a second, or the time of one call.
    fn rest(self) -> Duration {
        let one = 1_000_000_u64.checked_div(self.milli_cps).unwrap_or(1_000) + 1;
        Duration::from_millis(one.max(1_000)) + MARGIN
    }
}

/// Renews a node's share. `held`: the rows of all nodes of this trunk. Returns the row to store, and
/// how many calls a second the node may send from now on: less than the row says where it is to give
/// some up; it says that it did when it asks next.
#[must_use]
pub fn lend(figure: Figure, held: &[Share], wish: Wish, now: UnixMillis) -> (Share, u32) {
    let (most, rest) = (figure.calls(), figure.rest());
    let of = |share: &&Share| share.node == wish.node;
    let mine = held.iter().find(of).copied().unwrap_or(Share::none(wish.node));
    let others = || held.iter().filter(|share| share.node != wish.node);
    let using = wish.using.min(mine.calls);
    let mut row = Share { wanted: wish.wanted, until: now.after(SHARE_LIFE), ..mine };
    if using < mine.calls {
        row.before = mine.counted(rest, now).max(mine.calls);
        row.before_until = now.after(rest);
    } else if row.held_before(now) == 0 {
        row.before = 0;
    }
    let live = others().filter(|share| now < share.until);
    let mut wishes: Vec<_> = live.map(|share| (share.node, share.wanted)).collect();
    wishes.push((wish.node, wish.wanted));
    let fair = allot(most, wishes, wish.node);
    let taken = others().map(|share| share.counted(rest, now)).fold(0, u32::saturating_add);
    row.calls = using.max(fair.min(most.saturating_sub(taken)));
    // What is to be given up is given up first, and said so when it asks next.
    let may = if fair < using { fair } else { row.calls };
    (row, may)
}

/// What one of these nodes gets where all get as much as they want, or as much as anybody else.
fn allot(most: u32, mut wishes: Vec<(NodeId, u32)>, node: NodeId) -> u32 {
    // The modest first; of equals the older node.
    wishes.sort_unstable_by_key(|(node, wanted)| (*wanted, *node));
    let mut left = most;
    let mut nodes = u32::try_from(wishes.len()).unwrap_or(u32::MAX);
    for (who, wanted) in wishes {
        // Rounded up: what does not go into whole calls goes to those who come first.
        let got = wanted.min(left.div_ceil(nodes.max(1)));
        if who == node {
            return got;
        }
        left -= got;
        nodes = nodes.saturating_sub(1);
    }
    0
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn node(id: u128) -> NodeId {
        NodeId(id)
    }

    #[test]
    fn everybody_gets_what_they_want_or_as_much_as_anybody() {
        for (most, wanted, got) in [
            (10, vec![10, 10, 10], vec![4, 3, 3]),
            (10, vec![10, 1, 10], vec![5, 1, 4]),
            (10, vec![1, 2, 3], vec![1, 2, 3]),
            (2, vec![9, 9, 9], vec![1, 1, 0]),
            (0, vec![1], vec![0]),
        ] {
            let wishes: Vec<_> = (0..).map(node).zip(wanted.iter().copied()).collect();
            let found: Vec<_> = wishes.iter().map(|it| allot(most, wishes.clone(), it.0)).collect();
            assert_eq!(found, got, "{most} {wanted:?}");
        }
    }

    #[test]
    fn a_figure_is_lent_in_whole_calls_and_a_slow_trunk_whole() {
        for (milli_cps, calls, all) in
            [(30_000, 30, 30_000), (2_500, 2, 2_000), (250, 1, 250), (0, 0, 0)]
        {
            let figure = Figure::new(milli_cps);
            assert_eq!((figure.calls(), figure.milli_cps(figure.calls())), (calls, all));
        }
        assert!(Figure::new(250).rest() >= Duration::from_secs(4));
    }

    /// A deployment: nodes that renew, stall, die and join; the oracle knows what each could have
    /// sent at every moment.
    #[derive(Default)]
    struct World {
        rows: BTreeMap<u128, Share>,
        /// Per node: what it may send, until when, by its own count.
        local: BTreeMap<u128, (u32, i64)>,
        /// Per node: what it could send, moment by moment.
        past: BTreeMap<u128, BTreeMap<i64, u32>>,
    }

    impl World {
        fn renew(
            &mut self,
            id: u128,
            wanted: u32,
            figure: Figure,
            asked: i64,
            now: i64,
            heard: bool,
        ) {
            let limit =
                self.local.get(&id).filter(|(_, until)| asked < *until).map_or(0, |it| it.0);
            let rows: Vec<_> = self.rows.values().copied().collect();
            let wish = Wish { node: node(id), using: limit, wanted };
            let (row, calls) = lend(figure, &rows, wish, UnixMillis(now));
            self.rows.insert(id, row);
            if heard {
                let until = asked + i64::try_from(SHARE_LIFE.as_millis()).unwrap();
                self.local.insert(id, (calls, until));
            }
        }

        fn note(&mut self, now: i64) {
            for (id, (calls, until)) in &self.local {
                let may = if now < *until { *calls } else { 0 };
                self.past.entry(*id).or_default().insert(now, may);
            }
        }

        /// The most that all nodes together could have sent in the second before now.
        fn most(&self, now: i64, window: i64) -> u32 {
            let of = |past: &BTreeMap<i64, u32>| {
                past.range(now - window + 1..=now).map(|(_, may)| *may).max().unwrap_or(0)
            };
            self.past.values().map(of).sum()
        }
    }

    proptest! {
        #[test]
        fn no_second_holds_more_than_the_figure(
            milli_cps in 200_u64..12_000,
            steps in prop::collection::vec((0_u128..4, 0_u32..12, 1_i64..900, 0_i64..400, any::<bool>()), 1..120),
        ) {
            let figure = Figure::new(milli_cps);
            let window = i64::try_from(1_000_000 / milli_cps).unwrap().max(1_000);
            let (mut world, mut now) = (World::default(), 10_000);
            for (id, wanted, pause, took, heard) in steps {
                // Every 10 ms is looked at: what changes, changes at a step.
                for _ in 0..pause / 10 {
                    now += 10;
                    world.note(now);
                    prop_assert!(world.most(now, window) <= figure.calls());
                }
                let asked = now;
                for _ in 0..took / 10 {
                    now += 10;
                    world.note(now);
                }
                world.renew(id, wanted, figure, asked, now, heard);
                world.note(now);
                prop_assert!(world.most(now, window) <= figure.calls());
            }
        }
    }

    #[test]
    fn a_share_that_is_not_used_is_with_others_within_a_few_seconds() {
        let (figure, mut world) = (Figure::new(30_000), World::default());
        let mut now = 0;
        // One node has all of it; a second joins; the first has nothing to do; the first dies.
        let mut at = |world: &mut World, until: i64, wants: &[(u128, u32)]| {
            while now < until {
                now += 500;
                for (id, wanted) in wants {
                    world.renew(*id, *wanted, figure, now, now, true);
                }
            }
            world.local.iter().map(|(id, it)| (*id, it.0)).collect::<Vec<_>>()
        };
        assert_eq!(at(&mut world, 1_000, &[(1, 30)]), [(1, 30)]);
        assert_eq!(at(&mut world, 4_000, &[(1, 30), (2, 30)]), [(1, 15), (2, 15)]);
        assert_eq!(at(&mut world, 7_000, &[(1, 1), (2, 30)]), [(1, 1), (2, 29)]);
        assert_eq!(at(&mut world, 12_000, &[(2, 30)])[1], (2, 30));
    }
}
