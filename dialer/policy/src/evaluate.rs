//! One call in, one verdict out.

use std::time::Duration;

use dialer_types::{Language, UnixMillis};

use crate::{Abilities, Facts, Ruleset, Verdict};

/// The terms of a judgement.
#[derive(Debug, Clone, Copy)]
pub struct Evaluation {
    /// Rolling caps, gaps and cool-downs are lengthened by this: the longest permit life and the
    /// clock bound. Zero for `policy check`.
    pub guard: Duration,
    /// What the build and the campaign can do.
    pub abilities: Abilities,
    /// The seller chose to believe verified addresses: what the number alone says of the place is then
    /// left out where the address is verified and all its parts agree. Stands in every verdict that
    /// used it ([`crate::Grounds::narrowed`]). Off is as strict as `VECTORS.md`.
    pub narrowing: bool,
}

impl Evaluation {
    /// The law alone: no guard, every ability, nothing narrowed.
    pub const LAW: Self =
        Self { guard: Duration::ZERO, abilities: Abilities::ALL, narrowing: false };
}

impl Ruleset {
    /// Judges a call. Every rule that applies is asked; every one that denies is named. The verdict
    /// does not depend on the order of packs, facts or history.
    #[must_use]
    pub fn evaluate(&self, facts: &Facts, terms: &Evaluation, now: UnixMillis) -> Verdict {
        self.judge(facts, terms, now).into_verdict()
    }
}

/// The rule that reports a do-not-call entry where no law rule does; it stands in no pack.
pub(crate) const OWN_LIST: &str = "house.suppression";

/// Its title and citation.
pub(crate) const fn own_list(language: Language) -> (&'static str, &'static str) {
    match language {
        Language::English => {
            ("Own do-not-call list", "House rule: a do-not-call entry binds at once and everywhere")
        }
        Language::Chinese => ("企业自有的拒绝来电名单", "内部规则：拒绝来电登记立即生效，处处适用"),
    }
}
