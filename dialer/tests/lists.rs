//! `dialer lists` as people type it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("rf-cli-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Whether `dialer lists WORDS` succeeded, and all that it said.
fn lists(words: &[&str], folder: &Path, input: &str) -> (bool, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_dialer"))
        .arg("lists")
        .args(words)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have refused its words before it reads.
    child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[track_caller]
fn says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "no '{part}' in\n{said}");
    }
}

#[test]
fn a_list_is_built_shown_and_changed_by_a_delta() {
    let folder = Folder::new("way");
    let numbers = "# as published\r\n+13055550123\r\n\r\n+1 (305) 555-0124\r\n+13055550123\r\n";
    let (good, said) =
        lists(&["build", "us.national_dnc", "--as-of", "2026-11-01"], &folder.0, numbers);
    assert!(good, "{said}");
    says(
        &said,
        &["./us.national_dnc.rflist", "as of: 2026-11-01", "numbers: 2", "repeated a number: 1"],
    );
    fs::write(
        folder.0.join("week.delta"),
        "# delta\n# id: us.national_dnc\n# base: 2026-11-01\n# as_of: 2026-11-08\n+13055550125\n-13055550123\n",
    )
    .unwrap();
    let (good, said) = lists(&["apply", "week.delta"], &folder.0, "");
    assert!(good, "{said}");
    says(
        &said,
        &["as of: 2026-11-08", "numbers: 2", "added: 1, and 0 were", "removed: 1, and 0 were"],
    );
    let (good, said) = lists(&["apply", "week.delta"], &folder.0, "");
    assert!(!good);
    says(
        &said,
        &[
            "week.delta was not applied",
            "for the copy of 2026-11-01, and this one is of 2026-11-08",
        ],
    );
    let (good, said) = lists(&["show", "us.national_dnc.rflist"], &folder.0, "");
    assert!(good, "{said}");
    says(
        &said,
        &[
            "id: us.national_dnc",
            "as of: 2026-11-08, ",
            "at most 31 days old",
            "numbers: 2",
            "bytes: ",
            "1 sparse pages",
            ", right",
            "in memory: mapped",
        ],
    );
    assert!(!said.contains("305555"), "{said}");
}

#[test]
fn numbers_without_a_country_are_read_when_it_is_told() {
    let folder = Folder::new("national");
    let build = |words: &[&str], input: &str| {
        let begin = ["build", "uk.tps", "--as-of", "2026-11-01", "--anyway"];
        lists(&[&begin, words].concat(), &folder.0, input)
    };
    let (good, said) = build(&[], "02079460001\n");
    assert!(!good);
    says(&said, &["the list uk.tps was not built: line 1: ", "--country"]);
    let (good, said) = build(&["--country", "44"], "02079460001\n");
    assert!(!good);
    says(&said, &["line 1: ", "--trunk-prefix 0"]);
    let international = build(&[], "+442079460001\n");
    let national = build(&["--country", "44", "--trunk-prefix", "0"], "02079460001\n2079460001\n");
    assert!(international.0 && national.0, "{international:?} {national:?}");
    let checksum =
        |said: &str| said.lines().find(|line| line.contains("checksum")).unwrap().to_owned();
    assert_eq!(checksum(&international.1), checksum(&national.1));
    for words in [["--country", "044"], ["--country", "x"], ["--trunk-prefix", "0"]] {
        assert!(!build(&words, "+442079460001\n").0, "{words:?}");
    }
}

#[test]
fn a_bad_line_leaves_the_list_that_is_there_and_names_no_number() {
    let folder = Folder::new("bad");
    let build = |input: &str| {
        lists(&["build", "us.national_dnc", "--as-of", "2026-11-01"], &folder.0, input)
    };
    assert!(build("+13055550123\n").0);
    let before = fs::read(folder.0.join("us.national_dnc.rflist")).unwrap();
    for (input, part) in [
        ("+13055550123\n+1305555o124\n", "line 2: character 9"),
        ("", "an empty list would let every call through"),
        ("+1305555012\n", "line 1: a number of country code 1 has 10 digits"),
    ] {
        let (good, said) = build(input);
        assert!(!good && !said.contains("305555"), "{said}");
        says(&said, &["the list us.national_dnc was not built", part]);
    }
    for words in [
        ["build", "US DNC", "--as-of", "2026-11-01"],
        ["build", "us.national_dnc", "--as-of", "yesterday"],
        ["build", "us.national_dnc", "--as-of", "2999-01-01"],
    ] {
        assert!(!lists(&words, &folder.0, "+13055550123\n").0, "{words:?}");
    }
    assert_eq!(fs::read(folder.0.join("us.national_dnc.rflist")).unwrap(), before);
    assert_eq!(folder.names(), ["us.national_dnc.rflist"], "nothing is left beside it");
    let out = ["build", "x", "--as-of", "2026-11-01", "--out", "nowhere"];
    let (good, said) = lists(&out, &folder.0, "+13055550123\n");
    assert!(!good);
    says(&said, &["nowhere is not a folder"]);
}

#[test]
fn showing_a_folder_checks_every_list_of_it() {
    let folder = Folder::new("show");
    let (good, said) = lists(&["show", "."], &folder.0, "");
    assert!(!good && said.contains("no list is there"), "{said}");
    assert!(lists(&["build", "it.rpo", "--as-of", "2026-01-01"], &folder.0, "+39061234567\n").0);
    fs::write(folder.0.join("uk.txt"), "# demo list\n# id: uk.tps\n# as_of: 2026-11-01\n").unwrap();
    fs::write(folder.0.join("emergency.feed"), "not a list\n").unwrap();
    let (good, said) = lists(&["show", "."], &folder.0, "");
    assert!(good, "{said}");
    says(
        &said,
        &["id: it.rpo", "fresh: no: at most 15 days old", "id: uk.tps", "the text of a demo list"],
    );
    let whole = fs::read(folder.0.join("it.rpo.rflist")).unwrap();
    fs::write(folder.0.join("short.rflist"), &whole[..whole.len() - 1]).unwrap();
    let mut damaged = whole;
    damaged[260] ^= 1;
    fs::write(folder.0.join("wrong.rflist"), damaged).unwrap();
    fs::write(folder.0.join("raw.txt"), "+39061234567\n").unwrap();
    let (good, said) = lists(&["show", "."], &folder.0, "");
    assert!(!good);
    says(
        &said,
        &[
            "id: it.rpo",
            "refused: it is cut short or too long",
            "refused: wrong checksum of its numbers",
            "lists build ID --as-of DATE",
            "3 of 5 files cannot be used",
        ],
    );
}
