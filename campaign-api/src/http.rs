//! The routes. Everything but `/healthz` asks for a key, here, once, for all of them.

pub mod attempts;
pub mod audit;
pub mod auth;
pub mod campaigns;
pub mod consents;
pub mod contacts;
pub mod corrections;
pub mod counts;
pub mod door;
pub mod earlier;
pub mod eligibility;
pub mod error;
pub mod extract;
pub mod health;
pub mod lists;
pub mod permits;
pub mod sellers;
pub mod summary;
pub mod supplied;
pub mod suppressions;
pub mod time;
pub mod trunk_health;
pub mod trunks;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    http::{HeaderValue, header},
    middleware::{self, Next},
    response::Response,
    routing::get,
};
use dialer_types::Language;
use utoipa::{
    Modify, OpenApi,
    openapi::security::{Http, HttpAuthScheme, SecurityScheme},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{app::App, clock, words};
use error::Problem;

/// The largest JSON body: a thousand earlier attempts take a third of it.
const MAX_BODY: usize = 1024 * 1024;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Ringfence",
        description = "Campaigns, lists, consents, suppressions and the attempt audit of an outbound \
                       dialer that places no call its rules deny.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    modifiers(&BearerKey),
    security(("key" = [])),
    components(schemas(error::ProblemBody))
)]
struct Document;

struct BearerKey;

impl Modify for BearerKey {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        if let Some(components) = document.components.as_mut() {
            let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
            components.add_security_scheme("key", scheme);
        }
    }
}

fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .merge(calling())
        .merge(serving())
        .merge(evidence())
}

/// What campaign managers and operators set up, and the questions before a call.
fn calling() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(sellers::create, sellers::list))
        .routes(routes!(sellers::narrow))
        .routes(routes!(trunks::create, trunks::list))
        .routes(routes!(campaigns::create, campaigns::list))
        .routes(routes!(campaigns::show))
        .routes(routes!(campaigns::start))
        .routes(routes!(campaigns::pause))
        .routes(routes!(campaigns::stop))
        .routes(routes!(contacts::list))
        .routes(routes!(lists::import, lists::of_campaign))
        .routes(routes!(lists::create))
        .routes(routes!(lists::preview::preview))
        .routes(routes!(lists::template))
        .routes(routes!(lists::show))
        .routes(routes!(lists::faults))
        .routes(routes!(summary::of_list))
        .routes(routes!(summary::of_campaign))
        .routes(routes!(summary::forecast::make))
        .routes(routes!(eligibility::ask))
}

/// The gate for dialers that are not ours.
fn serving() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(eligibility::check))
        .routes(routes!(permits::ask))
        .routes(routes!(permits::show))
        .routes(routes!(permits::outcome))
}

/// What people said, what happened, and the proof of it.
fn evidence() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(consents::record))
        .routes(routes!(suppressions::record, suppressions::list::list))
        .routes(routes!(supplied::wishes::record, supplied::wishes::list))
        .routes(routes!(supplied::number_checks::record, supplied::number_checks::list))
        .routes(routes!(supplied::licences::record, supplied::licences::list))
        .routes(routes!(supplied::counters::record, supplied::counters::list))
        .routes(routes!(earlier::record))
        .routes(routes!(attempts::list))
        .routes(routes!(attempts::show))
        .routes(routes!(attempts::story))
        .routes(routes!(corrections::correct))
        .routes(routes!(corrections::record))
        .routes(routes!(audit::export))
        .routes(routes!(audit::checkpoint))
        .routes(routes!(audit::key))
        .routes(routes!(audit::dictionary))
}

/// The `OpenAPI` 3.1 document.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    named(routes().into_openapi())
}

/// Operation ids are unique in a document: the tag goes before the function's name.
fn named(mut document: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    for item in document.paths.paths.values_mut() {
        for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
            let tag = operation.tags.iter().flatten().next().map_or("", String::as_str);
            let id = operation.operation_id.as_deref().unwrap_or_default();
            operation.operation_id = Some(format!("{}_{id}", tag.replace(' ', "_")));
        }
    }
    document
}

/// The API.
pub fn router(app: Arc<App>) -> Router {
    let (router, document) = routes().split_for_parts();
    let document = Arc::new(named(document));
    router
        .route("/openapi.json", get(move || std::future::ready(Json(Arc::clone(&document)))))
        .fallback(|| std::future::ready(Problem::not_found("no such address")))
        .method_not_allowed_fallback(|| std::future::ready(Problem::method_not_allowed()))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), door::fit))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), auth::require_key))
        .route("/healthz", get(health::healthz))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), measure))
        .layer(middleware::from_fn(speak))
        .with_state(app)
}

/// Answers in the language that was asked for.
async fn speak(request: Request, next: Next) -> Response {
    let asked = request.headers().get(header::ACCEPT_LANGUAGE).and_then(|it| it.to_str().ok());
    let language = asked.map_or_else(Language::default, Language::of_accept);
    let mut response = words::ASKED.scope(language, next.run(request)).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(language.tag()));
    headers.append(header::VARY, HeaderValue::from_static("accept-language"));
    response
}

/// Metrics and health, for operations, on a listener of its own.
pub fn admin_router(app: Arc<App>) -> Router {
    Router::new()
        .route("/metrics", get(health::metrics))
        .route("/healthz", get(health::healthz))
        .with_state(app)
}

async fn measure(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let began = clock::mono();
    let response = next.run(request).await;
    let status = response.status().as_u16().to_string();
    app.metrics.requests.with_label_values(&[route.as_str(), status.as_str()]).inc();
    app.metrics
        .request_seconds
        .with_label_values(&[route.as_str()])
        .observe(began.elapsed().as_secs_f64());
    response
}
