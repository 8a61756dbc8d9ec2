//! Reading requests, with our own errors.

use std::{fmt::Display, str::FromStr};

use axum::{
    extract::{FromRequest, FromRequestParts, Request, rejection::JsonRejection},
    http::{StatusCode, request::Parts},
};
use serde::de::DeserializeOwned;

use super::error::{Fault, Problem};

/// A JSON body.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match axum::Json::from_request(request, state).await {
            Ok(axum::Json(body)) => Ok(Self(body)),
            Err(JsonRejection::JsonDataError(error)) => {
                Err(Problem::invalid(vec![Fault::of("body", error.body_text())]))
            }
            Err(error) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Err(Problem::too_large(error.body_text()))
            }
            Err(error) => Err(Problem::malformed(error.body_text())),
        }
    }
}

/// The id in the path.
#[derive(Debug)]
pub struct Id<T>(pub T);

impl<T: FromStr<Err: Display> + Send, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let axum::extract::Path(text) =
            axum::extract::Path::<String>::from_request_parts(parts, state)
                .await
                .map_err(|error| Problem::malformed(error.body_text()))?;
        text.parse().map(Self).map_err(|error: T::Err| Problem::not_found(error.to_string()))
    }
}

/// The query string.
#[derive(Debug)]
pub struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        axum::extract::Query::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Query(query)| Self(query))
            .map_err(|error| Problem::malformed(error.body_text()))
    }
}

/// Gathers every fault of a body before it is refused.
#[derive(Debug, Default)]
pub(crate) struct Faults(pub Vec<Fault>);

impl Faults {
    /// Notes a fault.
    pub(crate) fn add(&mut self, field: &str, reason: impl Into<dialer_types::Say>) {
        self.0.push(Fault::of(field, reason));
    }

    /// A word of a vocabulary or a number, id and so on.
    pub(crate) fn parse<T: FromStr<Err: Display>>(&mut self, field: &str, text: &str) -> Option<T> {
        text.parse().map_err(|error: T::Err| self.add(field, error.to_string())).ok()
    }

    /// A text of 1 to `most` characters without control characters.
    pub(crate) fn text(&mut self, field: &str, text: &str, most: usize) {
        let length = text.chars().count();
        if text.trim().is_empty() {
            self.add(field, "must not be empty");
        } else if length > most {
            self.add(field, format!("has {length} characters; at most {most} are kept"));
        } else if text.chars().any(char::is_control) {
            self.add(field, "holds a control character");
        }
    }

    /// Whole numbers within bounds.
    pub(crate) fn range(&mut self, field: &str, value: i64, least: i64, most: i64) {
        if !(least..=most).contains(&value) {
            self.add(field, format!("must be from {least} to {most}"));
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
