//! Snapshots against a set of the standard library: what is built is what is asked.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
};

use common::{DAY, Folder, id, number, text_of};
use dialer_lists::{Held, MakeError, Snapshot, SnapshotError};
use proptest::prelude::*;

/// Numbers as countries have them: crowded blocks, thin ones, whole plans with hardly anybody.
fn numbers() -> impl Strategy<Value = BTreeSet<u64>> {
    let prefix = prop::sample::select(vec![
        (1_305_555_u64, 4_u32), // North America, one exchange
        (1_212, 7),             // an area code
        (44_7700, 6),           // Britain, eleven and twelve digits
        (44_20, 8),
        (336, 8),    // France
        (86_138, 8), // China
        (49_30, 5),  // Germany, short and long
        (49_1512, 9),
        (3_78, 4), // the shortest there are
    ]);
    let group = (prefix, prop::collection::vec(any::<u64>(), 1..60), 0_u64..2_500, any::<u64>());
    prop::collection::vec(group, 1..7).prop_map(|groups| {
        let mut set = BTreeSet::new();
        for ((prefix, open), spread, run, start) in groups {
            let most = 10_u64.pow(open);
            let run = (0..run).map(|step| start.wrapping_add(step * (start % 3 + 1)));
            set.extend(spread.into_iter().chain(run).map(|it| prefix * most + it % most));
        }
        set.retain(|it| (1_000_000..10_u64.pow(15)).contains(it) && valid(*it));
        set
    })
}

/// Country code 1 has ten digits behind it.
fn valid(digits: u64) -> bool {
    let text = digits.to_string();
    !text.starts_with('1') || text.len() == 11
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_snapshot_holds_exactly_the_numbers_it_was_built_from(set in numbers()) {
        let folder = Folder::new("oracle");
        // Backwards and some twice: the order of the lines says nothing.
        let mut text = text_of(set.iter().rev());
        text.push_str(&text_of(set.iter().take(3)));
        let built = folder.build(&text).unwrap();
        let snapshot = Snapshot::open(&built.path).unwrap();
        prop_assert_eq!(snapshot.count(), set.len() as u64);
        prop_assert_eq!(built.repeated, set.len().min(3) as u64);
        prop_assert_eq!(snapshot.held(), Held::Mapped);
        for digits in &set {
            prop_assert!(snapshot.contains(number(*digits)));
            // Neighbours, and the same digits under another length.
            for near in [digits - 1, digits + 1, digits * 10, digits / 10, digits + 10_000] {
                if (1_000_000..10_u64.pow(15)).contains(&near) {
                    prop_assert_eq!(snapshot.contains(number(near)), set.contains(&near));
                }
            }
        }
    }
}

#[test]
fn the_kinds_of_pages_and_blocks_are_all_met_and_hold_at_their_edges() {
    let folder = Folder::new("kinds");
    for count in [1, 256, 257, 1_000, 1_001, 10_000, 25_000] {
        let set: BTreeSet<u64> = (0..count).map(|step| 13_050_000_000 + step).collect();
        let built = folder.build_anyway(&text_of(&set)).unwrap();
        let encoding = built.snapshot.encoding();
        assert_eq!(encoding.sparse_pages, u64::from(count <= 1_000), "{count}");
        assert_eq!(encoding.dense_pages, u64::from(count > 1_000), "{count}");
        for digits in 13_049_999_990..13_050_030_000 {
            assert_eq!(built.snapshot.contains(number(digits)), set.contains(&digits), "{digits}");
        }
    }
    // One array and one bitmap on a dense page.
    let array = (0..256).map(|step| 13_050_000_000 + step * 39);
    let set: BTreeSet<u64> = array.chain((0..1_000).map(|step| 13_059_990_000 + step)).collect();
    let built = folder.build_anyway(&text_of(&set)).unwrap();
    let encoding = built.snapshot.encoding();
    assert_eq!((encoding.arrays, encoding.bitmaps), (1, 1));
    for digits in (13_050_000_000..13_050_010_000).chain(13_059_990_000..13_060_000_000) {
        assert_eq!(built.snapshot.contains(number(digits)), set.contains(&digits), "{digits}");
    }
}

/// Larger than what is written at once, and than a large page of memory.
#[test]
fn a_crowded_list_gives_the_same_answers_mapped_and_copied() {
    let folder = Folder::new("crowded");
    // Area codes 305 to 308: crowded blocks with gaps, a thin block, an area code that is not in
    // use, one with a few numbers; and a number of another country.
    let crowded = |area: u64| (0..990).map(move |block| (1_305 + area) * 1_000 + block);
    let blocks = crowded(0).chain(crowded(3)).filter(|block| block % 11 != 0);
    let mut set: BTreeSet<u64> = blocks
        .flat_map(|block| (0..257).map(move |step| block * 10_000 + (block + step * 37) % 10_000))
        .collect();
    set.extend([13_050_000_007, 13_070_000_000, 13_075_550_123, 442_079_460_001]);
    let built = folder.build(&text_of(&set)).unwrap();
    assert!(built.snapshot.length() > 2 << 20, "{}", built.snapshot.length());
    let mapped = Snapshot::open(&built.path).unwrap();
    fs::set_permissions(&built.path, fs::Permissions::from_mode(0o644)).unwrap();
    let copied = Snapshot::open(&built.path).unwrap();
    assert_eq!((mapped.held(), copied.held()), (Held::Mapped, Held::Copied));
    let all = (13_049_990_000..13_050_030_000).chain(13_059_880_000..13_059_910_000);
    let all = all.chain((13_059_990_000..13_090_010_000).step_by(211)).chain(set.iter().copied());
    for digits in all {
        let (number, right) = (number(digits), set.contains(&digits));
        assert_eq!((mapped.contains(number), copied.contains(number)), (right, right), "{digits}");
    }
}

#[test]
fn a_snapshot_says_what_it_is_and_nobody_may_write_to_it() {
    let folder = Folder::new("header");
    let built = folder.build("+13055550123\n").unwrap();
    assert_eq!(built.path, folder.path.join("us.national_dnc.rflist"));
    let snapshot = built.snapshot;
    assert_eq!((snapshot.id(), snapshot.as_of(), snapshot.count()), ("us.national_dnc", DAY, 1));
    assert_eq!(snapshot.built_at(), common::NOW);
    assert_eq!(snapshot.length(), built.path.metadata().unwrap().len());
    assert_eq!(built.path.metadata().unwrap().mode() & 0o777, 0o444);
    assert_eq!(folder.names(), ["us.national_dnc.rflist"], "nothing is left beside it");
}

#[test]
fn a_list_is_not_replaced_by_an_older_a_much_smaller_or_an_empty_one() {
    let folder = Folder::new("replace");
    let all: Vec<u64> = (0..20).map(|step| 13_055_550_100 + step).collect();
    folder.build(&text_of(&all)).unwrap();
    assert!(matches!(
        folder.build(&text_of(&all[..17])),
        Err(MakeError::Shrinks { old: 20, new: 17 })
    ));
    assert!(matches!(folder.build("# nobody\n"), Err(MakeError::Empty)));
    let before = DAY.pred_opt().unwrap();
    assert!(matches!(folder.build_of(before, &text_of(&all)), Err(MakeError::Older { .. })));
    let held = || Snapshot::open(&folder.path.join("us.national_dnc.rflist")).unwrap();
    assert_eq!((held().count(), folder.names().len()), (20, 1), "the old one stands");
    folder.build(&text_of(&all[..18])).unwrap();
    assert_eq!(held().count(), 18);
    assert_eq!(folder.build_anyway("").unwrap().snapshot.count(), 0);
    assert!(!held().contains(number(all[0])));
}

#[test]
fn a_bad_line_is_named_without_its_number_and_leaves_the_list_as_it_was() {
    let folder = Folder::new("bad");
    folder.build("+13055550123\n").unwrap();
    for (text, said) in [
        ("+13055550123\r\n# \r\n\r\n+1305555o124\r\n", "line 4: character 9"),
        ("3055550124\n", "line 1: a number that does not start with '+' needs its country"),
        ("+13055550123\n+13055550123,x\n", "line 2: character 14"),
        ("+1305555\n", "line 1: a number of country code 1 has 10 digits"),
    ] {
        let error = folder.build(text).unwrap_err().to_string();
        assert!(error.starts_with(said) && !error.contains("305555"), "{text:?}: {error}");
        assert_eq!(folder.names(), ["us.national_dnc.rflist"]);
    }
    let future = common::day(10);
    let error = folder.build_of(future, "+13055550123\n").unwrap_err().to_string();
    assert!(error.contains("2026-11-30 has not come yet"), "{error}");
    for name in ["", "US", "../x", ".x", "a b", "1x", &"x".repeat(129)] {
        assert!(name.parse::<dialer_lists::Name>().is_err(), "{name}");
    }
    assert!(id().to_string().parse::<dialer_lists::Name>().is_ok());
}

#[test]
fn a_file_of_another_kind_or_version_says_so() {
    let folder = Folder::new("kind");
    let path = folder.path.join("x");
    fs::write(&path, "# demo list\n").unwrap();
    let error = Snapshot::open(&path).unwrap_err().to_string();
    assert!(error.contains("dialer lists build"), "{error}");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    assert!(matches!(Snapshot::open(&path), Err(SnapshotError::Magic)), "mapped");
    let whole = fs::read(folder.build("+13055550123\n").unwrap().path).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, &whole).unwrap();
    assert_eq!(Snapshot::open(&path).unwrap().held(), Held::Copied, "somebody may write to it");
    assert!(matches!(Snapshot::open(&folder.path.join("none")), Err(SnapshotError::Io(_))));
    assert!(matches!(Snapshot::open(&folder.path), Err(SnapshotError::Io(_))), "a folder");
}
