//! What a judgement says, and the evidence it rested on.

use std::sync::Arc;

use chrono::NaiveDate;
use chrono_tz::Tz;
use dialer_types::{RuleId, UnixMillis};

use crate::{Abilities, Place, RulesetVersion};

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
    /// Nothing: this stays refused.
    Never,
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
    /// What it looked at, in a few words; never a number or a name.
    pub inputs: String,
    /// The time at the party, for rules that look at the clock.
    pub local_times: Vec<LocalTime>,
    /// The first moment at which this rule alone would pass; `None` if time alone changes nothing.
    pub first_lawful: Option<UnixMillis>,
    /// What would have to change; `None` if only time.
    pub waits_for: Option<Wait>,
}

/// The time in one candidate zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalTime {
    /// IANA name.
    pub zone: &'static str,
    /// For example `Tue 2026-12-01 07:59:59`.
    pub text: String,
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
    /// What each cap counted (the fullest zone).
    pub counters: Vec<Counter>,
    /// The lists that were consulted.
    pub lists: Vec<ListAge>,
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
