//! Verification of a part: each row proves its own place in the signed log.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    Break, Fault, Head, Known, Row, rebuilt,
    report::{Counts, decisions},
    story,
};
use crate::{
    canonical,
    checkpoint::{Checkpoint, VerifierKey},
    export::Source,
    field::rfc3339,
    manifest::PART_PROVES,
    proof,
    record::{Body, Record},
    tree::{Hash, leaf_hash, verify_inclusion},
};

/// Verifies the rows of a part as they are read, in memory that grows with the grounds among them and
/// not with the other rows.
#[derive(Debug)]
pub struct PartVerifier {
    checkpoint: Checkpoint,
    counts: Counts,
    /// The first and the last index so far, grounds left aside.
    between: Option<(u64, u64)>,
    known: Known,
    beside: Beside,
    /// The grounds in the row before, until the permit that they are for is read.
    waiting: Option<(u64, Hash)>,
}

/// Rows that stand in a part only because permits among the others rest on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Beside {
    /// Grounds in all.
    pub grounds: u64,
    /// Those of them whose index lies between the first and the last of the other rows.
    between: u64,
}

/// What a verified part says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartReport {
    /// The signed state that every row is proven to be in.
    pub checkpoint: Checkpoint,
    /// What can be counted row by row: placements and outcomes are told by whole exports only. Grounds
    /// are not among them.
    pub counts: Counts,
    /// The first and the last index.
    pub between: Option<(u64, u64)>,
    /// The rows that were not asked for.
    pub beside: Beside,
}

impl PartVerifier {
    /// Begins with the signed checkpoint.
    ///
    /// # Errors
    /// If it is not signed by `key`.
    pub fn new(checkpoint: &str, key: &VerifierKey) -> Result<Self, Break> {
        let checkpoint = Checkpoint::open(checkpoint, key).map_err(Break::whole)?;
        let (counts, known, beside) = (Counts::default(), Known::default(), Beside::default());
        Ok(Self { checkpoint, counts, between: None, known, beside, waiting: None })
    }

    /// The checkpoint that is verified against.
    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The next row.
    ///
    /// # Errors
    /// If it was changed, is not in the log at its index, stands before an earlier row, or is a permit
    /// without its grounds before it.
    pub fn row(&mut self, row: &Row) -> Result<(), Break> {
        let head =
            Head::of(row).map_err(|fault| Break { index: Some(self.counts.records), fault })?;
        self.check(row, &head).map_err(|fault| Break { index: Some(head.index), fault })
    }

    fn check(&mut self, row: &Row, head: &Head) -> Result<(), Fault> {
        let index = head.index;
        let path = head.proof.as_deref().and_then(proof::read).ok_or(Fault::NoProof)?;
        let leaf = STANDARD.decode(&head.leaf).map_err(|error| Fault::Row(error.to_string()))?;
        let record = canonical::decode(&leaf)?;
        let grounds = self.known.under(index, &record)?;
        let source = Source { index, leaf: &leaf, grounds, path: Some(&path) };
        rebuilt(row, &source, &record)?;
        let hash = leaf_hash(&leaf);
        let Checkpoint { size, root, .. } = &self.checkpoint;
        if !verify_inclusion(&hash, index, *size, &path, root) {
            return Err(Fault::Inclusion);
        }
        story::lone(&record, grounds)?;
        if matches!(record.body, Body::Grounds(_)) {
            return self.grounds(index, hash, record);
        }
        self.asked_for(index, &record)
    }

    /// Grounds stand out of order, so that a part can be written in one go: only where they are needed.
    fn grounds(&mut self, index: u64, hash: Hash, record: Record) -> Result<(), Fault> {
        if self.waiting.is_some() || self.known.has(&hash) {
            return Err(Fault::GroundsOutOfPlace);
        }
        self.known.note(index, hash, record);
        self.waiting = Some((index, hash));
        self.beside.grounds += 1;
        self.beside.between += u64::from(self.between.is_some_and(|(first, _)| index > first));
        Ok(())
    }

    fn asked_for(&mut self, index: u64, record: &Record) -> Result<(), Fault> {
        if let Some((_, last)) = self.between
            && index <= last
        {
            return Err(Fault::Order(last));
        }
        let rests_on = match &record.body {
            Body::Permit(permit) => Some(permit.grounds),
            _ => None,
        };
        if self.waiting.take().is_some_and(|(_, hash)| Some(hash) != rests_on) {
            return Err(Fault::GroundsOutOfPlace);
        }
        self.counts.count(record);
        let first = self.between.map_or(index, |(first, _)| first);
        self.between = Some((first, index));
        Ok(())
    }

    /// After the last row. A part may be empty.
    ///
    /// # Errors
    /// If the last row is grounds.
    pub fn finish(self) -> Result<PartReport, Break> {
        if let Some((index, _)) = self.waiting {
            return Err(Break { index: Some(index), fault: Fault::GroundsOutOfPlace });
        }
        let Self { checkpoint, counts, between, beside, .. } = self;
        Ok(PartReport { checkpoint, counts, between, beside })
    }
}

impl PartReport {
    /// Whether the rows are all records between the first and the last of them.
    #[must_use]
    pub fn is_contiguous(&self) -> bool {
        let rows = self.counts.records + self.beside.between;
        self.between.is_none_or(|(first, last)| last - first + 1 == rows)
    }
}

impl fmt::Display for PartReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { checkpoint, counts, between, beside } = self;
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
        if beside.grounds > 0 {
            let grounds = beside.grounds;
            writeln!(f, "grounds    {grounds} rows more, which permits among them rest on")?;
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
