//! Whether the process can do its work, and what it has done.

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State, http::header};
use serde::Serialize;

use super::error::Problem;
use crate::{app::App, standing::Unfit};

/// The answer of `/healthz`.
#[derive(Debug, Serialize)]
pub struct Health {
    status: &'static str,
}

/// Whether Postgres answers, and this process may record and judge. The only endpoint that asks for
/// no key, and it tells nothing else.
pub(super) async fn healthz(State(app): State<Arc<App>>) -> Result<Json<Health>, Problem> {
    sqlx::query("SELECT 1").execute(&app.pool).await?;
    app.fit()?;
    Ok(Json(Health { status: "ok" }))
}

/// How long Postgres may take to be called up.
const PATIENCE: Duration = Duration::from_secs(1);

/// `/metrics`.
pub(super) async fn metrics(
    State(app): State<Arc<App>>,
) -> ([(header::HeaderName, &'static str); 1], String) {
    let asked = tokio::time::timeout(PATIENCE, sqlx::query("SELECT 1").execute(&app.pool)).await;
    app.metrics.postgres_up.set(i64::from(matches!(asked, Ok(Ok(_)))));
    app.metrics.clock_apart.set(app.standing.apart(app.clock).as_secs_f64());
    let retired = matches!(app.standing.check(app.clock), Err(Unfit::Retired(_)));
    app.metrics.retired.set(i64::from(retired));
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.metrics.text())
}
