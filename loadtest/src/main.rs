//! `loadtest`: the demo and the parts of the test rig.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use loadtest::{
    carrier, chaos, checker, demo, gate, lists, opt_outs,
    stack::{Interrupted, Stop},
    tryout,
};

/// The test rig of Ringfence: private stack, simulated carrier, independent checker.
#[derive(Debug, Parser)]
#[command(name = "loadtest", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a campaign against a simulated carrier on a private stack, and check it
    Demo(demo::Args),
    /// Kill, freeze, cut off and mislead everything under load, and check what the carrier saw
    Chaos(chaos::Args),
    /// Start a private Ringfence to work with by hand, until Ctrl-C
    Try(tryout::Args),
    /// Be a carrier on UDP, logging every datagram
    Carrier(carrier::Args),
    /// Check a wire log against the rules, by brute force
    Check(checker::Args),
    /// Measure the gate: placements judged, reserved, committed and cleared a second
    Gate(gate::Args),
    /// Measure opt-outs: how long the API takes to answer, and that nothing leaves after it
    OptOuts(opt_outs::Args),
    /// Measure a national list: its size, its building, its answers
    Lists(lists::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        Command::Demo(args) => Stop::on_signals().and_then(|stop| demo::command(&args, &stop)),
        Command::Chaos(args) => Stop::on_signals().and_then(|stop| chaos::command(&args, &stop)),
        Command::Try(args) => Stop::on_signals().and_then(|stop| tryout::command(&args, &stop)),
        Command::Carrier(args) => carrier::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Gate(args) => Stop::on_signals()
            .and_then(|stop| gate::command(&args, &stop))
            .map(|measured| print_out(&measured)),
        Command::OptOuts(args) => {
            Stop::on_signals().and_then(|stop| opt_outs::command(&args, &stop))
        }
        Command::Lists(args) => lists::run(&args).map(|measured| say(&measured)),
        Command::Check(args) => checker::run(&args).map(|report| check_code(&report)),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => fail(&error),
    }
}

/// 0 only when nothing was found.
#[expect(clippy::print_stdout, reason = "the command's output")]
fn check_code(report: &checker::report::Report) -> ExitCode {
    println!("{report}");
    if report.violation_count() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[expect(clippy::print_stdout, reason = "the command's output")]
fn print_out(text: &str) -> ExitCode {
    print!("{text}");
    ExitCode::SUCCESS
}

#[expect(clippy::print_stdout, reason = "the command's output")]
fn say(measured: &lists::Measured) -> ExitCode {
    print!("{measured}");
    ExitCode::SUCCESS
}

#[expect(clippy::print_stderr, reason = "the command's last words")]
fn fail(error: &anyhow::Error) -> ExitCode {
    if error.downcast_ref::<Interrupted>().is_some() {
        eprintln!("\nstopped; nothing is left running");
        return ExitCode::from(130);
    }
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}
