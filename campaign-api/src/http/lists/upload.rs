//! The body of an upload. Who answers before it is read to its end, and hangs up, is not heard: the
//! sender finds a broken pipe instead of the answer.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, BodyDataStream, Bytes};
use futures_util::{Stream, StreamExt};

/// The largest file: more than ten million rows.
const MAX_FILE: u64 = 4 * 1024 * 1024 * 1024;
/// What is read and thrown away after the answer is known: most files end before.
const MAX_REST: usize = 64 * 1024 * 1024;
/// And for how long.
const PATIENCE: Duration = Duration::from_secs(10);

/// A body that is read by one, and then by another to its end. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Upload(Arc<Mutex<BodyDataStream>>);

impl Upload {
    pub(super) fn of(body: Body) -> Self {
        Self(Arc::new(Mutex::new(body.into_data_stream())))
    }

    /// The same body, for who makes the answer.
    pub(super) fn stream(&self) -> Self {
        self.clone()
    }

    /// Waits for the answer, then reads what is left, so that the sender comes to hear it.
    pub(super) async fn answered<T>(&self, answer: impl Future<Output = T>) -> T {
        let answer = answer.await;
        let mut rest = self.clone();
        let mut left = MAX_REST;
        let read = async {
            while let Some(Ok(part)) = rest.next().await {
                left = left.saturating_sub(part.len());
                if left == 0 {
                    break;
                }
            }
        };
        // Who is slower than that, or sends more, finds the connection closed.
        let _in_time = tokio::time::timeout(PATIENCE, read).await.is_ok();
        answer
    }
}

impl Stream for Upload {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        body.poll_next_unpin(context)
    }
}

/// A body, up to [`MAX_FILE`] bytes.
pub(super) fn counted(
    body: impl Stream<Item = Result<Bytes, axum::Error>> + Unpin,
) -> impl Stream<Item = Result<Bytes, String>> + Unpin {
    let mut seen = 0_u64;
    body.map(move |part| {
        let part = part.map_err(|error| error.to_string())?;
        seen = seen.saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX));
        if seen > MAX_FILE { Err(format!("more than {MAX_FILE} bytes")) } else { Ok(part) }
    })
}
