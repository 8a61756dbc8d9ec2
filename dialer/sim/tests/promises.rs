//! The promises hold over many seeds. A seed that ever failed is kept in `failed_seeds.txt`.

use dialer_engine::AllFences;
use dialer_sim::{Faults, Plan, Rules, StoreFences, rules, run, run_fenced};

/// Seeds tried in every test run; `sim --count N` tries more.
const SEEDS: u64 = 2_000;

fn packs() -> Rules {
    rules().expect("the shipped packs load")
}

/// Plays seeds and fails with the first that finds something, or when too little was called.
fn play(seeds: impl Iterator<Item = u64>, faults: Faults, yield_permille: usize) {
    play_where(seeds, faults, yield_permille, false);
}

/// The same, in worlds whose rules change or do not.
fn play_where(
    seeds: impl Iterator<Item = u64>,
    faults: Faults,
    yield_permille: usize,
    rules_change: bool,
) {
    let rules = packs();
    let (mut made, mut missed, mut opt_outs) = (0, 0, 0);
    for seed in seeds {
        let plan = Plan { seed, faults, stores: StoreFences::ALL, rules_change };
        let summary = run::<AllFences>(plan, &rules);
        let findings: Vec<String> = summary.findings.iter().map(ToString::to_string).collect();
        assert!(
            findings.is_empty(),
            "seed {seed} ({faults:?}): replay with `cargo run -p dialer-sim -- --seed {seed}{}`\n{}",
            if rules_change { " --rules-change" } else { "" },
            findings.join("\n")
        );
        made += summary.made;
        missed += summary.missed;
        opt_outs += summary.opt_outs;
    }
    assert!(made > 0 && opt_outs > 0, "{made} calls, {opt_outs} opt-outs: the world stood still");
    let lawful_yield = made * 1000 / (made + missed);
    assert!(
        lawful_yield >= yield_permille,
        "lawful yield {lawful_yield} of 1000: {made} made, {missed} missed"
    );
}

#[test]
fn with_every_fault_no_promise_is_broken_and_nearly_every_lawful_call_is_made() {
    play(0..SEEDS / 2, Faults::All, 990);
}

#[test]
fn with_every_fault_no_promise_is_broken_in_other_seeds_either() {
    play(SEEDS / 2..SEEDS, Faults::All, 990);
}

#[test]
fn on_a_quiet_afternoon_every_lawful_call_is_made() {
    play(0..SEEDS / 4, Faults::None, 999);
}

#[test]
fn with_rules_that_change_nobody_is_called_by_those_that_were_swapped_out_nor_waits_for_ever() {
    play_where(0..SEEDS / 4, Faults::All, 990, true);
    play_where(0..SEEDS / 8, Faults::None, 999, true);
}

#[test]
fn seeds_that_once_failed_stay_mended() {
    let kept = include_str!("failed_seeds.txt");
    let seeds = kept.lines().filter_map(|line| line.split('#').next()?.trim().parse().ok());
    play(seeds, Faults::All, 0);
}

#[test]
fn the_same_seed_is_the_same_run() {
    let rules = packs();
    let (one, two) = (run_fenced(7, Faults::All, &rules), run_fenced(7, Faults::All, &rules));
    assert_eq!((one.made, one.missed, one.contacts), (two.made, two.missed, two.contacts));
}
