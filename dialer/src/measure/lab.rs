//! The engine with its stores and without a wire.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use arc_swap::ArcSwap;
use dialer_engine::{Campaign, Engine, Input, Order, Output, Timers, TransmitKind};
use dialer_facts::lists::Folder;
use dialer_judge::{CLOCK_BOUND, PERMIT_LIFE};
use dialer_policy::{Options, Ruleset};
use dialer_types::{AttemptId, Mint, Now};
use schema::config::Config;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::{fill::People, percentile, seed};
use crate::{
    inbox::inbox,
    outbox::{Handed, Outbox},
    rtp,
    scheduler::Loads,
    store::{PATIENCE, Stores, commits, facts, heads, reserve},
    trunks::{Shares, Trunks},
};

/// Queues as deep as those of `dialer run`.
const ROOM: usize = crate::outbox::WISH_ROOM;

pub(super) struct Lab {
    engine: Engine,
    outbox: Outbox,
    inputs: mpsc::Receiver<Input<'static>>,
    stores: Arc<Stores>,
    campaign: Arc<Campaign>,
    people: People,
    /// Who is still to be called in this part.
    left: Range<u32>,
    at_once: usize,
    /// When those in the gate were taken.
    taken: BTreeMap<AttemptId, Instant>,
    took: Vec<Duration>,
    not_cleared: u64,
}

/// What one part came to.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Part {
    pub(super) cleared: u64,
    pub(super) lasted: Duration,
    pub(super) p50: Duration,
    pub(super) p99: Duration,
    pub(super) not_cleared: u64,
}

impl Part {
    pub(super) fn per_second(&self) -> u64 {
        let millis = u64::try_from(self.lasted.as_millis()).unwrap_or(u64::MAX).max(1);
        self.cleared * 1_000 / millis
    }
}

impl Lab {
    pub(super) async fn new(
        stores: Arc<Stores>,
        config: &Config,
        people: People,
        at_once: u16,
        tasks: &TaskTracker,
    ) -> Result<Self> {
        let (inbox, inputs) = inbox();
        let (shares, folder) = (Shares::default(), Folder::open(&config.dialer.lists));
        let trunks = Trunks::default().refresh(&stores, &shares).await.context("the trunk")?;
        let running = stores.campaigns().await?;
        let campaign = running.values().next().context("the campaign")?;
        let (heads_in, heads_queue) = mpsc::channel(ROOM);
        let (facts_in, facts_queue) = mpsc::channel(ROOM);
        let (reserve_in, reserve_queue) = mpsc::channel(ROOM);
        let (commit_in, commit_queue) = mpsc::channel(crate::outbox::COMMIT_ROOM);
        let of = || Arc::clone(&stores);
        tasks.spawn(heads::serve(of(), heads_queue, inbox.clone(), tasks.clone()));
        tasks.spawn(facts::serve(of(), facts_queue, folder.lists(), inbox.clone(), tasks.clone()));
        let line = (reserve_queue, shares.clone());
        tasks.spawn(reserve::serve(of(), line.0, line.1, inbox.clone(), tasks.clone()));
        tasks.spawn(commits::serve(of(), commit_queue, inbox.clone(), tasks.clone()));
        let (media, _) = rtp::spawn(
            BTreeMap::new(),
            &config.dialer.prompts,
            stores.clock,
            inbox.clone(),
            stores.metrics.clone(),
            Mint::new(seed()?),
        )?;
        let outbox = Outbox {
            heads: heads_in,
            facts: facts_in,
            reserve: reserve_in,
            commit: commit_in,
            forget: mpsc::channel(1).0,
            ledger: mpsc::channel(1).0,
            shares: shares.clone(),
            clock: stores.clock,
            media,
            loads: Loads::default(),
            campaigns: Arc::<ArcSwap<_>>::default(),
            gate: stores.gate.clone(),
            metrics: stores.metrics.clone(),
            backlog: VecDeque::new(),
        };
        let engine = engine(&stores, &shares, trunks, at_once)?;
        Ok(Self {
            engine,
            outbox,
            inputs,
            campaign: Arc::clone(&campaign.terms),
            stores,
            people,
            left: 0..0,
            at_once: usize::from(at_once),
            taken: BTreeMap::new(),
            took: Vec::new(),
            not_cleared: 0,
        })
    }

    /// These people, for so long at most: as many as go, or so many a second, evenly.
    pub(super) fn run(
        &mut self,
        people: Range<u32>,
        length: Duration,
        rate: Option<u64>,
    ) -> Result<Part> {
        self.left = people;
        (self.took, self.not_cleared) = (Vec::new(), 0);
        let begun = self.now().mono;
        let between = rate
            .map(|rate| Duration::from_secs(1) / u32::try_from(rate.max(1)).unwrap_or(u32::MAX));
        let mut next = begun;
        while self.now().mono < begun + length && !self.left.is_empty() {
            match between {
                None => while self.taken.len() < self.at_once && self.take(self.now().mono) {},
                // Counted from when it was to be taken, so that falling behind shows.
                Some(between) => {
                    while next <= self.now().mono && self.take(next) {
                        next += between;
                    }
                }
            }
            self.turn()?;
        }
        let (cleared, lasted) = (self.took.len(), self.now().mono - begun);
        while !self.taken.is_empty() {
            self.turn()?;
        }
        self.took.sort_unstable();
        let (p50, p99) = (percentile(&self.took, 500), percentile(&self.took, 990));
        let cleared = u64::try_from(cleared).unwrap_or(0);
        Ok(Part { cleared, lasted, p50, p99, not_cleared: self.not_cleared })
    }

    /// How many people of the last part were not taken.
    pub(super) fn left(&self) -> u32 {
        self.left.end - self.left.start
    }

    pub(super) fn campaign(&self) -> Arc<Campaign> {
        Arc::clone(&self.campaign)
    }

    fn now(&self) -> Now {
        self.stores.clock.now()
    }

    /// Takes somebody; `false` where nobody is left.
    fn take(&mut self, at: Instant) -> bool {
        let Some(index) = self.left.next() else { return false };
        let person = self.people.at(index);
        let attempt = AttemptId { contact: person.contact, try_no: 1 };
        self.taken.insert(attempt, at);
        let order = Order {
            attempt,
            made: 0,
            campaign: Arc::clone(&self.campaign),
            person: person.person,
            account: None,
            numbers: vec![(0, person.number)],
        };
        self.input(Input::Due(Box::new(order)));
        true
    }

    /// Takes what the stores answered; waits a moment where they have not.
    fn turn(&mut self) -> Result<()> {
        let mut heard = 0;
        while let Ok(input) = self.inputs.try_recv() {
            self.input(input);
            heard += 1;
            if heard == 256 {
                break;
            }
        }
        let now = self.now();
        if self.engine.poll_timeout().is_some_and(|due| due <= now.mono) {
            self.input(Input::Timeout);
        }
        if heard == 0 {
            std::thread::sleep(Duration::from_micros(50));
        }
        Ok(())
    }

    fn input(&mut self, input: Input<'static>) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            self.engine.handle_input(input, self.now());
            while let Some(output) = self.engine.poll_output() {
                inputs.extend(self.output(output));
            }
        }
    }

    fn output(&mut self, output: Output) -> Option<Input<'static>> {
        match output {
            // Cleared. It does not leave, so the attempt ends here.
            Output::Transmit(transmit) if transmit.kind == TransmitKind::InviteFirst => {
                transmit.call.map(Input::TooLate)
            }
            Output::Settle(settlement) => {
                if let Some(at) = self.taken.remove(&settlement.attempt) {
                    self.took.push(self.now().mono.saturating_duration_since(at));
                }
                None
            }
            Output::Deny(denied) => self.lost(denied.attempt),
            Output::Return(returned) => self.lost(returned.attempt),
            Output::Release(released) => self.lost(released.attempt),
            Output::Transmit(_) | Output::Record(_) => None,
            other => match self.outbox.hand(other) {
                Handed::Refused(answer) => Some(answer),
                Handed::Done | Handed::Send(_) => None,
            },
        }
    }

    fn lost(&mut self, attempt: AttemptId) -> Option<Input<'static>> {
        self.taken.remove(&attempt);
        self.not_cleared += 1;
        None
    }
}

/// An engine that may send as much as it likes.
fn engine(
    stores: &Stores,
    shares: &Shares,
    trunks: Vec<dialer_engine::Trunk>,
    at_once: u16,
) -> Result<Engine> {
    let ports = (20_000..20_000 + at_once).collect::<Vec<u16>>();
    let address = ([127, 0, 0, 1], 9).into();
    let engine = dialer_engine::Config {
        node: stores.node,
        sip: dialer_engine::SipConfig {
            advertised: address,
            user_agent: "measure".to_owned(),
            timers: Timers::default(),
            max_calls: ports.len(),
        },
        rtp_address: address.ip(),
        rtp_ports: ports,
        permit_life: PERMIT_LIFE,
        clock_bound: CLOCK_BOUND,
        store_patience: PATIENCE + PATIENCE / 4,
        spread: Duration::ZERO,
        clock_offset_ms: stores.clock.offset_ms(),
        campaign_header: false,
    };
    let mut engine = Engine::new(engine, Arc::new(rules()?), seed()?);
    let now = stores.clock.now();
    let until = now.mono + Duration::from_secs(24 * 3600);
    let lent: Vec<_> = trunks.iter().map(|trunk| (trunk.id, 1_000_000)).collect();
    engine.handle_input(Input::Trunks(trunks), now);
    engine.handle_input(Input::Lent(shares.lend(&lent, until)), now);
    engine.handle_input(Input::Leased(until), now);
    while engine.poll_output().is_some() {}
    Ok(engine)
}

/// The packs that ship.
pub(super) fn rules() -> Result<Ruleset> {
    Ruleset::shipped(Options { house: true }).map_err(crate::cli::faults)
}
