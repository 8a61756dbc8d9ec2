//! Holiday calendars: dated, per jurisdiction. A year that a calendar does not have is closed.
//!
//! The dates are what counts; `tests/calendars.rs` computes them anew from the rules they follow.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, NaiveDate};

use crate::{RuleHash, reader::Reader};

/// What a calendar says about a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holiday {
    Yes,
    No,
    /// The year is missing: nobody knows.
    Unknown,
}

/// The holidays of one jurisdiction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Calendar {
    pub(crate) id: String,
    years: BTreeMap<i32, BTreeSet<NaiveDate>>,
    /// The hash over all of it: a rule that looks at it is another rule when it changes.
    pub(crate) content: RuleHash,
}

impl Calendar {
    /// Reads a `[[calendar]]` table: an id, where the days are written, and for each year its days
    /// as `MM-DD`.
    pub(crate) fn read(mut from: Reader<'_, '_>) -> Option<Self> {
        let (id, content) = (from.required_text("id"), from.content());
        if let Some(id) = &id {
            from.rename(&format!("calendar.{id}"));
        }
        from.required_text("source");
        // What the dates hold of a holiday that falls on a day of rest; for the reader of the file.
        from.word("observed", |word| ["actual", "observed", "both"].contains(&word).then_some(()));
        let mut years = BTreeMap::new();
        for key in from.unread() {
            let Some(year) = key.parse::<i32>().ok().filter(|year| (2000..2200).contains(year))
            else {
                from.fault(&key, "expected `id`, `source`, `observed` or a year");
                continue;
            };
            let days = from.words(&key, |day| {
                NaiveDate::parse_from_str(&format!("{year}-{day}"), "%Y-%m-%d").ok()
            });
            if days.is_empty() {
                from.fault(&key, "a year without holidays is more likely a mistake");
            }
            years.insert(year, days.into_iter().collect());
        }
        from.finish();
        id.map(|id| Self { id, years, content })
    }

    pub(crate) fn holiday(&self, date: NaiveDate) -> Holiday {
        match self.years.get(&date.year()) {
            Some(days) if days.contains(&date) => Holiday::Yes,
            Some(_) => Holiday::No,
            None => Holiday::Unknown,
        }
    }
}
