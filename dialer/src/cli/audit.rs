//! `audit export`, `audit verify` and `audit show`.

use std::{
    fmt,
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use dialer_audit::{
    Break, PartReport, PartVerifier, Report, Row, Signer, Verifier, VerifierKey, dictionary,
    export as rows,
    manifest::{FileDigest, Manifest, Part},
    page,
};
use dialer_facts::rules;
use dialer_types::{AttemptId, E164, RuleId, UnixMillis};
use schema::{
    config::Config,
    numbers::NumberKeys,
    story,
    trail::{Filter, NOBODY_KNOWN},
};
use sqlx::{PgConnection, PgPool};

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
    /// Of this campaign: its name, a beginning of it that no other has, or its ULID.
    #[arg(long)]
    pub campaign: Option<String>,
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

pub(super) fn moment(text: &str) -> Result<UnixMillis, String> {
    chrono::DateTime::parse_from_rfc3339(text)
        .map(|at| UnixMillis(at.timestamp_millis()))
        .map_err(|error| format!("{error}; write it as 2026-11-24T00:00:00Z"))
}

impl Which {
    /// The filter; a campaign's name is looked up.
    ///
    /// # Errors
    /// If no campaign is called so, or several are.
    pub async fn filter(self, pool: &PgPool) -> Result<Filter> {
        let Self { from, to, campaign, number, person, rule } = self;
        let campaign = match campaign {
            Some(named) => Some(super::campaign::find(pool, &named).await?),
            None => None,
        };
        let rule = rule.map(|rule| RuleId::new(&rule));
        Ok(Filter { from, to, campaign, number, person, rule })
    }
}

/// `audit export`: returns what was written, in sentences.
///
/// # Errors
/// If the database cannot be read, has no checkpoint, nothing can ever fit the filter, or a file
/// cannot be written.
pub async fn audit_export(config: &Path, which: Which, out: &Path) -> Result<String> {
    let config = Config::load(config)?;
    let pool = postgres::connect(&config.postgres).await?;
    let signer = Signer::from_seed(&config.keys.audit_name, &config.keys.audit_signing)?;
    let keys = &config.keys.numbers;
    let filter = which.filter(&pool).await?;
    let packs = match &filter.rule {
        Some(_) => {
            Some(rules::load(config.dialer.packs.as_deref(), config.dialer.house.as_deref())?)
        }
        None => None,
    };
    export::refuse_slips(&pool, packs.as_ref(), &filter).await?;
    let written = export::write(&pool, keys, &signer, filter, out).await?;
    let export::Written { checkpoint, rows, grounds, part, nobody } = written;
    for condition in nobody {
        let erased = "erased, or never called";
        writeln!(std::io::stderr(), "dialer: --{condition}: {NOBODY_KNOWN} ({erased})").ok();
    }
    let folder = out.display();
    if part {
        let of = checkpoint.size;
        let beside = match grounds {
            0 => String::new(),
            grounds => format!(" and {grounds} grounds that permits among them rest on,"),
        };
        return Ok(format!(
            "{rows} of {of} records,{beside} each with the proof of its place, in {folder}"
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
    page_of(&mut connection, &config.keys.numbers, whose).await
}

/// The page, and before it whom else the same id may mean.
///
/// # Errors
/// If the database cannot be read or knows no such attempt.
pub async fn page_of(
    connection: &mut PgConnection,
    keys: &NumberKeys,
    whose: &Whose,
) -> Result<String> {
    let (attempt, others) = match whose {
        Whose { attempt: Some(attempt), .. } => {
            (attempt.parse().with_context(|| format!("attempt {attempt}"))?, String::new())
        }
        Whose { person, .. } => {
            let person = person.as_deref().unwrap_or_default();
            let newest = story::newest(connection, person).await?;
            let others = other_sellers(person, &newest);
            let first = newest.into_iter().next();
            let (attempt, _) =
                first.with_context(|| format!("no attempt on the person {person} is on record"))?;
            (attempt, others)
        }
    };
    let story = story::read(connection, keys, attempt).await?;
    let Some(story) = story else { bail!("nothing is on record of attempt {attempt}") };
    Ok(others + &page::write(&story))
}

/// Says so where several sellers use one id: it need not be the same person.
fn other_sellers(person: &str, newest: &[(AttemptId, String)]) -> String {
    let [(_, seller), others @ ..] = newest else { return String::new() };
    if others.is_empty() {
        return String::new();
    }
    let mut said = format!(
        "{} sellers use the id {person}, for different people perhaps. Below is the newest attempt of\n\
         all, that of {seller}; the newest of each other seller:\n",
        newest.len()
    );
    for (attempt, seller) in others {
        said.push_str(&format!("  {attempt}  {seller}\n"));
    }
    said.push('\n');
    said
}

/// What a verified folder says, and what was strange about it without breaking the proof.
#[derive(Debug)]
pub struct Verified {
    /// What the rows say.
    pub rows: VerifiedRows,
    /// In sentences.
    pub notes: Vec<String>,
}

/// What verified rows say.
#[derive(Debug)]
pub enum VerifiedRows {
    /// The whole log up to its checkpoint.
    Whole(Box<Report>),
    /// Rows that a filter let through.
    Part(Box<PartReport>, Part),
}

impl Verified {
    /// The report of a whole export.
    #[must_use]
    pub fn whole(self) -> Option<Report> {
        match self.rows {
            VerifiedRows::Whole(report) => Some(*report),
            VerifiedRows::Part(..) => None,
        }
    }
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rows {
            VerifiedRows::Whole(report) => write!(f, "{report}")?,
            VerifiedRows::Part(report, part) => {
                write!(f, "{report}")?;
                for (name, value) in &part.filter {
                    writeln!(f, "filter     {name} = {value} (as the exporter says)")?;
                }
            }
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "note       {note}"))
    }
}

/// `audit verify`: both files of rows against the checkpoint, the manifest against all files, the
/// data dictionary against the one that is built in.
///
/// # Errors
/// What does not verify, and where.
pub fn audit_verify(folder: &Path, key: &Path) -> Result<Verified> {
    let key: VerifierKey = read(key)?.parse().with_context(|| key.display().to_string())?;
    let note = read(&folder.join("checkpoint"))?;
    let manifest = Manifest::parse(&read(&folder.join("manifest.json"))?)?;
    let shown = Folder { path: folder.to_owned(), note, key, manifest };
    let rows = match shown.manifest.part.clone() {
        None => VerifiedRows::Whole(Box::new(shown.whole()?)),
        Some(part) => VerifiedRows::Part(Box::new(shown.part(&part)?), part),
    };
    let mut notes = shown.dictionary()?;
    notes.extend(shown.strange()?);
    Ok(Verified { rows, notes })
}

/// What an export consists of besides its dictionary.
const FILES: [&str; 5] = ["audit.jsonl", "audit.csv", "checkpoint", "manifest.json", "key.pub"];

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
            let report = verifier.finish().with_context(|| name.to_owned())?;
            let found = report.counts.records;
            ensure!(found == part.rows, "{name} has {found} rows; the manifest says {}", part.rows);
            let (found, said) = (report.beside.grounds, part.grounds);
            ensure!(
                found == said,
                "{name} has {found} grounds beside its rows; the manifest says {said}"
            );
            reports.push(report);
        }
        ensure!(reports.first() == reports.last(), "the two files do not hold the same records");
        reports.pop().context("nothing was verified")
    }

    /// The manifest is not signed, so what the columns mean is compared with what we know of them.
    fn dictionary(&self) -> Result<Vec<String>> {
        let mut notes = Vec::new();
        for (name, ours) in dictionary::files() {
            let named = self.manifest.files.contains_key(name);
            if !named && !self.path.join(name).exists() {
                notes.push(format!("{name} is missing: nothing here says what the columns mean"));
                continue;
            }
            let mut found = Vec::new();
            if named {
                self.digested(name, |mut file| Ok(file.read_to_end(&mut found).map(drop)?))?;
            } else {
                found = fs::read(self.path.join(name)).with_context(|| name.to_owned())?;
            }
            ensure!(
                found == ours.as_bytes(),
                "the data dictionary is not ours: {name} is not the one of this program, so somebody \
                 edited it or another version wrote it; the rows verify, read them by the dictionary of \
                 an export of your own"
            );
        }
        Ok(notes)
    }

    /// What proves nothing and breaks nothing, but should be known.
    fn strange(&self) -> Result<Vec<String>> {
        let mut notes = Vec::new();
        let beside = fs::read_to_string(self.path.join("key.pub")).unwrap_or_default();
        let given = self.key.to_string();
        if !beside.is_empty() && beside.trim() != given {
            notes.push("key.pub in the folder is not the key you gave; yours was used".to_owned());
        }
        let named = dictionary::files().map(|(name, _)| name);
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            if !FILES.iter().chain(&named).any(|known| *known == name) {
                let name = name.to_string_lossy();
                notes.push(format!("{name} is no part of an export; it was not looked at"));
            }
        }
        notes.sort();
        Ok(notes)
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
