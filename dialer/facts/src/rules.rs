//! The rule packs a deployment judges by.

mod packs;

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use dialer_judge::HORIZON;
use dialer_policy::{
    Card, CardKind, Change, ChangeKind, Options, PackFault, PackSource, Ruleset, SHIPPED,
};
use dialer_types::RuleId;

pub use packs::{Looked, Packs};

/// No pack is larger: the largest that ships has 20 kB, and all are read each second.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Why there are no rules.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// A folder or file could not be read.
    #[error("cannot read {}: {reason}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: io::Error,
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
    /// A rule has no end and starts on something that is not kept for ever.
    #[error(
        "rule {0} has no end (forever): then it may start on trigger = [\"refused\"] only and not on inbound calls, because only refusals are kept for ever; choose a span, or leave the others out"
    )]
    Endless(RuleId),
    /// A folder of packs has law otherwise than it ships, and nobody answers for it.
    #[error(
        "the folder of packs departs from the law that ships with this build, and nobody answers for it: {}; name each in the house file: [[departure]] rule, reason, by, second_person",
        .0.join(", ")
    )]
    Departs(Vec<String>),
    /// A folder of packs without any law.
    #[error(
        "the folder of packs has no rule of the law in force: with no law everything would be permitted; name a folder with the packs of schema/rules, or none to judge by those that ship"
    )]
    NoLaw,
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
    /// The deployment's own pack, which adds rules, adjusts those of the house, tightens those of
    /// the law, names exceptions and signs.
    own: Option<(String, String)>,
}

impl Written {
    /// Reads the packs of a folder and of the folders in it (`calendars/`), or takes those that ship
    /// with this build; with the deployment's own pack.
    ///
    /// # Errors
    /// If a folder or file cannot be read.
    pub fn read(packs: Option<&Path>, house: Option<&Path>) -> Result<Self, RulesError> {
        let own = house.map(|path| read(path, "")).transpose()?;
        let mut texts = Vec::new();
        if let Some(folder) = packs {
            folder_of(folder, "", &mut texts)?;
            // The version hashes the packs in order: the order of a listing must not change it.
            texts.sort();
        }
        Ok(Self { shipped: packs.is_none(), texts, own })
    }

    /// The rules that they are.
    ///
    /// # Errors
    /// Every fault of every pack, at once; a rule that looks back farther than histories are kept.
    pub fn ruleset(&self, options: Options) -> Result<Ruleset, RulesError> {
        let own: Vec<PackSource<'_>> = self.own.iter().map(source).collect();
        let rules = Ruleset::load_with(&self.packs(), &own, options).map_err(RulesError::Faults)?;
        let is_law = |id: &&RuleId| !id.is_house() && rules.is_on(id.as_str()) == Some(true);
        if rules.rule_ids().find(is_law).is_none() {
            return Err(RulesError::NoLaw);
        }
        remembered(rules)
    }

    /// The rules that a process judges by: those of a folder that departs from what ships only where
    /// two people answer for it.
    ///
    /// # Errors
    /// As [`Written::ruleset`]; departures that nobody answers for.
    pub fn in_force(&self) -> Result<Ruleset, RulesError> {
        let rules = self.ruleset(Options { house: true })?;
        let answered = |id: &str| rules.departures().iter().any(|it| *it.rule == *id);
        let mut open: Vec<String> = self.departures().into_iter().map(|(id, _)| id).collect();
        open.retain(|id| !answered(id));
        if open.is_empty() { Ok(rules) } else { Err(RulesError::Departs(open)) }
    }

    /// Every entry as it is written.
    #[must_use]
    pub fn cards(&self) -> Vec<Card> {
        let own = self.own.iter().map(source);
        let all: Vec<PackSource<'_>> = self.packs().into_iter().chain(own).collect();
        dialer_policy::cards(&all)
    }

    /// The rules of the law and the calendars that ship with this build and that these packs do not have,
    /// or have otherwise: where a folder of packs takes the place of those that ship, it may be newer
    /// law, and it may be less. With `true`: it is missing.
    #[must_use]
    pub fn departures(&self) -> Vec<(String, bool)> {
        if self.shipped {
            return Vec::new();
        }
        let shipped = dialer_policy::cards(SHIPPED);
        let texts: Vec<PackSource<'_>> = self.texts.iter().map(source).collect();
        let changes = dialer_policy::compare(&shipped, &dialer_policy::cards(&texts));
        let law = |change: &Change| {
            let rule = change.kind == CardKind::Rule && !change.id.starts_with("house.");
            (rule || change.kind == CardKind::Calendar) && change.what != ChangeKind::Added
        };
        let rules = changes.into_iter().filter(law);
        rules.map(|change| (change.id, change.what == ChangeKind::Removed)).collect()
    }

    fn packs(&self) -> Vec<PackSource<'_>> {
        let shipped = SHIPPED.iter().filter(|_| self.shipped).copied();
        shipped.chain(self.texts.iter().map(source)).collect()
    }
}

/// The packs of a folder, or those that ship with this build; with the deployment's own pack.
///
/// # Errors
/// See [`RulesError`].
pub fn load(packs: Option<&Path>, house: Option<&Path>) -> Result<Ruleset, RulesError> {
    Written::read(packs, house)?.in_force()
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

/// Rules that look back no farther than histories are kept; any other would count less than it says.
fn remembered(rules: Ruleset) -> Result<Ruleset, RulesError> {
    if let Some(rule) = rules.endless_memory() {
        return Err(RulesError::Endless(rule.clone()));
    }
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

fn read(path: &Path, prefix: &str) -> Result<(String, String), RulesError> {
    let text =
        text_of(path).map_err(|reason| RulesError::Unreadable { path: path.to_owned(), reason })?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok((format!("{prefix}{name}"), text))
}

/// The text of a file, or of the file that a link names: a ConfigMap is mounted as links.
fn text_of(path: &Path) -> io::Result<String> {
    // Asked before it is opened: a pipe would keep whoever opens it waiting.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
    }
    let mut text = String::new();
    fs::File::open(path)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    if u64::try_from(text.len()).is_ok_and(|bytes| bytes <= MAX_BYTES) {
        return Ok(text);
    }
    let most = format!("it has more than {MAX_BYTES} bytes, which no pack needs");
    Err(io::Error::new(io::ErrorKind::InvalidData, most))
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
        assert_eq!((read.departures(), shipped.departures()), (vec![], vec![]));
    }

    #[test]
    fn what_a_folder_has_otherwise_than_it_ships_is_told() {
        let mut written = Written::read(None, None).unwrap();
        written.shipped = false;
        let shipped = SHIPPED.iter().map(|pack| (pack.name.to_owned(), pack.text.to_owned()));
        written.texts = shipped.filter(|(name, _)| !name.ends_with("sg.toml")).collect();
        let regf =
            written.texts.iter_mut().find(|(_, text)| text.contains("\"us.ok.cap\"")).unwrap();
        let (before, rule) = regf.1.split_once("id = \"us.ok.cap\"").unwrap();
        regf.1 = format!("{before}id = \"us.ok.cap\"{}", rule.replacen("max = 3", "max = 5", 1));
        let told = written.departures();
        assert!(told.contains(&("us.ok.cap".to_owned(), false)), "{told:?}");
        assert!(told.iter().any(|(rule, missing)| rule.starts_with("sg.") && *missing), "{told:?}");
        assert!(
            told.iter().all(|(rule, _)| rule.starts_with("sg.") || rule == "us.ok.cap"),
            "{told:?}"
        );
    }

    fn with(own: &str) -> Result<Ruleset, RulesError> {
        let own = PackSource { name: "own.toml", text: own };
        let rules = Ruleset::shipped_with(&[own], Options { house: true });
        remembered(rules.map_err(RulesError::Faults)?)
    }

    #[test]
    fn a_rule_without_end_starts_on_refusals_only() {
        let own = |trigger: &str| {
            format!(
                "[[rule]]\nid = \"own.pause\"\ntitle = \"P\"\ncitation = \"C\"\njurisdiction = \"JP\"\npurposes = [\"any\"]\n\
                 kind = \"cooldown\"\nforce = \"law\"\nforever = true\nkey = \"person\"\n{trigger}\n"
            )
        };
        let told = |trigger: &str| with(&own(trigger)).err().map(|error| error.to_string());
        assert_eq!(told("trigger = [\"refused\"]"), None);
        for more in
            ["trigger = [\"refused\", \"conversation\"]", "trigger = [\"refused\"]\ninbound = true"]
        {
            let told = told(more).unwrap();
            assert!(told.starts_with("rule own.pause has no end (forever)"), "{told}");
        }
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
