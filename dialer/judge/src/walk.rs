//! Walking along time: what the verdicts of a contact are from one moment to another, asked only
//! where they may change.

use dialer_policy::Verdict;
use dialer_types::UnixMillis;

use crate::ContactFacts;

/// A stretch of time in which one answer holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch<T> {
    /// Its first moment.
    pub from: UnixMillis,
    /// The first moment after it.
    pub until: UnixMillis,
    /// The answer.
    pub answer: T,
}

/// The answers from `from` to `until`, in order and without gaps. `look` gives the answer at a
/// moment and the first moment after it at which the answer may be another ([`next_look`]); the
/// walk moves to the next whole second at least, which is as finely as openings are told.
pub fn walk<T>(
    from: UnixMillis,
    until: UnixMillis,
    mut look: impl FnMut(UnixMillis) -> (T, UnixMillis),
) -> Vec<Stretch<T>> {
    let mut stretches = Vec::new();
    let mut at = from;
    while at < until {
        let (answer, next) = look(at);
        let second = at.0.div_euclid(1000).saturating_add(1).saturating_mul(1000);
        let next = next.max(UnixMillis(second)).min(until);
        stretches.push(Stretch { from: at, until: next, answer });
        at = next;
    }
    stretches
}

/// When a contact whose numbers were judged at `at` is to be looked at again: when the first of the
/// verdicts may be another, or a consent that is dated later begins.
#[must_use]
pub fn next_look<'a>(
    verdicts: impl IntoIterator<Item = &'a Verdict>,
    contact: &ContactFacts,
    at: UnixMillis,
) -> UnixMillis {
    let stand = verdicts.into_iter().map(|verdict| verdict.stands_until(at));
    let consents = contact.numbers.iter().flat_map(|number| &number.consents);
    let given = consents.map(|consent| consent.given_at).filter(|given| *given > at);
    stand.chain(given).min().unwrap_or(UnixMillis(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_has_no_gaps_ends_where_it_was_told_and_never_stands_still() {
        let moment = |at: i64| UnixMillis(at);
        let found =
            walk(moment(500), moment(10_000), |at| (at.0, moment(at.0 / 4000 * 4000 + 4000)));
        let told: Vec<_> = found.iter().map(|it| (it.from.0, it.until.0, it.answer)).collect();
        assert_eq!(told, [(500, 4000, 500), (4000, 8000, 4000), (8000, 10_000, 8000)]);
        let stuck = walk(moment(0), moment(3_500), |at| ((), at));
        assert_eq!(stuck.len(), 4);
        let close = walk(moment(999), moment(2_000), |at| (at.0, moment(1_000)));
        let told: Vec<_> = close.iter().map(|it| it.answer).collect();
        assert_eq!(told, [999, 1_000], "an opening a millisecond later is not passed over");
        assert!(walk(moment(5), moment(5), |at| ((), at)).is_empty());
    }
}
