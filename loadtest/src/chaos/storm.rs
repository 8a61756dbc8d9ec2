//! The storm itself: does what the plan says, and starts again what ended, as a supervisor would.

mod redis;
mod supervise;

use std::{
    collections::{BTreeMap, VecDeque},
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use supervise::Program;

use super::{
    plan::{DIALERS, Kind, Planned},
    postgres,
    redises::{Member, Redises},
    ways::Network,
};
use crate::{
    stack::{Process, Stack, Stop, clock},
    view::Teller,
};

/// Between two looks.
const TICK: Duration = Duration::from_millis(20);
/// How long replicas stay cut off after their failover began: until one of them is primary.
const CUT_OFF: Duration = Duration::from_secs(2);

/// How long Postgres or the API may take to be themselves again after a fault has ended: recovery,
/// start, new connections.
const RECOVERS_MS: i64 = 3_000;

/// When an answer of the API cannot be promised, ms of the deployment's clock, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) kind: Kind,
    pub(super) from: i64,
    pub(super) to: i64,
}

/// What is still to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Begin(Planned),
    End(Planned),
    /// Cut-off replicas may follow again.
    Rejoin,
}

/// The storm over one stack.
pub(super) struct Storm<'a> {
    pub(super) stack: &'a mut Stack,
    pub(super) redises: &'a mut Redises,
    pub(super) network: &'a Network,
    stop: Stop,
    clock: PathBuf,
    started: Instant,
    steps: VecDeque<(Duration, Step)>,
    /// Kept down by a fault.
    down: Vec<Program>,
    /// Started again at this moment.
    restarts: BTreeMap<Program, Duration>,
    /// The server that a fault of Redis hit.
    victim: Option<usize>,
    /// Faults done, by kind.
    pub(super) done: BTreeMap<Kind, usize>,
    /// When Postgres or the API were hit.
    pub(super) troubled: Vec<Trouble>,
    /// How often a program was started again that had ended by itself.
    pub(super) restarted: usize,
}

impl<'a> Storm<'a> {
    pub(super) fn new(
        stack: &'a mut Stack,
        redises: &'a mut Redises,
        network: &'a Network,
        clock_file: &Path,
        stop: &Stop,
    ) -> Self {
        Self {
            stack,
            redises,
            network,
            stop: stop.clone(),
            clock: clock_file.to_owned(),
            started: clock::monotonic(),
            steps: VecDeque::new(),
            down: Vec::new(),
            restarts: BTreeMap::new(),
            victim: None,
            done: BTreeMap::new(),
            troubled: Vec::new(),
            restarted: 0,
        }
    }

    /// Runs the plan for as long as the storm lasts.
    ///
    /// # Errors
    /// When something cannot be done that must be possible, or on Ctrl-C.
    pub(super) fn rage(
        &mut self,
        plan: &[Planned],
        storm: Duration,
        teller: &mut Teller,
    ) -> anyhow::Result<()> {
        self.started = clock::monotonic();
        for fault in plan {
            self.later(fault.at, Step::Begin(*fault));
        }
        while self.started.elapsed() < storm {
            self.stop.sleep(TICK)?;
            while let Some((at, step)) = self.steps.front().copied()
                && at <= self.started.elapsed()
            {
                self.steps.pop_front();
                self.take(step, teller)?;
            }
            self.supervise(teller)?;
        }
        Ok(())
    }

    /// Ends every fault, and waits until all programs are ready.
    ///
    /// # Errors
    /// When they are not within `limit`, or on Ctrl-C.
    pub(super) fn calm(&mut self, limit: Duration, teller: &mut Teller) -> anyhow::Result<()> {
        let left: Vec<Step> = self.steps.drain(..).map(|(_, step)| step).collect();
        for step in left {
            if !matches!(step, Step::Begin(_)) {
                self.take(step, teller)?;
            }
        }
        self.steps.clear();
        self.rejoin();
        self.network.clear();
        self.down.clear();
        let started = clock::monotonic();
        for number in 0..DIALERS {
            while started.elapsed() < limit {
                self.supervise(teller)?;
                if self.stack.nth_dialer(number).is_some() && self.stack.is_ready(number)? {
                    break;
                }
                self.stop.sleep(TICK)?;
            }
            self.stack.wait_for_nth_dialer(number, Duration::from_secs(1))?;
        }
        Ok(())
    }

    fn later(&mut self, at: Duration, step: Step) {
        let place = self.steps.partition_point(|(other, _)| *other <= at);
        self.steps.insert(place, (at, step));
    }

    fn take(&mut self, step: Step, teller: &mut Teller) -> anyhow::Result<()> {
        match step {
            Step::Begin(fault) => {
                let from = self.stack.now_ms();
                let did = self.begin(fault)?;
                if fault.kind.holds_answers() {
                    let to = self.stack.now_ms() + RECOVERS_MS;
                    self.troubled.push(Trouble { kind: fault.kind, from, to });
                }
                let at = format!("{:.1} s", self.started.elapsed().as_secs_f64());
                if !did {
                    teller.step(&at, &format!("{fault}: left out, it is down already"));
                    return Ok(());
                }
                teller.step(&at, &fault.to_string());
                *self.done.entry(fault.kind).or_default() += 1;
                self.later(fault.at + fault.lasts, Step::End(fault));
            }
            Step::End(fault) => {
                self.end(fault)?;
                let to = self.stack.now_ms() + RECOVERS_MS;
                // Those of one kind follow each other.
                let of_kind = |trouble: &&mut Trouble| trouble.kind == fault.kind;
                if let Some(trouble) = self.troubled.iter_mut().rev().find(of_kind) {
                    trouble.to = to;
                }
            }
            Step::Rejoin => self.rejoin(),
        }
        Ok(())
    }

    /// Whether it could be done.
    fn begin(&mut self, fault: Planned) -> anyhow::Result<bool> {
        match fault.kind {
            Kind::PostgresKill => self.stack.postgres.stop(true),
            Kind::PostgresBackendKill => postgres::kill_in_commit(self.stack),
            Kind::PostgresPause => postgres::pause(self.stack),
            Kind::ApiKill => {
                self.down.push(Program::Api);
                self.stack.kill_api()?;
            }
            Kind::ApiPause => return Ok(paused(self.stack.api_process())),
            Kind::DialerKill => {
                if self.stack.nth_dialer(fault.target).is_none() {
                    return Ok(false);
                }
                self.down.push(Program::Dialer(fault.target));
                self.stack.kill_nth_dialer(fault.target)?;
            }
            Kind::DialerDrain => match self.stack.nth_dialer(fault.target) {
                Some(dialer) => dialer.ask_to_end(),
                None => return Ok(false),
            },
            Kind::DialerPauseLease | Kind::DialerPausePermit | Kind::DialerPauseDead => {
                return Ok(paused(self.stack.nth_dialer(fault.target)));
            }
            Kind::ClockStep => self.step_clock(fault.by)?,
            Kind::SentinelKill => match self.redises.sentinels.get_mut(fault.target) {
                Some(sentinel) => sentinel.kill()?,
                None => return Ok(false),
            },
            Kind::SentinelPause => {
                let sentinel = self.redises.sentinels.get_mut(fault.target);
                return Ok(paused(sentinel.and_then(|sentinel| sentinel.process.as_mut())));
            }
            kind if self.on_the_way(kind, fault) => {}
            kind => return self.begin_redis(kind, fault),
        }
        Ok(true)
    }

    /// Faults of connections; whether it is one.
    fn on_the_way(&self, kind: Kind, fault: Planned) -> bool {
        let Some(ways) = self.network.dialers.get(fault.target) else { return false };
        let late = Duration::from_millis(fault.by.unsigned_abs());
        match kind {
            Kind::RedisReset => ways.reset_redis(),
            Kind::PostgresReset => ways.postgres.reset(),
            Kind::RedisDelay => ways.change_redis(|weather| weather.delay = late),
            Kind::PostgresDelay => ways.postgres.change(|weather| weather.delay = late),
            Kind::RedisHold => ways.change_redis(|weather| weather.hold = true),
            Kind::PostgresHold => ways.postgres.change(|weather| weather.hold = true),
            _ => return false,
        }
        true
    }

    fn end(&mut self, fault: Planned) -> anyhow::Result<()> {
        match fault.kind {
            Kind::PostgresKill => self.stack.postgres.start_again()?,
            Kind::PostgresPause => postgres::resume(self.stack),
            Kind::ApiKill => self.down.retain(|program| *program != Program::Api),
            Kind::ApiPause => resumed(self.stack.api_process()),
            Kind::DialerKill => {
                self.down.retain(|program| *program != Program::Dialer(fault.target));
            }
            Kind::DialerPauseLease | Kind::DialerPausePermit | Kind::DialerPauseDead => {
                resumed(self.stack.nth_dialer(fault.target));
            }
            Kind::ClockStep => self.step_clock(0)?,
            Kind::RedisDelay | Kind::PostgresDelay | Kind::RedisHold | Kind::PostgresHold => {
                if let Some(ways) = self.network.dialers.get(fault.target) {
                    ways.clear();
                }
            }
            Kind::SentinelKill | Kind::SentinelPause => {
                for sentinel in &mut self.redises.sentinels {
                    revive(sentinel, self.stack)?;
                }
            }
            Kind::RedisPrimaryKill
            | Kind::RedisPrimaryPause
            | Kind::ReplicaKill
            | Kind::ReplicaPause => {
                for server in &mut self.redises.servers {
                    revive(server, self.stack)?;
                }
            }
            Kind::RedisOutOfMemory => {
                for address in self.addresses() {
                    self.tell(address, &["CONFIG SET maxmemory 0"]);
                }
            }
            Kind::RedisLostWrites => {
                self.redises.fail_over();
                self.later(self.started.elapsed() + CUT_OFF, Step::Rejoin);
            }
            Kind::RedisSplitBrain => self.end_split_brain(),
            Kind::RedisPrimaryEmptied
            | Kind::RedisFlush
            | Kind::RedisFunctionFlush
            | Kind::PostgresBackendKill
            | Kind::DialerDrain
            | Kind::RedisReset
            | Kind::PostgresReset => {}
        }
        Ok(())
    }

    /// Steps the wall clock of one dialer to so many seconds beside the real one.
    fn step_clock(&self, by: i64) -> anyhow::Result<()> {
        set_clock(&self.clock, by)
    }
}

impl Drop for Storm<'_> {
    /// Nothing stays frozen: what is frozen cannot end in order.
    fn drop(&mut self) {
        postgres::resume(self.stack);
        for number in 0..DIALERS {
            resumed(self.stack.nth_dialer(number));
        }
        resumed(self.stack.api_process());
    }
}

/// Writes what libfaketime reads: seconds beside the real time.
///
/// # Errors
/// If it cannot be written.
pub(super) fn set_clock(path: &Path, by: i64) -> anyhow::Result<()> {
    let whole = || {
        let next = path.with_extension("next");
        fs::write(&next, format!("{by:+}\n"))?;
        // Whole or not at all: it is read all the time.
        fs::rename(&next, path)
    };
    whole().with_context(|| path.display().to_string())
}

fn paused(process: Option<&mut Process>) -> bool {
    process.is_some_and(|process| {
        process.pause();
        true
    })
}

fn resumed(process: Option<&mut Process>) {
    if let Some(process) = process {
        process.resume();
    }
}

/// Lets it go on, or starts it.
fn revive(member: &mut Member, stack: &mut Stack) -> anyhow::Result<()> {
    resumed(member.process.as_mut());
    member.start(stack)
}
