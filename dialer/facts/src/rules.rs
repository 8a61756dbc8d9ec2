//! The rule packs a deployment judges by.

use std::{
    fs,
    path::{Path, PathBuf},
};

use dialer_policy::{Card, Options, PackFault, PackSource, Ruleset, SHIPPED};

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

/// Packs as they are written, before anybody judges by them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The packs that ship with this build come first.
    shipped: bool,
    /// File names and texts, in order.
    texts: Vec<(String, String)>,
}

impl Written {
    /// Reads the packs of a folder and of the folders in it (`calendars/`), or takes those that ship
    /// with this build; with the deployment's own overrides of the house rules.
    ///
    /// # Errors
    /// If a folder or file cannot be read.
    pub fn read(packs: Option<&Path>, house: Option<&Path>) -> Result<Self, RulesError> {
        let mut texts = Vec::new();
        if let Some(house) = house {
            texts.push(read(house, "")?);
        }
        if let Some(folder) = packs {
            folder_of(folder, "", &mut texts)?;
            // The version hashes the packs in order: the order of a listing must not change it.
            texts.sort();
        }
        Ok(Self { shipped: packs.is_none(), texts })
    }

    /// The rules that they are.
    ///
    /// # Errors
    /// Every fault of every pack, at once.
    pub fn ruleset(&self, options: Options) -> Result<Ruleset, RulesError> {
        Ruleset::load(&self.sources(), options).map_err(RulesError::Faults)
    }

    /// Every entry as it is written.
    #[must_use]
    pub fn cards(&self) -> Vec<Card> {
        dialer_policy::cards(&self.sources())
    }

    fn sources(&self) -> Vec<PackSource<'_>> {
        let shipped = SHIPPED.iter().filter(|_| self.shipped).copied();
        let own = self.texts.iter().map(|(name, text)| PackSource { name, text });
        shipped.chain(own).collect()
    }
}

/// The packs of a folder, or those that ship with this build; with the deployment's own overrides
/// of the house rules.
///
/// # Errors
/// See [`RulesError`].
pub fn load(packs: Option<&Path>, house: Option<&Path>) -> Result<Ruleset, RulesError> {
    Written::read(packs, house)?.ruleset(Options { house: true })
}

/// Folders within the folder of packs are read too, but none within those.
fn folder_of(
    folder: &Path,
    prefix: &str,
    texts: &mut Vec<(String, String)>,
) -> Result<(), RulesError> {
    let unreadable = |reason| RulesError::Unreadable { path: folder.to_owned(), reason };
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        if name.starts_with('.') {
            continue;
        }
        if path.extension().is_some_and(|ending| ending == "toml") {
            texts.push(read(&path, prefix)?);
        } else if prefix.is_empty() && path.is_dir() {
            folder_of(&path, &format!("{name}/"), texts)?;
        }
    }
    Ok(())
}

fn read(path: &Path, prefix: &str) -> Result<(String, String), RulesError> {
    let text = fs::read_to_string(path)
        .map_err(|reason| RulesError::Unreadable { path: path.to_owned(), reason })?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok((format!("{prefix}{name}"), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_the_schema_is_what_ships() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../schema/rules"));
        let (read, shipped) =
            (Written::read(Some(folder), None).unwrap(), Written::read(None, None).unwrap());
        let version = |packs: &Written| packs.ruleset(Options { house: true }).unwrap().version();
        assert_eq!(version(&read), version(&shipped));
        assert!(dialer_policy::compare(&read.cards(), &shipped.cards()).is_empty());
        assert!(Written::read(Some(Path::new("/nowhere")), None).is_err());
    }
}
