//! What is in a snapshot file. All integers are little-endian; version 1.
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | [`MAGIC`], made so that a transfer as text breaks it |
//! | 8..12 | version |
//! | 12..16 | length of the header, 256 |
//! | 16..24 | length of the file |
//! | 24..32 | count of numbers |
//! | 32..40 | when it was built, Unix milliseconds |
//! | 40..44 | of which day the copy is, days since 1970-01-01 |
//! | 44..48 | pages in the table of pages |
//! | 48..56 | where the table of pages begins; it ends with the file |
//! | 56..60 | length of the id |
//! | 60..188 | the id in ASCII, zeros after it |
//! | 188..224 | zeros |
//! | 224..240 | XXH3-128 of everything behind the header |
//! | 240..256 | XXH3-128 of the header before it |
//!
//! Behind the header lie the pages and then their table. A page is all numbers that have their
//! digits but the last seven in common (`+1305...`): [`PAGE`] possible ones. The table has
//! [`ENTRY`] bytes a page, by ascending key: key (the leading digits) `u32`, kind `u32`, where it
//! begins `u64`, its bytes `u32`, its numbers `u32`.
//!
//! - A *sparse* page (kind 1, at most [`SPARSE_MOST`] numbers) is a sorted array of `u32`: the last
//!   seven digits.
//! - A *dense* page (kind 2) is a directory of 1000 `u32`, one for each [`BLOCK`] numbers that have
//!   all but the last four digits in common (in North America: an exchange), and the blocks.
//!   0 is a block without numbers. Otherwise bits 30 and 31 are its kind, bits 0 to 19 where it
//!   begins in the page in units of two bytes. Kind 1 is a sorted array of `u16` whose length less
//!   one stands in bits 20 to 27; kind 2 is a bitmap of [`BITMAP`] bytes.
//!
//! This is Roaring with containers that follow the decimal plan, so an area code that is not in use
//! costs nothing and an exchange in use one bit a number; and it is asked where it lies (a crowded
//! list with a table of its blocks beside it, see `near`), while the
//! `roaring` crate makes its own copy of the whole in every process (`loadtest lists` measures
//! both). An array is kept up to [`ARRAY_MOST`] numbers only, where a bitmap would be smaller from
//! 625 on: a bitmap is one look at memory, an array up to eight.

use chrono::{Datelike as _, NaiveDate};
use twox_hash::XxHash3_128;

/// The first bytes of every snapshot.
pub const MAGIC: [u8; 8] = *b"\x89RFLIST\n";
pub(crate) const VERSION: u32 = 1;
pub(crate) const HEADER: usize = 256;
/// Longest id, bytes.
pub(crate) const ID_MOST: usize = 128;
/// Possible numbers of a page.
pub(crate) const PAGE: u64 = 10_000_000;
/// Possible numbers of a block.
pub(crate) const BLOCK: u32 = 10_000;
/// Blocks of a page.
pub(crate) const BLOCKS: usize = 1_000;
/// Bytes of a block's bitmap.
pub(crate) const BITMAP: usize = 1_250;
/// Most numbers of a block that are kept as an array.
pub(crate) const ARRAY_MOST: usize = 256;
/// Most numbers of a sparse page: as many as take the room of a directory.
pub(crate) const SPARSE_MOST: usize = 1_000;
/// Bytes of a page's entry in the table.
pub(crate) const ENTRY: usize = 24;
/// Most pages of a file: the whole numbering plan of a country with numbers of 13 digits. The
/// table and its index stay below 64 MB.
pub(crate) const PAGES_MOST: usize = 1 << 20;
/// Most numbers of a file: more than any country has people and firms.
pub(crate) const NUMBERS_MOST: u64 = 1 << 32;

/// What the header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) id: String,
    pub(crate) as_of: NaiveDate,
    pub(crate) built_at: i64,
    pub(crate) count: u64,
    pub(crate) pages: u32,
    pub(crate) table: u64,
    pub(crate) length: u64,
    pub(crate) checksum: u128,
}

/// What is wrong with a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    Short,
    Magic,
    Version(u32),
    Checksum,
    Field(&'static str),
}

fn days(date: NaiveDate) -> i32 {
    date.num_days_from_ce() - 719_163
}

fn date(days: i32) -> Option<NaiveDate> {
    NaiveDate::from_num_days_from_ce_opt(days.checked_add(719_163)?)
}

/// `N` bytes of `bytes` at `at`.
pub(crate) fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array(bytes, at).map(u16::from_le_bytes)
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array(bytes, at).map(u32::from_le_bytes)
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    array(bytes, at).map(u64::from_le_bytes)
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; HEADER] {
        let mut out = Vec::with_capacity(HEADER);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&256_u32.to_le_bytes());
        out.extend_from_slice(&self.length.to_le_bytes());
        out.extend_from_slice(&self.count.to_le_bytes());
        out.extend_from_slice(&self.built_at.to_le_bytes());
        out.extend_from_slice(&days(self.as_of).to_le_bytes());
        out.extend_from_slice(&self.pages.to_le_bytes());
        out.extend_from_slice(&self.table.to_le_bytes());
        out.extend_from_slice(&u32::try_from(self.id.len()).unwrap_or(0).to_le_bytes());
        out.extend_from_slice(self.id.as_bytes());
        out.resize(224, 0);
        out.extend_from_slice(&self.checksum.to_le_bytes());
        let own = XxHash3_128::oneshot(&out);
        out.extend_from_slice(&own.to_le_bytes());
        out.first_chunk().copied().unwrap_or([0; HEADER])
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, HeaderFault> {
        if array(bytes, 0) != Some(MAGIC) {
            // What is shorter than the magic is cut short, if it begins like it.
            let short = bytes.len() < MAGIC.len() && MAGIC.starts_with(bytes);
            return Err(if short { HeaderFault::Short } else { HeaderFault::Magic });
        }
        let short = HeaderFault::Short;
        let version = u32_at(bytes, 8).ok_or(short)?;
        let (own, rest) = (bytes.get(..240).ok_or(short)?, array(bytes, 240).ok_or(short)?);
        if XxHash3_128::oneshot(own) != u128::from_le_bytes(rest) {
            return Err(HeaderFault::Checksum);
        }
        // Only now: a flipped bit in the version is damage, not another version.
        if version != VERSION {
            return Err(HeaderFault::Version(version));
        }
        let field = |name| HeaderFault::Field(name);
        let id_length = u32_at(bytes, 56).ok_or(short)? as usize;
        let id = bytes.get(60..60 + ID_MOST).and_then(|id| id.get(..id_length));
        let id = id.and_then(|id| std::str::from_utf8(id).ok()).ok_or(field("id"))?;
        let as_of = array(bytes, 40).map(i32::from_le_bytes).and_then(date);
        Ok(Self {
            id: id.to_owned(),
            as_of: as_of.ok_or(field("as_of"))?,
            built_at: array(bytes, 32).map(i64::from_le_bytes).ok_or(short)?,
            count: u64_at(bytes, 24).ok_or(short)?,
            pages: u32_at(bytes, 44).ok_or(short)?,
            table: u64_at(bytes, 48).ok_or(short)?,
            length: u64_at(bytes, 16).ok_or(short)?,
            checksum: array(bytes, 224).map(u128::from_le_bytes).ok_or(short)?,
        })
    }
}
