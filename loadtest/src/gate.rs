//! `loadtest gate`: the gate on a private PostgreSQL and Redis, everything on this machine's processors.
//! What is measured, and by what, is `dialer measure`.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, bail};
use clap::Args as Flags;

use crate::stack::{Stack, Stop};

/// Tuesday, 2026-12-01, 12:00 UTC: calling hours in Great Britain, whenever this runs.
const NOON_MS: i64 = 1_796_126_400_000;

/// As docs/operations.md recommends them for a machine of this size: room for the pages that a campaign
/// writes again and again, and checkpoints so far apart that few of them are logged whole.
const SETTINGS: &[&str] = &[
    "shared_buffers=4GB",
    "max_wal_size=16GB",
    "checkpoint_timeout=15min",
    "wal_compression=lz4",
    "wal_buffers=64MB",
];

/// How to measure the gate.
#[derive(Debug, Clone, Flags)]
pub struct Args {
    /// How many people to make; several numbers, parted by commas: one after another, each on stores of its own.
    #[arg(long, value_delimiter = ',', default_value = "1000000")]
    persons: Vec<u32>,
    /// How long each part takes, seconds.
    #[arg(long, default_value_t = 8)]
    seconds: u64,
    /// Contacts in the gate at once.
    #[arg(long, default_value_t = 1000)]
    at_once: u16,
    /// Placements a second of the part that tells how long one takes; half of what goes, without it.
    #[arg(long)]
    rate: Option<u64>,
    /// So many attempts are on record already, of earlier months.
    #[arg(long, default_value_t = 0)]
    attempts: u64,
    /// Writes the results as JSON, too: a list.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Measures; returns what to print.
///
/// # Errors
/// When the stack does not start, or the dialer cannot measure.
pub fn command(args: &Args, stop: &Stop) -> anyhow::Result<String> {
    let (mut said, mut results) = (String::new(), Vec::new());
    for persons in &args.persons {
        tell(&format!("measuring with {persons} people; making them comes first"));
        let (text, result) = one(args, *persons, stop)?;
        said.push_str(&text);
        results.push(result);
    }
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&results)?;
        fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    Ok(said)
}

fn one(args: &Args, persons: u32, stop: &Stop) -> anyhow::Result<(String, serde_json::Value)> {
    let stack =
        Stack::builder().starts_at(NOON_MS).postgres_settings(SETTINGS).stop(stop).start()?;
    // People are made in bulk, and processor time of every server process is read.
    stack.sql("ALTER ROLE app SUPERUSER")?;
    if args.attempts > 0 {
        earlier(&stack, args.attempts)?;
    }
    let json = stack.path().join("gate.json");
    let mut arguments = vec!["measure".into(), "--config".into(), stack.config().into_os_string()];
    for (flag, value) in [
        ("--persons", persons.to_string()),
        ("--seconds", args.seconds.to_string()),
        ("--at-once", args.at_once.to_string()),
    ] {
        arguments.extend([flag.into(), value.into()]);
    }
    if let Some(rate) = args.rate {
        arguments.extend(["--rate".into(), rate.to_string().into()]);
    }
    arguments.extend(["--json".into(), json.clone().into_os_string()]);
    let output = stack.run("dialer", &arguments)?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let text = String::from_utf8(output.stdout).context("what the dialer said")?;
    let result = serde_json::from_str(&fs::read_to_string(&json)?)?;
    Ok((text, result))
}

#[expect(clippy::print_stderr, reason = "progress of what takes minutes")]
fn tell(line: &str) {
    eprintln!("{line}");
}

/// Months before the one of the measurement.
const MONTHS: u64 = 10;

/// Lays attempts and placements as the months before this one would have left them, a partition each,
/// filled as a restore does it: rows first, indexes afterwards.
fn earlier(stack: &Stack, attempts: u64) -> anyhow::Result<()> {
    let each = attempts.div_ceil(MONTHS);
    for month in 2..2 + MONTHS {
        tell(&format!("laying {each} attempts of month {month} of 2026"));
        let part = format!("2026_{month:02}");
        stack.sql(&format!(
            "SET synchronous_commit = off; SET maintenance_work_mem = '1GB';
             CREATE TEMPORARY TABLE month AS
             SELECT (1000 * extract(epoch FROM at))::bigint AS low,
                    (1000 * extract(epoch FROM at + interval '1 month'))::bigint AS high
             FROM (SELECT timestamptz '2026-{month:02}-01 00:00+00' AS at) AS begin;
             CREATE TABLE attempt_{part} (LIKE attempt);
             INSERT INTO attempt_{part}
             SELECT ulid, 1, campaign, campaign, at FROM (
                 SELECT (lpad(to_hex(at), 12, '0') || left(md5(i::text), 20))::uuid AS ulid,
                        '00000000-0000-0000-0000-000000000001'::uuid AS campaign, at
                 FROM month, generate_series(1, {each}) AS i,
                      LATERAL (SELECT low + (high - low) * i / ({each} + 1) AS at) AS a) AS n;
             CREATE TABLE placement_{part} (LIKE placement);
             INSERT INTO placement_{part}
             SELECT contact_id, contact_id, 1, campaign_id, at, at, NULL, campaign_id, campaign_id, at, at,
                    left(contact_id::text, 26) || '@ringfence' FROM attempt_{part};
             ALTER TABLE attempt ATTACH PARTITION attempt_{part}
                 FOR VALUES FROM (first_ulid({low})) TO (first_ulid({high}));
             ALTER TABLE placement ATTACH PARTITION placement_{part}
                 FOR VALUES FROM (first_ulid({low})) TO (first_ulid({high}))",
            low = month_ms(month),
            high = month_ms(month + 1),
        ))?;
    }
    stack.sql("ANALYZE attempt, placement; CHECKPOINT")?;
    Ok(())
}

/// When a month of 2026 begins, milliseconds since 1970.
fn month_ms(month: u64) -> i64 {
    const DAYS: [i64; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let days = usize::try_from(month - 1).ok().and_then(|at| DAYS.get(at)).copied().unwrap_or(365);
    (20_454 + days) * 24 * 3_600_000
}
