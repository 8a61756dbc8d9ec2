//! The walks through the first hours, `docs/first-hour-*.md`, and through `docs/permits.md`: every
//! command is typed into a shell exactly as it is printed, and what the page says comes out must
//! come out.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic, in its parts too")]

mod page;
mod shell;

use std::{fs, path::Path};

use loadtest::stack::RunFolder;
use page::{Block, Kind, blocks, shown};
use shell::Shell;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// A folder that looks like a checkout and keeps what the commands write.
fn checkout() -> RunFolder {
    let folder = RunFolder::make(false).unwrap();
    for entry in fs::read_dir(root()).unwrap() {
        let path = entry.unwrap().path().canonicalize().unwrap();
        let name = path.file_name().unwrap().to_str().unwrap();
        if !["target", "demo-out", "ringfence-try"].contains(&name) && name != ".git" {
            std::os::unix::fs::symlink(&path, folder.path().join(name)).unwrap();
        }
    }
    folder
}

fn walk(name: &str) {
    let text = fs::read_to_string(root().join("docs").join(name)).unwrap();
    let blocks = blocks(&text);
    assert!(blocks.iter().any(|block| block.kind == Kind::Typed), "{name} has no command");
    let folder = checkout();
    let mut shell = Shell::start(folder.path());
    let mut before = String::new();
    for Block { kind, line, text } in &blocks {
        match kind {
            Kind::Typed => before = shell.type_in(text, &format!("{name}:{line}")),
            Kind::Fails => before = shell.fails(text, &format!("{name}:{line}")),
            Kind::OtherTerminal => shell.other_terminal(text, &format!("{name}:{line}")),
            Kind::Shown => {
                let missing = shown(text, &before);
                assert!(
                    missing.is_none(),
                    "{name}:{line}: the page shows {missing:?}; what came was\n{before}"
                );
            }
        }
    }
    shell.end();
}

#[test]
fn the_campaign_managers_first_hour_goes_as_written() {
    walk("first-hour-campaign-manager.md");
}

#[test]
fn the_operators_first_hour_goes_as_written() {
    walk("first-hour-operator.md");
}

#[test]
fn the_compliance_officers_first_hour_goes_as_written() {
    walk("first-hour-compliance.md");
}

#[test]
fn permits_are_asked_for_as_written() {
    walk("permits.md");
}
