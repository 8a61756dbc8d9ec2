#![expect(clippy::disallowed_methods, reason = "a base instant for virtual time")]

use super::*;

const ID: TrunkId = TrunkId(1);

/// One trunk on a clock of its own; OPTIONS go to a carrier that says what it is told to.
struct Bench {
    trunks: Trunks,
    now: Instant,
    start: Instant,
    options: Probed,
    /// The endpoint that numbers probes.
    endpoint: dialer_sip::Endpoint,
    sent_options: Vec<Duration>,
}

fn trunk(port: u16) -> Trunk {
    let address = ([127, 0, 0, 1], port).into();
    Trunk { id: ID, address, credentials: None, max_concurrent: 1000, budget: BUDGET }
}

impl Bench {
    fn new(options: Probed) -> Self {
        let now = Instant::now();
        let config = dialer_sip::Config {
            advertised: ([127, 0, 0, 1], 5080).into(),
            user_agent: String::new(),
            timers: dialer_sip::Timers::default(),
            max_calls: 1,
        };
        let mut trunks = Trunks::new(true);
        trunks.replace(vec![trunk(5060)], now);
        let endpoint = dialer_sip::Endpoint::new(config, [1; 32]);
        Self { trunks, now, start: now, options, endpoint, sent_options: Vec::new() }
    }

    /// Lets time pass: OPTIONS are answered at once.
    fn pass(&mut self, by: Duration) {
        let until = self.now + by;
        while let Some(at) = self.trunks.next().filter(|at| *at <= until) {
            self.now = at.max(self.now);
            for id in self.trunks.expire(self.now) {
                let probe = self.endpoint.options(([127, 0, 0, 1], 5060).into(), self.now).unwrap();
                self.endpoint.handle_transport_error(([127, 0, 0, 1], 5060).into(), self.now);
                self.sent_options.push(self.now - self.start);
                self.trunks.probing(id, Some(probe), 0, self.now);
                assert_eq!(self.trunks.probed(probe, self.options, 0, self.now), Some(ID));
            }
            self.trunks.news(self.now);
            assert!(self.trunks.next().is_none_or(|next| next > self.now), "a timer stays due");
        }
        self.now = until;
        self.trunks.news(self.now);
    }

    fn admits(&self) -> bool {
        self.trunks.admits(ID, self.now)
    }

    fn fail_one(&mut self) {
        let epoch = self.trunks.placed(ID, self.now);
        self.trunks.ended(ID, epoch, Evidence::Failed(None), self.now);
    }

    /// Calls that fail, as long as they are let through; how many.
    fn fail_all(&mut self) -> u32 {
        let mut sent = 0;
        while self.admits() {
            self.fail_one();
            sent += 1;
        }
        sent
    }

    fn standing(&mut self) -> Standing {
        let mut all = Trunks::new(true);
        std::mem::swap(&mut all, &mut self.trunks);
        for line in all.lines.values_mut() {
            line.forget_told();
        }
        let said = all.news(self.now);
        self.trunks = all;
        said[0].1
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_trunk_that_never_answers_gets_its_budget_and_no_more() {
    let mut bench = Bench::new(Probed::Silent);
    let mut sent = 0;
    while bench.trunks.pick(&[ID], bench.now).is_some() {
        bench.trunks.placed(ID, bench.now);
        sent += 1;
    }
    assert_eq!(sent, BUDGET);
    assert_eq!(bench.standing(), Standing { admits: Admits::None, open: false, reason: "waiting" });
}

#[test]
fn a_carrier_that_answers_options_and_fails_every_call_sees_twenty_invites_in_fifteen_minutes() {
    let mut bench = Bench::new(Probed::Alive);
    let (mut sent, mut at) = (bench.fail_all(), Vec::new());
    assert_eq!((sent, bench.standing().open), (BUDGET, true));
    for second in 1..=900 {
        bench.pass(SECOND);
        let tried = bench.fail_all();
        assert!(tried <= 1, "one at a time");
        if tried == 1 {
            at.push(second);
        }
        sent += tried;
    }
    assert_eq!(sent, 20, "{at:?}");
    // Each pause is twice the one before; OPTIONS, every five seconds, says when it is over.
    assert_eq!(at, [30, 90, 210, 450]);
    for _ in 900..7_200 {
        bench.pass(SECOND);
        sent += bench.fail_all();
    }
    assert!(sent <= 20 + 11, "one every ten minutes: {sent}");
}

#[test]
fn while_the_breaker_is_open_options_are_sent_every_five_seconds_and_no_invite() {
    let mut bench = Bench::new(Probed::Unavailable { retry_after: None });
    bench.fail_all();
    bench.pass(SECOND * 60);
    assert!(!bench.admits());
    assert_eq!(bench.standing().reason, "refused");
    let gaps: Vec<_> = bench.sent_options.windows(2).map(|two| two[1] - two[0]).collect();
    assert_eq!(bench.sent_options[0], Duration::ZERO, "asked at once");
    assert!(gaps.len() == 12 && gaps.iter().all(|gap| *gap == PROBE_EVERY), "{gaps:?}");
}

#[test]
fn the_first_good_options_after_bad_ones_lets_one_invite_through_and_a_called_party_closes_it() {
    let mut bench = Bench::new(Probed::Unavailable { retry_after: None });
    bench.fail_all();
    bench.pass(SECOND * 20);
    assert!(!bench.admits());
    bench.options = Probed::Alive;
    bench.pass(PROBE_EVERY);
    assert_eq!(bench.standing(), Standing { admits: Admits::One, open: true, reason: "trying" });
    bench.trunks.placed(ID, bench.now);
    assert!(!bench.admits(), "one at a time");
    bench.trunks.responded(ID, bench.now);
    assert!(bench.admits());
    assert_eq!(bench.standing(), Standing { admits: Admits::Any, open: false, reason: "up" });
}

#[test]
fn a_carrier_that_flaps_is_given_longer_and_longer_pauses() {
    let mut bench = Bench::new(Probed::Unavailable { retry_after: None });
    bench.fail_all();
    let mut tried = 0;
    for second in 0..900 {
        bench.options = match second % 2 {
            0 => Probed::Unavailable { retry_after: None },
            _ => Probed::Alive,
        };
        bench.pass(SECOND);
        tried += bench.fail_all();
    }
    assert!((1..=8).contains(&tried), "{tried}");
}

#[test]
fn a_try_that_taught_nothing_does_not_shut_the_trunk_for_ever() {
    let mut bench = Bench::new(Probed::Alive);
    bench.fail_all();
    bench.pass(PAUSE_FIRST);
    for _ in 0..3 {
        assert!(bench.admits());
        let epoch = bench.trunks.placed(ID, bench.now);
        assert!(!bench.admits());
        bench.trunks.ended(ID, epoch, Evidence::Nothing, bench.now);
        assert!(bench.admits());
        let epoch = bench.trunks.placed(ID, bench.now);
        bench.trunks.unsent(ID, epoch);
    }
}

#[test]
fn calls_from_before_the_breaker_opened_do_not_fail_the_one_that_tries() {
    let mut bench = Bench::new(Probed::Alive);
    let late = bench.trunks.placed(ID, bench.now);
    bench.fail_all();
    bench.pass(PAUSE_FIRST);
    bench.trunks.placed(ID, bench.now);
    bench.trunks.ended(ID, late, Evidence::Failed(None), bench.now);
    assert_eq!(bench.standing().reason, "trying");
    bench.trunks.ended(ID, late, Evidence::Party, bench.now);
    assert!(bench.admits(), "but a called party is a called party");
}

#[test]
fn one_sign_of_life_among_many_calls_keeps_the_trunk_open_for_traffic() {
    let mut bench = Bench::new(Probed::Alive);
    for call in 0..200 {
        assert!(bench.admits(), "call {call}");
        let epoch = bench.trunks.placed(ID, bench.now);
        let said = if call % 10 == 0 { Evidence::Party } else { Evidence::Failed(None) };
        bench.trunks.ended(ID, epoch, said, bench.now);
    }
}

#[test]
fn an_idle_trunk_is_asked_every_half_minute_and_opens_when_it_stops_answering() {
    let mut bench = Bench::new(Probed::Alive);
    bench.pass(SECOND * 95);
    assert_eq!(bench.sent_options, [SECOND * 30, SECOND * 60, SECOND * 90]);
    bench.options = Probed::Silent;
    bench.pass(SECOND * 30);
    assert_eq!(bench.standing(), Standing { admits: Admits::None, open: true, reason: "silent" });
    bench.options = Probed::Alive;
    bench.pass(PROBE_EVERY);
    assert!(bench.admits());
    // Nobody has a call for it: it is not said to be down for ever.
    assert!(bench.standing().open);
    bench.pass(SETTLED);
    assert!(!bench.standing().open);
    assert_eq!(bench.standing().admits, Admits::One);
}

#[test]
fn a_carrier_that_ignores_options_is_not_down_for_that_and_is_tried_after_five_minutes() {
    let mut bench = Bench::new(Probed::Silent);
    bench.pass(SECOND * 120);
    assert!(bench.admits(), "never answered OPTIONS: that says nothing");
    let epoch = bench.trunks.placed(ID, bench.now);
    bench.trunks.ended(ID, epoch, Evidence::Party, bench.now);
    assert_eq!(bench.fail_all(), BUDGET);
    bench.pass(DEAF_PAUSE - SECOND);
    assert!(!bench.admits());
    bench.pass(SECOND);
    assert!(bench.admits());
    assert_eq!(bench.fail_all(), 1);
}

#[test]
fn a_trunk_that_answered_neither_calls_nor_options_is_only_ever_asked() {
    let mut bench = Bench::new(Probed::Silent);
    bench.fail_all();
    bench.pass(SECOND * 7_200);
    assert!(!bench.admits());
}

#[test]
fn retry_after_is_honoured_up_to_a_minute_by_invite_and_options_alike() {
    for (asked, rests) in [(7, 7), (3_600, 60)] {
        let mut bench = Bench::new(Probed::Alive);
        let epoch = bench.trunks.placed(ID, bench.now);
        let said = Evidence::Failed(Some(SECOND * asked));
        bench.trunks.ended(ID, epoch, said, bench.now);
        let rest = Standing { admits: Admits::None, open: true, reason: "retry_after" };
        assert_eq!(bench.standing(), rest);
        bench.pass(SECOND * rests - Duration::from_millis(1));
        assert!(!bench.admits() && bench.sent_options.is_empty(), "{asked}");
        bench.pass(Duration::from_millis(1));
        // One at a time until somebody shows, and nobody else is judged for it meanwhile.
        let trying = Standing { admits: Admits::One, open: false, reason: "trying" };
        assert_eq!(bench.standing(), trying, "{asked}");
        assert_eq!(bench.trunks.pick(&[ID], bench.now), Some(ID));
        bench.trunks.chosen(ID, bench.now);
        assert_eq!(bench.trunks.pick(&[ID], bench.now), None, "promised");
        let epoch = bench.trunks.placed(ID, bench.now);
        assert!(!bench.admits() && bench.standing().admits == Admits::None);
        bench.trunks.ended(ID, epoch, Evidence::Failed(Some(SECOND)), bench.now);
        assert_eq!(bench.standing(), rest, "again");
        bench.pass(SECOND);
        bench.trunks.placed(ID, bench.now);
        bench.trunks.responded(ID, bench.now);
        assert_eq!(bench.standing(), Standing { admits: Admits::Any, open: false, reason: "up" });
    }
    let mut bench = Bench::new(Probed::Unavailable { retry_after: Some(SECOND * 20) });
    bench.fail_all();
    bench.pass(SECOND * 65);
    assert_eq!(bench.sent_options.len(), 4, "{:?}", bench.sent_options);
}

#[test]
fn a_try_after_a_rest_that_taught_nothing_or_came_to_nothing_is_followed_by_another() {
    let mut bench = Bench::new(Probed::Alive);
    let before = bench.trunks.placed(ID, bench.now);
    let first = bench.trunks.placed(ID, bench.now);
    bench.trunks.ended(ID, first, Evidence::Failed(Some(SECOND)), bench.now);
    bench.pass(SECOND);
    // Promised to somebody whose commit failed.
    bench.trunks.chosen(ID, bench.now);
    assert_eq!(bench.trunks.pick(&[ID], bench.now), None);
    bench.pass(PROMISE);
    assert_eq!(bench.trunks.pick(&[ID], bench.now), Some(ID));
    let epoch = bench.trunks.placed(ID, bench.now);
    bench.trunks.ended(ID, before, Evidence::Failed(None), bench.now);
    assert!(!bench.admits(), "a call from before the rest is not the one that tries");
    bench.trunks.unsent(ID, epoch);
    assert!(bench.admits());
    // It fails call by call, without asking for another rest: the budget holds.
    assert!(bench.fail_all() <= BUDGET);
    assert!(bench.standing().open);
}

#[test]
fn another_address_is_another_trunk_and_a_trunk_taken_away_takes_nothing() {
    let mut bench = Bench::new(Probed::Alive);
    let late = bench.trunks.placed(ID, bench.now);
    bench.fail_all();
    bench.trunks.replace(vec![trunk(5060)], bench.now);
    assert!(!bench.admits(), "the same as before");
    bench.trunks.replace(vec![trunk(5070)], bench.now);
    assert!(bench.admits());
    bench.trunks.ended(ID, late, Evidence::Failed(None), bench.now);
    assert!(bench.admits());
    bench.trunks.placed(ID, bench.now);
    bench.trunks.replace(Vec::new(), bench.now);
    assert!(!bench.admits());
    assert_eq!(bench.trunks.next(), None, "and is asked nothing");
}

#[test]
fn a_full_trunk_takes_nothing_and_is_not_down() {
    let mut bench = Bench::new(Probed::Alive);
    bench.trunks.replace(vec![Trunk { max_concurrent: 1, ..trunk(5060) }], bench.now);
    let epoch = bench.trunks.placed(ID, bench.now);
    assert_eq!(bench.standing(), Standing { admits: Admits::None, open: false, reason: "full" });
    bench.trunks.ended(ID, epoch, Evidence::Party, bench.now);
    assert_eq!(bench.standing().admits, Admits::Any);
}

#[test]
fn while_draining_nothing_is_asked() {
    let mut bench = Bench::new(Probed::Silent);
    bench.fail_all();
    bench.trunks.quiet();
    assert_eq!(bench.trunks.next(), None);
    assert!(bench.trunks.expire(bench.now + SECOND * 600).is_empty());
}

#[test]
fn calls_beyond_a_trunks_rate_go_by_the_next_one() {
    const OTHER: TrunkId = TrunkId(2);
    let now = Instant::now();
    let mut trunks = Trunks::new(true);
    let other = Trunk { id: OTHER, ..trunk(5060) };
    trunks.replace(vec![trunk(5060), other], now);
    let until = now + SECOND * 60;
    let share = |trunk| Lent { trunk, milli_cps: 5_000, until };
    trunks.lent(&[share(ID), share(OTHER)]);
    let mut by = Vec::new();
    for _ in 0..10 {
        let id = trunks.pick(&[OTHER, ID], now).unwrap();
        trunks.chosen(id, now);
        by.push(id);
    }
    assert_eq!(by, [[OTHER; 5], [ID; 5]].concat(), "in the order of the campaign");
    assert!(trunks.pick(&[OTHER, ID], now).is_some(), "what is more waits for a turn");
    let later = now + Duration::from_secs(1);
    assert_eq!(trunks.pick(&[OTHER, ID], later), Some(OTHER));
}
