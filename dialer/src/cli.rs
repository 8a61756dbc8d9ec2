//! The command line, and the commands that need no running dialer.

pub mod audit;
mod diff;
mod explain;

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    net::IpAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
pub use audit::{audit_export, audit_show, audit_verify};
use clap::{Parser, Subcommand};
use dialer_policy::{Options, Ruleset, check::judge_line};
pub use diff::{Diff, effect_in, policy_diff};
pub use explain::{Explain, policy_explain};

/// The dialer: places no call that its rules deny.
#[derive(Debug, Parser)]
#[command(name = "dialer", version)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the dialer until SIGTERM or Ctrl-C.
    Run {
        /// ringfence.toml
        #[arg(long)]
        config: PathBuf,
        /// Goes before `name` in `[dialer]`: for several processes with one file.
        #[arg(long, env = "RINGFENCE_DIALER_NAME")]
        name: Option<String>,
        /// The IP address that SIP and SDP give; goes before that of `advertise` in `[dialer]`.
        #[arg(long, env = "RINGFENCE_ADVERTISE")]
        advertise: Option<IpAddr>,
    },
    /// Rule packs.
    Policy {
        /// What about them.
        #[command(subcommand)]
        command: PolicyCommand,
    },
    /// The attempt audit.
    Audit {
        /// What about it.
        #[command(subcommand)]
        command: AuditCommand,
    },
}

/// What to do with rule packs.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Judges every line of a file of cases by law alone; one line of JSON each.
    Check {
        /// Cases, one JSON object a line.
        file: PathBuf,
    },
    /// Judges one number, by what is said here: places, zones, every rule and reason, what is not
    /// known, and what would change the verdict.
    Explain(Box<Explain>),
    /// What another folder of packs says differently, and what that stops or allows in a campaign.
    Diff(Diff),
}

/// What to do with the audit.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Verifies an export offline.
    Verify {
        /// The export's folder.
        folder: PathBuf,
        /// The file with the public key.
        #[arg(long)]
        key: PathBuf,
    },
    /// Writes the audit out, up to its newest checkpoint; with filters, a part whose rows carry
    /// the proof of their place.
    Export {
        /// ringfence.toml
        #[arg(long, env = "RINGFENCE_CONFIG")]
        config: PathBuf,
        /// The folder to write to.
        #[arg(long)]
        out: PathBuf,
        /// Which records.
        #[command(flatten)]
        which: audit::Which,
    },
    /// Prints the whole story of one attempt: what was known, what the rules said, what happened.
    Show {
        /// Whose.
        #[command(flatten)]
        whose: audit::Whose,
        /// ringfence.toml
        #[arg(long, env = "RINGFENCE_CONFIG")]
        config: PathBuf,
    },
}

/// `policy check`: writes one verdict a line to `out`.
///
/// # Errors
/// If the file cannot be read or a line is no case, named by its number.
pub fn policy_check(file: &Path, out: &mut impl Write) -> Result<()> {
    let rules = Ruleset::shipped(Options { house: false }).map_err(faults)?;
    let lines =
        BufReader::new(File::open(file).with_context(|| file.display().to_string())?).lines();
    for (at, line) in lines.enumerate() {
        let said = || format!("{}:{}", file.display(), at + 1);
        let line = line.with_context(said)?;
        if !line.trim().is_empty() {
            writeln!(out, "{}", judge_line(&rules, &line).with_context(said)?)?;
        }
    }
    Ok(())
}

/// Every fault of the packs as one error.
pub(crate) fn faults(faults: Vec<dialer_policy::PackFault>) -> anyhow::Error {
    let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
    anyhow::anyhow!("the rule packs have faults:\n  {}", lines.join("\n  "))
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
