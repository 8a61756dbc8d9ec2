//! One page of a snapshot: written, asked, walked, checked.

use crate::layout::{ARRAY_MOST, BITMAP, BLOCK, BLOCKS, SPARSE_MOST, u16_at, u32_at};

/// How a page is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sparse,
    Dense,
}

impl Kind {
    pub(crate) const fn code(self) -> u32 {
        match self {
            Self::Sparse => 1,
            Self::Dense => 2,
        }
    }

    pub(crate) const fn of(code: u32) -> Option<Self> {
        match code {
            1 => Some(Self::Sparse),
            2 => Some(Self::Dense),
            _ => None,
        }
    }
}

const DIRECTORY: usize = BLOCKS * 4;

/// A block of a dense page, as its entry in the directory says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Block {
    Empty,
    Array { at: usize, count: usize },
    Bitmap { at: usize },
}

impl Block {
    /// `None` if the entry says nothing that is known.
    #[inline]
    pub(crate) const fn of(entry: u32) -> Option<Self> {
        let at = (entry & 0xF_FFFF) as usize * 2;
        match entry >> 30 {
            2 => Some(Self::Bitmap { at }),
            1 => Some(Self::Array { at, count: (entry >> 20 & 0xFF) as usize + 1 }),
            0 if entry == 0 => Some(Self::Empty),
            _ => None,
        }
    }

    /// The entry; `at` is even and below 2 MiB, which the sum of the blocks is.
    fn entry(self) -> u32 {
        let units = |at: usize| u32::try_from(at / 2).unwrap_or(0);
        match self {
            Self::Empty => 0,
            Self::Array { at, count } => {
                1 << 30 | u32::try_from(count - 1).unwrap_or(0) << 20 | units(at)
            }
            Self::Bitmap { at } => 2 << 30 | units(at),
        }
    }
}

/// Appends the page of `numbers` (ascending, without their leading digits) to the empty `out`.
pub(crate) fn encode(numbers: &[u32], out: &mut Vec<u8>) -> Kind {
    if numbers.len() <= SPARSE_MOST {
        out.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        return Kind::Sparse;
    }
    out.resize(DIRECTORY, 0);
    for block in numbers.chunk_by(|a, b| a / BLOCK == b / BLOCK) {
        let at = out.len();
        let entry = if block.len() <= ARRAY_MOST {
            let low = block.iter().map(|number| u16::try_from(number % BLOCK).unwrap_or(0));
            out.extend(low.flat_map(u16::to_le_bytes));
            Block::Array { at, count: block.len() }
        } else {
            out.resize(at + BITMAP, 0);
            for number in block {
                let low = number % BLOCK;
                if let Some(byte) = out.get_mut(at + (low / 8) as usize) {
                    *byte |= 1 << (low % 8);
                }
            }
            Block::Bitmap { at }
        };
        let of = block.first().map_or(0, |number| (number / BLOCK) as usize * 4);
        if let Some(room) = out.get_mut(of..of + 4) {
            room.copy_from_slice(&entry.entry().to_le_bytes());
        }
    }
    Kind::Dense
}

/// Whether `number` stands on a page. `None` if the page cannot be read, which a checked one never is.
#[inline]
pub(crate) fn contains(kind: Kind, page: &[u8], number: u32) -> Option<bool> {
    match kind {
        Kind::Dense => {
            let low = number % BLOCK;
            match Block::of(u32_at(page, (number / BLOCK) as usize * 4)?)? {
                Block::Empty => Some(false),
                Block::Bitmap { at } => {
                    Some(page.get(at + (low / 8) as usize)? >> (low % 8) & 1 == 1)
                }
                Block::Array { at, count } => {
                    let block = page.get(at..at + count * 2)?;
                    let (items, _) = block.as_chunks::<2>();
                    let found =
                        items.binary_search_by_key(&low, |it| u16::from_le_bytes(*it).into());
                    Some(found.is_ok())
                }
            }
        }
        Kind::Sparse => {
            let (items, _) = page.as_chunks::<4>();
            Some(items.binary_search_by_key(&number, |it| u32::from_le_bytes(*it)).is_ok())
        }
    }
}

/// The numbers of a page, ascending.
pub(crate) fn numbers(kind: Kind, page: &[u8]) -> Vec<u32> {
    if kind == Kind::Sparse {
        let (items, _) = page.as_chunks::<4>();
        return items.iter().map(|it| u32::from_le_bytes(*it)).collect();
    }
    let mut out = Vec::new();
    for (block, base) in directory(page).zip((0..).step_by(BLOCK as usize)) {
        match block {
            Some(Block::Array { at, count }) => {
                let low = (0..count).filter_map(|it| u16_at(page, at + it * 2));
                out.extend(low.map(|low| base + u32::from(low)));
            }
            Some(Block::Bitmap { at }) => {
                let bytes = page.get(at..at + BITMAP).unwrap_or_default();
                for (byte, low) in bytes.iter().zip((0..).step_by(8)) {
                    let bits = (0..8).filter(|bit| byte >> bit & 1 == 1);
                    out.extend(bits.map(|bit: u32| base + low + bit));
                }
            }
            Some(Block::Empty) | None => {}
        }
    }
    out
}

/// The blocks of a dense page, each `None` if it cannot be read.
pub(crate) fn directory(page: &[u8]) -> impl Iterator<Item = Option<Block>> {
    (0..BLOCKS).map(|index| u32_at(page, index * 4).and_then(Block::of))
}

/// How many blocks are kept as arrays and as bitmaps.
pub(crate) fn blocks(page: &[u8]) -> (u64, u64) {
    let (mut arrays, mut bitmaps) = (0, 0);
    for block in directory(page) {
        match block {
            Some(Block::Array { .. }) => arrays += 1,
            Some(Block::Bitmap { .. }) => bitmaps += 1,
            Some(Block::Empty) | None => {}
        }
    }
    (arrays, bitmaps)
}

fn ascending(mut items: impl Iterator<Item = u32>, most: u32) -> bool {
    let mut last = None;
    items.all(|item| {
        let good = item < most && last.is_none_or(|last| last < item);
        last = Some(item);
        good
    })
}

/// Whether every look into a page stays within it and its arrays are sorted. A right checksum says
/// that the file is as it was written; this, that what was written can be asked.
pub(crate) fn is_sound(kind: Kind, page: &[u8], count: u32) -> bool {
    if kind == Kind::Sparse {
        let (items, rest) = page.as_chunks::<4>();
        let numbers = items.iter().map(|it| u32::from_le_bytes(*it));
        return rest.is_empty()
            && u32::try_from(items.len()) == Ok(count)
            && ascending(numbers, BLOCK * 1_000);
    }
    directory(page).all(|block| match block {
        None => false,
        Some(Block::Empty) => true,
        Some(Block::Bitmap { at }) => at >= DIRECTORY && at + BITMAP <= page.len(),
        Some(Block::Array { at, count }) => {
            let low = (0..count).filter_map(|it| u16_at(page, at + it * 2).map(u32::from));
            at >= DIRECTORY && at + count * 2 <= page.len() && ascending(low, BLOCK)
        }
    })
}
