//! The grounds that were read so far.

use std::collections::BTreeMap;

use super::Fault;
use crate::{
    record::{Body, Record},
    tree::Hash,
};

/// Grounds by their leaf hash, each with its index. They grow with the log, but slowly: one record for
/// the permits of a process that differ by person and moment only.
#[derive(Debug, Default)]
pub(super) struct Known(BTreeMap<Hash, (u64, Record)>);

impl Known {
    /// Takes in what was verified; grounds that are told twice are those told first.
    pub(super) fn note(&mut self, index: u64, leaf_hash: Hash, record: Record) {
        if matches!(record.body, Body::Grounds(_)) {
            self.0.entry(leaf_hash).or_insert((index, record));
        }
    }

    /// Whether it has these.
    pub(super) fn has(&self, leaf_hash: &Hash) -> bool {
        self.0.contains_key(leaf_hash)
    }

    /// What the record at `index` rests on: nothing, unless it is a permit.
    ///
    /// # Errors
    /// If it is a permit, and its grounds are no earlier record.
    pub(super) fn under(&self, index: u64, record: &Record) -> Result<Option<&Record>, Fault> {
        let Body::Permit(permit) = &record.body else { return Ok(None) };
        match self.0.get(&permit.grounds) {
            Some((at, grounds)) if *at < index => Ok(Some(grounds)),
            _ => Err(Fault::NoGrounds(permit.grounds)),
        }
    }
}
