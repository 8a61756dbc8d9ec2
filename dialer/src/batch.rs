//! Collecting what arrives together.

use std::time::Duration;

use tokio::{sync::mpsc::Receiver, time::timeout};

/// Most things in a batch.
pub const MOST: usize = 64;
/// How long the first thing of a batch waits for others.
pub const LINGER: Duration = Duration::from_millis(2);

/// Waits for one thing, then takes what else comes within [`LINGER`], up to `most`. Empty when
/// nothing can come any more.
pub async fn collect<T>(queue: &mut Receiver<T>, most: usize) -> Vec<T> {
    let mut batch = Vec::new();
    let Some(first) = queue.recv().await else { return batch };
    batch.push(first);
    fill(queue, &mut batch, most).await;
    batch
}

/// Takes what comes within [`LINGER`] into a batch that is begun, up to `most`.
pub async fn fill<T>(queue: &mut Receiver<T>, batch: &mut Vec<T>, most: usize) {
    let more = async {
        while batch.len() < most {
            match queue.recv().await {
                Some(next) => batch.push(next),
                None => break,
            }
        }
    };
    timeout(LINGER, more).await.ok();
}
