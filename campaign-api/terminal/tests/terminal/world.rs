//! One API with its stores, and somebody at a terminal.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use campaign_api::{
    app::App,
    http,
    users::{self, Role},
};
use dialer_types::{Mint, UnixMillis};
use schema::{
    config::{Api, Config, Dialer, Keys, Postgres, Redis, StoreUrl},
    numbers::NumberKeys,
    testing::{PrivatePostgres, PrivateRedis},
};
use serde_json::Value;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::{net::TcpListener, runtime::Runtime, task::JoinHandle};

/// A running API. Everything ends when it is dropped.
pub(crate) struct World {
    pub(crate) base: String,
    pub(crate) folder: PathBuf,
    pub(crate) owner_url: String,
    pub(crate) runtime: Runtime,
    keys: BTreeMap<&'static str, String>,
    server: JoinHandle<()>,
    _redis: PrivateRedis,
    _postgres: Arc<PrivatePostgres>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.server.abort();
        fs::remove_dir_all(&self.folder).ok();
    }
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Done {
    /// The one JSON document that it printed.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

fn config(postgres: &str, redis: &str) -> Config {
    let nowhere = "127.0.0.1:1".parse().unwrap();
    Config {
        postgres: Postgres { url: StoreUrl::new(postgres.to_owned()), max_connections: 5 },
        redis: Redis::single(StoreUrl::new(redis.to_owned())),
        keys: Keys {
            numbers: NumberKeys { cipher: [1; 32], lookup: [2; 32] },
            audit_signing: [3; 32],
            audit_name: "ringfence.test/audit".to_owned(),
        },
        api: Api { listen: nowhere, admin: nowhere },
        dialer: Dialer {
            name: "none".to_owned(),
            sip: nowhere,
            advertise: nowhere,
            admin: nowhere,
            prompts: "none".into(),
            lists: "none".into(),
            packs: None,
            house: None,
            rtp_ports: 20_000..20_001,
        },
    }
}

static NEXT: AtomicU32 = AtomicU32::new(0);

/// The program without any of our settings.
pub(crate) fn program(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringfence-terminal"));
    command.env_clear().env("HOME", folder).env("LANG", "en_US.UTF-8").current_dir(folder);
    command
}

/// Runs it.
pub(crate) fn run(command: &mut Command) -> Done {
    let output = command.output().unwrap();
    Done {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A folder of its own.
pub(crate) fn folder() -> PathBuf {
    let name = format!("terminal-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

impl World {
    pub(crate) fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let postgres = PrivatePostgres::shared().unwrap();
        let database = postgres.new_database().unwrap();
        let owner_url = postgres.owner_url(&database);
        let redis = PrivateRedis::start().unwrap();
        let config = config(&postgres.app_url(&database), &redis.url());
        let (base, keys, server) = runtime.block_on(async {
            let mut owner = PgConnection::connect(&owner_url).await.unwrap();
            schema::MIGRATOR.run_direct(None, &mut owner, false).await.unwrap();
            let app = Arc::new(App::start(&config).await.unwrap());
            let mut keys = BTreeMap::new();
            let mut mint = Mint::new([9; 32]);
            for role in Role::ALL {
                let word = role.as_str();
                let key = users::create_key(&app.pool, word, role, &mut mint, UnixMillis(0));
                keys.insert(word, key.await.unwrap());
            }
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let base = format!("http://{}", listener.local_addr().unwrap());
            let router = http::router(app);
            #[expect(clippy::disallowed_methods, reason = "its end is the test's end")]
            let server =
                tokio::task::spawn(async move { axum::serve(listener, router).await.unwrap() });
            (base, keys, server)
        });
        let folder = folder();
        for (role, key) in &keys {
            fs::write(folder.join(format!("{role}.key")), format!("{key}\n")).unwrap();
        }
        Self { base, folder, owner_url, runtime, keys, server, _redis: redis, _postgres: postgres }
    }

    /// The program of somebody with this role.
    pub(crate) fn command(&self, role: &str, words: &[&str]) -> Command {
        let mut command = program(&self.folder);
        command
            .env("RINGFENCE_API", &self.base)
            .env("RINGFENCE_KEY_FILE", self.folder.join(format!("{role}.key")))
            .args(words);
        command
    }

    /// Runs it; no output may ever hold a key.
    pub(crate) fn run_as(&self, role: &str, words: &[&str]) -> Done {
        let done = run(&mut self.command(role, words));
        for key in self.keys.values() {
            assert!(!done.out.contains(key) && !done.err.contains(key), "a key in {done:?}");
        }
        done
    }

    /// As a campaign manager, who gets what was asked for.
    pub(crate) fn does(&self, words: &[&str]) -> String {
        let done = self.run_as("campaign_manager", words);
        assert_eq!((done.code, done.err.as_str()), (0, ""), "{words:?}: {done:?}");
        done.out
    }

    /// The same with `--json`.
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let words = [words, &["--json"]].concat();
        let done = self.run_as("campaign_manager", &words);
        assert_eq!((done.code, done.err.as_str()), (0, ""), "{words:?}: {done:?}");
        done.json()
    }

    /// A file in the folder that the program stands in.
    pub(crate) fn file(&self, name: &str, text: &str) {
        fs::write(self.folder.join(name), text).unwrap();
    }

    /// A change, made as the owner.
    pub(crate) fn execute(&self, sql: &str) {
        self.runtime.block_on(async {
            let mut owner = PgConnection::connect(&self.owner_url).await.unwrap();
            sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut owner).await.unwrap();
        });
    }

    /// A seller, a trunk and a campaign, as a first hour makes them.
    pub(crate) fn campaign(&self, name: &str) {
        self.does(&["seller", "create", &format!("Seller of {name}")]);
        let trunk = self.run_as(
            "operator",
            &[
                "trunk",
                "create",
                &format!("Trunk of {name}"),
                "--address",
                "127.0.0.1:5060",
                "--calls-per-second",
                "5",
                "--max-concurrent",
                "20",
            ],
        );
        assert_eq!(trunk.code, 0, "{trunk:?}");
        self.does(&[
            "campaign",
            "create",
            name,
            "--seller",
            &format!("Seller of {name}"),
            "--trunk",
            &format!("trunk of {}", name.to_lowercase()),
            "--purpose",
            "telemarketing",
            "--technology",
            "prerecorded",
            "--caller-id",
            "+13055550100",
            "--announces",
            "identity,callback_number",
            "--prompt",
            "offer.wav",
            "--retry",
            "busy=10m",
            "--retry",
            "no_answer=4h",
        ]);
    }
}
