//! One list: a snapshot that is asked where it lies in memory, or the text of a demo list.

use std::{
    fmt,
    fs::File,
    io::{self, Read as _},
    path::Path,
    sync::Arc,
};

use chrono::NaiveDate;
use dialer_lists::{FILE_ENDING, MAGIC, Snapshot, SnapshotError};
use dialer_types::E164;

/// The longest demo list, bytes: a million numbers, held as text while it is read.
const TEXT_MOST: u64 = 16 << 20;

/// Why a file is not a list. Never repeats a number.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The file could not be read.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The first line is another.
    #[error(
        "line 1 is not '# demo list', and it is no snapshot: make one of the numbers with \
         './ringfence lists build ID --as-of DATE --out FOLDER < NUMBERS'"
    )]
    NotDemo,
    /// A demo list that is longer than one.
    #[error("a demo list has at most 16 MB: make a snapshot of it with './ringfence lists build'")]
    Long,
    /// A snapshot that cannot be used.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
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

#[derive(Clone)]
enum Kept {
    /// Sorted.
    Text(Arc<[u64]>),
    Snapshot(Arc<Snapshot>),
}

/// One list; a clone is the same one.
#[derive(Clone)]
pub struct List {
    /// Its id, for example `us.national_dnc`.
    pub id: Arc<str>,
    /// Of which day the copy is.
    pub as_of: NaiveDate,
    kept: Kept,
}

impl fmt::Debug for List {
    /// Without its numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, as_of, .. } = self;
        write!(f, "List({id} of {as_of}, {} numbers)", self.count())
    }
}

/// The same id, day and numbers.
impl PartialEq for List {
    fn eq(&self, other: &Self) -> bool {
        let kept = match (&self.kept, &other.kept) {
            (Kept::Text(one), Kept::Text(other)) => one == other,
            (Kept::Snapshot(one), Kept::Snapshot(other)) => one.checksum() == other.checksum(),
            _ => false,
        };
        kept && self.id == other.id && self.as_of == other.as_of
    }
}

impl Eq for List {}

impl From<Snapshot> for List {
    fn from(snapshot: Snapshot) -> Self {
        let (id, as_of) = (Arc::from(snapshot.id()), snapshot.as_of());
        Self { id, as_of, kept: Kept::Snapshot(Arc::new(snapshot)) }
    }
}

impl List {
    /// Reads a list file: a snapshot, checked whole, or a demo list.
    ///
    /// # Errors
    /// See [`ListError`].
    pub fn read(path: &Path) -> Result<Self, ListError> {
        let mut file = File::open(path)?;
        let mut start = Vec::new();
        file.by_ref().take(MAGIC.len() as u64).read_to_end(&mut start)?;
        // By its name, too: a snapshot that lost its first bytes is damaged and not a text.
        if start == MAGIC || path.extension().is_some_and(|kind| kind == FILE_ENDING) {
            return Ok(Self::from(Snapshot::open(path)?));
        }
        let mut text = start;
        file.take(TEXT_MOST).read_to_end(&mut text)?;
        if !text.trim_ascii_start().starts_with(b"# demo list") {
            return Err(ListError::NotDemo);
        }
        if text.len() as u64 > TEXT_MOST {
            return Err(ListError::Long);
        }
        Self::parse(&String::from_utf8(text).map_err(|_| ListError::NotDemo)?)
    }

    /// How many numbers are on it.
    #[must_use]
    pub fn count(&self) -> u64 {
        match &self.kept {
            Kept::Text(numbers) => numbers.len() as u64,
            Kept::Snapshot(snapshot) => snapshot.count(),
        }
    }

    /// The snapshot; `None` of a demo list.
    #[must_use]
    pub fn snapshot(&self) -> Option<&Snapshot> {
        match &self.kept {
            Kept::Text(_) => None,
            Kept::Snapshot(snapshot) => Some(snapshot),
        }
    }

    /// Reads the text of a demo list.
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
            kept: Kept::Text(numbers.into()),
        })
    }

    /// Whether a number is on it.
    #[must_use]
    pub fn contains(&self, number: E164) -> bool {
        match &self.kept {
            Kept::Text(numbers) => numbers.binary_search(&number.digits()).is_ok(),
            Kept::Snapshot(snapshot) => snapshot.contains(number),
        }
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
        assert_eq!((&*list.id, list.count()), ("us.national_dnc", 2));
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
}
