//! Stale means silent: a list or feed that goes stale in the middle of a campaign stops exactly the
//! contacts that need it, and they go on within five seconds of its refresh.

use std::{fmt::Write as _, fs, path::PathBuf, thread, time::Duration};

use loadtest::stack::{Api, Stack, clock};
use serde_json::json;

use crate::common;

/// People of each group: more than are called before the list goes stale.
const EACH: u32 = 60;
/// Calls a second: slow enough to be in the middle.
const CPS: u32 = 4;

fn list(id: &str, as_of: &str) -> String {
    format!("# demo list\n# id: {id}\n# as_of: {as_of}\n+19005550000\n")
}

fn feed(as_of: &str, area: &str) -> String {
    format!("# demo feed\n# id: emergency\n# as_of: {as_of}\n{area}\n")
}

/// People without consent, whose calls need the national list of their country, and those in New
/// York the emergency feed, too.
fn group(csv: &mut String, what: &str, prefix: &str, party: &str, place: &str) {
    for no in 0..EACH {
        writeln!(csv, "{what}{no},{prefix}{no:04},landline,{place},{party},principal").unwrap();
    }
}

fn import(api: &Api, campaign: &str, csv: &str, rows: u32) {
    let answer =
        api.post_csv(&format!("/v1/campaigns/{campaign}/lists?name=l"), csv.as_bytes()).unwrap();
    assert_eq!(answer["imported"], rows, "{answer}");
}

fn campaign(api: &Api, trunk: &str) -> String {
    let seller = common::seller(api);
    let body = json!({
        "seller": seller, "name": "offer", "purpose": "telemarketing", "technology": "manual",
        "caller_id": "+12125550100",
        "announces": ["identity", "purpose_statement", "callback_number"],
        "prompt": "demo.wav", "calls_per_second": CPS, "max_concurrent": 100, "max_tries": 1,
        "ring_timeout_seconds": 15, "retry": {}, "trunks": [trunk],
    });
    common::text(&api.post("/v1/campaigns", &body).unwrap(), "id")
}

fn parked(stack: &Stack, cause: &str) -> u32 {
    let sql = format!("SELECT count(*) FROM parked WHERE cause = '{cause}'");
    stack.sql(&sql).unwrap().parse().unwrap()
}

/// What the two tests do: a file goes stale while two groups are called, and comes back fresh.
struct Case {
    file: &'static str,
    fresh: String,
    stale: String,
    cause: &'static str,
    /// Who needs it, and who does not: the beginnings of their numbers and their rows.
    needs: (&'static str, String),
    others: (&'static str, String),
    /// Other files that must be there.
    beside: Vec<(&'static str, String)>,
}

fn goes_silent_and_comes_back(case: Case) {
    let _turn = common::turn();
    let folder: PathBuf =
        std::env::temp_dir().join(format!("rf-stale-{}-{}", case.cause, std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    // Moved into its place whole, as an importer should do it.
    let put = |name: &str, text: &str| {
        fs::write(folder.join(".new"), text).unwrap();
        fs::rename(folder.join(".new"), folder.join(name)).unwrap();
    };
    put(case.file, &case.fresh);
    case.beside.iter().for_each(|(name, text)| put(name, text));
    let mut stack = Stack::builder()
        .starts_at(common::INSTANT_MS)
        .house(common::HOUSE.to_owned())
        .lists(&folder)
        .start()
        .unwrap();
    stack.start_api().unwrap();
    stack.start_carrier(1).unwrap();
    let api = stack.api().unwrap();
    let trunk = common::trunk(&api, "carrier", &stack.carrier_address().to_string(), None);
    let campaign = campaign(&api, &trunk);
    let header =
        "external_id,phone_1,line_1,country,region,time_zone,party_type,party_role\n".to_owned();
    import(&api, &campaign, &(header + &case.needs.1 + &case.others.1), 2 * EACH);
    stack.start_dialer().unwrap();
    common::start(&api, &campaign);
    let (needs, others) = (case.needs.0, case.others.0);
    let both =
        |stack: &Stack| common::calls_to(stack, needs) >= 2 && common::calls_to(stack, others) >= 2;
    let limit = Duration::from_secs(30);
    assert!(common::wait_for(limit, || both(&stack), |both| *both), "both groups are called first");

    put(case.file, &case.stale);
    // It is looked at each second; what was judged before may leave within its permit's life.
    thread::sleep(Duration::from_secs(7));
    let (silent, going) = (common::calls_to(&stack, needs), common::calls_to(&stack, others));
    thread::sleep(Duration::from_secs(6));
    assert_eq!(common::calls_to(&stack, needs), silent, "whoever needs it is not called");
    let done = common::calls_to(&stack, others);
    assert!(done > going || going == EACH as usize, "the others go on: {going}, {done}");
    let waiting = common::wait_for(
        limit,
        || parked(&stack, case.cause),
        |parked| *parked as usize + silent >= EACH as usize,
    );
    assert_eq!(waiting as usize + silent, EACH as usize, "parked under {}", case.cause);
    assert_eq!(common::calls_to(&stack, needs), silent);
    let elsewhere = "SELECT count(*) FROM parked";
    assert_eq!(stack.sql(elsewhere).unwrap(), waiting.to_string(), "nobody else is parked");

    let fresher = case.fresh.replace("2026-11-30", "2026-12-01").replace("T15:00", "T15:20");
    put(case.file, &fresher);
    let refreshed = clock::monotonic();
    let again =
        common::wait_for(limit, || common::calls_to(&stack, needs), |calls| *calls > silent);
    let took = refreshed.elapsed();
    assert!(again > silent && took <= Duration::from_secs(5), "called again after {took:?}");
    let all = common::wait_for(
        Duration::from_secs(90),
        || common::calls_to(&stack, needs) + common::calls_to(&stack, others),
        |calls| *calls == 2 * EACH as usize,
    );
    assert_eq!(all, 2 * EACH as usize, "everybody was called");
    assert_eq!(parked(&stack, case.cause), 0);
    drop(stack);
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_list_that_goes_stale_in_mid_campaign_silences_whom_it_concerns_until_it_is_fresh() {
    let (mut needs, mut others) = (String::new(), String::new());
    group(&mut needs, "c", "+1305555", "consumer", "US,FL,America/New_York");
    group(&mut others, "b", "+44207946", "consumer", "GB,,Europe/London");
    goes_silent_and_comes_back(Case {
        file: "us.national_dnc.txt",
        fresh: list("us.national_dnc", "2026-11-30"),
        stale: list("us.national_dnc", "2026-09-01"),
        cause: "list:us.national_dnc",
        needs: ("+1305555", needs),
        others: ("+44207946", others),
        beside: vec![("uk.tps.txt", list("uk.tps", "2026-11-30"))],
    });
}

#[test]
fn an_emergency_feed_that_goes_stale_silences_the_states_that_look_at_it_until_it_is_fresh() {
    let (mut needs, mut others) = (String::new(), String::new());
    group(&mut needs, "n", "+1212555", "consumer", "US,NY,America/New_York");
    group(&mut others, "g", "+1305555", "consumer", "US,FL,America/New_York");
    goes_silent_and_comes_back(Case {
        file: "emergency.feed",
        fresh: feed("2026-12-01T15:00:00Z", "US-LA"),
        stale: feed("2026-11-20T15:00:00Z", "US-LA"),
        cause: "feed",
        needs: ("+1212555", needs),
        others: ("+1305555", others),
        beside: vec![("us.national_dnc.txt", list("us.national_dnc", "2026-11-30"))],
    });
}
