//! Offline verification of an export: only the rows, a checkpoint and a public key.
//!
//! [`Verifier`] is for whole exports, [`PartVerifier`] for those made with a filter.
//!
//! Found: any record removed, changed, added or moved (the root differs from the signed one), and
//! what the operator himself recorded against the promises ([`Story`]). Not found, because no log
//! can tell: calls made outside the dialer, and records newer than the checkpoint.

mod known;
mod part;
mod report;
mod story;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;

use known::Known;
pub use part::{PartReport, PartVerifier};
pub use report::Report;
use story::Story;
pub use story::StoryFault;

use crate::{
    canonical::{self, CanonicalError},
    checkpoint::{Checkpoint, CheckpointError, VerifierKey},
    export::{self, RowError, Source},
    fold::Misfit,
    record::Record,
    tree::{Hash, Tree, leaf_hash},
};

/// One row of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Row {
    /// A line of `audit.jsonl`, without its newline.
    Json(String),
    /// The cells of a row of `audit.csv`.
    Csv(Vec<String>),
}

/// Where and why an export does not verify.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{fault}", index.map(|index| format!("record {index}: ")).unwrap_or_default())]
pub struct Break {
    /// The record, counted from 0; `None` if it is the export as a whole.
    pub index: Option<u64>,
    /// Why.
    pub fault: Fault,
}

/// Why an export does not verify.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// An earlier checkpoint of another log, or of more records.
    #[error("the earlier checkpoint is of {0}, not of an earlier state of this log")]
    Earlier(String),
    /// The row is not one.
    #[error("the row cannot be read: {0}")]
    Row(String),
    /// A row is missing, doubled or out of place.
    #[error("its index says {0}: a record is missing, doubled or out of place")]
    Index(u64),
    /// The leaf is not canonical.
    #[error("the leaf cannot be read: {0}")]
    Leaf(#[from] CanonicalError),
    /// A readable field says something else than the leaf.
    #[error("its field {field} says {found}, its leaf says {expected}")]
    Field {
        /// Which.
        field: String,
        /// The row's.
        found: String,
        /// The leaf's.
        expected: String,
    },
    /// The row says the same in another way: a doubled member could hide in it.
    #[error("the row is not written as exports are (doubled members, another order, spaces)")]
    Form,
    /// More rows than the checkpoint covers.
    #[error("the checkpoint covers {0} records only")]
    TooMany(u64),
    /// Fewer rows than the checkpoint covers.
    #[error("the export ends after {found} records; the checkpoint covers {expected}")]
    TooFew {
        /// Rows found.
        found: u64,
        /// Rows signed for.
        expected: u64,
    },
    /// Another root: something was removed, changed, added or moved.
    #[error(
        "the first {size} records have the root {found}, signed was {expected}: a record was removed, changed, added or moved"
    )]
    Root {
        /// How many records the checkpoint covers.
        size: u64,
        /// Recomputed.
        found: Hash,
        /// Signed.
        expected: Hash,
    },
    /// A row of a part without its proof.
    #[error("it carries no readable inclusion proof")]
    NoProof,
    /// A row of a part that is not in the signed log at its index.
    #[error(
        "its proof does not lead to the signed root: this record is not at this place of the log"
    )]
    Inclusion,
    /// Rows of a part that do not ascend.
    #[error("it follows record {0}: a row is doubled or out of place")]
    Order(u64),
    /// A permit whose evidence is incomplete: what it rests on is not on record before it.
    #[error("it rests on the grounds with the leaf hash {0}, and no record before it is those")]
    NoGrounds(Hash),
    /// A permit that its grounds do not fit.
    #[error("it does not fit the grounds that it names: {0}")]
    Misfit(#[from] Misfit),
    /// Grounds in a part that nobody asked for: the next row is no permit that rests on them, or they
    /// were told before.
    #[error("a part holds grounds once, directly before the first permit that rests on them")]
    GroundsOutOfPlace,
    /// The records contradict the promises.
    #[error(transparent)]
    Story(#[from] StoryFault),
}

impl From<RowError> for Fault {
    fn from(error: RowError) -> Self {
        match error {
            RowError::Leaf(error) => error.into(),
            RowError::NoGrounds(hash) => Self::NoGrounds(hash),
            RowError::Misfit(misfit) => misfit.into(),
        }
    }
}

impl Break {
    fn whole(fault: impl Into<Fault>) -> Self {
        Self { index: None, fault: fault.into() }
    }
}

/// Verifies rows as they are read, in memory that grows with placements and grounds, not with bytes.
#[derive(Debug)]
pub struct Verifier {
    checkpoint: Checkpoint,
    earlier: Vec<Checkpoint>,
    tree: Tree,
    known: Known,
    story: Story,
}

impl Verifier {
    /// Begins with the signed checkpoint.
    ///
    /// # Errors
    /// If it is not signed by `key`.
    pub fn new(checkpoint: &str, key: &VerifierKey) -> Result<Self, Break> {
        let checkpoint = Checkpoint::open(checkpoint, key).map_err(Break::whole)?;
        let (known, story) = (Known::default(), Story::default());
        Ok(Self { checkpoint, earlier: Vec::new(), tree: Tree::new(), known, story })
    }

    /// Also requires that the log extends an earlier checkpoint, kept by the reader perhaps. To be
    /// called before the first row.
    ///
    /// # Errors
    /// If it is not signed by `key`, is of another log or of more records.
    pub fn extends(&mut self, earlier: &str, key: &VerifierKey) -> Result<(), Break> {
        let earlier = Checkpoint::open(earlier, key).map_err(Break::whole)?;
        let same_log = earlier.origin == self.checkpoint.origin;
        if !same_log || earlier.size > self.checkpoint.size || earlier.size < self.tree.size() {
            let what = format!("{} with {} records", earlier.origin, earlier.size);
            return Err(Break::whole(Fault::Earlier(what)));
        }
        if earlier.size == 0 && earlier.root != Tree::new().root() {
            return Err(Break::whole(root_fault(&earlier, Tree::new().root())));
        }
        self.earlier.push(earlier);
        Ok(())
    }

    /// The checkpoint that is verified against.
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The next row.
    ///
    /// # Errors
    /// If it does not belong there.
    pub fn row(&mut self, row: &Row) -> Result<(), Break> {
        let index = self.tree.size();
        self.check_row(index, row).map_err(|fault| Break { index: Some(index), fault })?;
        for earlier in &self.earlier {
            if earlier.size == self.tree.size() && earlier.root != self.tree.root() {
                return Err(Break::whole(root_fault(earlier, self.tree.root())));
            }
        }
        Ok(())
    }

    fn check_row(&mut self, index: u64, row: &Row) -> Result<(), Fault> {
        if index >= self.checkpoint.size {
            return Err(Fault::TooMany(self.checkpoint.size));
        }
        let head = Head::of(row)?;
        if head.index != index {
            return Err(Fault::Index(head.index));
        }
        let leaf = STANDARD.decode(&head.leaf).map_err(|error| Fault::Row(error.to_string()))?;
        let record = canonical::decode(&leaf)?;
        let grounds = self.known.under(index, &record)?;
        rebuilt(row, &Source { grounds, ..Source::of(index, &leaf) }, &record)?;
        self.story.tell(&record, grounds)?;
        let hash = leaf_hash(&leaf);
        self.tree.append(hash);
        self.known.note(index, hash, record);
        Ok(())
    }

    /// After the last row.
    ///
    /// # Errors
    /// If rows are missing, or the root is another than the one signed.
    pub fn finish(self) -> Result<Report, Break> {
        let (found, expected) = (self.tree.size(), self.checkpoint.size);
        if found != expected {
            return Err(Break::whole(Fault::TooFew { found, expected }));
        }
        let root = self.tree.root();
        if root != self.checkpoint.root {
            return Err(Break::whole(root_fault(&self.checkpoint, root)));
        }
        Ok(self.story.into_report(self.checkpoint))
    }
}

const fn root_fault(checkpoint: &Checkpoint, found: Hash) -> Fault {
    Fault::Root { size: checkpoint.size, found, expected: checkpoint.root }
}

/// Verifies an export as a whole.
///
/// # Errors
/// Where and why it does not verify.
pub fn verify(
    rows: impl IntoIterator<Item = Row>,
    checkpoint: &str,
    key: &VerifierKey,
) -> Result<Report, Break> {
    let mut verifier = Verifier::new(checkpoint, key)?;
    for row in rows {
        verifier.row(&row)?;
    }
    verifier.finish()
}

/// Writes the row again from its leaf and compares.
fn rebuilt(row: &Row, source: &Source<'_>, record: &Record) -> Result<(), Fault> {
    match row {
        Row::Json(line) => {
            let expected = export::json_row(source, record)?.json();
            if *line != expected {
                return Err(differing_member(line, &expected));
            }
        }
        Row::Csv(cells) => {
            let expected = export::csv_cells(source, record)?;
            if *cells != expected {
                return Err(differing_cell(cells, &expected));
            }
        }
    }
    Ok(())
}

/// What must be read of a row before it can be rebuilt.
#[derive(Deserialize)]
struct Head {
    index: u64,
    leaf: String,
    proof: Option<String>,
}

impl Head {
    fn of(row: &Row) -> Result<Self, Fault> {
        match row {
            Row::Json(line) => {
                serde_json::from_str(line).map_err(|error| Fault::Row(error.to_string()))
            }
            Row::Csv(cells) => {
                let index = cells.first().and_then(|cell| cell.parse().ok());
                let index = index.ok_or_else(|| Fault::Row("no index in the first cell".into()))?;
                // The columns that a spreadsheet could compute with were written behind an apostrophe.
                let cell = |at: usize| {
                    cells.get(at).map(|cell| cell.strip_prefix('\'').unwrap_or(cell).to_owned())
                };
                let width = export::COLUMNS.len();
                let leaf = cell(width - 1).unwrap_or_default();
                Ok(Self { index, leaf, proof: cell(width) })
            }
        }
    }
}

fn differing_member(line: &str, expected: &str) -> Fault {
    type Members = serde_json::Map<String, serde_json::Value>;
    let parse = |text| serde_json::from_str::<Members>(text);
    let (found, expected) = match (parse(line), parse(expected)) {
        (Ok(found), Ok(expected)) => (found, expected),
        (Err(error), _) | (_, Err(error)) => return Fault::Row(error.to_string()),
    };
    let nothing = serde_json::Value::Null;
    let differs = |name: &&String| found.get(*name) != expected.get(*name);
    expected.keys().chain(found.keys()).find(differs).map_or(Fault::Form, |name| Fault::Field {
        field: name.clone(),
        found: short(&found.get(name).unwrap_or(&nothing).to_string()),
        expected: short(&expected.get(name).unwrap_or(&nothing).to_string()),
    })
}

fn differing_cell(cells: &[String], expected: &[String]) -> Fault {
    if cells.len() != expected.len() {
        return Fault::Row(format!("{} cells where {} belong", cells.len(), expected.len()));
    }
    let names = export::csv_part_header();
    let differs = |(_, (found, expected)): &(_, (&String, &String))| found != expected;
    names.zip(cells.iter().zip(expected)).find(differs).map_or(
        Fault::Form,
        |(name, (found, expected))| Fault::Field {
            field: name.to_owned(),
            found: short(found),
            expected: short(expected),
        },
    )
}

/// Enough of a value to recognise it in a message.
fn short(text: &str) -> String {
    let mut short: String = text.chars().take(80).collect();
    if short.len() < text.len() {
        short.push('\u{2026}');
    }
    short
}

#[cfg(test)]
mod tests;
