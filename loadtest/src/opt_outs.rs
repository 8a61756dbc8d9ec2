//! `loadtest opt-outs`: how long the API takes to answer an opt-out while three dialers place calls,
//! and whether an INVITE to the person leaves after the answer (G7).
//!
//! Everybody is wanted by two campaigns, by a number each. Whoever's first number rings opts out
//! about when the second is to be called, one after the other; meanwhile the dialers are paused,
//! cut off from Postgres or from Redis, and killed, one at a time. The carrier's wire log is the judge.
//!
//! The API answers a fixed time after its commit, so a machine that is slow to wake sleepers or to write
//! answers late. How slow it is is measured beside it: a commit in the same Postgres, and as long a sleep.

mod asking;

use std::{
    fmt::{self, Write as _},
    fs,
    net::SocketAddr,
    num::NonZeroUsize,
    path::PathBuf,
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail};
use serde::Serialize;
use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use self::asking::{Answered, Asking};
use crate::{
    chaos::proxy::Proxy,
    checker::calls::placements,
    demo::{INSTANT_MS, told::text},
    spread::Spread,
    stack::{Api, Stack, Stop, Stores, clock},
    view::Teller,
    wirelog,
};

/// Dialers.
const DIALERS: usize = 3;
/// The longest a hundredth of the answers may take, ms.
const PROMISED_MS: i64 = 150;
/// How long a dialer is paused: longer than a send lease.
const PAUSE: Duration = Duration::from_millis(250);
/// How long a dialer is cut off: longer, too.
const CUT_OFF: Duration = Duration::from_millis(400);
/// Between two troubles.
const BETWEEN: Duration = Duration::from_millis(500);
/// Each dialer meets each of the four troubles; people opt out until then, however quickly they are
/// answered.
const TROUBLES: usize = 4 * DIALERS;
/// Retransmissions of what left too early, and the last CANCELs.
const LAST: Duration = Duration::from_secs(2);
/// The first numbers of the two campaigns: +1212555, and these four digits on.
const FIRST_NUMBERS: [u32; 2] = [0, 5000];
/// Two calls to one person have a second between them.
const HOUSE: &str = "[[override]]\nrule = \"house.min_gap\"\nseconds = 1\n";

/// `loadtest opt-outs`
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// How many people opt out, one after the other; more while some trouble is still to come
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(10..=1500))]
    pub count: u32,
    /// Calls a second that the trunk allows all dialers together; while one of them is always in trouble some twenty
    /// of the fifty reach the wire
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(5..=200))]
    pub rate: u32,
    /// Trouble nobody meanwhile
    #[arg(long)]
    pub fair: bool,
    /// Writes what is printed as JSON, too
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// Dialers.
    pub dialers: usize,
    /// Calls a second that the carrier saw, over the run.
    pub calls_per_second: f64,
    /// How often a dialer was paused, cut off or killed.
    pub troubles: usize,
    /// How long the API took to answer.
    pub answers: Spread,
    /// How long an empty commit and a sleep of [`schema::opt_outs::ANSWER_AFTER`] took meanwhile.
    pub least: Spread,
    /// People whose second call was still to come, and never came.
    pub stopped: usize,
    /// INVITEs to people after their answer.
    pub invites_after: usize,
}

impl Measured {
    /// What is wrong with it; empty for a good one.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.invites_after > 0 {
            faults.push(format!("{} INVITEs left after the answer", self.invites_after));
        }
        if self.answers.p99_ms > PROMISED_MS {
            let p99 = self.answers.p99_ms;
            faults.push(format!("the p99 of the answers is {p99} ms, not {PROMISED_MS}"));
        }
        if self.stopped == 0 {
            faults.push("no call was still to come, so nothing is shown".to_owned());
        }
        faults
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dialers, calls_per_second, troubles, answers, least, .. } = self;
        let Self { stopped, invites_after, .. } = self;
        writeln!(f, "{dialers} dialers, {calls_per_second:.1} calls a second")?;
        match troubles {
            0 => writeln!(f, "none of them in trouble")?,
            _ => writeln!(f, "one of them paused, cut off or killed {troubles} times")?,
        }
        writeln!(f, "  opt-outs answered         {answers}")?;
        writeln!(f, "  a commit and the wait     {least}")?;
        writeln!(f, "  calls still to come       {stopped}, none of which came")?;
        writeln!(f, "  INVITEs after the answer  {invites_after}")?;
        self.faults().iter().try_for_each(|fault| writeln!(f, "  {fault}"))
    }
}

/// Measures, and returns the exit code: 0 only when the promise was kept.
///
/// # Errors
/// When it could not be measured.
pub fn command(args: &Args, stop: &Stop) -> anyhow::Result<ExitCode> {
    let measured = run(args, stop)?;
    Teller::stdout().line(measured.to_string().trim_end());
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&measured)? + "\n";
        fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    Ok(if measured.faults().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Measures.
///
/// # Errors
/// When a part of it fails that must not, or on Ctrl-C.
pub fn run(args: &Args, stop: &Stop) -> anyhow::Result<Measured> {
    let mut stack = Stack::builder()
        .starts_at(INSTANT_MS)
        .house(HOUSE.to_owned())
        .dialers(NonZeroUsize::new(DIALERS).context("no dialers")?)
        .stop(stop)
        .start()?;
    let ways = ways(&mut stack)?;
    // Everybody rings until the opt-out.
    stack.start_carrier_with(1, &["--mix", "no_answer=1"])?;
    stack.start_api()?;
    stack.start_dialers()?;
    let api = stack.api()?;
    let seller = begin(args, &api, stack.carrier_address())?;
    let (began, start_ms) = (clock::monotonic(), stack.now_ms());
    let asking = Asking::start(api, seller, args.count, stack.owner_url(), stack.offset_ms())?;
    let done = AtomicBool::new(false);
    let owner = stack.owner_url();
    let (troubles, least) = thread::scope(|scope| {
        let waiting = scope.spawn(|| least(&owner, &done));
        let troubled = weather(args, &mut stack, &ways, &asking, stop);
        done.store(true, Ordering::Release);
        (troubled, waiting.join())
    });
    let (troubles, answered) = (troubles?, asking.end()?);
    let seconds = began.elapsed().as_secs_f64();
    stop.sleep(LAST)?;
    stack.stop_carrier()?;
    let wire = stack.wire_log();
    let log = wirelog::read(&wire).with_context(|| wire.display().to_string())?;
    let calls = placements(&log);
    let in_time = calls.iter().filter(|call| call.at >= start_ms).count();
    let [stopped, invites_after] = judge(&answered, &log);
    Ok(Measured {
        dialers: DIALERS,
        calls_per_second: f64::from(u32::try_from(in_time)?) / seconds.max(1.0),
        troubles,
        answers: Spread::of(answered.iter().map(|one| one.took_ms).collect()),
        least: Spread::of(least.unwrap_or_else(|_| bail!("the measure panicked"))?),
        stopped,
        invites_after,
    })
}

/// Each dialer reaches Postgres and Redis by proxies of ours.
fn ways(stack: &mut Stack) -> anyhow::Result<Vec<[Proxy; 2]>> {
    let postgres = SocketAddr::from(([127, 0, 0, 1], stack.postgres.port()));
    let redis = SocketAddr::from(([127, 0, 0, 1], stack.redis.port()));
    let mut ways = Vec::with_capacity(DIALERS);
    for number in 0..DIALERS {
        let both = [Proxy::start(postgres)?, Proxy::start(redis)?];
        let [to_postgres, to_redis] = &both;
        let url = stack.redis.url().replace(&redis.to_string(), &to_redis.address.to_string());
        let stores = Stores::by_url(&stack.postgres_url_at(to_postgres.address), &url);
        stack.dialer_reaches(number, &stores)?;
        ways.push(both);
    }
    Ok(ways)
}

/// How long a commit without content and the wait of an answer take, until the end, milliseconds.
fn least(postgres: &str, done: &AtomicBool) -> anyhow::Result<Vec<i64>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut connection = runtime.block_on(PgConnection::connect(postgres))?;
    let mut took = Vec::new();
    while !done.load(Ordering::Acquire) {
        let asked = clock::monotonic();
        // Written to the disk as a row would be.
        let commit = sqlx::query("SELECT pg_logical_emit_message(true, 'measure', '')");
        runtime.block_on(commit.execute(&mut connection))?;
        thread::sleep(schema::opt_outs::ANSWER_AFTER);
        took.push(i64::try_from(asked.elapsed().as_millis())?);
    }
    Ok(took)
}

/// Troubles one dialer after the other until everybody has opted out and each met each trouble; how
/// often.
fn weather(
    args: &Args,
    stack: &mut Stack,
    ways: &[[Proxy; 2]],
    asking: &Asking,
    stop: &Stop,
) -> anyhow::Result<usize> {
    let mut troubles = 0;
    while !asking.is_done() {
        if args.fair || troubles >= TROUBLES {
            asking.enough();
        }
        stop.sleep(BETWEEN)?;
        if !args.fair && !asking.is_done() {
            trouble(stack, ways, troubles, stop)?;
            troubles += 1;
        }
    }
    Ok(troubles)
}

/// One dialer after the other gets each trouble. None is killed while another is starting: calls are
/// to go on.
fn trouble(stack: &mut Stack, ways: &[[Proxy; 2]], turn: usize, stop: &Stop) -> anyhow::Result<()> {
    let number = turn % DIALERS;
    let [postgres, redis] = ways.get(number).context("no such dialer")?;
    // Each meets each in TROUBLES turns: three and four have no common divisor.
    let kind = turn % 4;
    let mut all_ready = true;
    for number in (0..DIALERS).filter(|_| kind == 3) {
        all_ready &= stack.is_ready(number)?;
    }
    match kind {
        3 if all_ready => stack.launch_nth_dialer(number)?,
        0 | 3 => {
            let dialer = stack.nth_dialer(number).context("no such dialer")?;
            dialer.pause();
            let slept = stop.sleep(PAUSE);
            dialer.resume();
            slept?;
        }
        other => {
            let way = if other == 1 { postgres } else { redis };
            way.change(|weather| weather.hold = true);
            let slept = stop.sleep(CUT_OFF);
            way.clear();
            slept?;
        }
    }
    Ok(())
}

/// Two campaigns that call everybody by one number each, begun. Returns the seller.
fn begin(args: &Args, api: &Api, carrier: SocketAddr) -> anyhow::Result<String> {
    let trunk = json!({
        "name": "carrier", "address": carrier.to_string(),
        "calls_per_second": args.rate, "max_concurrent": 1000,
    });
    let trunk = text(&api.post("/v1/trunks", &trunk)?, "id")?.to_owned();
    let seller = text(&api.post("/v1/sellers", &json!({ "name": "Alder" }))?, "id")?.to_owned();
    // Who is called and does not opt out, and who is called meanwhile.
    let people = (args.count * 3 + 100).max(args.rate * 30).min(5000);
    let mut campaigns = Vec::new();
    for first in FIRST_NUMBERS {
        let body = json!({
            "seller": seller, "name": format!("from {first}"), "purpose": "informational",
            "technology": "prerecorded", "caller_id": "+12125550100",
            "announces": ["identity", "purpose_statement", "callback_number"],
            "prompt": "demo.wav", "calls_per_second": args.rate, "max_concurrent": 500,
            "max_tries": 1, "ring_timeout_seconds": 15, "retry": {}, "trunks": [trunk],
        });
        let id = text(&api.post("/v1/campaigns", &body)?, "id")?.to_owned();
        let csv = csv(first, people)?;
        let said = api.post_csv(&format!("/v1/campaigns/{id}/lists?name=p"), csv.as_bytes())?;
        if said.get("imported").and_then(serde_json::Value::as_u64) != Some(u64::from(people)) {
            bail!("not everybody was imported: {said}");
        }
        campaigns.push(id);
    }
    for id in campaigns {
        api.post_empty(&format!("/v1/campaigns/{id}/start"))?;
    }
    Ok(seller)
}

fn csv(first: u32, people: u32) -> Result<String, fmt::Error> {
    let mut csv = String::from(
        "external_id,phone_1,line_1,country,region,time_zone,party_type,party_role,\
         consent_form,consent_purpose,consent_at,consent_source\n",
    );
    for person in 0..people {
        writeln!(
            csv,
            "p{person},+1212555{:04},landline,US,NY,America/New_York,consumer,principal,\
             prior_express_written,informational,2026-11-01T12:00:00Z,web form",
            first + person
        )?;
    }
    Ok(csv)
}

/// How many second calls never came, and how many INVITEs came after the answer, retransmissions
/// and all.
fn judge(answered: &[Answered], log: &[wirelog::Datagram]) -> [usize; 2] {
    let (mut stopped, mut after) = (0, 0);
    let calls = placements(log);
    for one in answered {
        let numbers = FIRST_NUMBERS.map(|first| format!("1212555{:04}", first + one.person));
        let theirs = |number: &str| numbers.iter().any(|own| number.ends_with(own.as_str()));
        let called = calls.iter().filter(|call| theirs(&call.number)).count();
        stopped += usize::from(called == 1);
        after += log
            .iter()
            .filter(|datagram| datagram.t_us.div_euclid(1000) > one.answered_at)
            .filter(|datagram| {
                let said = String::from_utf8_lossy(&datagram.raw);
                let number = said.strip_prefix("INVITE sip:").and_then(|it| it.split('@').next());
                number.is_some_and(theirs)
            })
            .count();
    }
    [stopped, after]
}
