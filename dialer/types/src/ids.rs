//! Surrogate ids. Nothing outside the numbers table holds a telephone number; everything is named
//! by one of these.

use std::{fmt, str::FromStr};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use ulid::Ulid;

use crate::{Say, UnixMillis};

/// A text that is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected 26 characters of Crockford base 32{0}")]
pub struct IdError(&'static str);

/// For people: the same words as `Display`, and others in other languages.
impl From<IdError> for Say {
    fn from(error: IdError) -> Self {
        match error {
            IdError("") => "not an id: expected 26 characters of Crockford base 32".into(),
            IdError(_) => {
                "not an id: expected 26 characters of Crockford base 32, '-' and the try".into()
            }
        }
    }
}

macro_rules! ulid_id {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u128);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&Ulid(self.0), f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Ulid::from_string(text).map(|ulid| Self(ulid.0)).map_err(|_| IdError(""))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

ulid_id! {
    /// The party on whose behalf calls are made.
    SellerId;
    /// A campaign of one seller.
    CampaignId;
    /// A contact list.
    ListId;
    /// A person in a campaign's list.
    ContactId;
    /// A person, by a seller's external id.
    PersonId;
    /// One INVITE on one trunk to one number. Minted anew for every judgement, so it is also the
    /// token that the reservation leaves in the heads it touches.
    PlacementId;
    /// One incarnation of a dialer process.
    NodeId;
    /// A SIP trunk.
    TrunkId;
    /// Something that was recorded of people and moved their heads: a do-not-call entry, a consent.
    EventId;
}

impl TrunkId {
    /// No trunk of ours: the call leaves by a dialer that is not ours, which was given a permit.
    pub const NONE: Self = Self(0);
}

/// The business try: the `try_no`-th attempt (from 1) on a contact. Taking it twice is the same
/// attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId {
    /// Whom.
    pub contact: ContactId,
    /// Which try, counted from 1.
    pub try_no: u16,
}

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.contact, self.try_no)
    }
}

impl FromStr for AttemptId {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let (contact, try_no) = text.split_once('-').ok_or(IdError(", '-' and the try"))?;
        Ok(Self {
            contact: contact.parse()?,
            try_no: try_no.parse().map_err(|_| IdError(", '-' and the try"))?,
        })
    }
}

/// What caps are counted on: a number, an account or a person (`subject` table).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct SubjectId(pub i64);

/// A seller's small number, used in packed histories. 0 stands for every seller.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct SellerNo(pub u32);

/// A campaign's small number, used in packed histories.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct CampaignNo(pub u32);

/// Makes ids from a seed given once: 48 bits of wall time, then 80 bits of a `ChaCha8` stream.
/// The shell seeds it from the operating system, the simulator from its seed.
#[derive(Debug)]
pub struct Mint(ChaCha8Rng);

impl Mint {
    /// A mint of its own stream.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self(ChaCha8Rng::from_seed(seed))
    }

    /// A new id. Never the same twice from one mint; 80 random bits keep two mints apart.
    pub fn ulid(&mut self, now: UnixMillis) -> u128 {
        let time = u128::from(u64::try_from(now.0).unwrap_or(0) & 0xFFFF_FFFF_FFFF) << 80;
        let random = (u128::from(self.0.next_u64()) << 64 | u128::from(self.0.next_u64())) >> 48;
        time | random
    }

    /// 64 random bits: for SIP tags, jitter and the like.
    pub fn bits(&mut self) -> u64 {
        self.0.next_u64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_a_round_trip_through_text() {
        let mut mint = Mint::new([7; 32]);
        for _ in 0..100 {
            let contact = ContactId(mint.ulid(UnixMillis(1_700_000_000_000)));
            assert_eq!(contact.to_string().parse(), Ok(contact));
            let attempt = AttemptId { contact, try_no: 3 };
            assert_eq!(attempt.to_string().parse(), Ok(attempt));
        }
    }

    #[test]
    fn what_is_no_id_is_told_in_the_words_of_the_error() {
        let contact = "x".parse::<ContactId>().unwrap_err();
        let attempt = "x".parse::<AttemptId>().unwrap_err();
        for error in [contact, attempt] {
            assert_eq!(Say::from(error.clone()).to_string(), error.to_string());
        }
    }

    #[test]
    fn a_mint_never_makes_the_same_id_twice_even_within_a_millisecond() {
        let mut mint = Mint::new([1; 32]);
        let mut seen: Vec<_> = (0..10_000).map(|_| mint.ulid(UnixMillis(5))).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 10_000);
    }
}
