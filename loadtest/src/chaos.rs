//! `loadtest chaos`: three dialers, an API, a carrier, Redis with replicas and Sentinels, and
//! Postgres, all real processes under load, while everything fails that can. The judge is the
//! checker over what the carrier saw; it shares no code with the gate.
//!
//! **Lawful yield of a run with outages.** While a store is away nobody may be called, so what counts
//! is that nobody is lost: after the storm all faults end, and the dialers have a calm, bounded by
//! [`CALM`], to make up what is due. Every lawful placement counts as made; a contact that the
//! checker's own rules find lawful and due all through the last [`SLACK_MS`] of the calm counts as
//! missed.

mod opt_outs;
mod outcome;
mod plan;
mod postgres;
pub(crate) mod proxy;
mod redises;
mod storm;
mod ways;
mod work;
mod world;

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use self::{
    opt_outs::{Asked, OptOuts},
    redises::Redises,
    storm::Storm,
    ways::Network,
    work::Work,
};
pub use self::{
    outcome::Outcome,
    plan::{DIALERS, Kind, Kinds, Planned, plan},
};
use crate::{
    checker::{self, Timing, audit::Export, calls, world::World},
    demo::{INSTANT_MS, counts::Counts, evidence, told::Told},
    stack::{Api, RunFolder, Stack, Stop, clock},
    view::Teller,
    wirelog,
};

/// The longest calm.
pub const CALM: Duration = Duration::from_secs(150);
/// Nothing that is due within this time after the calm is left over.
const HORIZON_MS: i64 = 45_000;
/// Between two looks at the campaigns in the calm.
const LOOK: Duration = Duration::from_millis(500);
/// How long a program may take to be ready again after the storm.
const READY: Duration = Duration::from_secs(40);
/// A contact that has been lawful and due for so long when the calm ends was missed, ms.
const SLACK_MS: i64 = 15_000;
/// Where Debian and Ubuntu put it.
const FAKETIME: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
];

/// `loadtest chaos`
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// How long the storm lasts; a calm of two and a half minutes at most follows it
    #[arg(long, value_name = "N", default_value_t = 3.0, value_parser = minutes)]
    pub minutes: f64,
    /// What goes wrong when follows from this number
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Which faults: all, none, or names with commas
    #[arg(long, value_name = "LIST", default_value = "all")]
    pub faults: Kinds,
    /// Calls a second wanted of all dialers together
    #[arg(long, value_name = "N", default_value_t = 80, value_parser = clap::value_parser!(u32).range(4..=5000))]
    pub rate: u32,
    /// Write the outcome here as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Print the plan of the seed, and do nothing
    #[arg(long)]
    pub plan: bool,
    /// Keep the run folder (databases, logs, wire log, evidence) afterwards
    #[arg(long)]
    pub keep: bool,
}

/// Six seconds to a day.
fn minutes(text: &str) -> Result<f64, String> {
    let minutes: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if (0.1..=1440.0).contains(&minutes) {
        Ok(minutes)
    } else {
        Err("between 0.1 and 1440".to_owned())
    }
}

/// Runs the command and returns the exit code: 0 only when every promise was kept.
///
/// # Errors
/// When the drill could not be brought to its end.
pub fn command(args: &Args, stop: &Stop) -> anyhow::Result<ExitCode> {
    let mut teller = Teller::stdout();
    tell_plan(args, &mut teller);
    if args.plan {
        return Ok(ExitCode::SUCCESS);
    }
    let outcome = run(args, stop, &mut teller)?;
    let good = outcome.tell(&mut teller);
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&outcome)? + "\n";
        fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn storm_of(args: &Args) -> Duration {
    Duration::from_secs_f64(args.minutes * 60.0)
}

fn tell_plan(args: &Args, teller: &mut Teller) {
    teller.heading(&format!("The plan of seed {}", args.seed));
    for fault in plan(args.seed, storm_of(args), &args.faults) {
        teller.step(&format!("{:.1} s", fault.at.as_secs_f64()), &fault.to_string());
    }
    teller.heading("The run");
}

/// Runs the drill to its end.
///
/// # Errors
/// When a part of it fails that must not, or on Ctrl-C.
pub fn run(args: &Args, stop: &Stop, teller: &mut Teller) -> anyhow::Result<Outcome> {
    let folder = RunFolder::make(args.keep)?;
    if args.keep {
        teller.step("keeping", &folder.path().display().to_string());
    }
    let (world, storm) = (folder.path().join("world"), storm_of(args));
    let contacts = world::make(&world, args.seed, args.rate, storm, INSTANT_MS)?;
    let clock_file = folder.path().join("clock");
    let mut stack = Stack::builder()
        .folder(folder)
        .starts_at(INSTANT_MS)
        .lists(&world.join("lists"))
        .house(world::house())
        .dialers(NonZeroUsize::new(DIALERS).context("no dialers")?)
        .stop(stop)
        .start()?;
    // The stack's own Redis is one server; the drill has its own.
    stack.redis.stop();
    let mut redises = Redises::start(&mut stack, stop)?;
    let network = Network::open(&mut stack, &redises)?;
    own_clock(&mut stack, &clock_file)?;
    start(&mut stack, args.seed)?;
    let api = stack.api()?;
    let mut told = Told::default();
    let trunk = json!({
        "name": "carrier",
        "address": stack.carrier_address().to_string(),
        "calls_per_second": args.rate * 5 / 4,
        "max_concurrent": 1000,
    });
    told.campaigns(&api, &world, &trunk)?;
    told.lists(&api, &world, stop)?;
    let planned = told.suppressions(&api, &world, stop)?;
    teller
        .step("ready", &format!("{DIALERS} dialers, {contacts} contacts, {} a second", args.rate));

    let work = Work::watch(stack.owner_url(), stack.offset_ms())?;
    let (began, start_ms) = (clock::monotonic(), stack.now_ms());
    for id in &told.campaigns {
        api.post_empty(&format!("/v1/campaigns/{id}/start"))?;
    }
    let opt_outs = OptOuts::start(api.clone(), planned, began, stack.offset_ms())?;
    let mut weather = Storm::new(&mut stack, &mut redises, &network, &clock_file, stop);
    weather.rage(&plan(args.seed, storm, &args.faults), storm, teller)?;
    teller.step("calm", "every fault ends");
    let calm_ms = weather.stack.now_ms();
    weather.calm(READY, teller)?;
    let (done, restarted) = (weather.done.clone(), weather.restarted);
    let troubled = std::mem::take(&mut weather.troubled);
    drop(weather);
    make_up(&api, &told, &opt_outs, &stack, stop, teller)?;

    let looks = work.end()?;
    let ended = Ended { start_ms, calm_ms, end_ms: stack.now_ms(), looks, troubled };
    let asked = opt_outs.end()?;
    record(&world, &asked)?;
    stack.drain_dialers()?;
    stack.stop_carrier()?;
    let mut outcome = Outcome {
        seed: args.seed,
        storm_seconds: storm.as_secs_f64(),
        dialers: DIALERS,
        contacts,
        rate: args.rate,
        faults_injected: done.values().map(|count| u64::try_from(*count).unwrap_or(0)).sum(),
        faults: done
            .iter()
            .map(|(kind, count)| (kind.to_string(), u64::try_from(*count).unwrap_or(0)))
            .collect(),
        restarted,
        ..Outcome::default()
    };
    ended.conclude(&stack, &world, &asked, &mut outcome)?;
    Ok(outcome)
}

/// One dialer gets a wall clock that can be stepped; its monotonic one stays.
fn own_clock(stack: &mut Stack, file: &Path) -> anyhow::Result<()> {
    let Some(library) = FAKETIME.into_iter().map(Path::new).find(|path| path.is_file()) else {
        bail!("there is no libfaketime here (./ringfence setup installs it)");
    };
    storm::set_clock(file, 0)?;
    let variables = [
        ("LD_PRELOAD", library.as_os_str().to_owned()),
        ("FAKETIME_TIMESTAMP_FILE", file.as_os_str().to_owned()),
        // The name that both old and new versions know.
        ("DONT_FAKE_MONOTONIC", "1".into()),
        ("FAKETIME_CACHE_DURATION", "1".into()),
    ];
    let variables = variables.into_iter().map(|(name, value)| (OsString::from(name), value));
    stack.dialer_environment(plan::CLOCKED, variables.collect())
}

fn start(stack: &mut Stack, seed: u64) -> anyhow::Result<()> {
    let mix = "answer=30,busy=35,no_answer=15,invalid=5,unavailable=15";
    let how = ["--mix", mix, "--ring-ms", "100..800", "--talk-ms", "200..900"];
    stack.start_carrier_with(seed, &how)?;
    stack.start_api()?;
    stack.start_dialers()
}

/// Waits until nothing is due any more, now or soon, at most as long as the calm may last.
fn make_up(
    api: &Api,
    told: &Told,
    opt_outs: &OptOuts,
    stack: &Stack,
    stop: &Stop,
    teller: &mut Teller,
) -> anyhow::Result<()> {
    let started = clock::monotonic();
    while started.elapsed() < CALM {
        // The API may be starting yet.
        if let Ok(counts) = Counts::read(api, &told.campaigns) {
            if opt_outs.is_done() && counts.is_quiet_until(stack.now_ms() + HORIZON_MS) {
                return Ok(());
            }
            let plain = format!(
                "  {:>4} s  {} due, {} under way",
                started.elapsed().as_secs(),
                counts.due,
                counts.leased
            );
            teller.stand(started.elapsed(), std::slice::from_ref(&plain), &plain);
        }
        stop.sleep(LOOK)?;
    }
    Ok(())
}

/// Writes into `suppressions.json` when each opt-out was asked for and answered, for the checker.
/// One that was never answered binds nobody to anything, and nobody is expected to be called.
fn record(world: &Path, asked: &[Asked]) -> anyhow::Result<()> {
    let path = world.join("suppressions.json");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let mut all: Value = serde_json::from_str(&text)?;
    for opt_out in asked {
        let entry = all.get_mut(opt_out.index).and_then(Value::as_object_mut);
        let entry = entry.context("an opt-out is not in suppressions.json")?;
        entry.insert("at".to_owned(), opt_out.at.into());
        let answered = opt_out.answered_at.unwrap_or(i64::MAX);
        entry.insert("answered_at".to_owned(), answered.into());
    }
    fs::write(&path, serde_json::to_vec_pretty(&all)?).with_context(|| path.display().to_string())
}

/// A run that has ended, by the deployment's clock (ms).
struct Ended {
    start_ms: i64,
    calm_ms: i64,
    end_ms: i64,
    looks: Vec<work::Look>,
    /// When Postgres or the API were hit, or still recovering.
    troubled: Vec<storm::Trouble>,
}

impl Ended {
    fn conclude(
        &self,
        stack: &Stack,
        world: &Path,
        asked: &[Asked],
        outcome: &mut Outcome,
    ) -> anyhow::Result<()> {
        let out = stack.path().join("evidence");
        fs::create_dir_all(&out).with_context(|| out.display().to_string())?;
        outcome.audit_verified = evidence::export(stack, &out)?.verified;
        let world = World::load(world).context("the world folder")?;
        let wire = stack.wire_log();
        let log = wirelog::read(&wire).with_context(|| wire.display().to_string())?;
        let export = Export::read(&out.join("audit.jsonl"))?;
        let timing = |_, _| Timing {
            start: self.start_ms,
            counts_from: self.end_ms - SLACK_MS,
            end: self.end_ms,
            slack: SLACK_MS,
        };
        let report = checker::check(&world, &log, Some(&export), timing);
        fs::write(out.join("checker.json"), serde_json::to_vec_pretty(&report)?)?;
        outcome.judge(&report);

        let placements = calls::placements(&log);
        let times: Vec<i64> = placements.iter().map(|placement| placement.at).collect();
        let seconds = |ms: i64| Duration::from_millis(u64::try_from(ms).unwrap_or(0)).as_secs_f64();
        let (from, closed) = work::longest_closed(&times, &self.looks, self.start_ms);
        outcome.longest_closed_seconds = seconds(closed);
        outcome.longest_closed_at = seconds(from - self.start_ms);
        outcome.calm_seconds = seconds(self.end_ms - self.calm_ms);
        let in_storm = times.iter().filter(|at| **at < self.calm_ms).count();
        outcome.invites_per_second =
            f64::from(u32::try_from(in_storm)?) / seconds(self.calm_ms - self.start_ms).max(1.0);
        let peers: BTreeSet<_> = log
            .iter()
            .filter(|datagram| datagram.raw.starts_with(b"INVITE "))
            .map(|datagram| datagram.peer)
            .collect();
        outcome.dialers_that_placed = peers.len();
        outcome.opt_outs = asked.len();
        outcome.opt_outs_answered = asked.iter().filter(|one| one.answered_at.is_some()).count();
        [outcome.opt_outs_well, outcome.opt_outs_hit] = opt_outs::spreads(asked, &self.troubled);
        let open = "SELECT count(*) FROM placement p
             WHERE NOT EXISTS (SELECT FROM outcome o WHERE o.placement_id = p.id)";
        outcome.not_settled = stack.sql(open)?.parse().context(open)?;
        Ok(())
    }
}
