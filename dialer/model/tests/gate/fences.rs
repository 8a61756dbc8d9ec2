//! With any one fence out a promise breaks, and the way there is printed.

use dialer_model::{Broken, Event, Faults, Fences, Minting, Redis, Setup, Time};

use crate::{breaks, holds};

/// One person in as many campaigns.
fn campaigns(count: usize) -> Setup {
    Setup { contacts: vec![0b1; count], tries: 1, ..Setup::plain() }
}

macro_rules! fence {
    ($test:ident, $($fence:ident = $value:expr),+; $setup:expr, $expected:expr) => {
        #[test]
        fn $test() {
            let setup = Setup { fences: Fences { $($fence: $value,)+ ..Fences::ALL }, ..$setup };
            breaks(stringify!($test), setup, &$expected);
        }
    };
}

const REDIS: Faults = Faults { redis: 1, answers: 0, nodes: 0 };
const ANSWERS: Faults = Faults { redis: 0, answers: 1, nodes: 0 };
const NODES: Faults = Faults { redis: 0, answers: 0, nodes: 1 };

fence!(
    without_compare_in_postgres_a_cap_is_exceeded_when_redis_loses_writes,
    compare = false;
    Setup { faults: REDIS, ..campaigns(2) },
    [Broken::OverCapAtCommit, Broken::OverCap]
);
fence!(
    without_compare_in_postgres_a_suppression_is_overtaken,
    compare = false;
    Setup { contacts: vec![0b1], tries: 1, events: vec![Event::Suppress], ..Setup::plain() },
    [Broken::AfterStop]
);
fence!(
    with_a_plain_counter_for_a_token_equal_tokens_hide_different_histories,
    minting = Minting::Counter;
    Setup { cap: 2, events: vec![Event::Suppress], ..campaigns(2) },
    [Broken::AfterStop]
);
fence!(
    with_one_token_for_all_judgements_of_a_try_equal_tokens_hide_different_histories,
    minting = Minting::PerTry, reserved_is_reread = false;
    Setup { redis: Redis::Anything, cap: 2, judgements: 3, ..campaigns(3) },
    [Broken::OverCapAtCommit, Broken::OverCap]
);
fence!(
    without_the_permits_life_in_the_guard_a_late_invite_and_a_prompt_one_come_too_close,
    guard_life = false;
    Setup { time: Time { until: 6, window: 2, life: 2, clocks: 1, lease: 0 }, ..campaigns(2) },
    [Broken::OverCap]
);
fence!(
    without_the_clock_bound_in_the_guard_a_node_that_is_ahead_calls_too_early,
    guard_clocks = false;
    Setup { time: Time { until: 6, window: 2, life: 2, clocks: 2, lease: 0 }, ..campaigns(2) },
    [Broken::OverCap]
);
fence!(
    with_entries_dropped_before_the_guard_is_past_a_late_invite_is_forgotten,
    horizon_covers_guard = false;
    Setup {
        time: Time { until: 3, window: 2, life: 3, clocks: 0, lease: 0 },
        cap: 2,
        judgements: 3,
        hands: 1,
        ..campaigns(3)
    },
    [Broken::OverCap]
);
fence!(
    without_not_after_a_late_invite_leaves,
    not_after = false;
    Setup { time: Time { until: 6, window: 2, life: 1, clocks: 0, lease: 0 }, ..campaigns(2) },
    [Broken::OverCap]
);
fence!(
    without_the_bar_on_released_tries_a_late_commit_stays_open_for_ever,
    release_bars = false;
    Setup { faults: ANSWERS, contacts: vec![0b1], ..Setup::plain() },
    [Broken::NobodyEndsIt]
);
fence!(
    without_the_attempts_key_one_try_is_placed_twice,
    attempt_once = false;
    Setup { faults: NODES, contacts: vec![0b1], cap: 2, judgements: 3, ..Setup::plain() },
    [Broken::Twice]
);
fence!(
    without_counting_the_unknown_a_crash_gives_calls_back,
    unknown_counts = false;
    Setup { faults: NODES, contacts: vec![0b1], ..Setup::plain() },
    [Broken::SentCalledUnsent, Broken::OverCap]
);
fence!(
    without_heads_before_facts_a_revoked_consent_dials,
    heads_first = false;
    Setup { contacts: vec![0b1], events: vec![Event::Revoke], ..Setup::plain() },
    [Broken::AfterStop]
);
fence!(
    without_a_new_token_at_a_revocation_it_is_overtaken_by_a_judgement,
    stop_moves_head = false;
    Setup { contacts: vec![0b1], events: vec![Event::Revoke], ..Setup::plain() },
    [Broken::AfterStop]
);
fence!(
    without_a_new_token_at_a_suppression_it_is_overtaken_by_a_judgement,
    stop_moves_head = false;
    Setup { contacts: vec![0b1], events: vec![Event::Suppress], ..Setup::plain() },
    [Broken::AfterStop]
);
fence!(
    without_waiting_for_the_commit_an_invite_leaves_before_it_is_durable,
    commit_first = false;
    Setup { contacts: vec![0b1], ..Setup::plain() },
    [Broken::NotCommitted]
);
fence!(
    without_taking_silence_for_no_an_uncommitted_placement_dials,
    silence_denies = false;
    Setup { faults: ANSWERS, contacts: vec![0b1], ..Setup::plain() },
    [Broken::NotCommitted]
);
fence!(
    without_keeping_what_was_sent_a_cap_is_exceeded,
    settle_keeps = false;
    campaigns(2),
    [Broken::OverCapAtCommit]
);

/// Two persons who turn out to be one, each with a number of their own.
fn two_persons() -> Setup {
    Setup { contacts: vec![0b01, 0b10], tries: 1, events: vec![Event::Merge], ..Setup::plain() }
}

fence!(
    without_new_tokens_at_a_merge_a_judgement_on_half_a_history_stands,
    merge_moves_heads = false;
    two_persons(),
    [Broken::OverCapAtCommit]
);
fence!(
    without_closing_the_head_that_a_merge_empties_whoever_had_taken_its_contact_calls_past_the_other,
    merge_closes_head = false;
    two_persons(),
    [Broken::OverCapAtCommit]
);
fence!(
    without_the_other_history_a_merged_person_is_called_once_too_often,
    merge_unites = false;
    two_persons(),
    [Broken::OverCapAtCommit]
);

/// One contact, two nodes, an opt-out by way of the API.
fn opt_out() -> Setup {
    let time = Time { until: 5, lease: 2, ..Time::NONE };
    Setup { contacts: vec![0b1], tries: 1, events: vec![Event::OptOut], time, ..Setup::plain() }
}

fence!(
    without_a_lease_a_paused_node_sends_after_the_answer,
    lease = false;
    opt_out(),
    [Broken::AfterAnswer]
);
fence!(
    with_a_lease_from_the_end_of_its_poll_it_outlives_the_answer,
    lease_from_begin = false;
    opt_out(),
    [Broken::AfterAnswer]
);
fence!(
    with_a_lease_given_since_the_driver_took_it_a_datagram_leaves_after_the_answer,
    lease_of_handover = false;
    opt_out(),
    [Broken::AfterAnswer]
);
fence!(
    with_the_lease_before_the_rows_an_invite_leaves_in_between,
    rows_before_lease = false;
    opt_out(),
    [Broken::AfterAnswer]
);
fence!(
    without_the_apis_wait_a_lease_still_runs_when_it_answers,
    answer_waits = false;
    opt_out(),
    [Broken::AfterAnswer]
);
fence!(
    with_the_row_before_the_heads_a_judgement_in_between_is_never_stopped,
    row_with_heads = false;
    opt_out(),
    [Broken::AfterAnswer]
);
fence!(
    without_leaving_to_the_driver_what_it_has_a_sent_call_is_called_unsent,
    handed_may_leave = false;
    opt_out(),
    [Broken::SentCalledUnsent]
);

#[test]
fn that_a_load_never_overwrites_saves_work_and_is_no_fence() {
    let fences = Fences { load_never_overwrites: false, ..Fences::ALL };
    let faults = Faults { redis: 2, ..Faults::default() };
    let events = vec![Event::Suppress];
    holds("loads overwrite", Setup { fences, faults, events, ..campaigns(2) });
}

#[test]
fn that_open_reservations_are_read_again_saves_calls_and_is_no_fence_while_tokens_are_fresh() {
    let fences = Fences { reserved_is_reread: false, ..Fences::ALL };
    let setup = Setup { fences, cap: 2, judgements: 2, hands: 2, ..campaigns(3) };
    holds("reservations are judged on", Setup { redis: Redis::Anything, ..setup });
}
