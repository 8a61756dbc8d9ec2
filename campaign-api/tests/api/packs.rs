//! Rule packs that are replaced while the API answers: it judges by what the dialers judge by.

use serde_json::{Value, json};

use crate::people::{CAMPAIGNS, HOUSE, People};

const QUIET: &str =
    "[[override]]\nrule = \"house.quiet_dates\"\nenabled = true\nclosed_on = [\"2026-12-01\"]\n";

#[tokio::test]
async fn changed_packs_are_judged_by_at_once_and_faulty_ones_never() {
    let people = People::start("packs").await;
    let world = &people.world;
    let trunk = world.trunk().await;
    let (campaign, list) = people.campaign(CAMPAIGNS[2], &trunk).await;
    // Twice: what is seen once may still be being written.
    let put = async |text: &str| {
        std::fs::write(people.lists.join(HOUSE), text).unwrap();
        world.app.look_at_packs().await;
        world.app.look_at_packs().await;
    };
    let ask = async || {
        let path = format!("/v1/eligibility?campaign={campaign}&number=%2B12125559999");
        world.get(&path).await.1
    };
    let denies = |answer: &Value, rule: &str| {
        let denials = answer["numbers"][0]["reasons"].as_array().unwrap();
        denials.iter().any(|denial| denial["rule"] == rule)
    };
    let callable_today = async || {
        let path = format!("/v1/lists/{list}/summary");
        world.get(&path).await.1["callable_now"].as_u64().unwrap()
    };
    let refused = || world.app.metrics.files_refused.with_label_values(&["pack"]).get();
    let before = (ask().await, callable_today().await);
    assert!(!denies(&before.0, "house.quiet_dates") && before.1 > 0, "{before:?}");

    put(QUIET).await;
    let quiet = ask().await;
    assert!(denies(&quiet, "house.quiet_dates"), "{quiet}");
    assert_eq!((callable_today().await, refused()), (0, 0));

    put(&QUIET.replace("closed_on", "closed_onn")).await;
    assert!(denies(&ask().await, "house.quiet_dates"), "the last good ones go on");
    assert_eq!(refused(), 1);
    assert!(world.app.metrics.text().contains("ringfence_files_refused{kind=\"pack\"} 1"));

    put("").await;
    assert_eq!((callable_today().await, refused()), (before.1, 0));
    assert_eq!(ask().await["verdict"], json!(before.0["verdict"]));
}
