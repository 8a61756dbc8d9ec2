//! A small seeded generator (splitmix64), so that a world is the same for the same seed.

/// Dice that always fall the same way for one seed.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Dice for a seed and a purpose, so that two uses do not move each other.
    #[must_use]
    pub(crate) fn new(seed: u64, what: &str) -> Self {
        Self(what.bytes().fold(mix(seed), |state, byte| mix(state ^ u64::from(byte))))
    }

    /// The next 64 bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// 0 to `below` - 1.
    pub(crate) fn below(&mut self, below: u64) -> u64 {
        self.bits() % below.max(1)
    }

    /// True in `percent` of 100 cases.
    pub(crate) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of several.
    pub(crate) fn one_of<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let index = self.below(u64::try_from(from.len()).unwrap_or(u64::MAX));
        from.get(usize::try_from(index).unwrap_or(0)).copied()
    }

    /// One of several, by weight.
    pub(crate) fn weighted<T: Copy>(&mut self, from: &[(u64, T)]) -> Option<T> {
        let mut rest = self.below(from.iter().map(|(weight, _)| weight).sum());
        from.iter()
            .find(|(weight, _)| {
                let hit = rest < *weight;
                rest = rest.saturating_sub(*weight);
                hit
            })
            .map(|(_, value)| *value)
    }
}

const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}
