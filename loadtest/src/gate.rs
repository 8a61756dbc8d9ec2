//! `loadtest gate`: the gate on a private PostgreSQL and Redis, everything on this machine's processors.
//! What is measured, and by what, is `dialer measure`.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args as Flags;

use crate::stack::{Stack, Stop};

/// Tuesday, 2026-12-01, 12:00 UTC: calling hours in Great Britain, whenever this runs.
const NOON_MS: i64 = 1_796_126_400_000;

/// How to measure the gate.
#[derive(Debug, Clone, Flags)]
pub struct Args {
    /// How many people to make.
    #[arg(long, default_value_t = 200_000)]
    persons: u32,
    /// How long each part takes, seconds.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Contacts in the gate at once.
    #[arg(long, default_value_t = 256)]
    at_once: u16,
    /// Writes the result as JSON, too.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Measures; returns what to print.
///
/// # Errors
/// When the stack does not start, or the dialer cannot measure.
pub fn command(args: &Args, stop: &Stop) -> anyhow::Result<String> {
    let stack = Stack::builder().starts_at(NOON_MS).stop(stop).start()?;
    let mut arguments = vec!["measure".into(), "--config".into(), stack.config().into_os_string()];
    for (flag, value) in [
        ("--persons", args.persons.to_string()),
        ("--seconds", args.seconds.to_string()),
        ("--at-once", args.at_once.to_string()),
    ] {
        arguments.extend([flag.into(), value.into()]);
    }
    if let Some(path) = &args.json {
        let path = std::path::absolute(path).context("--json")?;
        arguments.extend(["--json".into(), path.into_os_string()]);
    }
    let output = stack.run("dialer", &arguments)?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).context("what the dialer said")
}
