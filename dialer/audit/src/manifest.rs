//! `manifest.json` of an export: which files, how long, with which hash.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{checkpoint::Checkpoint, tree::Hash};

/// What the manifest says of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Length, bytes.
    pub bytes: u64,
    /// SHA-256, 64 hexadecimal digits.
    pub sha256: String,
}

/// What an export consists of. The manifest is a help against damage in transit; proof is the
/// checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The log's name.
    pub origin: String,
    /// How many records.
    pub size: u64,
    /// The tree's root, hexadecimal.
    pub root: String,
    /// The files by name.
    pub files: BTreeMap<String, FileEntry>,
    /// What was left out; absent when the export is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
}

/// What the manifest says of an export that is not whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// How many rows the filter let through.
    pub rows: u64,
    /// How many rows stand beside them: grounds that permits among them rest on.
    #[serde(default)]
    pub grounds: u64,
    /// The filter, by name; telephone numbers masked.
    pub filter: BTreeMap<String, String>,
    /// What the rows prove and what they do not.
    pub proves: String,
}

impl Part {
    /// Of so many rows that this filter let through, and so many grounds beside them.
    #[must_use]
    pub fn new(rows: u64, grounds: u64, filter: BTreeMap<String, String>) -> Self {
        Self { rows, grounds, filter, proves: PART_PROVES.to_owned() }
    }
}

/// What the rows of a part prove and what they do not.
pub const PART_PROVES: &str = "Each row is proven to stand at its index of the signed log, unchanged. That no other record \
     of the log fits the filter is not proven by these rows: only the whole export shows that.";

/// What does not fit a manifest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Not a manifest.
    #[error("manifest.json cannot be read: {0}")]
    Unreadable(String),
    /// A file the manifest does not name.
    #[error("the manifest does not name the file {0}")]
    NotNamed(String),
    /// Another length.
    #[error("{name} has {found} bytes; the manifest says {expected}")]
    Length {
        /// The file.
        name: String,
        /// Its length.
        found: u64,
        /// The manifest's.
        expected: u64,
    },
    /// Other bytes.
    #[error("{name} has SHA-256 {found}; the manifest says {expected}")]
    Hash {
        /// The file.
        name: String,
        /// Its hash.
        found: String,
        /// The manifest's.
        expected: String,
    },
    /// Another log, size or root than the checkpoint's.
    #[error("the manifest's {field} is {found}; the checkpoint's is {expected}")]
    Checkpoint {
        /// Which.
        field: &'static str,
        /// The manifest's.
        found: String,
        /// The checkpoint's.
        expected: String,
    },
}

/// Length and hash of a file that is read or written in pieces.
#[derive(Debug, Clone, Default)]
pub struct FileDigest {
    hash: Sha256,
    bytes: u64,
}

impl FileDigest {
    /// The next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.hash.update(piece);
        self.bytes = self.bytes.saturating_add(piece.len() as u64);
    }

    /// The entry for the manifest.
    #[must_use]
    pub fn finish(self) -> FileEntry {
        FileEntry { bytes: self.bytes, sha256: Hash(self.hash.finalize().into()).to_string() }
    }
}

impl Manifest {
    /// A manifest without files yet.
    #[must_use]
    pub fn new(checkpoint: &Checkpoint) -> Self {
        Self {
            origin: checkpoint.origin.clone(),
            size: checkpoint.size,
            root: checkpoint.root.to_string(),
            files: BTreeMap::new(),
            part: None,
        }
    }

    /// Reads `manifest.json`.
    ///
    /// # Errors
    /// If it is not one.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        serde_json::from_str(text).map_err(|error| ManifestError::Unreadable(error.to_string()))
    }

    /// The text of `manifest.json`.
    ///
    /// # Errors
    /// Never in practice; the JSON writer's signature has one.
    pub fn to_json(&self) -> Result<String, ManifestError> {
        serde_json::to_string_pretty(self)
            .map(|text| text + "\n")
            .map_err(|error| ManifestError::Unreadable(error.to_string()))
    }

    /// Whether a file is the one the manifest names.
    ///
    /// # Errors
    /// If it is not named, or has another length or hash.
    pub fn check_file(&self, name: &str, found: &FileEntry) -> Result<(), ManifestError> {
        let entry = self.files.get(name).ok_or_else(|| ManifestError::NotNamed(name.to_owned()))?;
        if entry.bytes != found.bytes {
            let (found, expected) = (found.bytes, entry.bytes);
            return Err(ManifestError::Length { name: name.to_owned(), found, expected });
        }
        if entry.sha256 != found.sha256 {
            let (found, expected) = (found.sha256.clone(), entry.sha256.clone());
            return Err(ManifestError::Hash { name: name.to_owned(), found, expected });
        }
        Ok(())
    }

    /// Whether the manifest speaks of this checkpoint.
    ///
    /// # Errors
    /// If origin, size or root differ.
    pub fn check_checkpoint(&self, checkpoint: &Checkpoint) -> Result<(), ManifestError> {
        let fields = [
            ("origin", self.origin.clone(), checkpoint.origin.clone()),
            ("size", self.size.to_string(), checkpoint.size.to_string()),
            ("root", self.root.clone(), checkpoint.root.to_string()),
        ];
        fields.into_iter().try_for_each(|(field, found, expected)| {
            if found == expected {
                Ok(())
            } else {
                Err(ManifestError::Checkpoint { field, found, expected })
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(bytes: &[u8]) -> FileEntry {
        let mut digest = FileDigest::default();
        bytes.chunks(3).for_each(|piece| digest.update(piece));
        digest.finish()
    }

    #[test]
    fn a_file_of_other_length_or_bytes_or_name_does_not_fit() {
        let checkpoint = Checkpoint { origin: "log".into(), size: 3, root: Hash([7; 32]) };
        let mut manifest = Manifest::new(&checkpoint);
        manifest.files.insert("audit.csv".into(), entry(b"hello world"));
        let manifest = Manifest::parse(&manifest.to_json().unwrap()).unwrap();
        assert_eq!(manifest.check_checkpoint(&checkpoint), Ok(()));
        assert_eq!(manifest.check_file("audit.csv", &entry(b"hello world")), Ok(()));
        let check = |name, bytes: &[u8]| manifest.check_file(name, &entry(bytes));
        assert!(matches!(check("audit.csv", b"hello worl"), Err(ManifestError::Length { .. })));
        assert!(matches!(check("audit.csv", b"hello worle"), Err(ManifestError::Hash { .. })));
        assert!(matches!(check("audit.tsv", b"hello world"), Err(ManifestError::NotNamed(_))));
        let other = Checkpoint { size: 4, ..checkpoint };
        assert!(matches!(
            manifest.check_checkpoint(&other),
            Err(ManifestError::Checkpoint { field: "size", .. })
        ));
        assert!(Manifest::parse("{}").is_err());
    }
}
