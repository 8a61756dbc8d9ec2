//! Each class of error: its code, and what it tells the reader to do.

use std::{fs, os::unix::fs::PermissionsExt as _};

use serde_json::Value;

use crate::world::{World, folder, program, run};

#[test]
fn without_an_address_a_key_or_an_api_it_says_where_they_come_from() {
    let folder = folder();
    let nothing = run(program(&folder).args(["campaign", "list"]));
    assert_eq!(nothing.code, 2, "{nothing:?}");
    assert!(nothing.err.contains("RINGFENCE_API") && nothing.err.contains("login"), "{nothing:?}");
    let no_key = run(program(&folder).args(["campaign", "list", "--api", "http://127.0.0.1:1"]));
    assert_eq!(no_key.code, 2, "{no_key:?}");
    assert!(no_key.err.contains("RINGFENCE_KEY_FILE"), "{no_key:?}");
    let mut nobody = program(&folder);
    nobody.env("RINGFENCE_API", "http://127.0.0.1:1").env("RINGFENCE_KEY", "rfk_hidden");
    let gone = run(nobody.args(["campaign", "list"]));
    assert_eq!(gone.code, 3, "{gone:?}");
    assert!(gone.err.contains("does not answer") && gone.err.contains("--api"), "{gone:?}");
    assert!(!gone.err.contains("rfk_hidden"), "{gone:?}");
    let json = run(nobody.arg("--json"));
    assert_eq!((json.code, json.out.as_str()), (3, ""), "{json:?}");
    let problem: Value = serde_json::from_str(&json.err).unwrap();
    assert_eq!(problem["code"], "unreachable");
    let chinese = run(nobody.args(["--language", "zh"]));
    assert_eq!(chinese.code, 3);
    assert!(chinese.err.contains("无服务监听"), "{chinese:?}");
    assert_eq!(run(program(&folder).arg("nonsense")).code, 2);
    let nonsense = run(program(&folder).args(["nonsense", "--language", "zh"]));
    assert_eq!(nonsense.code, 2);
    assert!(nonsense.err.contains("此处没有 nonsense"), "{nonsense:?}");
    let no_file = ["list", "preview", "none.csv", "--language", "zh"];
    let no_file = run(program(&folder)
        .env("RINGFENCE_API", "http://127.0.0.1:1")
        .env("RINGFENCE_KEY", "rfk_x")
        .args(no_file));
    assert_eq!(no_file.code, 5, "{no_file:?}");
    assert!(no_file.err.contains("没有此文件"), "{no_file:?}");
    fs::remove_dir_all(folder).ok();
}

#[test]
fn a_command_line_that_cannot_be_followed_ends_with_2_and_is_a_problem_for_scripts() {
    let folder = folder();
    let of = |words: &[&str]| run(program(&folder).args(words));
    let missing = ["why", "--campaign", "c", "--json"];
    let unknown = ["campaign", "list", "--nonsense", "--json"];
    let word = ["nonsense", "--json"];
    for (words, told) in [
        (missing.as_slice(), "--contact"),
        (&unknown, "--nonsense"),
        (&word, "nonsense"),
        (&["campaign", "--json"], "subcommand"),
    ] {
        let done = of(words);
        assert_eq!((done.code, done.out.as_str()), (2, ""), "{done:?}");
        let problem: Value = serde_json::from_str(&done.err).unwrap();
        assert_eq!(problem["code"], "usage", "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(told), "{problem}");
    }
    let whom = of(&["suppress", "--reason", "asked"]);
    assert!(whom.code == 2 && whom.err.contains("NUMBER|--person"), "{whom:?}");
    let french = of(&["campaign", "list", "--language", "fr"]);
    assert!(french.code == 2 && french.err.contains("possible: en, zh"), "{french:?}");
    assert_eq!(of(&["campaign", "list", "--help", "--json"]).code, 0);
    fs::remove_dir_all(folder).ok();
}

#[test]
fn the_script_ends_with_2_at_a_word_that_it_does_not_know() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../ringfence");
    let done = run(std::process::Command::new(script).arg("foo"));
    assert_eq!((done.code, done.out.as_str()), (2, ""), "{done:?}");
    assert!(done.err.contains("unknown word: foo"), "{done:?}");
    let json = run(std::process::Command::new(script).args(["foo", "--json"]));
    let problem: Value = serde_json::from_str(&json.err).unwrap();
    assert_eq!((json.code, &problem["code"]), (2, &"usage".into()), "{json:?}");
}

#[test]
fn what_the_api_refuses_is_told_with_every_fault_and_the_next_step() {
    let world = World::start();
    world.campaign("Spring");
    let manager = |words: &[&str]| world.run_as("campaign_manager", words);

    fs::write(world.folder.join("wrong.key"), "rfk_wrong\n").unwrap();
    let unknown = manager(&["campaign", "list", "--key-file", "wrong.key"]);
    assert_eq!(unknown.code, 4, "{unknown:?}");
    assert!(unknown.err.contains("does not know your key"), "{unknown:?}");
    assert!(!unknown.err.contains("rfk_wrong"), "{unknown:?}");

    let role = manager(&["attempts", "correct", "01ARZ3NDEKTSV4RRFFQ69G5FAV-1", "busy"]);
    assert_eq!(role.code, 4, "{role:?}");
    assert!(role.err.contains("campaign_manager") && role.err.contains("compliance"), "{role:?}");

    let missing = manager(&["campaign", "show", "Autumn"]);
    assert_eq!(missing.code, 2, "{missing:?}");
    assert!(missing.err.contains("no campaign is called \"Autumn\""), "{missing:?}");
    let missing = manager(&["list", "show", "01ARZ3NDEKTSV4RRFFQ69G5FAV"]);
    assert_eq!(missing.code, 1, "{missing:?}");
    assert!(missing.err.contains("Not found"), "{missing:?}");

    let conflict = manager(&["seller", "create", "Seller of Spring"]);
    assert_eq!(conflict.code, 1, "{conflict:?}");
    assert!(conflict.err.contains("Choose another name"), "{conflict:?}");
    let paused = manager(&["campaign", "pause", "Spring"]);
    assert!(paused.code == 1 && paused.err.contains("campaign start"), "{paused:?}");

    let bad = [
        "campaign",
        "create",
        "Bad",
        "--seller",
        "seller of",
        "--purpose",
        "telemarketing",
        "--technology",
        "prerecorded",
        "--caller-id",
        "555",
        "--prompt",
        "../x",
        "--max-tries",
        "0",
        "--announces",
        "nothing",
    ];
    let invalid = manager(&bad);
    assert_eq!(invalid.code, 1, "{invalid:?}");
    for text in ["Field", "Reason", "caller_id", "announces", "prompt", "max_tries", "--help"] {
        assert!(invalid.err.contains(text), "{text} in\n{}", invalid.err);
    }
    let json = manager(&[bad.as_slice(), &["--json"]].concat());
    let problem: Value = serde_json::from_str(&json.err).unwrap();
    assert_eq!((json.out.as_str(), &problem["status"]), ("", &422.into()), "{json:?}");
    assert_eq!(problem["faults"].as_array().unwrap().len(), 4, "{problem}");

    let no_file = manager(&["list", "import", "nowhere.csv", "--campaign", "Spring"]);
    assert_eq!(no_file.code, 5, "{no_file:?}");
    assert!(no_file.err.contains("nowhere.csv"), "{no_file:?}");
}

#[test]
fn a_name_that_several_have_is_asked_back() {
    let world = World::start();
    world.campaign("Spring");
    world.campaign("Spring sale");
    assert!(world.does(&["campaign", "show", "Spring"]).contains("Spring"));
    let several = world.run_as("campaign_manager", &["campaign", "show", "Spr"]);
    assert_eq!(several.code, 2, "{several:?}");
    assert!(several.err.contains("Spring sale (01"), "{several:?}");
    let id = world.json(&["campaign", "list"])["items"][0]["id"].as_str().unwrap().to_owned();
    assert!(world.does(&["campaign", "show", &id]).contains(&id));
}

#[test]
fn login_keeps_the_address_and_the_keys_place_for_its_owner_only() {
    let world = World::start();
    let key = world.folder.join("operator.key");
    let words = ["login", "--api", &world.base, "--key-file", key.to_str().unwrap()];
    let done = run(program(&world.folder).args(words));
    assert_eq!(done.code, 0, "{done:?}");
    let file = world.folder.join(".config/ringfence/terminal.toml");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!fs::read_to_string(&file).unwrap().contains("rfk_"));
    let listed = run(program(&world.folder).args(["trunk", "list"]));
    assert_eq!(listed.code, 0, "{listed:?}");
    assert!(listed.out.contains("There is no trunk yet"), "{listed:?}");
}

#[test]
fn nobody_at_the_other_end_of_a_pipe_is_no_error() {
    let world = World::start();
    let mut command = world.command("operator", &["completion", "bash"]);
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}
