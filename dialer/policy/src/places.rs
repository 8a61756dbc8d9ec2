//! Where the called party may be: candidate jurisdictions and zones (`VECTORS.md` section 3).
//!
//! A postal code adds evidence and never narrows: where it agrees with region and zone it is on
//! record, where it contradicts them what it says is a candidate too, and all must allow. Only a seller
//! who chose to believe verified addresses is judged without the candidates of the number.

use chrono_tz::Tz;
use dialer_types::E164;
use smallvec::SmallVec;

use crate::{Address, AddressBasis, Call, Place, zone::local};

mod grounds;
mod postal;
mod tables;

pub use grounds::{Basis, Grounds, PostalCode};
use tables::{PLACES, Places, Spot};

/// Where the called party may be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Candidates {
    pub(crate) countries: SmallVec<[Place; 4]>,
    /// Countries, their regions, unions, and the strictest state where none is known.
    pub(crate) jurisdictions: SmallVec<[Place; 8]>,
    pub(crate) zones: SmallVec<[Tz; 8]>,
    /// What each of them rests on.
    pub(crate) grounds: Grounds,
}

/// Adds what is not there yet; where it stands.
fn add<T: PartialEq, const N: usize>(list: &mut SmallVec<[T; N]>, item: T) -> usize {
    let held = list.iter().position(|held| *held == item);
    held.unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    })
}

/// Moments of 2027 at which zones that differ differ: before and after each hemisphere's and each
/// continent's clock changes (noon UTC of 15 January, 10 and 20 March, 10 April, 15 July, 20 September,
/// 20 October, 3 November).
const PROBES: [i64; 8] = [
    1800014400000,
    1804680000000,
    1805544000000,
    1807358400000,
    1815652800000,
    1821441600000,
    1824033600000,
    1825243200000,
];

/// Whether two zones are one clock: another name, or a town whose law differed long ago.
fn is_one_clock(one: Tz, other: Tz) -> bool {
    one == other || PROBES.iter().all(|at| local(one, *at) == local(other, *at))
}

fn is_plus_one(number: E164) -> bool {
    let digits = number.digits();
    let first = digits.checked_ilog10().map(|length| digits / 10_u64.pow(length));
    first == Some(1)
}

/// Whether a text is a country: two letters of ISO 3166-1.
pub(crate) fn is_country(text: &str) -> bool {
    Place::new(text.trim()).is_some_and(|place| PLACES.is_country(place))
}

/// Whether rules can be of this place: everywhere, a union, a country, or a region of one. Of the
/// United States, whose regions decide most, only those that are.
pub(crate) fn is_jurisdiction(place: Place) -> bool {
    if [Place::EVERYWHERE, Place::EU, Place::US_STRICTEST].contains(&place) {
        return true;
    }
    let country = place.country();
    let region = place == country || country.as_str() != "US" || place.is_us_state();
    PLACES.is_country(country) && region
}

/// What an address says, looked up.
#[derive(Debug)]
struct Told<'a> {
    country: Option<Place>,
    region: Option<Place>,
    /// The zone that was stated; `Some(None)` if nobody knows it.
    #[expect(clippy::option_option, reason = "a zone that does not exist is not the same as none")]
    stated: Option<Option<Tz>>,
    /// The zones of the region, or of the whole country.
    zones: &'a [Tz],
    postal_code: PostalCode,
    spot: Option<&'a Spot>,
}

impl<'a> Told<'a> {
    fn by(address: &Address, tables: &'a Places) -> Self {
        // What is no country says nothing: then the number says where the party is.
        let country = Place::new(address.country.trim()).filter(|place| tables.is_country(*place));
        let region = address.region.as_deref().filter(|region| !region.trim().is_empty());
        let region = region.filter(|_| country.is_some());
        let region = region.and_then(|region| Place::region(&address.country, region));
        let code = address.postal_code.as_deref().zip(country);
        let found = code.map(|(code, country)| tables.postal.find(country, code));
        let (postal_code, spot) = found.unwrap_or_default();
        Self {
            country,
            region,
            stated: address.time_zone.as_ref().map(|name| name.parse().ok()),
            zones: tables.zones_of(country, region),
            postal_code,
            spot: spot.and_then(|spot| tables.spot(spot)),
        }
    }

    /// The zones the address puts the party in, without the postal code.
    fn own_zones(&self) -> &[Tz] {
        self.stated.as_ref().map_or(self.zones, |zone| zone.as_slice())
    }

    /// The country or region that the postal code and the rest agree on.
    fn agreed(&self, spot: &Spot) -> Option<Place> {
        self.region.or(self.country).filter(|said| spot.places.contains(said))
    }

    /// The zones that a verified address leaves. `None` where its parts do not agree, or one of
    /// them is not understood: then it narrows nothing.
    fn narrowed(&self) -> Option<&[Tz]> {
        self.country.and(self.region)?;
        let shares = |zones: &[Tz], zone: Tz| zones.iter().any(|own| is_one_clock(*own, zone));
        let within = match (self.postal_code, self.spot) {
            (PostalCode::NotLookedUp, _) => self.zones,
            (PostalCode::Known, Some(spot)) if self.agreed(spot).is_some() => &spot.zones,
            _ => return None,
        };
        within.iter().any(|zone| shares(self.zones, *zone)).then_some(())?;
        match &self.stated {
            None => Some(within),
            Some(Some(zone)) if shares(within, *zone) => Some(std::slice::from_ref(zone)),
            Some(_) => None,
        }
    }
}

impl Candidates {
    /// The candidates of a call. `narrowing`: the seller chose to believe verified addresses.
    pub(crate) fn of(call: &Call, narrowing: bool) -> Self {
        let tables = &*PLACES;
        let mut found = Self::default();
        let told = call.address.as_ref().map(|address| Told::by(address, tables));
        let believed = narrowing && call.address_basis == AddressBasis::Verified;
        let narrowed = told.as_ref().filter(|_| believed).and_then(Told::narrowed);
        if let Some(told) = &told {
            found.address(told, narrowed);
        }
        if narrowed.is_none()
            && let Some(spot) = tables.of_number(call.number)
        {
            let geographic = !spot.zones.is_empty() && is_plus_one(call.number);
            if told.as_ref().is_none_or(|told| told.country.is_none()) || geographic {
                found.spot(spot, Basis::Number);
            }
        }
        // A zone was stated and nobody knows which: no zone is safe.
        if told.is_some_and(|told| told.stated == Some(None)) {
            found.zones.clear();
            found.grounds.forget_zones();
        }
        found.unions(tables);
        found
    }

    fn address(&mut self, told: &Told<'_>, narrowed: Option<&[Tz]>) {
        self.place(told.country, told.region, Basis::Address);
        let basis = if told.stated.is_some() { Basis::StatedZone } else { Basis::Address };
        let zones = narrowed.unwrap_or_else(|| told.own_zones());
        zones.iter().for_each(|zone| self.zone(*zone, basis));
        self.grounds.narrowed = narrowed.is_some();
        self.grounds.postal_code = told.postal_code;
        let Some(spot) = told.spot else {
            return;
        };
        match told.agreed(spot) {
            // The address brought the place, and the country it is in.
            Some(place) => {
                let at = add(&mut self.jurisdictions, place);
                self.grounds.mark_place(Basis::PostalCode, at);
            }
            None => self.places_of(spot, Basis::PostalCode),
        }
        // On record for the zones it agrees with; what it contradicts, it adds to.
        let mut agrees = false;
        for same in [|one, other| one == other, is_one_clock] {
            for (at, zone) in self.zones.iter().enumerate().filter(|_| !agrees) {
                if spot.zones.iter().any(|other| same(*zone, *other)) {
                    self.grounds.mark_zone(Basis::PostalCode, at);
                }
            }
            agrees |= self.grounds.zones(Basis::PostalCode, &self.zones).next().is_some();
        }
        if !agrees {
            spot.zones.iter().for_each(|zone| self.zone(*zone, Basis::PostalCode));
        }
    }

    fn spot(&mut self, spot: &Spot, basis: Basis) {
        self.places_of(spot, basis);
        spot.zones.iter().for_each(|zone| self.zone(*zone, basis));
    }

    fn places_of(&mut self, spot: &Spot, basis: Basis) {
        for place in &spot.places {
            let country = place.country();
            self.place(Some(country), (country != *place).then_some(*place), basis);
        }
    }

    fn place(&mut self, country: Option<Place>, region: Option<Place>, basis: Basis) {
        if let Some(country) = country {
            add(&mut self.countries, country);
        }
        for place in country.into_iter().chain(region) {
            let at = add(&mut self.jurisdictions, place);
            self.grounds.mark_place(basis, at);
        }
    }

    fn zone(&mut self, zone: Tz, basis: Basis) {
        let at = add(&mut self.zones, zone);
        self.grounds.mark_zone(basis, at);
    }

    fn unions(&mut self, tables: &Places) {
        if self.countries.iter().any(|country| tables.is_in_eu(*country)) {
            add(&mut self.jurisdictions, Place::EU);
        }
        let in_us = self.countries.iter().any(|country| country.as_str() == "US");
        // A state that only the postal code tells does not stand for one that is known: a postal
        // code never takes a rule away.
        let told = |at| {
            [Basis::Address, Basis::Number].iter().any(|basis| self.grounds.place_has(*basis, at))
        };
        // "Florida", `ZZ` or a post office of the forces (`AE`) is no state that anybody knows.
        let state = |(at, place): (usize, &Place)| place.is_us_state() && told(at);
        if in_us && !self.jurisdictions.iter().enumerate().any(state) {
            add(&mut self.jurisdictions, Place::US_STRICTEST);
        }
    }
}

#[cfg(test)]
mod tests;
