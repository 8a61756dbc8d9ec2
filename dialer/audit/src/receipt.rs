//! Proof that a judgement is durable.

use dialer_types::PlacementId;

/// Proof that the judgement of one placement, with its evidence, is durable (G4). It cannot be
/// copied; the clearance consumes it.
#[derive(Debug, PartialEq, Eq)]
pub struct Receipt {
    placement: PlacementId,
}

impl Receipt {
    /// Asserts that the decision and the intent of `placement` have been committed durably. Fenced
    /// in `clippy.toml`: only a store whose commit has returned may say so.
    #[must_use]
    pub const fn assertion(placement: PlacementId) -> Self {
        Self { placement }
    }

    /// The placement whose judgement is durable.
    #[must_use]
    pub const fn placement(&self) -> PlacementId {
        self.placement
    }
}

#[cfg(test)]
mod tests;
