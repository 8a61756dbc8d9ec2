//! What every request needs: the stores, the keys, the clock, fresh ids.

use std::sync::{Mutex, PoisonError};

use dialer_audit::Signer;
use dialer_stores::{Redis, Store, patiently, postgres};
use dialer_types::{Mint, NodeId, UnixMillis};
use schema::{config::Config, releases};
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use tokio_util::sync::CancellationToken;

use crate::{
    StartError,
    clock::Clock,
    http::error::Problem,
    judging::{Judging, LOOK_EVERY},
    metrics::{Metrics, PACK},
    permits::{self, Permits},
    standing::{ASK_EVERY, Standing, Unfit},
};

/// How long a request waits for a Postgres connection before it is told to come back.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(3);

/// The running API.
#[derive(Debug)]
pub struct App {
    /// The truth.
    pub pool: PgPool,
    /// Told what changed.
    pub redis: Redis,
    /// Keys of the numbers.
    pub keys: schema::numbers::NumberKeys,
    /// What checkpoints of this deployment verify under.
    pub verifier: String,
    /// Wall time.
    pub clock: Clock,
    /// What is counted.
    pub metrics: Metrics,
    /// Whether this process may record and judge.
    pub standing: Standing,
    /// The gate's judgement.
    pub(crate) judging: Judging,
    pub(crate) permits: Permits,
    mint: Mutex<Mint>,
}

impl App {
    /// Connects to both stores.
    ///
    /// # Errors
    /// See [`StartError`]: it names what is missing and where.
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        crate::words::check().map_err(StartError::Sentences)?;
        let pool = connect(config).await?;
        postgres::check(&pool, &config.postgres.url).await?;
        let (mode, offset): (String, i64) =
            sqlx::query_as("SELECT mode, clock_offset_ms FROM deployment")
                .fetch_one(&pool)
                .await
                .map_err(|reason| StartError::Postgres {
                place: config.postgres.url.to_string(),
                reason,
            })?;
        if offset != 0 && mode != "demo" {
            return Err(StartError::ClockOffset(offset));
        }
        let unfit = |reason| StartError::Redis { place: config.redis.to_string(), reason };
        let redis = Redis::reach(&config.redis).map_err(unfit)?;
        redis.check().await.map_err(unfit)?;
        let signer = Signer::from_seed(&config.keys.audit_name, &config.keys.audit_signing)
            .map_err(|error| StartError::Keys(format!("the audit signing key: {error}")))?;
        let (clock, standing) = (Clock::new(offset), Standing::default());
        let mut mint = new_mint()?;
        let [node, closer] = [mint.ulid(clock.now()), mint.ulid(clock.now())].map(NodeId);
        let asked = async {
            standing.ask(&pool, clock).await?;
            permits::enter(&pool, node).await
        };
        asked.await.map_err(|reason| StartError::Postgres {
            place: config.postgres.url.to_string(),
            reason,
        })?;
        Ok(Self {
            pool,
            redis,
            keys: config.keys.numbers.clone(),
            verifier: signer.verifier().to_string(),
            clock,
            standing,
            metrics: Metrics::new().map_err(|error| StartError::Keys(error.to_string()))?,
            judging: Judging::load(&config.dialer)?,
            permits: Permits::new(node, closer),
            mint: Mutex::new(mint),
        })
    }

    /// The same, and waits for stores that are away: `waiting` hears for which.
    ///
    /// # Errors
    /// See [`StartError`]: what no waiting mends.
    pub async fn start_patiently(
        config: &Config,
        waiting: impl Fn(Option<Store>),
    ) -> Result<Self, StartError> {
        patiently(StartError::away, waiting, async || Self::start(config).await).await
    }

    /// Asks Postgres until the end whether this process may record and judge. Logs when that changes.
    pub async fn watch_standing(&self, stop: CancellationToken) {
        let mut before = Ok(());
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(ASK_EVERY) => {}
            }
            if let Err(error) = self.standing.ask(&self.pool, self.clock).await {
                tracing::debug!(%error, "Postgres does not tell its time");
            }
            let now = self.standing.check(self.clock);
            if now.is_ok() != before.is_ok() {
                tell(now);
            }
            before = now;
        }
    }

    /// Looks once at the rule packs: a change is in force after two looks, and a faulty one never.
    pub async fn look_at_packs(&self) {
        match self.judging.look().await {
            Ok(refused) => {
                let shown = self.metrics.files_refused.with_label_values(&[PACK]);
                shown.set(i64::from(refused));
            }
            Err(error) => tracing::error!(%error, "the rule packs are not looked at"),
        }
    }

    /// Looks at the rule packs until the end.
    pub async fn watch_packs(&self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => self.look_at_packs().await,
            }
        }
    }

    /// Keeps permits in order until the end: the heartbeat, what could not be written, what nobody told
    /// of in time.
    pub async fn keep_permits(&self, stop: CancellationToken) {
        permits::serve(self, stop).await;
    }

    /// Whether this process may record and judge now.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn fit(&self) -> Result<(), Problem> {
        self.standing.check(self.clock).map_err(Problem::unfit)
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    /// A new id.
    #[must_use]
    pub fn ulid(&self) -> u128 {
        let now = self.now();
        self.mint.lock().unwrap_or_else(PoisonError::into_inner).ulid(now)
    }

    /// A mint of its own for work that makes many ids.
    ///
    /// # Errors
    /// If the operating system gives no random bytes.
    pub fn new_mint(&self) -> Result<Mint, StartError> {
        new_mint()
    }
}

/// Logs that something may be recorded and judged again, or why it may not any more.
fn tell(now: Result<(), Unfit>) {
    match now {
        Ok(()) => tracing::info!("recording and judging again"),
        Err(Unfit::Clock(apart)) => tracing::error!(
            apart_ms = apart.as_millis(),
            "this process's clock is not Postgres's: nothing is recorded or judged until they agree; see to NTP on both"
        ),
        Err(Unfit::Retired(oldest)) => tracing::error!(
            oldest,
            ours = schema::VERSION,
            "a migration has retired this release: start a newer one"
        ),
        Err(Unfit::Unasked) => {}
    }
}

/// A pool that has reached Postgres once.
///
/// # Errors
/// If it cannot be reached.
pub async fn connect(config: &Config) -> Result<PgPool, StartError> {
    let failed = |reason| StartError::Postgres { place: config.postgres.url.to_string(), reason };
    let options: PgConnectOptions = config.postgres.url.expose().parse().map_err(failed)?;
    postgres::reach(&options).await.map_err(failed)?;
    postgres::counted(PgPoolOptions::new())
        .max_connections(config.postgres.max_connections)
        .acquire_timeout(PATIENCE)
        .connect_with(options.application_name(&releases::application_name(releases::API, "")))
        .await
        .map_err(failed)
}

/// A mint seeded by the operating system.
///
/// # Errors
/// If it gives no random bytes.
pub fn new_mint() -> Result<Mint, StartError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| StartError::Keys(format!("no random bytes: {error}")))?;
    Ok(Mint::new(seed))
}
