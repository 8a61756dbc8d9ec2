//! `loadtest lists`: how large a national list is, how long it takes to build, and to ask.
//!
//! The list is made (see [`dialer_lists::measure`]): distinct numbers in no order, evenly over all
//! exchanges of as many area codes as make the density of 250 million numbers in 345 area codes.
//! Beside it, in the same run and on the same questions: a sorted vector, a smaller hash set, and
//! for a thin list of another country the `roaring` crate.
//!
//! A look is timed in two ways. *Together*: they follow each other and none needs the answer of
//! another, so the processor has several on their way; this is the rate. *One by one*: which number
//! is asked for next follows from the last answer, so the memory is waited for each time; this is
//! how long a look takes by itself, as in a judgement that does other things between two looks. What
//! the machine's memory takes at all is measured beside both: one byte of the same file for each
//! number, found without a table. Nothing that reads a file of this size in no order is faster.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use chrono::DateTime;
use clap::Args as Arguments;
use dialer_lists::{
    Day, Snapshot, build,
    measure::{Kept, Plan, touch, touch_one_by_one},
};
use dialer_types::{E164, UnixMillis};
use serde::Serialize;

use crate::stack::clock::{monotonic, real_unix_millis};

/// `loadtest lists`
#[derive(Debug, Clone, Arguments)]
pub struct Args {
    /// Numbers on the list; 250000000 needs 3 GB of memory, 1 GB of disk and some minutes
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(100_000..=300_000_000))]
    pub numbers: u64,
    /// Another seed makes another list
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Where to make it, in a folder of its own that is removed again
    #[arg(long, default_value_os_t = std::env::temp_dir())]
    pub folder: PathBuf,
    /// Writes what is printed as JSON, too
    #[arg(long)]
    pub json: Option<PathBuf>,
}

/// Numbers of a list for each of its area codes: 250 million in 345.
const IN_AREA: u64 = 724_638;
/// The hash set is smaller: 250 million would take 6 GB.
const SET_MOST: u64 = 5_000_000;
/// A thin list, as a small country has.
const THIN: u64 = 1_000_000;
/// Asked at once, with the clock read before and after.
const BATCH: usize = 1_000;
const BATCHES: usize = 2_000;

/// Nanoseconds of a look, a batch at a time.
#[derive(Debug, Clone, Serialize)]
pub struct Looks {
    what: String,
    numbers: u64,
    /// Of looks that do not wait for each other: the median of the batches.
    median_ns: f64,
    p99_ns: f64,
    /// Of looks of which each waits for the one before: the median of the batches.
    one_by_one_ns: f64,
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    numbers: u64,
    area_codes: u64,
    bytes: u64,
    /// Making the lines alone, which building contains.
    lines_seconds: f64,
    build_seconds: f64,
    /// Opening: mapping and checking the whole file, warm.
    open_seconds: f64,
    looks: Vec<Looks>,
    thin_numbers: u64,
    thin_bytes: u64,
    thin_roaring_bytes: u64,
}

/// A folder that is removed again.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// Runs it.
///
/// # Errors
/// If the folder has no room, or two ways of holding one list give different answers.
pub fn run(args: &Args) -> Result<Measured> {
    let folder = Folder(args.folder.join(format!("ringfence-lists-{}", std::process::id())));
    fs::create_dir_all(&folder.0).with_context(|| folder.0.display().to_string())?;
    let measured = measure(args, &folder.0)?;
    if let Some(path) = &args.json {
        fs::write(path, serde_json::to_vec_pretty(&measured)?)
            .with_context(|| path.display().to_string())?;
    }
    Ok(measured)
}

fn measure(args: &Args, folder: &Path) -> Result<Measured> {
    let areas = args.numbers.div_ceil(IN_AREA);
    let plan = Plan::north_america(areas, args.seed);
    let (lines_seconds, _) =
        timed(|| std::io::copy(&mut plan.lines(args.numbers), &mut std::io::sink()));
    let (build_seconds, list) = timed(|| made(plan, args.numbers, "us.national_dnc", folder));
    drop(list?);
    let path = folder.join("us.national_dnc.rflist");
    let (open_seconds, list) = timed(|| Snapshot::open(&path));
    let list = list?;
    ensure!(list.count() == args.numbers, "{} numbers were built", list.count());
    let bytes = list.length();
    let mut looks = Vec::new();
    let asked = questions(plan, args.numbers)?;
    let floor = timed_looks(
        "one byte of its file",
        args.numbers,
        &asked,
        &|batch| touch(&list, batch),
        &|batch| touch_one_by_one(&list, batch),
    );
    let kept = Kept::Snapshot(Box::new(list));
    looks.push(looked("snapshot", args.numbers, &kept, &asked)?);
    looks.push(floor);
    drop(kept);
    let all = |count| (0..count).map(|index| plan.number(index)).collect::<Vec<_>>();
    let kept = Kept::sorted(all(args.numbers));
    looks.push(looked("sorted vector", args.numbers, &kept, &asked)?);
    drop(kept);
    let fewer = args.numbers.min(SET_MOST);
    let kept = Kept::set(&all(fewer));
    looks.push(looked("hash set", fewer, &kept, &questions(plan, fewer)?)?);
    drop(kept);
    let (thin_bytes, thin_roaring_bytes) = thin(args, folder, &mut looks)?;
    Ok(Measured {
        numbers: args.numbers,
        area_codes: areas,
        bytes,
        lines_seconds,
        build_seconds,
        open_seconds,
        looks,
        thin_numbers: THIN,
        thin_bytes,
        thin_roaring_bytes,
    })
}

/// A list of which few numbers are on: as a snapshot, and as the `roaring` crate holds it.
fn thin(args: &Args, folder: &Path, looks: &mut Vec<Looks>) -> Result<(u64, u64)> {
    let plan = Plan::open(args.seed);
    let asked = questions(plan, THIN)?;
    let list = made(plan, THIN, "thin", folder)?;
    let bytes = list.length();
    looks.push(looked("snapshot, thin", THIN, &Kept::Snapshot(Box::new(list)), &asked)?);
    let numbers: Vec<_> = (0..THIN).map(|index| plan.number(index)).collect();
    let (roaring, roaring_bytes) = Kept::roaring(&numbers);
    looks.push(looked("roaring crate, thin", THIN, &roaring, &asked)?);
    Ok((bytes, u64::try_from(roaring_bytes)?))
}

fn made(plan: Plan, count: u64, name: &str, folder: &Path) -> Result<Snapshot> {
    let now = UnixMillis(real_unix_millis());
    let today = DateTime::from_timestamp_millis(now.0).unwrap_or_default().date_naive();
    let day = Day { now, folder, anyway: false };
    let built = build(&name.parse()?, today, (None, None), &day, &mut plan.lines(count))?;
    Ok(built.snapshot)
}

/// Half of them are on the list, in no order.
fn questions(plan: Plan, numbers: u64) -> Result<Vec<E164>> {
    let asked = (BATCH * BATCHES) as u64;
    // Spread over the list and over the rest of the plan; both are in no order already.
    let (hit, miss) = (numbers / asked.min(numbers), (plan.room() - numbers) / asked);
    let pairs = (0..asked / 2)
        .flat_map(|at| [plan.number(at * hit % numbers), plan.number(numbers + at * miss.max(1))]);
    // Hits and misses in turn would be foreseen by the processor: swap some pairs.
    let mut all: Vec<u64> = pairs.collect();
    for pair in all.chunks_exact_mut(2) {
        if let [one, _] = pair
            && one.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 63 == 1
        {
            pair.reverse();
        }
    }
    Ok(all.into_iter().map(E164::from_digits).collect::<Result<_, _>>()?)
}

fn looked(what: &str, numbers: u64, kept: &Kept, asked: &[E164]) -> Result<Looks> {
    let found = kept.count(asked);
    ensure!(found == asked.len() / 2, "{what}: {found} of {} were found", asked.len());
    let (together, one_by_one) =
        (|batch: &[E164]| kept.count(batch), |batch: &[E164]| kept.count_one_by_one(batch));
    Ok(timed_looks(what, numbers, asked, &together, &one_by_one))
}

fn timed_looks(
    what: &str,
    numbers: u64,
    asked: &[E164],
    together: &dyn Fn(&[E164]) -> usize,
    one_by_one: &dyn Fn(&[E164]) -> usize,
) -> Looks {
    let per_look = |batch: &[E164], ask: &dyn Fn(&[E164]) -> usize| {
        let (seconds, _) = timed(|| std::hint::black_box(ask(batch)));
        seconds * 1e9 / f64::from(u32::try_from(batch.len()).unwrap_or(1))
    };
    let all = |ask: &dyn Fn(&[E164]) -> usize| {
        let mut times: Vec<f64> = asked.chunks(BATCH).map(|batch| per_look(batch, ask)).collect();
        times.sort_by(f64::total_cmp);
        times
    };
    let at = |times: &[f64], percent: usize| {
        times.get(times.len() * percent / 100).copied().unwrap_or(f64::NAN)
    };
    std::hint::black_box(together(asked)); // to warm up
    let (together, one_by_one) = (all(together), all(one_by_one));
    Looks {
        what: what.to_owned(),
        numbers,
        median_ns: at(&together, 50),
        p99_ns: at(&together, 99),
        one_by_one_ns: at(&one_by_one, 50),
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = monotonic();
    let done = work();
    let took: Duration = start.elapsed();
    (took.as_secs_f64(), done)
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mb = |bytes: u64| f64::from(u32::try_from(bytes / 1_000).unwrap_or(u32::MAX)) / 1_000.0;
        writeln!(f, "a list of {} numbers in {} area codes", self.numbers, self.area_codes)?;
        writeln!(f, "  size   {:9.1} MB", mb(self.bytes))?;
        writeln!(
            f,
            "  build  {:9.1} s   with {:.1} s for making its lines",
            self.build_seconds, self.lines_seconds
        )?;
        writeln!(f, "  open   {:9.3} s   mapped and checked whole, warm", self.open_seconds)?;
        writeln!(
            f,
            "nanoseconds a look, half of them hits, in no order, warm, {BATCH} a batch; together, so \
             that the processor has several on their way, and one by one:"
        )?;
        writeln!(
            f,
            "  {:22}{:>12}{:>9}{:>9}{:>13}{:>8}",
            "", "numbers", "together", "p99", "one by one", "ratio"
        )?;
        for looks in &self.looks {
            // Against the snapshot of the same list.
            let thin = looks.what.ends_with("thin");
            let own = self.looks.iter().find(|other| other.what.ends_with("thin") == thin);
            let ratio = own.map_or(f64::NAN, |own| looks.median_ns / own.median_ns);
            writeln!(
                f,
                "  {:22}{:>12}{:>9.1}{:>9.1}{:>13.1}{:>8.1}",
                looks.what,
                looks.numbers,
                looks.median_ns,
                looks.p99_ns,
                looks.one_by_one_ns,
                ratio
            )?;
        }
        let (own, roaring) = (self.thin_bytes, self.thin_roaring_bytes);
        writeln!(
            f,
            "a thin list of {} numbers: {:.1} MB; the roaring crate writes {:.1} MB and copies it to read it",
            self.thin_numbers,
            mb(own),
            mb(roaring)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_run_measures_what_it_says_and_leaves_nothing_behind() {
        let folder = std::env::temp_dir().join(format!("rf-measure-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let json = folder.join("out.json");
        let (numbers, seed) = (200_000, 1);
        let args = Args { numbers, seed, folder: folder.clone(), json: Some(json.clone()) };
        let measured = run(&args).unwrap();
        assert_eq!((measured.area_codes, measured.looks.len()), (1, 6));
        assert!(
            measured
                .looks
                .iter()
                .all(|looks| looks.median_ns > 0.0 && looks.p99_ns >= looks.median_ns)
        );
        let written: serde_json::Value = serde_json::from_slice(&fs::read(&json).unwrap()).unwrap();
        assert_eq!(written.get("bytes").and_then(serde_json::Value::as_u64), Some(measured.bytes));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "only what was asked for");
        fs::remove_dir_all(folder).unwrap();
    }
}
