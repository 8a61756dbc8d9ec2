//! A small demo through the library: every layer, real servers, real UDP, and all zeros.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic, in its helpers too"
)]

use clap::Parser;
use loadtest::{
    demo::{self, Args, Finished},
    report::{Details, Summary},
    stack::{RunFolder, Stop},
    view::Teller,
};

/// The flags of the demo as a command line has them.
#[derive(Debug, Parser)]
struct Flags {
    #[command(flatten)]
    args: Args,
}

fn run(flags: &[&str]) -> (Summary, Details) {
    let out = RunFolder::make(false).unwrap();
    let folder = out.path().display().to_string();
    let mut all = vec!["demo", "--no-wait", "--out", &folder];
    all.extend_from_slice(flags);
    let args = Flags::parse_from(all).args;
    let Finished { summary, details, stack, .. } =
        demo::run(&args, &Stop::default(), &mut Teller::silent()).unwrap();
    let path = stack.path().to_owned();
    drop(stack);
    assert!(!path.exists(), "{} was left behind", path.display());
    (summary, details)
}

fn is_good(summary: &Summary, details: &Details) {
    assert_eq!(summary.faults(details), Vec::<String>::new(), "{summary:#?}\n{details:#?}");
    // A run that calls nobody keeps every promise, too.
    assert!(summary.attempts > 50 && summary.answered > 10, "{summary:#?}");
    assert!(summary.placements >= summary.invites_on_wire, "{summary:#?}");
    assert!(!summary.refused.is_empty() && !summary.parked.is_empty(), "{summary:#?}");
    assert!(summary.audit.records > summary.attempts, "{summary:#?}");
    for rule in summary.refused.keys() {
        assert!(details.citations.contains_key(rule), "no citation for {rule}");
    }
}

#[test]
fn a_demo_ends_with_all_zeros_and_a_verified_audit() {
    let (summary, details) = run(&["--contacts", "200", "--seed", "1"]);
    is_good(&summary, &details);
}

#[test]
fn a_killed_dialer_and_an_emptied_redis_end_with_the_same_zeros() {
    let (summary, details) = run(&[
        "--contacts",
        "200",
        "--seed",
        "2",
        "--kill-dialer-after",
        "4",
        "--empty-redis-after",
        "7",
    ]);
    is_good(&summary, &details);
}
