//! `volume_cap`: how many calls of some sort the caller may make, over all persons. Somebody else
//! counts them (the histories of persons cannot); a count that is absent or old denies.

use std::sync::Arc;

use dialer_types::{RuleId, say};

use crate::{
    CallerCounter, Obligation, Wait,
    ask::{Ask, Notes, Ruling},
    kinds::{Head, count_cap::looser, on_unknown::OnUnknown},
    reader::Reader,
    zone::SECOND,
};

/// At most so many in the window that the counter counts.
#[derive(Debug, Clone)]
pub(crate) struct VolumeCap {
    counter: Arc<str>,
    max: u32,
    /// Milliseconds.
    max_age: i64,
    unknown: OnUnknown,
}

/// No caller makes more calls than this in a window.
const MOST: u32 = 1_000_000_000;

impl VolumeCap {
    pub(crate) fn read(from: &mut Reader<'_, '_>, head: Option<&Head>) -> Option<Self> {
        let counter = from.required_text("counter");
        for key in ["max", "max_age_seconds"] {
            if !from.has(key) {
                from.fault(key, "is missing");
            }
        }
        let max = from.number("max", 1..MOST + 1);
        let max_age = from.number("max_age_seconds", 1..86_401);
        let unknown = OnUnknown::read(from, "volume_cap", head);
        let max_age = i64::from(max_age?) * SECOND;
        Some(Self { counter: counter?.into(), max: max?, max_age, unknown: unknown? })
    }

    /// Which counter it asks for.
    pub(crate) fn counter(&self) -> Arc<str> {
        Arc::clone(&self.counter)
    }

    fn counted<'a>(&self, ask: &'a Ask<'_>) -> Option<&'a CallerCounter> {
        ask.facts.counters.iter().find(|counter| counter.counter == self.counter)
    }

    /// Another maximum, and a count that nobody keeps denies; with `prove` no larger one.
    pub(crate) fn change(&mut self, from: &mut Reader<'_, '_>, prove: bool) {
        if let Some(max) = from.number("max", 1..MOST + 1) {
            if prove && max > self.max {
                looser(from, "max", self.max);
            } else {
                self.max = max;
            }
        }
        self.unknown.change(from);
    }

    pub(crate) fn duty(&self, ask: &Ask<'_>) -> Option<&Arc<Obligation>> {
        self.unknown.duty().filter(|_| self.counted(ask).is_none())
    }

    pub(crate) fn judge(&self, ask: &Ask<'_>, rule: &RuleId, notes: &mut Notes) -> Ruling {
        let counter = &self.counter;
        let again = || Wait::Counter(Arc::clone(counter));
        let Some(found) = self.counted(ask) else {
            return self.unknown.ruling(ask, || say!("nobody counts {counter}", counter), again);
        };
        let age = (ask.now - found.as_of.0) / SECOND;
        if ask.now - found.as_of.0 > self.max_age {
            let inputs = ask.say(|| say!("{counter} was counted {age} seconds ago", counter, age));
            return Ruling::No { inputs, waits_for: again() };
        }
        notes.changes_at(found.as_of.0.saturating_add(self.max_age + 1));
        let count = if found.resets_at.0 > ask.now { found.count } else { 0 };
        notes.count(rule, count as usize, self.max);
        if count < self.max {
            return Ruling::Pass;
        }
        let inputs = ask.say(|| say!("{count} counted of {max} allowed", count, max = self.max));
        Ruling::NotNow { inputs, otherwise: Wait::Never }
    }

    /// The first instant at or after `from` at which the counter has room.
    pub(crate) fn first_free(&self, ask: &Ask<'_>, from: i64) -> i64 {
        let full = self.counted(ask).filter(|found| found.count >= self.max);
        full.map_or(from, |found| found.resets_at.0.max(from))
    }
}

#[cfg(test)]
mod tests {
    use dialer_types::UnixMillis;

    use crate::{
        CallerCounter,
        kinds::cases::{Case, calls, instant},
    };

    #[test]
    fn a_counter_that_is_full_absent_or_old_denies() {
        let rule = "kind = \"volume_cap\"\ncounter = \"br.short\"\nmax = 100\nmax_age_seconds = 60";
        let full = "defer 2026-12-02T03:00:00Z";
        let old = "refuse Counter(\"br.short\")";
        for (counter, count, as_of, now, verdict) in [
            ("br.short", 99, "2026-12-01T16:00:00Z", "2026-12-01T16:00:00Z", "permit"),
            ("br.short", 100, "2026-12-01T16:00:00Z", "2026-12-01T16:00:00Z", full),
            ("br.short", 99, "2026-12-01T15:59:00Z", "2026-12-01T16:00:00Z", "permit"),
            ("br.short", 99, "2026-12-01T15:58:59Z", "2026-12-01T16:00:00Z", old),
            ("br.short", 100, "2026-12-02T02:59:59Z", "2026-12-02T03:00:00Z", "permit"),
            ("other", 0, "2026-12-01T16:00:00Z", "2026-12-01T16:00:00Z", old),
        ] {
            let mut case = Case::rule(rule).call(calls::new_york());
            case.facts.counters.push(CallerCounter {
                counter: counter.into(),
                count,
                as_of: UnixMillis(instant(as_of)),
                resets_at: UnixMillis(instant("2026-12-02T03:00:00Z")),
            });
            assert_eq!(case.at(now), verdict, "{counter} {count} {as_of} {now}");
        }
        let oblige = rule.to_owned() + "\non_unknown = \"oblige\"";
        assert_eq!(Case::rule(&oblige).at("2026-12-01T16:00:00Z"), "permit", "a duty instead");
    }
}
