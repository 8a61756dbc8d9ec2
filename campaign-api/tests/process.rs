//! The program itself: its commands, its end, its exit codes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    thread,
    time::Duration,
};

use schema::{
    config::Keys,
    releases,
    testing::{PostgresOptions, PrivatePostgres, PrivateRedis},
};
use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};

const PROGRAM: &str = env!("CARGO_BIN_EXE_campaign-api");

fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().unwrap()
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Ended and removed whatever happens.
struct Running(Child, PathBuf);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
        fs::remove_dir_all(&self.1).ok();
    }
}

fn get(place: SocketAddr, path: &str, key: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(place)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Where a program finds everything, and its folder.
fn configured(postgres: &str, redis: &str, name: &str) -> (PathBuf, SocketAddr, SocketAddr) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    let (api, admin) = (free(), free());
    fs::write(folder.join("keys.toml"), Keys::generate(&[7; 96], "ringfence.test/audit")).unwrap();
    fs::write(
        folder.join("ringfence.toml"),
        format!(
            "[postgres]\nurl = \"{postgres}\"\n[redis]\nurl = \"{redis}\"\n[keys]\nfile = \"keys.toml\"\n\
             [api]\nlisten = \"{api}\"\nadmin = \"{admin}\"\n[dialer]\nprompts = \".\"\nlists = \".\"\n"
        ),
    )
    .unwrap();
    (folder, api, admin)
}

/// Asks until the answer holds this, at most ten seconds.
fn wait_for(place: SocketAddr, path: &str, text: &str) {
    let mut last = String::new();
    let said = (0..200).any(|_| {
        thread::sleep(Duration::from_millis(50));
        last = get(place, path, "").unwrap_or_default();
        last.contains(text)
    });
    assert!(said, "{path} never said {text:?} but {last}");
}

/// Ends it with SIGTERM; how long that took.
fn end(running: &mut Running) -> Duration {
    let clock = || std::time::UNIX_EPOCH.elapsed().unwrap();
    let told = clock();
    assert!(Command::new("kill").arg(running.0.id().to_string()).status().unwrap().success());
    let ended = (0..200).find_map(|_| {
        thread::sleep(Duration::from_millis(50));
        running.0.try_wait().unwrap()
    });
    assert_eq!(ended.and_then(|status| status.code()), Some(0));
    clock().saturating_sub(told)
}

fn migrate(postgres: &PrivatePostgres, database: &str, more: &[&str]) -> Output {
    let url = postgres.owner_url(database);
    run(&[&["migrate", "--owner-url", &url], more].concat())
}

fn key(config: &str, role: &str) -> String {
    let made = run(&["key", "create", "--config", config, "--name", role, "--role", role]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

fn post(place: SocketAddr, path: &str, key: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(place).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_migrates_makes_a_key_answers_and_ends_when_told() {
    let postgres = PrivatePostgres::shared().unwrap();
    let redis = PrivateRedis::start().unwrap();
    let database = postgres.new_database().unwrap();
    let (folder, api, admin) = configured(&postgres.app_url(&database), &redis.url(), &database);
    let config = folder.join("ringfence.toml");
    let config = config.to_str().unwrap();

    let early = run(&["--config", config]);
    assert_eq!(early.status.code(), Some(1), "there is no schema yet");
    let error = String::from_utf8_lossy(&early.stderr).into_owned();
    assert!(error.contains("run: campaign-api migrate"), "{error}");
    for _ in 0..2 {
        let migrated = run(&["migrate", "--owner-url", &postgres.owner_url(&database)]);
        assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
    }
    let made = run(&["key", "create", "--config", config, "--name", "ops", "--role", "operator"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let key = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    let other = run(&["key", "create", "--config", config, "--name", "ops", "--role", "admin"]);
    assert_eq!(other.status.code(), Some(1), "a key does not change a role");

    let child =
        Command::new(PROGRAM).args(["--config", config]).stderr(Stdio::null()).spawn().unwrap();
    let mut running = Running(child, folder);
    let ready = (0..200).any(|_| {
        thread::sleep(Duration::from_millis(50));
        get(api, "/healthz", "").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    });
    assert!(ready, "answers within ten seconds");
    assert!(get(api, "/v1/trunks", &key).unwrap().starts_with("HTTP/1.1 200"));
    assert!(get(api, "/v1/trunks", "rfk_wrong").unwrap().starts_with("HTTP/1.1 401"));
    let metrics = get(admin, "/metrics", "").unwrap();
    let line = "ringfence_api_requests_total{route=\"/v1/trunks\",status=\"401\"} 1";
    assert!(metrics.contains(line), "{metrics}");

    end(&mut running);
}

#[test]
fn stores_that_are_away_at_the_start_are_waited_for_and_whoever_asks_is_told() {
    let mut postgres = PrivatePostgres::start(PostgresOptions::default()).unwrap();
    let mut redis = PrivateRedis::start().unwrap();
    let database = postgres.new_database().unwrap();
    assert!(migrate(&postgres, &database, &[]).status.success());
    let name = format!("waits-{database}");
    let (folder, api, admin) = configured(&postgres.app_url(&database), &redis.url(), &name);
    let config = folder.join("ringfence.toml");
    let start = || {
        let mut program = Command::new(PROGRAM);
        program.arg("--config").arg(&config).stderr(Stdio::null()).spawn().unwrap()
    };
    redis.stop();
    let mut running = Running(start(), folder.clone());
    wait_for(admin, "/healthz", "not ready: Redis is away");
    wait_for(api, "/v1/trunks", "HTTP/1.1 503");
    let told = end(&mut running);
    assert!(told < Duration::from_secs(1), "told to stop, it waits for nobody: {told:?}");
    running.0 = start();
    wait_for(api, "/healthz", "not ready: Redis is away");
    postgres.stop(true);
    redis.start_again().unwrap();
    wait_for(api, "/healthz", "not ready: PostgreSQL is away");
    postgres.start_again().unwrap();
    wait_for(api, "/healthz", "HTTP/1.1 200");
    end(&mut running);
}

/// Where Debian and Ubuntu put it.
const FAKETIME: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
];

#[test]
fn nothing_is_recorded_while_the_clock_is_off_or_when_the_release_is_retired() {
    let postgres = PrivatePostgres::shared().unwrap();
    let redis = PrivateRedis::start().unwrap();
    let database = postgres.new_database().unwrap();
    assert!(migrate(&postgres, &database, &[]).status.success());
    let (folder, api, admin) = configured(&postgres.app_url(&database), &redis.url(), &database);
    let (config, clock) = (folder.join("ringfence.toml"), folder.join("clock"));
    let library = FAKETIME.into_iter().find(|path| fs::exists(path).unwrap());
    let library = library.expect("libfaketime (./ringfence setup installs it)");
    let step = |seconds: &str| {
        fs::write(folder.join("next"), format!("{seconds}\n")).unwrap();
        fs::rename(folder.join("next"), &clock).unwrap();
    };
    step("+0");
    let child = Command::new(PROGRAM)
        .arg("--config")
        .arg(&config)
        .env("LD_PRELOAD", library)
        .env("FAKETIME_TIMESTAMP_FILE", &clock)
        .env("DONT_FAKE_MONOTONIC", "1")
        .env("FAKETIME_CACHE_DURATION", "1")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut running = Running(child, folder.clone());
    let key = key(config.to_str().unwrap(), "admin");
    let seller = |name: &str| post(api, "/v1/sellers", &key, &format!("{{\"name\":\"{name}\"}}"));
    wait_for(api, "/healthz", "HTTP/1.1 200");
    assert!(seller("before").contains("HTTP/1.1 201"), "{}", seller("again"));
    let asked = "campaign=01ARZ3NDEKTSV4RRFFQ69G5FAV&number=%2B13055550123";
    for seconds in ["+2", "-2"] {
        step(seconds);
        // The library looks at its file once a second or two.
        wait_for(api, "/healthz", "clock_off");
        let refused = seller("meanwhile");
        assert!(refused.contains("HTTP/1.1 503") && refused.contains("clock_off"), "{refused}");
        let why = get(api, &format!("/v1/eligibility?{asked}"), &key).unwrap();
        assert!(why.contains("HTTP/1.1 503") && why.contains("clock_off"), "{why}");
        let metrics = get(admin, "/metrics", "").unwrap();
        let apart = metrics.lines().find(|it| it.starts_with("ringfence_api_clock_apart_seconds "));
        let apart: f64 = apart.unwrap().split(' ').next_back().unwrap().parse().unwrap();
        assert!((1.9..2.5).contains(&apart), "{apart}");
        assert!(get(api, "/v1/sellers", &key).unwrap().contains("HTTP/1.1 200"), "reading goes on");
        step("+0");
        wait_for(api, "/healthz", "HTTP/1.1 200");
    }
    assert!(seller("after").contains("HTTP/1.1 201"));

    postgres.sql(&database, "UPDATE schema_version SET version = 1002, oldest = 1001").unwrap();
    wait_for(api, "/healthz", "release_retired");
    let refused = seller("too late");
    assert!(
        refused.contains("HTTP/1.1 503") && refused.contains("at least 1001 may run"),
        "{refused}"
    );
    assert!(get(admin, "/metrics", "").unwrap().contains("ringfence_api_retired 1"));
    end(&mut running);
}

#[test]
fn a_migration_that_would_retire_what_runs_says_so_and_does_nothing() {
    let postgres = PrivatePostgres::shared().unwrap();
    let database = postgres.new_database().unwrap();
    let url = postgres.app_url(&database);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let old = |name: &str| {
        let options: PgConnectOptions = url.parse().unwrap();
        runtime.block_on(PgConnection::connect_with(&options.application_name(name))).unwrap()
    };
    let fresh = old(&releases::application_name(releases::DIALER, "d2"));
    let older = old(&format!("ringfence-dialer schema {} d1", releases::OLDEST - 1));
    let refused = migrate(&postgres, &database, &[]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains(" d1 (at 127.0.0.1)") && said.contains("--retire"), "{said}");
    assert!(!said.contains("d2"), "{said}");
    let ask = |sql: &str| {
        let said = postgres.run("psql", &["-X", "-At", "-d", &database, "-c", sql]).unwrap();
        said.trim().to_owned()
    };
    let laid = "SELECT count(*) FROM pg_tables WHERE tablename = 'contact'";
    assert_eq!(ask(laid), "0");
    assert!(migrate(&postgres, &database, &["--retire"]).status.success());
    assert_eq!(ask(laid), "1");
    // Retired already: nothing that this migration would do.
    assert!(migrate(&postgres, &database, &[]).status.success());
    drop((fresh, older));
}

#[test]
fn a_configuration_that_is_missing_or_faulty_is_named_and_the_exit_code_is_one() {
    let missing = run(&["--config", "/nowhere/ringfence.toml"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("/nowhere/ringfence.toml"));
    let bad = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bad.toml");
    fs::write(&bad, "[postgres]\nurl = 5\n").unwrap();
    let faulty = run(&["--config", bad.to_str().unwrap()]);
    assert_eq!(faulty.status.code(), Some(1));
    let error = String::from_utf8_lossy(&faulty.stderr).into_owned();
    for key in ["postgres.url", "redis.url", "keys.file", "dialer.prompts"] {
        assert!(error.contains(key), "{key} in {error}");
    }
}
