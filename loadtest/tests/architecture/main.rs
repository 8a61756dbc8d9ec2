//! The architecture, kept by machine: what the pure crates may use, who may depend on whom, who may send an INVITE,
//! how long a file may be and what it may be called. `cargo metadata` says what is linked, the sources say what is
//! called. Every check has a test below that feeds it a violation and sees it found.
//!
//! What this cannot see (an alias, a macro that assembles a path) is caught by the lints of `clippy.toml`.

mod checks;
mod code;
mod violations;
mod workspace;

use std::fs;

use checks::{
    badly_shaped, impure_links, impure_sources, missing_fences, stray_invites, stray_rsip,
    stray_unsafe, unlinted, wrong_directions,
};
use workspace::{read_members, read_sources, root};

#[track_caller]
fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn members_depend_only_in_the_direction_of_the_design() {
    none(&wrong_directions(&read_members()));
}

#[test]
fn pure_crates_link_neither_io_nor_a_runtime() {
    none(&impure_links(&read_members()));
}

#[test]
fn pure_crates_read_no_clock_no_randomness_no_files_and_await_nothing() {
    none(&impure_sources(&read_members(), &read_sources()));
}

#[test]
fn rsip_stays_inside_the_wire() {
    none(&stray_rsip(&read_sources()));
}

#[test]
fn only_one_place_in_the_engine_sends_an_invite() {
    none(&stray_invites(&read_sources()));
}

#[test]
fn the_methods_that_clippy_fences_exist() {
    let clippy = fs::read_to_string(root().join("clippy.toml")).expect("clippy.toml at the root");
    none(&missing_fences(&clippy, &read_sources()));
}

#[test]
fn every_member_inherits_the_lints_and_none_replaces_them() {
    let workspace =
        fs::read_to_string(root().join("Cargo.toml")).expect("the manifest at the root");
    for member in read_members() {
        let manifest = fs::read_to_string(&member.manifest).expect("a manifest");
        none(&unlinted(&member.name, &manifest, &workspace));
        for name in ["clippy.toml", ".clippy.toml"] {
            let nested = member.manifest.with_file_name(name);
            assert!(
                !nested.exists(),
                "{} would replace the clippy.toml at the root",
                nested.display()
            );
        }
    }
}

#[test]
fn one_place_in_the_house_is_unsafe() {
    none(&stray_unsafe(&read_sources()));
}

#[test]
fn files_are_short_and_say_what_they_are() {
    none(&badly_shaped(&read_sources()));
}
