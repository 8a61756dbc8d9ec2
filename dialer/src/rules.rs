//! The rule packs this process judges by.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use dialer_policy::{Options, PackSource, Ruleset};
use schema::config::Dialer;

use crate::cli::faults;

/// The packs that the configuration names, or those that ship with this build; with the
/// deployment's own overrides of the house rules.
///
/// # Errors
/// If a file cannot be read or a pack has a fault; every fault is named.
pub fn load(config: &Dialer) -> Result<Ruleset> {
    let options = Options { house: true };
    let mut texts = Vec::new();
    if let Some(house) = &config.house {
        texts.push(read(house)?);
    }
    let Some(folder) = &config.packs else {
        return Ruleset::shipped_with(&sources(&texts), options).map_err(faults);
    };
    let listing =
        fs::read_dir(folder).with_context(|| format!("dialer.packs: {}", folder.display()))?;
    for entry in listing {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            texts.push(read(&path)?);
        }
    }
    // The version hashes the packs in order: the order of a listing must not change it.
    texts.sort();
    Ruleset::load(&sources(&texts), options).map_err(faults)
}

fn sources(texts: &[(String, String)]) -> Vec<PackSource<'_>> {
    texts.iter().map(|(name, text)| PackSource { name, text }).collect()
}

fn read(path: &Path) -> Result<(String, String)> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok((name, text))
}
