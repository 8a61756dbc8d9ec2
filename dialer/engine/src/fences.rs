//! The fences of this crate, by name. Every one stands in every build that dials; the simulator
//! takes one out at a time to show that it would be noticed. The stores' fences (compare-and-set,
//! commit before answering, unknown counts) are taken out in the simulator's own stores.

/// Which fences stand. Constants, so that a build cannot change its mind at run time.
pub trait Fences {
    /// G2, G4: the clearance checks that permit, reservation and receipt are of one placement.
    const SAME_PLACEMENT: bool = true;
    /// G3: a clearance is refused, and a datagram not sent, once `not_after` has passed.
    const NOT_AFTER: bool = true;
    /// G3: a clearance is refused once other rules are in force than those of the permit.
    const SAME_RULES: bool = true;
    /// G6: every judgement mints its own token.
    const FRESH_TOKEN: bool = true;
    /// G6: heads are read before facts.
    const HEADS_FIRST: bool = true;
    /// G6: rolling limits are lengthened by the longest permit life and the clock bound.
    const GUARD: bool = true;
    /// G7: an INVITE leaves only under a send lease.
    const SEND_LEASE: bool = true;
    /// G7: a suppression stops what is cleared and unsent.
    const SUPPRESSION_STOPS: bool = true;
    /// G7: a suppression cancels what rings.
    const SUPPRESSION_CANCELS: bool = true;
    /// A trunk that fails gets a bounded number of INVITEs.
    const BREAKER: bool = true;
    /// G10: nothing is placed while draining.
    const DRAIN: bool = true;
}

/// Every fence stands: what every dialer runs with.
#[derive(Debug, Clone, Copy, Default)]
pub struct AllFences;

impl Fences for AllFences {}
