//! The national lists of a folder, each replaced whole.
//!
//! A list is a snapshot (`dialer-lists`), or for the demo a text: a line `# demo list`, header lines
//! `# id: us.national_dnc` and `# as_of: 2026-11-20`, then one E.164 number a line. Blank lines are
//! passed over.

mod list;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use arc_swap::ArcSwap;
use dialer_lists::Held;
use dialer_policy::{Feed, ListFact};
use dialer_types::E164;

pub use self::list::{List, ListError};
use crate::feeds::{self, FeedError};

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

fn is_feed(path: &Path) -> bool {
    path.extension().is_some_and(|kind| kind == feeds::EXTENSION)
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
    /// Another file under the same name has another.
    inode: u64,
}

/// The folder of the lists, and what was read from it.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    lists: Arc<ArcSwap<Lists>>,
    stamps: BTreeMap<PathBuf, Stamp>,
    held: BTreeMap<PathBuf, List>,
    feeds: BTreeMap<PathBuf, Feed>,
    /// Files that were last read in vain: their last good copy is used, if there is one.
    refused: BTreeSet<PathBuf>,
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
            refused: BTreeSet::new(),
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
                let stamp =
                    Stamp { modified: meta.modified().ok(), bytes: meta.len(), inode: meta.ino() };
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
        self.refused.retain(|path| found.contains_key(path));
        for (path, stamp) in &found {
            match self.stamps.get(path) {
                Some(old) if old == stamp => {}
                old => {
                    if old.is_some_and(|old| old.inode == stamp.inode) {
                        self.let_go(path);
                    }
                    self.read(path);
                }
            }
        }
        self.stamps = found;
        self.swap()
    }

    /// How many files of lists and of feeds are refused as they are now.
    #[must_use]
    pub fn refused(&self) -> (usize, usize) {
        let feeds = self.refused.iter().filter(|path| is_feed(path)).count();
        (self.refused.len() - feeds, feeds)
    }

    /// A mapped list whose file was written over is no longer what was checked: it is not the last
    /// good copy, and where the file was cut short a look at it would end the process.
    fn let_go(&mut self, path: &Path) {
        let snapshot = self.held.get(path).and_then(List::snapshot);
        if snapshot.is_some_and(|snapshot| snapshot.held() == Held::Mapped) {
            tracing::error!(
                file = %path.display(),
                "a snapshot was written over in place: write a new file and rename it instead"
            );
            self.held.remove(path);
            self.swap();
        }
    }

    fn read(&mut self, path: &Path) {
        let read = if is_feed(path) { self.read_feed(path) } else { self.read_list(path) };
        match read {
            Ok(()) => {
                self.refused.remove(path);
            }
            Err(error) => {
                let last_good = self.held.contains_key(path) || self.feeds.contains_key(path);
                tracing::error!(
                    file = %path.display(), %error, last_good_copy_is_used = last_good,
                    "a file of the lists folder is refused"
                );
                self.refused.insert(path.to_owned());
            }
        }
    }

    fn read_feed(&mut self, path: &Path) -> Result<(), String> {
        let read = fs::read_to_string(path).map_err(FeedError::from);
        let feed = read.and_then(|text| feeds::parse(&text)).map_err(|error| error.to_string())?;
        tracing::info!(areas = feed.areas.len(), "an emergency feed is loaded");
        self.feeds.insert(path.to_owned(), feed);
        Ok(())
    }

    fn read_list(&mut self, path: &Path) -> Result<(), String> {
        let list = List::read(path).map_err(|error| error.to_string())?;
        tracing::info!(list = %list.id, as_of = %list.as_of, numbers = list.count(), "a list is loaded");
        if list.snapshot().is_some_and(|snapshot| snapshot.held() == Held::Copied) {
            tracing::warn!(
                file = %path.display(),
                "somebody may write to this snapshot, so it is copied into memory and not mapped: \
                 take the right away (chmod a-w)"
            );
        }
        self.held.insert(path.to_owned(), list);
        Ok(())
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
mod tests;
