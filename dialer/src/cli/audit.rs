//! `audit export`, `audit verify` and `audit show`.

use std::{
    fmt,
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use dialer_audit::{
    Break, PartReport, PartVerifier, Report, Row, Signer, Verifier, VerifierKey, export as rows,
    manifest::{FileDigest, Manifest, Part},
    page,
};
use dialer_types::{AttemptId, CampaignId, E164, RuleId, UnixMillis};
use schema::{config::Config, story, trail::Filter};

use super::read;
use crate::store::{export, postgres};

/// Which records; all of them without any of these.
#[derive(Debug, Clone, Default, Args)]
pub struct Which {
    /// Recorded at this moment or later, RFC 3339, for example 2026-11-24T00:00:00Z.
    #[arg(long, value_parser = moment)]
    pub from: Option<UnixMillis>,
    /// Recorded before this moment, RFC 3339.
    #[arg(long, value_parser = moment)]
    pub to: Option<UnixMillis>,
    /// Of this campaign (ULID).
    #[arg(long)]
    pub campaign: Option<CampaignId>,
    /// About this number (E.164, for example +13055550123).
    #[arg(long, allow_hyphen_values = true)]
    pub number: Option<E164>,
    /// About this person: the seller's own id.
    #[arg(long)]
    pub person: Option<String>,
    /// Decisions that this rule denied, for example `us.national_dnc`.
    #[arg(long)]
    pub rule: Option<String>,
}

fn moment(text: &str) -> Result<UnixMillis, String> {
    chrono::DateTime::parse_from_rfc3339(text)
        .map(|at| UnixMillis(at.timestamp_millis()))
        .map_err(|error| format!("{error}; write it as 2026-11-24T00:00:00Z"))
}

impl From<Which> for Filter {
    fn from(which: Which) -> Self {
        let Which { from, to, campaign, number, person, rule } = which;
        Self { from, to, campaign, number, person, rule: rule.map(|rule| RuleId::new(&rule)) }
    }
}

/// `audit export`: returns what was written, in sentences.
///
/// # Errors
/// If the database cannot be read, has no checkpoint, or a file cannot be written.
pub async fn audit_export(config: &Path, which: Which, out: &Path) -> Result<String> {
    let config = Config::load(config)?;
    let pool = postgres::connect(&config.postgres).await?;
    let signer = Signer::from_seed(&config.keys.audit_name, &config.keys.audit_signing)?;
    let keys = &config.keys.numbers;
    let written = export::write(&pool, keys, &signer, which.into(), out).await?;
    let export::Written { checkpoint, rows, part } = written;
    let folder = out.display();
    if part {
        let of = checkpoint.size;
        return Ok(format!(
            "{rows} of {of} records, each with the proof of its place, in {folder}"
        ));
    }
    Ok(format!("{rows} records, root {}, in {folder}", checkpoint.root))
}

/// Whose story `audit show` tells.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub struct Whose {
    /// The attempt: contact ULID, '-', number of the try.
    pub attempt: Option<String>,
    /// The newest attempt on this person: the seller's own id.
    #[arg(long)]
    pub person: Option<String>,
}

/// `audit show`: the page of one attempt.
///
/// # Errors
/// If the database cannot be read or knows no such attempt.
pub async fn audit_show(config: &Path, whose: &Whose) -> Result<String> {
    let config = Config::load(config)?;
    let pool = postgres::connect(&config.postgres).await?;
    let mut connection = pool.acquire().await?;
    let attempt: AttemptId = match whose {
        Whose { attempt: Some(attempt), .. } => {
            attempt.parse().with_context(|| format!("attempt {attempt}"))?
        }
        Whose { person, .. } => {
            let person = person.as_deref().unwrap_or_default();
            let latest = story::latest(&mut connection, person).await?;
            latest.with_context(|| format!("no attempt on the person {person} is on record"))?
        }
    };
    let story = story::read(&mut connection, &config.keys.numbers, attempt).await?;
    let Some(story) = story else { bail!("nothing is on record of attempt {attempt}") };
    Ok(page::write(&story))
}

/// What a verified folder says.
#[derive(Debug)]
pub enum Verified {
    /// The whole log up to its checkpoint.
    Whole(Box<Report>),
    /// Rows that a filter let through.
    Part(Box<PartReport>, Part),
}

impl Verified {
    /// The report of a whole export.
    #[must_use]
    pub fn whole(self) -> Option<Report> {
        match self {
            Self::Whole(report) => Some(*report),
            Self::Part(..) => None,
        }
    }
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(report) => write!(f, "{report}"),
            Self::Part(report, part) => {
                write!(f, "{report}")?;
                for (name, value) in &part.filter {
                    writeln!(f, "filter     {name} = {value} (as the exporter says)")?;
                }
                Ok(())
            }
        }
    }
}

/// `audit verify`: both files of rows against the checkpoint, the manifest against all files.
///
/// # Errors
/// What does not verify, and where.
pub fn audit_verify(folder: &Path, key: &Path) -> Result<Verified> {
    let key: VerifierKey = read(key)?.parse().with_context(|| key.display().to_string())?;
    let note = read(&folder.join("checkpoint"))?;
    let manifest = Manifest::parse(&read(&folder.join("manifest.json"))?)?;
    let shown = Folder { path: folder.to_owned(), note, key, manifest };
    let verified = match shown.manifest.part.clone() {
        None => Verified::Whole(Box::new(shown.whole()?)),
        Some(part) => Verified::Part(Box::new(shown.part(&part)?), part),
    };
    for name in shown.manifest.files.keys().filter(|name| name.starts_with("dictionary.")) {
        shown.digested(name, |mut file| {
            std::io::copy(&mut file, &mut std::io::sink()).map(drop).map_err(Into::into)
        })?;
    }
    Ok(verified)
}

/// An export as it lies there.
struct Folder {
    path: PathBuf,
    note: String,
    key: VerifierKey,
    manifest: Manifest,
}

impl Folder {
    fn whole(&self) -> Result<Report> {
        let verifier = || Verifier::new(&self.note, &self.key).context("checkpoint");
        self.manifest.check_checkpoint(verifier()?.checkpoint())?;
        let mut report = None;
        for name in ["audit.jsonl", "audit.csv"] {
            let mut verifier = verifier()?;
            self.rows(name, rows::csv_header().collect(), |row| verifier.row(row))?;
            report = Some(verifier.finish().with_context(|| name.to_owned())?);
        }
        report.context("nothing was verified")
    }

    fn part(&self, part: &Part) -> Result<PartReport> {
        let verifier = || PartVerifier::new(&self.note, &self.key).context("checkpoint");
        self.manifest.check_checkpoint(verifier()?.checkpoint())?;
        let mut reports = Vec::new();
        for name in ["audit.jsonl", "audit.csv"] {
            let mut verifier = verifier()?;
            self.rows(name, rows::csv_part_header().collect(), |row| verifier.row(row))?;
            let report = verifier.finish();
            let found = report.counts.records;
            ensure!(found == part.rows, "{name} has {found} rows; the manifest says {}", part.rows);
            reports.push(report);
        }
        ensure!(reports.first() == reports.last(), "the two files do not hold the same records");
        reports.pop().context("nothing was verified")
    }

    /// Reads a file of rows, and compares its hash with the manifest's.
    fn rows(
        &self,
        name: &str,
        header: Vec<&str>,
        row: impl FnMut(&Row) -> Result<(), Break>,
    ) -> Result<()> {
        self.digested(name, |file| {
            if Path::new(name).extension().is_some_and(|kind| kind == "csv") {
                csv_rows(file, &header, row)
            } else {
                json_rows(file, row)
            }
        })
    }

    fn digested(&self, name: &str, consume: impl FnOnce(Digested<'_>) -> Result<()>) -> Result<()> {
        let path = self.path.join(name);
        let mut digest = FileDigest::default();
        let file = File::open(&path).with_context(|| path.display().to_string())?;
        consume(Digested { file: BufReader::new(file), digest: &mut digest })
            .with_context(|| name.to_owned())?;
        Ok(self.manifest.check_file(name, &digest.finish())?)
    }
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

fn json_rows(file: Digested<'_>, mut row: impl FnMut(&Row) -> Result<(), Break>) -> Result<()> {
    for line in BufReader::new(file).lines() {
        row(&Row::Json(line?))?;
    }
    Ok(())
}

fn csv_rows(
    file: Digested<'_>,
    header: &[&str],
    mut row: impl FnMut(&Row) -> Result<(), Break>,
) -> Result<()> {
    let mut reader = csv::Reader::from_reader(file);
    if !reader.headers()?.iter().eq(header.iter().copied()) {
        bail!("its header is not that of such an export");
    }
    for cells in reader.records() {
        row(&Row::Csv(cells?.iter().map(str::to_owned).collect()))?;
    }
    Ok(())
}
