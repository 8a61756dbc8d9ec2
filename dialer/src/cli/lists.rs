//! `lists build`, `lists apply` and `lists show`.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use chrono::{DateTime, NaiveDate};
use clap::{Args, Subcommand};
use dialer_facts::lists::List;
use dialer_lists::{Built, Day, Held, Name, Snapshot, apply, build};
use dialer_policy::{Options, Ruleset};
use dialer_types::UnixMillis;

use super::faults;
use crate::clock::Clock;

/// What to do with national lists.
#[derive(Debug, Clone, Subcommand)]
pub enum ListsCommand {
    /// Makes the snapshot of a list from standard input: one number a line, in any order;
    /// blank lines and lines that begin with '#' are passed over.
    Build(BuildArgs),
    /// Makes a new snapshot from an old one and a delta: lines '+NUMBER' and '-NUMBER' behind the
    /// header '# delta', '# id: ID', '# base: DATE', '# as_of: DATE'.
    Apply(ApplyArgs),
    /// Checks a snapshot, or all lists of a folder, and says how old and how large they are.
    Show {
        /// A list, or a folder of lists.
        path: PathBuf,
    },
}

/// How to build.
#[derive(Debug, Clone, Args)]
pub struct BuildArgs {
    /// The id of the list as the rule packs have it: us.national_dnc
    pub name: Name,
    /// Of which day the copy is: 2026-11-20. Not the day on which it is built.
    #[arg(long)]
    pub as_of: NaiveDate,
    /// The folder to put NAME.rflist into; a list of that name is replaced whole.
    #[arg(long, default_value = ".")]
    pub out: PathBuf,
    /// The calling code of numbers that do not start with '+', for example 1 or 44.
    #[arg(long, value_parser = calling_code)]
    pub country: Option<String>,
    /// What goes off the front of numbers without '+': 0 in most countries; 'none' keeps a zero.
    #[arg(long, requires = "country", value_parser = trunk_prefix)]
    pub trunk_prefix: Option<Prefix>,
    /// Also when the list is older than the one there, has a tenth fewer numbers, or none.
    #[arg(long)]
    pub anyway: bool,
}

/// How to apply.
#[derive(Debug, Clone, Args)]
pub struct ApplyArgs {
    /// The delta; '-' is standard input.
    pub delta: PathBuf,
    /// The folder with the list, which is replaced whole.
    #[arg(long, default_value = ".")]
    pub out: PathBuf,
    /// The snapshot to start from, if it is not the one in the folder.
    #[arg(long)]
    pub base: Option<PathBuf>,
}

/// Digits to take off; none keeps all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(String);

fn digits(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn calling_code(text: &str) -> Result<String, String> {
    let code = text.strip_prefix('+').unwrap_or(text);
    if digits(code, 3) && !code.starts_with('0') {
        Ok(code.to_owned())
    } else {
        Err("a calling code has 1 to 3 digits and does not start with 0: 1, 44, 353".to_owned())
    }
}

fn trunk_prefix(text: &str) -> Result<Prefix, String> {
    match text {
        "none" => Ok(Prefix(String::new())),
        text if digits(text, 3) => Ok(Prefix(text.to_owned())),
        _ => Err("a trunk prefix has 1 to 3 digits, or is 'none'".to_owned()),
    }
}

/// Runs one of them; what is to be said goes to `out`.
///
/// # Errors
/// If a file cannot be read or written, or what is in it is refused; the list that was there stays.
pub fn lists(command: ListsCommand, input: impl io::Read, out: &mut impl io::Write) -> Result<()> {
    // Real time: the clock of the demo is in its database, and this needs none.
    let now = Clock::default().now().wall;
    let mut input = BufReader::with_capacity(1 << 20, input);
    let said = match command {
        ListsCommand::Build(args) => built(&args, &mut input, now)?,
        ListsCommand::Apply(args) => applied(&args, &mut input, now)?,
        ListsCommand::Show { path } => return shown(&path, out, now),
    };
    write!(out, "{said}").context("standard output")
}

fn built(args: &BuildArgs, input: &mut impl BufRead, now: UnixMillis) -> Result<String> {
    let day = Day { now, folder: &args.out, anyway: args.anyway };
    let trunk = args.trunk_prefix.as_ref().map(|prefix| prefix.0.as_str());
    let Built { path, snapshot, repeated } =
        build(&args.name, args.as_of, (args.country.as_deref(), trunk), &day, input)
            .with_context(|| format!("the list {} was not built", args.name))?;
    let mut said = format!("{}\n", path.display());
    describe(&mut said, &List::from(snapshot), &ages()?, now)?;
    writeln!(said, "  lines that repeated a number: {repeated}")?;
    Ok(said)
}

fn applied(args: &ApplyArgs, input: &mut impl BufRead, now: UnixMillis) -> Result<String> {
    let day = Day { now, folder: &args.out, anyway: false };
    let why = || format!("the delta {} was not applied", args.delta.display());
    let base = args.base.as_deref();
    let applied = if args.delta == Path::new("-") {
        apply(base, &day, input).with_context(why)?
    } else {
        let file = File::open(&args.delta).with_context(why)?;
        apply(base, &day, &mut BufReader::new(file)).with_context(why)?
    };
    let mut said = format!("{}\n", applied.built.path.display());
    describe(&mut said, &List::from(applied.built.snapshot), &ages()?, now)?;
    let (added, removed) = (applied.added, applied.removed);
    writeln!(said, "  added: {added}, and {} were there already", applied.already)?;
    writeln!(said, "  removed: {removed}, and {} were not there", applied.absent)?;
    Ok(said)
}

type Ages = std::collections::BTreeMap<std::sync::Arc<str>, u32>;

/// How old each list may be by the strictest rule of the shipped packs, in days.
fn ages() -> Result<Ages> {
    Ok(Ruleset::shipped(Options { house: false }).map_err(faults)?.list_ages())
}

fn shown(path: &Path, out: &mut impl io::Write, now: UnixMillis) -> Result<()> {
    let mut paths = vec![path.to_owned()];
    if path.is_dir() {
        paths.clear();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            // As the dialer passes over what is being written, and feeds are no lists.
            let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            let feed = entry.path().extension().is_some_and(|kind| kind == "feed");
            if !hidden && !feed && entry.metadata()?.is_file() {
                paths.push(entry.path());
            }
        }
        paths.sort();
        if paths.is_empty() {
            bail!("{}: no list is there", path.display());
        }
    }
    let ages = ages()?;
    let mut bad = 0;
    for path in &paths {
        let mut said = format!("{}\n", path.display());
        match List::read(path) {
            Ok(list) => describe(&mut said, &list, &ages, now)?,
            Err(error) => {
                bad += 1;
                writeln!(said, "  refused: {error}")?;
            }
        }
        write!(out, "{said}").context("standard output")?;
    }
    if bad > 0 {
        bail!("{bad} of {} files cannot be used", paths.len());
    }
    Ok(())
}

fn describe(said: &mut String, list: &List, ages: &Ages, now: UnixMillis) -> Result<()> {
    let today = DateTime::from_timestamp_millis(now.0).unwrap_or_default().date_naive();
    let age = (today - list.as_of).num_days();
    writeln!(said, "  id: {}", list.id)?;
    writeln!(said, "  as of: {}, {}", list.as_of, days(age, "old"))?;
    let fresh = match ages.get(&list.id) {
        None => "no rule of the shipped packs asks for it".to_owned(),
        Some(most) if age < 0 => format!("its day has not come (at most {most} days old)"),
        Some(most) if age > i64::from(*most) => format!("no: at most {most} days old"),
        Some(most) => {
            let left = i64::from(*most) - age;
            format!("{} (at most {most} days old)", days(left, "more"))
        }
    };
    writeln!(said, "  fresh: {fresh}")?;
    writeln!(said, "  numbers: {}", list.count())?;
    match list.snapshot() {
        Some(snapshot) => details(said, snapshot)?,
        None => writeln!(said, "  encoding: the text of a demo list, without checksum")?,
    }
    Ok(())
}

fn details(said: &mut String, snapshot: &Snapshot) -> Result<()> {
    let (encoding, count) = (snapshot.encoding(), snapshot.count());
    let built = DateTime::from_timestamp_millis(snapshot.built_at().0).unwrap_or_default();
    let bits = (snapshot.length() * 80).checked_div(count).unwrap_or(0);
    writeln!(said, "  built: {}", built.format("%Y-%m-%dT%H:%M:%SZ"))?;
    writeln!(said, "  bytes: {} ({}.{} bits a number)", snapshot.length(), bits / 10, bits % 10)?;
    writeln!(
        said,
        "  encoding: {} bitmaps and {} arrays of ten thousand in {} dense pages, {} sparse pages",
        encoding.bitmaps, encoding.arrays, encoding.dense_pages, encoding.sparse_pages
    )?;
    writeln!(said, "  checksum: {:032x}, right", snapshot.checksum())?;
    let held = match snapshot.held() {
        Held::Mapped => "mapped",
        Held::Copied => {
            "copied into the memory of each process: somebody may write to it (chmod a-w)"
        }
    };
    writeln!(said, "  in memory: {held}")?;
    Ok(())
}

fn days(count: i64, how: &str) -> String {
    let unit = if count == 1 { "day" } else { "days" };
    format!("{count} {unit} {how}")
}
