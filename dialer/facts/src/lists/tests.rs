//! The folder: text and snapshots, replaced and damaged while they are asked.
#![allow(clippy::indexing_slicing, reason = "a test may panic")]

use std::{
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    sync::atomic::{AtomicBool, Ordering},
};

use chrono::NaiveDate;
use dialer_lists::{Day, build};
use dialer_types::UnixMillis;

use super::*;

/// Removed when dropped.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("rf-folder-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// Builds the list `x` of a day of November.
    fn build(&self, day: u32, numbers: impl Iterator<Item = u64>) -> PathBuf {
        let text: String = numbers.map(|number| format!("+{number}\n")).collect();
        let as_of = NaiveDate::from_ymd_opt(2026, 11, day).unwrap();
        let day = Day { now: UnixMillis(1_795_780_800_000), folder: &self.0, anyway: true };
        let none = (None, None);
        build(&"x".parse().unwrap(), as_of, none, &day, &mut text.as_bytes()).unwrap().path
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn on(lists: &Lists, number: u64) -> Option<bool> {
    let number = E164::from_digits(number).unwrap();
    facts(lists, number).first().map(|fact| fact.contains)
}

#[test]
fn a_changed_file_is_swapped_in_and_a_broken_one_keeps_the_last_good_copy() {
    let path = std::env::temp_dir().join(format!("rf-lists-{}", std::process::id()));
    fs::create_dir_all(&path).unwrap();
    let file = path.join("dnc.txt");
    fs::write(&file, "# demo list\n# id: x\n# as_of: 2026-11-20\n+13055550123\n").unwrap();
    let mut folder = Folder::open(&path);
    let lists = folder.lists();
    assert_eq!(lists.load().len(), 1);
    fs::write(&file, "# demo list\n# id: x\n# as_of: 2026-11-21\n+13055550123\n+13055550124\n")
        .unwrap();
    assert_eq!(folder.look(), ["list:x"]);
    fs::write(&file, "broken").unwrap();
    assert!(folder.look().is_empty());
    assert_eq!(folder.refused(), (1, 0));
    let number = "+13055550124".parse().unwrap();
    assert!(facts(&lists.load(), number).iter().all(|fact| fact.contains));
    assert!(folder.look().is_empty());
    let feed = path.join("emergency.feed");
    let feed_of = |hour: u32| {
        format!("# demo feed\n# id: emergency\n# as_of: 2026-11-24T{hour}:00:00Z\nUS-LA\n")
    };
    fs::write(&feed, feed_of(14)).unwrap();
    assert_eq!(folder.look(), ["feed"]);
    let as_of = lists.load().emergency.clone().unwrap().as_of;
    fs::write(&feed, "broken, and longer than it was before").unwrap();
    assert!(folder.look().is_empty());
    assert_eq!(lists.load().emergency.clone().unwrap().as_of, as_of, "the last good one");
    assert_eq!(folder.refused(), (1, 1));
    fs::write(&feed, feed_of(15) + "US-TX\n").unwrap();
    assert_eq!(folder.look(), ["feed"]);
    assert_eq!(folder.refused(), (1, 0));
    assert_eq!(lists.load().causes(), ["list:x", "feed"]);
    fs::remove_file(&feed).unwrap();
    assert!(folder.look().is_empty());
    assert!(lists.load().emergency.is_none(), "a feed that is gone is absent, which denies");
    fs::remove_dir_all(&path).unwrap();
}

#[test]
fn snapshots_and_demo_lists_lie_side_by_side_and_the_fresher_of_one_id_counts() {
    let place = Place::new("beside");
    place.build(20, 13_055_550_100..13_055_550_200);
    let text = place.0.join("x.txt");
    fs::write(&text, "# demo list\n# id: x\n# as_of: 2026-11-19\n+13055550300\n").unwrap();
    fs::write(place.0.join("y.txt"), "# demo list\n# id: y\n# as_of: 2026-11-19\n").unwrap();
    fs::write(place.0.join("raw.txt"), "+13055550123\n").unwrap();
    let mut folder = Folder::open(&place.0);
    let lists = folder.lists();
    assert_eq!(lists.load().causes(), ["list:x", "list:y"]);
    assert_eq!((on(&lists.load(), 13_055_550_150), folder.refused()), (Some(true), (1, 0)));
    assert_eq!(on(&lists.load(), 13_055_550_300), Some(false));
    fs::write(&text, "# demo list\n# id: x\n# as_of: 2026-11-21\n+13055550300\n").unwrap();
    assert_eq!(folder.look(), ["list:x"]);
    assert_eq!(on(&lists.load(), 13_055_550_150), Some(false));
    // The same numbers of the same day again wake nobody.
    fs::remove_file(&text).unwrap();
    assert_eq!(folder.look(), ["list:x"]);
    place.build(20, 13_055_550_100..13_055_550_200);
    assert!(folder.look().is_empty());
}

#[test]
fn a_snapshot_that_is_cut_short_or_damaged_leaves_the_last_good_one_in_use() {
    let place = Place::new("damaged");
    let path = place.build(20, 13_055_550_100..13_055_550_200);
    let mut folder = Folder::open(&place.0);
    let lists = folder.lists();
    let whole = fs::read(&path).unwrap();
    let replace = |bytes: &[u8]| {
        let beside = place.0.join(".new");
        fs::write(&beside, bytes).unwrap();
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o444)).unwrap();
        fs::rename(beside, &path).unwrap();
    };
    let mut damaged = whole.clone();
    damaged[300] ^= 1;
    for bad in [&whole[..whole.len() - 1], &whole[..100], &whole[..3], &[], &damaged] {
        replace(bad);
        assert!(folder.look().is_empty());
        assert_eq!(folder.refused(), (1, 0));
        assert_eq!(on(&lists.load(), 13_055_550_150), Some(true), "the last good one");
    }
    replace(&whole);
    assert!(folder.look().is_empty(), "the same list as before");
    assert_eq!(folder.refused(), (0, 0));
    replace(&damaged);
    folder.look();
    fs::remove_file(&path).unwrap();
    folder.look();
    assert_eq!(folder.refused(), (0, 0), "a file that is gone is not refused");
    assert_eq!(on(&lists.load(), 13_055_550_150), None, "and its list is absent, which denies");
}

#[test]
fn a_mapped_snapshot_that_is_written_over_in_place_is_let_go() {
    let place = Place::new("in-place");
    let path = place.build(20, 13_055_550_100..13_055_550_200);
    let mut folder = Folder::open(&place.0);
    let lists = folder.lists();
    let held = lists.load_full();
    assert_eq!(held["x"].snapshot().unwrap().held(), Held::Mapped);
    drop(held);
    // As only root, or the owner after a chmod, can.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"more").unwrap();
    assert!(folder.look().is_empty());
    assert_eq!((on(&lists.load(), 13_055_550_150), folder.refused()), (None, (1, 0)));
    file.set_len(path.metadata().unwrap().len() - 4).unwrap();
    assert_eq!(folder.look(), ["list:x"], "whole again, and copied this time");
    assert_eq!(lists.load()["x"].snapshot().unwrap().held(), Held::Copied);
    // What is a copy stays the last good one.
    file.set_len(9).unwrap();
    assert!(folder.look().is_empty());
    assert_eq!((on(&lists.load(), 13_055_550_150), folder.refused()), (Some(true), (1, 0)));
}

#[test]
fn a_reader_has_the_old_list_or_the_new_one_whole_while_it_is_replaced() {
    let place = Place::new("replace");
    // Of day d the list has the numbers that end in d, a hundred thousand apart.
    let numbers = |day: u32| (0..3_000).map(move |at| 13_050_000_000 + at * 100 + u64::from(day));
    place.build(1, numbers(1));
    let mut folder = Folder::open(&place.0);
    let (lists, stop) = (folder.lists(), AtomicBool::new(false));
    std::thread::scope(|threads| {
        let reader = threads.spawn(|| {
            let (mut seen, mut looks) = (BTreeSet::new(), 0_u64);
            while !stop.load(Ordering::Relaxed) {
                let lists = lists.load();
                let day = u64::from(chrono::Datelike::day(&lists["x"].as_of));
                for at in (0..3_000).step_by(7) {
                    for other in [day, day + 1, day - 1] {
                        let found = on(&lists, 13_050_000_000 + at * 100 + other).unwrap();
                        assert_eq!(found, other == day, "number {at} of day {other} on {day}");
                        looks += 1;
                    }
                }
                seen.insert(day);
            }
            (seen, looks)
        });
        for day in 2..=28 {
            place.build(day, numbers(day));
            assert_eq!(folder.look(), ["list:x"]);
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        stop.store(true, Ordering::Relaxed);
        let (seen, looks) = reader.join().unwrap();
        assert!(seen.len() > 3 && looks > 10_000, "{seen:?} in {looks} looks");
    });
    assert_eq!(folder.refused(), (0, 0));
}
