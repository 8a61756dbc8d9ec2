//! The command line, and the commands that need no running dialer.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    net::IpAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use clap::{Parser, Subcommand};
use dialer_audit::{
    Report, Row, Signer, Verifier, VerifierKey,
    manifest::{FileDigest, Manifest},
};
use dialer_policy::{Options, Ruleset, check::judge_line};
use schema::config::Config;

use crate::store::{export, postgres};

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
    /// Writes the audit out, up to its newest checkpoint.
    Export {
        /// ringfence.toml
        #[arg(long)]
        config: PathBuf,
        /// The folder to write to.
        #[arg(long)]
        out: PathBuf,
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

/// `audit verify`: both files of rows against the checkpoint, the manifest against both.
///
/// # Errors
/// What does not verify, and where.
pub fn audit_verify(folder: &Path, key: &Path) -> Result<Report> {
    let key: VerifierKey = read(key)?.parse().with_context(|| key.display().to_string())?;
    let note = read(&folder.join("checkpoint"))?;
    let manifest = Manifest::parse(&read(&folder.join("manifest.json"))?)?;
    let mut report = None;
    for (name, rows) in [
        ("audit.jsonl", json_rows as fn(&mut Verifier, Digested<'_>) -> Result<()>),
        ("audit.csv", csv_rows),
    ] {
        let path = folder.join(name);
        let mut verifier = Verifier::new(&note, &key).context("checkpoint")?;
        manifest.check_checkpoint(verifier.checkpoint())?;
        let mut digest = FileDigest::default();
        let file = File::open(&path).with_context(|| path.display().to_string())?;
        rows(&mut verifier, Digested { file: BufReader::new(file), digest: &mut digest })
            .with_context(|| name.to_owned())?;
        manifest.check_file(name, &digest.finish())?;
        report = Some(verifier.finish().with_context(|| name.to_owned())?);
    }
    report.context("nothing was verified")
}

/// A file that is hashed while it is read.
struct Digested<'a> {
    file: BufReader<File>,
    digest: &'a mut FileDigest,
}

impl Read for Digested<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read(bytes)?;
        self.digest.update(bytes.get(..count).unwrap_or_default());
        Ok(count)
    }
}

fn json_rows(verifier: &mut Verifier, file: Digested<'_>) -> Result<()> {
    for line in BufReader::new(file).lines() {
        verifier.row(&Row::Json(line?))?;
    }
    Ok(())
}

fn csv_rows(verifier: &mut Verifier, file: Digested<'_>) -> Result<()> {
    let mut reader = csv::Reader::from_reader(file);
    let header: Vec<_> = reader.headers()?.iter().map(str::to_owned).collect();
    if !header.iter().map(String::as_str).eq(dialer_audit::export::csv_header()) {
        bail!("its header is not that of an export");
    }
    for row in reader.records() {
        verifier.row(&Row::Csv(row?.iter().map(str::to_owned).collect()))?;
    }
    Ok(())
}

/// `audit export`: returns what was written, in a sentence.
///
/// # Errors
/// If the database cannot be read, has no checkpoint, or a file cannot be written.
pub async fn audit_export(config: &Path, out: &Path) -> Result<String> {
    let config = Config::load(config)?;
    let pool = postgres::connect(&config.postgres).await?;
    let signer = Signer::from_seed(&config.keys.audit_name, &config.keys.audit_signing)?;
    let checkpoint = export::write(&pool, &signer, out).await?;
    Ok(format!("{} records, root {}, in {}", checkpoint.size, checkpoint.root, out.display()))
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}
