//! Reading requests, with our own errors.

use std::str::FromStr;

use axum::{
    extract::{FromRequest, FromRequestParts, Request, rejection::JsonRejection},
    http::{StatusCode, request::Parts},
};
use dialer_types::{Say, say};
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
                let reason = error.body_text();
                let reason = say!("is not what is expected here: {reason}", reason);
                Err(Problem::invalid(vec![Fault::of("body", reason)]))
            }
            Err(error) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                Err(Problem::too_large("more than 1 MiB of JSON; send less at once, or CSV"))
            }
            Err(JsonRejection::MissingJsonContentType(_)) => Err(Problem::malformed(
                "the body must be JSON, with the header 'Content-Type: application/json'",
            )),
            Err(error) => {
                let reason = error.body_text();
                Err(Problem::malformed(say!("the body is not JSON: {reason}", reason)))
            }
        }
    }
}

/// The id in the path.
#[derive(Debug)]
pub struct Id<T>(pub T);

impl<T: FromStr<Err: Into<Say>> + Send, S: Send + Sync> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let axum::extract::Path(text) =
            axum::extract::Path::<String>::from_request_parts(parts, state).await.map_err(
                |error| {
                    let reason = error.body_text();
                    Problem::malformed(say!("the address cannot be read: {reason}", reason))
                },
            )?;
        text.parse().map(Self).map_err(|error: T::Err| Problem::not_found(error))
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
            .map_err(|error| {
                let reason = error.body_text();
                Problem::malformed(say!("the query string is not understood: {reason}", reason))
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
