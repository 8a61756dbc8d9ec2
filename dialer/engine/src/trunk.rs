//! Which trunk takes a call, and the breaker that keeps an outage from burning people's caps.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use dialer_types::TrunkId;

use crate::terms::Trunk;

/// INVITEs a trunk may be sent without one sign of a called party in between: ringing, an answer, a
/// final response of theirs. 100 Trying is none: a proxy says it before it knows. A carrier that
/// answers everything with 503, or nothing at all, sees at most these.
const MAX_WITHOUT_PARTY: u32 = 20;

/// How long an open breaker stays open before one INVITE may try again.
const OPEN_FOR: Duration = Duration::from_secs(30);

#[derive(Debug)]
struct Line {
    trunk: Trunk,
    live: u32,
    /// INVITEs sent since the last sign of a called party.
    without_party: u32,
    open_until: Option<Instant>,
}

/// The trunks as they are.
#[derive(Debug, Default)]
pub(crate) struct Trunks(BTreeMap<TrunkId, Line>);

impl Trunks {
    /// Takes the trunks as configured now. Those that stay keep their health.
    pub(crate) fn replace(&mut self, trunks: Vec<Trunk>) {
        let mut old = std::mem::take(&mut self.0);
        for trunk in trunks {
            let line = match old.remove(&trunk.id) {
                Some(line) => Line { trunk, ..line },
                None => Line { trunk, live: 0, without_party: 0, open_until: None },
            };
            self.0.insert(line.trunk.id, line);
        }
        // A trunk that was taken away still has calls to count down; it takes no new ones.
        for (id, mut line) in old {
            if line.live > 0 {
                line.trunk.max_concurrent = 0;
                self.0.insert(id, line);
            }
        }
    }

    /// The first of these that may take a call now.
    pub(crate) fn pick(&self, preferred: &[TrunkId], now: Instant) -> Option<&Trunk> {
        preferred
            .iter()
            .filter_map(|id| self.0.get(id))
            .find(|line| line.admits(now))
            .map(|l| &l.trunk)
    }

    /// Whether the trunk may still take this call: asked again when the commit is back.
    pub(crate) fn admits(&self, trunk: TrunkId, now: Instant) -> bool {
        self.0.get(&trunk).is_some_and(|line| line.admits(now))
    }

    pub(crate) fn get(&self, trunk: TrunkId) -> Option<&Trunk> {
        self.0.get(&trunk).map(|line| &line.trunk)
    }

    /// An INVITE goes out.
    pub(crate) fn placed(&mut self, trunk: TrunkId) {
        if let Some(line) = self.0.get_mut(&trunk) {
            line.live += 1;
            line.without_party += 1;
        }
    }

    /// A called party showed: the trunk works. Returns whether that closed the breaker.
    pub(crate) fn responded(&mut self, trunk: TrunkId) -> bool {
        let Some(line) = self.0.get_mut(&trunk) else {
            return false;
        };
        line.without_party = 0;
        line.open_until.take().is_some()
    }

    /// A call of the trunk is over. Returns whether its failure opened the breaker.
    pub(crate) fn ended(&mut self, trunk: TrunkId, failed: bool, now: Instant) -> bool {
        let Some(line) = self.0.get_mut(&trunk) else {
            return false;
        };
        line.live = line.live.saturating_sub(1);
        let was_open = line.open_until.is_some_and(|until| now < until);
        if !failed {
            // Nothing was learnt of the trunk: where this was its one probe, another may go.
            line.without_party = line.without_party.min(MAX_WITHOUT_PARTY - 1);
        }
        let opens = failed && line.without_party >= MAX_WITHOUT_PARTY;
        if opens {
            line.open_until = Some(now + OPEN_FOR);
            // After the pause one INVITE may try.
            line.without_party = MAX_WITHOUT_PARTY - 1;
        }
        opens && !was_open
    }

    /// The INVITE never left.
    pub(crate) fn unsent(&mut self, trunk: TrunkId) {
        if let Some(line) = self.0.get_mut(&trunk) {
            line.live = line.live.saturating_sub(1);
            line.without_party = line.without_party.saturating_sub(1);
        }
    }
}

impl Line {
    fn admits(&self, now: Instant) -> bool {
        self.open_until.is_none_or(|until| now >= until)
            && self.without_party < MAX_WITHOUT_PARTY
            && self.live < self.trunk.max_concurrent
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a base instant for virtual time")]
mod tests {
    use super::*;

    fn trunks() -> (Trunks, TrunkId) {
        let id = TrunkId(1);
        let mut trunks = Trunks::default();
        trunks.replace(vec![Trunk {
            id,
            address: ([127, 0, 0, 1], 5060).into(),
            credentials: None,
            max_concurrent: 1000,
        }]);
        (trunks, id)
    }

    #[test]
    fn a_trunk_that_never_answers_gets_twenty_invites_and_no_more() {
        let (mut trunks, id) = trunks();
        let now = Instant::now();
        let mut sent = 0;
        while trunks.pick(&[id], now).is_some() {
            trunks.placed(id);
            sent += 1;
        }
        assert_eq!(sent, 20);
    }

    #[test]
    fn a_trunk_that_fails_every_call_opens_its_breaker_and_then_gets_one_invite_at_a_time() {
        let (mut trunks, id) = trunks();
        let now = Instant::now();
        let mut opened = 0;
        for _ in 0..20 {
            trunks.placed(id);
            opened += u32::from(trunks.ended(id, true, now));
        }
        assert_eq!(opened, 1);
        assert!(trunks.pick(&[id], now).is_none());
        let later = now + OPEN_FOR;
        assert!(trunks.pick(&[id], later).is_some());
        trunks.placed(id);
        assert!(trunks.pick(&[id], later).is_none(), "one try at a time");
        assert!(trunks.ended(id, true, later));
        assert!(trunks.pick(&[id], later).is_none());
    }

    #[test]
    fn a_probe_that_taught_nothing_does_not_shut_the_trunk_for_ever() {
        let (mut trunks, id) = trunks();
        let now = Instant::now();
        for _ in 0..20 {
            trunks.placed(id);
            trunks.ended(id, true, now);
        }
        let later = now + OPEN_FOR;
        trunks.placed(id);
        assert!(!trunks.ended(id, false, later));
        assert!(trunks.admits(id, later));
    }

    #[test]
    fn one_sign_of_life_among_many_calls_keeps_the_trunk_open_for_traffic() {
        let (mut trunks, id) = trunks();
        let now = Instant::now();
        for call in 0..200 {
            assert!(trunks.admits(id, now), "call {call}");
            trunks.placed(id);
            if call % 10 == 0 {
                trunks.responded(id);
            }
        }
    }
}
