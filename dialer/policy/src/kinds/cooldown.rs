//! `cooldown`: after some outcomes, nobody is called for a while.
//!
//! An outcome that nobody will ever know (the dialer died in the call) starts every cool-down: the
//! person may have spoken or refused, and in doubt nobody is called (G5, G8). A pending one will be
//! known in a minute, so it starts cool-downs of at most 24 hours only.

use chrono_tz::Tz;
use dialer_types::Outcome;

use crate::{
    Past, Wait,
    ask::{Ask, Ruling, is_open},
    kinds::count_cap::{NOT_LONGER, Span},
    reader::Reader,
    rule::{Key, Mask},
    zone::DAY,
};

/// A pause after an outcome.
#[derive(Debug, Clone)]
pub(crate) struct Cooldown {
    trigger: Mask,
    span: Span,
    key: Key,
    /// Their calling us starts it too.
    inbound: bool,
    /// So short that an outcome which is not known yet starts it.
    pending: bool,
}

fn is_short(span: Span) -> bool {
    matches!(span, Span::Rolling(millis) if millis <= DAY)
        || matches!(span, Span::Day | Span::Dates(1))
}

impl Cooldown {
    pub(crate) fn read(from: &mut Reader<'_, '_>) -> Option<Self> {
        let trigger = from.words("trigger", |word| word.parse::<Outcome>().ok());
        if trigger.is_empty() {
            from.fault("trigger", "is missing or names no outcome");
        }
        let (span, key, inbound) = (Span::read(from), Key::read(from), from.flag("inbound"));
        let trigger = Mask::of(trigger.into_iter().map(Outcome::code));
        let pending = span.is_some_and(is_short);
        Some(Self { trigger, span: span?, key: key?, inbound, pending })
    }

    /// Another length; with `prove` only one that is at least as long.
    pub(crate) fn change(&mut self, from: &mut Reader<'_, '_>, prove: bool) {
        if let Some((key, span)) = Span::read_changed(from) {
            if prove && !span.covers(self.span) {
                return from.fault(key, NOT_LONGER);
            }
            // What started the shorter pause starts the longer one too.
            self.pending |= is_short(span);
            self.span = span;
        }
    }

    /// How long it can last, in milliseconds; `None` without end.
    pub(crate) fn longest(&self) -> Option<i64> {
        Some(self.span.longest()).filter(|_| self.span != Span::Forever)
    }

    /// Whether it has no end and starts on more than a refusal of a call that was made.
    pub(crate) fn is_endless_beyond_refusals(&self) -> bool {
        let others = Outcome::ALL.iter().filter(|outcome| **outcome != Outcome::Refused);
        let more = others.into_iter().any(|outcome| self.trigger.has(outcome.code()));
        self.span == Span::Forever && (more || self.inbound)
    }

    fn starts(&self, past: &Past) -> bool {
        (self.inbound || !past.inbound)
            && (self.trigger.has(past.outcome.code())
                || past.outcome == Outcome::Unknown
                || self.pending && is_open(past.outcome))
    }

    /// When the last one ends; `None` if none was started.
    fn ends(&self, ask: &Ask<'_>) -> Option<i64> {
        let utc = [Tz::UTC];
        let zones = if self.span.needs_zone() { ask.zones() } else { &utc };
        let starts = || ask.past(&self.key).filter(|past| self.starts(past));
        if zones.is_empty() {
            return starts().next().map(|_| i64::MAX / 4);
        }
        // Who came last ends last.
        let last = starts().map(|past| past.at.0).max()?;
        let ends = zones.iter().map(|zone| self.span.expiry(*zone, last));
        ends.max().map(|end| end.saturating_add(ask.guard))
    }

    pub(crate) fn judge(&self, ask: &Ask<'_>) -> Ruling {
        if self.ends(ask).is_none_or(|end| end <= ask.now) {
            return Ruling::Pass;
        }
        let dated = ask.zones().is_empty() && self.span.needs_zone();
        let otherwise = if dated { Wait::Address } else { Wait::Never };
        let inputs = ask.say(|| match self.span {
            Span::Forever => "an earlier call ended so that none may follow".into(),
            _ => "an earlier call ended so that a pause must follow".into(),
        });
        Ruling::NotNow { inputs, otherwise }
    }

    pub(crate) fn first_free(&self, ask: &Ask<'_>, from: i64) -> Option<i64> {
        let end = self.ends(ask).unwrap_or(from).max(from);
        (end < i64::MAX / 4).then_some(end)
    }
}

#[cfg(test)]
mod tests {
    use dialer_types::Outcome;

    use crate::kinds::cases::{Case, calls, past};

    #[test]
    fn a_cool_down_lasts_to_its_last_second_and_only_its_outcomes_start_it() {
        let regf = "dates = 7\ninbound = true\ntrigger = [\"conversation\", \"refused\"]";
        let ofcom = "hours = 72\ntrigger = [\"abandoned\"]";
        let gap = "hours = 2\ntrigger = [\"conversation\"]";
        let forever = "forever = true\ntrigger = [\"refused\"]";
        for (rule, outcome, inbound, now, verdict) in [
            (
                regf,
                Outcome::Conversation,
                false,
                "2026-12-08T04:59:59Z",
                "defer 2026-12-08T05:00:00Z",
            ),
            (regf, Outcome::Conversation, false, "2026-12-08T05:00:00Z", "permit"),
            (
                regf,
                Outcome::Conversation,
                true,
                "2026-12-08T04:59:59Z",
                "defer 2026-12-08T05:00:00Z",
            ),
            (regf, Outcome::NoAnswer, false, "2026-12-02T04:59:59Z", "permit"),
            (regf, Outcome::Pending, false, "2026-12-02T04:59:59Z", "permit"),
            (regf, Outcome::Unknown, false, "2026-12-08T04:59:59Z", "defer 2026-12-08T05:00:00Z"),
            (
                ofcom,
                Outcome::Abandoned,
                false,
                "2026-12-04T15:59:59Z",
                "defer 2026-12-04T16:00:00Z",
            ),
            (ofcom, Outcome::Abandoned, false, "2026-12-04T16:00:00Z", "permit"),
            (ofcom, Outcome::Abandoned, true, "2026-12-01T16:00:01Z", "permit"),
            (gap, Outcome::Unknown, false, "2026-12-01T17:00:00Z", "defer 2026-12-01T18:00:00Z"),
            (forever, Outcome::Refused, false, "2030-01-01T00:00:00Z", "refuse Never"),
        ] {
            let rule = format!("kind = \"cooldown\"\nkey = \"person\"\n{rule}");
            let one = crate::Past { outcome, inbound, ..past("2026-12-01T16:00:00Z") };
            let case = Case::rule(&rule).call(calls::new_york()).past(one);
            assert_eq!(case.at(now), verdict, "{rule} {outcome} {now}");
        }
    }
}
