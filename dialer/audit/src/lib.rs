//! The attempt audit: what is recorded, as which bytes, under which tree, and how anyone verifies
//! it offline (DESIGN section 10; layout in `schema/audit/README.md`).
//!
//! A [`Record`] becomes canonical CBOR bytes, the *leaf* ([`canonical`]); leaves become an RFC 6962
//! [`tree`]; its root is signed as a C2SP [`checkpoint`]. An [`export`] holds the leaves with
//! readable fields beside them; [`verify`] needs only the export, a checkpoint and a public key.
//!
//! Pure: no clock, no randomness, no IO.
#![warn(missing_docs)]

pub mod canonical;
pub mod checkpoint;
pub mod dictionary;
pub mod export;
mod field;
pub mod fold;
pub mod manifest;
pub mod page;
pub mod proof;
mod receipt;
pub mod record;
mod shown;
pub mod tree;
pub mod verify;

pub use canonical::CanonicalError;
pub use checkpoint::{Checkpoint, CheckpointError, Signer, VerifierKey};
pub use fold::{Folded, Misfit, fold, unfold};
pub use receipt::Receipt;
pub use record::{Body, Kind, Record};
pub use tree::{Hash, Tree, leaf_hash};
pub use verify::{Break, PartReport, PartVerifier, Report, Row, Verifier, verify};
