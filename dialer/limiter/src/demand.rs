//! What a judgement asks of the stores, and the proof that the first of them granted it.

use dialer_types::{PlacementId, SubjectId, UnixMillis};

use crate::{
    entry::Entry,
    head::{Head, HeadError, Token},
};

/// One subject of a placement: compare its token with `base`, then put `next` in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Whose head.
    pub subject: SubjectId,
    /// The token it was judged on.
    pub base: Token,
    /// The head with this placement in it, under this placement's token.
    pub next: Head,
}

/// Why a placement cannot even be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DemandError {
    /// A head has no room (or could not be read).
    #[error("subject {}: {reason}", subject.0)]
    Head {
        /// Whose.
        subject: SubjectId,
        /// Why.
        reason: HeadError,
    },
    /// Nothing would be counted: never lawful.
    #[error("a placement must count for at least one subject")]
    NoSubject,
}

/// A placement's claims on its subjects' heads, in subject order (the lock order of both stores).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    placement: PlacementId,
    claims: Vec<Claim>,
}

impl Demand {
    /// Builds the next head of every judged subject. The token is the placement's id, minted for
    /// this judgement; entries from before `horizon` may go.
    ///
    /// # Errors
    /// See [`DemandError`].
    pub fn new(
        placement: PlacementId,
        judged: &[(SubjectId, Head)],
        entry: Entry,
        horizon: UnixMillis,
    ) -> Result<Self, DemandError> {
        let token = Token::from(placement);
        let mut claims = judged
            .iter()
            .map(|(subject, head)| {
                let next = head
                    .with_entry(token, entry, horizon)
                    .map_err(|reason| DemandError::Head { subject: *subject, reason })?;
                Ok(Claim { subject: *subject, base: head.token(), next })
            })
            .collect::<Result<Vec<_>, DemandError>>()?;
        claims.sort_unstable_by_key(|claim| claim.subject);
        claims.dedup_by_key(|claim| claim.subject);
        if claims.is_empty() {
            return Err(DemandError::NoSubject);
        }
        Ok(Self { placement, claims })
    }

    /// For which placement.
    #[must_use]
    pub const fn placement(&self) -> PlacementId {
        self.placement
    }

    /// The claims, in subject order, each subject once.
    #[must_use]
    pub fn claims(&self) -> &[Claim] {
        &self.claims
    }
}

/// Proof that Redis granted a [`Demand`]. Cannot be copied; a [`crate::Demand`] granted twice
/// would be two of these, which only two grants can make.
#[derive(Debug)]
#[must_use = "a reservation that is neither committed nor dropped on purpose is a lost call"]
pub struct Reservation {
    placement: PlacementId,
}

impl Reservation {
    /// States that a store granted the demand of this placement. Fenced by clippy: only stores.
    pub const fn assertion(placement: PlacementId) -> Self {
        Self { placement }
    }

    /// Whose reservation.
    #[must_use]
    pub const fn placement(&self) -> PlacementId {
        self.placement
    }
}
