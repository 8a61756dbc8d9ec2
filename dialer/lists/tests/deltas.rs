//! Deltas against a set of the standard library.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{Folder, day, number, text_of};
use dialer_lists::{DeltaError, MakeError, Snapshot};
use proptest::prelude::*;

const HEADER: &str = "# delta\n# id: us.national_dnc\n# base: 2026-11-20\n# as_of: 2026-11-23\n# of the publisher\n\n";

fn near() -> impl Strategy<Value = u64> {
    prop_oneof![
        13_055_550_000_u64..13_055_553_000,
        12_125_550_000_u64..12_125_550_100,
        442_079_460_000_u64..442_079_460_050,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_delta_makes_of_the_old_list_the_new_one(
        old in prop::collection::btree_set(near(), 1..1_500),
        changes in prop::collection::btree_map(near(), any::<bool>(), 0..400),
    ) {
        let folder = Folder::new("delta");
        folder.build(&text_of(&old)).unwrap();
        let mut text = HEADER.to_owned();
        for (digits, add) in changes.iter().rev() {
            text.push_str(&format!("{}{digits}\r\n", if *add { '+' } else { '-' }));
        }
        let mut expected = old.clone();
        let changed: BTreeMap<_, _> = changes.iter().filter(|(digits, add)| **add != old.contains(digits)).collect();
        for (digits, add) in &changes {
            if *add { expected.insert(*digits); } else { expected.remove(digits); }
        }
        prop_assume!(!expected.is_empty());
        let applied = folder.apply(&text).unwrap();
        let added = changed.values().filter(|add| ***add).count();
        prop_assert_eq!(applied.added, added as u64);
        prop_assert_eq!(applied.removed, (changed.len() - added) as u64);
        prop_assert_eq!(
            applied.added + applied.removed + applied.already + applied.absent, changes.len() as u64
        );
        // Built at once from what it should hold, it has the same bytes behind the header.
        let snapshot = Snapshot::open(&applied.built.path).unwrap();
        prop_assert_eq!(snapshot.as_of(), day(3));
        let other = Folder::new("at-once");
        let at_once = other.build(&text_of(&expected)).unwrap().snapshot;
        prop_assert_eq!(snapshot.checksum(), at_once.checksum());
        let all: BTreeSet<_> = old.iter().chain(changes.keys()).collect();
        for digits in all {
            prop_assert_eq!(snapshot.contains(number(*digits)), expected.contains(digits));
        }
    }
}

#[test]
fn a_delta_that_does_not_fit_is_refused_and_the_list_stays() {
    let folder = Folder::new("wrong");
    let path = folder.build("+13055550123\n").unwrap().path;
    let header = |line: &str, instead: &str| HEADER.replace(line, instead) + "+13055550124\n";
    for (text, said) in [
        (
            header("base: 2026-11-20", "base: 2026-11-19"),
            "for the copy of 2026-11-19, and this one is of 2026-11-20",
        ),
        (header("us.national_dnc", "uk.tps"), "uk.tps.rflist: cannot be read"),
        (header("as_of: 2026-11-23", "as_of: 2026-11-20"), "must be the later day"),
        (header("as_of: 2026-11-23", "as_of: 2026-12-23"), "has not come yet"),
        (header("# delta", "# demo list"), "line 1 is not '# delta'"),
        (header("# base: 2026-11-20\n", ""), "'# base: ...'"),
        (header("2026-11-23", "soon"), "'# as_of: ...'"),
        (String::new(), "line 1"),
        (HEADER.to_owned() + "13055550124\n", "line 7: a line of a delta begins with"),
        (HEADER.to_owned() + "+1305555o124\n", "line 7: character 9"),
        (
            HEADER.to_owned() + "+13055550124\n-13055550124\n",
            "the number +130******24 is both added and removed",
        ),
        (HEADER.to_owned() + "-13055550123\n", "there is no number in it"),
    ] {
        let error = folder.apply(&text).unwrap_err().to_string();
        assert!(error.contains(said) && !error.contains("305555"), "{text:?}: {error}");
        assert_eq!(Snapshot::open(&path).unwrap().count(), 1);
        assert_eq!(folder.names().len(), 1);
    }
}

#[test]
fn a_delta_is_applied_once_and_one_after_the_other() {
    let folder = Folder::new("chain");
    folder.build("+13055550123\n").unwrap();
    let first = HEADER.to_owned() + "++13055550124\n-+13055550199\n+13055550124\n";
    let applied = folder.apply(&first).unwrap();
    assert_eq!((applied.added, applied.absent, applied.built.snapshot.count()), (1, 1, 2));
    assert!(matches!(folder.apply(&first), Err(MakeError::OtherBase { .. })), "twice");
    let second =
        "# delta\n# id: us.national_dnc\n# base: 2026-11-23\n# as_of: 2026-11-24\n-13055550123\n";
    let applied = folder.apply(second).unwrap();
    assert!(!applied.built.snapshot.contains(number(13_055_550_123)));
    assert!(applied.built.snapshot.contains(number(13_055_550_124)));
    let damaged = applied.built.path;
    std::fs::remove_file(&damaged).unwrap();
    std::fs::write(&damaged, b"\x89RFLIST\n and then nothing").unwrap();
    let error = folder.apply(second).unwrap_err();
    assert!(matches!(error, MakeError::Snapshot { .. }), "{error}");
    assert!(matches!(folder.apply("# delta\n"), Err(MakeError::Delta(DeltaError::Header("id")))));
}
