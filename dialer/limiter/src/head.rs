//! The head of a subject and the events that move it.

use std::fmt;

use dialer_types::{Outcome, PlacementId, UnixMillis};

use crate::entry::{ENTRY_BYTES, Entry, MARK_BYTES, Mark};

/// Entries a head can hold. A cap of ten a day over the longest horizon of the packs (FR, 61 days)
/// stays far below; a head that is full denies. 512 x 24 bytes keeps a head under 13 kB.
pub const MAX_ENTRIES: usize = 512;

/// Marks a head can hold: one per seller and kind. A head with no room left denies everybody.
pub const MAX_MARKS: usize = 200;

/// Layout version of what Postgres holds, the byte after the token: entries of 24 bytes. It is kept
/// while a release that reads no other may run beside this one.
const VERSION: u8 = 1;
/// Layout version of the copies in Redis: entries of 16 to 24 bytes. Their keys are of this version,
/// too ([`crate::redis_key`]), so no release finds a copy that it cannot read.
const SHORT: u8 = 2;
/// Token, version, marks, entries (u16).
const FIXED_BYTES: usize = 16 + 1 + 1 + 2;

/// Names the last event that changed a head. Minted once, never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u128);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({:032x})", self.0)
    }
}

impl From<PlacementId> for Token {
    fn from(placement: PlacementId) -> Self {
        Self(placement.0)
    }
}

/// Bytes that are not a head, or a head with no room. Either way the answer is no call (G5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// Too short, or longer than it says.
    #[error("a head of {0} bytes does not have the length its counts say")]
    Length(usize),
    /// Written by another format version.
    #[error("a head of format {0}, this build reads formats {VERSION} and {SHORT}")]
    Version(u8),
    /// A code outside its vocabulary.
    #[error("a head holds a value outside its vocabulary")]
    Value,
    /// No room for another entry or mark within the horizon.
    #[error("the history is full: no entry young enough to count may be dropped")]
    Full,
}

/// What is known of one subject. Changed only by making the next head from this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    token: Token,
    marks: Vec<Mark>,
    entries: Vec<Entry>,
}

impl Head {
    /// The head of a subject about which nothing is known yet.
    #[must_use]
    pub const fn new(token: Token) -> Self {
        Self { token, marks: Vec::new(), entries: Vec::new() }
    }

    /// The last event that changed it.
    #[must_use]
    pub const fn token(&self) -> Token {
        self.token
    }

    /// The history, in the order it was recorded.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Suppressions and refusals.
    #[must_use]
    pub fn marks(&self) -> &[Mark] {
        &self.marks
    }

    /// The next head: one entry more, entries from before `horizon` dropped. What of those has no end
    /// ([`Entry::lasting`]) stays as a mark.
    ///
    /// # Errors
    /// [`HeadError::Full`] if every one of [`MAX_ENTRIES`] entries is within the horizon, or there is no
    /// room for a mark.
    pub fn with_entry(
        &self,
        token: Token,
        entry: Entry,
        horizon: UnixMillis,
    ) -> Result<Self, HeadError> {
        let (mut entries, dropped): (Vec<Entry>, Vec<Entry>) =
            self.entries.iter().partition(|entry| entry.at() >= horizon);
        if entries.len() >= MAX_ENTRIES {
            return Err(HeadError::Full);
        }
        entries.push(entry);
        let next = Self { token, marks: self.marks.clone(), entries };
        let mut lasting = dropped.iter().filter_map(Entry::lasting);
        lasting.try_fold(next, |next, mark| next.with_mark(token, mark))
    }

    /// The next head: the placement's outcome is known. `None` if it is not in the history.
    #[must_use]
    pub fn settled(&self, token: Token, placement: PlacementId, outcome: Outcome) -> Option<Self> {
        let key = Entry::key_of(placement);
        let mut next = self.clone();
        next.entries.iter_mut().find(|entry| entry.key == key)?.outcome = outcome;
        next.token = token;
        Some(next)
    }

    /// The next head: the placement provably never left and stops counting. `None` if it is not
    /// in the history.
    #[must_use]
    pub fn released(&self, token: Token, placement: PlacementId) -> Option<Self> {
        let key = Entry::key_of(placement);
        let mut next = self.clone();
        next.entries.retain(|entry| entry.key != key);
        next.token = token;
        (next.entries.len() < self.entries.len()).then_some(next)
    }

    /// The next head: with a mark more.
    ///
    /// # Errors
    /// [`HeadError::Full`] if there is no room; the caller then marks everybody
    /// (`Mark::suppressed(None)`), which always fits in the room kept for it.
    pub fn with_mark(&self, token: Token, mark: Mark) -> Result<Self, HeadError> {
        let mut next = self.clone();
        next.token = token;
        if !next.marks.contains(&mark) {
            // Room is kept beyond MAX_MARKS for marks that bind everybody, the last resort.
            if next.marks.len() >= MAX_MARKS && mark.seller != dialer_types::SellerNo(0) {
                return Err(HeadError::Full);
            }
            next.marks.push(mark);
        }
        Ok(next)
    }

    /// The next head: without this mark.
    #[must_use]
    pub fn without_mark(&self, token: Token, mark: Mark) -> Self {
        let mut next = self.clone();
        next.token = token;
        next.marks.retain(|held| *held != mark);
        next
    }

    /// The next head after an event that changes no history (a consent given or revoked): what was
    /// judged before it no longer commits.
    #[must_use]
    pub fn touched(&self, token: Token) -> Self {
        Self { token, marks: self.marks.clone(), entries: self.entries.clone() }
    }

    /// The bytes that Postgres holds: the token first, as in [`Head::encode_short`], so that the
    /// stores can compare it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.begin(VERSION);
        for entry in &self.entries {
            entry.pack(&mut out);
        }
        out
    }

    /// The bytes of a copy in Redis, which holds all of them in memory.
    #[must_use]
    pub fn encode_short(&self) -> Vec<u8> {
        let mut out = self.begin(SHORT);
        for entry in &self.entries {
            entry.pack_short(&mut out);
        }
        out
    }

    fn begin(&self, version: u8) -> Vec<u8> {
        let mut out = Vec::with_capacity(
            FIXED_BYTES + self.marks.len() * MARK_BYTES + self.entries.len() * ENTRY_BYTES,
        );
        out.extend_from_slice(&self.token.0.to_be_bytes());
        out.push(version);
        out.push(u8::try_from(self.marks.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(&u16::try_from(self.entries.len()).unwrap_or(u16::MAX).to_be_bytes());
        for mark in &self.marks {
            mark.pack(&mut out);
        }
        out
    }

    /// Reads what [`Head::encode`] or [`Head::encode_short`] wrote.
    ///
    /// # Errors
    /// Anything else is refused; an unreadable head is an unknown one, and unknown denies.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeadError> {
        let length = HeadError::Length(bytes.len());
        let (token, rest) = bytes.split_first_chunk::<16>().ok_or(length)?;
        let ([version, marks, e0, e1], rest) = rest.split_first_chunk::<4>().ok_or(length)?;
        if ![VERSION, SHORT].contains(version) {
            return Err(HeadError::Version(*version));
        }
        let count = usize::from(u16::from_be_bytes([*e0, *e1]));
        let (mark_bytes, entry_bytes) =
            rest.split_at_checked(usize::from(*marks) * MARK_BYTES).ok_or(length)?;
        let marks = mark_bytes.as_chunks::<MARK_BYTES>().0.iter().map(Mark::unpack);
        let entries = match *version {
            SHORT => short_entries(entry_bytes, count)?,
            _ if entry_bytes.len() == count * ENTRY_BYTES => {
                let entries = entry_bytes.as_chunks::<ENTRY_BYTES>().0.iter().map(Entry::unpack);
                entries.collect::<Result<_, _>>()?
            }
            _ => return Err(length),
        };
        let token = Token(u128::from_be_bytes(*token));
        Ok(Self { token, marks: marks.collect::<Result<_, _>>()?, entries })
    }
}

fn short_entries(mut bytes: &[u8], count: usize) -> Result<Vec<Entry>, HeadError> {
    let mut entries = Vec::with_capacity(count.min(MAX_ENTRIES));
    for _ in 0..count {
        let (entry, rest) = Entry::unpack_short(bytes).ok_or(HeadError::Value)?;
        entries.push(entry);
        bytes = rest;
    }
    if bytes.is_empty() { Ok(entries) } else { Err(HeadError::Length(bytes.len())) }
}

#[cfg(test)]
mod tests {
    use dialer_types::{CampaignNo, Purpose, SellerNo, Technology};
    use proptest::prelude::*;

    use super::*;

    fn entry(key: u64, at_seconds: u32) -> Entry {
        Entry {
            key,
            at_seconds,
            seller: SellerNo(3),
            campaign: CampaignNo(9),
            purpose: Purpose::Telemarketing,
            technology: Technology::Prerecorded,
            outcome: Outcome::Pending,
            inbound: false,
        }
    }

    #[test]
    fn a_head_with_seven_entries_takes_188_bytes_and_its_copy_132() {
        let mut head = Head::new(Token(1));
        for key in 0..7 {
            head = head.with_entry(Token(2), entry(key, 100), UnixMillis(0)).unwrap();
        }
        assert_eq!(head.encode().len(), 188);
        assert_eq!(head.encode_short().len(), 132);
        let large =
            Entry { seller: SellerNo(u32::MAX), campaign: CampaignNo(u32::MAX), ..entry(9, 1) };
        let larger = head.with_entry(Token(2), large, UnixMillis(0)).unwrap();
        assert_eq!(larger.encode_short().len(), 132 + 24, "never longer than in Postgres");
    }

    #[test]
    fn entries_older_than_the_horizon_are_dropped_and_a_full_head_denies() {
        let mut head = Head::new(Token(1));
        for key in 0..512 {
            head = head.with_entry(Token(2), entry(key, 1_000), UnixMillis(1_000_000)).unwrap();
        }
        let more = entry(9_999, 1_001);
        assert_eq!(head.with_entry(Token(3), more, UnixMillis(1_000_000)), Err(HeadError::Full));
        let pruned = head.with_entry(Token(3), more, UnixMillis(1_000_001)).unwrap();
        assert_eq!(pruned.entries(), &[more]);
    }

    #[test]
    fn of_a_dropped_refusal_a_mark_stays_once_and_of_other_entries_nothing() {
        let head = [
            (Outcome::Refused, false),
            (Outcome::Refused, false),
            (Outcome::Refused, true),
            (Outcome::Conversation, false),
            (Outcome::Unknown, false),
        ];
        let head = (1..).zip(head).fold(Head::new(Token(1)), |head, (key, (outcome, inbound))| {
            let purpose =
                if outcome == Outcome::Unknown { Purpose::Survey } else { entry(0, 0).purpose };
            let entry = Entry { outcome, inbound, purpose, ..entry(key, 1_000) };
            head.with_entry(Token(2), entry, UnixMillis(0)).unwrap()
        });
        assert!(head.marks().is_empty(), "as long as the entries are there they say it themselves");
        let later = head.with_entry(Token(3), entry(9, 2_000), UnixMillis(1_500_000)).unwrap();
        assert_eq!(later.entries(), &[entry(9, 2_000)]);
        let about = |purpose| {
            let (kind, seller) = (crate::MarkKind::Declined, SellerNo(3));
            Mark { kind, seller, purpose: Some(purpose) }
        };
        assert_eq!(later.marks(), [about(Purpose::Telemarketing), about(Purpose::Survey)]);
        let full = (1..=200).fold(head, |head, seller| {
            head.with_mark(Token(2), Mark::suppressed(Some(SellerNo(seller)))).unwrap()
        });
        let next = full.with_entry(Token(3), entry(9, 2_000), UnixMillis(1_500_000));
        assert_eq!(next, Err(HeadError::Full), "and what does not fit is not forgotten");
    }

    #[test]
    fn settling_changes_the_outcome_and_releasing_removes_the_entry() {
        let placement = PlacementId(77);
        let head = Head::new(Token(1)).with_entry(Token(77), entry(77, 5), UnixMillis(0)).unwrap();
        let settled = head.settled(Token(2), placement, Outcome::Busy).unwrap();
        assert_eq!(settled.entries().first().map(|entry| entry.outcome), Some(Outcome::Busy));
        assert!(head.released(Token(3), placement).unwrap().entries().is_empty());
        assert_eq!(head.released(Token(3), PlacementId(78)), None);
    }

    proptest! {
        #[test]
        fn encoding_and_decoding_give_the_same_head(
            token: u128,
            keys in prop::collection::vec((any::<u64>(), any::<u32>()), 0..40),
            sellers in prop::collection::vec(1..50u32, 0..10),
        ) {
            let mut head = Head::new(Token(token));
            for (key, at) in keys {
                head = head.with_entry(Token(token), entry(key, at), UnixMillis(0)).unwrap();
            }
            for seller in sellers {
                let mark = Mark::suppressed(Some(SellerNo(seller)));
                head = head.with_mark(Token(token), mark).unwrap();
            }
            prop_assert_eq!(Head::decode(&head.encode()), Ok(head.clone()));
            let short = head.encode_short();
            prop_assert!(short.starts_with(&head.encode()[..16]), "both begin with the token");
            prop_assert_eq!(Head::decode(&short), Ok(head));
        }

        #[test]
        fn any_bytes_are_a_head_or_an_error_and_never_a_panic(bytes: Vec<u8>) {
            if let Ok(head) = Head::decode(&bytes) {
                prop_assert_eq!(Head::decode(&head.encode()), Ok(head));
            }
        }

        #[test]
        fn a_head_that_reads_is_written_as_it_was(
            token: [u8; 16],
            short: bool,
            count in 0u16..3,
            rest in prop::collection::vec(0u8..40, 0..60),
        ) {
            let mut bytes = token.to_vec();
            bytes.extend([if short { 2 } else { 1 }, 0]);
            bytes.extend(count.to_be_bytes());
            bytes.extend(rest);
            if let Ok(head) = Head::decode(&bytes) {
                let again = if short { head.encode_short() } else { head.encode() };
                prop_assert_eq!(again, bytes);
            }
        }
    }
}
