//! What speaks for each candidate place and zone.

use std::fmt::Write;

use chrono_tz::Tz;

use crate::Place;

/// What a candidate place or zone rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Basis {
    /// The country and region of the address.
    Address,
    /// The postal code of the address.
    PostalCode,
    /// The telephone number.
    Number,
    /// The time zone that was stated with the address.
    StatedZone,
}

impl Basis {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Address, Self::PostalCode, Self::Number, Self::StatedZone];

    /// The word in records and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::PostalCode => "postal_code",
            Self::Number => "number",
            Self::StatedZone => "stated_zone",
        }
    }
}

/// What the postal code of an address told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PostalCode {
    /// There is none, or its country has no table: nothing was looked up.
    #[default]
    NotLookedUp,
    /// The table of its country has it.
    Known,
    /// It looks like one of its country and the table does not have it: it adds nothing.
    Unknown,
    /// It looks like none of its country: it adds nothing.
    Malformed,
}

impl PostalCode {
    /// The word in records and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotLookedUp => "not_looked_up",
            Self::Known => "known",
            Self::Unknown => "unknown",
            Self::Malformed => "malformed",
        }
    }
}

/// Positions among the candidates, one bit each: it copies, and a judgement allocates nothing for it.
/// A position past the last bit (no call has so many) is not on record; it still counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Marks {
    jurisdictions: u64,
    zones: u64,
}

fn bit(position: usize) -> u64 {
    u32::try_from(position).ok().and_then(|position| 1_u64.checked_shl(position)).unwrap_or(0)
}

/// Which of the candidates of a judgement each [`Basis`] speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Grounds {
    address: Marks,
    postal: Marks,
    number: Marks,
    stated: Marks,
    /// What the postal code told.
    pub postal_code: PostalCode,
    /// The seller chose to believe verified addresses, and this one was believed: candidates of the
    /// number were left out.
    pub narrowed: bool,
}

impl Grounds {
    const fn marks(&self, basis: Basis) -> Marks {
        match basis {
            Basis::Address => self.address,
            Basis::PostalCode => self.postal,
            Basis::Number => self.number,
            Basis::StatedZone => self.stated,
        }
    }

    const fn marks_mut(&mut self, basis: Basis) -> &mut Marks {
        match basis {
            Basis::Address => &mut self.address,
            Basis::PostalCode => &mut self.postal,
            Basis::Number => &mut self.number,
            Basis::StatedZone => &mut self.stated,
        }
    }

    pub(super) fn mark_place(&mut self, basis: Basis, position: usize) {
        self.marks_mut(basis).jurisdictions |= bit(position);
    }

    pub(super) fn mark_zone(&mut self, basis: Basis, position: usize) {
        self.marks_mut(basis).zones |= bit(position);
    }

    pub(super) fn forget_zones(&mut self) {
        Basis::ALL.into_iter().for_each(|basis| self.marks_mut(basis).zones = 0);
    }

    /// Whether a basis speaks for the jurisdiction at a position among the candidates.
    #[must_use]
    pub fn place_has(&self, basis: Basis, position: usize) -> bool {
        self.marks(basis).jurisdictions & bit(position) != 0
    }

    /// Whether a basis speaks for the zone at a position among the candidates.
    #[must_use]
    pub fn zone_has(&self, basis: Basis, position: usize) -> bool {
        self.marks(basis).zones & bit(position) != 0
    }

    /// The jurisdictions that a basis speaks for. A country is left out where one of its regions is
    /// named.
    pub fn places<'a>(
        &'a self,
        basis: Basis,
        jurisdictions: &'a [Place],
    ) -> impl Iterator<Item = Place> + 'a {
        let named = move || {
            let each = jurisdictions.iter().copied().enumerate();
            each.filter(move |(at, _)| self.place_has(basis, *at)).map(|(_, place)| place)
        };
        let finer = move |one: Place| named().any(|other| other != one && other.country() == one);
        named().filter(move |place| !finer(*place))
    }

    /// The zones that a basis speaks for.
    pub fn zones<'a>(&'a self, basis: Basis, zones: &'a [Tz]) -> impl Iterator<Item = Tz> + 'a {
        let each = zones.iter().copied().enumerate();
        each.filter(move |(at, _)| self.zone_has(basis, *at)).map(|(_, zone)| zone)
    }

    /// All of it in one line for the record, for example
    /// `address US-TX America/Chicago; postal_code US-TX; number US-NY America/New_York`.
    ///
    /// More than six zones of one basis are those of a whole country, and are counted.
    #[must_use]
    pub fn line(&self, jurisdictions: &[Place], zones: &[Tz]) -> String {
        const LISTED: usize = 6;
        let mut line = String::with_capacity(80);
        for basis in Basis::ALL {
            let count = self.zones(basis, zones).count();
            let mut places = self.places(basis, jurisdictions).peekable();
            if places.peek().is_none() && count == 0 {
                continue;
            }
            let gap = if line.is_empty() { "" } else { "; " };
            write!(line, "{gap}{}", basis.as_str()).ok();
            places.for_each(|place| {
                write!(line, " {place}").ok();
            });
            if count > LISTED {
                write!(line, " {count} zones").ok();
            } else {
                self.zones(basis, zones).for_each(|zone| {
                    write!(line, " {}", zone.name()).ok();
                });
            }
        }
        let postal = match self.postal_code {
            PostalCode::Unknown => "; postal_code unknown",
            PostalCode::Malformed => "; postal_code malformed",
            PostalCode::NotLookedUp | PostalCode::Known => "",
        };
        line.push_str(postal);
        if self.narrowed {
            line.push_str("; narrowed by verified address");
        }
        line
    }
}
