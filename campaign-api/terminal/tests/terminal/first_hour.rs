//! The first hour of a campaign manager, command by command.

use crate::world::World;

const PEOPLE: &str = "external_id,phone_1,name\nann,+13055550101,Ann\nbob,+13055550102,Bob\ncid,12,Cid\nann,+13055550101,Ann\n";

#[test]
fn a_campaign_is_made_filled_started_watched_paused_and_stopped() {
    let world = World::start();
    world.campaign("Spring");
    world.file("people.csv", PEOPLE);
    assert!(world.does(&["campaign", "list"]).contains("Spring"));
    assert!(world.does(&["seller", "list"]).contains("Seller of Spring"));
    assert!(world.does(&["trunk", "list"]).contains("127.0.0.1:5060"));

    let told = world.does(&["list", "import", "people.csv", "--campaign", "spring"]);
    for line in ["Rows", "Imported", "Rejected", "Duplicates", "list faults", "list summary"] {
        assert!(told.contains(line), "{line} in\n{told}");
    }
    let list = told.split("list summary ").nth(1).unwrap().trim().to_owned();
    let json = world.json(&["list", "show", &list]);
    assert_eq!(json["rows"], 4, "{json}");
    assert_eq!(
        (&json["imported"], &json["rejected"], &json["duplicates"]),
        (&2.into(), &1.into(), &1.into())
    );
    told_of_every_row(&world, &list);
    assert!(world.json(&["list", "faults", &list])["items"][0]["line"].is_u64());
    assert!(world.does(&["list", "template"]).starts_with("external_id,"));

    let contacts = world.does(&["contact", "list", "--campaign", "Spring", "--limit", "1"]);
    assert!(contacts.contains("+130******0") && contacts.contains("--after"), "{contacts}");
    assert!(!contacts.contains("305555010"), "{contacts}");
    assert_eq!(
        world.json(&["contact", "list", "--campaign", "Spring"])["items"].as_array().unwrap().len(),
        2
    );

    assert!(world.does(&["campaign", "start", "Spring"]).contains("is running"));
    let watched = world.does(&["campaign", "watch", "Spring", "--once"]);
    assert!(watched.contains("running: 0 attempts, 0 answered; 2 due"), "{watched}");
    assert!(
        watched.contains("stalled: no dialer"),
        "it says plainly why nothing moves:\n{watched}"
    );
    assert_eq!(world.json(&["campaign", "watch", "Spring", "--once"])["counts"]["due"], 2);
    let stalled =
        world.run_as("campaign_manager", &["campaign", "watch", "Spring", "--every", "1"]);
    assert_eq!(stalled.code, 6, "a watch ends when the campaign has stalled: {stalled:?}");

    assert!(world.does(&["campaign", "pause", "Spring"]).contains("is paused"));
    let watched = world.does(&["campaign", "watch", "Spring"]);
    assert!(
        watched.starts_with("paused: "),
        "a watch ends when the campaign is paused:\n{watched}"
    );
    assert!(world.does(&["campaign", "stop", "Spring"]).contains("is stopped"));
    let shown = world.does(&["campaign", "show", "Spring"]);
    for text in ["stopped", "busy after 600 s", "no answer after 14,400 s", "Contacts"] {
        assert!(shown.contains(text), "{text} in\n{shown}");
    }
}

/// The faults of a list with one rejected row and one duplicate.
fn told_of_every_row(world: &World, list: &str) {
    let faults = world.does(&["list", "faults", list]);
    assert!(faults.contains("phone_1") && faults.contains("rejected"), "{faults}");
    assert!(faults.contains("duplicate"), "a duplicate is no good row:\n{faults}");
    let repaired = world.does(&["list", "faults", list, "--about", "repaired"]);
    assert_eq!(repaired, "No row was repaired.\n");
    let saved = |about: &[&str]| {
        world.does(&[&["list", "faults", list, "--out", "faults.csv"], about].concat());
        std::fs::read_to_string(world.folder.join("faults.csv")).unwrap()
    };
    assert!(saved(&[]).starts_with("line,") && saved(&[]).contains(",duplicate"));
    assert!(!saved(&["--about", "rejected"]).contains(",duplicate"));
}

#[test]
fn everything_is_told_in_chinese_too() {
    let world = World::start();
    world.campaign("春节");
    let say = |words: &[&str]| {
        let mut command = world.command("campaign_manager", words);
        let done = crate::world::run(command.env("LC_ALL", "zh_CN.UTF-8"));
        assert_eq!(done.code, 0, "{done:?}");
        done.out
    };
    let table = say(&["campaign", "list"]);
    for text in ["外呼活动", "状态", "草稿", "电话营销", "预录语音", "春节"] {
        assert!(table.contains(text), "{text} in\n{table}");
    }
    assert!(!table.contains("draft"), "{table}");
    let json = world.json(&["campaign", "list", "--language", "zh"]);
    assert_eq!(json["items"][0]["status"], "draft", "scripts read the API's words");
    let mut command = world.command("campaign_manager", &["campaign", "pause", "春节"]);
    let refused = crate::world::run(command.env("LANG", "zh_CN.UTF-8"));
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.starts_with("错误：当前状态下无法进行"), "{refused:?}");
}

#[test]
fn a_file_is_previewed_before_anything_is_stored() {
    let world = World::start();
    world.campaign("Spring");
    world.file("people.csv", "Kunde;Mobil\nann;(305) 555-0101\nbob;12\n");
    let words = [
        "list",
        "preview",
        "people.csv",
        "--region",
        "US",
        "--column",
        "Kunde=external_id",
        "--column",
        "Mobil=phone_1",
    ];
    let shown = world.does(&words);
    for text in ["Encoding", "Kunde", "external_id", "phone_1", "Nothing is stored yet", "rejected"]
    {
        assert!(shown.contains(text), "{text} in\n{shown}");
    }
    assert!(!shown.contains("555-0101") && !shown.contains("3055550101"), "{shown}");
    assert_eq!(world.json(&words)["sampled"], 2);
    assert_eq!(
        world.json(&["contact", "list", "--campaign", "Spring"])["items"].as_array().unwrap().len(),
        0
    );
}

#[test]
fn why_and_summary_say_what_stands_in_the_way() {
    let world = World::start();
    world.campaign("Spring");
    world.file("people.csv", PEOPLE);
    world.does(&["list", "import", "people.csv", "--campaign", "Spring"]);
    let why = world.does(&["why", "+13055550101", "--campaign", "Spring"]);
    assert!(why.contains("must not be called") || why.contains("not now, later"), "{why}");
    assert!(why.contains("Law") && !why.contains("3055550101"), "{why}");
    let json = world.json(&["why", "--person", "ann", "--campaign", "Spring"]);
    assert!(json["numbers"][0]["verdict"].is_string(), "{json}");
    let summary = world.does(&["campaign", "summary", "Spring"]);
    assert!(summary.contains("Never, as things stand"), "{summary}");
    assert_eq!(world.json(&["campaign", "summary", "Spring"])["contacts"], 2);
}

#[test]
fn a_list_of_which_nothing_was_taken_ends_with_1() {
    let world = World::start();
    world.campaign("Spring");
    world.file("bad.csv", "external_id,phone_1\nann,12\nbob,13\n");
    let import = ["list", "import", "bad.csv", "--campaign", "Spring"];
    let done = world.run_as("campaign_manager", &import);
    assert_eq!((done.code, done.err.as_str()), (1, ""), "{done:?}");
    assert!(done.out.contains("No row became a contact."), "{done:?}");
    let json = world.run_as("campaign_manager", &[import.as_slice(), &["--json"]].concat());
    assert_eq!((json.code, &json.json()["rejected"]), (1, &2.into()), "{json:?}");
    world.file("good.csv", PEOPLE);
    let good = ["list", "import", "good.csv", "--campaign", "Spring"];
    world.does(&good);
    // Everybody is in already: no harm, no failure.
    world.does(&good);
    world.file("other.csv", "Kunde,phone_1\nann,+13055550101\n");
    let other =
        world.run_as("campaign_manager", &["list", "import", "other.csv", "--campaign", "Spring"]);
    assert_eq!(other.code, 1, "{other:?}");
    for flag in ["--column 'NAME=external_id'", "--identify-by-number"] {
        assert!(other.err.contains(flag), "{flag} in {other:?}");
    }
}

#[test]
fn why_names_the_others_who_share_a_number_and_how_to_ask_about_them() {
    let world = World::start();
    world.campaign("Spring");
    world.file("two.csv", "external_id,phone_1\nann,+13055550101\nbob,+13055550101\n");
    world.does(&["list", "import", "two.csv", "--campaign", "Spring"]);
    let why = world.does(&["why", "+13055550101", "--campaign", "Spring"]);
    for text in
        ["ann", "Others with the same number", "bob", "why --contact CONTACT --campaign \"Spring\""]
    {
        assert!(why.contains(text), "{text} in\n{why}");
    }
    let lists = world.does(&["list", "list", "--campaign", "Spring"]);
    assert!(lists.contains("two") && lists.contains("imported"), "{lists}");
    let none = world.run_as("campaign_manager", &["campaign", "show", "4111111111111111"]);
    assert!(none.code == 2 && !none.err.contains("4111"), "{none:?}");
    let written = ["why", "(305) 555-0101", "--region", "US", "--campaign", "Spring"];
    assert!(world.does(&written).contains("Others with the same number"));
    let json = world.json(&["why", "+13055550101", "--campaign", "Spring"]);
    // Which of the two comes first is not said.
    let other = &json["others"][0];
    let [contact, person] = ["contact", "person"].map(|name| other[name].as_str().unwrap());
    assert!(why.contains(contact), "{contact} in\n{why}");
    assert!(world.does(&["why", "--contact", contact, "--campaign", "Spring"]).contains(person));
}
