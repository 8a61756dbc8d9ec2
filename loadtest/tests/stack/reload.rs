//! Rule packs replaced while a dialer runs: what they forbid stops, what they allow again goes on within
//! five seconds, a faulty file changes nothing, and all of it is on record.

use std::{collections::BTreeMap, ffi::OsString, fs, path::PathBuf, thread, time::Duration};

use loadtest::stack::{Api, Stack, clock};
use serde_json::{Value, json};

use crate::common;

/// More people than are called in the test.
const PEOPLE: u32 = 400;
/// Calls a second.
const CPS: u32 = 5;
/// How soon a change is in force: two looks, and what was cleared before.
const SOON: Duration = Duration::from_secs(5);

/// The test's own day is closed: whoever is judged now waits for tomorrow.
const QUIET: &str = "
[[override]]
rule = \"house.quiet_dates\"
enabled = true
closed_on = [\"2026-12-01\"]
";

/// A script must be approved, and nothing on record says so: whoever is judged now is parked.
const SCRIPT: &str = "
[[override]]
rule = \"house.script_approval\"
enabled = true
";

/// A stack whose campaign is being called.
struct Running {
    stack: Stack,
    api: Api,
    campaign: String,
}

impl Running {
    fn start() -> Self {
        let mut stack = common::stack();
        stack.start_carrier(1).unwrap();
        let api = stack.api().unwrap();
        let trunk = common::trunk(&api, "carrier", &stack.carrier_address().to_string(), None);
        let body = json!({
            "seller": common::seller(&api), "name": "c", "purpose": "informational",
            "technology": "prerecorded", "caller_id": "+12125550100",
            "announces": ["identity", "purpose_statement", "callback_number"],
            "prompt": "demo.wav", "calls_per_second": CPS, "max_concurrent": 100, "max_tries": 1,
            "ring_timeout_seconds": 5, "retry": {}, "trunks": [trunk],
        });
        let campaign = common::text(&api.post("/v1/campaigns", &body).unwrap(), "id");
        common::people(&api, &campaign, 2000, PEOPLE);
        stack.start_dialer().unwrap();
        common::start(&api, &campaign);
        Self { stack, api, campaign }
    }

    fn house(&self) -> PathBuf {
        self.stack.path().join("house.toml")
    }

    /// Replaces the deployment's own pack whole, as an editor does.
    fn put(&self, more: &str) {
        let new = self.stack.path().join("house.new");
        fs::write(&new, format!("{}{more}", common::HOUSE)).unwrap();
        fs::rename(new, self.house()).unwrap();
    }

    fn called(&self) -> usize {
        common::calls_to(&self.stack, "+1212555")
    }

    /// Waits for more calls; returns how long that took.
    fn goes_on(&self) -> Duration {
        let (before, started) = (self.called(), clock::monotonic());
        let after = common::wait_for(SOON * 4, || self.called(), |called| *called > before + 3);
        assert!(after > before + 3, "nobody is called: {before}, {after}\n{}", self.log());
        started.elapsed()
    }

    /// Nobody is called any more, after the change had time to come into force.
    fn stands_still(&self) {
        thread::sleep(SOON);
        let before = self.called();
        thread::sleep(SOON);
        assert_eq!(self.called(), before, "calls go on\n{}", self.log());
        assert!(before < PEOPLE as usize, "nobody is left to be called");
    }

    fn count(&self, sql: &str) -> u32 {
        self.stack.sql(sql).unwrap().parse().unwrap()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.stack.path().join("dialer.log")).unwrap()
    }

    /// What dialer and API show of refused packs.
    fn refused(&self) -> [Option<f64>; 2] {
        let line = "ringfence_files_refused{kind=\"pack\"}";
        self.stack.scraped().map(|admin| common::metric(&format!("http://{admin}"), line))
    }

    fn wait_refused(&self, value: f64) {
        let both = [Some(value); 2];
        let shown = common::wait_for(SOON, || self.refused(), |shown| *shown == both);
        assert_eq!(shown, both, "dialer, API");
    }

    /// The rules that deny the last of the list, as the API says.
    fn denied_by(&self) -> Vec<Value> {
        let person = 2000 + PEOPLE - 1;
        let path = format!("/v1/eligibility?campaign={}&person=p{person}", self.campaign);
        let answer = self.api.get(&path).unwrap();
        let denials = answer["numbers"][0]["reasons"].as_array().cloned().unwrap_or_default();
        denials.iter().map(|denial| denial["rule"].clone()).collect()
    }

    /// Every record of the audit, after the dialer has stopped and the export was verified.
    fn audit(&mut self) -> Vec<Value> {
        self.stack.drain_dialer().unwrap();
        let out = self.stack.path().join("export");
        let run = |words: &[&str]| {
            let words: Vec<OsString> = words.iter().map(Into::into).collect();
            let ran = self.stack.run("dialer", &words).unwrap();
            assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        };
        let (config, folder) = (self.stack.config(), out.display().to_string());
        let config = config.display().to_string();
        run(&["audit", "export", "--config", &config, "--out", &folder]);
        let lines = fs::read_to_string(out.join("audit.jsonl")).unwrap();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[test]
fn packs_that_change_under_a_running_dialer_stop_and_free_calls_and_faulty_ones_do_neither() {
    let _turn = common::turn();
    let mut running = Running::start();
    running.goes_on();

    running.put(QUIET);
    running.stands_still();
    let deferred = "SELECT count(*) FROM due WHERE because = 'house.quiet_dates'";
    assert!(running.count(deferred) > 0, "some wait for tomorrow");
    assert_eq!(running.denied_by(), [json!("house.quiet_dates")]);
    running.put("");
    let took = running.goes_on();
    assert!(took <= SOON, "called again after {took:?}");
    let woken = common::wait_for(SOON, || running.count(deferred), |left| *left == 0);
    assert_eq!(woken, 0, "nobody waits by rules that are not in force");
    // The API looks for itself, and may be a moment later.
    let denied = common::wait_for(SOON, || running.denied_by(), Vec::is_empty);
    assert_eq!(denied, [json!(null); 0]);

    running.put(&QUIET.replace("closed_on", "closed_onn"));
    running.wait_refused(1.0);
    running.goes_on();
    let log = running.log();
    let line = log.lines().find(|line| line.contains("are refused: the last good ones go on"));
    let line = line.unwrap_or_else(|| panic!("nothing said\n{log}"));
    for word in ["house.toml", "\"line\":8", "closed_onn"] {
        assert!(line.contains(word), "no {word} in {line}");
    }
    running.put("");
    running.wait_refused(0.0);

    running.put(SCRIPT);
    running.stands_still();
    let parked = running.count("SELECT count(*) FROM parked");
    assert!(parked > 0, "some wait for an approval");
    running.put("");
    let took = running.goes_on();
    assert!(took <= SOON, "called again after {took:?}");
    assert!(
        common::wait_for(SOON, || running.count("SELECT count(*) FROM parked"), |n| *n == 0) == 0
    );

    on_record(&running.audit());
}

/// Four changes, each from the rules before it; each judgement names the rules that were in force, and
/// none that permits stands by those that forbid everything.
fn on_record(records: &[Value]) {
    let changes: Vec<&Value> = records.iter().filter(|it| it["kind"] == "rules").collect();
    assert_eq!(changes.len(), 4, "{changes:?}");
    let mut versions: Vec<&Value> = vec![&changes[0]["ruleset_before"]];
    for change in &changes {
        assert_eq!(versions.last(), Some(&&change["ruleset_before"]), "{change}");
        assert!(change["node"].is_string() && change["at"].is_string(), "{change}");
        versions.push(&change["ruleset"]);
    }
    assert!(versions[0] == versions[2] && versions[2] == versions[4], "{versions:?}");
    let mut judged: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    // A permit's row tells its decision.
    let decides = |it: &Value| it["kind"] == "decision" || it["kind"] == "permit";
    for decision in records.iter().filter(|it| decides(it)) {
        let words = [&decision["ruleset"], &decision["verdict"]].map(|it| it.as_str().unwrap());
        *judged.entry((words[0], words[1])).or_default() += 1;
    }
    let [open, quiet, script] = [0, 1, 3].map(|at| versions[at].as_str().unwrap());
    let count = |version, verdict| judged.get(&(version, verdict)).copied().unwrap_or(0);
    assert!(count(open, "permit") > 0 && count(quiet, "defer") > 0 && count(script, "refuse") > 0);
    assert_eq!((count(quiet, "permit"), count(script, "permit")), (0, 0), "{judged:?}");
    assert_eq!((count(open, "defer"), count(open, "refuse")), (0, 0), "{judged:?}");
    let decided = |it: &&Value| decides(it) && it["ruleset"] != *open;
    let after = records.iter().filter(decided).map(|it| it["at"].as_str().unwrap()).min();
    assert!(after >= changes[0]["at"].as_str(), "on record before the first judgement by them");
}
