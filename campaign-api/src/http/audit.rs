//! The audit, to be taken away and verified elsewhere.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use dialer_audit::{Tree, dictionary as meanings, export};
use dialer_types::{E164, Language, RuleId, Say, say};
use futures_util::stream;
use schema::trail::{self, Filter, Signed, Slip, Trail, TrailError};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    auth::{Export as ExportRight, May},
    error::Problem,
    extract::{Asked, Faults},
    time::Time,
};
use crate::{app::App, users::Role};

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

/// Which leaves. Without a filter the rows are the whole log; with one each carries the proof of
/// its place.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Which {
    /// `jsonl` (default) or `csv`.
    #[serde(default)]
    pub format: Format,
    /// Recorded at this moment or later.
    pub from: Option<String>,
    /// Recorded before this moment.
    pub to: Option<String>,
    /// Only entries of this campaign (ULID).
    pub campaign: Option<String>,
    /// Only entries about this number (E.164).
    pub number: Option<String>,
    /// Only entries about this person: the seller's own id.
    pub person: Option<String>,
    /// Only decisions that this rule denied.
    pub rule: Option<String>,
}

impl Which {
    fn filter(&self) -> Result<Filter, Problem> {
        let mut faults = Faults::default();
        let mut moment = |field: &str, text: &Option<String>| {
            let read = text.as_deref().map(Time::read);
            read.and_then(|read| read.map_err(|reason| faults.add(field, reason)).ok())
                .map(|time| time.0)
        };
        let (from, to) = (moment("from", &self.from), moment("to", &self.to));
        let campaign = self.campaign.as_deref().and_then(|id| faults.parse("campaign", id));
        // A '+' of a query string is a blank when it is not escaped.
        let number = self.number.as_deref().map(|number| number.trim());
        let number = number.map(|number| format!("+{}", number.trim_start_matches('+')));
        let number: Option<E164> = number.as_deref().and_then(|it| faults.parse("number", it));
        faults.finish()?;
        let rule = self.rule.as_deref().map(RuleId::new);
        Ok(Filter { from, to, campaign, number, person: self.person.clone(), rule })
    }
}

/// Refuses a filter that nothing can ever fit: its empty part would pass for proof of absence.
async fn refuse_slips(app: &App, filter: &Filter) -> Result<(), Problem> {
    let rules = app.judging.ruleset();
    let in_packs = |rule: &str| rules.names_of(rule, Language::English).is_some();
    let mut faults = Faults::default();
    for slip in filter.slips(&app.pool, in_packs).await.map_err(unread)? {
        match slip {
            Slip::Interval => {
                faults.add("from", "must be before 'to': swap them, or leave one out");
            }
            Slip::Campaign => {
                faults.add("campaign", "no campaign has this id: GET /v1/campaigns lists them");
            }
            Slip::Rule => {
                let typed = filter.rule.as_ref().map_or("", RuleId::as_str);
                let known = rules.rule_ids().map(RuleId::as_str);
                match trail::meant(typed, known) {
                    Some(rule) => faults.add(
                        "rule",
                        say!("no rule pack has this rule and no record names it; did you mean {rule}?", rule),
                    ),
                    None => faults.add(
                        "rule",
                        "no rule pack has this rule and no record names it; the story of an attempt names the rules that were asked",
                    ),
                }
            }
        }
    }
    faults.finish()
}

fn unread(error: TrailError) -> Problem {
    match error {
        TrailError::Sql(error) => error.into(),
        other => Problem::internal(other),
    }
}

/// The leaves in their order, up to the latest checkpoint. In a part the grounds of a permit stand before
/// the first permit that rests on them, beside what was asked for. The header `x-ringfence-filter` of a part
/// is what its manifest says of the filter, as JSON: surrogate ids, numbers masked.
#[utoipa::path(get, path = "/v1/audit/export", tag = "audit", params(Which),
    responses((status = 200, description = "rows, one a leaf", body = String),
              (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn export(
    May(caller, _): May<ExportRight>,
    State(app): State<Arc<App>>,
    Asked(which): Asked<Which>,
) -> Result<Response, Problem> {
    let filter = which.filter()?;
    if caller.role == Role::CampaignManager && filter.campaign.is_none() {
        return Err(Problem::role(Say::of(
            "a campaign manager exports one campaign at a time: name it (campaign=ULID)",
        )));
    }
    refuse_slips(&app, &filter).await?;
    let nothing = Signed { size: 0, root: Tree::new().root().0.to_vec(), note: String::new() };
    let signed = trail::newest(&app.pool).await.map_err(Problem::internal)?.unwrap_or(nothing);
    let trail = Trail::open(&app.pool, &app.keys, filter, &signed).await;
    let trail = trail.map_err(Problem::internal)?;
    let said = said(&trail)?;
    let (kind, first) = match which.format {
        Format::Jsonl => ("application/jsonl", Vec::new()),
        Format::Csv => {
            let header: Vec<&str> = if trail.is_part() {
                export::csv_part_header().collect()
            } else {
                export::csv_header().collect()
            };
            ("text/csv; charset=utf-8", csv_line(&header).map_err(Problem::internal)?)
        }
    };
    let source = Source { trail, format: which.format, first: Some(first) };
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
    let headers = [(header::CONTENT_TYPE, kind.to_owned()), (SIZE, signed.size.to_string())];
    let mut response = (headers, Body::from_stream(rows)).into_response();
    response.headers_mut().extend(said.map(|said| (FILTER, said)));
    Ok(response)
}

/// What the manifest of a part says of its filter.
const FILTER: header::HeaderName = header::HeaderName::from_static("x-ringfence-filter");

fn said(trail: &Trail) -> Result<Option<HeaderValue>, Problem> {
    if !trail.is_part() {
        return Ok(None);
    }
    let said = serde_json::to_string(&trail.said()).map_err(Problem::internal)?;
    HeaderValue::try_from(said).map(Some).map_err(Problem::internal)
}

/// How many leaves the checkpoint covers that the export reaches up to.
const SIZE: header::HeaderName = header::HeaderName::from_static("x-ringfence-checkpoint-size");

struct Source {
    trail: Trail,
    format: Format,
    first: Option<Vec<u8>>,
}

/// Why an export broke off. The client sees a body that ends early, never one that looks whole.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error("{0}")]
    Trail(#[from] TrailError),
    #[error("leaf {0}: {1}")]
    Leaf(u64, export::RowError),
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
        let leaves = self.trail.next().await?;
        if leaves.is_empty() {
            return Ok(None);
        }
        let mut chunk = Vec::new();
        for leaf in &leaves {
            let broken = |error| ExportError::Leaf(leaf.index, error);
            match self.format {
                Format::Jsonl => {
                    let line = export::json_line(&leaf.source()).map_err(broken)?;
                    chunk.extend_from_slice(line.as_bytes());
                    chunk.push(b'\n');
                }
                Format::Csv => {
                    let cells = export::csv_row(&leaf.source()).map_err(broken)?;
                    chunk.extend(csv_line(&cells)?);
                }
            }
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
    _: May<ExportRight>,
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
pub(super) async fn key(_: May<ExportRight>, State(app): State<Arc<App>>) -> String {
    std::future::ready(format!("{}\n", app.verifier)).await
}

/// How the dictionary is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// Markdown, for people.
    #[default]
    Md,
    /// CSV with a header, for programs.
    Csv,
}

/// In which form.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Meanings {
    /// `md` (default) or `csv`.
    #[serde(default)]
    pub format: Shape,
}

/// What the columns and members of an export mean, personal data marked: both files of an export.
#[utoipa::path(get, path = "/v1/audit/dictionary", tag = "audit", params(Meanings),
    responses((status = 200, content((String = "text/markdown"), (String = "text/csv"))),
              (status = "default", body = super::error::ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn dictionary(
    _: May<ExportRight>,
    Asked(Meanings { format }): Asked<Meanings>,
) -> Response {
    let (kind, text) = match format {
        Shape::Md => ("text/markdown; charset=utf-8", meanings::markdown()),
        Shape::Csv => ("text/csv; charset=utf-8", meanings::csv()),
    };
    std::future::ready(([(header::CONTENT_TYPE, kind)], text).into_response()).await
}
