//! A folder of its own for each test, and what is built there.
#![allow(dead_code, clippy::unwrap_used, reason = "a test may panic, and not each uses all of it")]

use std::{
    fmt::Write as _,
    fs,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

use chrono::NaiveDate;
use dialer_lists::{Applied, Built, Day, MakeError, Name, apply, build};
use dialer_types::{E164, UnixMillis};

/// The day of the lists.
pub(crate) const DAY: NaiveDate = NaiveDate::from_ymd_opt(2026, 11, 20).unwrap();
/// 2026-11-27, noon.
pub(crate) const NOW: UnixMillis = UnixMillis(1_795_780_800_000);

/// So many days after [`DAY`].
pub(crate) fn day(after: u64) -> NaiveDate {
    DAY.checked_add_days(chrono::Days::new(after)).unwrap()
}

pub(crate) fn id() -> Name {
    "us.national_dnc".parse().unwrap()
}

pub(crate) fn number(digits: u64) -> E164 {
    E164::from_digits(digits).unwrap()
}

pub(crate) fn text_of<'a>(numbers: impl IntoIterator<Item = &'a u64>) -> String {
    numbers.into_iter().fold(String::new(), |mut text, number| {
        writeln!(text, "+{number}").unwrap();
        text
    })
}

/// Removed when dropped.
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
}

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("rf-snapshots-{name}-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self { path }
    }

    fn day(&self, anyway: bool) -> Day<'_> {
        Day { now: NOW, folder: &self.path, anyway }
    }

    pub(crate) fn build(&self, text: &str) -> Result<Built, MakeError> {
        self.build_of(DAY, text)
    }

    pub(crate) fn build_of(&self, as_of: NaiveDate, text: &str) -> Result<Built, MakeError> {
        build(&id(), as_of, (None, None), &self.day(false), &mut text.as_bytes())
    }

    pub(crate) fn build_anyway(&self, text: &str) -> Result<Built, MakeError> {
        build(&id(), DAY, (None, None), &self.day(true), &mut text.as_bytes())
    }

    pub(crate) fn apply(&self, text: &str) -> Result<Applied, MakeError> {
        apply(None, &self.day(false), &mut text.as_bytes())
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.path).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.path).unwrap();
    }
}
