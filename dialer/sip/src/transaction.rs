//! Client transactions (RFC 3261 section 17.1, RFC 6026): one type per state.

pub(crate) mod invite_client;
pub(crate) mod non_invite_client;
pub(crate) mod timer;

use std::fmt::Write as _;

/// The cookie every branch of RFC 3261 begins with (section 8.1.1.7).
const COOKIE: &[u8] = b"z9hG4bK";

/// Where a branch or tag of ours points: the place of its call, and a nonce that proves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Place of the call in the endpoint.
    pub(crate) slot: u32,
    /// Unpredictable; a mark whose nonce is not the stored one is not ours.
    pub(crate) nonce: u64,
}

impl Mark {
    /// As the tag of From.
    pub(crate) fn tag(self) -> String {
        let mut out = String::with_capacity(24);
        let written = write!(out, "{:08x}{:016x}", self.slot, self.nonce);
        debug_assert!(written.is_ok(), "a String takes every character");
        out
    }

    /// As the branch of Via.
    pub(crate) fn branch(self) -> String {
        format!("z9hG4bK{}", self.tag())
    }

    /// Reads a tag.
    pub(crate) fn from_tag(tag: &[u8]) -> Option<Self> {
        if tag.len() != 24 || !tag.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        let tag = std::str::from_utf8(tag).ok()?;
        let (slot, nonce) = tag.split_at_checked(8)?;
        Some(Self {
            slot: u32::from_str_radix(slot, 16).ok()?,
            nonce: u64::from_str_radix(nonce, 16).ok()?,
        })
    }

    /// Reads a branch.
    pub(crate) fn from_branch(branch: &[u8]) -> Option<Self> {
        let (cookie, tag) = branch.split_at_checked(COOKIE.len())?;
        cookie.eq_ignore_ascii_case(COOKIE).then(|| Self::from_tag(tag)).flatten()
    }
}
