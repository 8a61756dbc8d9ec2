//! Whether the process can do its work, and what it has done.

use std::sync::Arc;

use axum::{Json, extract::State, http::header};
use serde::Serialize;

use super::error::Problem;
use crate::app::App;

/// The answer of `/healthz`.
#[derive(Debug, Serialize)]
pub struct Health {
    status: &'static str,
}

/// Whether Postgres answers. The only endpoint that asks for no key, and it tells nothing else.
pub(super) async fn healthz(State(app): State<Arc<App>>) -> Result<Json<Health>, Problem> {
    sqlx::query("SELECT 1").execute(&app.pool).await?;
    Ok(Json(Health { status: "ok" }))
}

/// `/metrics`.
pub(super) async fn metrics(
    State(app): State<Arc<App>>,
) -> ([(header::HeaderName, &'static str); 1], String) {
    let text = app.metrics.text();
    std::future::ready(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)).await
}
