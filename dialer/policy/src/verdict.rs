//! What a judgement says, and the evidence it rested on.

use std::sync::Arc;

use chrono::{Datelike, NaiveDate, Timelike, Weekday};
use chrono_tz::Tz;
use dialer_types::{Language, RuleId, Say, UnixMillis};

use crate::{
    Abilities, Ability, Grounds, Lift, NamedException, Place, RulesetVersion, zone::local,
};

/// The answer to "may this call be placed now?".
#[derive(Debug)]
pub enum Verdict {
    /// No rule denies.
    Permit(Permit),
    /// Only time-dependent rules deny; there is an instant at which none does.
    Defer(Deferral),
    /// A rule denies that no passage of time alone changes.
    Refuse(Refusal),
}

impl Verdict {
    /// The rules that deny: all of them, in the order of the packs. Empty for a permit.
    #[must_use]
    pub fn denials(&self) -> &[Denial] {
        match self {
            Self::Permit(_) => &[],
            Self::Defer(deferral) => &deferral.denials,
            Self::Refuse(refusal) => &refusal.denials,
        }
    }

    /// What the judgement rested on.
    #[must_use]
    pub fn evidence(&self) -> &Evidence {
        match self {
            Self::Permit(permit) => permit.evidence(),
            Self::Defer(deferral) => &deferral.evidence,
            Self::Refuse(refusal) => &refusal.evidence,
        }
    }

    /// The rules that were asked and let the call pass, in the order of the packs.
    pub fn passed(&self) -> impl Iterator<Item = &RuleId> {
        // Denials stand in the order of the asked rules, so one walk along both is enough.
        let mut denied = self.denials().iter().map(|denial| &denial.rule).peekable();
        self.evidence().rules.iter().filter(move |rule| denied.next_if_eq(rule).is_none())
    }

    /// `permit`, `defer` or `refuse`.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Permit(_) => "permit",
            Self::Defer(_) => "defer",
            Self::Refuse(_) => "refuse",
        }
    }
}

/// Leave to place one call, made only by `Ruleset::evaluate`. It cannot be copied: one judgement,
/// one placement.
#[derive(Debug)]
pub struct Permit {
    pub(crate) stands_until: UnixMillis,
    pub(crate) obligations: Vec<Arc<Obligation>>,
    pub(crate) ruleset: RulesetVersion,
    pub(crate) evidence: Evidence,
}

impl Permit {
    /// The first moment at which the same facts might give another verdict: a window closes or a
    /// day ends in some candidate zone, a list or feed goes stale, a dated revocation starts.
    /// Exclusive: the call must leave before it.
    #[must_use]
    pub const fn stands_until(&self) -> UnixMillis {
        self.stands_until
    }

    /// The duties that go with the call.
    #[must_use]
    pub fn obligations(&self) -> &[Arc<Obligation>] {
        &self.obligations
    }

    /// The rules it was judged by.
    #[must_use]
    pub const fn ruleset(&self) -> RulesetVersion {
        self.ruleset
    }

    /// What it rested on.
    #[must_use]
    pub const fn evidence(&self) -> &Evidence {
        &self.evidence
    }
}

/// Not now, but at a known moment.
#[derive(Debug, Clone)]
pub struct Deferral {
    /// The earliest whole second at which every time-dependent rule that applies passes, provided
    /// nobody is called in between.
    pub until: UnixMillis,
    /// Every rule that denies now.
    pub denials: Vec<Denial>,
    /// What the judgement rested on.
    pub evidence: Evidence,
}

/// Not until something other than the time changes.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// Every rule that denies now. Never empty.
    pub denials: Vec<Denial>,
    /// What would have to change, without repetition.
    pub waits_for: Vec<Wait>,
    /// What the judgement rested on.
    pub evidence: Evidence,
}

/// What a refused call waits for: the events that wake a parked contact.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wait {
    /// A consent that covers the call.
    Consent,
    /// A fresh copy of this list, or the number's leaving it.
    List(Arc<str>),
    /// The end of the suppression.
    Suppression,
    /// An address or a time zone.
    Address,
    /// A change of rule packs or calendars.
    Pack,
    /// A fresh emergency feed, or the end of the emergency.
    Feed,
    /// A change of the build or the campaign: it cannot do this (a word of [`crate::Ability`]).
    Obligation(&'static str),
    /// Another kind of line, another party: a change of the contact's data.
    Contact,
    /// The person's wishes on record, or other wishes.
    Wishes,
    /// A fresh look-up of the number: the database's id, or `line`.
    Check(Arc<str>),
    /// A licence, registration, approval or certificate with this id.
    Licence(Arc<str>),
    /// A fresh counter of the caller's calls.
    Counter(Arc<str>),
    /// Nothing: this stays refused.
    Never,
}

impl Wait {
    /// The word in answers and stores: `consent`, `list:us.national_dnc`, `obligation:opt_out_key`.
    #[must_use]
    pub fn word(&self) -> String {
        match self {
            Self::Consent => "consent".into(),
            Self::List(list) => format!("list:{list}"),
            Self::Suppression => "suppression".into(),
            Self::Address => "address".into(),
            Self::Pack => "pack".into(),
            Self::Feed => "feed".into(),
            Self::Obligation(word) => format!("obligation:{word}"),
            Self::Contact => "contact".into(),
            Self::Wishes => "wishes".into(),
            Self::Check(id) => format!("check:{id}"),
            Self::Licence(id) => format!("licence:{id}"),
            Self::Counter(id) => format!("counter:{id}"),
            Self::Never => "never".into(),
        }
    }

    /// What has this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "consent" => Self::Consent,
            "suppression" => Self::Suppression,
            "address" => Self::Address,
            "pack" => Self::Pack,
            "feed" => Self::Feed,
            "contact" => Self::Contact,
            "wishes" => Self::Wishes,
            "never" => Self::Never,
            _ => match word.split_once(':')? {
                ("list", list) => Self::List(list.into()),
                ("check", id) => Self::Check(id.into()),
                ("licence", id) => Self::Licence(id.into()),
                ("counter", id) => Self::Counter(id.into()),
                ("obligation", word) => Self::Obligation(Ability::from_word(word)?.as_str()),
                _ => return None,
            },
        })
    }
}

/// One rule that denies.
#[derive(Debug, Clone)]
pub struct Denial {
    /// Which.
    pub rule: RuleId,
    /// Where the rule is written.
    pub citation: Arc<str>,
    /// What the rule is called.
    pub title: Arc<str>,
    /// Title and citation in every language.
    pub(crate) names: Arc<Names>,
    /// What it looked at, in a few words; never a number or a name. The audit keeps the English.
    pub inputs: Say,
    /// The time at the party, for rules that look at the clock.
    pub local_times: Vec<LocalTime>,
    /// The first moment at which this rule alone would pass; `None` if time alone changes nothing.
    pub first_lawful: Option<UnixMillis>,
    /// What would have to change; `None` if only time.
    pub waits_for: Option<Wait>,
}

impl Denial {
    /// What the rule is called; in English where the pack has no other.
    #[must_use]
    pub fn title_in(&self, language: Language) -> &str {
        self.names.title_in(language)
    }

    /// Where the rule is written: in the words of the source, but for rules of the house.
    #[must_use]
    pub fn citation_in(&self, language: Language) -> &str {
        self.names.citation_in(language)
    }
}

impl Obligation {
    /// What the rule is called; in English where the pack has no other.
    #[must_use]
    pub fn title_in(&self, language: Language) -> &str {
        self.names.title_in(language)
    }

    /// Where the rule is written.
    #[must_use]
    pub fn citation_in(&self, language: Language) -> &str {
        self.names.citation_in(language)
    }
}

/// What a rule is called and where it is written, in every language.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) title: Arc<str>,
    pub(crate) citation: Arc<str>,
    title_zh: Option<Box<str>>,
    citation_zh: Option<Box<str>>,
}

impl Names {
    pub(crate) fn new(
        title: &str,
        title_zh: Option<&str>,
        citation: &str,
        citation_zh: Option<&str>,
    ) -> Self {
        Self {
            title: title.into(),
            citation: citation.into(),
            title_zh: title_zh.map(Box::from),
            citation_zh: citation_zh.map(Box::from),
        }
    }

    pub(crate) fn title_in(&self, language: Language) -> &str {
        let zh = self.title_zh.as_deref().filter(|_| language == Language::Chinese);
        zh.unwrap_or(&self.title)
    }

    pub(crate) fn citation_in(&self, language: Language) -> &str {
        let zh = self.citation_zh.as_deref().filter(|_| language == Language::Chinese);
        zh.unwrap_or(&self.citation)
    }
}

/// The time in one candidate zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalTime {
    /// IANA name.
    pub zone: &'static str,
    pub(crate) tz: Tz,
    at: UnixMillis,
}

impl LocalTime {
    /// The time in a zone at a moment.
    #[must_use]
    pub fn of(tz: Tz, at: UnixMillis) -> Self {
        Self { zone: tz.name(), tz, at }
    }

    /// Date, day of the week and time; see [`local_time`].
    #[must_use]
    pub fn text_in(&self, language: Language) -> String {
        local_time(self.tz, self.at, language)
    }
}

/// The local date and time at a moment: `Tue 2026-12-01 09:00:00`, `2026年12月1日 周二 09:00`.
#[must_use]
pub fn local_time(zone: Tz, at: UnixMillis, language: Language) -> String {
    let wall = local(zone, at.0);
    match language {
        Language::English => wall.format("%a %Y-%m-%d %H:%M:%S").to_string(),
        Language::Chinese => {
            let day = match wall.weekday() {
                Weekday::Mon => "一",
                Weekday::Tue => "二",
                Weekday::Wed => "三",
                Weekday::Thu => "四",
                Weekday::Fri => "五",
                Weekday::Sat => "六",
                Weekday::Sun => "日",
            };
            let (year, month, date) = (wall.year(), wall.month(), wall.day());
            let clock = if wall.second() == 0 { "%H:%M" } else { "%H:%M:%S" };
            format!("{year}年{month}月{date}日 周{day} {}", wall.format(clock))
        }
    }
}

/// A duty that goes with a permitted call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obligation {
    /// The rule that imposes it.
    pub rule: RuleId,
    /// Where it is written.
    pub citation: Arc<str>,
    /// What the rule is called.
    pub title: Arc<str>,
    /// Title and citation in every language.
    pub(crate) names: Arc<Names>,
    /// The rule's kind, for example `announcement`.
    pub kind: &'static str,
    /// What the campaign or the build must be able to do.
    pub requires: Abilities,
}

/// What a judgement rested on, for the audit.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// The rules that applied, whether or not they denied.
    pub rules: Vec<RuleId>,
    /// The zones the party may be in.
    pub zones: Vec<Tz>,
    /// The jurisdictions the party may be in.
    pub jurisdictions: Vec<Place>,
    /// What each zone and jurisdiction rests on.
    pub grounds: Grounds,
    /// What each cap counted (the fullest zone).
    pub counters: Vec<Counter>,
    /// The lists that were consulted.
    pub lists: Vec<ListAge>,
    /// The exceptions without which a rule would have denied, in the order of the packs.
    pub exceptions: Vec<Arc<NamedException>>,
    /// The do-not-call entries that would deny but for a consent given to lift them.
    pub lifts: Vec<Lift>,
    /// How many do-not-call entries there are that are about other purposes.
    pub other_purposes: u32,
}

/// What one limit of a rule counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    /// The rule.
    pub rule: RuleId,
    /// How many counted, in the zone where most did.
    pub count: u32,
    /// How many are allowed.
    pub max: u32,
}

/// A list that was consulted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListAge {
    /// Its id.
    pub list: Arc<str>,
    /// Of which day the copy was; `None` if there was none.
    pub as_of: Option<NaiveDate>,
}
