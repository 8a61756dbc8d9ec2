//! The command line, and the commands that need no running dialer.

pub mod audit;
pub mod campaign;
mod diff;
mod explain;
pub mod lists;

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    net::IpAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
pub use audit::{audit_export, audit_show, audit_verify};
use clap::{Parser, Subcommand};
use dialer_policy::{Mark, Options, PackSource, Ruleset, check::judge_line};
pub use diff::{Diff, effect_in, policy_diff};
pub use explain::{Explain, policy_explain};
pub use lists::lists;

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
    /// National do-not-call lists.
    Lists {
        /// What about them.
        #[command(subcommand)]
        command: lists::ListsCommand,
    },
    /// Measures the gate on these stores: placements judged, reserved, committed and cleared a second.
    Measure(crate::measure::Measure),
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
        /// Judge by the rules of the house and by this pack of your own, too.
        #[arg(long)]
        house: Option<PathBuf>,
    },
    /// Prints every rule: force on or off, verification mark, content hash, and who signed it.
    Rules {
        /// With the rules of the house and this pack of your own.
        #[arg(long)]
        house: Option<PathBuf>,
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

/// The law alone; with a pack of one's own, the rules of the house and that pack on top.
fn rules(house: Option<&Path>) -> Result<Ruleset> {
    let Some(path) = house else { return rules_of(None) };
    let (name, text) = (path.display().to_string(), read(path)?);
    rules_of(Some(PackSource { name: &name, text: &text }))
}

fn rules_of(own: Option<PackSource<'_>>) -> Result<Ruleset> {
    let options = Options { house: own.is_some() };
    Ruleset::shipped_with(own.as_slice(), options).map_err(faults)
}

/// `policy rules`: a line for every rule, its cells apart by tabs.
///
/// # Errors
/// If the pack has faults, all of which are named, or `out` takes no more.
pub fn policy_rules(house: Option<&Path>, out: &mut impl Write) -> Result<()> {
    list_rules(&rules(house)?, out)
}

fn list_rules(rules: &Ruleset, out: &mut impl Write) -> Result<()> {
    writeln!(out, "rule\tforce\tverified\thash\tsigned")?;
    for id in rules.rule_ids().map(dialer_types::RuleId::as_str) {
        let force = if rules.is_on(id) == Some(true) { "on" } else { "off" };
        let mark = rules.verification(id).map_or("-", Mark::as_str);
        let hash = rules.rule_hash(id).map(|hash| hash.to_string()).unwrap_or_default();
        let signed = rules.signed(id).map_or_else(
            || "not signed".to_owned(),
            |signature| {
                let (by, on) = (&signature.by, signature.on);
                let stands = if signature.current { "" } else { ", before its last change" };
                format!("{by} on {on}{stands}")
            },
        );
        writeln!(out, "{id}\t{force}\t{mark}\t{hash}\t{signed}")?;
    }
    for named in rules.exceptions() {
        let (rule, by, second) = (&named.rule, &named.by, &named.second_person);
        let until = named.until.map_or_else(String::new, |until| format!(" to {until}"));
        let from = named.from;
        writeln!(
            out,
            "exception\t{rule}\tfrom {from}{until}\t{}\t{by} and {second}: {}",
            named.relies_on, named.reason
        )?;
    }
    Ok(())
}

/// `policy check`: writes one verdict a line to `out`.
///
/// # Errors
/// If the file cannot be read or a line is no case, named by its number.
pub fn policy_check(file: &Path, house: Option<&Path>, out: &mut impl Write) -> Result<()> {
    let rules = rules(house)?;
    let cases = BufReader::new(File::open(file).with_context(|| file.display().to_string())?);
    judge_lines(&rules, cases, &file.display().to_string(), out)
}

fn judge_lines(
    rules: &Ruleset,
    cases: impl BufRead,
    file: &str,
    out: &mut impl Write,
) -> Result<()> {
    let mut faults = Vec::new();
    let mut more = 0;
    for (at, line) in cases.lines().enumerate() {
        let said = || format!("{file}:{}", at + 1);
        let line = line.with_context(said)?;
        if line.trim().is_empty() {
            continue;
        }
        match judge_line(rules, &line) {
            Ok(verdict) => writeln!(out, "{verdict}")?,
            Err(fault) if faults.len() < FAULTS => faults.push(format!("{}: {fault}", said())),
            Err(_) => more += 1,
        }
    }
    if more > 0 {
        faults.push(format!("{file}: and {more} lines more"));
    }
    anyhow::ensure!(faults.is_empty(), "{}", faults.join("\n  "));
    Ok(())
}

/// Lines of a file that are told one by one when they cannot be judged; the others are judged.
const FAULTS: usize = 100;

/// Every fault of the packs as one error.
pub(crate) fn faults(faults: Vec<dialer_policy::PackFault>) -> anyhow::Error {
    let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
    anyhow::anyhow!("the rule packs have faults:\n  {}", lines.join("\n  "))
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]
    use super::*;

    const CASE: &str = r#"{"id":"a","now":"2026-12-01T16:00:00Z","call":{"number":"+12125550123","line_type":"landline","party_type":"business","address":null,"purpose":"survey","technology":"manual","seller":"s","account":null,"relationship":null,"campaign":"c"},"history":[{"at":"2026-12-01T15:00:00Z","number":"+12125550123","account":null,"seller":"other","purpose":"survey","technology":"manual","outcome":"busy"}]}"#;

    fn told(own: Option<&str>) -> Result<String> {
        let rules = rules_of(own.map(|text| PackSource { name: "own.toml", text }))?;
        let mut out = Vec::new();
        judge_lines(&rules, CASE.as_bytes(), "cases.jsonl", &mut out)?;
        Ok(String::from_utf8(out)?)
    }

    #[test]
    fn a_case_is_judged_by_law_alone_unless_the_house_is_asked_for() {
        assert!(told(None).unwrap().contains("\"verdict\":\"permit\""));
        let house = told(Some("[[override]]\nrule = \"house.min_gap\"\nhours = 3\n")).unwrap();
        assert!(house.contains("house.min_gap") && house.contains("2026-12-01T18:00:00Z"));
        assert!(!house.contains("other"), "one seller sees nothing of another: {house}");
        let faulty = told(Some("[[tighten]]\nrule = \"us.fl.cap\"\nmax = 9\n"));
        let fault = faulty.unwrap_err().to_string();
        assert!(fault.contains("own.toml:3: tighten[0].max: is above"), "{fault}");
    }

    #[test]
    fn every_rule_is_listed_with_mark_hash_and_signature() {
        let hash = rules_of(None).unwrap().rule_hash("us.fl.cap").unwrap();
        let own = format!(
            "[[signature]]\nrule = \"us.fl.cap\"\nhash = \"{hash}\"\nby = \"Counsel\"\non = \"2026-11-25\"\n"
        );
        let rules = rules_of(Some(PackSource { name: "own.toml", text: &own })).unwrap();
        let mut out = Vec::new();
        list_rules(&rules, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        for line in [
            format!("us.fl.cap\ton\tV2\t{hash}\tCounsel on 2026-11-25"),
            format!(
                "us.fcc.revocation_revoke_all\toff\tV2\t{}\tnot signed",
                rules.rule_hash("us.fcc.revocation_revoke_all").unwrap()
            ),
        ] {
            assert!(text.lines().any(|told| told == line), "{line}\n{text}");
        }
    }
}
