//! The process: its tasks, the queues between them, and the order in which it stops.

use std::{collections::BTreeMap, io, net::UdpSocket, sync::Arc, thread, time::Duration};

use anyhow::{Context as _, Result, bail};
use arc_swap::ArcSwap;
use dialer_audit::Signer;
use dialer_engine::{Engine, Input, Timers};
use dialer_facts::{lists::Folder, rules::Packs};
use dialer_judge::{CLOCK_BOUND, PERMIT_LIFE};
use dialer_policy::Ruleset;
use dialer_stores::{Store, patiently};
use dialer_types::{Mint, NodeId, UnixMillis};
use schema::config::Config;
use tokio::{
    sync::{Notify, mpsc},
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    admin,
    campaigns::{self, Campaigns},
    clock::Clock,
    driver::{self, Load, Shard},
    gate::Gate,
    inbox::{Inbox, inbox},
    lists,
    metrics::{Metrics, gauge_value, survey},
    outbox::{COMMIT_ROOM, Outbox, WISH_ROOM},
    packs,
    prompts::Prompts,
    rtp,
    scheduler::{Loads, Scheduler},
    store::{
        PATIENCE, StoreError, Stores, audit, commits, facts, heads, lease, ledgers, node,
        partitions, postgres, reap, redis::Redis, reserve, shares, subscribe, trunk_state,
    },
    supply,
    trunks::Shares,
};

/// Deferred contacts are spread over this after their window opens.
const SPREAD: Duration = Duration::from_secs(30);
/// How long calls may go on after the order to stop.
const GRACE: Duration = Duration::from_secs(20);
/// How long hanging up may take.
const HANG_UP: Duration = Duration::from_secs(5);
/// How long writing down may take when all else has ended.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// What is bound and checked before anything runs.
struct Ground {
    config: Config,
    stores: Arc<Stores>,
    packs: Packs,
    /// Since when the rules are in force that it begins with.
    rules_since: UnixMillis,
    sip: UdpSocket,
    rtp: BTreeMap<u16, UdpSocket>,
    metrics: Metrics,
    gate: Gate,
    signer: Signer,
}

/// A running dialer.
#[derive(Debug)]
pub struct App {
    stores: Arc<Stores>,
    inbox: Inbox,
    load: Load,
    shard: thread::JoinHandle<io::Result<()>>,
    media: (rtp::Media, thread::JoinHandle<()>),
    /// Takes no more contacts.
    taking: CancellationToken,
    /// The shard's end.
    quit: CancellationToken,
    /// The ledger writes no more.
    give_up: CancellationToken,
    /// Everything else ends.
    stop: CancellationToken,
    /// Others have declared this node dead.
    dead: CancellationToken,
    /// Tasks that end when the shard has.
    work: TaskTracker,
    /// Tasks that end with the process.
    service: TaskTracker,
}

/// 32 bytes from the operating system.
fn seed() -> Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(seed)
}

/// Checks everything that can be wrong before a call: packs, addresses, stores, clock. Waits for
/// stores that are away, and says at `/readyz` for which.
async fn prepare(config: Config, tokens: &Tokens) -> Result<Ground> {
    let (packs, house) = (config.dialer.packs.as_deref(), config.dialer.house.as_deref());
    let packs = Packs::open(packs, house)?;
    let rules = packs.held();
    let metrics = Metrics::new()?;
    metrics.describe_rules(&rules);
    let gate = Gate::new(metrics.clone());
    let signer = Signer::from_seed(&config.keys.audit_name, &config.keys.audit_signing)?;
    let (sip, granted) = driver::bind(config.dialer.sip)
        .with_context(|| format!("dialer.sip: cannot bind UDP {}", config.dialer.sip))?;
    metrics.receive_buffer.set(gauge_value(granted));
    let rtp =
        rtp::bind(config.dialer.sip.ip(), config.dialer.rtp_ports.clone()).with_context(|| {
            format!("dialer.rtp_ports: cannot bind any of {:?}", config.dialer.rtp_ports)
        })?;
    let admin = admin::bind(config.dialer.admin)
        .await
        .with_context(|| format!("dialer.admin: cannot bind TCP {}", config.dialer.admin))?;
    let serving = admin::serve(admin, gate.clone(), metrics.clone(), tokens.stop.clone());
    tokens.service.spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!(%error, "health and metrics are not served any more");
        }
    });
    let (stores, rules_since) =
        patiently(away, |store| gate.wait_for(store), async || reach(&config, &gate, &rules).await)
            .await?;
    tracing::info!(
        node = %stores.node,
        sip = %config.dialer.sip,
        admin = %config.dialer.admin,
        media_ports = rtp.len(),
        receive_buffer = granted,
        clock_offset_ms = stores.clock.offset_ms(),
        rules = %rules.version(),
        "the dialer is ready"
    );
    Ok(Ground { config, stores, packs, rules_since, sip, rtp, metrics, gate, signer })
}

/// Reaches both stores, finishes what an earlier run of this dialer left, and registers this one.
/// Also since when the rules are in force.
async fn reach(config: &Config, gate: &Gate, rules: &Ruleset) -> Result<(Arc<Stores>, UnixMillis)> {
    let pool = postgres::connect_as(&config.postgres, &config.dialer.name).await?;
    postgres::check(&pool, &config.postgres.url).await?;
    let standby = postgres::check_durable(&pool, &config.postgres.url).await?;
    let clock = Clock::of_deployment(&pool).await?;
    let redis = Redis::reach(&config.redis).context("[redis]")?;
    redis.check().await.with_context(|| format!("cannot use Redis at {}", config.redis))?;
    let metrics = gate.metrics().clone();
    metrics.synchronous_standby.set(i64::from(standby));
    let mut mint = Mint::new(seed()?);
    let node = NodeId(mint.ulid(clock.now().wall));
    let keys = config.keys.numbers.clone();
    let stores = Arc::new(Stores::new(pool, redis, clock, gate.clone(), metrics, node, keys, mint));
    for older in stores.older_incarnations(&config.dialer.name).await? {
        stores.reap(older).await.context("finishing what an earlier run left")?;
    }
    stores.register(&config.dialer.name).await?;
    let rules_since = stores.rules_in_force(rules.version()).await?;
    Ok((stores, rules_since))
}

/// Which store is away, if that is all that is wrong.
fn away(error: &anyhow::Error) -> Option<Store> {
    let late = |it: &(dyn std::error::Error + 'static)| {
        matches!(it.downcast_ref(), Some(StoreError::Late))
            || matches!(it.downcast_ref(), Some(node::NodeError::Store(StoreError::Late)))
    };
    let late = || error.chain().any(late);
    Store::away(error.as_ref()).or_else(|| late().then_some(Store::Postgres))
}

impl Ground {
    fn engine(&self) -> Result<Engine> {
        let sip = dialer_engine::SipConfig {
            advertised: self.config.dialer.advertise,
            user_agent: concat!("ringfence/", env!("CARGO_PKG_VERSION")).to_owned(),
            timers: Timers::default(),
            max_calls: self.rtp.len(),
        };
        let config = dialer_engine::Config {
            node: self.stores.node,
            sip,
            rtp_address: self.config.dialer.advertise.ip(),
            rtp_ports: self.rtp.keys().copied().collect(),
            permit_life: PERMIT_LIFE,
            clock_bound: CLOCK_BOUND,
            store_patience: PATIENCE + PATIENCE / 4,
            spread: SPREAD,
            clock_offset_ms: self.stores.clock.offset_ms(),
            campaign_header: true,
        };
        Ok(Engine::new(config, self.packs.held(), seed()?))
    }
}

/// The far ends of the outbox.
struct Queues {
    heads: mpsc::Receiver<heads::Wish>,
    facts: mpsc::Receiver<dialer_types::AttemptId>,
    reserve: mpsc::Receiver<reserve::Wish>,
    commit: mpsc::Receiver<commits::Wish>,
    forget: mpsc::Receiver<Vec<dialer_types::SubjectId>>,
    ledger: mpsc::Receiver<ledgers::Item>,
}

fn outbox(
    ground: &Ground,
    media: rtp::Media,
    loads: Loads,
    campaigns: Arc<ArcSwap<Campaigns>>,
    shares: Shares,
) -> (Outbox, Queues) {
    let (heads, heads_queue) = mpsc::channel(WISH_ROOM);
    let (facts, facts_queue) = mpsc::channel(WISH_ROOM);
    let (reserve, reserve_queue) = mpsc::channel(WISH_ROOM);
    let (commit, commit_queue) = mpsc::channel(COMMIT_ROOM);
    let (forget, forget_queue) = mpsc::channel(WISH_ROOM);
    let (ledger, ledger_queue) = mpsc::channel(ledgers::ROOM);
    let outbox = Outbox {
        heads,
        facts,
        reserve,
        commit,
        forget,
        ledger,
        shares,
        clock: ground.stores.clock,
        media,
        loads,
        campaigns,
        gate: ground.gate.clone(),
        metrics: ground.metrics.clone(),
        backlog: std::collections::VecDeque::new(),
    };
    let queues = Queues {
        heads: heads_queue,
        facts: facts_queue,
        reserve: reserve_queue,
        commit: commit_queue,
        forget: forget_queue,
        ledger: ledger_queue,
    };
    (outbox, queues)
}

/// Starts everything. Waits for stores that are away; whoever is told to stop meanwhile drops it.
///
/// # Errors
/// What is missing or wrong, and where. Nothing runs then.
pub async fn start(config: Config) -> Result<App> {
    let app_tokens = Tokens::default();
    let ground = prepare(config, &app_tokens).await?;
    let (inbox, inputs) = inbox();
    let (loads, shares) = (Loads::default(), Shares::default());
    let campaigns = Arc::<ArcSwap<Campaigns>>::default();
    let engine = ground.engine()?;
    let mut ground = ground;
    let sockets = std::mem::take(&mut ground.rtp);
    let most = sockets.len();
    let media = rtp::spawn(
        sockets,
        &ground.config.dialer.prompts,
        ground.stores.clock,
        inbox.clone(),
        ground.metrics.clone(),
        Mint::new(seed()?),
    )
    .context("the media thread")?;
    let (outbox, queues) =
        outbox(&ground, media.0.clone(), loads.clone(), Arc::clone(&campaigns), shares.clone());
    let scheduler = Scheduler {
        stores: Arc::clone(&ground.stores),
        campaigns: Arc::clone(&campaigns),
        shares: shares.clone(),
        loads,
        inbox: inbox.clone(),
        ledger: outbox.ledger.clone(),
        pressure: outbox.pressure(),
        most,
    };
    let load = Load::default();
    let shard =
        Shard::new(engine, ground.stores.clock, outbox, ground.metrics.clone(), load.clone());
    let shard = shard.spawn(ground.sip.try_clone()?, inputs, app_tokens.quit.clone())?;
    work(&ground, queues, scheduler, &shares, &inbox, &app_tokens);
    let stores = Arc::clone(&ground.stores);
    service(ground, campaigns, shares, &inbox, &app_tokens);
    let Tokens { taking, quit, give_up, stop, dead, work, service } = app_tokens;
    Ok(App { stores, inbox, load, shard, media, taking, quit, give_up, stop, dead, work, service })
}

#[derive(Default)]
struct Tokens {
    taking: CancellationToken,
    quit: CancellationToken,
    give_up: CancellationToken,
    stop: CancellationToken,
    dead: CancellationToken,
    work: TaskTracker,
    service: TaskTracker,
}

/// Tasks that serve the shard: each ends when nobody can ask it any more.
fn work(
    ground: &Ground,
    queues: Queues,
    scheduler: Scheduler,
    shares: &Shares,
    inbox: &Inbox,
    tokens: &Tokens,
) {
    let tasks = &tokens.work;
    let stores = || Arc::clone(&ground.stores);
    let folder = Folder::open(&ground.config.dialer.lists);
    let held = folder.lists();
    tasks.spawn(heads::serve(stores(), queues.heads, inbox.clone(), tasks.clone()));
    tasks.spawn(facts::serve(stores(), queues.facts, held, inbox.clone(), tasks.clone()));
    tasks.spawn(reserve::serve(
        stores(),
        queues.reserve,
        shares.clone(),
        inbox.clone(),
        tasks.clone(),
    ));
    tasks.spawn(commits::serve(stores(), queues.commit, inbox.clone(), tasks.clone()));
    tasks.spawn(ledgers::serve(stores(), queues.ledger, tokens.give_up.clone()));
    tasks.spawn(forget(stores(), queues.forget));
    tasks.spawn(scheduler.run(tokens.taking.clone()));
    tokens.service.spawn(lists::watch(folder, stores(), tokens.stop.clone()));
    tokens.service.spawn(supply::watch(stores(), tokens.stop.clone()));
}

/// Tasks that go on until the process ends.
fn service(
    ground: Ground,
    campaigns: Arc<ArcSwap<Campaigns>>,
    shares: Shares,
    inbox: &Inbox,
    tokens: &Tokens,
) {
    let tasks = &tokens.service;
    let (stores, stop) = (|| Arc::clone(&ground.stores), || tokens.stop.clone());
    let reload = Arc::new(Notify::new());
    tasks.spawn(subscribe::probe(stores(), stop()));
    tasks.spawn(subscribe::serve(stores(), Arc::clone(&reload), stop()));
    tasks.spawn(lease::serve(stores(), inbox.clone(), stop()));
    tasks.spawn(shares::serve(stores(), shares.clone(), inbox.clone(), stop()));
    tasks.spawn(node::beat(stores(), shares.clone(), stop(), tokens.dead.clone()));
    tasks.spawn(reap::serve(stores(), stop()));
    tasks.spawn(partitions::serve(stores(), stop()));
    tasks.spawn(trunk_state::serve(stores(), Arc::clone(&campaigns), shares.clone(), stop()));
    tasks.spawn(survey::serve(stores(), stop()));
    let prompts = Prompts::of(&ground.config.dialer.prompts);
    tasks.spawn(campaigns::watch(
        stores(),
        prompts,
        campaigns,
        shares,
        inbox.clone(),
        reload,
        stop(),
    ));
    let origin = ground.config.keys.audit_name.clone();
    tasks.spawn(audit::serve(stores(), ground.signer, origin, stop()));
    let watching = packs::watch(ground.packs, ground.rules_since, stores(), inbox.clone(), stop());
    tasks.spawn(watching);
}

async fn forget(stores: Arc<Stores>, mut queue: mpsc::Receiver<Vec<dialer_types::SubjectId>>) {
    while let Some(subjects) = queue.recv().await {
        stores.redis(stores.redis.forget(&subjects)).await.ok();
    }
}

impl App {
    /// Waits until others have declared this node dead, or its shard has ended: then it must stop.
    pub async fn failed(&self) {
        tokio::select! {
            () = self.dead.cancelled() => {}
            () = async {
                while !self.shard.is_finished() {
                    sleep(Duration::from_millis(200)).await;
                }
            } => tracing::error!("the shard has ended by itself"),
        }
    }

    /// Stops in order: nothing new is taken or placed (G10), calls may end within the grace, the
    /// rest is hung up, everything is written down, the node is marked as stopped.
    ///
    /// # Errors
    /// If something was left to the reaper, or a thread failed.
    pub async fn drain(self) -> Result<()> {
        tracing::info!("draining: nothing new is placed");
        self.end_calls().await;
        self.quit.cancel();
        let Self { stores, load, shard, media, give_up, stop, work, service, .. } = self;
        let ended = tokio::task::spawn_blocking(move || shard.join());
        let ended = ended.await?.map_err(|_| anyhow::anyhow!("the shard panicked"))?;
        work.close();
        if timeout(LAST_WORDS, work.wait()).await.is_err() {
            give_up.cancel();
            timeout(PATIENCE * 2, work.wait()).await.ok();
        }
        media.0.tell(rtp::Command::Quit);
        let settled = stores.gate.debt() == 0 && load.get() == 0;
        if settled {
            stores.postgres(stores.stopped(stores.node)).await?;
        }
        stop.cancel();
        service.close();
        timeout(LAST_WORDS, service.wait()).await.ok();
        ended.context("the shard")?;
        if !settled {
            bail!("not everything could be settled: the next dialer finishes it");
        }
        tracing::info!("everything is settled: stopped");
        Ok(())
    }

    async fn end_calls(&self) {
        self.taking.cancel();
        self.stores.gate.drain();
        self.inbox.send(Input::Drain).await;
        if !self.idle_within(GRACE).await {
            tracing::warn!("calls are still up: hanging up");
            self.inbox.send(Input::HangUp).await;
            self.idle_within(HANG_UP).await;
        }
    }

    async fn idle_within(&self, most: Duration) -> bool {
        let idle = async {
            // An order that was on its way into the shard is counted there within a turn.
            sleep(Duration::from_millis(300)).await;
            while self.load.get() > 0 {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(most, idle).await.is_ok()
    }
}
