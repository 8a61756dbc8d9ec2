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
    testing::{PrivatePostgres, PrivateRedis},
};

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

#[test]
fn it_migrates_makes_a_key_answers_and_ends_when_told() {
    let postgres = PrivatePostgres::shared().unwrap();
    let redis = PrivateRedis::start().unwrap();
    let database = postgres.new_database().unwrap();
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(&database);
    fs::create_dir_all(&folder).unwrap();
    let (api, admin) = (free(), free());
    let config = folder.join("ringfence.toml");
    fs::write(folder.join("keys.toml"), Keys::generate(&[7; 96], "ringfence.test/audit")).unwrap();
    fs::write(
        &config,
        format!(
            "[postgres]\nurl = \"{}\"\n[redis]\nurl = \"{}\"\n[keys]\nfile = \"keys.toml\"\n\
             [api]\nlisten = \"{api}\"\nadmin = \"{admin}\"\n[dialer]\nprompts = \".\"\nlists = \".\"\n",
            postgres.app_url(&database),
            redis.url()
        ),
    )
    .unwrap();
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

    let told = Command::new("kill").arg(running.0.id().to_string()).status().unwrap();
    assert!(told.success());
    let ended = (0..200).find_map(|_| {
        thread::sleep(Duration::from_millis(50));
        running.0.try_wait().unwrap()
    });
    assert_eq!(ended.and_then(|status| status.code()), Some(0));
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
