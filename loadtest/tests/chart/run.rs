//! The commands of the pods, run as they stand in the documents, on a real PostgreSQL and a real Redis.

use std::{
    fs,
    net::{TcpListener, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use schema::testing::{PostgresOptions, PrivatePostgres, PrivateRedis};
use serde_json::{Value as Json, json};

use crate::{
    documents::{Documents, ports, words},
    helm::{folder, render},
    pods::{Folder, Held, lay_out, some_keys},
};

/// The program that a container's command names, as it was built beside the tests.
fn program(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_loadtest")).with_file_name(name);
    assert!(path.exists(), "{} is not built: cargo build --bins", path.display());
    path
}

/// The container's command with its environment. `told` answers what the cluster would fill in.
fn command(pod: &Json, config: &Path, told: &dyn Fn(&Json) -> String) -> Command {
    let container = &pod["containers"][0];
    let words: Vec<String> = container["command"]
        .as_array()
        .unwrap()
        .iter()
        .map(|word| words(word).replace("/etc/ringfence", &config.display().to_string()))
        .collect();
    let mut command = Command::new(program(&words[0]));
    command.args(&words[1..]).env_clear();
    for variable in container["env"].as_array().unwrap() {
        let value = variable["value"].as_str().map(str::to_owned);
        let value = value.unwrap_or_else(|| told(&variable["valueFrom"]));
        command.env(variable["name"].as_str().unwrap(), value);
    }
    command
}

/// A program that is killed when the test goes wrong.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl Running {
    fn start(mut command: Command, log: &Path) -> Self {
        let log = fs::File::create(log).unwrap();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        Self(child.unwrap())
    }

    /// Ends it as the cluster does; whether it ended well, within so many seconds.
    fn terminate(&mut self, seconds: u64) -> bool {
        let id = Pid::from_raw(i32::try_from(self.0.id()).unwrap());
        kill(id, Signal::SIGTERM).unwrap();
        for _ in 0..seconds * 10 {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.success();
            }
            sleep(Duration::from_millis(100));
        }
        false
    }
}

/// What the image's own health check says.
fn healthy(port: u64, path: &str) -> bool {
    let script = folder().join("trial/healthy");
    let mut command = Command::new(script);
    command.arg(path).env("RINGFENCE_ADMIN_PORT", port.to_string()).stderr(Stdio::null());
    command.status().unwrap().success()
}

#[track_caller]
fn wait_for(what: &str, log: &Path, test: impl Fn() -> bool) {
    for _ in 0..300 {
        if test() {
            return;
        }
        sleep(Duration::from_millis(100));
    }
    panic!("{what} after 30 s: {}", fs::read_to_string(log).unwrap());
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Values with ports that nobody has right now.
fn values() -> Json {
    let tcp: Vec<_> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let port = |at: usize| tcp[at].local_addr().unwrap().port();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let media = 11_000;
    json!({
        "dialer": {
            "sip": { "port": udp.local_addr().unwrap().port() },
            "rtp": { "firstPort": media, "endPort": media + 20 },
            "admin": { "port": port(0) },
        },
        "api": { "port": port(1), "admin": { "port": port(2) } },
        "rules": { "house": "[[override]]\nrule = \"house.min_gap\"\nhours = 4\n" },
    })
}

/// The statements by which docs/operations.md makes roles and database, with a password in the place of the dots. The
/// test's server has the group role already.
fn documented_roles() -> Vec<String> {
    let text = fs::read_to_string(crate::helm::root().join("docs/operations.md")).unwrap();
    let block = text.split("```sql\n").nth(1).unwrap().split("```").next().unwrap();
    let statements: Vec<_> = block.lines().map(|line| line.replace("'...'", "'made-up'")).collect();
    assert_eq!(statements.len(), 4, "{statements:?}");
    assert_eq!(statements[2], "CREATE ROLE ringfence_app NOLOGIN;");
    [0, 1, 3].map(|at| statements[at].clone()).to_vec()
}

#[test]
fn the_pods_of_the_chart_run_on_real_stores_get_ready_and_end_in_their_time() {
    let postgres = PrivatePostgres::start(PostgresOptions::default()).unwrap();
    let url =
        |login: &str| format!("postgres://{login}:made-up@127.0.0.1:{}/ringfence", postgres.port());
    for statement in documented_roles() {
        postgres.sql("postgres", &statement).unwrap();
    }
    let redis = PrivateRedis::start().unwrap();
    let (values, keys) = (values(), some_keys());
    let documents = Documents(render(&values).unwrap());
    let temporary = Folder::make("pods");
    let held = Held { postgres: &url("ringfence"), redis: &redis.url(), keys: &keys };
    let place = |component: &str| {
        let folder = temporary.0.join(component);
        lay_out(&documents, &values, documents.pod(component), &held, &folder);
        // The other mounts of the pod, which are empty folders in this release.
        let (state, file) = (folder.join("state"), folder.join("ringfence.toml"));
        fs::create_dir_all(state.join("prompts")).unwrap();
        fs::create_dir_all(state.join("lists")).unwrap();
        let text = fs::read_to_string(&file).unwrap();
        let text = text.replace("/var/lib/ringfence", &state.display().to_string());
        fs::write(&file, text).unwrap();
        folder
    };
    let owner = url("ringfence_owner");
    let told = |from: &Json| match from["fieldRef"]["fieldPath"].as_str() {
        Some("metadata.name") => "trial-ringfence-dialer-0".to_owned(),
        Some("status.podIP") => "127.0.0.1".to_owned(),
        _ if from["secretKeyRef"]["key"] == "postgres-owner-url" => owner.clone(),
        _ => panic!("the test cannot fill in {from}"),
    };
    for round in ["install", "upgrade"] {
        let migrate = command(documents.pod("migrations"), Path::new(""), &told).output().unwrap();
        assert!(migrate.status.success(), "{round}: {}", said(&migrate));
    }
    let (dialer_pod, api_pod) = (documents.pod("dialer"), documents.pod("api"));
    let log = temporary.0.join("api.log");
    let mut api = Running::start(command(api_pod, &place("api"), &told), &log);
    let admin = ports(api_pod)["admin"].0;
    wait_for("the API is not ready", &log, || healthy(admin, "/healthz"));
    assert!(healthy(admin, "/metrics"));
    assert!(!healthy(admin, "/nothing"), "the health check fails at another status");

    let log = temporary.0.join("dialer.log");
    let mut dialer = Running::start(command(dialer_pod, &place("dialer"), &told), &log);
    let admin = ports(dialer_pod)["admin"].0;
    wait_for("the dialer is not ready", &log, || healthy(admin, "/readyz"));
    assert!(healthy(admin, "/healthz") && healthy(admin, "/metrics"));
    let names =
        postgres.run("psql", &[&owner, "-At", "-c", "SELECT name FROM node WHERE kind = 'dialer'"]);
    assert_eq!(names.unwrap().trim(), "trial-ringfence-dialer-0", "a node of the pod's name");

    let grace = |pod: &Json| pod["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!(dialer.terminate(grace(dialer_pod)), "{}", fs::read_to_string(&log).unwrap());
    assert!(api.terminate(grace(api_pod)));
    assert!(!healthy(admin, "/healthz"), "and when nothing listens");
}

#[test]
fn a_dialer_that_no_carrier_could_answer_to_says_so_and_ends() {
    let (values, keys) = (values(), some_keys());
    let documents = Documents(render(&values).unwrap());
    let temporary = Folder::make("unanswerable");
    let held = Held {
        postgres: "postgres://u:p@127.0.0.1:1/d",
        redis: "redis://127.0.0.1:1",
        keys: &keys,
    };
    lay_out(&documents, &values, documents.pod("dialer"), &held, &temporary.0);
    let mut command = command(documents.pod("dialer"), &temporary.0, &|_| "0.0.0.0".to_owned());
    let output = command.output().unwrap();
    assert!(!output.status.success());
    assert!(said(&output).contains("dialer.advertise"), "{}", said(&output));
}
