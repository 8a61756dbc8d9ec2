//! The rule packs this process judges by.

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use dialer_policy::{Options, PackSource, Ruleset};
use schema::config::Dialer;

use crate::cli::faults;

/// The packs that the configuration names, or those that ship with this build; on top of them the
/// deployment's overrides of the house rules.
///
/// # Errors
/// If a file cannot be read or a pack has a fault; every fault is named.
pub fn load(config: &Dialer) -> Result<Ruleset> {
    let options = Options { house: true };
    let own = config.house.as_deref().map(read).transpose()?;
    let own: Vec<_> =
        own.iter().map(|(_, text)| PackSource { name: "dialer.house", text }).collect();
    let Some(folder) = &config.packs else {
        return Ruleset::shipped_with(&own, options).map_err(faults);
    };
    let mut texts = Vec::new();
    gather(folder, &mut texts).with_context(|| format!("dialer.packs: {}", folder.display()))?;
    // Calendars lie in a folder of their own, as in schema/rules.
    let calendars = folder.join("calendars");
    if calendars.is_dir() {
        gather(&calendars, &mut texts)?;
    }
    texts.sort();
    let mut packs: Vec<_> = texts.iter().map(|(name, text)| PackSource { name, text }).collect();
    packs.extend(own);
    Ruleset::load(&packs, options).map_err(faults)
}

/// Every TOML file of a folder.
fn gather(folder: &Path, texts: &mut Vec<(String, String)>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            texts.push(read(&path)?);
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<(String, String)> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok((name, text))
}
