//! A snapshot that is being asked.

use std::{fmt, fs::File, io, path::Path};

use chrono::NaiveDate;
use dialer_types::{E164, UnixMillis};
use twox_hash::XxHash3_128;

use crate::{
    bytes::{Bytes, Held},
    layout::{ENTRY, HEADER, Header, HeaderFault, PAGE, PAGES_MOST, u32_at, u64_at},
    near::{Near, Page},
    pages::{self, Kind},
};

/// Why a file is not a snapshot that can be used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The file could not be read.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It begins otherwise.
    #[error("it is no snapshot of a list: make one with 'dialer lists build'")]
    Magic,
    /// It was made by another version.
    #[error("version {0} of the format is not known to this build, which reads version 1")]
    Version(u32),
    /// The end is missing, or there is more than was written.
    #[error("it is cut short or too long: {found} bytes instead of {expected}; copy it again")]
    Length {
        /// Bytes there are.
        found: u64,
        /// Bytes there should be.
        expected: u64,
    },
    /// It is damaged.
    #[error("wrong checksum of its {0}: it is damaged; copy or build it again")]
    Checksum(&'static str),
    /// The checksum is right, and what it says cannot be.
    #[error("{0} makes no sense though the checksum is right; build it again and report this")]
    Field(&'static str),
}

/// How the numbers of a snapshot are kept, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoding {
    /// Groups of ten million possible numbers kept as one short array.
    pub sparse_pages: u64,
    /// Groups kept in blocks of ten thousand.
    pub dense_pages: u64,
    /// Blocks kept as arrays.
    pub arrays: u64,
    /// Blocks kept as bitmaps.
    pub bitmaps: u64,
}

/// Where a page is; `key` is meant only where `kind` is some.
#[derive(Debug, Clone, Copy)]
struct Slot {
    key: u32,
    kind: Option<Kind>,
    at: usize,
    length: usize,
}

const FREE: Slot = Slot { key: 0, kind: None, at: 0, length: 0 };

/// An immutable list, checked when it was opened.
pub struct Snapshot {
    bytes: Bytes,
    header: Header,
    /// By hash of the key, open addressing, at most half full.
    slots: Vec<Slot>,
    shift: u32,
    near: Near,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("header", &self.header).finish_non_exhaustive()
    }
}

const fn hash(key: u32, shift: u32) -> usize {
    // Fibonacci hashing: keys of one country follow each other and are spread evenly.
    (key.wrapping_mul(0x9E37_79B1) >> shift) as usize
}

impl Snapshot {
    /// Opens a file and checks all of it: a read of the whole, about a tenth of a second for
    /// 350 MB that are in the kernel's memory. Whether it is mapped says [`Snapshot::held`].
    ///
    /// # Errors
    /// See [`SnapshotError`]; nothing of a file that has one is used.
    pub fn open(path: &Path) -> Result<Self, SnapshotError> {
        let mut file = File::open(path)?;
        if file.metadata()?.len() == 0 {
            return Err(SnapshotError::Magic);
        }
        Self::check(Bytes::of(&mut file)?)
    }

    fn check(bytes: Bytes) -> Result<Self, SnapshotError> {
        let all = bytes.get();
        let found = all.len() as u64;
        let header = Header::decode(all).map_err(|fault| match fault {
            HeaderFault::Short => SnapshotError::Length { found, expected: HEADER as u64 },
            HeaderFault::Magic => SnapshotError::Magic,
            HeaderFault::Version(version) => SnapshotError::Version(version),
            HeaderFault::Checksum => SnapshotError::Checksum("header"),
            HeaderFault::Field(field) => SnapshotError::Field(field),
        })?;
        if header.length != found {
            return Err(SnapshotError::Length { found, expected: header.length });
        }
        if XxHash3_128::oneshot(all.get(HEADER..).unwrap_or_default()) != header.checksum {
            return Err(SnapshotError::Checksum("numbers"));
        }
        let (slots, shift) =
            index(all, &header).ok_or(SnapshotError::Field("the table of pages"))?;
        let mut list = Self { bytes, header, slots, shift, near: Near::default() };
        list.near = Near::of(list.pages());
        Ok(list)
    }

    /// Whether a number is on the list.
    #[must_use]
    pub fn contains(&self, number: E164) -> bool {
        let digits = number.digits();
        match self.near.look(self.bytes.get(), digits) {
            Some(known) => known,
            // What cannot be read counts as on the list (G5); a checked file has nothing such.
            None => self.search(digits).unwrap_or(true),
        }
    }

    /// The same through the table of pages. Kept apart, so that the way above stays short.
    #[inline(never)]
    fn search(&self, digits: u64) -> Option<bool> {
        let key = u32::try_from(digits / PAGE).ok()?;
        let number = u32::try_from(digits % PAGE).ok()?;
        let mask = self.slots.len() - 1;
        let mut slot = hash(key, self.shift);
        loop {
            let found = self.slots.get(slot)?;
            let Some(kind) = found.kind else { return Some(false) };
            if found.key == key {
                let page = self.bytes.get().get(found.at..)?.get(..found.length)?;
                return pages::contains(kind, page, number);
            }
            slot = (slot + 1) & mask;
        }
    }

    /// The id, for example `us.national_dnc`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.header.id
    }

    /// Of which day the copy is.
    #[must_use]
    pub const fn as_of(&self) -> NaiveDate {
        self.header.as_of
    }

    /// When it was built.
    #[must_use]
    pub const fn built_at(&self) -> UnixMillis {
        UnixMillis(self.header.built_at)
    }

    /// How many numbers are on it.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.header.count
    }

    /// Bytes of the file.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.header.length
    }

    /// XXH3-128 of the numbers: two snapshots with one checksum hold the same numbers.
    #[must_use]
    pub const fn checksum(&self) -> u128 {
        self.header.checksum
    }

    /// Mapped, or copied.
    #[must_use]
    pub const fn held(&self) -> Held {
        self.bytes.held
    }

    /// How the numbers are kept.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        let mut encoding = Encoding { sparse_pages: 0, dense_pages: 0, arrays: 0, bitmaps: 0 };
        for page in self.pages() {
            match page.kind {
                Kind::Sparse => encoding.sparse_pages += 1,
                Kind::Dense => {
                    encoding.dense_pages += 1;
                    let (arrays, bitmaps) = pages::blocks(page.bytes);
                    encoding.arrays += arrays;
                    encoding.bitmaps += bitmaps;
                }
            }
        }
        encoding
    }

    /// The numbers, ascending, a page in memory at a time.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u64> {
        let mut pages: Vec<_> = self.pages().collect();
        pages.sort_unstable_by_key(|page| page.key);
        pages.into_iter().flat_map(|page| {
            let numbers = pages::numbers(page.kind, page.bytes);
            numbers.into_iter().map(move |number| u64::from(page.key) * PAGE + u64::from(number))
        })
    }

    /// The bytes of the file.
    #[cfg(feature = "measure")]
    pub(crate) fn file(&self) -> &[u8] {
        self.bytes.get()
    }

    fn pages(&self) -> impl Iterator<Item = Page<'_>> + Clone {
        self.slots.iter().filter_map(|slot| {
            Some(Page { key: slot.key, kind: slot.kind?, at: slot.at, bytes: self.page(slot) })
        })
    }

    fn page(&self, slot: &Slot) -> &[u8] {
        self.bytes.get().get(slot.at..).and_then(|page| page.get(..slot.length)).unwrap_or_default()
    }
}

/// The pages by hash of their key; `None` if the table or a page is not as `layout` says.
fn index(all: &[u8], header: &Header) -> Option<(Vec<Slot>, u32)> {
    let start = usize::try_from(header.table).ok()?;
    let table = all.get(start..).filter(|_| start >= HEADER)?;
    let (entries, rest) = table.as_chunks::<ENTRY>();
    if !rest.is_empty() || entries.len() != header.pages as usize || entries.len() > PAGES_MOST {
        return None;
    }
    let size = (entries.len() * 2).next_power_of_two().max(2);
    let (mask, shift) = (size - 1, 32 - size.ilog2());
    let mut slots = vec![FREE; size];
    let (mut last, mut count) = (None, 0_u64);
    for entry in entries {
        let (key, kind) = (u32_at(entry, 0)?, Kind::of(u32_at(entry, 4)?)?);
        let at = usize::try_from(u64_at(entry, 8)?).ok()?;
        let (length, numbers) = (u32_at(entry, 16)? as usize, u32_at(entry, 20)?);
        let page = all.get(at..start).filter(|_| at >= HEADER)?.get(..length)?;
        if last.is_some_and(|last| last >= key) || !pages::is_sound(kind, page, numbers) {
            return None;
        }
        let mut slot = hash(key, shift);
        while slots.get(slot)?.kind.is_some() {
            slot = (slot + 1) & mask;
        }
        *slots.get_mut(slot)? = Slot { key, kind: Some(kind), at, length };
        last = Some(key);
        count += u64::from(numbers);
    }
    (count == header.count).then_some((slots, shift))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{layout::MAGIC, writer::Writer};

    /// A file with a sparse page, a dense one, an array and a bitmap, as small as that can be.
    fn small() -> Vec<u8> {
        let path = std::env::temp_dir().join(format!("rf-small-{}", std::process::id()));
        let thread = std::thread::current().id();
        let path = path.with_extension(format!("{thread:?}"));
        let mut writer = Writer::new(File::create(&path).unwrap()).unwrap();
        for digits in (13_050_000_000..13_050_001_001).chain([13_050_010_001, 442_079_460_001]) {
            writer.push(digits).unwrap();
        }
        writer.finish("us.national_dnc", NaiveDate::MIN, -1).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        bytes
    }

    fn check(bytes: &[u8]) -> Result<Snapshot, SnapshotError> {
        Snapshot::check(Bytes::copied(bytes).unwrap())
    }

    #[test]
    fn every_truncation_of_a_snapshot_is_refused() {
        let whole = small();
        let encoding = check(&whole).unwrap().encoding();
        let one = Encoding { sparse_pages: 1, dense_pages: 1, arrays: 1, bitmaps: 1 };
        assert_eq!(encoding, one);
        for length in 1..whole.len() {
            let error = check(&whole[..length]).unwrap_err();
            let found = length as u64;
            let expected = if length < HEADER { HEADER } else { whole.len() } as u64;
            assert!(
                matches!(error, SnapshotError::Length { found: f, expected: e } if (f, e) == (found, expected)),
                "{length}: {error}"
            );
        }
        let longer = [whole.as_slice(), b"\0"].concat();
        assert!(matches!(check(&longer), Err(SnapshotError::Length { .. })));
    }

    #[test]
    fn every_single_flipped_bit_of_a_snapshot_is_refused() {
        let mut bytes = small();
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let error = check(&bytes).unwrap_err();
            let expected = if bit < MAGIC.len() * 8 {
                matches!(error, SnapshotError::Magic)
            } else if bit < HEADER * 8 {
                matches!(error, SnapshotError::Checksum("header"))
            } else {
                matches!(error, SnapshotError::Checksum("numbers"))
            };
            assert!(expected, "bit {bit}: {error}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        assert!(check(&bytes).is_ok());
    }

    /// The same bytes with right checksums after `change`.
    fn forged(change: impl FnOnce(&mut Vec<u8>, &mut Header)) -> Result<Snapshot, SnapshotError> {
        let mut bytes = small();
        let mut header = Header::decode(&bytes).unwrap();
        change(&mut bytes, &mut header);
        header.checksum = XxHash3_128::oneshot(&bytes[HEADER..]);
        header.length = bytes.len() as u64;
        bytes[..HEADER].copy_from_slice(&header.encode());
        check(&bytes)
    }

    #[test]
    fn a_right_checksum_over_what_cannot_be_is_refused_too() {
        assert!(forged(|_, _| {}).is_ok());
        let table = |header: &Header| usize::try_from(header.table).unwrap();
        for wrong in [
            forged(|_, header| header.count += 1),
            forged(|_, header| header.pages += 1),
            forged(|_, header| header.table += 8),
            forged(|_, header| header.table = u64::MAX),
            // Two keys out of order, an unknown kind, a page behind the end, one in the header.
            forged(|bytes, header| bytes[table(header)..][..4].fill(0xFF)),
            forged(|bytes, header| bytes[table(header) + 4] = 3),
            forged(|bytes, header| bytes[table(header) + 8..][..8].fill(0x7F)),
            forged(|bytes, header| bytes[table(header) + 8..][..8].fill(0)),
            forged(|bytes, header| bytes[table(header) + 16..][..4].fill(0xFF)),
            // A bitmap behind the end of its page, an unknown kind of block, a block in the directory.
            forged(|bytes, _| bytes[HEADER] = 0xFF),
            forged(|bytes, _| bytes[HEADER + 3] = 0xC0),
            forged(|bytes, _| bytes[HEADER + 4..][..3].fill(0)),
        ] {
            let error = wrong.unwrap_err();
            assert!(matches!(error, SnapshotError::Field(_)), "{error}");
        }
        let version = |bytes: &mut Vec<u8>| {
            bytes[8] = 2;
            let own = XxHash3_128::oneshot(&bytes[..240]);
            bytes[240..HEADER].copy_from_slice(&own.to_le_bytes());
        };
        let mut bytes = small();
        version(&mut bytes);
        assert!(matches!(check(&bytes), Err(SnapshotError::Version(2))));
    }
}
