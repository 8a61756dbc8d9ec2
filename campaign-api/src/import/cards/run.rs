//! Digits with nothing but dividers between them, and which of them may be a card number.

use super::{LENGTHS, common, is_card};

/// Groups of digits of one run that are looked at together; a card has at most this many.
const MAX_GROUPS: usize = 19;
/// Signs between two groups, blanks not counted: more is a line that somebody drew.
const MAX_SIGNS: usize = 3;

#[derive(Debug, Clone, Copy)]
struct Group {
    begin: usize,
    end: usize,
    /// The one character between it and the group before.
    by: Option<char>,
    /// A `+` stands before it, and not right behind a digit.
    plus: bool,
}

impl Group {
    const fn len(self) -> usize {
        self.end - self.begin
    }
}

/// Digits with nothing but dividers between them.
#[derive(Debug, Default)]
pub(super) struct Run {
    digits: Vec<u8>,
    groups: Vec<Group>,
    /// Characters since the last digit, how many of them are no blanks, and the last.
    between: usize,
    signs: usize,
    last: Option<char>,
}

impl Run {
    pub(super) fn push(&mut self, digit: u8) {
        let end = self.digits.len() + 1;
        self.digits.push(digit);
        match self.groups.last_mut() {
            Some(group) if self.between == 0 => group.end = end,
            before => {
                let first = before.is_none();
                self.groups.push(Group {
                    begin: end - 1,
                    end,
                    by: self.last.filter(|_| self.between == 1),
                    plus: self.last == Some('+') && (first || self.between > 1),
                });
            }
        }
        (self.between, self.signs, self.last) = (0, 0, None);
    }

    /// Takes a divider; false if the run ends with it.
    pub(super) fn divide(&mut self, character: char) -> bool {
        self.between += 1;
        self.signs += usize::from(!character.is_whitespace());
        self.last = Some(character);
        self.signs <= MAX_SIGNS || self.groups.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.digits.clear();
        self.groups.clear();
        (self.between, self.signs, self.last) = (0, 0, None);
    }

    /// Days, times of day and telephone numbers are passed over: two of them side by side have as
    /// many digits as a card. Every row of whole groups between them is looked at.
    pub(super) fn holds_card(&self) -> bool {
        if self.digits.len() < *LENGTHS.start() {
            return false;
        }
        let (mut begin, mut at) = (0, 0);
        while at < self.groups.len() {
            let known = self.known(at);
            if known > 0 || self.begins_number(at) {
                if self.between_holds_card(begin, at) {
                    return true;
                }
                begin = at + known;
            }
            at += known.max(1);
        }
        self.between_holds_card(begin, self.groups.len())
    }

    fn between_holds_card(&self, begin: usize, end: usize) -> bool {
        let groups = self.groups.get(begin..end).unwrap_or_default();
        groups.iter().enumerate().any(|(index, first)| {
            let own = self.digits.get(first.begin..first.end);
            own.is_some_and(with_more)
                || groups
                    .iter()
                    .skip(index)
                    .take(MAX_GROUPS)
                    .any(|last| self.digits.get(first.begin..last.end).is_some_and(is_card))
        })
    }

    /// How many groups from here on are a day, a time of day or a telephone number.
    fn known(&self, at: usize) -> usize {
        self.time(at).or_else(|| self.day(at)).or_else(|| self.phone(at)).unwrap_or(0)
    }

    fn number(&self, group: Group) -> Option<u32> {
        let digits = self.digits.get(group.begin..group.end).filter(|digits| digits.len() <= 4)?;
        Some(digits.iter().fold(0, |sum, digit| sum * 10 + u32::from(*digit)))
    }

    /// The groups from here on that are divided by this one sign, if it is not before the first too.
    fn chain(&self, at: usize, by: char) -> &[Group] {
        let (Some(first), rest) = (self.groups.get(at), self.groups.get(at + 1..)) else {
            return &[];
        };
        if first.by == Some(by) {
            return &[];
        }
        let more = rest.unwrap_or_default().iter().take_while(|group| group.by == Some(by)).count();
        self.groups.get(at..=at + more).unwrap_or_default()
    }

    /// `10:15` or `10:15:30`.
    fn time(&self, at: usize) -> Option<usize> {
        let chain = self.chain(at, ':');
        let ([hour, minutes @ ..], 2..=3) = (chain, chain.len()) else { return None };
        let fits = minutes.iter().all(|group| group.len() == 2 && self.number(*group) < Some(60));
        (fits && hour.len() <= 2 && self.number(*hour)? < 24).then_some(chain.len())
    }

    /// `2026-11-24`, `24.11.2026`, `11/24/26`.
    fn day(&self, at: usize) -> Option<usize> {
        ['-', '/', '.'].into_iter().find_map(|by| {
            let [a, b, c] = *self.chain(at, by) else { return None };
            let year = |group: Group| {
                (group.len() == 4 && matches!(self.number(group), Some(1900..=2099)))
                    || (group.len() == 2 && by != '-')
            };
            let part =
                |group: Group| group.len() <= 2 && matches!(self.number(group), Some(1..=31));
            let fits =
                (a.len() == 4 && year(a) && part(b) && part(c)) || (part(a) && part(b) && year(c));
            fits.then_some(3)
        })
    }

    /// `305 555 0123`, where no group of three is before it: then it would be one of many.
    fn phone(&self, at: usize) -> Option<usize> {
        let [a, b, c, ..] = self.groups.get(at..)? else { return None };
        let before = at.checked_sub(1).and_then(|before| self.groups.get(before));
        let area = |group: &Group| {
            group.len() == 3 && self.digits.get(group.begin).is_some_and(|digit| *digit >= 2)
        };
        let fits =
            area(a) && area(b) && c.len() == 4 && before.is_none_or(|group| group.len() != 3);
        fits.then_some(3)
    }

    /// Whether a telephone number in international form begins here: a `+`, and as many digits up
    /// to the next.
    fn begins_number(&self, at: usize) -> bool {
        let Some([first, rest @ ..]) =
            self.groups.get(at..).filter(|groups| groups.first().is_some_and(|group| group.plus))
        else {
            return false;
        };
        let end = rest.iter().find(|group| group.plus).map_or(self.digits.len(), |next| next.begin);
        (10..=15).contains(&(end - first.begin))
    }
}

/// A card with zeros before or behind it, or with its expiry and check value, in one run of digits.
/// Anything else beside it is no card: numbers of accounts and orders have twenty digits too, and
/// one in ten of those that begin (or end) like a card would pass the check.
fn with_more(digits: &[u8]) -> bool {
    digits.len() > 14
        && [16, 15, 14].into_iter().any(|length| {
            let Some(more) = digits.len().checked_sub(length).filter(|more| *more > 0) else {
                return false;
            };
            let (Some((card, behind)), Some((before, other))) =
                (digits.split_at_checked(length), digits.split_at_checked(more))
            else {
                return false;
            };
            (beside(behind, true) && common(card)) || (beside(before, false) && common(other))
        })
}

/// Zeros, or an expiry (with the check value after it), or behind a card the check value alone.
fn beside(digits: &[u8], behind: bool) -> bool {
    if digits.iter().all(|digit| *digit == 0) {
        return true;
    }
    match digits.len() {
        3 => behind,
        4 | 6 => is_expiry(digits),
        7 | 8 if behind => digits.get(..4).is_some_and(is_expiry),
        9 | 10 if behind => digits.get(..6).is_some_and(is_expiry),
        _ => false,
    }
}

/// Month and year in either order, the year with two or four digits.
fn is_expiry(digits: &[u8]) -> bool {
    let month = |a: u8, b: u8| (1..=12).contains(&(a * 10 + b));
    match digits {
        [a, b, c, d] => month(*a, *b) || month(*c, *d),
        [a, b, 2, 0, _, _] if month(*a, *b) => true,
        [2, 0, _, _, c, d] => month(*c, *d),
        _ => false,
    }
}
