//! What the tests on a whole stack share: campaigns over small lists, and waiting with a bound.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use loadtest::{
    stack::{Api, Stack, clock},
    wirelog,
};
use serde_json::{Value, json};

/// Tuesday, 2026-12-01, 15:30 UTC: morning in New York.
pub(crate) const INSTANT_MS: i64 = 1_796_139_000_000;

/// House rules that let a retry happen while a test runs.
pub(crate) const HOUSE: &str = "[[override]]\nrule = \"house.min_gap\"\nseconds = 1\n";

/// One stack at a time: each is six processes.
static TURN: Mutex<()> = Mutex::new(());

/// Waits until no other test runs a stack.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A stack with API, not yet a dialer.
pub(crate) fn stack() -> Stack {
    let mut stack = Stack::builder().starts_at(INSTANT_MS).house(HOUSE.to_owned()).start().unwrap();
    stack.start_api().unwrap();
    stack
}

/// Text of a field.
pub(crate) fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}

/// Makes a seller; returns its id.
pub(crate) fn seller(api: &Api) -> String {
    text(&api.post("/v1/sellers", &json!({"name": "Alder"})).unwrap(), "id")
}

/// Makes a trunk; returns its id.
pub(crate) fn trunk(api: &Api, name: &str, address: &str, login: Option<(&str, &str)>) -> String {
    let mut body = json!({
        "name": name, "address": address, "calls_per_second": 50, "max_concurrent": 100,
    });
    if let Some((username, password)) = login {
        body["username"] = username.into();
        body["password"] = password.into();
    }
    text(&api.post("/v1/trunks", &body).unwrap(), "id")
}

/// Makes a campaign that may call people in New York in the morning; returns its id.
pub(crate) fn campaign(
    api: &Api,
    seller: &str,
    name: &str,
    retry: Value,
    trunks: &[String],
) -> String {
    let body = json!({
        "seller": seller, "name": name, "purpose": "informational", "technology": "prerecorded",
        "caller_id": "+12125550100",
        "announces": ["identity", "purpose_statement", "callback_number"],
        "prompt": "demo.wav", "calls_per_second": 50, "max_concurrent": 100, "max_tries": 2,
        "ring_timeout_seconds": 5, "retry": retry, "trunks": trunks,
    });
    text(&api.post("/v1/campaigns", &body).unwrap(), "id")
}

/// Imports `count` people with consent, whose numbers start at +1212555xxxx and name them.
pub(crate) fn people(api: &Api, campaign: &str, first: u32, count: u32) {
    named_people(api, campaign, (first, first), count);
}

/// The same, named from `person` on: one person may be in several campaigns by several numbers.
pub(crate) fn named_people(api: &Api, campaign: &str, (person, first): (u32, u32), count: u32) {
    let mut csv = String::from(
        "external_id,phone_1,line_1,country,region,time_zone,party_type,party_role,\
         consent_form,consent_purpose,consent_at,consent_source\n",
    );
    for next in 0..count {
        let (person, number) = (person + next, first + next);
        writeln!(
            csv,
            "p{person},+1212555{number:04},landline,US,NY,America/New_York,consumer,principal,\
             prior_express_written,informational,2026-11-01T12:00:00Z,web form"
        )
        .unwrap();
    }
    let path = format!("/v1/campaigns/{campaign}/lists?name=people");
    let answer = api.post_csv(&path, csv.as_bytes()).unwrap();
    assert_eq!(answer["imported"], count, "{answer}");
}

/// Starts a campaign.
pub(crate) fn start(api: &Api, campaign: &str) {
    api.post_empty(&format!("/v1/campaigns/{campaign}/start")).unwrap();
}

/// The campaign as the API shows it.
pub(crate) fn show(api: &Api, campaign: &str) -> Value {
    api.get(&format!("/v1/campaigns/{campaign}")).unwrap()
}

/// Looks until it is as wanted, at most so long; returns the last look.
pub(crate) fn wait_for<T>(
    limit: Duration,
    mut look: impl FnMut() -> T,
    wanted: impl Fn(&T) -> bool,
) -> T {
    let started = clock::monotonic();
    loop {
        let found = look();
        if wanted(&found) || started.elapsed() > limit {
            return found;
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// Whether nobody is due now or under way.
pub(crate) fn is_done(campaign: &Value) -> bool {
    let counts = &campaign["counts"];
    counts["waiting"] == 0 && counts["due"] == 0 && counts["leased"] == 0
}

/// How many numbers that begin like this were called so far, by the carrier's wire log.
pub(crate) fn calls_to(stack: &Stack, prefix: &str) -> usize {
    let log = wirelog::read(&stack.wire_log()).unwrap_or_default();
    let numbers: BTreeSet<String> = log
        .iter()
        .filter_map(|datagram| {
            let text = String::from_utf8_lossy(&datagram.raw);
            let number = text.strip_prefix("INVITE sip:")?.split('@').next()?.to_owned();
            number.starts_with(prefix).then_some(number)
        })
        .collect();
    numbers.len()
}

/// The value of a metric whose line starts so, as a process at this address shows it.
pub(crate) fn metric(admin: &str, line: &str) -> Option<f64> {
    let text =
        ureq::get(format!("{admin}/metrics")).call().ok()?.body_mut().read_to_string().ok()?;
    let found = text.lines().find(|held| held.starts_with(line))?;
    found.rsplit(' ').next()?.parse().ok()
}
