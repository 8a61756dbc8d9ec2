//! Files, streamed: text out of bytes, records out of text, rows out of records, batches into Postgres.

pub(crate) mod batch;
pub(crate) mod cards;
pub(crate) mod clean;
pub(crate) mod columns;
pub(crate) mod contact;
pub(crate) mod dates;
pub(crate) mod decode;
pub(crate) mod phones;
pub(crate) mod places;
pub(crate) mod records;
pub(crate) mod row;
pub(crate) mod source;
