//! Missing and broken parts: clear errors, nothing placed, nothing lost, recovery by itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::UdpSocket,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use crate::common;
use loadtest::stack::{Api, Refusal, Stack, clock, tail};
use loadtest::wirelog;
use serde_json::{Value, json};

/// Placements so far.
fn placements(stack: &Stack) -> u64 {
    stack.sql("SELECT count(*) FROM placement").unwrap().parse().unwrap()
}

/// A campaign of so many people over the simulated carrier, ready to start.
fn over_carrier(stack: &mut Stack, people: u32) -> (Api, String) {
    stack.start_carrier(1).unwrap();
    let api = stack.api().unwrap();
    let seller = common::seller(&api);
    let trunk = common::trunk(&api, "carrier", &stack.carrier_address().to_string(), None);
    let campaign = common::campaign(&api, &seller, "c", json!({}), &[trunk]);
    common::people(&api, &campaign, 2000, people);
    (api, campaign)
}

fn dialer_log(stack: &Stack) -> String {
    tail(&stack.path().join("dialer.log"), 60)
}

#[test]
fn a_campaign_without_a_trunk_is_refused_and_the_error_names_it() {
    let _turn = common::turn();
    let mut stack = common::stack();
    let api = stack.api().unwrap();
    let seller = common::seller(&api);
    let body = json!({
        "seller": seller, "name": "c", "purpose": "informational", "technology": "prerecorded",
        "caller_id": "+12125550100", "announces": ["identity"], "prompt": "demo.wav",
        "calls_per_second": 5, "max_concurrent": 10, "max_tries": 1, "ring_timeout_seconds": 20,
        "retry": {}, "trunks": [],
    });
    let made = api.post("/v1/campaigns", &body);
    let refused = match made {
        Err(error) => error,
        Ok(made) => {
            let id = common::text(&made, "id");
            api.post_empty(&format!("/v1/campaigns/{id}/start")).unwrap_err()
        }
    };
    let refusal = refused.downcast_ref::<Refusal>().expect("the API's own answer");
    assert!((400..500).contains(&refusal.status), "{refusal}");
    assert!(refusal.problem.contains("trunk"), "{refusal}");
}

#[test]
fn a_campaign_whose_prompt_is_missing_places_no_call_until_the_file_is_there() {
    let _turn = common::turn();
    let mut stack = common::stack();
    let (api, campaign) = over_carrier(&mut stack, 3);
    let (prompt, away) =
        (stack.path().join("prompts/demo.wav"), stack.path().join("prompts/.away"));
    std::fs::rename(&prompt, &away).unwrap();
    stack.start_dialer().unwrap();
    common::start(&api, &campaign);
    let limit = Duration::from_secs(20);
    let said = |stalled: &Value| stalled["reason"] == "no_prompt";
    let stalled =
        common::wait_for(limit, || common::show(&api, &campaign)["stalled"].clone(), said);
    assert!(
        stalled["sentence"]
            .as_str()
            .is_some_and(|text| text.starts_with("stalled: no prompt (demo.wav: ")),
        "{stalled}"
    );
    thread::sleep(Duration::from_secs(2));
    assert_eq!(placements(&stack), 0, "nobody is called with nothing to say");
    std::fs::rename(&away, &prompt).unwrap();
    let shown = common::wait_for(limit, || common::show(&api, &campaign), common::is_done);
    assert_eq!(shown["stalled"], json!(null), "{shown}");
    assert_eq!(placements(&stack), 3, "{}", dialer_log(&stack));
}

#[test]
fn a_trunk_that_never_answers_stalls_the_campaign_after_at_most_twenty_invites() {
    let _turn = common::turn();
    let mut stack = common::stack();
    let api = stack.api().unwrap();
    let seller = common::seller(&api);
    // Bound, so that nothing comes back, not even an ICMP error; read only by this test.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    silent.set_nonblocking(true).unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let trunk = common::trunk(&api, "silent", &address, None);
    let campaign = common::campaign(&api, &seller, "c", json!({}), &[trunk]);
    common::people(&api, &campaign, 2000, 60);
    stack.start_dialer().unwrap();
    common::start(&api, &campaign);
    let mut calls = BTreeSet::new();
    let mut drain = || {
        let mut buffer = [0; 65_536];
        while let Ok(length) = silent.recv(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.starts_with("INVITE ") {
                let call_id = text.lines().find(|line| line.starts_with("Call-ID:")).unwrap();
                calls.insert(call_id.to_owned());
            }
        }
        calls.len()
    };
    let shown = common::wait_for(
        Duration::from_secs(60),
        || {
            drain();
            common::show(&api, &campaign)
        },
        |shown| shown["stalled"]["reason"] == "no_trunk",
    );
    let stalled =
        shown["stalled"]["sentence"].as_str().unwrap_or_else(|| panic!("not stalled: {shown}"));
    assert!(stalled.contains("no trunk"), "{stalled}");
    thread::sleep(Duration::from_secs(3));
    let calls = drain();
    assert!((1..=20).contains(&calls), "{calls} calls reached a dead trunk");
    // What was committed when the breaker opened never left, is on record so, and counts for nothing.
    let sent = "SELECT count(*) FROM placement p
        WHERE NOT EXISTS (SELECT FROM outcome o WHERE o.placement_id = p.id AND o.disposition = 18)";
    let sent: usize = stack.sql(sent).unwrap().parse().unwrap();
    assert!(sent <= 20, "{sent} placements were not settled as not sent");
}

#[test]
fn nothing_is_placed_while_redis_is_away_and_the_dialer_recovers_by_itself() {
    let _turn = common::turn();
    let mut stack = common::stack();
    let (api, campaign) = over_carrier(&mut stack, 40);
    stack.start_dialer().unwrap();
    stack.redis.stop();
    common::start(&api, &campaign);
    thread::sleep(Duration::from_secs(4));
    stack.must_run().unwrap();
    assert_eq!(placements(&stack), 0, "{}", dialer_log(&stack));
    assert!(dialer_log(&stack).to_lowercase().contains("redis"), "{}", dialer_log(&stack));
    stack.redis.start_again().unwrap();
    finishes(&mut stack, &api, &campaign, 40);
}

#[test]
fn postgres_may_go_away_in_the_middle_and_nothing_is_lost() {
    let _turn = common::turn();
    let mut stack = common::stack();
    let (api, campaign) = over_carrier(&mut stack, 60);
    stack.start_dialer().unwrap();
    common::start(&api, &campaign);
    let some = common::wait_for(Duration::from_secs(20), || placements(&stack), |made| *made > 0);
    assert!(some > 0, "{}", dialer_log(&stack));
    stack.postgres.stop(true);
    thread::sleep(Duration::from_secs(3));
    stack.must_run().unwrap();
    stack.postgres.start_again().unwrap();
    finishes(&mut stack, &api, &campaign, 60);
}

/// Everybody ends up finished, with one disposition for each placement.
fn finishes(stack: &mut Stack, api: &Api, campaign: &str, people: u64) {
    let shown = common::wait_for(
        Duration::from_secs(90),
        || api.get(&format!("/v1/campaigns/{campaign}")).unwrap_or(Value::Null),
        |shown| !shown.is_null() && common::is_done(shown),
    );
    assert!(!shown.is_null() && common::is_done(&shown), "{shown}\n{}", dialer_log(stack));
    assert_eq!(shown["counts"]["contacts"], people);
    stack.drain_dialer().unwrap();
    let open = stack
        .sql(
            "SELECT count(*) FROM placement p
             WHERE NOT EXISTS (SELECT FROM outcome o WHERE o.placement_id = p.id)",
        )
        .unwrap();
    assert_eq!(open, "0");
    // A commit whose answer was lost is settled as not sent and tried again; the carrier tells
    // whether that is true: one call for each number.
    stack.stop_carrier().unwrap();
    let mut calls: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for datagram in wirelog::read(&stack.wire_log()).unwrap() {
        let text = String::from_utf8_lossy(&datagram.raw).into_owned();
        if text.starts_with("INVITE ") {
            let number = text.split_whitespace().nth(1).unwrap().to_owned();
            let call_id = text.lines().find(|line| line.starts_with("Call-ID:")).unwrap();
            calls.entry(number).or_default().insert(call_id.to_owned());
        }
    }
    assert_eq!(calls.len().to_string(), people.to_string(), "numbers called");
    let twice = calls.values().filter(|calls| calls.len() > 1).count();
    assert_eq!(twice, 0, "{twice} people were called twice");
}

/// Runs a program with the stack's configuration while a store is away; it must end by itself or
/// say that it is not ready, and name the store and its address.
fn names_the_missing(stack: &Stack, program: &str, store: &str, port: u16) {
    let log = stack.path().join(format!("{program}-without-{store}.log"));
    let file = std::fs::File::create(&log).unwrap();
    let bin = Path::new(env!("CARGO_BIN_EXE_loadtest")).parent().unwrap();
    let mut command = Command::new(bin.join(program));
    if program == "dialer" {
        command.arg("run");
    }
    let mut child = command
        .arg("--config")
        .arg(stack.config())
        .stdin(Stdio::null())
        .stdout(file.try_clone().unwrap())
        .stderr(file)
        .spawn()
        .unwrap();
    let started = clock::monotonic();
    let said = common::wait_for(
        Duration::from_secs(20),
        || std::fs::read_to_string(&log).unwrap(),
        |said| said.contains(&port.to_string()),
    );
    let took = started.elapsed();
    child.kill().ok();
    child.wait().unwrap();
    assert!(said.contains(&port.to_string()), "{program} without {store}, {took:?}: {said}");
    assert!(said.to_lowercase().contains(store), "{program} without {store}: {said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn programs_started_without_a_store_say_which_and_where() {
    let _turn = common::turn();
    let mut stack = Stack::builder().starts_at(common::INSTANT_MS).start().unwrap();
    stack.redis.stop();
    let port = stack.redis.port();
    names_the_missing(&stack, "dialer", "redis", port);
    names_the_missing(&stack, "campaign-api", "redis", port);
    stack.redis.start_again().unwrap();
    stack.postgres.stop(false);
    let port = stack.postgres.port();
    names_the_missing(&stack, "dialer", "postgres", port);
    names_the_missing(&stack, "campaign-api", "postgres", port);
}
