//! Small national lists, marked as demo lists. Australia's is stale.

use std::fmt::Write as _;

use chrono::{DateTime, Days, NaiveDate};

use super::people::Home;

/// List ids with their age in days.
const IDS: &[(&str, u64)] = &[
    ("us.national_dnc", 6),
    ("uk.tps", 5),
    ("uk.ctps", 5),
    ("ca.national_dncl", 3),
    ("au.dncr", 45),
];

/// The lists in the making.
#[derive(Debug)]
pub(super) struct Lists {
    today: NaiveDate,
    entries: Vec<(&'static str, String)>,
}

impl Lists {
    pub(super) fn new(now: i64) -> Self {
        let today = DateTime::from_timestamp_millis(now).unwrap_or_default().date_naive();
        Self { today, entries: Vec::new() }
    }

    /// Puts a number on the list of its country, if that has one.
    pub(super) fn add(&mut self, home: Home, number: &str) {
        let list = match home {
            Home::Florida | Home::Texas => "us.national_dnc",
            Home::Britain => "uk.tps",
            Home::Canada => "ca.national_dncl",
            Home::Australia => "au.dncr",
            Home::France | Home::China | Home::Germany => return,
        };
        self.entries.push((list, number.to_owned()));
    }

    /// File names and contents.
    pub(super) fn files(&self) -> Vec<(String, String)> {
        IDS.iter()
            .map(|(id, age)| {
                let as_of = self.today.checked_sub_days(Days::new(*age)).unwrap_or(self.today);
                let mut text = format!("# demo list\n# id: {id}\n# as_of: {as_of}\n");
                for (_, number) in self.entries.iter().filter(|(list, _)| list == id) {
                    // Writing to a String cannot fail.
                    writeln!(text, "{number}").unwrap_or_default();
                }
                (format!("{id}.txt"), text)
            })
            .collect()
    }
}
