//! The workspace: its members with what they link, and its source files.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{
    checks::MEMBERS,
    code::{Source, outside_test_files},
};

/// A member of the workspace with what it links.
pub(crate) struct Member {
    pub(crate) name: String,
    /// Folder below the root, with a closing slash.
    pub(crate) folder: String,
    pub(crate) manifest: PathBuf,
    pub(crate) direct: BTreeSet<String>,
    /// Everything it links, and who brought it in.
    pub(crate) tree: BTreeMap<String, String>,
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("loadtest lies below the root").to_owned()
}

pub(crate) fn read_members() -> Vec<Member> {
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--format-version", "1", "--filter-platform", &platform])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let members =
        members_of(&serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON"));
    assert_eq!(
        members.len(),
        MEMBERS.len(),
        "members of the workspace and of the table of directions"
    );
    members
}

/// The members that `cargo metadata` tells of.
#[expect(clippy::indexing_slicing, reason = "a missing key of a JSON value reads as null")]
pub(crate) fn members_of(metadata: &Value) -> Vec<Member> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let root = text(&metadata["workspace_root"]);
    let names: BTreeMap<String, String> = list(&metadata["packages"])
        .iter()
        .map(|package| (text(&package["id"]), text(&package["name"])))
        .collect();
    let mut links: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for node in list(&metadata["resolve"]["nodes"]) {
        let normal = list(&node["deps"])
            .iter()
            .filter(|dep| list(&dep["dep_kinds"]).iter().any(|kind| kind["kind"].is_null()))
            .map(|dep| text(&dep["pkg"]))
            .collect();
        links.insert(text(&node["id"]), normal);
    }
    let name_of = |id: &String| names.get(id).cloned().unwrap_or_default();
    let members: BTreeSet<String> = list(&metadata["workspace_members"]).iter().map(text).collect();
    let packages = list(&metadata["packages"]);
    packages
        .iter()
        .filter(|package| members.contains(&text(&package["id"])))
        .map(|package| {
            let id = text(&package["id"]);
            let manifest = PathBuf::from(text(&package["manifest_path"]));
            let folder = manifest
                .parent()
                .and_then(|folder| folder.strip_prefix(&root).ok())
                .expect("a member below the root");
            let (mut tree, mut seen) = (BTreeMap::new(), BTreeSet::new());
            let mut open = vec![id.clone()];
            while let Some(from) = open.pop() {
                for to in links.get(&from).into_iter().flatten() {
                    if seen.insert(to.clone()) {
                        tree.insert(name_of(to), name_of(&from));
                        open.push(to.clone());
                    }
                }
            }
            Member {
                name: text(&package["name"]),
                folder: format!("{}/", folder.display()),
                direct: links.get(&id).into_iter().flatten().map(name_of).collect(),
                manifest: manifest.clone(),
                tree,
            }
        })
        .collect()
}

/// Every Rust file below the folders of the members, by path from the root.
pub(crate) fn read_sources() -> Vec<Source> {
    let root = root();
    let mut sources = Vec::new();
    let mut open: Vec<PathBuf> =
        ["dialer", "campaign-api", "schema", "loadtest"].map(|top| root.join(top)).to_vec();
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the workspace") {
            let path = entry.expect("an entry of a folder").path();
            if path.is_dir() && !path.ends_with("target") {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source file in UTF-8");
                let short =
                    path.strip_prefix(&root).expect("a path below the root").display().to_string();
                sources.push(Source::new(&short, &text));
            }
        }
    }
    assert!(
        sources.iter().any(|source| source.path == "loadtest/tests/architecture/main.rs"),
        "this file is found"
    );
    outside_test_files(sources)
}
