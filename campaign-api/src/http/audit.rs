//! The audit, to be taken away and verified elsewhere.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use dialer_audit::export;
use dialer_types::CampaignId;
use futures_util::stream;
use serde::Deserialize;
use sqlx::Row;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    auth::{Attempts as AttemptRight, May},
    error::Problem,
    extract::{Asked, Faults},
};
use crate::app::App;

/// Leaves read at once: what an export holds in memory, whatever its length.
const AT_ONCE: i64 = 500;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// JSON Lines.
    #[default]
    Jsonl,
    /// CSV with a header.
    Csv,
}

/// Which leaves.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// `jsonl` (default) or `csv`.
    #[serde(default)]
    pub format: Format,
    /// Only entries of this campaign (ULID). The whole export can be verified, a part cannot.
    pub campaign: Option<String>,
}

/// The leaves in their order, up to the latest checkpoint.
#[utoipa::path(get, path = "/v1/audit/export", tag = "audit", params(Which),
    responses((status = 200, description = "rows, one a leaf", body = String),
              (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn export(
    _: May<AttemptRight>,
    State(app): State<Arc<App>>,
    Asked(which): Asked<Which>,
) -> Result<Response, Problem> {
    let mut faults = Faults::default();
    let campaign: Option<CampaignId> =
        which.campaign.as_deref().and_then(|id| faults.parse("campaign", id));
    faults.finish()?;
    let size: i64 = sqlx::query_scalar("SELECT coalesce(max(size), 0) FROM audit_checkpoint")
        .fetch_one(&app.pool)
        .await?;
    let (kind, first) = match which.format {
        Format::Jsonl => ("application/jsonl", Vec::new()),
        Format::Csv => {
            let header: Vec<&str> = export::csv_header().collect();
            ("text/csv; charset=utf-8", csv_line(&header).map_err(Problem::internal)?)
        }
    };
    let source = Source {
        app,
        format: which.format,
        campaign: campaign.map(|id| Uuid::from_u128(id.0)),
        size,
        next: 0,
        first: Some(first),
    };
    let rows = stream::try_unfold(source, |mut source| async move {
        match source.chunk().await {
            Ok(Some(chunk)) => Ok(Some((Bytes::from(chunk), source))),
            Ok(None) => Ok(None),
            Err(error) => {
                tracing::error!(%error, "an audit export broke off");
                Err(error)
            }
        }
    });
    let headers = [(header::CONTENT_TYPE, kind.to_owned()), (SIZE, size.to_string())];
    Ok((headers, Body::from_stream(rows)).into_response())
}

/// How many leaves the checkpoint covers that the export reaches up to.
const SIZE: header::HeaderName = header::HeaderName::from_static("x-ringfence-checkpoint-size");

struct Source {
    app: Arc<App>,
    format: Format,
    campaign: Option<Uuid>,
    size: i64,
    next: i64,
    first: Option<Vec<u8>>,
}

/// Why an export broke off. The client sees a body that ends early, never one that looks whole.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error("{0}")]
    Sql(#[from] sqlx::Error),
    #[error("leaf {0}: {1}")]
    Leaf(i64, dialer_audit::CanonicalError),
    #[error("{0}")]
    Csv(#[from] csv::Error),
}

impl Source {
    async fn chunk(&mut self) -> Result<Option<Vec<u8>>, ExportError> {
        if let Some(first) = self.first.take()
            && !first.is_empty()
        {
            return Ok(Some(first));
        }
        let rows = sqlx::query(
            "SELECT l.index, e.leaf FROM audit_leaf l JOIN audit_entry e ON e.id = l.entry_id
             WHERE l.index >= $1 AND l.index < $2 AND ($3::uuid IS NULL OR e.campaign_id = $3)
             ORDER BY l.index LIMIT $4",
        )
        .bind(self.next)
        .bind(self.size)
        .bind(self.campaign)
        .bind(AT_ONCE)
        .fetch_all(&self.app.pool)
        .await?;
        if rows.is_empty() {
            return Ok(None);
        }
        let mut chunk = Vec::new();
        for row in &rows {
            let index: i64 = row.try_get(0)?;
            let place = u64::try_from(index).unwrap_or(0);
            let leaf: &[u8] = row.try_get(1)?;
            match self.format {
                Format::Jsonl => {
                    let line =
                        export::json_line(place, leaf).map_err(|e| ExportError::Leaf(index, e))?;
                    chunk.extend_from_slice(line.as_bytes());
                    chunk.push(b'\n');
                }
                Format::Csv => {
                    let cells =
                        export::csv_row(place, leaf).map_err(|e| ExportError::Leaf(index, e))?;
                    chunk.extend(csv_line(&cells)?);
                }
            }
            self.next = index + 1;
        }
        Ok(Some(chunk))
    }
}

pub(super) fn csv_line<T: AsRef<[u8]>>(cells: &[T]) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(cells)?;
    writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))
}

/// The latest signed checkpoint (C2SP signed note).
#[utoipa::path(get, path = "/v1/audit/checkpoint", tag = "audit",
    responses((status = 200, body = String, content_type = "text/plain"),
              (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn checkpoint(
    _: May<AttemptRight>,
    State(app): State<Arc<App>>,
) -> Result<String, Problem> {
    sqlx::query_scalar("SELECT note FROM audit_checkpoint ORDER BY size DESC LIMIT 1")
        .fetch_optional(&app.pool)
        .await?
        .ok_or_else(|| Problem::not_found("no checkpoint has been signed yet"))
}

/// The key that checkpoints verify under.
#[utoipa::path(get, path = "/v1/audit/key", tag = "audit",
    responses((status = 200, body = String, content_type = "text/plain"),
              (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn key(_: May<AttemptRight>, State(app): State<Arc<App>>) -> String {
    std::future::ready(format!("{}\n", app.verifier)).await
}
