//! Where a party may be, and what says so.

use dialer_policy::{Basis, Evidence};
use serde::Serialize;
use utoipa::ToSchema;

/// What one kind of evidence says of the place.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlacesFrom {
    /// `address`, `postal_code`, `number` or `stated_zone`.
    pub basis: String,
    /// ISO 3166 codes; a country only where none of its regions is told.
    pub places: Vec<String>,
    /// IANA names.
    pub zones: Vec<String>,
}

/// Every kind of evidence that says something.
pub(super) fn places_from(evidence: &Evidence) -> Vec<PlacesFrom> {
    let each = Basis::ALL.into_iter().map(|basis| {
        let places = evidence.grounds.places(basis, &evidence.jurisdictions);
        let zones = evidence.grounds.zones(basis, &evidence.zones);
        PlacesFrom {
            basis: basis.as_str().to_owned(),
            places: places.map(|place| place.to_string()).collect(),
            zones: zones.map(|zone| zone.name().to_owned()).collect(),
        }
    });
    each.filter(|from| !from.places.is_empty() || !from.zones.is_empty()).collect()
}
