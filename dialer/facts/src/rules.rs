//! The rule packs a deployment judges by.

use std::{
    fs,
    path::{Path, PathBuf},
};

use dialer_policy::{Options, PackFault, PackSource, Ruleset};

/// Why there are no rules.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// A folder or file could not be read.
    #[error("cannot read {}: {reason}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: std::io::Error,
    },
    /// The packs have faults, every one of which is named.
    #[error("the rule packs have faults:\n  {}", told(.0))]
    Faults(Vec<PackFault>),
}

fn told(faults: &[PackFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ")
}

/// The packs of a folder, or those that ship with this build; with the deployment's own overrides
/// of the house rules.
///
/// # Errors
/// See [`RulesError`].
pub fn load(packs: Option<&Path>, house: Option<&Path>) -> Result<Ruleset, RulesError> {
    let options = Options { house: true };
    let mut texts = Vec::new();
    if let Some(house) = house {
        texts.push(read(house)?);
    }
    let Some(folder) = packs else {
        return Ruleset::shipped_with(&sources(&texts), options).map_err(RulesError::Faults);
    };
    let unreadable = |reason| RulesError::Unreadable { path: folder.to_owned(), reason };
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            texts.push(read(&path)?);
        }
    }
    // The version hashes the packs in order: the order of a listing must not change it.
    texts.sort();
    Ruleset::load(&sources(&texts), options).map_err(RulesError::Faults)
}

fn sources(texts: &[(String, String)]) -> Vec<PackSource<'_>> {
    texts.iter().map(|(name, text)| PackSource { name, text }).collect()
}

fn read(path: &Path) -> Result<(String, String), RulesError> {
    let text = fs::read_to_string(path)
        .map_err(|reason| RulesError::Unreadable { path: path.to_owned(), reason })?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok((name, text))
}
