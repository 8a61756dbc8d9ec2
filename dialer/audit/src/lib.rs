//! Attempt audit: records, canonical bytes, Merkle tree, checkpoint, verification.
