//! Health and metrics over HTTP.

use std::net::SocketAddr;

use axum::{
    Router,
    extract::State,
    http::{HeaderName, StatusCode, header::CONTENT_TYPE},
    routing::get,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{gate::Gate, metrics::Metrics};

/// Binds the address.
///
/// # Errors
/// If it is taken.
pub async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Serves `/metrics`, `/healthz` (the process lives) and `/readyz` (contacts may be taken) until the
/// end.
///
/// # Errors
/// If the listener fails.
pub async fn serve(
    listener: TcpListener,
    gate: Gate,
    metrics: Metrics,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/metrics", get(text))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state((gate, metrics));
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

/// What a scrape reads: the text format that every Prometheus since 0.4 understands.
async fn text(
    State((gate, metrics)): State<(Gate, Metrics)>,
) -> ([(HeaderName, &'static str); 1], String) {
    gate.show();
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.text())
}

async fn ready(State((gate, _)): State<(Gate, Metrics)>) -> (StatusCode, String) {
    if let Some(store) = gate.waiting() {
        (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {store} is away\n"))
    } else if gate.is_open() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("closed: {}\n", gate.missing().join(", ")))
    }
}
