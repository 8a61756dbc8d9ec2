//! Subject heads: packed history, tokens and compare-and-set (DESIGN section 4).
//!
//! A *head* is what is known of one subject: the token of the last event that changed it, its
//! marks (suppressed for a seller or for all, declined for ever) and its packed history of
//! placements. Postgres holds the truth, Redis a copy, and both change a head only by
//! compare-and-set on its token. A token is minted for one judgement on one base and never used
//! again, so equal tokens mean equal histories.
//!
//! Pure: the stores live elsewhere. [`memory`] is the oracle the real ones are tested against, and
//! what the simulator runs on; [`FUNCTIONS`] is the Redis side.
#![warn(missing_docs)]

mod demand;
mod entry;
mod head;
pub mod memory;
pub mod shares;

pub use demand::{Claim, Demand, DemandError, Reservation};
pub use entry::{Entry, Mark, MarkKind};
pub use head::{Head, HeadError, MAX_ENTRIES, MAX_MARKS, Token};

/// The format of what Redis holds: keys, the bytes of a copy, and the functions on them. All three
/// carry this number, so that two releases run side by side: neither calls the other's functions or
/// reads its copies. Whatever changes one of them raises it; a test holds the functions to it.
pub const REDIS_FORMAT: u32 = 2;

/// The name of the function library.
pub const LIBRARY: &str = "ringfence_v2";

/// The Redis function library.
pub const FUNCTIONS: &str = include_str!("heads.lua");

/// The Redis key of a subject's head in this format. It is as short as can be: up to ten digits, key
/// and its header fill the smallest block of memory (16 bytes) that Redis has for them.
#[must_use]
pub fn redis_key(subject: dialer_types::SubjectId) -> String {
    format!("rf{REDIS_FORMAT}:{}", subject.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FNV-1a: enough to notice a change.
    fn hash(text: &str) -> u64 {
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
    }

    #[test]
    fn functions_that_changed_have_another_format_version() {
        assert_eq!(
            (REDIS_FORMAT, hash(FUNCTIONS)),
            (2, 0xf9dd_6cc0_eac6_9a62),
            "heads.lua has changed: raise REDIS_FORMAT and the version in heads.lua, because a \
             release that is running loads its own functions under the old name, then write the \
             new pair here (if no release with this version has shipped, only the hash)"
        );
        let version = format!("v{REDIS_FORMAT}");
        assert!(LIBRARY.ends_with(&version), "{LIBRARY}");
        assert!(FUNCTIONS.starts_with(&format!("#!lua name={LIBRARY}\n")));
        assert_eq!(redis_key(dialer_types::SubjectId(7)), "rf2:7");
    }
}
