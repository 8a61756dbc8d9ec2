//! What `loadtest lists` times: a made list, and other ways to hold it. It is here so that all of
//! them are built with this crate's optimisation, and not with that of the rig.

use std::{
    collections::HashSet,
    hint::black_box,
    io::{self, BufRead, Read},
};

use dialer_types::E164;
use roaring::RoaringTreemap;

use crate::Snapshot;

/// A list in the making that has the shape of a national one, the same for one seed: distinct
/// numbers in no order, evenly over all exchanges of some area codes, or over a whole country.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    seed: u64,
    room: u64,
    shape: Shape,
}

#[derive(Debug, Clone, Copy)]
enum Shape {
    /// Area codes and exchanges from 200 to 999.
    NorthAmerica,
    /// `+49` and ten digits, all of them possible.
    Open,
}

const EXCHANGES: u64 = 800;

impl Plan {
    /// `areas` area codes, of 800 at most. All 800 exchanges of each are in use: the worst case,
    /// as a real plan leaves a third and more of them out.
    #[must_use]
    pub fn north_america(areas: u64, seed: u64) -> Self {
        let areas = areas.clamp(1, 420);
        Self { seed, room: areas * EXCHANGES * 10_000, shape: Shape::NorthAmerica }
    }

    /// A thin list of a plan without exchanges.
    #[must_use]
    pub const fn open(seed: u64) -> Self {
        Self { seed, room: 4_000_000_000, shape: Shape::Open }
    }

    /// How many numbers the plan has.
    #[must_use]
    pub const fn room(&self) -> u64 {
        self.room
    }

    /// The number at `index` below [`Plan::room`]; another for every index.
    #[must_use]
    pub fn number(&self, index: u64) -> u64 {
        let mut at = index;
        // A permutation of 32 bits, walked until it falls into the plan.
        loop {
            at = permute(at, self.seed);
            if at < self.room {
                break;
            }
        }
        match self.shape {
            Shape::NorthAmerica => {
                let (line, rest) = (at % 10_000, at / 10_000);
                let (exchange, area) = (200 + rest % EXCHANGES, 200 + rest / EXCHANGES);
                ((1_000 + area) * 1_000 + exchange) * 10_000 + line
            }
            Shape::Open => 491_000_000_000 + at * 2,
        }
    }

    /// The first `count` numbers as lines.
    #[must_use]
    pub const fn lines(self, count: u64) -> Lines {
        Lines { plan: self, next: 0, count, made: Vec::new(), at: 0 }
    }
}

/// Four rounds of Feistel over two halves of 16 bits.
fn permute(value: u64, seed: u64) -> u64 {
    let (mut left, mut right) = (value >> 16 & 0xFFFF, value & 0xFFFF);
    for round in 0..4 {
        let mixed = (right ^ seed.rotate_left(round * 16)).wrapping_add(u64::from(round) + 1);
        let mixed = mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (left, right) = (right, left ^ mixed >> 40 & 0xFFFF);
    }
    left << 16 | right
}

/// The text of a list, made as it is read.
#[derive(Debug)]
pub struct Lines {
    plan: Plan,
    next: u64,
    count: u64,
    made: Vec<u8>,
    at: usize,
}

/// Lines made at once.
const AT_ONCE: u64 = 4_096;

impl BufRead for Lines {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at >= self.made.len() {
            (self.at, self.made) = (0, std::mem::take(&mut self.made));
            self.made.clear();
            let until = self.count.min(self.next + AT_ONCE);
            for index in self.next..until {
                write_line(self.plan.number(index), &mut self.made);
            }
            self.next = until;
        }
        Ok(self.made.get(self.at..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.at += amount;
    }
}

impl Read for Lines {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(room)?;
        self.consume(read);
        Ok(read)
    }
}

/// Twice as fast as `write!`, which would take as long as what is measured.
fn write_line(mut digits: u64, out: &mut Vec<u8>) {
    let mut backwards = [b'0'; 20];
    let mut length = 0;
    for place in &mut backwards {
        *place += u8::try_from(digits % 10).unwrap_or(0);
        digits /= 10;
        length += 1;
        if digits == 0 {
            break;
        }
    }
    out.push(b'+');
    out.extend(backwards.get(..length).unwrap_or_default().iter().rev());
    out.push(b'\n');
}

/// A list held in one of several ways.
#[derive(Debug)]
pub enum Kept {
    /// As the dialer holds it.
    Snapshot(Box<Snapshot>),
    /// A sorted vector: half a search's steps miss the cache.
    Sorted(Vec<u64>),
    /// The standard library's hash set.
    Set(HashSet<u64>),
    /// The `roaring` crate's, by the high and the low 32 bits.
    Roaring(RoaringTreemap),
}

impl Kept {
    /// A sorted vector of these.
    #[must_use]
    pub fn sorted(mut numbers: Vec<u64>) -> Self {
        numbers.sort_unstable();
        Self::Sorted(numbers)
    }

    /// A hash set of these.
    #[must_use]
    pub fn set(numbers: &[u64]) -> Self {
        Self::Set(numbers.iter().copied().collect())
    }

    /// A treemap of these; with its bytes when it is written.
    #[must_use]
    pub fn roaring(numbers: &[u64]) -> (Self, usize) {
        let mut map: RoaringTreemap = numbers.iter().copied().collect();
        map.optimize();
        let bytes = map.serialized_size();
        (Self::Roaring(map), bytes)
    }

    /// How many of `numbers` are on it. Each is asked for itself, so that the processor may have
    /// several on the way.
    #[must_use]
    pub fn count(&self, numbers: &[E164]) -> usize {
        match self {
            Self::Snapshot(list) => count(numbers, |number| list.contains(number)),
            Self::Sorted(list) => {
                count(numbers, |number| list.binary_search(&number.digits()).is_ok())
            }
            Self::Set(list) => count(numbers, |number| list.contains(&number.digits())),
            Self::Roaring(list) => count(numbers, |number| list.contains(number.digits())),
        }
    }

    /// The same, but no look begins before the answer of the one before is there.
    #[must_use]
    pub fn count_one_by_one(&self, numbers: &[E164]) -> usize {
        match self {
            Self::Snapshot(list) => chained(numbers, |number| list.contains(number)),
            Self::Sorted(list) => {
                chained(numbers, |number| list.binary_search(&number.digits()).is_ok())
            }
            Self::Set(list) => chained(numbers, |number| list.contains(&number.digits())),
            Self::Roaring(list) => chained(numbers, |number| list.contains(number.digits())),
        }
    }
}

/// What memory itself takes, beside a look: one byte of a list's file for each of `numbers`, in no
/// order, and nothing else. Gives how many of them are odd.
#[must_use]
pub fn touch(list: &Snapshot, numbers: &[E164]) -> usize {
    count(numbers, |number| odd(list.file(), number))
}

/// The same, but no byte is asked for before the one before is there.
#[must_use]
pub fn touch_one_by_one(list: &Snapshot, numbers: &[E164]) -> usize {
    chained(numbers, |number| odd(list.file(), number))
}

fn odd(file: &[u8], number: E164) -> bool {
    let spread = number.digits().wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let at = (u128::from(spread) * file.len() as u128) >> 64;
    usize::try_from(at).ok().and_then(|at| file.get(at)).is_some_and(|byte| byte & 1 == 1)
}

fn count(numbers: &[E164], contains: impl Fn(E164) -> bool) -> usize {
    numbers.iter().map(|number| usize::from(contains(*number))).sum()
}

fn chained(numbers: &[E164], contains: impl Fn(E164) -> bool) -> usize {
    // Nothing, but the processor cannot know.
    let nothing: usize = black_box(0);
    let mut found = 0;
    let mut last = 0;
    for at in 0..numbers.len() {
        // Which number is asked for is known when the last answer is.
        let Some(number) = numbers.get(at + (last & nothing)) else { break };
        last = usize::from(contains(*number));
        found += last;
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_made_list_has_distinct_numbers_of_its_plan_and_the_same_each_time() {
        let plan = Plan::north_america(2, 7);
        let made: BTreeSet<u64> = (0..200_000).map(|index| plan.number(index)).collect();
        assert_eq!(made.len(), 200_000);
        let areas: BTreeSet<u64> = made.iter().map(|number| number / 10_000_000).collect();
        assert_eq!(areas, BTreeSet::from([1_200, 1_201]));
        assert!(made.iter().all(|number| number / 10_000 % 1_000 >= 200));
        let mut text = String::new();
        plan.lines(200_000).read_to_string(&mut text).unwrap();
        let read: BTreeSet<u64> =
            text.lines().map(|line| line.strip_prefix('+').unwrap().parse().unwrap()).collect();
        assert!(read == made && text.lines().all(|line| line.starts_with('+')));
        let open = Plan::open(7);
        let made: BTreeSet<u64> = (0..10_000).map(|index| open.number(index)).collect();
        assert!(made.len() == 10_000 && made.iter().all(|it| it.to_string().len() == 12));
    }

    #[test]
    fn every_way_of_holding_a_list_gives_the_same_answers() {
        let plan = Plan::north_america(1, 7);
        let numbers: Vec<u64> = (0..5_000).map(|index| plan.number(index)).collect();
        let asked: Vec<E164> =
            (2_500..7_500).map(|index| E164::from_digits(plan.number(index)).unwrap()).collect();
        for kept in [Kept::sorted(numbers.clone()), Kept::set(&numbers), Kept::roaring(&numbers).0]
        {
            assert_eq!((kept.count(&asked), kept.count_one_by_one(&asked)), (2_500, 2_500));
        }
    }
}
