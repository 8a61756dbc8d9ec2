//! Watches the campaigns until nothing is left to do, shows how they stand, and on the way does
//! what the user asked for: opt-outs, a killed dialer, an emptied Redis.

use std::{collections::VecDeque, fs, path::Path, time::Duration};

use anyhow::{Context as _, bail};
use chrono::DateTime;
use serde_json::Value;

use super::{
    counts::{Counts, Tally, sum},
    told::OptOut,
};
use crate::{
    stack::{Api, Stack, Stop, clock},
    view::{Teller, Tone, grouped},
};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(250);
/// Looks in a row that must find nothing to do: a look at several campaigns is not one moment.
const QUIET_LOOKS: u32 = 4;

/// What is to happen during the run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Events {
    /// Opt-outs, the first first.
    pub opt_outs: VecDeque<OptOut>,
    /// Kill the dialer and start it again.
    pub kill_dialer_after: Option<Duration>,
    /// Empty Redis.
    pub empty_redis_after: Option<Duration>,
    /// Give up.
    pub limit: Duration,
    /// A campaign has ended when nothing is due within this time.
    pub horizon: Duration,
}

/// How the run went.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ran {
    /// From the start of the campaigns until the last attempt was seen.
    pub active: Duration,
    /// Opt-outs told to the API on the way.
    pub opt_outs: usize,
}

/// One watched run.
pub(crate) struct Watch<'a> {
    pub(crate) api: &'a Api,
    pub(crate) campaigns: &'a [String],
    pub(crate) world: &'a Path,
    pub(crate) stop: &'a Stop,
}

impl Watch<'_> {
    /// Until nothing is left to do.
    ///
    /// # Errors
    /// When a program ends by itself, the API does not answer, the time is up, or on Ctrl-C.
    pub(crate) fn run(
        &self,
        stack: &mut Stack,
        mut events: Events,
        teller: &mut Teller,
    ) -> anyhow::Result<Ran> {
        let started = clock::monotonic();
        let mut ran = Ran::default();
        let (mut quiet, mut attempts) = (0, 0);
        let mut told = Vec::new();
        loop {
            self.stop.sleep(PAUSE)?;
            stack.must_run()?;
            let elapsed = started.elapsed();
            faults(stack, &mut events, elapsed, teller)?;
            self.opt_outs(stack, &mut events, elapsed, &mut told)?;
            let counts = Counts::read(self.api, self.campaigns)?;
            if counts.attempts > attempts {
                attempts = counts.attempts;
                ran.active = elapsed;
            }
            let now = stack.now_ms();
            show(teller, &counts, elapsed, now);
            let horizon = now.saturating_add(millis(events.horizon));
            quiet = if counts.is_quiet_until(horizon) { quiet + 1 } else { 0 };
            let faults_left =
                events.kill_dialer_after.is_some() || events.empty_redis_after.is_some();
            if quiet >= QUIET_LOOKS && !faults_left {
                break;
            }
            if elapsed > events.limit {
                bail!("{}", too_long(&counts, events.limit));
            }
        }
        ran.opt_outs = told.len();
        record_opt_outs(self.world, &told)?;
        Ok(ran)
    }

    /// Tells the API of the people who have had enough by now.
    fn opt_outs(
        &self,
        stack: &Stack,
        events: &mut Events,
        elapsed: Duration,
        told: &mut Vec<(usize, i64, i64)>,
    ) -> anyhow::Result<()> {
        while events.opt_outs.front().is_some_and(|next| elapsed >= next.after) {
            let Some(next) = events.opt_outs.pop_front() else {
                break;
            };
            let asked = stack.now_ms();
            self.api.post("/v1/suppressions", &next.body)?;
            told.push((next.index, asked, stack.now_ms()));
        }
        Ok(())
    }
}

fn faults(
    stack: &mut Stack,
    events: &mut Events,
    elapsed: Duration,
    teller: &mut Teller,
) -> anyhow::Result<()> {
    if events.kill_dialer_after.is_some_and(|after| elapsed >= after) {
        events.kill_dialer_after = None;
        stack.kill_dialer()?;
        stack.start_dialer()?;
        teller.step("killed", "the dialer in the middle (SIGKILL), and started it again");
    }
    if events.empty_redis_after.is_some_and(|after| elapsed >= after) {
        events.empty_redis_after = None;
        stack.redis.empty()?;
        teller.step("emptied", "Redis in the middle (FLUSHALL)");
    }
    Ok(())
}

/// Writes into `suppressions.json` when each opt-out was asked for and answered, for the checker.
fn record_opt_outs(world: &Path, told: &[(usize, i64, i64)]) -> anyhow::Result<()> {
    let path = world.join("suppressions.json");
    let mut all = super::told::read_json(&path)?;
    for (index, asked, answered) in told {
        let entry = all.get_mut(index).and_then(Value::as_object_mut);
        let entry = entry.context("an opt-out is not in suppressions.json")?;
        entry.insert("at".to_owned(), Value::from(*asked));
        entry.insert("answered_at".to_owned(), Value::from(*answered));
    }
    fs::write(&path, serde_json::to_vec_pretty(&all)?).with_context(|| path.display().to_string())
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn too_long(counts: &Counts, limit: Duration) -> String {
    let mut text = format!(
        "the campaigns did not end within {} s: {} due, {} under way, {} not started",
        limit.as_secs(),
        counts.due,
        counts.leased,
        counts.waiting
    );
    for stalled in &counts.stalled {
        text.push_str("; ");
        text.push_str(stalled);
    }
    text
}

/// `attempts / elapsed`, to one decimal.
fn rate(count: u64, elapsed: Duration) -> f64 {
    let count = u32::try_from(count).map_or(f64::INFINITY, f64::from);
    if elapsed.is_zero() { 0.0 } else { count / elapsed.as_secs_f64() }
}

/// How many attempts were made a second while attempts were made.
#[must_use]
pub(crate) fn attempts_per_second(attempts: u64, ran: &Ran) -> f64 {
    rate(attempts, ran.active)
}

fn show(teller: &mut Teller, counts: &Counts, elapsed: Duration, now: i64) {
    let speed = rate(counts.attempts, elapsed);
    let refused = sum(&counts.parked);
    let plain = format!(
        "  {:>4} s  {} attempts ({speed:.1} a second), {} answered, {} refused, {} waiting, {} under way",
        elapsed.as_secs(),
        grouped(counts.attempts),
        grouped(counts.answered),
        grouped(refused),
        grouped(counts.due + counts.waiting),
        grouped(counts.leased),
    );
    let mut block = vec![
        String::new(),
        format!(
            "  {}  attempts {:>7}   {speed:>6.1} a second   answered {:>7}   under way {:>5}",
            clock_of(now),
            grouped(counts.attempts),
            grouped(counts.answered),
            grouped(counts.leased),
        ),
        row(teller, "how calls ended", &counts.dispositions),
        row(teller, "refused by", &counts.refused),
        row(teller, "waiting because of", &counts.deferred),
    ];
    let next = counts.next_due_at.map_or_else(|| "nothing".to_owned(), clock_of);
    block.push(format!("  {:<20} {} people, next at {next}", "waiting", grouped(counts.due)));
    for stalled in &counts.stalled {
        block.push(teller.tone(Tone::Yellow, &format!("  {stalled}")));
    }
    teller.stand(elapsed, &block, &plain);
}

/// The biggest four of a tally in a line.
fn row(teller: &Teller, name: &str, tally: &Tally) -> String {
    let mut all: Vec<(&String, &u64)> = tally.iter().collect();
    all.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let mut shown: Vec<String> =
        all.iter().take(4).map(|(word, count)| format!("{word} {}", grouped(**count))).collect();
    if all.len() > 4 {
        shown.push(format!("and {} more", all.len() - 4));
    }
    format!("  {name:<20} {}", teller.tone(Tone::Faint, &shown.join(", ")))
}

/// `15:30:12 UTC`.
pub(crate) fn clock_of(at: i64) -> String {
    DateTime::from_timestamp_millis(at)
        .map_or_else(|| at.to_string(), |at| at.format("%a %H:%M:%S UTC").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_time_in_which_attempts_were_made() {
        let ran = Ran { active: Duration::from_secs(4), opt_outs: 0 };
        assert!((attempts_per_second(10, &ran) - 2.5).abs() < 1e-9);
        assert!(attempts_per_second(10, &Ran::default()).abs() < 1e-9);
    }

    #[test]
    fn opt_outs_are_recorded_with_the_moments_of_question_and_answer() {
        let folder = crate::stack::RunFolder::make(false).unwrap();
        let path = folder.path().join("suppressions.json");
        fs::write(&path, r#"[{"number": "+1", "at": 5}, {"number": "+2", "at": null}]"#).unwrap();
        record_opt_outs(folder.path(), &[(1, 10, 12)]).unwrap();
        let all = super::super::told::read_json(&path).unwrap();
        assert_eq!(all[0]["at"], 5);
        assert_eq!((&all[1]["at"], &all[1]["answered_at"]), (&Value::from(10), &Value::from(12)));
        assert!(record_opt_outs(folder.path(), &[(9, 1, 2)]).is_err());
    }
}
