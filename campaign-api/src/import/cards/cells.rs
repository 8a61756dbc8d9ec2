//! A card number divided over neighbouring cells of a row.

use super::{
    LENGTHS, common,
    digits::{Kind, digit, kind},
    is_card,
};

/// Cells that one number is looked for in.
const CELLS: std::ops::RangeInclusive<usize> = 2..=6;
/// As many cells of the same length in a row are a table of figures: a card has at most five, with
/// its expiry six.
const TABLE: usize = 7;
/// How people divide a number, in digits of each cell.
const USUAL: [&[usize]; 11] = [
    &[4, 4, 4, 4],
    &[4, 4, 4, 4, 3],
    &[4, 6, 5],
    &[4, 6, 4],
    &[4, 8, 4],
    &[4, 4, 8],
    &[8, 4, 4],
    &[8, 8],
    &[6, 10],
    &[4, 12],
    &[12, 4],
];

/// A cell of digits.
struct Piece {
    at: usize,
    begin: usize,
    end: usize,
}

impl Piece {
    const fn len(&self) -> usize {
        self.end - self.begin
    }
}

/// The first of neighbouring cells that together are a card number. Whole cells only, in their
/// usual groups; or in others that are alike, and then of the schemes and lengths that most cards
/// have: rows are full of amounts, years and ids that stand side by side, and must not be lost.
/// `spared`: what this cell is, is known. `named`: its column is called after cards, so that any
/// division counts.
pub(crate) fn split_card<'a>(
    cells: impl Iterator<Item = &'a str>,
    spared: impl Fn(usize) -> bool,
    named: impl Fn(usize) -> bool,
) -> Option<usize> {
    let (mut digits, mut run) = (Vec::new(), Vec::new());
    let look = |digits: &mut Vec<u8>, run: &mut Vec<Piece>| {
        let found = if run.len() < *CELLS.start() || digits.len() < *LENGTHS.start() {
            None
        } else {
            in_run(digits, run, &spared, &named)
        };
        digits.clear();
        run.clear();
        found
    };
    for (at, cell) in cells.enumerate() {
        let begin = digits.len();
        if take(cell, &mut digits) {
            run.push(Piece { at, begin, end: digits.len() });
        } else {
            digits.truncate(begin);
            if let Some(found) = look(&mut digits, &mut run) {
                return Some(found);
            }
        }
    }
    look(&mut digits, &mut run)
}

fn in_run(
    digits: &[u8],
    run: &[Piece],
    spared: &impl Fn(usize) -> bool,
    named: &impl Fn(usize) -> bool,
) -> Option<usize> {
    for first in 0..run.len() {
        for count in CELLS {
            let Some(window) = run.get(first..first + count) else { break };
            let (Some(from), Some(to)) = (window.first(), window.last()) else { break };
            if to.end - from.begin > *LENGTHS.end() {
                break;
            }
            let Some(whole) = digits.get(from.begin..to.end) else { break };
            // The sum first: it is what hardly any row passes.
            if is_card(whole)
                && (divided(window, whole, run, digits) || window.iter().any(|p| named(p.at)))
                && !window.iter().any(|piece| spared(piece.at))
            {
                return Some(from.at);
            }
        }
    }
    None
}

/// Whether these cells look like the parts of one number.
fn divided(window: &[Piece], whole: &[u8], run: &[Piece], digits: &[u8]) -> bool {
    let lengths: Vec<usize> = window.iter().map(Piece::len).collect();
    let same = |all: &[usize]| all.windows(2).all(|pair| pair.first() == pair.last());
    if lengths.len() > 2 && same(&lengths) && is_table(window, run) {
        return false;
    }
    let of = |piece: &Piece| digits.get(piece.begin..piece.end).unwrap_or_default();
    if window.iter().any(|piece| is_day(of(piece))) {
        return false;
    }
    if USUAL.contains(&lengths.as_slice()) {
        return same(&lengths) || common(whole);
    }
    let alike = match lengths.as_slice() {
        [one, other] => *one >= 4 && *other >= 4,
        _ if whole.len() != 16 => false,
        // Cut into equal parts from either end, with what is left over.
        [first, parts @ ..] if same(parts) => parts.first().is_some_and(|part| first <= part),
        [parts @ .., last] if same(parts) => parts.first().is_some_and(|part| *last <= part + 1),
        _ => false,
    };
    alike && common(whole) && !window.iter().any(|piece| is_year(of(piece)))
}

/// Whether so many cells of this length stand side by side that they are figures.
fn is_table(window: &[Piece], run: &[Piece]) -> bool {
    let Some(length) = window.first().map(Piece::len) else { return false };
    let at = |piece: &&Piece| window.first().is_some_and(|first| first.at == piece.at);
    let Some(place) = run.iter().position(|piece| at(&piece)) else { return false };
    let (before, after) = run.split_at(place);
    let like = |piece: &&Piece| piece.len() == length;
    before.iter().rev().take_while(like).count() + after.iter().take_while(like).count() >= TABLE
}

fn is_year(digits: &[u8]) -> bool {
    matches!(digits, [1, 9, _, _] | [2, 0, _, _])
}

/// `20261124`.
fn is_day(digits: &[u8]) -> bool {
    let [a, b, c, d, m, n, x, y] = digits else { return false };
    is_year(&[*a, *b, *c, *d])
        && (1..=12).contains(&(m * 10 + n))
        && (1..=31).contains(&x.saturating_mul(10).saturating_add(*y))
}

/// Digits of each group of a cell that holds several, `4111 1111`: dates, telephone numbers and amounts
/// have groups of two and three.
const GROUP: std::ops::RangeInclusive<usize> = 4..=8;

/// The digits of a cell that is nothing else, whatever a spreadsheet or a person put around them.
fn take(cell: &str, digits: &mut Vec<u8>) -> bool {
    if cell.len() > 200 {
        return false;
    }
    let bare = cell.trim_matches(|c: char| matches!(kind(c), Kind::Between | Kind::Nothing));
    let bare =
        [".0", ".00", ",0", ",00"].iter().find_map(|end| bare.strip_suffix(end)).unwrap_or(bare);
    let before = digits.len();
    let (mut group, mut grouped) = (0, false);
    for character in bare.chars() {
        match digit(character) {
            Some(digit) => {
                digits.push(digit);
                group += 1;
            }
            None if kind(character) == Kind::Nothing => {}
            None if kind(character) == Kind::Between && GROUP.contains(&group) => {
                (group, grouped) = (0, true);
            }
            None => return false,
        }
    }
    digits.len() > before && (!grouped || GROUP.contains(&group))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(cells: &[&str]) -> Option<usize> {
        split_card(cells.iter().copied(), |_| false, |_| false)
    }

    #[test]
    fn a_card_over_neighbouring_cells_is_found() {
        for (row, at) in [
            ("x,4111,1111,1111,1111", 1),
            ("3782,822463,10005,x", 0),
            ("41111111,11111111", 0),
            ("411111,1111111111", 0),
            ("4111,11111111,1111", 0),
            ("4111,111111111111", 0),
            ("4111-,1111-,1111-,1111", 0),
            ("'4111,'1111,'1111,'1111", 0),
            ("=\"4111\",=\"1111\",=\"1111\",=\"1111\"", 0),
            ("4111.0,1111.0,1111.0,1111.0", 0),
            (" 4111 ,(1111),[1111],1111;", 0),
            ("a,41111,11111,11111,1", 1),
            ("411111,111111,1111", 0),
            ("4111111,111111111", 0),
            ("411,111,111,111,1111", 0),
            ("4,111,111,111,111,111", 0),
            ("37828224,6310005", 0),
            ("４１１１,１１１１,１１１１,１１１１", 0),
            ("4111,1111,1111,1111,12,28,123", 0),
            ("x,4111 1111,1111 1111", 1),
            ("4111-1111-,1111-1111", 0),
            ("3782 822463,10005", 0),
        ] {
            assert_eq!(found(&row.split(',').collect::<Vec<_>>()), Some(at), "{row}");
        }
        for row in [
            "4111,1111,x,1111,1111",
            "4111,1111,1111,1112",
            "4111,,1111,1111,1111",
            "41,1,111111,1111111",
            "411 111 111,111 1111",
        ] {
            assert_eq!(found(&row.split(',').collect::<Vec<_>>()), None, "{row}");
        }
    }

    #[test]
    fn a_cell_that_is_known_is_spared_and_a_column_of_cards_is_looked_at_more_closely() {
        let row = ["4111", "111111111111"];
        assert_eq!(split_card(row.into_iter(), |at| at == 1, |_| false), None);
        let odd = ["41", "1", "111111", "1111111"];
        assert_eq!(split_card(odd.into_iter(), |_| false, |at| at == 0), Some(0));
    }

    /// Rows as lists have them: the same numbers every time, as random as they are there.
    #[test]
    fn normal_rows_are_practically_never_quarantined() {
        let mut state = 7_u64;
        let mut next = |most: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % most
        };
        const ROWS: u64 = 100_000;
        let mut lost = [0_u32; 5];
        for n in 0..ROWS {
            let (amount, age, year) = (next(99_999), 18 + next(70), 1940 + next(86));
            let day = format!("{}{:02}{:02}", 2000 + next(27), 1 + next(12), 1 + next(28));
            let (zip, id) = (10_000 + next(89_999), 40_000_000 + n);
            let rows: [Vec<String>; 5] = [
                // An id, an amount, an age, a year, a postal code.
                [id, amount, age, year, zip].map(|cell| cell.to_string()).into(),
                // A postal code, a day, a score, an amount, cents.
                vec![
                    zip.to_string(),
                    day,
                    (300 + next(550)).to_string(),
                    amount.to_string(),
                    "0".into(),
                ],
                // A month each.
                (0..12).map(|_| (4000 + next(999)).to_string()).collect(),
                // Amounts of any size.
                (0..6)
                    .map(|_| {
                        let most = 10_u64.pow(u32::try_from(1 + next(6)).unwrap());
                        next(most).to_string()
                    })
                    .collect(),
                // A branch, an account, a year, a rate.
                vec![
                    (100 + next(900)).to_string(),
                    (1_000_000 + next(8_999_999)).to_string(),
                    year.to_string(),
                    next(30).to_string(),
                ],
            ];
            for (row, lost) in rows.iter().zip(&mut lost) {
                let row: Vec<&str> = row.iter().map(String::as_str).collect();
                *lost += u32::from(found(&row).is_some());
            }
        }
        println!("of {ROWS} rows of each kind: {lost:?}");
        // Of six figures of one to six digits side by side one or two rows in a thousand.
        assert!(lost.iter().all(|lost| *lost < 200), "{lost:?}");
        assert_eq!(lost.iter().sum::<u32>(), *lost.iter().max().unwrap(), "{lost:?}");
    }
}
