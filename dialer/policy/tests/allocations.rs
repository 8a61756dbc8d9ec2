//! A judgement allocates nothing, and a verdict nothing that it does not hand over. The benches say
//! how much that is; here a change that brings an allocation into the hot path fails.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::hint::black_box;

use allocation_counter::measure;
use dialer_policy::{Evaluation, Options, Ruleset, Verdict, check::read_case};

#[test]
fn a_judgement_allocates_nothing_and_a_verdict_only_what_it_hands_over() {
    let rules = Ruleset::shipped(Options { house: true }).unwrap();
    for line in include_str!("vectors.jsonl").lines() {
        let case = read_case(line).unwrap();
        let judge = || rules.judge(&case.facts, &Evaluation::LAW, case.now);
        // Tables of places and zones are made when they are first asked for.
        black_box(judge().into_verdict());
        let judged = measure(|| {
            let judgement = judge();
            black_box((judgement.is_permitted(), judgement.denied_by().count()));
            black_box(judgement.first_lawful());
        });
        assert_eq!(judged.count_total, 0, "{}", case.id);
        let mut verdict = None;
        let made = measure(|| verdict = Some(judge().into_verdict()));
        if let Some(Verdict::Permit(_)) = &verdict {
            let kept = u64::try_from(made.count_current).unwrap();
            assert_eq!(made.count_total, kept, "{}", case.id);
            assert!(kept <= 6, "{}: {kept}", case.id);
        }
    }
}
