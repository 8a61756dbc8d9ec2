//! One stream of chance per seed.

use dialer_types::Mint;

/// Chance, the same for the same seed.
#[derive(Debug)]
pub(crate) struct Rng(Mint);

impl Rng {
    pub(crate) fn new(seed: u64, stream: u8) -> Self {
        let mut bytes = [stream; 32];
        bytes[..8].copy_from_slice(&seed.to_be_bytes());
        Self(Mint::new(bytes))
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.0.bits() % (high - low + 1)
    }

    /// True in `permille` of a thousand cases.
    pub(crate) fn chance(&mut self, permille: u64) -> bool {
        self.0.bits() % 1000 < permille
    }

    pub(crate) fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        for chunk in seed.as_chunks_mut::<8>().0 {
            *chunk = self.0.bits().to_be_bytes();
        }
        seed
    }
}
