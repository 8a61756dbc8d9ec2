//! Collecting what arrives together.
//!
//! Nothing waits for company: whoever serves a queue takes a place among the batches under way first
//! and then everything that has come meanwhile. While stores keep up, batches are small and nothing is
//! late; when they do not, batches grow, and a placement costs less.

use std::sync::Arc;

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc::Receiver},
    task::yield_now,
};

/// Most things in a batch: beyond it a placement gets no cheaper, and locks are held for longer.
pub const MOST: usize = 256;

/// Waits for one thing and takes what else has come, up to [`MOST`]. `None` when nothing can come any
/// more.
pub async fn collect<T>(queue: &mut Receiver<T>) -> Option<Vec<T>> {
    let mut batch = vec![queue.recv().await?];
    fill(queue, &mut batch).await;
    Some(batch)
}

/// Waits for one thing and for a place among the batches under way, then takes what else has come, up
/// to [`MOST`]. `None` when nothing can come any more.
pub async fn collect_for<T>(
    queue: &mut Receiver<T>,
    places: &Arc<Semaphore>,
) -> Option<(Vec<T>, OwnedSemaphorePermit)> {
    let mut batch = vec![queue.recv().await?];
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    fill(queue, &mut batch).await;
    Some((batch, place))
}

/// Takes what has come into a batch that is begun, up to [`MOST`].
pub async fn fill<T>(queue: &mut Receiver<T>, batch: &mut Vec<T>) {
    // Whoever is about to send gets to it: things that were caused together go together.
    yield_now().await;
    while batch.len() < MOST {
        match queue.try_recv() {
            Ok(next) => batch.push(next),
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_batch_is_what_came_while_there_was_no_place() {
        let (sender, mut queue) = mpsc::channel(2 * MOST);
        let places = Arc::new(Semaphore::new(1));
        sender.send(1).await.unwrap();
        let (first, place) = collect_for(&mut queue, &places).await.unwrap();
        assert_eq!(first, [1]);
        let second = collect_for(&mut queue, &places);
        let meanwhile = async {
            for thing in 2..=3 {
                sender.send(thing).await.unwrap();
            }
            drop(place);
        };
        let (second, ()) = tokio::join!(second, meanwhile);
        assert_eq!(second.unwrap().0, [2, 3]);
    }

    #[tokio::test]
    async fn a_batch_is_bounded_and_the_end_is_the_end() {
        let (sender, mut queue) = mpsc::channel(2 * MOST);
        let places = Arc::new(Semaphore::new(2));
        for thing in 0..MOST + 1 {
            sender.send(thing).await.unwrap();
        }
        drop(sender);
        assert_eq!(collect_for(&mut queue, &places).await.unwrap().0.len(), MOST);
        assert_eq!(collect_for(&mut queue, &places).await.unwrap().0, [MOST]);
        assert!(collect_for(&mut queue, &places).await.is_none());
    }
}
