//! The national lists at this stage: small demo files, each a sorted vector, replaced whole.
//!
//! A file is text: a line `# demo list`, header lines `# id: us.national_dnc` and
//! `# as_of: 2026-11-20`, then one E.164 number a line. Blank lines are passed over.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use arc_swap::ArcSwap;
use chrono::NaiveDate;
use dialer_policy::{Feed, ListFact};
use dialer_types::E164;

use crate::feeds::{self, FeedError};

/// Why a file is not a list. Never repeats a number.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The file could not be read.
    #[error("cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// The first line is another.
    #[error("line 1 is not '# demo list': only demo lists are read at this stage")]
    NotDemo,
    /// A header is missing or wrong.
    #[error("header '# {0}: ...' is missing or not understood")]
    Header(&'static str),
    /// A line is not a number.
    #[error("line {line}: {reason}")]
    Number {
        /// Counted from 1.
        line: usize,
        /// Why.
        reason: dialer_types::E164Error,
    },
}

/// One list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Its id, for example `us.national_dnc`.
    pub id: Arc<str>,
    /// Of which day the copy is.
    pub as_of: NaiveDate,
    numbers: Vec<u64>,
}

impl List {
    /// Reads the text of a list file.
    ///
    /// # Errors
    /// See [`ListError`].
    pub fn parse(text: &str) -> Result<Self, ListError> {
        let mut lines = text.lines().enumerate();
        if lines.next().is_none_or(|(_, line)| line.trim() != "# demo list") {
            return Err(ListError::NotDemo);
        }
        let (mut id, mut as_of, mut numbers) = (None, None, Vec::new());
        for (at, line) in lines {
            let line = line.trim();
            if let Some(header) = line.strip_prefix('#') {
                match header.split_once(':').map(|(name, value)| (name.trim(), value.trim())) {
                    Some(("id", value)) if !value.is_empty() => id = Some(Arc::from(value)),
                    Some(("as_of", value)) => as_of = value.parse().ok(),
                    _ => {}
                }
            } else if !line.is_empty() {
                let number: E164 =
                    line.parse().map_err(|reason| ListError::Number { line: at + 1, reason })?;
                numbers.push(number.digits());
            }
        }
        numbers.sort_unstable();
        numbers.dedup();
        Ok(Self {
            id: id.ok_or(ListError::Header("id"))?,
            as_of: as_of.ok_or(ListError::Header("as_of"))?,
            numbers,
        })
    }

    /// Whether a number is on it.
    #[must_use]
    pub fn contains(&self, number: E164) -> bool {
        self.numbers.binary_search(&number.digits()).is_ok()
    }
}

/// Every list there is, by id, and the emergency feed. What is missing is absent, and absent denies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lists {
    lists: BTreeMap<Arc<str>, List>,
    /// The freshest emergency feed.
    pub emergency: Option<Feed>,
}

impl std::ops::Deref for Lists {
    type Target = BTreeMap<Arc<str>, List>;

    fn deref(&self) -> &Self::Target {
        &self.lists
    }
}

impl Lists {
    /// What contacts would be parked under that wait for one of these, as the gate names it.
    #[must_use]
    pub fn causes(&self) -> Vec<String> {
        let lists = self.lists.keys().map(|list| format!("list:{list}"));
        lists.chain(self.emergency.iter().map(|_| "feed".to_owned())).collect()
    }
}

/// What the lists say about a number.
#[must_use]
pub fn facts(lists: &Lists, number: E164) -> Vec<ListFact> {
    lists
        .values()
        .map(|list| ListFact {
            list: Arc::clone(&list.id),
            as_of: list.as_of,
            contains: list.contains(number),
        })
        .collect()
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
}

/// The folder of the lists, and what was read from it.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    lists: Arc<ArcSwap<Lists>>,
    stamps: BTreeMap<PathBuf, Stamp>,
    held: BTreeMap<PathBuf, List>,
    feeds: BTreeMap<PathBuf, Feed>,
}

impl Folder {
    /// The folder at `path`, read once. A folder that is not there holds no list, and is said so.
    #[must_use]
    pub fn open(path: &Path) -> Self {
        let mut folder = Self {
            path: path.to_owned(),
            lists: Arc::default(),
            stamps: BTreeMap::new(),
            held: BTreeMap::new(),
            feeds: BTreeMap::new(),
        };
        if !path.is_dir() {
            tracing::warn!(folder = %path.display(), "no folder of national lists: what needs one is refused");
        }
        folder.look();
        folder
    }

    /// The lists as they are now, swapped whole.
    #[must_use]
    pub fn lists(&self) -> Arc<ArcSwap<Lists>> {
        Arc::clone(&self.lists)
    }

    /// Reads what has changed; returns what waits for it: the causes of lists and of the feed that
    /// are new or others than before. A file that cannot be read keeps its last good copy, which
    /// grows stale by itself.
    pub fn look(&mut self) -> Vec<String> {
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            // Still being written: it is moved to its name when it is whole.
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let Ok(meta) = entry.metadata() else { continue };
            if meta.is_file() {
                let stamp = Stamp { modified: meta.modified().ok(), bytes: meta.len() };
                found.insert(entry.path(), stamp);
            }
        }
        if found == self.stamps {
            return Vec::new();
        }
        for path in self.held.keys().filter(|path| !found.contains_key(*path)) {
            tracing::warn!(file = %path.display(), "a national list was taken away: its copy is no longer used");
        }
        self.held.retain(|path, _| found.contains_key(path));
        self.feeds.retain(|path, _| found.contains_key(path));
        for (path, stamp) in &found {
            if self.stamps.get(path) != Some(stamp) {
                self.read(path);
            }
        }
        self.stamps = found;
        self.swap()
    }

    fn read(&mut self, path: &Path) {
        if path.extension().is_some_and(|kind| kind == feeds::EXTENSION) {
            self.read_feed(path);
        } else {
            self.read_list(path);
        }
    }

    fn read_feed(&mut self, path: &Path) {
        let read = fs::read_to_string(path).map_err(FeedError::from);
        match read.and_then(|text| feeds::parse(&text)) {
            Ok(feed) => {
                tracing::info!(areas = feed.areas.len(), "an emergency feed is loaded");
                self.feeds.insert(path.to_owned(), feed);
            }
            Err(error) => {
                tracing::error!(file = %path.display(), %error, "an emergency feed is not used");
            }
        }
    }

    fn read_list(&mut self, path: &Path) {
        let read = fs::read_to_string(path).map_err(ListError::from);
        match read.and_then(|text| List::parse(&text)) {
            Ok(list) => {
                tracing::info!(list = %list.id, as_of = %list.as_of, numbers = list.numbers.len(), "a list is loaded");
                self.held.insert(path.to_owned(), list);
            }
            Err(error) => {
                tracing::error!(file = %path.display(), %error, "a national list is not used");
            }
        }
    }

    /// Puts the new lists in place of the old; of two files with one id the fresher counts.
    fn swap(&self) -> Vec<String> {
        let mut lists = Lists::default();
        for list in self.held.values() {
            match lists.lists.get(&list.id) {
                Some(held) if held.as_of >= list.as_of => {}
                _ => {
                    lists.lists.insert(Arc::clone(&list.id), list.clone());
                }
            }
        }
        lists.emergency = self.feeds.values().max_by_key(|feed| feed.as_of).cloned();
        let old = self.lists.load_full();
        let mut changed: Vec<String> = lists
            .values()
            .filter(|list| old.get(&list.id).is_none_or(|held| held != *list))
            .map(|list| format!("list:{}", list.id))
            .collect();
        if lists.emergency.is_some() && lists.emergency != old.emergency {
            changed.push("feed".to_owned());
        }
        self.lists.store(Arc::new(lists));
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demo_list_is_read_and_looked_up() {
        let list = List::parse(
            "# demo list\n# id: us.national_dnc\n# as_of: 2026-11-20\n\n+13055550123\n+12125550100\n+13055550123\n",
        )
        .unwrap();
        assert_eq!((&*list.id, list.numbers.len()), ("us.national_dnc", 2));
        assert!(list.contains("+13055550123".parse().unwrap()));
        assert!(!list.contains("+13055550124".parse().unwrap()));
    }

    #[test]
    fn a_file_that_is_no_list_is_refused_with_its_line_and_without_its_number() {
        for (text, said) in [
            ("", "line 1"),
            ("+13055550123\n", "line 1"),
            ("# demo list\n# as_of: 2026-11-20\n", "# id:"),
            ("# demo list\n# id: x\n# as_of: yesterday\n", "# as_of:"),
            ("# demo list\n# id: x\n# as_of: 2026-11-20\n+1305555o123\n", "line 4"),
        ] {
            let error = List::parse(text).unwrap_err().to_string();
            assert!(error.contains(said) && !error.contains("305555"), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_changed_file_is_swapped_in_and_a_broken_one_keeps_the_last_good_copy() {
        let path = std::env::temp_dir().join(format!("rf-lists-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        let file = path.join("dnc.txt");
        fs::write(&file, "# demo list\n# id: x\n# as_of: 2026-11-20\n+13055550123\n").unwrap();
        let mut folder = Folder::open(&path);
        let lists = folder.lists();
        assert_eq!(lists.load().len(), 1);
        fs::write(&file, "# demo list\n# id: x\n# as_of: 2026-11-21\n+13055550123\n+13055550124\n")
            .unwrap();
        assert_eq!(folder.look(), ["list:x"]);
        fs::write(&file, "broken").unwrap();
        assert!(folder.look().is_empty());
        let number = "+13055550124".parse().unwrap();
        assert!(facts(&lists.load(), number).iter().all(|fact| fact.contains));
        assert!(folder.look().is_empty());
        let feed = path.join("emergency.feed");
        let feed_of = |hour: u32| {
            format!("# demo feed\n# id: emergency\n# as_of: 2026-11-24T{hour}:00:00Z\nUS-LA\n")
        };
        fs::write(&feed, feed_of(14)).unwrap();
        assert_eq!(folder.look(), ["feed"]);
        let as_of = lists.load().emergency.clone().unwrap().as_of;
        fs::write(&feed, "broken, and longer than it was before").unwrap();
        assert!(folder.look().is_empty());
        assert_eq!(lists.load().emergency.clone().unwrap().as_of, as_of, "the last good one");
        fs::write(&feed, feed_of(15) + "US-TX\n").unwrap();
        assert_eq!(folder.look(), ["feed"]);
        assert_eq!(lists.load().causes(), ["list:x", "feed"]);
        fs::remove_file(&feed).unwrap();
        assert!(folder.look().is_empty());
        assert!(lists.load().emergency.is_none(), "a feed that is gone is absent, which denies");
        fs::remove_dir_all(&path).unwrap();
    }
}
