//! The made world: the same for the same seed, mostly callable, and with every kind of trouble.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic, in its helpers too"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use loadtest::{
    checker::{
        history::History,
        judge::{Judge, View},
        world::World,
    },
    made,
};

/// Tuesday, 2026-12-01, 15:30 UTC.
const NOW: i64 = 1_796_139_000_000;

struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("made-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn files(dir: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            found.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
    found
}

#[test]
fn the_same_seed_makes_the_same_world_and_another_makes_another() {
    let (a, b, c) = (Folder::new("a"), Folder::new("b"), Folder::new("c"));
    made::make(&a.0, 300, 7, NOW).unwrap();
    made::make(&b.0, 300, 7, NOW).unwrap();
    made::make(&c.0, 300, 8, NOW).unwrap();
    assert_eq!(files(&a.0), files(&b.0));
    assert_ne!(files(&a.0)["seller-a-sales.csv"], files(&c.0)["seller-a-sales.csv"]);
}

#[test]
fn the_made_world_holds_every_kind_of_trouble_and_is_mostly_callable() {
    let folder = Folder::new("world");
    made::make(&folder.0, 2000, 1, NOW).unwrap();
    let world = World::load(&folder.0).unwrap();
    assert_eq!(world.contacts.len(), 2000);
    assert_eq!(world.rows_without_number, 0);

    let history = History::of(&world);
    let judge = Judge { world: &world, history: &history };
    let mut callable = 0;
    let mut standing: BTreeMap<&str, usize> = BTreeMap::new();
    for contact in &world.contacts {
        let mut denied = BTreeSet::new();
        let mut free = false;
        for position in 0..contact.numbers.len() {
            let subject = judge.subject(contact, position).unwrap();
            let denials = judge.denials(&subject, NOW, usize::MAX, View::AsKnown);
            free |= denials.is_empty();
            denied.extend(denials.into_iter().map(|denial| denial.rule));
        }
        callable += usize::from(free);
        for rule in denied {
            *standing.entry(rule).or_default() += 1;
        }
    }
    println!("{callable} callable; {standing:#?}");
    assert!((1200..1900).contains(&callable), "{callable} of 2000");
    for rule in [
        "suppression",
        "house.uncovered_place",
        "house.person_day_cap",
        "us.fl.cap",
        "fr.cap",
        "fr.refusal",
        "fr.optin",
        "us.regf.7in7",
        "us.regf.post_conversation",
        "us.regf.third_party",
        "us.fcc.cap.hipaa_residential",
        "us.fcc.consent.wireless_any",
        "us.fcc.revocation",
        "us.fcc.ndnc_scrub",
        "uk.pecr.live",
        "ca.dncl",
        "au.dncr",
        "au.hours",
        "au.debt.hours",
        "au.debt.cap",
        "cn.debt.hours",
        "cn.debt.cap_interactive",
        "us.tx.hours",
    ] {
        assert!(standing.contains_key(rule), "nobody meets {rule}");
    }
}

#[test]
fn the_made_world_has_shared_numbers_two_states_and_two_sellers() {
    let folder = Folder::new("shared");
    made::make(&folder.0, 2000, 1, NOW).unwrap();
    let world = World::load(&folder.0).unwrap();
    let mut households = 0;
    let mut across_sellers = 0;
    let mut two_campaigns = 0;
    let mut two_states = 0;
    for (index, a) in world.contacts.iter().enumerate() {
        let states: BTreeSet<_> = a
            .numbers
            .iter()
            .map(|(n, _)| loadtest::checker::place::places(n, "", "", "").names)
            .collect();
        two_states += usize::from(states.len() > 1);
        for b in &world.contacts[index + 1..] {
            let seller = |c| world.campaign_of(c).unwrap().seller.clone();
            let shared = a.numbers.iter().any(|n| b.numbers.contains(n));
            let same_person = a.external_id == b.external_id;
            households += usize::from(shared && a.campaign == b.campaign);
            across_sellers += usize::from(shared && seller(a) != seller(b));
            two_campaigns += usize::from(same_person && a.campaign != b.campaign);
        }
    }
    println!("{households} {across_sellers} {two_campaigns} {two_states}");
    assert!(households >= 10 && across_sellers >= 10 && two_campaigns >= 5 && two_states >= 50);
    let planned = world.suppressions.iter().filter(|entry| entry.at.is_none()).count();
    assert_eq!(planned, 15, "opt-outs during the run");
}

#[test]
fn a_tiny_world_is_a_world_too() {
    for contacts in [0, 1, 7] {
        let folder = Folder::new(&format!("tiny-{contacts}"));
        made::make(&folder.0, contacts, 1, NOW).unwrap();
        let world = World::load(&folder.0).unwrap();
        assert_eq!(world.contacts.len(), contacts);
    }
}
