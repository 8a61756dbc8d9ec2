//! `sim --seed N` plays one seed and says what it found; `sim --seeds A..B` plays many.

use std::process::ExitCode;

use clap::Parser;
use dialer_engine::AllFences;
use dialer_sim::{Faults, Plan, StoreFences, Summary, rules, run};

#[derive(Debug, Parser)]
#[command(about = "The seeded world that tries to break the promises")]
struct Options {
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many seeds from there.
    #[arg(long, default_value_t = 1)]
    count: u64,
    /// Nothing goes wrong.
    #[arg(long)]
    quiet_world: bool,
    /// The rules change in the middle of the run, and change back.
    #[arg(long)]
    rules_change: bool,
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a command for people")]
fn main() -> ExitCode {
    let options = Options::parse();
    let rules = match rules() {
        Ok(rules) => rules,
        Err(faults) => {
            eprintln!("rule packs: {faults}");
            return ExitCode::from(2);
        }
    };
    let faults = if options.quiet_world { Faults::None } else { Faults::All };
    let mut total = Summary::default();
    for seed in options.seed..options.seed + options.count {
        let stores = StoreFences::ALL;
        let plan = Plan { seed, faults, stores, rules_change: options.rules_change };
        let summary = run::<AllFences>(plan, &rules);
        for finding in &summary.findings {
            println!("seed {seed}: {finding}");
        }
        total.made += summary.made;
        total.missed += summary.missed;
        total.contacts += summary.contacts;
        total.opt_outs += summary.opt_outs;
        total.findings.extend(summary.findings);
    }
    println!(
        "{} seeds from {}: {} contacts, {} INVITEs, {} missed, {} opt-outs, {} violations",
        options.count,
        options.seed,
        total.contacts,
        total.made,
        total.missed,
        total.opt_outs,
        total.findings.len()
    );
    if total.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
