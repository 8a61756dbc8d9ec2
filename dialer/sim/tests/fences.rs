//! Every fence is needed: with any one of them out, the simulator finds a broken promise.

use dialer_engine::{AllFences, Fences};
use dialer_sim::{Plan, StoreFences, Violation, rules, run};

/// Seeds in which a missing fence must show.
const SEEDS: u64 = 4_000;

/// Plays seeds until one of the expected promises is broken.
fn must_break<F: Fences + std::fmt::Debug>(stores: StoreFences, expected: &[Violation]) {
    must_break_where::<F>(Plan { stores, ..Plan::new(0) }, expected);
}

/// The same, in worlds of this kind.
#[expect(
    clippy::print_stdout,
    reason = "the seed that shows it, for whoever reads the test's output"
)]
fn must_break_where<F: Fences + std::fmt::Debug>(of: Plan, expected: &[Violation]) {
    let rules = rules().expect("the shipped packs load");
    for seed in 0..SEEDS {
        let summary = run::<F>(Plan { seed, ..of }, &rules);
        if let Some(finding) =
            summary.findings.iter().find(|finding| expected.contains(&finding.violation))
        {
            println!("seed {seed}: {finding}");
            return;
        }
    }
    panic!("{SEEDS} seeds without {expected:?}: the fence is not needed, or not tested");
}

macro_rules! engine_fence {
    ($test:ident, $name:ident, $fence:ident, $expected:expr) => {
        #[derive(Debug)]
        struct $name;
        impl Fences for $name {
            const $fence: bool = false;
        }
        #[test]
        fn $test() {
            must_break::<$name>(StoreFences::ALL, &$expected);
        }
    };
}

engine_fence!(
    without_the_check_that_proofs_belong_together_a_foreign_receipt_dials,
    NoSamePlacement,
    SAME_PLACEMENT,
    [Violation::NotCommitted]
);
engine_fence!(without_not_after_a_late_invite_leaves, NoNotAfter, NOT_AFTER, [Violation::TooLate]);
#[derive(Debug)]
struct NoSameRules;
impl Fences for NoSameRules {
    const SAME_RULES: bool = false;
}
#[test]
fn without_comparing_the_rules_a_permit_of_rules_that_were_swapped_out_dials() {
    let changing = Plan { rules_change: true, ..Plan::new(0) };
    must_break_where::<NoSameRules>(changing, &[Violation::OtherRules]);
}
engine_fence!(
    without_heads_before_facts_a_revoked_consent_dials,
    NoHeadsFirst,
    HEADS_FIRST,
    [Violation::NoConsent]
);
engine_fence!(
    without_the_guard_a_late_invite_and_a_prompt_one_come_too_close,
    NoGuard,
    GUARD,
    [Violation::OverCap]
);
engine_fence!(
    without_stopping_on_an_opt_out_a_cleared_invite_leaves_after_it,
    NoStop,
    SUPPRESSION_STOPS,
    [Violation::AfterOptOut]
);
engine_fence!(
    without_a_send_lease_a_node_that_has_not_heard_dials_after_the_answer,
    NoLease,
    SEND_LEASE,
    [Violation::AfterOptOut]
);
engine_fence!(
    without_cancelling_on_an_opt_out_it_rings_on,
    NoCancel,
    SUPPRESSION_CANCELS,
    [Violation::RangOn]
);
engine_fence!(
    without_a_fresh_token_for_every_judgement_equal_tokens_hide_different_histories,
    NoFreshToken,
    FRESH_TOKEN,
    [Violation::OverCap, Violation::Twice, Violation::NotCommitted, Violation::SentCalledUnsent]
);
engine_fence!(
    without_the_breaker_a_failing_trunk_is_sent_call_after_call,
    NoBreaker,
    BREAKER,
    [Violation::PastBreaker]
);
engine_fence!(without_the_drain_a_stopping_node_dials, NoDrain, DRAIN, [Violation::WhileDraining]);

macro_rules! store_fence {
    ($test:ident, $fence:ident, $expected:expr) => {
        #[test]
        fn $test() {
            let stores = StoreFences { $fence: false, ..StoreFences::ALL };
            must_break::<AllFences>(stores, &$expected);
        }
    };
}

store_fence!(
    without_compare_in_postgres_a_cap_is_exceeded_when_redis_loses_writes,
    compare,
    [Violation::OverCap]
);
store_fence!(
    without_waiting_for_the_commit_an_invite_leaves_before_its_judgement_is_durable,
    commit_first,
    [Violation::NotCommitted]
);
store_fence!(
    without_taking_silence_for_no_an_uncommitted_placement_dials,
    timeout_denies,
    [Violation::NotCommitted, Violation::SentCalledUnsent]
);
store_fence!(
    without_counting_the_unknown_a_crash_gives_calls_back,
    unknown_counts,
    [Violation::SentCalledUnsent, Violation::OverCap]
);
store_fence!(
    without_the_attempts_key_a_late_commit_and_its_second_try_both_stand,
    attempt_once,
    [Violation::Outcomes, Violation::Twice]
);
store_fence!(
    without_the_bar_on_released_attempts_a_late_commit_stays_open,
    release_bars,
    [Violation::Outcomes]
);
store_fence!(
    without_moving_the_head_an_opt_out_is_overtaken_by_a_judgement,
    optout_moves_head,
    [Violation::AfterOptOut, Violation::NoConsent]
);
store_fence!(
    without_waiting_for_the_leases_an_opt_out_is_answered_too_soon,
    answer_waits,
    [Violation::AfterOptOut]
);
store_fence!(
    without_the_intent_in_the_commit_an_invite_has_no_record,
    intent_with_commit,
    [Violation::NotCommitted]
);
store_fence!(
    without_keeping_settled_placements_a_cap_is_exceeded,
    settle_keeps,
    [Violation::OverCap]
);

/// Without it, in worlds whose stores and clocks fail in every way.
fn must_break_in_weather(stores: StoreFences, expected: &[Violation]) {
    must_break_where::<AllFences>(Plan { stores, weather: true, ..Plan::new(0) }, expected);
}

#[test]
fn without_closing_on_a_clock_that_is_off_a_stepped_node_calls_at_the_wrong_time() {
    let stores = StoreFences { clock_closes: false, ..StoreFences::ALL };
    let expected = [Violation::OverCap, Violation::OutsideWindow, Violation::TooLate];
    must_break_in_weather(stores, &expected);
}

#[test]
fn without_compare_in_postgres_a_split_brain_exceeds_caps() {
    let stores = StoreFences { compare: false, ..StoreFences::ALL };
    must_break_in_weather(stores, &[Violation::OverCap]);
}

#[test]
fn without_the_bar_on_released_attempts_a_commit_whose_answer_was_lost_stays_open() {
    let stores = StoreFences { release_bars: false, ..StoreFences::ALL };
    must_break_in_weather(stores, &[Violation::Outcomes]);
}

#[test]
fn without_counting_the_unknown_a_node_taken_for_dead_gives_calls_back() {
    let stores = StoreFences { unknown_counts: false, ..StoreFences::ALL };
    must_break_in_weather(stores, &[Violation::SentCalledUnsent, Violation::OverCap]);
}
