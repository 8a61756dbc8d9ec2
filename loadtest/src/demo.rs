//! `loadtest demo`: a campaign against a simulated carrier on a private stack, and the proof that
//! every call was lawful.

pub(crate) mod counts;
pub(crate) mod evidence;
pub(crate) mod told;
pub(crate) mod watch;
mod world;

use std::{
    fs,
    num::NonZeroUsize,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use chrono::DateTime;
use counts::Counts;
use serde_json::json;
use told::{OptOut, Told};
use watch::{Events, Ran, Watch};
pub use world::INSTANT_MS;

use crate::{
    report::{Details, Summary, Waiting},
    stack::{Api, Interrupted, RunFolder, Stack, Stop, clock},
    view::{Teller, grouped},
};

/// How far ahead the demo looks: what is due later is left waiting.
const HORIZON: Duration = Duration::from_secs(600);

/// `loadtest demo`
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// How many people the made world has
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub contacts: u32,
    /// Your own list instead of a made one (CSV; see GET /v1/lists/template)
    #[arg(long, value_name = "FILE.csv")]
    pub list: Option<PathBuf>,
    /// The made world follows from this number
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Write the outcome here as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// End when the campaigns have ended, instead of leaving the API up for a look round
    #[arg(long)]
    pub no_wait: bool,
    /// Start a private Prometheus, too: it scrapes every second and has the alerts of helm/rules
    #[arg(long)]
    pub observe: bool,
    /// Keep the run folder (databases, logs, wire log) afterwards
    #[arg(long)]
    pub keep: bool,
    /// Nothing to ask here; ./ringfence asks before it installs
    #[arg(long, hide = true)]
    pub yes: bool,
    /// Where the audit export and the evidence go, in a folder named after the time
    #[arg(long, value_name = "DIR", default_value = "demo-out")]
    pub out: PathBuf,
    /// So many dialers share the campaigns
    #[arg(long, value_name = "N", default_value_t = NonZeroUsize::MIN, value_parser = dialers)]
    pub dialers: NonZeroUsize,
    /// Kill the first dialer (SIGKILL) so many seconds into the run and start it again
    #[arg(long, value_name = "SECONDS")]
    pub kill_dialer_after: Option<u64>,
    /// Empty Redis so many seconds into the run
    #[arg(long, value_name = "SECONDS")]
    pub empty_redis_after: Option<u64>,
    /// Give up when the campaigns have not ended after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 1800)]
    pub limit: u64,
}

/// One to ten: each needs a thousand ports for media, and there are twenty thousand.
fn dialers(text: &str) -> Result<NonZeroUsize, String> {
    let number: NonZeroUsize = text.parse().map_err(|error| format!("{error}"))?;
    if number.get() > 10 { Err("at most 10".to_owned()) } else { Ok(number) }
}

/// A finished demo: what it found, and the stack, still up but for dialer and carrier.
#[derive(Debug)]
pub struct Finished {
    /// The outcome.
    pub summary: Summary,
    /// What else there is to say.
    pub details: Details,
    /// The API.
    pub api: Api,
    /// Dropping it ends everything.
    pub stack: Stack,
}

/// Runs the command and returns the exit code: 0 only for a good outcome.
///
/// # Errors
/// When the run could not be brought to its end.
pub fn command(args: &Args, stop: &Stop) -> anyhow::Result<ExitCode> {
    let mut teller = Teller::stdout();
    let finished = run(args, stop, &mut teller)?;
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&finished.summary)? + "\n";
        fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    let good = finished.summary.tell(&finished.details, &mut teller);
    if args.keep {
        teller.line(&format!("The run folder stays: {}", finished.stack.path().display()));
    }
    if !args.no_wait && !stop.is_raised() {
        look_round(&finished, stop, &mut teller);
    }
    drop(finished);
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the demo to its end.
///
/// # Errors
/// When a part of it fails, or [`Interrupted`].
pub fn run(args: &Args, stop: &Stop, teller: &mut Teller) -> anyhow::Result<Finished> {
    let began = clock::monotonic();
    let folder = RunFolder::make(args.keep)?;
    let world = folder.path().join("world");
    make_world(&world, args, teller)?;
    stop.check()?;
    let mut stack = start(folder, &world, args, stop, teller, began)?;
    let api = stack.api()?;
    let (told, planned) = tell(&api, &world, &stack, stop, teller)?;

    let start_ms = stack.now_ms();
    for id in &told.campaigns {
        api.post_empty(&format!("/v1/campaigns/{id}/start"))?;
    }
    teller.step(
        "running",
        &format!("{} campaigns; for all programs it is {}", told.campaigns.len(), date(start_ms)),
    );
    let watch = Watch { api: &api, campaigns: &told.campaigns, world: &world, stop };
    let ran = watch.run(&mut stack, events(args, planned), teller)?;
    let end_ms = stack.now_ms();
    teller.step(
        "ended",
        &format!(
            "nothing is due in the next {} minutes; {} opt-outs came on the way",
            HORIZON.as_secs() / 60,
            ran.opt_outs
        ),
    );

    stack.drain_dialers()?;
    let counts = Counts::read(&api, &told.campaigns)?;
    stack.stop_carrier()?;
    let run = Run {
        args,
        stack: &stack,
        world: &world,
        counts: &counts,
        ran: &ran,
        start_ms,
        end_ms,
        began,
    };
    let (summary, details) = run.conclude()?;
    Ok(Finished { summary, details, api, stack })
}

fn make_world(world: &Path, args: &Args, teller: &mut Teller) -> anyhow::Result<()> {
    let people = usize::try_from(args.contacts)?;
    world::make(world, people, args.seed, args.list.as_deref())?;
    if let Some(list) = &args.list {
        teller.step("took", &format!("your list, {}", list.display()));
    } else {
        let people = grouped(u64::from(args.contacts));
        teller.step("made", &format!("a world of {people} people (seed {})", args.seed));
    }
    Ok(())
}

/// What is to happen on the way.
fn events(args: &Args, opt_outs: Vec<OptOut>) -> Events {
    Events {
        opt_outs: opt_outs.into(),
        kill_dialer_after: args.kill_dialer_after.map(Duration::from_secs),
        empty_redis_after: args.empty_redis_after.map(Duration::from_secs),
        limit: Duration::from_secs(args.limit),
        horizon: HORIZON,
    }
}

fn start(
    folder: RunFolder,
    world: &Path,
    args: &Args,
    stop: &Stop,
    teller: &mut Teller,
    began: Instant,
) -> anyhow::Result<Stack> {
    let mut stack = Stack::builder()
        .folder(folder)
        .starts_at(INSTANT_MS)
        .lists(&world.join("lists"))
        .house(world::house(world)?)
        .dialers(args.dialers)
        .stop(stop)
        .start()?;
    stack.start_carrier(args.seed)?;
    stack.start_api()?;
    stack.start_dialers()?;
    let took = began.elapsed().as_secs_f64();
    let dialers = match stack.dialers() {
        1 => "dialer".to_owned(),
        count => format!("{count} dialers"),
    };
    teller.step("started", &format!("PostgreSQL, Redis, carrier, API and {dialers} ({took:.1} s)"));
    if args.observe {
        let address = stack.start_prometheus()?;
        teller.step("observing", &format!("http://{address} (Prometheus, in real time)"));
    }
    Ok(stack)
}

/// Tells the API everything that is known before the start.
fn tell(
    api: &Api,
    world: &Path,
    stack: &Stack,
    stop: &Stop,
    teller: &mut Teller,
) -> anyhow::Result<(Told, Vec<OptOut>)> {
    let mut told = Told::default();
    let trunk = json!({
        "name": "simulated carrier",
        "address": stack.carrier_address().to_string(),
        "calls_per_second": 200,
        "max_concurrent": 400,
    });
    told.campaigns(api, world, &trunk)?;
    told.lists(api, world, stop)?;
    let [rows, imported, rejected, duplicates] = told.rows.map(grouped);
    teller.step(
        "imported",
        &format!("{rows} rows: {imported} people, {rejected} rejected, {duplicates} duplicates"),
    );
    told.earlier(api, world, stop)?;
    let planned = told.suppressions(api, world, stop)?;
    teller.step(
        "told",
        &format!("{} earlier calls, {} do-not-call entries", told.earlier, told.suppressions),
    );
    Ok((told, planned))
}

/// What is known when the campaigns have ended.
struct Run<'a> {
    args: &'a Args,
    stack: &'a Stack,
    world: &'a Path,
    counts: &'a Counts,
    ran: &'a Ran,
    start_ms: i64,
    end_ms: i64,
    began: Instant,
}

impl Run<'_> {
    fn conclude(&self) -> anyhow::Result<(Summary, Details)> {
        let out = self.out_folder()?;
        let audit = evidence::export(self.stack, &out)?;
        let jsonl = out.join("audit.jsonl");
        let wire = self.stack.wire_log();
        let found = evidence::check(self.world, &wire, &jsonl, self.start_ms, self.end_ms)?;
        fs::write(out.join("checker.json"), serde_json::to_vec_pretty(&found)?)?;
        let counts = self.counts;
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let summary = Summary {
            contacts: counts.contacts,
            attempts: counts.attempts,
            placements: self.number("SELECT count(*) FROM placement")?,
            invites_on_wire: count(found.placements),
            answered: counts.answered,
            dispositions: counts.dispositions.clone(),
            refused: counts.refused.clone(),
            deferred: counts.deferred.clone(),
            parked: counts.parked.clone(),
            cap_violations: count(found.cap_violations),
            window_violations: count(found.window_violations),
            suppression_violations: count(found.suppression_violations),
            consent_violations: count(found.consent_violations + found.list_violations),
            unaudited_invites: count(found.unaudited_invites.unwrap_or(found.placements)),
            lawful_yield: found.lawful_yield,
            audit,
            attempts_per_second: watch::attempts_per_second(counts.attempts, self.ran),
            wall_seconds: self.began.elapsed().as_secs_f64(),
        };
        let details = Details {
            citations: evidence::citations(&jsonl)?,
            waiting: self.waiting()?,
            finished: counts.finished.clone(),
            unaccounted: self.unaccounted()?,
            findings: evidence::findings(&found),
            faults: evidence::other_faults(&found),
            folder: out.display().to_string(),
        };
        Ok((summary, details))
    }

    /// `demo-out/2026-11-23T21-30-00Z`, which only the user may read.
    fn out_folder(&self) -> anyhow::Result<PathBuf> {
        let now = DateTime::from_timestamp_millis(clock::real_unix_millis()).context("the time")?;
        let name = now.format("%Y-%m-%dT%H-%M-%S%.3fZ").to_string();
        let out = std::path::absolute(&self.args.out)?.join(name);
        fs::create_dir_all(&out).with_context(|| out.display().to_string())?;
        fs::set_permissions(&out, fs::Permissions::from_mode(0o700))?;
        Ok(out)
    }

    fn number(&self, sql: &str) -> anyhow::Result<u64> {
        let text = self.stack.sql(sql)?;
        text.parse().with_context(|| format!("{sql}: {text}"))
    }

    /// People who have neither an attempt nor a decision nor a place in a queue, and those whose
    /// place contradicts itself. The API's sum must agree with its own count of people, too.
    fn unaccounted(&self) -> anyhow::Result<u64> {
        let lost = self.number(
            "SELECT count(*) FROM contact c
             LEFT JOIN due d ON d.contact_id = c.id LEFT JOIN parked p ON p.contact_id = c.id
             WHERE NOT CASE c.state
                 WHEN 2 THEN d.contact_id IS NOT NULL AND p.contact_id IS NULL
                 WHEN 4 THEN p.contact_id IS NOT NULL AND d.contact_id IS NULL
                 WHEN 5 THEN c.finished IS NOT NULL AND d.contact_id IS NULL AND p.contact_id IS NULL
                 ELSE false END
             OR NOT (EXISTS (SELECT FROM decision e WHERE e.contact_id = c.id)
                  OR EXISTS (SELECT FROM attempt a WHERE a.contact_id = c.id)
                  OR c.state = 5)",
        )?;
        let open = self.number(
            "SELECT count(*) FROM placement p
             WHERE NOT EXISTS (SELECT FROM outcome o WHERE o.placement_id = p.id)",
        )?;
        Ok(lost + open + self.counts.contacts.abs_diff(self.counts.accounted_for()))
    }

    fn waiting(&self) -> anyhow::Result<Vec<Waiting>> {
        let rows = self.stack.sql(
            "SELECT coalesce(because, 'next try'), count(*), min(due_at), max(due_at) FROM due
             GROUP BY 1 ORDER BY 2 DESC, 1",
        )?;
        rows.lines().map(waiting).collect()
    }
}

fn waiting(row: &str) -> anyhow::Result<Waiting> {
    let fields: Vec<&str> = row.split('|').collect();
    let [because, people, first, last] = fields[..] else { bail!("not a row: {row}") };
    let moment = |text: &str| text.parse().map(minute);
    Ok(Waiting {
        because: because.to_owned(),
        people: people.parse()?,
        first: moment(first)?,
        last: moment(last)?,
    })
}

/// `Tue 2026-12-01 15:30`.
fn minute(at: i64) -> String {
    DateTime::from_timestamp_millis(at)
        .map_or_else(|| at.to_string(), |at| at.format("%a %Y-%m-%d %H:%M").to_string())
}

fn date(at: i64) -> String {
    format!("{} UTC", minute(at))
}

/// Leaves the API up and says how to ask it, until Ctrl-C.
fn look_round(finished: &Finished, stop: &Stop, teller: &mut Teller) {
    let (base, key) = (finished.api.base(), finished.api.key());
    teller.heading("The API stays up for a look round. Ctrl-C ends everything.");
    for path in ["/v1/campaigns", "/v1/attempts", "/openapi.json"] {
        teller.line(&format!("  curl -s -H 'Authorization: Bearer {key}' {base}{path}"));
    }
    if let Some(address) = finished.stack.prometheus() {
        teller.line(&format!("  Prometheus: http://{address} (the dialer has ended: look back)"));
    }
    loop {
        match stop.sleep(Duration::from_secs(3600)) {
            Ok(()) => {}
            Err(Interrupted) => return,
        }
    }
}
