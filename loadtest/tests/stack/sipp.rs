//! The dialer against SIPp as the carrier: each scenario in `loadtest/sipp` with the disposition
//! that it must end in. SIPp knows nothing of our code.

use std::{net::UdpSocket, path::Path, time::Duration};

use crate::common;
use loadtest::stack::{Api, Process, Stack};
use serde_json::{Value, json};

/// A scenario and what the dialer must make of it.
struct Case {
    /// File in `loadtest/sipp` without `.xml`.
    scenario: &'static str,
    /// First number of its people.
    first: u32,
    /// The trunk's login.
    login: Option<(&'static str, &'static str)>,
    /// Delays before the next try.
    retry: Value,
    /// Placements per person.
    placements: u64,
    /// How each of them must end.
    disposition: &'static str,
}

const PEOPLE: u32 = 3;
/// What the scenarios with a password expect.
const LOGIN: Option<(&str, &str)> = Some(("ringfence", "open sesame"));

fn cases() -> Vec<Case> {
    let case = |scenario, first, disposition| Case {
        scenario,
        first,
        login: None,
        retry: json!({}),
        placements: 1,
        disposition,
    };
    vec![
        case("answered", 1000, "answered"),
        case("busy", 1100, "busy"),
        case("no_answer", 1200, "no_answer"),
        Case { login: LOGIN, ..case("digest_401", 1300, "answered") },
        Case { login: LOGIN, ..case("digest_407", 1350, "answered") },
        Case {
            retry: json!({"congestion": 2}),
            placements: 2,
            ..case("unavailable_503", 1400, "congestion")
        },
        case("trying_only", 1500, "no_answer"),
        case("delayed_200", 1600, "answered"),
        case("far_end_bye", 1700, "answered"),
    ]
}

/// A SIPp that plays one scenario on a free port.
struct Peer {
    process: Process,
    address: String,
}

impl Peer {
    fn start(stack: &Stack, scenario: &str, first: u32) -> Self {
        let address = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("sipp/{scenario}.xml"));
        let log = stack.path().join(format!("sipp-{scenario}.log"));
        let errors = stack.path().join(format!("sipp-{scenario}-errors.log"));
        let mut arguments = vec![
            "-sf".to_owned(),
            file.display().to_string(),
            "-i".to_owned(),
            "127.0.0.1".to_owned(),
            "-p".to_owned(),
            address.port().to_string(),
            // Media sockets of its own, and room for those of RTCP and video beside them.
            "-mp".to_owned(),
            (21_000 + first).to_string(),
            "-nostdin".to_owned(),
            "-skip_rlimit".to_owned(),
            "-trace_err".to_owned(),
            "-error_file".to_owned(),
            errors.display().to_string(),
        ];
        if scenario == "delayed_200" {
            // No retransmissions and no look-out for duplicates: the second ACK is a second ACK.
            arguments.push("-nr".to_owned());
        }
        let sipp = Path::new("/usr/bin/sipp");
        let process = Process::start(&format!("sipp {scenario}"), sipp, &arguments, &log).unwrap();
        Self { process, address: address.to_string() }
    }
}

fn prepare(stack: &Stack, api: &Api, seller: &str, case: &Case) -> (Peer, String) {
    let peer = Peer::start(stack, case.scenario, case.first);
    let trunk = common::trunk(api, case.scenario, &peer.address, case.login);
    let campaign = common::campaign(api, seller, case.scenario, case.retry.clone(), &[trunk]);
    common::people(api, &campaign, case.first, PEOPLE);
    (peer, campaign)
}

/// What is wrong with how the campaign ended, if anything.
fn faults(stack: &Stack, api: &Api, case: &Case, campaign: &str) -> Vec<String> {
    let shown =
        common::wait_for(Duration::from_secs(90), || common::show(api, campaign), common::is_done);
    let mut faults = Vec::new();
    let mut expect = |what: &str, found: Value, wanted: Value| {
        if found != wanted {
            faults.push(format!("{}: {what} is {found}, not {wanted}", case.scenario));
        }
    };
    let placements = u64::from(PEOPLE) * case.placements;
    let counts = &shown["counts"];
    expect("dispositions", counts["dispositions"].clone(), json!({case.disposition: placements}));
    expect(
        "finished",
        json!(
            counts["finished"]
                .as_object()
                .map_or(0, |all| { all.values().filter_map(Value::as_u64).sum::<u64>() })
        ),
        json!(PEOPLE),
    );
    let of_campaign = format!(
        "SELECT count(*) FROM placement p JOIN campaign c ON c.id = p.campaign_id
         WHERE c.name = '{}'",
        case.scenario
    );
    expect("placements", stack.sql(&of_campaign).unwrap().into(), placements.to_string().into());
    faults
}

/// What SIPp complains of, but for its own watchdog: that the machine was busy is no fault of ours.
fn unexpected(said: &str) -> Option<String> {
    let body = said.replacen("The following events occurred:", "", 1);
    let rest: Vec<&str> = body
        .split_inclusive("trips remaining.")
        .filter(|event| !event.trim().is_empty() && !event.contains("Overload warning"))
        .collect();
    (!rest.is_empty()).then(|| rest.join(""))
}

#[test]
fn sipps_watchdog_is_no_complaint_and_an_unexpected_message_is() {
    let warning = "1: Overload warning: the minor watchdog timer 500ms has been tripped (536), 119 \
                   trips remaining.";
    let said = format!("The following events occurred:\n{warning}{warning}");
    assert_eq!(unexpected(&said), None);
    assert_eq!(unexpected(""), None);
    let aborted = format!("The following events occurred:\n{warning}2: Aborting call");
    assert_eq!(unexpected(&aborted).as_deref(), Some("2: Aborting call"));
}

#[test]
fn each_sipp_scenario_ends_in_its_disposition() {
    let _turn = common::turn();
    let mut stack = common::stack();
    let api = stack.api().unwrap();
    let seller = common::seller(&api);
    let cases = cases();
    let prepared: Vec<(Peer, String)> =
        cases.iter().map(|case| prepare(&stack, &api, &seller, case)).collect();
    stack.start_dialer().unwrap();
    for (_, campaign) in &prepared {
        common::start(&api, campaign);
    }
    let mut found = Vec::new();
    for (case, (_, campaign)) in cases.iter().zip(&prepared) {
        found.extend(faults(&stack, &api, case, campaign));
    }
    for (case, (mut peer, _)) in cases.iter().zip(prepared) {
        peer.process.must_run().unwrap();
        // SIPp says here what it did not expect: a message out of order, a missing one.
        let errors = stack.path().join(format!("sipp-{}-errors.log", case.scenario));
        let said = std::fs::read_to_string(errors).unwrap_or_default();
        if let Some(said) = unexpected(&said) {
            found.push(format!("{}: SIPp says: {said}", case.scenario));
        }
    }
    if !found.is_empty() {
        found.push(loadtest::stack::tail(&stack.path().join("dialer.log"), 40));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    stack.drain_dialer().unwrap();
}
