//! Unpredictable numbers from the seed alone, so that a replay gives the same bytes.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// SHA-256 in counter mode over the seed.
pub(crate) struct Random {
    seed: [u8; 32],
    counter: u64,
    pool: [u8; 32],
    used: usize,
}

/// The seed predicts every tag and branch: Debug hides it.
impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Random").field("counter", &self.counter).finish_non_exhaustive()
    }
}

impl Random {
    pub(crate) const fn new(seed: [u8; 32]) -> Self {
        Self { seed, counter: 0, pool: [0; 32], used: 32 }
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        if self.used >= self.pool.len() {
            let block =
                Sha256::new().chain_update(self.seed).chain_update(self.counter.to_be_bytes());
            self.pool = block.finalize().into();
            self.counter += 1;
            self.used = 0;
        }
        let bytes = self.pool.iter().skip(self.used).take(8);
        self.used += 8;
        bytes.fold(0, |sum, &b| sum << 8 | u64::from(b))
    }

    /// A number that is the same for the same bytes: the To tag of stateless answers
    /// (RFC 3261 section 8.2.7), which a retransmitted request must meet again.
    pub(crate) fn tag_for(&self, parts: &[&[u8]]) -> u64 {
        let mut hash = Sha256::new_with_prefix(self.seed);
        for part in parts {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        hash.finalize().iter().take(8).fold(0, |sum, &b| sum << 8 | u64::from(b))
    }
}
