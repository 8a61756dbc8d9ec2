#![expect(clippy::disallowed_methods, reason = "an Instant cannot be made without reading a clock")]

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_first_call_starts_at_once_and_the_next_one_when_its_time_has_come() {
    let now = Instant::now();
    let mut pacer = Pacer::new(4_000, 10);
    let first = pacer.quota(0, 100, now);
    let next = now + SECOND / 4;
    assert_eq!(first, Quota { launches: 1, revisit_at: next, binding: Binding::Rate });
    assert_eq!(pacer.quota(0, 100, next - Duration::from_nanos(1)).launches, 0);
    assert_eq!(pacer.quota(0, 100, next).launches, 1);
}

#[test]
fn a_rate_below_one_call_a_second_is_kept_exactly() {
    let start = Instant::now();
    let mut pacer = Pacer::new(7, 1);
    let mut now = start;
    for calls in 0..1_000_u32 {
        let quota = pacer.quota(0, 1, now);
        assert_eq!(quota.launches, 1);
        // A call each 1000/7 s, each rounded up by less than a nanosecond.
        let ideal = SECOND * calls * 1_000 / 7;
        assert!(
            (now - start).abs_diff(ideal) <= Duration::from_nanos(u64::from(calls) + 1),
            "{calls}"
        );
        now = pacer.quota(0, 2, now).revisit_at;
    }
}

#[test]
fn room_for_fewer_calls_than_the_rate_allows_binds_by_concurrency() {
    let now = Instant::now();
    let mut pacer = Pacer::new(100_000, 50);
    let _first = pacer.quota(0, 100, now);
    let later = now + SECOND;
    let quota = pacer.quota(95, 100, later);
    assert_eq!((quota.launches, quota.binding), (5, Binding::Concurrency));
    let full = pacer.quota(100, 100, later);
    assert_eq!((full.launches, full.binding), (0, Binding::Concurrency));
    assert_eq!(pacer.quota(120, 100, later).launches, 0);
    // What concurrency withheld is still there, up to the burst.
    assert_eq!(pacer.quota(0, 100, later).launches, 45);
}

#[test]
fn a_rate_or_a_limit_of_zero_is_idle_and_does_not_spin() {
    let now = Instant::now();
    for (rate, max_live) in [(0, 10), (1_000, 0)] {
        let quota = Pacer::new(rate, 5).quota(0, max_live, now);
        assert_eq!(
            quota,
            Quota { launches: 0, revisit_at: now + IDLE_REVISIT, binding: Binding::Idle }
        );
    }
}

#[test]
fn a_pause_earns_no_more_than_the_burst() {
    let now = Instant::now();
    let mut pacer = Pacer::new(10_000, 3);
    let _first = pacer.quota(0, 100, now);
    assert_eq!(pacer.quota(0, 100, now + SECOND * 3_600).launches, 3);
}

#[test]
fn a_new_rate_counts_from_now_on_and_not_backwards() {
    let now = Instant::now();
    let mut pacer = Pacer::new(1_000, 1_000);
    let _first = pacer.quota(0, 5_000, now);
    let later = now + SECOND * 10;
    pacer.set_rate(100_000, later);
    assert_eq!(pacer.rate_milli_cps(), 100_000);
    assert_eq!(pacer.quota(0, 5_000, later).launches, 10);
    pacer.set_rate(0, later + SECOND);
    assert_eq!(pacer.quota(0, 5_000, later + SECOND * 60).binding, Binding::Idle);
}

#[test]
fn launches_given_back_can_be_granted_again_but_not_beyond_the_burst() {
    let now = Instant::now();
    let mut pacer = Pacer::new(1_000, 2);
    assert_eq!(pacer.quota(0, 9, now).launches, 1);
    pacer.give_back(1);
    assert_eq!(pacer.quota(0, 9, now).launches, 1);
    pacer.give_back(100);
    assert_eq!(pacer.quota(0, 9, now).launches, 2);
}

#[test]
fn a_clock_that_steps_back_grants_nothing_extra() {
    let now = Instant::now() + SECOND * 100;
    let mut pacer = Pacer::new(1_000, 100);
    let _first = pacer.quota(0, 100, now);
    assert_eq!(pacer.quota(0, 100, now - SECOND * 50).launches, 0);
    assert_eq!(pacer.quota(0, 100, now + SECOND).launches, 1);
}

#[test]
fn a_launch_of_which_no_call_came_is_taken_back_and_another_starts_in_its_place() {
    let start = Instant::now();
    let mut pacer = Pacer::new(5_000, 2);
    // A judgement takes 20 ms. Nobody may be called, for a whole second: every launch comes back.
    let (mut now, mut judged) = (start, 0);
    for _ in 0..50 {
        let launches = pacer.quota(0, 99, now).launches;
        judged += launches;
        for _ in 0..launches {
            pacer.take_back(now);
        }
        now += SECOND / 50;
    }
    assert!(judged >= 50, "{judged} judged in a second");
    assert!(pacer.quota(0, 99, now).launches <= 2, "the burst is kept");
    assert_eq!(pacer.quota(0, 99, now).launches, 0);
}

#[test]
fn what_comes_back_late_is_no_more_than_what_could_have_been_kept() {
    let start = Instant::now();
    let mut pacer = Pacer::new(5_000, 2);
    assert_eq!(pacer.quota(0, 99, start).launches, 1);
    // Credit has been full since: with or without that launch two may start now, not three.
    let later = start + SECOND;
    assert_eq!(pacer.quota(0, 99, later).launches, 2);
    pacer.take_back(start);
    assert_eq!(pacer.quota(0, 99, later).launches, 0);
    pacer.take_back(later);
    assert_eq!(pacer.quota(0, 99, later).launches, 1);
    // Never granted, or too long ago.
    pacer.take_back(later + SECOND);
    assert_eq!(pacer.quota(0, 99, later).launches, 0);
}

/// What happens to a pacer, and how long after what happened before.
#[derive(Debug, Clone)]
enum Step {
    Back { after: u64, which: usize },
    Ask { after: u64, live: usize, max_live: usize, unused: u32 },
    Rate { after: u64, rate: u32 },
}

fn step() -> impl Strategy<Value = Step> {
    let after = prop_oneof![0_u64..50, 0_u64..50_000_000, 0_u64..5_000_000_000];
    let rate = prop_oneof![Just(0_u32), 1_u32..50, 1_u32..2_000_000, Just(u32::MAX)];
    prop_oneof![
        8 => (after.clone(), 0_usize..50, 0_usize..10_000, 0_u32..4).prop_map(
            |(after, live, max_live, unused)| Step::Ask { after, live, max_live, unused }
        ),
        4 => (after.clone(), 0_usize..20).prop_map(|(after, which)| Step::Back { after, which }),
        1 => (after, rate).prop_map(|(after, rate)| Step::Rate { after, rate }),
    ]
}

proptest! {
    #[test]
    fn in_no_span_of_time_do_more_calls_start_than_rate_times_span_and_burst(
        first_rate in 0_u32..500_000, burst in 0_u32..100, steps in prop::collection::vec(step(), 1..80),
    ) {
        let mut now = Instant::now();
        let mut pacer = Pacer::new(first_rate, burst);
        let (mut rate, mut allowed) = (first_rate, 0_u128);
        // The naive log: what the rates so far allowed, and how many started.
        let mut log: Vec<(u128, u128)> = Vec::new();
        let mut asked: Vec<Instant> = Vec::new();
        let mut pass = |after, rate| {
            now += Duration::from_nanos(after);
            allowed += u128::from(rate) * u128::from(after);
            (now, allowed)
        };
        for step in steps {
            match step {
                // One of the launches of an earlier question starts no call after all.
                Step::Back { after, which } => {
                    pass(after, rate);
                    let back = which.checked_rem(log.len()).map(|back| log.len() - 1 - back);
                    if let Some(back) = back.filter(|back| log[*back].1 > 0) {
                        log[back].1 -= 1;
                        pacer.take_back(asked[back]);
                    }
                }
                Step::Rate { after, rate: new } => {
                    pacer.set_rate(new, pass(after, rate).0);
                    rate = new;
                }
                Step::Ask { after, live, max_live, unused } => {
                    let (now, allowed) = pass(after, rate);
                    let quota = pacer.quota(live, max_live, now);
                    let room = max_live.saturating_sub(live);
                    prop_assert!(usize::try_from(quota.launches).unwrap() <= room);
                    prop_assert!(quota.revisit_at > now);
                    let unused = unused.min(quota.launches);
                    pacer.give_back(unused);
                    log.push((allowed, u128::from(quota.launches - unused)));
                    asked.push(now);
                }
            }
        }
        for (from, (allowed_before, _)) in log.iter().enumerate() {
            let mut started = 0;
            for (allowed, launches) in &log[from..] {
                started += launches;
                let bound = allowed - allowed_before + u128::from(burst.max(1)) * CALL;
                prop_assert!(started * CALL <= bound, "{started} calls from question {from}");
            }
        }
    }

    #[test]
    fn with_work_at_hand_the_rate_is_used(
        rate in 100_u32..2_000_000, tick_us in 100_u64..200_000, late_us in prop::collection::vec(0_u64..2_000, 20),
    ) {
        let tick = Duration::from_micros(tick_us);
        let start = Instant::now();
        let worst = tick + Duration::from_micros(2_000);
        let mut pacer = Pacer::new(rate, Pacer::burst_for(rate, worst));
        let mut calls = 0_u128;
        // Nothing is due before the first question.
        let first = start + Duration::from_micros(late_us[0]);
        let mut last = first;
        let spans = (200 * CALL / u128::from(rate)).max(200 * tick.as_nanos()) / tick.as_nanos();
        for no in 0..u32::try_from(spans).unwrap() {
            last = start + tick * no + Duration::from_micros(late_us[no as usize % late_us.len()]);
            calls += u128::from(pacer.quota(0, usize::MAX, last).launches);
        }
        let due = u128::from(rate) * (last - first).as_nanos();
        prop_assert!(calls * CALL * 100 >= due * 99, "{calls} calls, due {}", due / CALL);
    }

    #[test]
    fn asked_at_each_revisit_it_grants_a_call_each_time(rate in 1_u32..2_000_000, burst in 1_u32..5) {
        let mut now = Instant::now();
        let mut pacer = Pacer::new(rate, burst);
        for _ in 0..200 {
            let quota = pacer.quota(0, usize::MAX, now);
            prop_assert_eq!(quota.launches, 1);
            now = quota.revisit_at;
        }
    }
}
