//! The private stack: PostgreSQL, Redis, carrier, dialer and API of one run, on loopback and free
//! ports, in one folder, gone without a trace when dropped. The demo and the integration tests use
//! the same.

mod api;
mod client;
pub mod clock;
mod dialers;
mod folder;
mod process;
mod prometheus;
mod settings;
mod stop;

use std::{
    ffi::OsString,
    fs,
    net::SocketAddr,
    num::NonZeroUsize,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use anyhow::Context as _;
pub use client::{Api, Refusal};
use dialers::Dialer;
pub use folder::{RunFolder, random_hex};
pub use process::{Process, tail};
use schema::testing::{PostgresOptions, PrivatePostgres, PrivateRedis};
use settings::Settings;
pub use settings::Stores;
pub(crate) use settings::free_tcp;
pub use stop::{Interrupted, Stop};

/// The database of the stack.
const DATABASE: &str = "ringfence";
/// How long a program of ours may take to be ready.
const READY: Duration = Duration::from_secs(30);
/// How long the others may take to end.
const END: Duration = Duration::from_secs(5);

/// What a stack is to be.
#[derive(Debug, Default)]
pub struct Builder {
    folder: Option<RunFolder>,
    keep: bool,
    offset_ms: i64,
    prompts: Option<PathBuf>,
    lists: Option<PathBuf>,
    house: Option<String>,
    dialers: Option<NonZeroUsize>,
    postgres: Vec<String>,
    stop: Stop,
}

impl Builder {
    /// Takes this run folder instead of a new one.
    #[must_use]
    pub fn folder(mut self, folder: RunFolder) -> Self {
        self.keep = folder.is_kept();
        self.folder = Some(folder);
        self
    }

    /// Keeps the run folder.
    #[must_use]
    pub const fn keep(mut self, keep: bool) -> Self {
        self.keep = keep;
        self
    }

    /// Makes it a demo deployment whose clocks all start at this moment (ms since 1970, UTC).
    #[must_use]
    pub fn starts_at(mut self, instant_ms: i64) -> Self {
        self.offset_ms = instant_ms - clock::real_unix_millis();
        self
    }

    /// The folder of the prompts (WAV).
    #[must_use]
    pub fn prompts(mut self, folder: &Path) -> Self {
        self.prompts = Some(folder.to_owned());
        self
    }

    /// The folder of the national lists.
    #[must_use]
    pub fn lists(mut self, folder: &Path) -> Self {
        self.lists = Some(folder.to_owned());
        self
    }

    /// Changes to the house rules: `[[override]]` tables (see `schema/rules/house.toml`).
    #[must_use]
    pub fn house(mut self, overrides: String) -> Self {
        self.house = Some(overrides);
        self
    }

    /// So many dialers instead of one.
    #[must_use]
    pub const fn dialers(mut self, dialers: NonZeroUsize) -> Self {
        self.dialers = Some(dialers);
        self
    }

    /// Settings of PostgreSQL, `name=value` each.
    #[must_use]
    pub fn postgres_settings(mut self, settings: &[&str]) -> Self {
        self.postgres = settings.iter().map(ToString::to_string).collect();
        self
    }

    /// Ends every wait of the stack when raised.
    #[must_use]
    pub fn stop(mut self, stop: &Stop) -> Self {
        self.stop = stop.clone();
        self
    }

    /// Makes the folder, starts PostgreSQL and Redis and lays the schema. Programs come next:
    /// [`Stack::start_api`], [`Stack::start_dialer`], [`Stack::start_carrier`].
    ///
    /// # Errors
    /// When any of it fails; then everything is gone again.
    pub fn start(self) -> anyhow::Result<Stack> {
        let mut folder = match self.folder {
            Some(folder) => folder,
            None => RunFolder::make(self.keep)?,
        };
        let postgres = PrivatePostgres::start(PostgresOptions {
            folder: Some(folder.path().join("pg")),
            keep: self.keep,
            fsync: true,
            settings: self.postgres,
        })?;
        folder.watch(postgres.pid());
        self.stop.check()?;
        let redis = PrivateRedis::start_in(Some(folder.path().join("redis")))?;
        folder.watch(redis.pid());
        self.stop.check()?;
        lay_schema(&postgres, self.offset_ms)?;
        let stores = Stores::by_url(&postgres.app_url(DATABASE), &redis.url());
        let dialers = self.dialers.unwrap_or(NonZeroUsize::MIN);
        let settings = Settings::choose(&folder, stores, dialers)?
            .with_folders(self.prompts.as_deref(), self.lists.as_deref())?
            .with_house(self.house);
        let dialers = Dialer::write_all(&settings, &folder)?;
        Ok(Stack {
            dialers,
            api_config: folder.path().join("ringfence.toml"),
            api: None,
            carrier: None,
            prometheus: None,
            key: None,
            redis,
            postgres,
            settings,
            offset_ms: self.offset_ms,
            bin: programs()?,
            stop: self.stop,
            folder,
        })
    }
}

/// A running stack. Fields are dropped in this order: programs, servers, folder.
#[derive(Debug)]
pub struct Stack {
    dialers: Vec<Dialer>,
    api_config: PathBuf,
    api: Option<Process>,
    carrier: Option<Process>,
    prometheus: Option<(Process, SocketAddr)>,
    key: Option<String>,
    /// The private Redis, to be stopped, emptied and started again.
    pub redis: PrivateRedis,
    /// The private PostgreSQL, likewise.
    pub postgres: PrivatePostgres,
    settings: Settings,
    offset_ms: i64,
    bin: PathBuf,
    stop: Stop,
    folder: RunFolder,
}

impl Stack {
    /// What a stack is to be.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The run folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The configuration file of the first dialer and of the tools.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.path().join("ringfence.toml")
    }

    /// Where the carrier is, or a test puts one.
    #[must_use]
    pub const fn carrier_address(&self) -> SocketAddr {
        self.settings.carrier
    }

    /// Milliseconds that this deployment's clocks are ahead of real time.
    #[must_use]
    pub const fn offset_ms(&self) -> i64 {
        self.offset_ms
    }

    /// The time of this deployment, ms since 1970 UTC.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        clock::real_unix_millis() + self.offset_ms
    }

    /// The carrier's wire log.
    #[must_use]
    pub fn wire_log(&self) -> PathBuf {
        self.path().join("wire.jsonl")
    }

    /// Runs one of the programs to its end.
    ///
    /// # Errors
    /// If there is no such program.
    pub fn run(&self, program: &str, arguments: &[OsString]) -> anyhow::Result<Output> {
        let path = self.bin.join(program);
        Command::new(&path)
            .args(arguments)
            .stdin(Stdio::null())
            .process_group(0)
            .output()
            .with_context(|| format!("running {}", path.display()))
    }

    /// Runs SQL as the superuser; rows as lines, columns joined by `|`.
    ///
    /// # Errors
    /// If PostgreSQL refuses.
    pub fn sql(&self, sql: &str) -> anyhow::Result<String> {
        let arguments = ["-X", "-At", "-v", "ON_ERROR_STOP=1", "-d", DATABASE, "-c", sql];
        Ok(self.postgres.run("psql", &arguments)?.trim_end().to_owned())
    }

    /// Starts the simulated carrier at [`Stack::carrier_address`].
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_carrier(&mut self, seed: u64) -> anyhow::Result<()> {
        self.start_carrier_with(seed, &[])
    }

    /// The same with more words on its command line.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start_carrier_with(&mut self, seed: u64, more: &[&str]) -> anyhow::Result<()> {
        self.stop_carrier()?;
        let arguments: [OsString; 9] = [
            "carrier".into(),
            "--listen".into(),
            self.settings.carrier.to_string().into(),
            "--log".into(),
            self.wire_log().into(),
            "--seed".into(),
            seed.to_string().into(),
            "--offset-ms".into(),
            self.offset_ms.to_string().into(),
        ];
        let more = more.iter().map(OsString::from);
        let arguments: Vec<OsString> = arguments.into_iter().chain(more).collect();
        let process = self.launch("carrier", "loadtest", &arguments)?;
        self.carrier.insert(process).wait_ready(READY, &self.stop, || true)
    }

    fn launch(
        &mut self,
        name: &str,
        program: &str,
        arguments: &[OsString],
    ) -> anyhow::Result<Process> {
        let program = self.bin.join(program);
        self.start_beside(name, &program, arguments)
    }

    /// Starts a program that ends with the stack at the latest, with its log in the run folder.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn start_beside(
        &mut self,
        name: &str,
        program: &Path,
        arguments: &[OsString],
    ) -> anyhow::Result<Process> {
        let log = self.path().join(format!("{name}.log"));
        let process = Process::start(name, program, arguments, &log)?;
        self.folder.watch(process.pid());
        Ok(process)
    }

    /// The URL of the programs' login at PostgreSQL, by way of this address.
    #[must_use]
    pub fn postgres_url_at(&self, address: SocketAddr) -> String {
        let own = format!("127.0.0.1:{}", self.postgres.port());
        self.postgres.app_url(DATABASE).replace(&own, &address.to_string())
    }

    /// The superuser's URL at PostgreSQL.
    #[must_use]
    pub fn owner_url(&self) -> String {
        self.postgres.owner_url(DATABASE)
    }

    /// Starts a Prometheus that scrapes the first dialer and the API each second, and evaluates the alerts
    /// of `helm/rules/`. Returns where it is.
    ///
    /// # Errors
    /// When it is not installed or does not start.
    pub fn start_prometheus(&mut self) -> anyhow::Result<SocketAddr> {
        let program = prometheus::program()?;
        let listen = free_tcp(1)?.pop().context("a free TCP port")?;
        let [dialer, api] = self.scraped();
        let arguments = prometheus::prepare(&self.folder, listen, dialer, api)?;
        let log = self.path().join("prometheus.log");
        let process = Process::start("prometheus", program, &arguments, &log)?;
        self.folder.watch(process.pid());
        let (process, _) = self.prometheus.insert((process, listen));
        process
            .wait_ready(READY, &self.stop, || client::is_ok(&format!("http://{listen}/-/ready")))?;
        Ok(listen)
    }

    /// Where the Prometheus is, if one was started.
    #[must_use]
    pub fn prometheus(&self) -> Option<SocketAddr> {
        self.prometheus.as_ref().map(|(_, address)| *address)
    }

    /// Where metrics are scraped: the first dialer's admin address and the API's.
    #[must_use]
    pub const fn scraped(&self) -> [SocketAddr; 2] {
        [self.settings.first.admin, self.settings.api_admin]
    }

    /// Ends the carrier.
    ///
    /// # Errors
    /// If the operating system does not say how it ended.
    pub fn stop_carrier(&mut self) -> anyhow::Result<()> {
        if let Some(mut carrier) = self.carrier.take() {
            carrier.stop(END)?;
            self.folder.forget(carrier.pid());
        }
        Ok(())
    }

    /// An error if a program that should run has ended.
    ///
    /// # Errors
    /// With the end of its log.
    pub fn must_run(&mut self) -> anyhow::Result<()> {
        let dialers = self.dialers.iter_mut().map(|dialer| &mut dialer.process);
        for process in dialers.chain([&mut self.api, &mut self.carrier]).flatten() {
            process.must_run()?;
        }
        if let Some((prometheus, _)) = &mut self.prometheus {
            prometheus.must_run()?;
        }
        Ok(())
    }
}

/// The folder of the programs: that of the running program, or the one above it for a test.
fn programs() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("where the programs are")?;
    let folder = own.parent().context("where the programs are")?;
    let folder = match folder.file_name() {
        Some(name) if name == "deps" => folder.parent().context("where the programs are")?,
        _ => folder,
    };
    Ok(folder.to_owned())
}

fn lay_schema(postgres: &PrivatePostgres, offset_ms: i64) -> anyhow::Result<()> {
    postgres.create_database(DATABASE)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime
        .block_on(async {
            let pool = sqlx::PgPool::connect(&postgres.owner_url(DATABASE)).await?;
            schema::MIGRATOR.run(&pool).await?;
            pool.close().await;
            Ok::<_, anyhow::Error>(())
        })
        .context("laying the schema")?;
    if offset_ms != 0 {
        postgres.sql(
            DATABASE,
            &format!("UPDATE deployment SET mode = 'demo', clock_offset_ms = {offset_ms}"),
        )?;
    }
    // As `campaign-api migrate` does.
    postgres.sql(DATABASE, "SELECT make_partitions(true)")?;
    Ok(())
}

/// Copies the logs of the programs somewhere, for a look after the folder has gone.
///
/// # Errors
/// If a copy fails.
pub fn save_logs(stack: &Stack, to: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(stack.path())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log")
            && let Some(name) = path.file_name()
        {
            fs::copy(&path, to.join(name))?;
        }
    }
    Ok(())
}
