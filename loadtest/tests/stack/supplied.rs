//! Facts that somebody looked up, wrote down or counted gate calls in a running dialer: without them
//! contacts are parked under what they wait for, with them they are called, and what forbids forbids.

use std::{collections::BTreeSet, fmt::Write as _, time::Duration};

use loadtest::{
    stack::{Api, Stack},
    wirelog,
};
use serde_json::{Value, json};

use crate::common;

/// Two people of each group: what is on record lets the first be called, and not the second.
const EACH: u32 = 2;
const LIMIT: Duration = Duration::from_secs(30);

/// Purpose, kind of rule, its parameters, and what a contact waits for that has no such fact. Each
/// rule has a purpose of its own, so that no other of them looks at its calls.
const GROUPS: [(&str, &str, &str, &str); 5] = [
    ("informational", "preference", "", "wishes"),
    (
        "healthcare",
        "number_reassignment_check",
        "database = \"own.rnd\"\nmax_age_days = 31",
        "check:own.rnd",
    ),
    ("political", "number_type", "max_age_days = 15\nbans = [\"hospital\"]", "check:line"),
    ("charity", "precondition", "licences = [\"own.bond\"]", "licence:own.bond"),
    (
        "survey",
        "volume_cap",
        "counter = \"own.calls\"\nmax = 10\nmax_age_seconds = 600",
        "counter:own.calls",
    ),
];

/// A pack of the deployment's own in which everything is asked for: what is unknown denies.
fn pack() -> String {
    let mut pack = common::HOUSE.to_owned();
    for (purpose, kind, parameters, _) in GROUPS {
        write!(
            pack,
            "[[rule]]\nid = \"own.{kind}\"\ntitle = \"{kind}\"\ncitation = \"own\"\nforce = \"law\"\n\
             purposes = [\"{purpose}\"]\njurisdiction = \"US\"\nkind = \"{kind}\"\n{parameters}\n"
        )
        .unwrap();
    }
    pack
}

/// What every step needs.
struct Scene {
    stack: Stack,
    api: Api,
    seller: String,
    trunk: String,
}

impl Scene {
    fn start() -> Self {
        let mut stack =
            Stack::builder().starts_at(common::INSTANT_MS).house(pack()).start().unwrap();
        stack.start_api().unwrap();
        stack.start_carrier(1).unwrap();
        let api = stack.api().unwrap();
        let trunk = common::trunk(&api, "carrier", &stack.carrier_address().to_string(), None);
        let seller = common::seller(&api);
        stack.start_dialer().unwrap();
        Self { stack, api, seller, trunk }
    }

    /// A running campaign of one purpose, with people whose numbers begin with the group's digit.
    fn campaign(&self, group: usize, first: u32) -> String {
        let (purpose, ..) = GROUPS[group];
        let body = json!({
            "seller": self.seller, "name": format!("{purpose} {first}"), "purpose": purpose,
            "technology": "manual", "caller_id": "+12125550100",
            "announces": ["identity", "purpose_statement", "callback_number"],
            "prompt": "demo.wav", "calls_per_second": 50, "max_concurrent": 100, "max_tries": 1,
            "ring_timeout_seconds": 15, "retry": {}, "trunks": [self.trunk],
        });
        let campaign = common::text(&self.api.post("/v1/campaigns", &body).unwrap(), "id");
        let mut csv = String::from("external_id,phone_1,line_1,country,region,time_zone\n");
        for no in first..first + EACH {
            let (person, number) = (format!("{group}-{no}"), number(group, no));
            writeln!(csv, "{person},{number},landline,US,NY,America/New_York").unwrap();
        }
        let path = format!("/v1/campaigns/{campaign}/lists?name=l");
        let answer = self.api.post_csv(&path, csv.as_bytes()).unwrap();
        assert_eq!(answer["imported"], EACH, "{answer}");
        common::start(&self.api, &campaign);
        campaign
    }

    fn post(&self, path: &str, mut body: Value) -> Value {
        body["seller"] = json!(self.seller);
        body["source"] = json!("a test");
        self.api.post(path, &body).unwrap()
    }

    /// Waits until so many contacts are parked under a cause.
    fn parked(&self, cause: &str, wanted: u32) {
        let sql = format!("SELECT count(*) FROM parked WHERE cause = '{cause}'");
        let look = || self.stack.sql(&sql).unwrap();
        let found = common::wait_for(LIMIT, look, |found| *found == wanted.to_string());
        assert_eq!(found, wanted.to_string(), "parked under {cause}: {}", self.all_parked());
    }

    fn all_parked(&self) -> String {
        self.stack.sql("SELECT string_agg(cause || ' ' || rules::text, '; ') FROM parked").unwrap()
    }

    /// Everybody who was called, by the carrier's wire log.
    fn called(&self) -> BTreeSet<String> {
        let log = wirelog::read(&self.stack.wire_log()).unwrap_or_default();
        let numbers = log.iter().filter_map(|datagram| {
            let text = String::from_utf8_lossy(&datagram.raw);
            Some(text.strip_prefix("INVITE sip:")?.split('@').next()?.to_owned())
        });
        numbers.collect()
    }

    /// Waits until exactly these were called.
    fn are_called(&self, wanted: &[String]) {
        let wanted: BTreeSet<String> = wanted.iter().cloned().collect();
        let found = common::wait_for(LIMIT, || self.called(), |found| *found == wanted);
        assert_eq!(found, wanted, "parked: {}", self.all_parked());
    }

    fn verdict(&self, campaign: &str, person: &str) -> Value {
        let path = format!("/v1/eligibility?campaign={campaign}&person={person}");
        self.api.get(&path).unwrap()["verdict"].clone()
    }
}

fn number(group: usize, no: u32) -> String {
    format!("+1212555{group}{no:03}")
}

#[test]
fn what_nobody_supplied_parks_and_what_is_supplied_wakes_permits_and_forbids() {
    let _turn = common::turn();
    let scene = Scene::start();
    let campaigns: Vec<String> = (0..GROUPS.len()).map(|group| scene.campaign(group, 0)).collect();
    for (group, (.., cause)) in GROUPS.iter().enumerate() {
        scene.parked(cause, EACH);
        assert_eq!(scene.verdict(&campaigns[group], &format!("{group}-0")), "refuse", "{cause}");
    }
    let mut called: Vec<String> = Vec::new();
    scene.are_called(&called);

    // Wishes of persons.
    let said = scene.post("/v1/wishes", json!({ "person": "0-0", "blocked": [] }));
    assert_eq!(said["woken"], 1, "{said}");
    let said = scene.post("/v1/wishes", json!({ "person": "0-1", "blocked": ["always"] }));
    assert_eq!(said["woken"], 1, "{said}");
    called.push(number(0, 0));
    scene.are_called(&called);
    scene.parked("wishes", 1);

    // Look-ups of numbers.
    for (group, answers) in [
        (
            1,
            [
                json!({ "database": "own.rnd", "reassigned": "no" }),
                json!({ "database": "own.rnd", "reassigned": "yes" }),
            ],
        ),
        (
            2,
            [
                json!({ "database": "line", "line_type": "landline" }),
                json!({ "database": "line", "line_type": "landline", "line_class": "hospital" }),
            ],
        ),
    ] {
        for (no, mut answer) in (0..).zip(answers) {
            answer["number"] = json!(number(group, no));
            answer["as_of"] = json!("2026-12-01");
            let said = scene.post("/v1/number-checks", answer);
            assert_eq!(said["woken"], 1, "{said}");
        }
        called.push(number(group, 0));
        scene.are_called(&called);
    }
    scene.parked("contact", EACH);

    licences(&scene, &campaigns[3], &mut called);
    counters(&scene, &campaigns[4], &mut called);
    for word in ["wishes", "look_ups", "licences", "counters"] {
        let named = format!(
            "SELECT count(*) > 0 FROM audit_entry
             WHERE kind IN (1, 14) AND position('{word}'::bytea IN leaf) > 0"
        );
        assert_eq!(scene.stack.sql(&named).unwrap(), "t", "the evidence names its {word}");
    }
}

/// Over, then valid, then withdrawn.
fn licences(scene: &Scene, campaign: &str, called: &mut Vec<String>) {
    let lapsed = json!({ "licence": "own.bond", "until": "2026-11-30" });
    assert_eq!(scene.post("/v1/licences", lapsed)["waiting"], EACH);
    // Both are woken, judged and parked again.
    let again = "SELECT count(*) FROM decision d JOIN campaign c ON c.id = d.campaign_id
                 WHERE c.purpose = 6";
    let look = || scene.stack.sql(again).unwrap().parse::<u32>().unwrap();
    assert!(common::wait_for(LIMIT, look, |found| *found >= 2 * EACH) >= 2 * EACH);
    scene.parked("licence:own.bond", EACH);
    scene.are_called(called);
    assert_eq!(scene.verdict(campaign, "3-0"), "refuse");
    scene.post("/v1/licences", json!({ "licence": "own.bond", "from": "2026-12-01" }));
    called.extend([number(3, 0), number(3, 1)]);
    scene.are_called(called);
    scene.post("/v1/licences", json!({ "licence": "own.bond", "kind": "withdraw" }));
    scene.campaign(3, 10);
    scene.parked("licence:own.bond", EACH);
    scene.are_called(called);
}

/// Old, then fresh and low, then full until the window ends.
fn counters(scene: &Scene, campaign: &str, called: &mut Vec<String>) {
    let count = |count: u32, as_of: &str| {
        scene.post(
            "/v1/counters",
            json!({ "counter": "own.calls", "count": count,
            "as_of": as_of, "resets_at": "2026-12-02T05:00:00Z" }),
        )
    };
    count(3, "2026-12-01T10:00:00Z");
    scene.parked("counter:own.calls", EACH);
    assert_eq!(scene.verdict(campaign, "4-0"), "refuse", "counted too long ago");
    count(3, "2026-12-01T15:30:00Z");
    called.extend([number(4, 0), number(4, 1)]);
    scene.are_called(called);
    count(10, "2026-12-01T15:30:01Z");
    let campaign = scene.campaign(4, 10);
    let deferred = "SELECT count(*) FROM due WHERE because = 'own.volume_cap'";
    let look = || scene.stack.sql(deferred).unwrap();
    assert_eq!(common::wait_for(LIMIT, look, |found| found == "2"), "2", "{}", scene.all_parked());
    assert_eq!(scene.verdict(&campaign, "4-10"), "defer");
    scene.are_called(called);
}
