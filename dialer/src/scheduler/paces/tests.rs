use std::sync::Arc;

use dialer_engine::{Admits, Campaign, RetryRules, Standing};
use dialer_types::{
    AttemptId, CampaignNo, ContactId, Now, Purpose, SellerId, SellerNo, Technology, UnixMillis,
};

use super::*;

fn wants(wants: &[u32]) -> Vec<(CampaignId, u32)> {
    (1..).map(CampaignId).zip(wants.iter().copied()).collect()
}

#[test]
fn room_is_shared_out_in_turn_and_what_one_does_not_want_goes_to_the_others() {
    for (asked, room, expected) in [
        (vec![5, 5], 4, vec![2, 2]),
        (vec![1, 9], 6, vec![1, 5]),
        (vec![3, 0, 3], 100, vec![3, 0, 3]),
        (vec![3, 3], 0, vec![0, 0]),
        (vec![], 9, vec![]),
    ] {
        assert_eq!(share_out(&wants(&asked), room, None).0, expected, "{asked:?} in {room}");
    }
}

#[test]
fn scarce_room_goes_round_over_the_looks() {
    let wants = wants(&[9, 9, 9]);
    let (mut last, mut sums) = (None, [0; 3]);
    for _ in 0..30 {
        let (grants, served) = share_out(&wants, 1, last);
        last = served;
        for (sum, grant) in sums.iter_mut().zip(grants) {
            *sum += grant;
        }
    }
    assert_eq!(sums, [10, 10, 10]);
}

const SECOND: Duration = Duration::from_secs(1);

/// Campaigns with contacts that are due, no stores: contacts are numbers, a judgement takes 20 ms.
struct Bench {
    running: Campaigns,
    /// Contacts due that the rules refuse, then those they permit.
    due: BTreeMap<CampaignId, (u32, u32)>,
    shares: Shares,
    loads: Loads,
    paces: Paces,
    start: Instant,
    now: Instant,
    contacts: u128,
    judging: Vec<(Instant, CampaignId, AttemptId, bool)>,
    /// When calls started, and when contacts were judged.
    started: Vec<(CampaignId, Instant)>,
    judged: u32,
}

fn running(id: u128, milli_cps: u64, trunks: &[u128]) -> Running {
    let terms = Campaign {
        id: CampaignId(id),
        no: CampaignNo(1),
        name: String::new(),
        seller: SellerId(1),
        seller_no: SellerNo(1),
        purpose: Purpose::Informational,
        technology: Technology::Manual,
        abilities: dialer_policy::Abilities::NONE,
        caller_id: "+15125550100".parse().unwrap(),
        ring_timeout: SECOND * 20,
        max_tries: 1,
        retry: RetryRules::default(),
        trunks: trunks.iter().copied().map(TrunkId).collect(),
        prompt: Arc::from(""),
    };
    Running { terms: Arc::new(terms), milli_cps, max_concurrent: 1_000, withdrawn: 0 }
}

impl Bench {
    #[expect(clippy::disallowed_methods, reason = "a base instant for virtual time")]
    fn new(running: impl IntoIterator<Item = Running>) -> Self {
        let now = Instant::now();
        let running = running.into_iter().map(|running| (running.terms.id, running)).collect();
        let shares = Shares::default();
        let until = now + Duration::from_secs(24 * 3600);
        shares.configure(T, 1_000_000, until);
        shares.configure(U, 1_000_000, until);
        Self {
            running,
            due: BTreeMap::new(),
            shares,
            loads: Loads::default(),
            paces: Paces::new(),
            start: now,
            now,
            contacts: 0,
            judging: Vec::new(),
            started: Vec::new(),
            judged: 0,
        }
    }

    fn due(mut self, campaign: u128, refused: u32, permitted: u32) -> Self {
        self.due.insert(CampaignId(campaign), (refused, permitted));
        self
    }

    /// The breaker of this trunk is half open.
    fn half_open(self, trunk: TrunkId) -> Self {
        let now = Now { wall: UnixMillis(0), mono: self.now };
        self.shares.stand(trunk, Standing { admits: Admits::One, open: true, reason: "x" }, now);
        self
    }

    /// A look every 20 ms, for so long.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.look();
            self.now += SECOND / 50;
        }
    }

    fn look(&mut self) {
        let now = self.now;
        let (over, judging) = self.judging.drain(..).partition(|(at, ..)| *at <= now);
        self.judging = judging;
        for (_, campaign, attempt, permitted) in over {
            if permitted {
                self.loads.end(campaign, attempt);
            } else {
                self.loads.refused(campaign, attempt);
            }
        }
        let (wants, _) = self.paces.plan(&self.running, &self.shares, &self.loads, 10_000, now);
        for want in wants {
            if self.paces.may_take(&want, &self.shares, now) {
                let used = self.take(&want);
                self.paces.took(&want, used, &self.shares, now);
            }
        }
    }

    fn take(&mut self, want: &Want) -> u32 {
        let (campaign, now) = (want.campaign, self.now);
        let (refused, permitted) = self.due.entry(campaign).or_default();
        let mut used = 0;
        while used < want.launches && *refused + *permitted > 0 {
            let permits = *refused == 0;
            let from = if permits { &mut *permitted } else { &mut *refused };
            *from -= 1;
            used += 1;
            self.contacts += 1;
            let attempt = AttemptId { contact: ContactId(self.contacts), try_no: 1 };
            self.loads.begin(campaign, attempt, now);
            self.judging.push((now + SECOND / 50, campaign, attempt, permits));
            self.judged += 1;
            if permits {
                self.started.push((campaign, now));
            }
        }
        used
    }

    fn calls_of(&self, campaign: u128) -> usize {
        self.started.iter().filter(|(id, _)| *id == CampaignId(campaign)).count()
    }
}

const T: TrunkId = TrunkId(1);
const U: TrunkId = TrunkId(2);

#[test]
fn a_campaign_with_nobody_due_leaves_the_try_of_a_trunk_to_the_next() {
    let mut bench = Bench::new([running(1, 5_000, &[1]), running(2, 5_000, &[1])]).due(2, 0, 30);
    bench = bench.half_open(T);
    bench.look();
    assert_eq!((bench.calls_of(1), bench.calls_of(2)), (0, 1), "in the very first look");
    bench.pass(SECOND * 3);
    assert_eq!(bench.calls_of(2), 3, "one each second");
}

#[test]
fn a_campaign_whose_people_may_not_be_called_does_not_keep_the_try_of_a_trunk_to_itself() {
    let campaigns = [running(1, 5_000, &[1]), running(2, 5_000, &[1]), running(3, 5_000, &[1])];
    let mut bench = Bench::new(campaigns).due(1, 1_000, 0).due(3, 0, 30).half_open(T);
    bench.pass(SECOND / 10);
    assert_eq!(bench.calls_of(3), 1, "the try comes back with the refusal, and goes round");
    bench.pass(SECOND * 5);
    assert!(bench.calls_of(3) >= 4, "{}", bench.calls_of(3));
}

#[test]
fn a_campaign_that_has_another_trunk_does_not_spend_the_try() {
    let both = running(1, 5_000, &[1, 2]);
    let mut bench = Bench::new([both, running(2, 5_000, &[1])]).due(1, 0, 30).due(2, 0, 30);
    bench = bench.half_open(T);
    bench.look();
    assert_eq!((bench.calls_of(1), bench.calls_of(2)), (1, 1));
    // Both half open: each is tried by one.
    let both = running(1, 5_000, &[2, 1]);
    let mut bench = Bench::new([both, running(2, 5_000, &[1])]).due(1, 0, 30).due(2, 0, 30);
    bench = bench.half_open(T).half_open(U);
    bench.look();
    assert_eq!((bench.calls_of(1), bench.calls_of(2)), (1, 1));
}

#[test]
fn those_who_may_not_be_called_do_not_cost_the_pace_of_those_who_may() {
    let mut bench = Bench::new([running(1, 5_000, &[1])]).due(1, 1_000, 200);
    bench.pass(SECOND * 20);
    let first = bench.started.first().map(|(_, at)| *at - bench.start);
    assert!(first.is_some_and(|first| first < SECOND * 15), "not after 200 s: {first:?}");
    bench.pass(SECOND * 20);
    let burst = Pacer::burst_for(5_000, BURST_TICK);
    for (at, (_, first)) in bench.started.iter().enumerate() {
        let within =
            bench.started.iter().skip(at).take_while(|(_, other)| *other <= *first + SECOND);
        assert!(within.count() <= 5 + usize::try_from(burst).unwrap(), "the rate is kept");
    }
    assert!(bench.calls_of(1) >= 120, "and used: {}", bench.calls_of(1));
}

#[test]
fn refusals_are_judged_no_faster_than_the_rate_and_their_bound() {
    // Much faster than the bound: what is refused beyond it costs pace.
    let mut bench = Bench::new([running(1, 1_000_000, &[1])]).due(1, 1_000_000, 0);
    bench.pass(SECOND * 10);
    let (pace, refusals) = (1_000 * 10 + 51, 200 * 10 + 101);
    assert!((10_000..=pace + refusals).contains(&bench.judged), "{}", bench.judged);
    // Ten such campaigns: their bounds together are above that of the node.
    let mut bench = Bench::new((1..=10).map(|id| running(id, 100_000, &[1])));
    for id in 1..=10 {
        bench = bench.due(id, 1_000_000, 0);
    }
    bench.pass(SECOND * 10);
    let (pace, refusals) = (10 * (100 * 10 + 6), 1_000 * 10 + 501);
    assert!((18_000..=pace + refusals).contains(&bench.judged), "{}", bench.judged);
}
