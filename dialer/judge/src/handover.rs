//! The hand-over: what a permit is before anybody may be told of it. The same proofs as a clearance.

use std::time::Duration;

use dialer_audit::Receipt;
use dialer_limiter::Reservation;
use dialer_policy::{Permit, RulesetVersion};
use dialer_types::{PlacementId, UnixMillis};

/// Proof that one placement was permitted, reserved and made durable, and still stands: whoever has
/// it may hand the permit to a dialer that is not ours. It cannot be made otherwise, nor copied.
#[derive(Debug)]
#[must_use = "a hand-over is one call: hand it over or settle it as not sent"]
pub struct Handover {
    placement: PlacementId,
    not_after: UnixMillis,
}

/// Why three proofs do not make a hand-over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandoverError {
    /// They are of different placements.
    Mismatch,
    /// The permit's life is over.
    Lapsed,
    /// The permit is of rules that are not in force any more.
    OtherRules,
}

impl HandoverError {
    /// Why the placement is settled as not sent.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Mismatch => "proof_mismatch",
            Self::Lapsed => "lapsed",
            Self::OtherRules => "rules_changed",
        }
    }
}

/// Until when a permit stands that was given now: its life ends with the lease, or before, when a
/// window closes or the day ends in a candidate zone.
#[must_use]
pub fn stands_until(permit: &Permit, life: Duration, now: UnixMillis) -> UnixMillis {
    now.after(life).min(permit.stands_until())
}

impl Handover {
    /// Puts the three proofs together. `not_after`: as it was committed. `rules`: those in force now.
    ///
    /// # Errors
    /// As documented on [`HandoverError`]. The placement was committed either way and must be settled.
    pub fn new(
        placement: PlacementId,
        permit: &Permit,
        not_after: UnixMillis,
        reservation: Reservation,
        receipt: Receipt,
        rules: RulesetVersion,
        now: UnixMillis,
    ) -> Result<Self, HandoverError> {
        let same = reservation.placement() == placement && receipt.placement() == placement;
        drop((reservation, receipt));
        if !same {
            return Err(HandoverError::Mismatch);
        }
        if permit.ruleset() != rules {
            return Err(HandoverError::OtherRules);
        }
        if now >= not_after || now >= permit.stands_until() {
            return Err(HandoverError::Lapsed);
        }
        Ok(Self { placement, not_after })
    }

    /// Which placement.
    #[must_use]
    pub const fn placement(&self) -> PlacementId {
        self.placement
    }

    /// Until when the call may leave, by wall time.
    #[must_use]
    pub const fn not_after(&self) -> UnixMillis {
        self.not_after
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests play the stores")]
mod tests {
    use dialer_policy::{Call, Evaluation, Facts, Options, Ruleset, Verdict};
    use dialer_types::Purpose;

    use super::*;

    /// A Tuesday afternoon in London.
    const NOW: UnixMillis = UnixMillis(1_796_137_200_000);
    const LIFE: Duration = Duration::from_secs(5);

    fn permit() -> Permit {
        let rules = Ruleset::shipped(Options { house: false }).expect("the shipped packs load");
        let number = "+442079460123".parse().expect("a number");
        let facts = Facts::of(Call::manual(number, Purpose::Informational));
        match rules.evaluate(&facts, &Evaluation::LAW, NOW) {
            Verdict::Permit(permit) => permit,
            other => panic!("expected a permit: {other:?}"),
        }
    }

    fn hand_over(
        of: [u128; 3],
        now: UnixMillis,
        same_rules: bool,
    ) -> Result<Handover, HandoverError> {
        let [placement, reserved, received] = of.map(PlacementId);
        let permit = permit();
        let mut rules = permit.ruleset();
        rules.0[31] ^= u8::from(!same_rules);
        let not_after = stands_until(&permit, LIFE, NOW);
        let (reservation, receipt) =
            (Reservation::assertion(reserved), Receipt::assertion(received));
        Handover::new(placement, &permit, not_after, reservation, receipt, rules, now)
    }

    #[test]
    fn three_proofs_of_one_placement_within_its_life_by_the_rules_in_force_and_nothing_else() {
        let last = NOW.after(LIFE - Duration::from_millis(1));
        let handed = hand_over([1, 1, 1], last, true).expect("it stands");
        assert_eq!((handed.placement(), handed.not_after()), (PlacementId(1), NOW.after(LIFE)));
        for (of, now, same, error) in [
            ([1, 2, 1], NOW, true, HandoverError::Mismatch),
            ([1, 1, 2], NOW, true, HandoverError::Mismatch),
            ([2, 1, 1], NOW, true, HandoverError::Mismatch),
            ([1, 1, 1], NOW.after(LIFE), true, HandoverError::Lapsed),
            ([1, 1, 1], NOW, false, HandoverError::OtherRules),
        ] {
            assert_eq!(hand_over(of, now, same).expect_err("no hand-over"), error);
        }
    }
}
