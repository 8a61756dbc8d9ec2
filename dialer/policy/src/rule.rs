//! A rule: its envelope (who, where, since when) and its body (one of the kinds).

use std::sync::Arc;

use chrono::NaiveDate;
use chrono_tz::Tz;
use dialer_types::{LineType, PartyType, Purpose, RuleId, Technology};

use crate::{
    Call, Mark, Past, Place, RuleHash, Signature,
    ask::{Ask, Notes, Ruling},
    kinds::{Body, Shelf},
    own::Exception,
    reader::Reader,
    verdict::Names,
    zone::{DAY, date_starts, utc_date},
};

/// A set of small codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mask(u32);

impl Mask {
    pub(crate) const ALL: Self = Self(u32::MAX);

    pub(crate) fn of(codes: impl IntoIterator<Item = u8>) -> Self {
        Self(codes.into_iter().fold(0, |mask, code| mask | 1 << (code & 31)))
    }

    pub(crate) const fn has(self, code: u8) -> bool {
        self.0 & (1 << (code & 31)) != 0
    }

    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// Technologies named in a field; all if the field is not there.
pub(crate) fn technologies(from: &mut Reader<'_, '_>, key: &str) -> Mask {
    if !from.has(key) {
        return Mask::ALL;
    }
    let words = from.words(key, |word| word.parse::<Technology>().ok());
    if words.is_empty() {
        from.fault(key, "names no technology; leave it out to mean all");
    }
    Mask::of(words.into_iter().map(Technology::code))
}

/// What placements are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    Number,
    /// The account; without one, the number.
    Account,
    /// The number, the account or the person.
    Person,
}

impl Subject {
    fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "number" => Self::Number,
            "account" => Self::Account,
            "person" => Self::Person,
            _ => return None,
        })
    }

    pub(crate) const fn matches(self, past: &Past, has_account: bool) -> bool {
        match self {
            Self::Number => past.same_number,
            Self::Account if has_account => past.same_account,
            Self::Account => past.same_number,
            Self::Person => past.same_number || past.same_account || past.same_person,
        }
    }
}

/// Which earlier placements a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) subject: Subject,
    pub(crate) any_seller: bool,
    pub(crate) any_purpose: bool,
    /// Of the call's own campaign only.
    pub(crate) same_campaign: bool,
}

/// A part of a key that is written as a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyPart {
    Subject(Subject),
    Seller,
    Purpose,
    Campaign,
}

impl KeyPart {
    fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "seller" => Self::Seller,
            "purpose" => Self::Purpose,
            "campaign" => Self::Campaign,
            word => Self::Subject(Subject::from_word(word)?),
        })
    }
}

impl Key {
    pub(crate) fn read(from: &mut Reader<'_, '_>) -> Option<Self> {
        if !from.has("key") {
            from.fault("key", "is missing: account, person or number");
        }
        if from.is_list("key") {
            return Self::of_parts(from);
        }
        let subject = from.word("key", Subject::from_word);
        let any_seller = from.flag("any_seller");
        let any_purpose = from.flag("any_purpose");
        Some(Self { subject: subject?, any_seller, any_purpose, same_campaign: false })
    }

    /// `["person", "campaign"]`: only what all of these have in common with the call counts.
    fn of_parts(from: &mut Reader<'_, '_>) -> Option<Self> {
        let parts = from.words("key", KeyPart::from_word);
        for flag in ["any_seller", "any_purpose"] {
            if from.has(flag) {
                from.fault(flag, "a key that is a list says by itself what it is narrowed to");
                from.skip(flag);
            }
        }
        let mut subjects = parts.iter().filter_map(|part| match part {
            KeyPart::Subject(subject) => Some(*subject),
            _ => None,
        });
        let (subject, more) = (subjects.next(), subjects.next());
        if subject.is_none() || more.is_some() {
            from.fault(
                "key",
                "expected exactly one of account, person, number; over all persons only a volume_cap counts",
            );
            return None;
        }
        Some(Self {
            subject: subject?,
            any_seller: !parts.contains(&KeyPart::Seller),
            any_purpose: !parts.contains(&KeyPart::Purpose),
            same_campaign: parts.contains(&KeyPart::Campaign),
        })
    }
}

/// A kind of party on a kind of line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reach {
    party: Option<PartyType>,
    /// Wireless or not. Voice over IP is landline; an unknown line is both.
    wireless: Option<bool>,
}

impl Reach {
    fn read(mut from: Reader<'_, '_>) -> Self {
        let party = from.word("party", |word| word.parse().ok());
        let wireless = from.word("line", |word| match word {
            "wireless" => Some(true),
            "landline" => Some(false),
            _ => None,
        });
        from.finish();
        Self { party, wireless }
    }

    fn covers(self, line: LineType, party: PartyType) -> bool {
        let line = match (self.wireless, line) {
            (None, _) | (_, LineType::Unknown) => true,
            (Some(wireless), line) => wireless == (line == LineType::Wireless),
        };
        line && self.party.is_none_or(|named| named == party)
    }
}

/// One rule of a pack.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) id: RuleId,
    pub(crate) names: Arc<Names>,
    pub(crate) jurisdiction: Place,
    /// Law, guidance or code; not superseded, proposed or merely adopted.
    pub(crate) on: bool,
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
    purposes: Mask,
    technologies: Mask,
    reach: Vec<Reach>,
    pub(crate) body: Body,
    /// How far its text was verified; rules of the house have no mark.
    pub(crate) mark: Option<Mark>,
    pub(crate) hash: RuleHash,
    pub(crate) exceptions: Vec<Exception>,
    pub(crate) signatures: Vec<Signature>,
}

const FORCES: [(&str, bool); 7] = [
    ("law", true),
    ("regulator_guidance", true),
    ("industry_code", true),
    ("superseded", false),
    ("proposed", false),
    ("adopted_not_in_force", false),
    ("case_law", false),
];

fn is_on(word: &str) -> Option<bool> {
    FORCES.iter().find(|(name, _)| *name == word).map(|(_, on)| *on)
}

/// A change of force on a date: `then = { force = "superseded", from = "2027-01-31" }`. Whoever asks
/// as of a day before it is told what held then.
fn then(
    from: &mut Reader<'_, '_>,
    force: Option<bool>,
    since: Option<NaiveDate>,
    to: Option<NaiveDate>,
) -> (Option<bool>, Option<NaiveDate>, Option<NaiveDate>) {
    let Some(mut change) = from.table("then") else { return (force, since, to) };
    for key in ["force", "from"] {
        if !change.has(key) {
            change.fault(key, "is missing");
        }
    }
    let (then, day) = (change.word("force", is_on), change.date("from"));
    change.finish();
    let (Some(now), Some(then), Some(day)) = (force, then, day) else { return (force, since, to) };
    match (now, then) {
        (false, true) => (Some(true), Some(since.map_or(day, |since| since.max(day))), to),
        (true, false) => {
            let eve = day.pred_opt();
            (Some(true), since, eve.map(|eve| to.map_or(eve, |to| to.min(eve))).or(to))
        }
        (now, _) => (Some(now), since, to),
    }
}

/// Purposes named in a field; `any` means all.
fn purposes(from: &mut Reader<'_, '_>) -> Mask {
    let words = from.words("purposes", |word| match word {
        "any" => Some(None),
        word => word.parse::<Purpose>().ok().map(Some),
    });
    if words.is_empty() {
        from.fault("purposes", "is missing or names none; use \"any\" to mean all");
    }
    if words.contains(&None) {
        return Mask::ALL;
    }
    Mask::of(words.into_iter().flatten().map(Purpose::code))
}

impl Rule {
    /// Reads a `[[rule]]` table.
    pub(crate) fn read(mut from: Reader<'_, '_>, shelf: &Shelf) -> Option<Self> {
        let id = from.required_text("id");
        if let Some(id) = &id {
            from.rename(&format!("rule.{id}"));
        }
        let (title, citation) = (from.required_text("title"), from.required_text("citation"));
        let (title_zh, citation_zh) = (from.text("title_zh"), from.text("citation_zh"));
        let jurisdiction = from.required_text("jurisdiction").and_then(|name| {
            let place = Place::new(&name).filter(|place| crate::places::is_jurisdiction(*place));
            if place.is_none() {
                from.fault(
                    "jurisdiction",
                    "expected a country (ISO 3166-1: US), its region (US-FL), US-STRICTEST, EU or *",
                );
            }
            place
        });
        if !from.has("force") {
            from.fault("force", "is missing");
        }
        let force = from.word("force", is_on);
        let enabled = !from.has("enabled") || from.flag("enabled");
        if !enabled && !id.as_deref().is_some_and(|id| id.starts_with("house.")) {
            from.fault("enabled", "only a rule of the house can be switched off");
        }
        let (since, to) = (from.date("effective_from"), from.date("effective_to"));
        if since.zip(to).is_some_and(|(since, to)| since > to) {
            from.fault("effective_to", "is before `effective_from`");
        }
        let (force, since, to) = then(&mut from, force, since, to);
        let (purposes, technologies) = (purposes(&mut from), technologies(&mut from, "technology"));
        let reach = from.tables("reach").into_iter().map(Reach::read).collect();
        let mark = from.word("verified", Mark::from_word);
        from.word("confidence", |word| ["H", "M", "L"].contains(&word).then_some(()));
        from.text("source");
        from.text("note");
        let kind = from.required_text("kind");
        let id = id.as_deref().map(RuleId::new);
        let names = title.zip(citation).map(|(title, citation)| {
            Arc::new(Names::new(&title, title_zh.as_deref(), &citation, citation_zh.as_deref()))
        });
        let head = id.clone().zip(names.clone());
        let calendar = from.peek("calendar").and_then(|name| shelf.get(&name));
        let calendar = calendar.map(|calendar| calendar.content);
        let body = Body::read(&mut from, kind.as_deref().unwrap_or_default(), head, shelf);
        from.finish();
        Some(Self {
            id: id?,
            names: names?,
            jurisdiction: jurisdiction?,
            on: force? && enabled,
            from: since,
            to,
            purposes,
            technologies,
            reach,
            body: body?,
            mark,
            hash: calendar.map_or(from.content(), |calendar| from.content().and(calendar)),
            exceptions: Vec::new(),
            signatures: Vec::new(),
        })
    }

    /// An earlier first day, a later last one.
    pub(crate) fn widen(&mut self, from: &mut Reader<'_, '_>) {
        if let Some(date) = from.date("effective_from") {
            match self.from {
                Some(first) if date <= first => self.from = Some(date),
                _ => from.fault("effective_from", "is not before the first day of the rule"),
            }
        }
        if let Some(date) = from.date("effective_to") {
            match self.to {
                Some(last) if date >= last => self.to = Some(date),
                _ => from.fault("effective_to", "is not after the last day of the rule"),
            }
        }
    }

    /// Whether the rule can be about calls for such a purpose.
    pub(crate) const fn is_for(&self, purpose: Purpose) -> bool {
        self.on && self.purposes.has(purpose.code())
    }

    /// Whether the rule can be about calls made so.
    pub(crate) const fn is_about_calls_by(&self, technology: Technology) -> bool {
        self.technologies.has(technology.code())
    }

    /// Whether the rule can be about calls to such a party on such a line.
    pub(crate) fn reaches(&self, line: LineType, party: PartyType) -> bool {
        self.reach.is_empty() || self.reach.iter().any(|reach| reach.covers(line, party))
    }

    /// What the rule says now, with its exceptions.
    pub(crate) fn judge(&self, ask: &Ask<'_>, notes: &mut Notes) -> Ruling {
        let counted = notes.counters.len();
        let ruling = self.body.judge(ask, self, notes);
        if self.exceptions.is_empty() {
            return ruling;
        }
        self.excepted(ruling, ask, notes, counted)
    }

    /// Whether the rule is about such calls, wherever and whenever.
    pub(crate) fn is_about(&self, call: &Call) -> bool {
        self.is_for(call.purpose)
            && self.is_about_calls_by(call.technology)
            && self.reaches(call.line, call.party)
    }

    /// When the rule is in force, `[start, end)`: from the first midnight of its first day to the
    /// last midnight after its last in any zone. A start long before `at` is the beginning of time,
    /// which spares a search of old clock changes.
    pub(crate) fn in_force(&self, zones: &[Tz], at: i64) -> (i64, i64) {
        // With no zone the whole world is a candidate.
        let first = |date: NaiveDate| {
            let utc = date.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis();
            let there = zones.iter().map(|zone| date_starts(*zone, date));
            there.min().unwrap_or(utc - 14 * DAY / 24)
        };
        let last = |date: NaiveDate| {
            let next = date.succ_opt().unwrap_or(date);
            let utc = next.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis();
            let there = zones.iter().map(|zone| date_starts(*zone, next));
            there.max().unwrap_or(utc + 12 * DAY / 24)
        };
        let recent = |from: &NaiveDate| (utc_date(at) - *from).num_days() <= 2;
        (self.from.filter(recent).map_or(i64::MIN, first), self.to.map_or(i64::MAX, last))
    }

    /// In force at an instant; cheap where the dates leave no doubt.
    pub(crate) fn is_in_force(&self, zones: &[Tz], at: i64) -> bool {
        let today = utc_date(at);
        let near = |date: NaiveDate| (date - today).num_days().abs() <= 2;
        if self.from.is_some_and(near) || self.to.is_some_and(near) {
            let (start, end) = self.in_force(zones, at);
            return (start..end).contains(&at);
        }
        self.from.is_none_or(|from| from <= today) && self.to.is_none_or(|to| today <= to)
    }
}
