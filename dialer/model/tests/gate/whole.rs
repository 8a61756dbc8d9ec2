//! With every fence in place no promise is broken, in any state within these bounds. The larger ones
//! are for `--ignored`.

use dialer_model::{Event, Faults, Redis, Setup, Time};

use crate::holds;

/// One person in as many campaigns, each tried once.
fn campaigns(count: usize) -> Setup {
    Setup { contacts: vec![0b1; count], tries: 1, ..Setup::plain() }
}

/// Two persons who share a number.
fn household() -> Setup {
    Setup { contacts: vec![0b101, 0b110], tries: 1, ..Setup::plain() }
}

const fn faults(redis: u8, answers: u8, nodes: u8) -> Faults {
    Faults { redis, answers, nodes }
}

const AGEING: Time = Time { until: 5, window: 2, life: 2, clocks: 1, lease: 0 };
const LEASES: Time = Time { until: 5, lease: 2, ..Time::NONE };

macro_rules! whole {
    ($($(#[$ignored:meta])? $test:ident: $setup:expr;)+) => {
        $(
            #[test]
            $(#[$ignored])?
            fn $test() {
                holds(stringify!($test), $setup);
            }
        )+
    };
}

whole! {
    redis_fails_twice_and_somebody_is_suppressed: Setup {
        faults: faults(2, 0, 0),
        events: vec![Event::Suppress],
        ..campaigns(2)
    };
    redis_fails_under_a_cap_of_two: Setup { faults: faults(1, 0, 0), cap: 2, ..campaigns(3) };
    redis_fails_and_a_consent_is_revoked: Setup {
        faults: faults(1, 0, 0),
        events: vec![Event::Revoke],
        ..campaigns(2)
    };
    redis_says_anything_to_three_nodes: Setup {
        redis: Redis::Anything,
        cap: 2,
        hands: 3,
        judgements: 1,
        ..campaigns(3)
    };
    redis_says_anything_of_somebody_who_is_suppressed_and_revokes: Setup {
        redis: Redis::Anything,
        cap: 2,
        events: vec![Event::Suppress, Event::Revoke],
        ..campaigns(3)
    };
    redis_fails_under_two_persons_who_share_a_number: Setup {
        faults: faults(1, 0, 0),
        ..household()
    };
    a_cluster_reserves_slot_by_slot_and_somebody_is_suppressed: Setup {
        redis: Redis::Slots,
        events: vec![Event::Suppress],
        ..household()
    };
    redis_says_anything_of_three_placements_that_share_a_subject_by_twos: Setup {
        redis: Redis::Anything,
        contacts: vec![0b011, 0b110, 0b101],
        ..campaigns(3)
    };
    answers_are_lost_and_a_node_dies: Setup {
        tries: 2,
        faults: faults(0, 1, 1),
        ..campaigns(2)
    };
    answers_are_lost_and_a_node_dies_over_three_tries: Setup {
        tries: 3,
        judgements: 3,
        cap: 2,
        faults: faults(0, 1, 1),
        ..campaigns(1)
    };
    an_entry_leaves_its_window_while_a_permit_lives: Setup { time: AGEING, ..campaigns(2) };
    an_entry_leaves_its_window_in_a_redis_that_says_anything: Setup {
        redis: Redis::Anything,
        time: AGEING,
        ..campaigns(2)
    };
    two_persons_turn_out_to_be_one: Setup {
        contacts: vec![0b01, 0b10],
        events: vec![Event::Merge],
        faults: faults(1, 0, 0),
        ..campaigns(2)
    };
    two_persons_turn_out_to_be_one_and_are_suppressed: Setup {
        redis: Redis::Anything,
        contacts: vec![0b01, 0b10, 0b01],
        cap: 2,
        events: vec![Event::Merge, Event::Suppress],
        ..campaigns(3)
    };
    an_opt_out_is_answered: Setup { events: vec![Event::OptOut], time: LEASES, ..campaigns(1) };
    #[ignore = "larger: minutes"]
    larger_household_with_a_suppression: Setup {
        faults: faults(1, 0, 0),
        events: vec![Event::Suppress],
        ..household()
    };
    #[ignore = "larger: minutes"]
    larger_cluster_that_fails: Setup {
        redis: Redis::Slots,
        faults: faults(1, 0, 0),
        ..household()
    };
    #[ignore = "larger: minutes"]
    larger_ageing_under_a_cap_of_two_in_a_redis_that_says_anything: Setup {
        redis: Redis::Anything,
        time: AGEING,
        cap: 2,
        ..campaigns(3)
    };
    #[ignore = "larger: minutes"]
    larger_lost_answers_and_a_dead_node_with_a_redis_that_says_anything: Setup {
        redis: Redis::Anything,
        tries: 2,
        events: vec![Event::Suppress],
        faults: faults(0, 1, 1),
        ..campaigns(2)
    };
    #[ignore = "larger: minutes"]
    larger_ageing_with_a_redis_that_fails: Setup {
        time: AGEING,
        faults: faults(1, 0, 0),
        ..campaigns(2)
    };
}
