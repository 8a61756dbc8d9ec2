//! Verification of a part: each row proves its own place in the signed log.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    Break, Fault, Head, Row, rebuilt,
    report::{Counts, decisions},
    story,
};
use crate::{
    canonical,
    checkpoint::{Checkpoint, VerifierKey},
    field::rfc3339,
    manifest::PART_PROVES,
    proof,
    tree::{leaf_hash, verify_inclusion},
};

/// Verifies the rows of a part as they are read, in memory that does not grow with them.
#[derive(Debug)]
pub struct PartVerifier {
    checkpoint: Checkpoint,
    counts: Counts,
    /// The first and the last index so far.
    between: Option<(u64, u64)>,
}

/// What a verified part says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartReport {
    /// The signed state that every row is proven to be in.
    pub checkpoint: Checkpoint,
    /// What can be counted row by row: placements and outcomes are told by whole exports only.
    pub counts: Counts,
    /// The first and the last index.
    pub between: Option<(u64, u64)>,
}

impl PartVerifier {
    /// Begins with the signed checkpoint.
    ///
    /// # Errors
    /// If it is not signed by `key`.
    pub fn new(checkpoint: &str, key: &VerifierKey) -> Result<Self, Break> {
        let checkpoint = Checkpoint::open(checkpoint, key).map_err(Break::whole)?;
        Ok(Self { checkpoint, counts: Counts::default(), between: None })
    }

    /// The checkpoint that is verified against.
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The next row.
    ///
    /// # Errors
    /// If it was changed, is not in the log at its index, or stands before an earlier row.
    pub fn row(&mut self, row: &Row) -> Result<(), Break> {
        let head =
            Head::of(row).map_err(|fault| Break { index: Some(self.counts.records), fault })?;
        self.check(row, &head).map_err(|fault| Break { index: Some(head.index), fault })
    }

    fn check(&mut self, row: &Row, head: &Head) -> Result<(), Fault> {
        let index = head.index;
        if let Some((_, last)) = self.between
            && index <= last
        {
            return Err(Fault::Order(last));
        }
        let path = head.proof.as_deref().and_then(proof::read).ok_or(Fault::NoProof)?;
        let leaf = STANDARD.decode(&head.leaf).map_err(|error| Fault::Row(error.to_string()))?;
        let record = canonical::decode(&leaf)?;
        rebuilt(row, index, &leaf, &record, Some(&path))?;
        let Checkpoint { size, root, .. } = &self.checkpoint;
        if !verify_inclusion(&leaf_hash(&leaf), index, *size, &path, root) {
            return Err(Fault::Inclusion);
        }
        story::lone(&record)?;
        self.counts.count(&record);
        let first = self.between.map_or(index, |(first, _)| first);
        self.between = Some((first, index));
        Ok(())
    }

    /// After the last row. A part may be empty.
    #[must_use]
    pub fn finish(self) -> PartReport {
        let Self { checkpoint, counts, between } = self;
        PartReport { checkpoint, counts, between }
    }
}

impl PartReport {
    /// Whether the rows are all records between the first and the last of them.
    #[must_use]
    pub fn is_contiguous(&self) -> bool {
        self.between.is_none_or(|(first, last)| last - first + 1 == self.counts.records)
    }
}

impl fmt::Display for PartReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { checkpoint, counts, between } = self;
        writeln!(f, "log        {}", checkpoint.origin)?;
        writeln!(f, "root       {} over {} records", checkpoint.root, checkpoint.size)?;
        match between {
            None => writeln!(f, "part       no rows")?,
            Some((first, last)) => {
                let whole = if self.is_contiguous() {
                    "every record between them"
                } else {
                    "with records left out between them"
                };
                let rows = counts.records;
                writeln!(f, "part       {rows} rows, from record {first} to {last}, {whole}")?;
            }
        }
        if let Some((first, last)) = counts.between {
            writeln!(f, "recorded   {} to {}", rfc3339(first), rfc3339(last))?;
        }
        for (kind, count) in &counts.kinds {
            writeln!(f, "  {:<20} {count}", kind.as_str())?;
        }
        decisions(f, counts)?;
        writeln!(f, "{PART_PROVES}")
    }
}
