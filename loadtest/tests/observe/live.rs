//! On a running stack: a Prometheus scrapes a demo, and every query finds something.

use std::{
    io::Write as _,
    net::SocketAddr,
    process::{Command, Stdio},
};

use clap::Parser;
use loadtest::{
    demo::{self, Args},
    stack::{RunFolder, Stack, Stop},
    view::Teller,
};
use serde_json::Value;

use super::dashboards::{FILES, dashboard, queries};

#[derive(Debug, Parser)]
struct Flags {
    #[command(flatten)]
    args: Args,
}

fn get(url: &str) -> String {
    ureq::get(url).call().unwrap().body_mut().read_to_string().unwrap()
}

/// Asks the Prometheus.
fn ask(at: SocketAddr, path: &str, parameters: &[(&str, &str)]) -> Value {
    let mut request = ureq::get(format!("http://{at}/api/v1/{path}"))
        .config()
        .http_status_as_error(false)
        .build();
    for (name, value) in parameters {
        request = request.query(name, value);
    }
    let text = request.call().unwrap().body_mut().read_to_string().unwrap();
    let answer: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(answer["status"], "success", "{parameters:?}: {text}");
    answer["data"].clone()
}

/// The last moment at which the dialer was scraped.
fn last_scrape(at: SocketAddr) -> f64 {
    let query = "max_over_time(timestamp(ringfence_build_info)[20m:1s])";
    let data = ask(at, "query", &[("query", query)]);
    data["result"][0]["value"][1].as_str().unwrap().parse().unwrap()
}

/// What is wrong with the answer to a query at a moment, if anything.
fn empty(at: SocketAddr, query: &str, time: &str) -> Option<String> {
    let query = query
        .replace("$__rate_interval", "1m")
        .replace("$__range", "10m")
        .replace("$instance", ".*")
        .replace("$trunk", ".*");
    // `$1` is of label_replace; anything else is a variable that is not filled in.
    let unfilled =
        query.split('$').skip(1).any(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()));
    assert!(!unfilled, "{query}");
    let data = ask(at, "query", &[("query", &query), ("time", time)]);
    let result = data["result"].as_array().unwrap();
    let finite = |sample: &Value| {
        sample["value"][1].as_str().is_some_and(|it| it.parse().is_ok_and(f64::is_finite))
    };
    if result.is_empty() {
        return Some(format!("empty: {query}"));
    }
    (!result.iter().any(finite)).then(|| format!("no number: {query}: {data}"))
}

#[test]
fn every_query_of_dashboards_and_runbook_finds_something_on_a_running_demo() {
    let out = RunFolder::make(false).unwrap();
    let folder = out.path().display().to_string();
    let flags =
        ["demo", "--no-wait", "--observe", "--contacts", "150", "--seed", "3", "--out", &folder];
    let args = Flags::parse_from(flags).args;
    let finished = demo::run(&args, &Stop::default(), &mut Teller::silent()).unwrap();
    let prometheus = finished.stack.prometheus().unwrap();
    // While the demo still ran: what has ended is stale a moment later.
    let time = (last_scrape(prometheus) - 1.0).to_string();

    let mut wrong = Vec::new();
    for file in FILES {
        for (title, query) in queries(&dashboard(file)) {
            wrong.extend(
                empty(prometheus, &query, &time).map(|it| format!("{file}: {title}: {it}")),
            );
        }
    }
    for query in super::alerts::runbook_queries() {
        wrong.extend(empty(prometheus, &query, &time).map(|it| format!("docs/runbook.md: {it}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    // The gauges of Postgres and the counters of the shard against what the run itself says.
    let number = |query: &str| -> f64 {
        let data = ask(prometheus, "query", &[("query", query), ("time", &time)]);
        data["result"][0]["value"][1].as_str().unwrap().parse().unwrap()
    };
    assert!(number("sum(ringfence_violations_total)") < 0.5);
    let calls = f64::from(u32::try_from(finished.summary.invites_on_wire).unwrap());
    assert!((number("sum(ringfence_trunk_invites_total)") - calls).abs() < 0.5);
    let answered = f64::from(u32::try_from(finished.summary.answered).unwrap());
    assert!((number("sum(ringfence_trunk_answered_total)") - answered).abs() < 0.5);
    assert!((number("sum(ringfence_trunk_responses_total)") - calls).abs() < 0.5);
    assert!(number("sum(ringfence_trunk_calls)").abs() < 0.5);
    assert!(number("sum(ringfence_contacts_parked)") > 0.5);

    // The alerts are loaded and can be evaluated; none of a fault fires on a demo that is well.
    let rules = ask(prometheus, "rules", &[]);
    for rule in rules["groups"][0]["rules"].as_array().unwrap() {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
    let firing = "count(ALERTS{alertstate=\"firing\", alertname!~\"RingfenceList.*|RingfenceFeed.*\"}) or vector(0)";
    assert!(number(firing) < 0.5);

    let log = finished.stack.path().join("prometheus.log");
    assert!(log.exists());
    drop(finished);
    assert!(!log.exists() && std::net::TcpStream::connect(prometheus).is_err(), "left behind");
}

#[test]
fn promtool_finds_nothing_to_say_about_what_both_processes_serve() {
    let mut stack = Stack::builder().start().unwrap();
    stack.start_api().unwrap();
    stack.start_dialer().unwrap();
    stack.api().unwrap().get("/v1/campaigns").unwrap();
    for address in stack.scraped() {
        let text = get(&format!("http://{address}/metrics"));
        assert!(text.contains("process_start_time_seconds "), "{text}");
        let mut promtool = Command::new("promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = promtool.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success() && said.is_empty(), "{address}: {said}");
    }
    stack.drain_dialer().unwrap();
}
