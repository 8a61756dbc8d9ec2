//! The rule packs a deployment judges by.

use std::{
    fs,
    path::{Path, PathBuf},
};

use dialer_judge::HORIZON;
use dialer_policy::{Options, PackFault, PackSource, Ruleset};
use dialer_types::RuleId;

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
    /// A rule looks back farther than histories are kept.
    #[error(
        "rule {rule} looks back {looks} days and histories are kept for {kept}: choose a shorter span"
    )]
    TooLong {
        /// Which.
        rule: RuleId,
        /// How far it looks back, in days, with a margin for zones.
        looks: u64,
        /// How long histories are kept, in days.
        kept: u64,
    },
}

fn told(faults: &[PackFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ")
}

/// The packs of a folder, or those that ship with this build; with the deployment's own pack, which
/// adds rules, adjusts those of the house, tightens those of the law, names exceptions and signs.
///
/// # Errors
/// See [`RulesError`].
pub fn load(packs: Option<&Path>, house: Option<&Path>) -> Result<Ruleset, RulesError> {
    let options = Options { house: true };
    let own = house.map(read).transpose()?;
    let own: Vec<PackSource<'_>> = own.iter().map(source).collect();
    let Some(folder) = packs else {
        let rules = Ruleset::shipped_with(&own, options).map_err(RulesError::Faults)?;
        return remembered(rules);
    };
    let mut texts = Vec::new();
    let unreadable = |reason| RulesError::Unreadable { path: folder.to_owned(), reason };
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            texts.push(read(&path)?);
        }
    }
    // The version hashes the packs in order: the order of a listing must not change it.
    texts.sort();
    let packs: Vec<PackSource<'_>> = texts.iter().map(source).collect();
    remembered(Ruleset::load_with(&packs, &own, options).map_err(RulesError::Faults)?)
}

/// Rules that look back no farther than histories are kept; any other would count less than it says.
fn remembered(rules: Ruleset) -> Result<Ruleset, RulesError> {
    match rules.longest_memory() {
        Some((rule, span)) if span > HORIZON => {
            let day = 24 * 3600;
            let (looks, kept) = (span.as_secs() / day, HORIZON.as_secs() / day);
            let rule = rule.clone();
            Err(RulesError::TooLong { rule, looks, kept })
        }
        _ => Ok(rules),
    }
}

fn source((name, text): &(String, String)) -> PackSource<'_> {
    PackSource { name, text }
}

fn read(path: &Path) -> Result<(String, String), RulesError> {
    let text = fs::read_to_string(path)
        .map_err(|reason| RulesError::Unreadable { path: path.to_owned(), reason })?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok((name, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(own: &str) -> Result<Ruleset, RulesError> {
        let own = PackSource { name: "own.toml", text: own };
        let rules = Ruleset::shipped_with(&[own], Options { house: true });
        remembered(rules.map_err(RulesError::Faults)?)
    }

    #[test]
    fn a_rule_that_looks_back_farther_than_histories_are_kept_is_refused() {
        assert!(with("").is_ok());
        assert!(with("[[tighten]]\nrule = \"fr.refusal\"\ndates = 68\n").is_ok());
        let told = with("[[tighten]]\nrule = \"fr.refusal\"\ndates = 90\n").err();
        let told = told.map(|error| error.to_string()).unwrap_or_default();
        assert!(told.starts_with("rule fr.refusal looks back 92 days"), "{told}");
    }
}
