//! Before the API: whoever comes while its stores are away is told so, and from then on whether it
//! may record and judge.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::{
    Router,
    extract::{Request, State},
    handler::Handler as _,
    http::Method,
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::any_service,
};
use dialer_stores::Store;

use super::error::Problem;
use crate::app::App;

/// A door that opens once, when the stores have been reached.
#[derive(Debug, Default)]
pub struct Door {
    open: OnceLock<Router>,
    waiting: Mutex<Option<Store>>,
}

impl Door {
    /// Says which store the start waits for, if any.
    pub fn wait_for(&self, store: Option<Store>) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = store;
    }

    /// Everybody may come in. Does nothing the second time.
    pub fn open(&self, router: Router) {
        self.open.set(router).ok();
    }

    /// What is served from the first moment on.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new().fallback(pass).with_state(self)
    }
}

async fn pass(State(door): State<Arc<Door>>, request: Request) -> Response {
    let router = door.open.get().cloned().unwrap_or_else(|| {
        let told = Router::new().fallback(not_ready).layer(middleware::from_fn(super::speak));
        told.with_state(Arc::clone(&door))
    });
    any_service(router).call(request, ()).await
}

async fn not_ready(State(door): State<Arc<Door>>) -> Problem {
    Problem::not_ready(*door.waiting.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Whatever records is refused while the clock is not Postgres's, and when the release is retired; who
/// judges asks for himself (`judging::snapshot`). What is only read may be read.
pub(super) async fn fit(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method()) {
        return next.run(request).await;
    }
    match app.fit() {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}
