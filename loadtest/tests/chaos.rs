//! The drill: three dialers, everything fails that can, and the carrier saw no call too many. Its
//! seed is fixed, so that what goes wrong here goes wrong again by hand:
//! `./ringfence chaos --minutes 3 --seed 1`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic, in its helpers too"
)]

use clap::Parser;
use loadtest::{
    chaos::{self, Args, Kind},
    stack::Stop,
    view::Teller,
};

/// The flags of the drill as a command line has them.
#[derive(Debug, Parser)]
struct Flags {
    #[command(flatten)]
    args: Args,
}

#[test]
fn a_storm_over_three_dialers_breaks_no_promise() {
    let args = Flags::parse_from(["chaos", "--minutes", "3", "--seed", "1"]).args;
    // Told as it goes: a test that fails shows what was done when.
    let outcome = chaos::run(&args, &Stop::default(), &mut Teller::stdout()).unwrap();
    assert_eq!(outcome.faults(), Vec::<String>::new(), "{outcome:#?}");
    // A drill in which nothing happens proves nothing.
    let kinds = outcome.faults.len();
    assert!(kinds >= Kind::ALL.len() - 2, "{kinds} kinds of faults: {:?}", outcome.faults);
    assert!(outcome.invites > 1000, "{} INVITEs", outcome.invites);
    assert!(outcome.opt_outs_well.count >= 100, "{}", outcome.opt_outs_well);
}
