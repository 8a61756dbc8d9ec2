//! What a deployment says in packs of its own about rules that it did not write: it tightens them,
//! names the exception in law it relies on, and signs them.
//!
//! Nothing here loosens a rule of the law silently. A `[[tighten]]` must be shown to be at least as
//! strict or is a fault; an `[[exception]]` names what it relies on, a reason and two people, has a
//! first day, and stands in the evidence of every verdict that it changed.

use std::{fmt, sync::Arc};

use chrono::NaiveDate;
use chrono_tz::Tz;
use dialer_types::RuleId;
use sha2::{Digest, Sha256};

use crate::{
    ask::{Ask, Notes, Ruling},
    kinds::Body,
    reader::Reader,
    rule::Rule,
    zone::{DAY, date_starts},
};

/// How far the text of a rule was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mark {
    /// The official text was read.
    V1,
    /// A secondary source was read.
    V2,
    /// From knowledge only.
    K,
}

impl Mark {
    /// The word in packs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "V1",
            Self::V2 => "V2",
            Self::K => "K",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        [Self::V1, Self::V2, Self::K].into_iter().find(|mark| mark.as_str() == word)
    }
}

/// The hash over a rule as it is judged: its table, the calendar it names, and every tightening,
/// adjustment and exception.
/// Whoever signs a rule signs this.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RuleHash(pub [u8; 32]);

impl fmt::Display for RuleHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RuleHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RuleHash({self})")
    }
}

impl RuleHash {
    fn from_hex(text: &str) -> Option<Self> {
        let mut hash = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (at, byte) in hash.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok()?;
        }
        Some(Self(hash))
    }

    /// This and what changed the rule.
    pub(crate) fn and(self, change: Self) -> Self {
        Self(Sha256::new().chain_update(self.0).chain_update(change.0).finalize().into())
    }
}

/// A signature of the deployment's counsel under a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Who signed.
    pub by: Arc<str>,
    /// On which day.
    pub on: NaiveDate,
    /// Whether the rule is still what was signed; if not, it was signed before its last change.
    pub current: bool,
}

/// An exception in law that the deployment relies on. It loosens a rule between two days, and
/// stands in the evidence of every verdict that it changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedException {
    /// The rule that it lifts, whole or in part.
    pub rule: RuleId,
    /// The exception in law.
    pub relies_on: Arc<str>,
    /// Why it is believed to apply.
    pub reason: Arc<str>,
    /// Who entered it.
    pub by: Arc<str>,
    /// Who looked at it, too.
    pub second_person: Arc<str>,
    /// The first day.
    pub from: NaiveDate,
    /// The last day; `None`: without end.
    pub until: Option<NaiveDate>,
}

/// An exception with what is judged instead of the rule.
#[derive(Debug)]
pub(crate) struct Exception {
    named: Arc<NamedException>,
    /// `None`: the rule is off.
    instead: Option<Body>,
}

impl Exception {
    pub(crate) const fn named(&self) -> &Arc<NamedException> {
        &self.named
    }

    /// `[start, end)`: only while it is one of its days in every candidate zone.
    fn in_force(&self, zones: &[Tz]) -> (i64, i64) {
        let utc = |date: NaiveDate| date.and_time(chrono::NaiveTime::MIN).and_utc();
        // With no zone the whole world is a candidate: from UTC-12 to UTC+14.
        let start = zones.iter().map(|zone| date_starts(*zone, self.named.from)).max();
        let start =
            start.unwrap_or_else(|| utc(self.named.from).timestamp_millis() + 12 * DAY / 24);
        let end = self.named.until.map_or(i64::MAX, |last| {
            let next = last.succ_opt().unwrap_or(last);
            let there = zones.iter().map(|zone| date_starts(*zone, next)).min();
            there.unwrap_or_else(|| utc(next).timestamp_millis() - 14 * DAY / 24)
        });
        (start, end)
    }

    /// The first moment at or after `from` at which it lets the call pass.
    fn first_pass(&self, ask: &Ask<'_>, from: i64) -> Option<i64> {
        let (start, end) = self.in_force(ask.zones());
        let from = from.max(start);
        let open = match &self.instead {
            Some(body) if body.is_timed() => body.first_pass(ask, from)?,
            _ => from,
        };
        (open < end).then_some(open)
    }
}

impl Rule {
    /// What the rule says after its exceptions: a denial that one of them lifts is none, and the
    /// exception stands in the evidence. `before`: how many counters there were before the rule was
    /// asked.
    pub(crate) fn excepted(
        &self,
        ruling: Ruling,
        ask: &Ask<'_>,
        notes: &mut Notes,
        before: usize,
    ) -> Ruling {
        if matches!(ruling, Ruling::Pass) {
            return ruling;
        }
        for exception in &self.exceptions {
            let (start, end) = exception.in_force(ask.zones());
            if !(start..end).contains(&ask.now) {
                continue;
            }
            let counted = notes.counters.len();
            let lifted = match &exception.instead {
                None => Ruling::Pass,
                Some(body) => body.judge(ask, self, notes),
            };
            if matches!(lifted, Ruling::Pass) {
                // A permit names no cap that is used up: those of the exception take their place.
                notes.counters.drain(before..counted);
                notes.exceptions.push(Arc::clone(&exception.named));
                notes.changes_at(end);
                return Ruling::Pass;
            }
            notes.counters.truncate(counted);
        }
        ruling
    }

    /// The first moment at or after `from` at which an exception lets a call pass.
    pub(crate) fn first_exception(&self, ask: &Ask<'_>, from: i64) -> Option<i64> {
        self.exceptions.iter().filter_map(|exception| exception.first_pass(ask, from)).min()
    }
}

/// The tables of packs of one's own that are about rules of others.
#[derive(Debug, Default)]
pub(crate) struct OwnTables<'a, 'i> {
    overrides: Vec<Reader<'a, 'i>>,
    tightens: Vec<Reader<'a, 'i>>,
    exceptions: Vec<Reader<'a, 'i>>,
    signatures: Vec<Reader<'a, 'i>>,
    departures: Vec<Reader<'a, 'i>>,
}

/// A rule or calendar that a folder of packs has otherwise than it ships, or not at all, on the word of
/// two people. What is judged then is the folder's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    /// The id of the rule or calendar.
    pub rule: Arc<str>,
    /// Why.
    pub reason: Arc<str>,
    /// Who entered it.
    pub by: Arc<str>,
    /// Who looked at it, too.
    pub second_person: Arc<str>,
}

impl<'a, 'i> OwnTables<'a, 'i> {
    /// Takes them out of a file; `own`: the file is a pack of one's own.
    pub(crate) fn gather(&mut self, root: &mut Reader<'a, 'i>, own: bool) {
        self.overrides.extend(root.tables("override"));
        for (key, tables) in [
            ("tighten", &mut self.tightens),
            ("exception", &mut self.exceptions),
            ("signature", &mut self.signatures),
            ("departure", &mut self.departures),
        ] {
            if root.has(key) && !own {
                root.fault(key, "belongs into a pack of your own: the house file");
            }
            tables.extend(root.tables(key));
        }
    }

    /// Changes the rules, in this order: adjustments of the house, tightenings, exceptions; then
    /// signatures, which are of the rule as it is judged.
    pub(crate) fn apply(self, rules: &mut [Rule]) -> Vec<Departure> {
        for mut from in self.overrides {
            if let Some(rule) = named(&mut from, rules) {
                adjust(&mut from, rule);
            }
        }
        for mut from in self.tightens {
            if let Some(rule) = named(&mut from, rules) {
                tighten(&mut from, rule);
            }
        }
        for mut from in self.exceptions {
            if let Some(rule) = named(&mut from, rules) {
                except(&mut from, rule);
            }
        }
        for mut from in self.signatures {
            if let Some(rule) = named(&mut from, rules) {
                sign(&mut from, rule);
            }
        }
        self.departures.into_iter().filter_map(depart).collect()
    }
}

/// `[[departure]]`: two people answer for what a folder of packs has otherwise than it ships.
fn depart(mut from: Reader<'_, '_>) -> Option<Departure> {
    let (rule, reason) = (from.required_text("rule"), from.required_text("reason"));
    let (by, second) = two_people(&mut from);
    from.finish();
    Some(Departure {
        rule: rule?.into(),
        reason: reason?.into(),
        by: by?.into(),
        second_person: second?.into(),
    })
}

/// Who entered it, and who looked at it, too.
fn two_people(from: &mut Reader<'_, '_>) -> (Option<String>, Option<String>) {
    let (by, second) = (from.required_text("by"), from.required_text("second_person"));
    if by.as_deref().zip(second.as_deref()).is_some_and(|(one, other)| same_person(one, other)) {
        from.fault("second_person", "is the same as `by`: it takes two people");
    }
    (by, second)
}

/// The rule that a table is about.
fn named<'r>(from: &mut Reader<'_, '_>, rules: &'r mut [Rule]) -> Option<&'r mut Rule> {
    let name = from.required_text("rule")?;
    let found = rules.iter_mut().find(|rule| rule.id.as_str() == name);
    if found.is_none() {
        from.fault("rule", "no loaded rule has this id");
    }
    found
}

/// `[[override]]`: adjusts a rule of the house.
fn adjust(from: &mut Reader<'_, '_>, rule: &mut Rule) {
    if !rule.id.is_house() {
        return from.fault("rule", "only house rules can be adjusted; see [[tighten]]");
    }
    if from.has("enabled") {
        rule.on = from.flag("enabled");
    }
    rule.body.change(from, false);
    rule.hash = rule.hash.and(from.content());
    from.finish();
}

/// `[[tighten]]`: makes a rule stricter, and is refused where that is not shown.
fn tighten(from: &mut Reader<'_, '_>, rule: &mut Rule) {
    if !rule.on {
        from.fault("rule", "is not in force: nothing is judged by it");
    }
    from.text("reason");
    rule.widen(from);
    rule.body.change(from, true);
    rule.hash = rule.hash.and(from.content());
    from.finish();
}

/// What an exception relies on stands in every record that it changed, which is at most 65,536
/// bytes long.
const MOST_TEXT: usize = 500;

/// A plus sign and seven digits: the audit takes no record with it.
fn is_number(bytes: &[u8]) -> bool {
    matches!(bytes, [b'+', digits @ ..] if digits.iter().all(u8::is_ascii_digit))
}

/// Two names of one person, whatever their case and spaces.
fn same_person(one: &str, other: &str) -> bool {
    // Letters and digits only: what cannot be seen, or a full stop more, makes no other person.
    let plain = |name: &str| {
        name.to_lowercase().chars().filter(|c| c.is_alphanumeric()).collect::<String>()
    };
    let (one, other) = (plain(one), plain(other));
    one == other || one.is_empty() || other.is_empty()
}

/// `[[exception]]`: switches a rule of the law off, or replaces its parameters, by an exception.
fn except(from: &mut Reader<'_, '_>, rule: &mut Rule) {
    if rule.id.is_house() {
        from.fault("rule", "is a rule of the house: adjust it in an [[override]]");
    }
    if !rule.on {
        from.fault("rule", "is not in force: there is nothing to except");
    }
    let (relies_on, reason) = (from.required_text("relies_on"), from.required_text("reason"));
    let (by, second) = two_people(from);
    if !from.has("from") {
        from.fault("from", "is missing: the first day of the exception");
    }
    let (first, until) = (from.date("from"), from.date("until"));
    if first.zip(until).is_some_and(|(first, until)| first > until) {
        from.fault("until", "is before `from`");
    }
    let (off, replace) = (from.flag("off"), from.table("replace"));
    if off == replace.is_some() {
        from.fault("off", "expected either `off = true` or `replace = { .. }`");
    }
    let instead = replace.map(|mut fields| {
        let mut body = rule.body.clone();
        if fields.unread().is_empty() {
            from.fault("replace", "replaces nothing");
        }
        body.change(&mut fields, false);
        fields.finish();
        body
    });
    rule.hash = rule.hash.and(from.content());
    from.finish();
    for (key, text) in [("relies_on", &relies_on), ("reason", &reason)] {
        let telephone = |text: &String| text.as_bytes().windows(8).any(is_number);
        if text.as_ref().is_some_and(|text| text.len() > MOST_TEXT || telephone(text)) {
            from.fault(
                key,
                "stands in records of the audit: at most 500 bytes, no telephone number",
            );
        }
    }
    if let (Some(relies_on), Some(reason), Some(by), Some(second), Some(first)) =
        (relies_on, reason, by, second, first)
    {
        let named = Arc::new(NamedException {
            rule: rule.id.clone(),
            relies_on: relies_on.into(),
            reason: reason.into(),
            by: by.into(),
            second_person: second.into(),
            from: first,
            until,
        });
        rule.exceptions.push(Exception { named, instead });
    }
}

/// `[[signature]]`: counsel signs a rule as it is judged.
fn sign(from: &mut Reader<'_, '_>, rule: &mut Rule) {
    for key in ["hash", "on"] {
        if !from.has(key) {
            from.fault(key, "is missing");
        }
    }
    let (hash, by) = (from.word("hash", RuleHash::from_hex), from.required_text("by"));
    let on = from.date("on");
    from.finish();
    if let (Some(hash), Some(by), Some(on)) = (hash, by, on) {
        rule.signatures.push(Signature { by: by.into(), on, current: hash == rule.hash });
    }
}

#[cfg(test)]
mod tests;
