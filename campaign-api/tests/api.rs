//! The API over HTTP, on a real Postgres and a real Redis.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::indexing_slicing, clippy::string_slice, reason = "a test fails by panicking")]

#[path = "api/attempts.rs"]
mod attempts;
#[path = "api/campaigns.rs"]
mod campaigns;
#[path = "api/earlier.rs"]
mod earlier;
#[path = "api/eligibility.rs"]
mod eligibility;
#[path = "api/forecast.rs"]
mod forecast;
#[path = "api/imports.rs"]
mod imports;
#[path = "api/imports_always.rs"]
mod imports_always;
#[path = "api/imports_cards.rs"]
mod imports_cards;
#[path = "api/imports_files.rs"]
mod imports_files;
#[path = "api/imports_preview.rs"]
mod imports_preview;
#[path = "api/keys.rs"]
mod keys;
#[path = "api/languages.rs"]
mod languages;
#[path = "api/lifts.rs"]
mod lifts;
#[path = "api/narrowing.rs"]
mod narrowing;
#[path = "api/opt_outs.rs"]
mod opt_outs;
#[path = "api/outages.rs"]
mod outages;
#[path = "api/packs.rs"]
mod packs;
#[path = "api/people.rs"]
mod people;
#[path = "api/permit_fences.rs"]
mod permit_fences;
#[path = "api/permits.rs"]
mod permits;
#[path = "api/refusals.rs"]
mod refusals;
#[path = "api/summary.rs"]
mod summary;
#[path = "api/supplied.rs"]
mod supplied;
#[path = "api/world.rs"]
mod world;
