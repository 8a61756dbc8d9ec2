//! Loading packs.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use dialer_types::{Language, RuleId};
use sha2::{Digest, Sha256};
use toml::Spanned;
use toml::de::DeTable;

use crate::{
    Call, Departure, Mark, NamedException, Place, RuleHash, Signature, Wait,
    calendar::Calendar,
    evaluate::{OWN_LIST, own_list},
    index::Index,
    kinds::{Body, Head, Shelf},
    own::OwnTables,
    reader::{File, Reader},
    rule::Rule,
    shipped,
    verdict::Names,
};

/// A file of rules, calendars or overrides.
#[derive(Debug, Clone, Copy)]
pub struct PackSource<'a> {
    /// The file's name, for faults.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// How packs are loaded.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// House rules (`house.*`) apply too, and must be among the packs. `policy check` judges by law
    /// alone.
    pub house: bool,
}

/// Something wrong in a pack.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {field}: {message}")]
pub struct PackFault {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The field, for example `rule.us.fl.cap.limits[0].max`.
    pub field: String,
    /// What is wrong.
    pub message: String,
}

/// The hash over all loaded packs, with their names and the options.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RulesetVersion(pub [u8; 32]);

impl fmt::Display for RulesetVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RulesetVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RulesetVersion({self})")
    }
}

/// The rules a process judges by. Immutable: a change loads another.
#[derive(Debug)]
pub struct Ruleset {
    version: RulesetVersion,
    pub(crate) rules: Vec<Rule>,
    index: Index,
    /// Names the rule that stands in no pack.
    pub(crate) own_list: Head,
    covered: Vec<Place>,
    departures: Vec<Departure>,
}

/// What is gathered from all packs.
#[derive(Debug, Default)]
struct Gathered {
    shelf: Shelf,
    rules: Vec<Rule>,
    covered: Vec<Place>,
    departures: Vec<Departure>,
}

impl Ruleset {
    /// Reads packs, calendars and overrides, in any order.
    ///
    /// # Errors
    /// Every fault of every pack, at once.
    pub fn load(packs: &[PackSource<'_>], options: Options) -> Result<Self, Vec<PackFault>> {
        Self::load_with(packs, &[], options)
    }

    /// Reads packs and a deployment's own: those may add rules, adjust rules of the house, tighten
    /// rules of the law, name exceptions and sign.
    ///
    /// # Errors
    /// Every fault of every pack, at once.
    pub fn load_with(
        packs: &[PackSource<'_>],
        own: &[PackSource<'_>],
        options: Options,
    ) -> Result<Self, Vec<PackFault>> {
        let ours = packs.len();
        let packs: Vec<PackSource<'_>> = packs.iter().chain(own).copied().collect();
        let packs = packs.as_slice();
        let files: Vec<File<'_>> =
            packs.iter().map(|pack| File::new(pack.name, pack.text)).collect();
        let documents: Vec<Spanned<DeTable<'_>>> =
            packs.iter().zip(&files).map(|(pack, file)| parse(pack, file)).collect();
        let roots = || {
            files
                .iter()
                .zip(&documents)
                .map(|(file, document)| Reader::new(file, "", document.span(), document.get_ref()))
        };
        let mut gathered = Gathered::default();
        for mut root in roots() {
            for table in root.tables("calendar") {
                gathered.calendar(table);
            }
        }
        let mut tables = OwnTables::default();
        for (at, mut root) in roots().enumerate() {
            // Read and judged above; asked for again so that it is not an unknown field.
            root.skip("calendar");
            if let Some(head) = root.table("pack") {
                gathered.covered.extend(covers(head));
            }
            for table in root.tables("rule") {
                gathered.rule(table);
            }
            tables.gather(&mut root, at >= ours);
            root.finish();
        }
        gathered.departures = tables.apply(&mut gathered.rules);
        let mut faults: Vec<PackFault> = files.into_iter().flat_map(File::into_faults).collect();
        let has_house = gathered.rules.iter().any(|rule| rule.id.is_house());
        if options.house && !has_house && faults.is_empty() {
            faults.push(PackFault {
                file: "(all packs)".to_owned(),
                line: 1,
                field: "rule".to_owned(),
                message: "house rules are asked for and no pack has any".to_owned(),
            });
        }
        if faults.is_empty() {
            Ok(gathered.finish(version(packs, options), options))
        } else {
            Err(faults)
        }
    }

    /// The packs that ship with this build, with or without the house rules.
    ///
    /// # Errors
    /// Every fault of every pack, at once.
    pub fn shipped(options: Options) -> Result<Self, Vec<PackFault>> {
        Self::load(shipped::PACKS, options)
    }

    /// The packs that ship with this build and a deployment's own.
    ///
    /// # Errors
    /// Every fault of every pack, at once.
    pub fn shipped_with(own: &[PackSource<'_>], options: Options) -> Result<Self, Vec<PackFault>> {
        Self::load_with(shipped::PACKS, own, options)
    }

    /// The hash over all loaded packs.
    #[must_use]
    pub const fn version(&self) -> RulesetVersion {
        self.version
    }

    /// The countries whose law the packs know well enough that the house lets calls out.
    #[must_use]
    pub fn covered(&self) -> &[Place] {
        &self.covered
    }

    /// The ids of all rules, in force or not, in the order of the packs.
    pub fn rule_ids(&self) -> impl Iterator<Item = &RuleId> {
        self.rules.iter().map(|rule| &rule.id)
    }

    fn rule(&self, id: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.id.as_str() == id)
    }

    /// How far a rule's text was verified; `None` for rules of the house, of the deployment and
    /// for those that no pack has.
    #[must_use]
    pub fn verification(&self, rule: &str) -> Option<Mark> {
        self.rule(rule)?.mark
    }

    /// The hash of a rule as it is judged: what counsel signs. `None` if no loaded pack has it.
    #[must_use]
    pub fn rule_hash(&self, rule: &str) -> Option<RuleHash> {
        Some(self.rule(rule)?.hash)
    }

    /// Whether counsel has signed a rule: the newest signature under the rule as it is judged, else
    /// the newest of before its last change (`current` tells). `None` if nobody signed.
    #[must_use]
    pub fn signed(&self, rule: &str) -> Option<&Signature> {
        self.rule(rule)?.signatures.iter().max_by_key(|signed| (signed.current, signed.on))
    }

    /// Whether a rule's force lets calls be judged by it. `None` if no loaded pack has it.
    #[must_use]
    pub fn is_on(&self, rule: &str) -> Option<bool> {
        Some(self.rule(rule)?.on)
    }

    /// The rule in force that looks back farthest at placements, and how far; rules that look back
    /// without end are left out. Whoever keeps histories must keep them as long.
    #[must_use]
    pub fn longest_memory(&self) -> Option<(&RuleId, Duration)> {
        let memory = |rule: &Rule| rule.body.memory().and_then(|span| u64::try_from(span).ok());
        let on = self.rules.iter().filter(|rule| rule.on);
        let spans = on.filter_map(|rule| Some((&rule.id, Duration::from_millis(memory(rule)?))));
        spans.max_by_key(|(_, span)| *span)
    }

    /// A rule in force that looks back without end at something else than refusals of calls that were
    /// made: whoever keeps histories keeps only those for ever ([`crate::Past`] with `refused`).
    #[must_use]
    pub fn endless_memory(&self) -> Option<&RuleId> {
        let endless = |rule: &&Rule| match &rule.body {
            Body::Cooldown(pause) => pause.is_endless_beyond_refusals(),
            _ => false,
        };
        self.rules.iter().filter(|rule| rule.on).find(endless).map(|rule| &rule.id)
    }

    /// The departures from what ships that two people answer for.
    #[must_use]
    pub fn departures(&self) -> &[Departure] {
        &self.departures
    }

    /// Every exception on record, in the order of the packs.
    pub fn exceptions(&self) -> impl Iterator<Item = &NamedException> {
        let rules = self.rules.iter().flat_map(|rule| &rule.exceptions);
        rules.map(|exception| exception.named().as_ref())
    }

    /// How old a list may be for the strictest rule that asks for it, in days, by the list's id.
    /// A list of exactly this age is fresh. Lists without a bound are left out.
    #[must_use]
    pub fn list_ages(&self) -> BTreeMap<Arc<str>, u32> {
        let mut ages = BTreeMap::new();
        for rule in self.rules.iter().filter(|rule| rule.on) {
            let Body::List(scrub) = &rule.body else { continue };
            for (list, days) in scrub.ages() {
                let strictest = ages.entry(Arc::clone(list)).or_insert(days);
                *strictest = days.min(*strictest);
            }
        }
        ages
    }

    /// The facts beside a call that some rule asks for: wishes, look-ups, licences, counters. Each as
    /// what a contact waits for without it; one that several rules ask for comes several times.
    pub fn facts_asked(&self) -> impl Iterator<Item = Wait> {
        self.rules.iter().filter(|rule| rule.on).flat_map(|rule| rule.body.facts_asked())
    }

    /// How old the emergency feed may be for the strictest rule that asks for it, in seconds.
    /// `None` if no rule in force asks.
    #[must_use]
    pub fn feed_age(&self) -> Option<i64> {
        let ages = self.rules.iter().filter(|rule| rule.on).filter_map(|rule| match &rule.body {
            Body::Emergency(suspension) => Some(suspension.max_age_seconds()),
            _ => None,
        });
        ages.min()
    }

    /// What a rule is called and where it is written. `None` if no loaded pack has it.
    #[must_use]
    pub fn names_of(&self, rule: &str, language: Language) -> Option<(&str, &str)> {
        if rule == OWN_LIST {
            return Some(own_list(language));
        }
        let rule = self.rules.iter().find(|held| held.id.as_str() == rule)?;
        Some((rule.names.title_in(language), rule.names.citation_in(language)))
    }

    /// The rules about such a call in some jurisdictions and everywhere, in the order of the
    /// packs, in force or not.
    pub(crate) fn rules_about<'a>(
        &'a self,
        call: &'a Call,
        places: &[Place],
    ) -> impl Iterator<Item = &'a Rule> {
        let found = self.index.find(call, places).filter_map(|at| self.rules.get(at));
        found.filter(|rule| rule.is_about(call))
    }
}

/// Reads what can be read of a file; what cannot is a fault.
fn parse<'i>(pack: &PackSource<'i>, file: &File<'_>) -> Spanned<DeTable<'i>> {
    let (document, errors) = DeTable::parse_recoverable(pack.text);
    for error in errors {
        let offset = error.span().map_or(0, |span| span.start);
        file.fault(offset, "(syntax)", error.message());
    }
    document
}

fn covers(mut head: Reader<'_, '_>) -> Vec<Place> {
    head.required_text("id");
    head.required_text("title");
    head.date("as_of");
    let known =
        |name: &str| Place::new(name).filter(|place| crate::places::is_jurisdiction(*place));
    let covered = head.words("covers", known);
    head.finish();
    covered
}

fn version(packs: &[PackSource<'_>], options: Options) -> RulesetVersion {
    let mut sorted: Vec<_> = packs.iter().map(|pack| (pack.name, pack.text)).collect();
    sorted.sort_unstable();
    let mut hash = Sha256::new();
    hash.update([u8::from(options.house)]);
    for (name, text) in sorted {
        for part in [name, text] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    RulesetVersion(hash.finalize().into())
}

impl Gathered {
    fn calendar(&mut self, table: Reader<'_, '_>) {
        let again = table.peek("id").is_some_and(|id| self.shelf.contains_key(&id));
        if again {
            table.fault("id", "another calendar has this id");
        }
        if let Some(calendar) = Calendar::read(table) {
            self.shelf.insert(calendar.id.clone(), Arc::new(calendar));
        }
    }

    fn rule(&mut self, table: Reader<'_, '_>) {
        let again = |id: &str| self.rules.iter().any(|rule| rule.id.as_str() == id);
        if table.peek("id").is_some_and(|id| again(&id)) {
            table.fault("id", "another rule has this id");
        }
        self.rules.extend(Rule::read(table, &self.shelf));
    }

    fn finish(mut self, version: RulesetVersion, options: Options) -> Ruleset {
        if !options.house {
            self.rules.retain(|rule| !rule.id.is_house());
        }
        for rule in &mut self.rules {
            if let Body::Uncovered(uncovered) = &mut rule.body {
                uncovered.covered.clone_from(&self.covered);
            }
        }
        let index = Index::of(&self.rules);
        let ((title, citation), (title_zh, citation_zh)) =
            (own_list(Language::English), own_list(Language::Chinese));
        let names = Names::new(title, Some(title_zh), citation, Some(citation_zh));
        let own_list = (RuleId::new(OWN_LIST), Arc::new(names));
        let Self { rules, covered, departures, .. } = self;
        Ruleset { version, rules, index, own_list, covered, departures }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_of_a_list_is_that_of_the_strictest_rule_in_force() {
        let rule = |id: &str, days: u32, force: &str| {
            format!(
                "[[rule]]\nid = \"{id}\"\ntitle = \"t\"\ncitation = \"c\"\nforce = \"{force}\"\n\
                 verified = \"K\"\npurposes = [\"any\"]\njurisdiction = \"US\"\nkind = \"list_scrub\"\n\
                 lists = [{{ id = \"x\", max_age_days = {days} }}, {{ id = \"y\" }}]\n"
            )
        };
        let text =
            rule("us.a", 31, "law") + &rule("us.b", 15, "law") + &rule("us.c", 7, "proposed");
        let packs = [PackSource { name: "a.toml", text: &text }];
        match Ruleset::load(&packs, Options { house: false }) {
            Ok(rules) => assert_eq!(rules.list_ages(), BTreeMap::from([(Arc::from("x"), 15)])),
            Err(faults) => panic!("{faults:?}"),
        }
        let shipped = Ruleset::shipped(Options { house: true }).unwrap().list_ages();
        assert_eq!(shipped.get("us.national_dnc"), Some(&31));
    }

    #[test]
    fn the_strictest_rule_in_force_says_how_old_the_feed_may_be() {
        let rule = |id: &str, hours: u32, force: &str| {
            format!(
                "[[rule]]\nid = \"{id}\"\ntitle = \"t\"\ncitation = \"c\"\nforce = \"{force}\"\n\
                 verified = \"K\"\npurposes = [\"any\"]\njurisdiction = \"US\"\n\
                 kind = \"emergency_suspension\"\nmax_age_hours = {hours}\n"
            )
        };
        let text = rule("us.a", 24, "law") + &rule("us.b", 6, "law") + &rule("us.c", 1, "proposed");
        let of = |text: &str| {
            Ruleset::load(&[PackSource { name: "a.toml", text }], Options { house: false })
                .map(|rules| rules.feed_age())
        };
        assert_eq!(of(&text).unwrap(), Some(6 * 3600));
        assert_eq!(of(&rule("us.c", 1, "proposed")).unwrap(), None, "nobody asks");
    }
}
