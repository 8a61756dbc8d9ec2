//! Health and metrics over HTTP.

use std::net::SocketAddr;

use axum::{Router, extract::State, http::StatusCode, routing::get};
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
        .route("/metrics", get(move || async move { metrics.text() }))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(gate);
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

async fn ready(State(gate): State<Gate>) -> (StatusCode, String) {
    if gate.is_open() {
        (StatusCode::OK, "ok\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("closed: {}\n", gate.missing().join(", ")))
    }
}
