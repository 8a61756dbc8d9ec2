//! Reading requests, with our own errors.

pub(super) mod cards;
pub(crate) mod free_text;
mod wrong;

use std::str::FromStr;

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use dialer_types::{E164, Say, say};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::{Fault, Problem};
use crate::import::{
    cards::holds_card,
    phones::{self, Region},
};

/// A JSON body.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::malformed(
                "the body must be JSON, with the header 'Content-Type: application/json'",
            ));
        }
        read(&bytes(request, state).await?).map(Self)
    }
}

/// A JSON body that may be left out: then it is the default.
#[derive(Debug)]
pub struct MayBody<T>(pub T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for MayBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let bytes = bytes(request, state).await?;
        if bytes.is_empty() { Ok(Self(T::default())) } else { read(&bytes).map(Self) }
    }
}

async fn bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|error| {
        if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Problem::too_large("more than 1 MiB of JSON; send less at once, or CSV")
        } else {
            Problem::malformed(say!("the body cannot be read: {reason}", reason = error))
        }
    })
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    let kind = kind.trim().to_ascii_lowercase();
    let subtype = kind.strip_prefix("application/").unwrap_or_default();
    subtype == "json" || subtype.ends_with("+json")
}

/// Reads JSON twice: the second time may repeat what it does not understand, so what passes for a
/// card is refused before.
fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Problem::malformed(say!(
            "the body is not JSON: it cannot be read from line {line}, character {column} on",
            line,
            column
        ))
    })?;
    let cards = cards::in_value(&value);
    if !cards.is_empty() {
        return Err(Problem::invalid(cards));
    }
    let read = Json::from_bytes(bytes).map(|Json(body)| body);
    read.map_err(|error| Problem::invalid(vec![wrong::fault_of(&error.body_text())]))
}

/// The id in the path.
#[derive(Debug)]
pub struct Id<T>(pub T);

impl<T: FromStr<Err: Into<Say>> + Send, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(text) =
            Path::<String>::from_request_parts(parts, state).await.map_err(|error| {
                let reason = error.body_text();
                Problem::malformed(say!("the address cannot be read: {reason}", reason))
            })?;
        text.parse().map(Self).map_err(|error: T::Err| {
            if holds_card(&text) {
                let reason = "holds what passes for a payment card number; nothing was kept";
                return Problem::invalid(vec![Fault::of("id", reason)]);
            }
            Problem::not_found(error)
        })
    }
}

/// The query string.
#[derive(Debug)]
pub struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|_| Problem::malformed("the query string is not understood"))?;
        let cards: Vec<Fault> = pairs.iter().filter_map(cards::in_pair).collect();
        if !cards.is_empty() {
            return Err(Problem::invalid(cards));
        }
        let read = Query::try_from_uri(&parts.uri).map(|Query(query)| Self(query));
        read.map_err(|error| {
            let fault = wrong::fault_of(&error.body_text());
            let reason = Say::of("{field}: {reason}").with("field", fault.field.as_str());
            let said = Say::of("the query string is not understood: {reason}");
            Problem::malformed(said.with("reason", reason.with("reason", fault.reason)))
        })
    }
}

/// Gathers every fault of a body before it is refused.
#[derive(Debug, Default)]
pub(crate) struct Faults(pub Vec<Fault>);

impl Faults {
    /// Notes a fault.
    pub(crate) fn add(&mut self, field: &str, reason: impl Into<Say>) {
        self.0.push(Fault::of(field, reason));
    }

    /// A word of a vocabulary or a number, id and so on.
    pub(crate) fn parse<T: FromStr<Err: Into<Say>>>(
        &mut self,
        field: &str,
        text: &str,
    ) -> Option<T> {
        text.parse().map_err(|error: T::Err| self.add(field, error)).ok()
    }

    /// A telephone number as people write it; without its country code only if `region` says whose
    /// it is.
    pub(crate) fn number(&mut self, field: &str, text: &str, region: Option<&str>) -> Option<E164> {
        // A plus sign of a query that was not encoded arrives as a blank.
        let whole = text.strip_prefix(' ').map(|digits| format!("+{digits}"));
        let text = whole.as_deref().unwrap_or(text);
        let country = region.and_then(Region::read);
        if region.is_some() && country.is_none() {
            self.add("region", "must be two letters (ISO 3166-1) of a country, like US");
            return None;
        }
        match phones::read(text, country) {
            Ok(read) => Some(read.number),
            Err(_) if country.is_none() && !text.contains('+') => {
                self.add(field, "has no country code: begin with '+', as in +13055550123, or say of which country it is (region, as in US)");
                None
            }
            Err(reason) => {
                self.add(field, reason);
                None
            }
        }
    }

    /// A text of 1 to `most` characters without control characters.
    pub(crate) fn text(&mut self, field: &str, text: &str, most: usize) {
        let length = text.chars().count();
        if text.trim().is_empty() {
            self.add(field, "must not be empty");
        } else if length > most {
            self.add(field, say!("has {length} characters; at most {most} are kept", length, most));
        } else if text.chars().any(char::is_control) {
            self.add(field, "holds a control character");
        }
    }

    /// Whole numbers within bounds.
    pub(crate) fn range(&mut self, field: &str, value: i64, least: i64, most: i64) {
        if !(least..=most).contains(&value) {
            self.add(field, say!("must be from {least} to {most}", least, most));
        }
    }

    /// Refuses if there was any.
    pub(crate) fn finish(self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(Problem::invalid(self.0)) }
    }
}

/// How many rows a page has.
pub(crate) fn page(limit: Option<i64>) -> i64 {
    limit.unwrap_or(100).clamp(1, 1000)
}
