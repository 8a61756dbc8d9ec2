//! What becomes of a contact whose every number is denied.

use dialer_policy::{Denial, Verdict, Wait};
use dialer_types::{RuleId, UnixMillis};

/// Where a contact goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Into `due`.
    Due {
        /// When.
        at: UnixMillis,
        /// The rule that deferred it, or the disposition that is retried.
        because: String,
    },
    /// Into `parked`.
    Park {
        /// What it waits for.
        cause: String,
    },
    /// Nowhere: done.
    Finished {
        /// Why.
        why: String,
    },
}

/// Of the denials of a contact's numbers the one that ends first; a deferral before any refusal.
#[derive(Debug, Clone, Default)]
pub struct Outlook {
    best: Option<(Next, Vec<RuleId>)>,
}

impl Outlook {
    /// One more number's verdict. A permit is no denial and changes nothing.
    pub fn add(&mut self, verdict: &Verdict) {
        let next = match (verdict, &self.best) {
            (Verdict::Permit(_), _) | (Verdict::Refuse(_), Some(_)) => return,
            (Verdict::Defer(deferral), Some((Next::Due { at, .. }, _)))
                if *at <= deferral.until =>
            {
                return;
            }
            (Verdict::Defer(deferral), _) => {
                let because = blocking(&deferral.denials, deferral.until);
                Next::Due { at: deferral.until, because }
            }
            (Verdict::Refuse(refusal), None) => {
                let wakes = |wait: &&Wait| **wait != Wait::Never;
                let wait = refusal.waits_for.iter().find(wakes).unwrap_or(&Wait::Never);
                Next::Park { cause: cause(wait) }
            }
        };
        let rules = verdict.denials().iter().map(|denial| denial.rule.clone()).collect();
        self.best = Some((next, rules));
    }

    /// Where the contact goes, and the denying rules of the number that decides it; `None` if no
    /// number was denied.
    #[must_use]
    pub fn into_next(self) -> Option<(Next, Vec<RuleId>)> {
        self.best
    }
}

/// The rule a deferred contact is waiting for: the one that passes last.
#[must_use]
pub fn blocking(denials: &[Denial], until: UnixMillis) -> String {
    denials
        .iter()
        .max_by_key(|denial| denial.first_lawful.unwrap_or(until))
        .map_or_else(String::new, |denial| denial.rule.to_string())
}

/// The word a parked contact is woken by.
#[must_use]
pub fn cause(wait: &Wait) -> String {
    wait.word()
}
