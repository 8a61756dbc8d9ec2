//! National do-not-call lists: hundreds of millions of numbers as one immutable, checksummed file
//! that is mapped into memory and asked some 30 million times a second.
//!
//! With 250 million numbers, in no order and warm, a look takes 25 to 35 nanoseconds (median of the
//! time of a thousand) where looks follow each other and none needs the answer of another: the
//! processor has several on their way. By itself, as in a judgement that does other things between
//! two looks, it takes 200 to 240, of which 150 to 190 are the wait for memory that any list of
//! this size has. `loadtest lists` measures both, and that wait beside them.
//!
//! [`build`] makes a snapshot from lines of numbers, [`apply`] a new one from an old one and a
//! delta, [`Snapshot`] is one that is being asked. `layout` says what is in the file. A file is
//! never changed: a new one is written beside it, synced and renamed over it, so a reader has the
//! old list or the new one whole.
#![warn(missing_docs)]

mod bytes;
mod delta;
mod layout;
mod lines;
mod make;
#[cfg(feature = "measure")]
pub mod measure;
mod near;
mod pages;
mod snapshot;
mod sorter;
mod writer;

pub use bytes::Held;
pub use delta::DeltaError;
pub use layout::MAGIC;
pub use lines::{LineError, LineFault};
pub use make::{Applied, Built, Day, FILE_ENDING, MakeError, Name, NameError, apply, build};
pub use snapshot::{Encoding, Snapshot, SnapshotError};
