//! Facts that somebody looked up, wrote down or counted: a person's wishes, what a number check
//! said, the caller's licences and counters. Absent is not the same as harmless: the rules that ask
//! for one deny without it unless they say otherwise.

use std::sync::Arc;

use chrono::NaiveDate;
use dialer_types::{LineType, UnixMillis};
use serde::{Deserialize, Serialize};

/// When a person does not want to be called, as the person said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Times that are blocked; empty for a person who was asked and blocks none.
    pub blocked: Vec<Blocked>,
}

/// A time at which the person is left alone, in every zone where the person may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blocked {
    /// Every week on some days, `[from, to)` in seconds since local midnight, 0 to 86,400. A night is
    /// two entries: one that ends before it begins blocks nothing.
    Weekly {
        /// Bit 0 is Monday, bit 6 Sunday.
        days: u8,
        /// The first second.
        from: u32,
        /// The first second after it.
        to: u32,
    },
    /// Whole local dates, both included: a bereavement, a disaster.
    Dates {
        /// The first.
        first: NaiveDate,
        /// The last.
        last: NaiveDate,
    },
    /// Always: the person wants no calls.
    Always,
}

/// What a database of reassigned numbers said about the number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReassignmentCheck {
    /// Which database, for example `us.rnd`.
    pub database: Arc<str>,
    /// Of which day (UTC) the answer is.
    pub as_of: NaiveDate,
    /// Whether the number changed hands since the consent or the last contact.
    pub answer: Reassigned,
}

/// The answer of a database of reassigned numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reassigned {
    /// Still the same person's.
    No,
    /// It has changed hands.
    Yes,
    /// The database does not know.
    NoData,
}

/// What a look-up said about the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineCheck {
    /// Of which day (UTC) the answer is.
    pub as_of: NaiveDate,
    /// What kind of line it is.
    pub line: LineType,
    /// Whose line it is.
    pub class: LineClass,
}

/// Whose line a number is on, where that matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineClass {
    /// A line like any other.
    Ordinary,
    /// An emergency line, a fire station, a poison control centre.
    Emergency,
    /// A room of a patient or of a home.
    Hospital,
    /// A pager.
    Paging,
    /// The called party pays for the call.
    Charged,
}

impl LineClass {
    /// Every class.
    pub const ALL: &'static [Self] =
        &[Self::Ordinary, Self::Emergency, Self::Hospital, Self::Paging, Self::Charged];

    /// The word in packs and cases.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ordinary => "ordinary",
            Self::Emergency => "emergency",
            Self::Hospital => "hospital",
            Self::Paging => "paging",
            Self::Charged => "charged",
        }
    }

    /// The class with this word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|class| class.as_str() == word)
    }
}

/// A registration, licence, bond, approval or certificate that covers this call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Licence {
    /// Its id, as rules name it, for example `script_approved`.
    pub id: Arc<str>,
    /// The first day it holds; `None`: always did.
    pub from: Option<NaiveDate>,
    /// The last day it holds; `None`: without end.
    pub until: Option<NaiveDate>,
}

/// How many calls of some sort the caller made, over all persons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerCounter {
    /// Which, for example `br.short_calls`.
    pub counter: Arc<str>,
    /// How many in the window under way.
    pub count: u32,
    /// When it was counted.
    pub as_of: UnixMillis,
    /// When the window under way ends: from then on nothing of it counts.
    pub resets_at: UnixMillis,
}
