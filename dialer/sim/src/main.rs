//! `sim --seed N` plays one seed and says what it found; `sim --seeds A..B` plays many.

use std::process::ExitCode;

use clap::Parser;
use dialer_engine::AllFences;
use dialer_sim::{Faults, Plan, Scale, Summary, rules, run};

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
    /// The stores and the ways to them fail in every way they can.
    #[arg(long)]
    weather: bool,
    /// So many nodes, with `--people`; without, up to three.
    #[arg(long, requires = "people")]
    nodes: Option<usize>,
    /// So many people.
    #[arg(long, requires = "nodes")]
    people: Option<usize>,
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
    let scale = match (options.nodes, options.people) {
        (Some(nodes), Some(people)) => {
            Scale::Of { nodes: nodes.min(100), people: people.min(5_000) }
        }
        _ => Scale::Small,
    };
    let mut total = Summary::default();
    for seed in options.seed..options.seed + options.count {
        let (rules_change, weather) = (options.rules_change, options.weather);
        let plan = Plan { faults, rules_change, weather, scale, ..Plan::new(seed) };
        let summary = run::<AllFences>(plan, &rules);
        for finding in &summary.findings {
            println!("seed {seed}: {finding}");
        }
        total.made += summary.made;
        total.missed += summary.missed;
        total.contacts += summary.contacts;
        total.opt_outs += summary.opt_outs;
        total.weather += summary.weather;
        total.findings.extend(summary.findings);
    }
    println!(
        "{} seeds from {}: {} contacts, {} INVITEs, {} missed, {} opt-outs, {} faults of stores, \
         {} violations",
        options.count,
        options.seed,
        total.contacts,
        total.made,
        total.missed,
        total.opt_outs,
        total.weather,
        total.findings.len()
    );
    if total.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
