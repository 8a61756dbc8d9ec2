//! Where the bitmap of each block lies: a look in a third of the steps.
//!
//! A look by the file alone goes through the table of pages and a page's directory to the bitmap.
//! How many looks the processor has on their way at once, and with it their rate, depends on how
//! few steps each takes. So a crowded list (most of its blocks
//! are bitmaps, and all of them near each other: a plan whose numbers have one length) is opened
//! with this table, made from the file, in the memory of each process: 4 bytes for each block from
//! the first to the last. In North America that is 3 MB, of which area codes that are not in
//! use take nothing.

use crate::{
    layout::{BLOCK, BLOCKS},
    pages::{self, Block, Kind},
};

/// Most blocks between the first and the last: all numbers of ten digits, twice; 8 MB.
const BLOCKS_MOST: usize = 1 << 21;

/// There is no number of this block.
const NONE: u32 = 0;
/// The block is not a bitmap, or lies beyond 4 GB: the pages say more. No bitmap begins here, as
/// the header does.
const ELSEWHERE: u32 = 1;

/// A page as it is found in the file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page<'a> {
    pub(crate) key: u32,
    pub(crate) kind: Kind,
    /// Where it begins in the file.
    pub(crate) at: usize,
    pub(crate) bytes: &'a [u8],
}

/// The blocks of a list, or none if it is not crowded.
#[derive(Debug, Default)]
pub(crate) struct Near {
    /// The first block, counted from number 0.
    first: u64,
    /// For each block: [`NONE`], [`ELSEWHERE`], or where its bitmap begins in the file.
    blocks: Vec<u32>,
}

impl Near {
    /// Of all pages of a file, in any order, each of them sound.
    pub(crate) fn of<'a>(pages: impl Iterator<Item = Page<'a>> + Clone) -> Self {
        let mut dense = pages.clone().filter(|page| page.kind == Kind::Dense);
        let (arrays, bitmaps) = dense
            .clone()
            .map(|page| pages::blocks(page.bytes))
            .fold((0, 0), |all, page| (all.0 + page.0, all.1 + page.1));
        if bitmaps <= arrays {
            return Self::default();
        }
        let Some(first) = dense.next().map(|page| page.key) else { return Self::default() };
        // A few numbers far away are found through their pages, and do not make the table large.
        let (first, last) =
            dense.fold((first, first), |ends, page| (ends.0.min(page.key), ends.1.max(page.key)));
        let length = usize::try_from(last - first).unwrap_or(usize::MAX).saturating_add(1);
        if length > BLOCKS_MOST / BLOCKS {
            return Self::default();
        }
        // Zeroed by the kernel where it is first touched, and not before.
        let mut blocks = vec![NONE; length * BLOCKS];
        for page in pages {
            let from = page.key.checked_sub(first).and_then(|index| usize::try_from(index).ok());
            let from = from.and_then(|index| index.checked_mul(BLOCKS));
            if let Some(room) = from.and_then(|from| blocks.get_mut(from..)?.get_mut(..BLOCKS)) {
                fill(room, &page);
            }
        }
        Self { first: u64::from(first) * BLOCKS as u64, blocks }
    }

    /// Whether a number is on the list whose file is `all`. `None` if this does not know.
    #[inline]
    pub(crate) fn look(&self, all: &[u8], digits: u64) -> Option<bool> {
        let (block, low) = (digits / u64::from(BLOCK), digits % u64::from(BLOCK));
        // Below the first one is far behind the last one.
        let block = usize::try_from(block.wrapping_sub(self.first)).ok()?;
        let at = *self.blocks.get(block)?;
        if at > ELSEWHERE {
            let byte = all.get(at as usize + usize::try_from(low / 8).ok()?)?;
            // No branch on the answer: it could only be guessed, and the looks after a wrong guess
            // would wait for the memory that was asked here.
            return Some(byte >> (low % 8) & 1 == 1);
        }
        (at == NONE).then_some(false)
    }
}

/// Enters the blocks of a page.
fn fill(room: &mut [u32], page: &Page<'_>) {
    if page.kind == Kind::Sparse {
        room.fill(ELSEWHERE);
        return;
    }
    for (entry, block) in room.iter_mut().zip(pages::directory(page.bytes)) {
        *entry = match block {
            Some(Block::Empty) => NONE,
            Some(Block::Bitmap { at }) => u32::try_from(page.at + at).unwrap_or(ELSEWHERE),
            Some(Block::Array { .. }) | None => ELSEWHERE,
        };
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::layout::{ARRAY_MOST, PAGE};

    /// Key, kind, where it begins, its bytes.
    type Laid = (u32, Kind, usize, usize);

    /// The pages of `numbers` one behind the other, and where they are.
    fn laid(numbers: &BTreeSet<u64>) -> (Vec<u8>, Vec<Laid>) {
        let (mut all, mut pages) = (vec![0xFF; 256], Vec::new());
        let numbers: Vec<u64> = numbers.iter().copied().collect();
        for page in numbers.chunk_by(|a, b| a / PAGE == b / PAGE) {
            let low: Vec<u32> = page.iter().map(|it| u32::try_from(it % PAGE).unwrap()).collect();
            let mut bytes = Vec::new();
            let kind = pages::encode(&low, &mut bytes);
            let key = u32::try_from(page[0] / PAGE).unwrap();
            pages.push((key, kind, all.len(), bytes.len()));
            all.append(&mut bytes);
        }
        (all, pages)
    }

    fn near(all: &[u8], pages: &[Laid]) -> Near {
        Near::of(pages.iter().map(|(key, kind, at, length)| Page {
            key: *key,
            kind: *kind,
            at: *at,
            bytes: &all[*at..][..*length],
        }))
    }

    /// Blocks of a plan of twelve pages, each with so many numbers, from a start in steps.
    fn crowds() -> impl Strategy<Value = BTreeSet<u64>> {
        let count = prop_oneof![Just(1_u64), Just(255), Just(256), Just(257), 1..3_000_u64];
        let crowd = (1_300_000_u64..1_312_000, count, 0_u64..10_000, 1_u64..4);
        prop::collection::vec(crowd, 1..40).prop_map(|crowds| {
            crowds
                .into_iter()
                .flat_map(|(block, count, start, step)| {
                    (0..count).map(move |at| block * 10_000 + (start + at * step) % 10_000)
                })
                .collect()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]
        #[test]
        fn what_it_knows_is_right_and_it_knows_every_bitmap_and_every_gap(numbers in crowds()) {
            let (all, pages) = laid(&numbers);
            let near = near(&all, &pages);
            let dense = |key| pages.iter().any(|page| page.0 == key && page.1 == Kind::Dense);
            let in_block = |block: u64| numbers.range(block * 10_000..(block + 1) * 10_000).count();
            let blocks: BTreeSet<u64> = numbers.iter().map(|it| it / 10_000).collect();
            for block in blocks.iter().flat_map(|block| block - 1..block + 2) {
                let count = in_block(block);
                let key = u32::try_from(block / 1_000).unwrap();
                for digits in (block * 10_000..(block + 1) * 10_000).step_by(7) {
                    let look = near.look(&all, digits);
                    let right = numbers.contains(&digits);
                    prop_assert!(look.is_none_or(|look| look == right), "{digits}: {look:?}");
                    if !near.blocks.is_empty() && dense(key) {
                        let array = (1..=ARRAY_MOST).contains(&count);
                        prop_assert_eq!(look.is_none(), array, "{} of {}", digits, count);
                    }
                }
            }
        }
    }

    #[test]
    fn it_is_made_for_crowded_lists_that_lie_near_each_other() {
        let block = |block: u64, count: u64| (0..count).map(move |at| block * 10_000 + at);
        let of = |numbers: BTreeSet<u64>| {
            let (all, pages) = laid(&numbers);
            let near = near(&all, &pages);
            (near.look(&all, 13_000_000_000), near.blocks.len())
        };
        let bitmaps = |last: u64| block(1_300_000, 1_001).chain(block(last, 1_001)).collect();
        assert_eq!(of(BTreeSet::new()), (None, 0));
        assert_eq!(of(bitmaps(1_300_001)), (Some(true), 1_000));
        // As many arrays as bitmaps.
        assert_eq!(of(block(1_300_000, 1_001).chain(block(1_300_001, 1)).collect()), (None, 0));
        // The last page that is near enough, and the first that is not.
        assert_eq!(of(bitmaps(1_300_000 + 2_096_999)), (Some(true), 2_097_000));
        assert_eq!(of(bitmaps(1_300_000 + 2_097_000)), (None, 0));
        // A few numbers far away, or on a sparse page in between, are found elsewhere.
        let mut numbers: BTreeSet<u64> = bitmaps(1_302_000);
        numbers.extend([7_000_000, 13_010_000_000, 999_999_999_999_999]);
        let (all, pages) = laid(&numbers);
        let near = near(&all, &pages);
        assert_eq!(near.blocks.len(), 3_000);
        for elsewhere in [7_000_000, 12_999_999_999, 13_010_000_000, 13_019_999_999, 13_030_000_000]
        {
            assert_eq!(near.look(&all, elsewhere), None, "{elsewhere}");
        }
        for (digits, right) in [
            (13_000_000_000, true),
            (13_000_001_000, true),
            (13_000_001_001, false),
            (13_000_010_000, false),
            (13_020_001_000, true),
            (13_020_001_001, false),
            (13_029_999_999, false),
        ] {
            assert_eq!(near.look(&all, digits), Some(right), "{digits}");
        }
    }
}
