//! The clearance: the only value that can be turned into an INVITE.

use std::time::{Duration, Instant};

use dialer_audit::Receipt;
use dialer_limiter::Reservation;
use dialer_policy::{Permit, RulesetVersion};
use dialer_types::{Now, PlacementId, UnixMillis};

use crate::fences::{AllFences, Fences};

/// Proof that one placement was permitted, reserved and made durable, and still stands. It has no
/// public fields, cannot be copied, and placing consumes it (G1, G2).
///
/// A clearance cannot be forged:
/// ```compile_fail,E0451
/// # use dialer_engine::Clearance;
/// let forged = Clearance { placement: todo!(), not_after: todo!(), send_before: todo!() };
/// ```
/// nor used twice:
/// ```compile_fail,E0382
/// # use dialer_engine::Clearance;
/// fn place(clearance: Clearance) {}
/// fn twice(clearance: Clearance) {
///     place(clearance);
///     place(clearance);
/// }
/// ```
/// nor cloned:
/// ```compile_fail,E0599
/// # use dialer_engine::Clearance;
/// fn two(clearance: &Clearance) -> Clearance { clearance.clone() }
/// ```
#[derive(Debug)]
#[must_use = "a clearance is one call: place it or settle it as not sent"]
pub struct Clearance {
    placement: PlacementId,
    not_after: UnixMillis,
    send_before: Instant,
}

/// Why three proofs do not make a clearance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClearanceError {
    /// They are of different placements.
    #[error("permit, reservation and receipt are of different placements")]
    Mismatch,
    /// The permit's life is over.
    #[error("the permit lapsed before the INVITE could leave")]
    Lapsed,
    /// The permit is of rules that are not in force any more.
    #[error("other rules are in force than those of the permit")]
    OtherRules,
}

/// A permit that belongs to one placement, with the moment its life ends.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) placement: PlacementId,
    pub(crate) permit: Permit,
    pub(crate) not_after: UnixMillis,
}

impl Judged {
    /// Ties a permit to the placement it was judged for. Its life ends with the lease, or before:
    /// when a window closes or the day ends in a candidate zone.
    pub(crate) fn new(
        placement: PlacementId,
        permit: Permit,
        life: Duration,
        now: UnixMillis,
    ) -> Self {
        let not_after = now.after(life).min(permit.stands_until());
        Self { placement, permit, not_after }
    }
}

impl Clearance {
    /// Puts the three proofs together. `rules`: those in force now.
    ///
    /// # Errors
    /// [`ClearanceError::Mismatch`] if they are not of one placement, [`ClearanceError::Lapsed`] if
    /// the permit's life is over, [`ClearanceError::OtherRules`] if other rules gave it. The
    /// placement was committed either way and must be settled.
    pub(crate) fn new<F: Fences>(
        judged: &Judged,
        reservation: &Reservation,
        receipt: &Receipt,
        rules: RulesetVersion,
        now: Now,
    ) -> Result<Self, ClearanceError> {
        let placement = judged.placement;
        if F::SAME_PLACEMENT
            && (reservation.placement() != placement || receipt.placement() != placement)
        {
            return Err(ClearanceError::Mismatch);
        }
        if F::SAME_RULES && judged.permit.ruleset() != rules {
            return Err(ClearanceError::OtherRules);
        }
        if F::NOT_AFTER
            && (now.wall >= judged.not_after || now.wall >= judged.permit.stands_until())
        {
            return Err(ClearanceError::Lapsed);
        }
        let send_before = if F::NOT_AFTER {
            now.mono + judged.not_after.since(now.wall)
        } else {
            now.mono + Duration::from_secs(24 * 3600)
        };
        Ok(Self { placement, not_after: judged.not_after, send_before })
    }

    /// Puts three proofs together with every fence standing: the public road, for programs that
    /// hold the proofs themselves. Consumes them. `rules`: those in force now.
    ///
    /// # Errors
    /// As documented on [`ClearanceError`].
    pub fn from_proofs(
        placement: PlacementId,
        permit: Permit,
        reservation: Reservation,
        receipt: Receipt,
        rules: RulesetVersion,
        life: Duration,
        now: Now,
    ) -> Result<Self, ClearanceError> {
        let judged = Judged::new(placement, permit, life, now.wall);
        let clearance = Self::new::<AllFences>(&judged, &reservation, &receipt, rules, now);
        drop((reservation, receipt));
        clearance
    }

    /// Which placement.
    #[must_use]
    pub const fn placement(&self) -> PlacementId {
        self.placement
    }

    /// Until when the INVITE may leave, by wall time.
    #[must_use]
    pub const fn not_after(&self) -> UnixMillis {
        self.not_after
    }

    /// Until when it may leave, by monotonic time: what the SIP core and the driver compare with.
    #[must_use]
    pub const fn send_before(&self) -> Instant {
        self.send_before
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests play the stores and need a base instant")]
mod tests {
    use dialer_policy::{Call, Evaluation, Facts, Options, Ruleset, Verdict};
    use dialer_types::Purpose;

    use super::*;

    const LIFE: Duration = Duration::from_secs(5);

    fn now() -> Now {
        // A Tuesday afternoon in London.
        Now { wall: UnixMillis(1_796_137_200_000), mono: Instant::now() }
    }

    fn permit(now: Now) -> Permit {
        let rules = Ruleset::shipped(Options { house: false }).expect("the shipped packs load");
        let number = "+442079460123".parse().expect("a number");
        let facts = Facts::of(Call::manual(number, Purpose::Informational));
        match rules.evaluate(&facts, &Evaluation::LAW, now.wall) {
            Verdict::Permit(permit) => permit,
            other => panic!("expected a permit: {other:?}"),
        }
    }

    fn clear(of: [u128; 3], late: Duration) -> Result<Clearance, ClearanceError> {
        let now = now();
        let [placement, reserved, received] = of.map(PlacementId);
        let judged = Judged::new(placement, permit(now), LIFE, now.wall);
        Clearance::new::<AllFences>(
            &judged,
            &Reservation::assertion(reserved),
            &Receipt::assertion(received),
            judged.permit.ruleset(),
            now.after(late),
        )
    }

    #[test]
    fn three_proofs_of_one_placement_make_a_clearance_and_of_two_do_not() {
        assert!(clear([1, 1, 1], Duration::ZERO).is_ok());
        for foreign in [[1, 2, 1], [1, 1, 2], [2, 1, 1]] {
            let error = clear(foreign, Duration::ZERO).expect_err("foreign proof");
            assert_eq!(error, ClearanceError::Mismatch, "{foreign:?}");
        }
    }

    #[test]
    fn a_clearance_is_made_until_the_last_millisecond_of_the_permits_life_and_not_after() {
        let last = LIFE.checked_sub(Duration::from_millis(1)).expect("5 s");
        let clearance = clear([1, 1, 1], last).expect("still standing");
        assert_eq!(clearance.not_after(), now().wall.after(LIFE));
        assert_eq!(clear([1, 1, 1], LIFE).expect_err("too late"), ClearanceError::Lapsed);
    }

    #[test]
    fn a_permit_of_other_rules_than_those_in_force_makes_no_clearance() {
        let now = now();
        let placement = PlacementId(1);
        let judged = Judged::new(placement, permit(now), LIFE, now.wall);
        let mut others = judged.permit.ruleset();
        others.0[31] ^= 1;
        let clear = |rules| {
            let (reservation, receipt) =
                (Reservation::assertion(placement), Receipt::assertion(placement));
            Clearance::new::<AllFences>(&judged, &reservation, &receipt, rules, now)
        };
        assert!(clear(judged.permit.ruleset()).is_ok());
        assert_eq!(clear(others).expect_err("other rules"), ClearanceError::OtherRules);
    }
}
