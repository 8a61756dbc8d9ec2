//! Files, streamed: records out of CSV, rows out of records, batches into Postgres.

pub(crate) mod batch;
pub(crate) mod records;
pub(crate) mod row;
