//! One placement in a packed history, and the marks that outlive it.

use dialer_types::{CampaignNo, Outcome, PlacementId, Purpose, SellerNo, Technology, UnixMillis};

use crate::head::HeadError;

/// Bytes of a packed [`Entry`].
pub(crate) const ENTRY_BYTES: usize = 24;
/// Bytes of a packed [`Mark`].
pub(crate) const MARK_BYTES: usize = 8;

/// A placement (or an inbound conversation, or an attempt made elsewhere) as rules count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Which placement: the low 64 bits of its id. A limit counts distinct keys over its subjects.
    pub key: u64,
    /// When, in seconds since 1970, rounded up: later is stricter for every rule that counts.
    pub at_seconds: u32,
    /// For whom.
    pub seller: SellerNo,
    /// In which campaign; 0 for one made elsewhere.
    pub campaign: CampaignNo,
    /// Why.
    pub purpose: Purpose,
    /// How.
    pub technology: Technology,
    /// How it ended, as far as known.
    pub outcome: Outcome,
    /// The person called us: counts for no cap, but starts some cool-downs.
    pub inbound: bool,
}

impl Entry {
    /// The key of a placement.
    #[must_use]
    pub fn key_of(placement: PlacementId) -> u64 {
        u64::try_from(placement.0 & u128::from(u64::MAX)).unwrap_or(0)
    }

    /// `at`, rounded up to whole seconds.
    #[must_use]
    pub fn seconds(at: UnixMillis) -> u32 {
        u32::try_from(at.0.saturating_add(999).div_euclid(1000).max(0)).unwrap_or(u32::MAX)
    }

    /// When it happened.
    #[must_use]
    pub fn at(&self) -> UnixMillis {
        UnixMillis(i64::from(self.at_seconds) * 1000)
    }

    /// What of it age does not remove: somebody declined, or nobody will ever know that they did not.
    #[must_use]
    pub fn lasting(&self) -> Option<Mark> {
        let lasts = matches!(self.outcome, Outcome::Refused | Outcome::Unknown | Outcome::Pending);
        let purpose = Some(self.purpose);
        let mark = Mark { kind: MarkKind::Declined, seller: self.seller, purpose };
        (lasts && !self.inbound).then_some(mark)
    }

    pub(crate) fn pack(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.key.to_be_bytes());
        out.extend_from_slice(&self.at_seconds.to_be_bytes());
        out.extend_from_slice(&self.seller.0.to_be_bytes());
        out.extend_from_slice(&self.campaign.0.to_be_bytes());
        out.push(self.purpose.code());
        out.push(self.technology.code());
        out.push(self.outcome.code());
        out.push(u8::from(self.inbound));
    }

    /// The same in 16 to 24 bytes: small numbers of sellers and campaigns take one or two bytes each,
    /// and the codes two together.
    pub(crate) fn pack_short(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.key.to_be_bytes());
        out.extend_from_slice(&self.at_seconds.to_be_bytes());
        let codes = u16::from(self.purpose.code()) << 11
            | u16::from(self.technology.code()) << 7
            | u16::from(self.outcome.code()) << 1
            | u16::from(self.inbound);
        out.extend_from_slice(&codes.to_be_bytes());
        pack_number(self.seller.0, out);
        pack_number(self.campaign.0, out);
    }

    /// Reads what [`Entry::pack_short`] wrote, and what comes after it.
    pub(crate) fn unpack_short(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (key, rest) = bytes.split_first_chunk::<8>()?;
        let (at, rest) = rest.split_first_chunk::<4>()?;
        let (codes, rest) = rest.split_first_chunk::<2>()?;
        let (seller, rest) = unpack_number(rest)?;
        let (campaign, rest) = unpack_number(rest)?;
        let codes = u16::from_be_bytes(*codes);
        let code = |shift: u32, mask: u16| u8::try_from((codes >> shift) & mask).ok();
        let entry = Self {
            key: u64::from_be_bytes(*key),
            at_seconds: u32::from_be_bytes(*at),
            seller: SellerNo(seller),
            campaign: CampaignNo(campaign),
            purpose: Purpose::from_code(code(11, 0x1f)?)?,
            technology: Technology::from_code(code(7, 0x0f)?)?,
            outcome: Outcome::from_code(code(1, 0x3f)?)?,
            inbound: codes & 1 == 1,
        };
        Some((entry, rest))
    }

    pub(crate) fn unpack(bytes: &[u8; ENTRY_BYTES]) -> Result<Self, HeadError> {
        let [
            k0,
            k1,
            k2,
            k3,
            k4,
            k5,
            k6,
            k7,
            a0,
            a1,
            a2,
            a3,
            s0,
            s1,
            s2,
            s3,
            c0,
            c1,
            c2,
            c3,
            p,
            t,
            o,
            i,
        ] = *bytes;
        Ok(Self {
            key: u64::from_be_bytes([k0, k1, k2, k3, k4, k5, k6, k7]),
            at_seconds: u32::from_be_bytes([a0, a1, a2, a3]),
            seller: SellerNo(u32::from_be_bytes([s0, s1, s2, s3])),
            campaign: CampaignNo(u32::from_be_bytes([c0, c1, c2, c3])),
            purpose: Purpose::from_code(p).ok_or(HeadError::Value)?,
            technology: Technology::from_code(t).ok_or(HeadError::Value)?,
            outcome: Outcome::from_code(o).ok_or(HeadError::Value)?,
            inbound: match i {
                0 => false,
                1 => true,
                _ => return Err(HeadError::Value),
            },
        })
    }
}

/// Seven bits a byte, the lowest first; the high bit says that another byte follows.
fn pack_number(mut number: u32, out: &mut Vec<u8>) {
    loop {
        let low = u8::try_from(number & 0x7f).unwrap_or(0);
        number >>= 7;
        if number == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

/// A number has one spelling: none that is too long, or above `u32`, is read.
fn unpack_number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut number = 0_u64;
    for (at, byte) in bytes.iter().enumerate().take(5) {
        number |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            let spelled_out = at > 0 && *byte == 0;
            let number = u32::try_from(number).ok().filter(|_| !spelled_out)?;
            return Some((number, bytes.get(at + 1..)?));
        }
    }
    None
}

/// What a mark says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum MarkKind {
    /// Do not call.
    Suppressed = 1,
    /// Declined in a conversation, or may have: what is left of an entry when it is dropped, because
    /// some cool-downs have no end.
    Declined = 2,
}

/// Something about a subject that age does not remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// What.
    pub kind: MarkKind,
    /// Whom it binds; `SellerNo(0)` binds everybody.
    pub seller: SellerNo,
    /// Which purpose it concerns; `None` for all.
    pub purpose: Option<Purpose>,
}

impl Mark {
    /// A do-not-call mark for one seller, or for everybody.
    #[must_use]
    pub const fn suppressed(seller: Option<SellerNo>) -> Self {
        let seller = match seller {
            Some(seller) => seller,
            None => SellerNo(0),
        };
        Self { kind: MarkKind::Suppressed, seller, purpose: None }
    }

    /// The same for calls of one purpose only; `None`: of all.
    #[must_use]
    pub const fn about(self, purpose: Option<Purpose>) -> Self {
        Self { purpose, ..self }
    }

    /// Whether it binds this seller, when it calls for this purpose.
    #[must_use]
    pub fn binds(&self, seller: SellerNo, purpose: Purpose) -> bool {
        (self.seller == seller || self.seller == SellerNo(0))
            && self.purpose.is_none_or(|about| about == purpose)
    }

    pub(crate) fn pack(&self, out: &mut Vec<u8>) {
        out.push(self.kind as u8);
        out.push(self.purpose.map_or(0, Purpose::code));
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&self.seller.0.to_be_bytes());
    }

    pub(crate) fn unpack(bytes: &[u8; MARK_BYTES]) -> Result<Self, HeadError> {
        let [kind, purpose, _, _, s0, s1, s2, s3] = *bytes;
        Ok(Self {
            kind: match kind {
                1 => MarkKind::Suppressed,
                2 => MarkKind::Declined,
                _ => return Err(HeadError::Value),
            },
            seller: SellerNo(u32::from_be_bytes([s0, s1, s2, s3])),
            purpose: match purpose {
                0 => None,
                code => Some(Purpose::from_code(code).ok_or(HeadError::Value)?),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_fits_the_bits_that_a_short_entry_has_for_it() {
        assert!(Purpose::ALL.iter().all(|it| it.code() < 1 << 5));
        assert!(Technology::ALL.iter().all(|it| it.code() < 1 << 4));
        assert!(Outcome::ALL.iter().all(|it| it.code() < 1 << 6));
    }

    #[test]
    fn a_number_has_one_spelling() {
        for number in [0, 1, 127, 128, 16_383, 16_384, u32::MAX] {
            let mut out = Vec::new();
            pack_number(number, &mut out);
            assert_eq!(unpack_number(&out), Some((number, &[][..])));
        }
        for wrong in [&[][..], &[0x80], &[0x80, 0], &[0xff; 5], &[0xff, 0xff, 0xff, 0xff, 0x1f]] {
            assert_eq!(unpack_number(wrong), None, "{wrong:?}");
        }
    }
}
