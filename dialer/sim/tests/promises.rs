//! The promises hold over many seeds. A seed that ever failed is kept in `failed_seeds.txt`.

use dialer_engine::AllFences;
use dialer_sim::{Faults, Plan, Rules, Scale, rules, run, run_fenced};

/// Seeds tried in every test run; `sim --count N` tries more.
const SEEDS: u64 = 2_000;

fn packs() -> Rules {
    rules().expect("the shipped packs load")
}

/// Plays seeds and fails with the first that finds something, or when too little was called.
fn play(seeds: impl Iterator<Item = u64>, faults: Faults, yield_permille: usize) {
    play_where(seeds, Plan { faults, ..Plan::new(0) }, yield_permille);
}

/// The same, in worlds of this kind.
fn play_where(seeds: impl Iterator<Item = u64>, of: Plan, yield_permille: usize) {
    let rules = packs();
    let faults = of.faults;
    let (mut made, mut missed, mut opt_outs) = (0, 0, 0);
    for seed in seeds {
        let plan = Plan { seed, ..of };
        let summary = run::<AllFences>(plan, &rules);
        let findings: Vec<String> = summary.findings.iter().map(ToString::to_string).collect();
        assert!(
            findings.is_empty(),
            "seed {seed} ({faults:?}): replay with `cargo run -p dialer-sim -- --seed {seed}{}`\n{}",
            words(of),
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

/// What the command is told besides the seed.
fn words(of: Plan) -> String {
    let mut words = String::new();
    for (is, word) in [
        (of.faults == Faults::None, " --quiet-world"),
        (of.rules_change, " --rules-change"),
        (of.weather, " --weather"),
    ] {
        words.push_str(if is { word } else { "" });
    }
    if let Scale::Of { nodes, people } = of.scale {
        words.push_str(&format!(" --nodes {nodes} --people {people}"));
    }
    words
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
    let changing = Plan { rules_change: true, ..Plan::new(0) };
    play_where(0..SEEDS / 4, changing, 990);
    play_where(0..SEEDS / 8, Plan { faults: Faults::None, ..changing }, 999);
}

#[test]
fn with_stores_that_fail_in_every_way_no_promise_is_broken() {
    let weather = Plan { weather: true, ..Plan::new(0) };
    play_where(0..SEEDS / 4, weather, 990);
    play_where(0..SEEDS / 8, Plan { faults: Faults::None, ..weather }, 990);
}

/// Thousands of people and two dozen nodes: what is rare in a small town happens here many times in
/// one seed.
const LARGE: Scale = Scale::Of { nodes: 24, people: 3_000 };

#[expect(clippy::print_stdout, reason = "what was played, for whoever reads the test's output")]
fn play_large(seeds: std::ops::Range<u64>) {
    let rules = packs();
    for seed in seeds {
        let plan = Plan { weather: true, scale: LARGE, ..Plan::new(seed) };
        println!(
            "seed {seed}: replay with `cargo run -p dialer-sim -- --seed {seed}{}`",
            words(plan)
        );
        let summary = run::<AllFences>(plan, &rules);
        println!(
            "seed {seed}: {} contacts, {} INVITEs, {} missed, {} opt-outs, {} faults of stores",
            summary.contacts, summary.made, summary.missed, summary.opt_outs, summary.weather
        );
        let findings: Vec<String> = summary.findings.iter().map(ToString::to_string).collect();
        assert!(findings.is_empty(), "seed {seed}\n{}", findings.join("\n"));
        assert!(summary.made > 3_000 && summary.weather > 24, "the world stood still");
        assert!(summary.made * 1000 >= (summary.made + summary.missed) * 990, "too little called");
    }
}

#[test]
fn three_thousand_people_and_two_dozen_nodes_in_all_weather() {
    play_large(0..3);
}

#[test]
fn three_thousand_other_people_and_two_dozen_nodes_in_all_weather() {
    play_large(3..6);
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
