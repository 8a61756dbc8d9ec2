//! Errors as RFC 9457 problems with a stable `code`.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use dialer_stores::{RedisError, Store, WriteError};
use dialer_types::{Say, say};
use schema::{heads::HeadsError, rows::RowsError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{import::cards::holds_card, standing::Unfit, words::told};

/// What a request gets instead of an answer.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    title: &'static str,
    detail: Say,
    faults: Vec<Fault>,
    retry_after: Option<u32>,
}

/// One thing that is wrong with a request.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Fault {
    /// In which line of a file, or which item of an array (from 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Which field.
    pub field: String,
    /// What is wrong with it, in the language that was asked for.
    #[serde(serialize_with = "crate::words::spoken")]
    #[schema(value_type = String)]
    pub reason: Say,
}

impl Fault {
    /// A fault in a field of the body.
    pub(crate) fn of(field: &str, reason: impl Into<Say>) -> Self {
        Self { line: None, field: field.to_owned(), reason: reason.into() }
    }
}

/// The body of a problem (`application/problem+json`).
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemBody {
    /// `urn:ringfence:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind of problem, in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// Stable: programs may match it.
    pub code: String,
    /// This problem, in words.
    pub detail: String,
    /// Every fault, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<Fault>,
}

impl Problem {
    fn new(
        status: StatusCode,
        code: &'static str,
        title: &'static str,
        detail: impl Into<Say>,
    ) -> Self {
        let faults = Vec::new();
        Self { status, code, title, detail: detail.into(), faults, retry_after: None }
    }

    /// 422: understood, and not possible as it stands.
    pub(crate) fn invalid(mut faults: Vec<Fault>) -> Self {
        // The last fence: a field is named as it was sent, and may be named by a card's digits.
        for fault in faults.iter_mut().filter(|fault| holds_card(&fault.field)) {
            let reason = "holds what passes for a payment card number; nothing was kept";
            *fault = Fault { line: fault.line, ..Fault::of("name", reason) };
        }
        let detail = match faults.as_slice() {
            [fault] => {
                say!("{field}: {reason}", field = fault.field).with("reason", fault.reason.clone())
            }
            faults => say!("{count} faults", count = faults.len()),
        };
        Self {
            faults,
            ..Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid",
                "The request is not valid",
                detail,
            )
        }
    }

    /// 400: not even readable.
    pub(crate) fn malformed(detail: impl Into<Say>) -> Self {
        let title = "The request cannot be read";
        Self::new(StatusCode::BAD_REQUEST, "malformed", title, detail)
    }

    /// 413.
    pub(crate) fn too_large(detail: impl Into<Say>) -> Self {
        let title = "The body is too large";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", title, detail)
    }

    /// 401.
    pub(crate) fn no_key() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "key_required",
            "A valid API key is required",
            "send the header 'Authorization: Bearer KEY' with a key that is not revoked",
        )
    }

    /// 403.
    pub(crate) fn role(detail: impl Into<Say>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "role_not_allowed", "Not allowed for this role", detail)
    }

    /// 404.
    pub(crate) fn not_found(detail: impl Into<Say>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "Not found", detail)
    }

    /// 405.
    pub(crate) fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "Not possible here",
            "the address exists, and not for this method",
        )
    }

    /// 503: the stores are not reached yet.
    pub(super) fn not_ready(store: Option<Store>) -> Self {
        let title = "The API is not ready";
        let detail = match store {
            Some(store) => say!("not ready: {store} is away", store),
            None => "not ready: it is starting".into(),
        };
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", title, detail)
    }

    /// 503: this process may neither record nor judge.
    pub(crate) fn unfit(unfit: Unfit) -> Self {
        let (code, title, detail): (_, _, Say) = match unfit {
            Unfit::Clock(apart) => (
                "clock_off",
                "The clock of the API is off",
                say!(
                    "the clock of campaign-api is {ms} ms from Postgres's: nothing is recorded or judged until they agree; see to NTP on both",
                    ms = apart.as_millis()
                ),
            ),
            Unfit::Retired(oldest) => (
                "release_retired",
                "This release of the API is retired",
                say!(
                    "a migration has retired this release of campaign-api, which is for schema {ours} (at least {oldest} may run): nothing is recorded or judged; start a newer release",
                    ours = schema::VERSION,
                    oldest
                ),
            ),
            Unfit::Unasked => return Self::not_ready(None),
        };
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, title, detail)
    }

    /// 409 with a code of its own.
    pub(crate) fn conflict(code: &'static str, detail: impl Into<Say>) -> Self {
        Self::new(StatusCode::CONFLICT, code, "Not possible in the present state", detail)
    }

    /// 422: the file broke off or cannot be read on; what came before is kept.
    pub(crate) fn list_failed(list: dialer_types::ListId, reason: Say) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "list_failed",
            "The list was not imported to its end",
            say!("{reason}; the rows before it are kept, see /v1/lists/{list}", list)
                .with("reason", reason),
        )
    }

    /// 503 with a code of its own: nothing was permitted.
    pub(crate) fn unavailable(code: &'static str, detail: impl Into<Say>) -> Self {
        let title = "Not possible at the moment";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, title, detail).retry_after(1)
    }

    /// When the same request may be sent again, in seconds.
    pub(crate) fn retry_after(self, seconds: u64) -> Self {
        Self { retry_after: Some(u32::try_from(seconds).unwrap_or(u32::MAX)), ..self }
    }

    /// Whether a store, or this process, cannot serve it now.
    pub(crate) fn is_unavailable(&self) -> bool {
        self.status == StatusCode::SERVICE_UNAVAILABLE
    }

    /// Whether the same request may succeed at once.
    pub(crate) fn is_try_again(&self) -> bool {
        self.code == "try_again"
    }

    /// 500: a mistake of ours; the reason goes to the log only.
    pub(crate) fn internal(reason: impl std::fmt::Display) -> Self {
        tracing::error!(%reason, "a request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "The request failed",
            "the reason is in the log of campaign-api",
        )
    }
}

impl From<sqlx::Error> for Problem {
    fn from(error: sqlx::Error) -> Self {
        if is_unavailable(&error) {
            tracing::warn!(%error, "Postgres is not available");
            return Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "postgres_unavailable",
                "Postgres is not available",
                "nothing was recorded; send the request again later",
            );
        }
        if let Some(code) = error.as_database_error().and_then(sqlx::error::DatabaseError::code)
            && matches!(&*code, "40001" | "40P01")
        {
            let detail = "two changes met; nothing was recorded; send the request again";
            return Self::conflict("try_again", detail);
        }
        Self::internal(error)
    }
}

fn is_unavailable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        // Connection exceptions, out of connections, shutting down or starting up.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            code.starts_with("08") || code.starts_with("53") || code.starts_with("57P")
        }),
        _ => false,
    }
}

/// Whether the database refused because a unique value exists.
pub(crate) fn is_duplicate(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

impl From<WriteError> for Problem {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Sql(error) => error.into(),
            WriteError::Heads(error) => error.into(),
            WriteError::Rows(error) => error.into(),
        }
    }
}

impl From<RedisError> for Problem {
    fn from(error: RedisError) -> Self {
        tracing::warn!(%error, "Redis is not available");
        Self::unavailable("redis_unavailable", "Redis is not available: nothing was permitted")
    }
}

impl From<RowsError> for Problem {
    fn from(error: RowsError) -> Self {
        match error {
            RowsError::Sql(error) => error.into(),
            RowsError::Record(dialer_audit::CanonicalError::TelephoneNumber) => {
                let reason = "a text holds a telephone number; the audit keeps none";
                Self::invalid(vec![Fault::of("body", reason)])
            }
            other => Self::internal(other),
        }
    }
}

impl From<HeadsError> for Problem {
    fn from(error: HeadsError) -> Self {
        match error {
            HeadsError::Sql(error) => error.into(),
            other => Self::internal(other),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            kind: format!("urn:ringfence:problem:{}", self.code),
            title: told(&self.title.into()),
            status: self.status.as_u16(),
            code: self.code.to_owned(),
            detail: told(&self.detail),
            faults: self.faults,
        };
        let text = serde_json::to_string(&body).unwrap_or_default();
        let kind = HeaderValue::from_static("application/problem+json");
        let mut response = (self.status, [(header::CONTENT_TYPE, kind)], text).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}
