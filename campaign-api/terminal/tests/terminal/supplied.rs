//! Wishes, look-ups, licences and counters, as a person types them.

use crate::world::World;

#[test]
fn facts_are_recorded_and_shown_by_name() {
    let world = World::start();
    world.campaign("Spring");
    world.file("people.csv", "external_id,phone_1\nann,+13055550101\n");
    world.does(&["list", "import", "people.csv", "--campaign", "Spring"]);
    let seller = "Seller of Spring";
    let of = ["--person", "ann", "--seller", seller];
    let set = [&["wishes", "set"], of.as_slice()].concat();
    let source = ["--source", "call of today"];
    let blocked = ["--block", "sat,sun", "--block", "daily 22:00-08:00"];
    let told = world.does(&[set.as_slice(), &blocked, &source].concat());
    assert!(told.contains("The wishes are on record"), "{told}");
    let shown = world.does(&[&["wishes", "show"], of.as_slice()].concat());
    assert!(shown.contains("daily 22:00-24:00") && shown.contains("yes"), "{shown}");
    world.does(&[set.as_slice(), &["--none"], &source].concat());
    let shown = world.does(&[&["wishes", "show", "--language", "zh"], of.as_slice()].concat());
    assert!(shown.contains("没有屏蔽任何时段"), "{shown}");
    let bad = world.run_as("admin", &[set.as_slice(), &["--block", "mon 9-17"], &source].concat());
    assert_eq!(bad.code, 1, "{bad:?}");
    assert!(bad.err.contains("blocked[0]") && bad.err.contains("09:00-17:00"), "{bad:?}");
    let neither = world.run_as("admin", &[set.as_slice(), &source].concat());
    assert_eq!(neither.code, 2, "a time, or none: {neither:?}");

    let day = ["--as-of", "2026-01-01", "--source", "file 7"];
    let number = "+13055550101";
    let asked = ["checks", "reassigned", number, "no", "--seller", seller];
    let told = world.does(&[asked.as_slice(), &day].concat());
    assert!(told.contains("The answer is on record"), "{told}");
    let line = ["checks", "line", number, "wireless", "--class", "hospital"];
    world.does(&[line.as_slice(), &day].concat());
    let shown = world.does(&["checks", "list", number]);
    assert!(shown.contains("us.rnd") && shown.contains("hospital"), "{shown}");

    let licence = ["bond", "--seller", seller, "--source", "register"];
    let refused =
        world.run_as("campaign_manager", &[&["licences", "add"], licence.as_slice()].concat());
    assert_eq!(refused.code, 4, "{refused:?}");
    let does = |words: &[&str]| {
        let done = world.run_as("compliance", words);
        assert_eq!((done.code, done.err.as_str()), (0, ""), "{words:?} {done:?}");
        done
    };
    let until = ["--campaign", "Spring", "--until", "2030-12-31"];
    let told = does(&[&["licences", "add"], licence.as_slice(), &until].concat()).out;
    assert!(told.contains("The licence is on record") && told.contains("no rule"), "{told}");
    does(&[&["licences", "withdraw"], licence.as_slice(), &["--campaign", "Spring"]].concat());
    let json = does(&["licences", "list", "--seller", seller, "--json"]).json();
    assert!(json["items"][0]["withdrawn_at"].is_string(), "{json}");

    let count = ["counters", "set", "br.short_calls", "17", "--seller", seller];
    let window = ["--as-of", "2026-01-01T12:00:00Z", "--resets-at", "2026-01-02T03:00:00Z"];
    does(&[count.as_slice(), &window, &["--source", "carrier"]].concat());
    let shown = does(&["counters", "list", "--seller", seller]).out;
    assert!(shown.contains("br.short_calls") && shown.contains("17"), "{shown}");
}
