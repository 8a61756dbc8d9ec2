//! A trunk that answers everything with 503: what the carrier sees on the wire, what the API and
//! the metrics say, and how it goes on.

use std::{net::UdpSocket, thread, time::Duration};

use crate::common;
use loadtest::{
    stack::{Api, Process, Stack, tail},
    wirelog::{self, Direction},
};
use serde_json::{Value, json};

/// A carrier of the test's own, at an address that it keeps when started again otherwise.
struct Carrier {
    name: &'static str,
    address: String,
    process: Option<Process>,
}

impl Carrier {
    fn new(name: &'static str) -> Self {
        let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        Self { name, address, process: None }
    }

    fn start(&mut self, stack: &Stack, how: &[&str]) {
        if let Some(mut before) = self.process.take() {
            before.stop(Duration::from_secs(5)).unwrap();
        }
        let (wire, offset) = (self.wire(stack), stack.offset_ms().to_string());
        let mut arguments = vec!["carrier", "--listen", &self.address, "--log"];
        arguments.extend([wire.to_str().unwrap(), "--offset-ms", &offset, "--mix", "answer=1"]);
        arguments.extend(["--ring-ms", "200..400", "--talk-ms", "300..500"]);
        arguments.extend_from_slice(how);
        let program = std::path::Path::new(env!("CARGO_BIN_EXE_loadtest"));
        let log = stack.path().join(format!("carrier-{}.log", self.name));
        let process = Process::start(self.name, program, &arguments, &log).unwrap();
        self.process = Some(process);
    }

    fn wire(&self, stack: &Stack) -> std::path::PathBuf {
        stack.path().join(format!("wire-{}.jsonl", self.name))
    }

    /// Requests that reached it, with their time in microseconds and their Call-ID.
    fn heard(&self, stack: &Stack, method: &str) -> Vec<(i64, String)> {
        let datagrams = wirelog::read(&self.wire(stack)).unwrap_or_default();
        let inward = datagrams.iter().filter(|datagram| datagram.dir == Direction::In);
        inward
            .filter_map(|datagram| {
                let text = String::from_utf8_lossy(&datagram.raw);
                text.starts_with(&format!("{method} ")).then_some(())?;
                let call_id = text.lines().find(|line| line.starts_with("Call-ID:"))?;
                Some((datagram.t_us, call_id.to_owned()))
            })
            .collect()
    }

    /// Calls: INVITEs, each once however often it was sent.
    fn calls(&self, stack: &Stack) -> Vec<(i64, String)> {
        let mut calls = self.heard(stack, "INVITE");
        calls.sort_by(|one, two| (&one.1, one.0).cmp(&(&two.1, two.0)));
        calls.dedup_by(|later, first| later.1 == first.1);
        calls.sort_unstable();
        calls
    }
}

const EVERYTHING_503: [&str; 4] = ["--fail-all", "503", "--options", "503"];

fn trunk(api: &Api, carrier: &Carrier, per_second: u32) -> String {
    let body = json!({
        "name": carrier.name, "address": carrier.address, "calls_per_second": per_second,
        "max_concurrent": 200,
    });
    common::text(&api.post("/v1/trunks", &body).unwrap(), "id")
}

fn health(api: &Api, name: &str) -> Value {
    let trunks = api.get("/v1/trunks").unwrap();
    let items = trunks["items"].as_array().unwrap().clone();
    items.into_iter().find(|trunk| trunk["name"] == name).unwrap()["health"].clone()
}

/// The value of a metric of the dialer whose line starts so.
fn metric(stack: &Stack, line: &str) -> Option<f64> {
    common::metric(&stack.dialer_admin_url(), line)
}

fn stalled(api: &Api, campaign: &str) -> Value {
    common::show(api, campaign)["stalled"].clone()
}

#[test]
fn a_trunk_that_answers_everything_with_503_stalls_its_campaign_and_sees_only_options_until_it_recovers()
 {
    let _turn = common::turn();
    let mut stack = common::stack();
    let api = stack.api().unwrap();
    let mut carrier = Carrier::new("only");
    carrier.start(&stack, &EVERYTHING_503);
    let seller = common::seller(&api);
    let id = trunk(&api, &carrier, 50);
    let retry = json!({"congestion": 5});
    let campaign = common::campaign(&api, &seller, "c", retry, std::slice::from_ref(&id));
    common::people(&api, &campaign, 3000, 60);
    stack.start_dialer().unwrap();
    common::start(&api, &campaign);

    let said = common::wait_for(
        Duration::from_secs(60),
        || stalled(&api, &campaign),
        |said| said["reason"] == "no_trunk",
    );
    let sentence = said["sentence"].as_str().unwrap_or_default();
    assert!(sentence.starts_with("stalled: no trunk (only: "), "{said}");
    assert!(said["since"].is_string(), "{said}");
    let down = common::wait_for(
        Duration::from_secs(10),
        || health(&api, "only"),
        |health| health["reason"] == "refused",
    );
    assert_eq!((&down["state"], &down["reason"]), (&json!("down"), &json!("refused")), "{down}");
    let series = format!("ringfence_campaign_stalled{{campaign=\"{campaign}\"}}");
    let shown = common::wait_for(
        Duration::from_secs(20),
        || metric(&stack, &series),
        |shown| *shown == Some(1.0),
    );
    assert_eq!(shown, Some(1.0), "{series}");

    // Only OPTIONS for twelve seconds.
    let before = carrier.calls(&stack).len();
    assert!((1..=20).contains(&before), "{before} calls reached a dead trunk");
    let asked = carrier.heard(&stack, "OPTIONS").len();
    thread::sleep(Duration::from_secs(12));
    assert_eq!(carrier.calls(&stack).len(), before, "an INVITE while stalled");
    let asked = carrier.heard(&stack, "OPTIONS").len() - asked;
    assert!((1..=4).contains(&asked), "{asked} OPTIONS in 12 s");
    assert_eq!(stalled(&api, &campaign)["reason"], "no_trunk");
    let refused = format!("ringfence_trunk_probes_total{{result=\"refused\",trunk=\"{id}\"}}");
    assert!(metric(&stack, &refused).unwrap_or_default() >= 1.0, "{refused}");

    // Nobody was lost: who was not tried is still due.
    let counts = common::show(&api, &campaign)["counts"].clone();
    let still = counts["due"].as_u64().unwrap() + counts["leased"].as_u64().unwrap();
    assert!(still >= 40, "{counts}");

    carrier.start(&stack, &[]);
    let went_on = common::wait_for(
        Duration::from_secs(10),
        || carrier.calls(&stack).len(),
        |calls| *calls > before,
    );
    assert!(went_on > before, "{}", tail(&stack.path().join("dialer.log"), 30));
    let shown = common::wait_for(
        Duration::from_secs(60),
        || common::show(&api, &campaign),
        common::is_done,
    );
    assert!(common::is_done(&shown), "{shown}\n{}", tail(&stack.path().join("dialer.log"), 30));
    assert_eq!(shown["stalled"], Value::Null);
    assert_eq!(shown["counts"]["answered"], 60, "{shown}");
    stack.drain_dialer().unwrap();
    assert_eq!(stack.sql("SELECT count(*) FROM trunk_state").unwrap(), "0", "a node that ended");
}

/// The most calls within any second as the dialer sent them: the carrier stamps them when its
/// process gets to run, on a busy machine up to a tenth of a second late.
fn busiest_second(calls: &[(i64, String)]) -> usize {
    let times: Vec<i64> = calls.iter().map(|(at, _)| *at).collect();
    let within =
        |first: usize| times[first..].iter().take_while(|at| **at < times[first] + 900_000).count();
    (0..times.len()).map(within).max().unwrap_or(0)
}

#[test]
fn when_one_trunk_fails_the_other_keeps_to_its_own_rate_and_everybody_is_called() {
    const RATE: u32 = 10;
    let _turn = common::turn();
    let mut stack = common::stack();
    let api = stack.api().unwrap();
    let (mut bad, mut good) = (Carrier::new("bad"), Carrier::new("good"));
    bad.start(&stack, &EVERYTHING_503);
    good.start(&stack, &[]);
    let seller = common::seller(&api);
    // The failing one is preferred, and alone would carry all the campaign wants.
    let trunks = [trunk(&api, &bad, 50), trunk(&api, &good, RATE)];
    let retry = json!({"congestion": 5});
    let campaign = common::campaign(&api, &seller, "c", retry, &trunks);
    common::people(&api, &campaign, 4000, 150);
    stack.start_dialer().unwrap();
    common::start(&api, &campaign);
    let shown = common::wait_for(
        Duration::from_secs(120),
        || {
            let shown = common::show(&api, &campaign);
            assert_eq!(shown["stalled"], Value::Null, "one trunk is up");
            shown
        },
        common::is_done,
    );
    assert!(common::is_done(&shown), "{shown}\n{}", tail(&stack.path().join("dialer.log"), 30));
    assert_eq!(shown["counts"]["answered"], 150, "{shown}");
    assert_eq!(health(&api, "bad")["state"], "down");
    assert_eq!(health(&api, "good")["state"], "up");
    stack.drain_dialer().unwrap();
    let (failed, carried) = (bad.calls(&stack), good.calls(&stack));
    assert!((1..=20).contains(&failed.len()), "{} calls reached the bad trunk", failed.len());
    assert_eq!(carried.len(), 150);
    let most = busiest_second(&carried);
    assert!(most <= RATE as usize, "{most} calls in a second over a trunk of {RATE}");
}
