//! The way into a shard.

use dialer_engine::Input;
use tokio::sync::mpsc;

/// Sends inputs to the shard's thread. Waits where the shard is behind; the shard never waits for
/// those who send.
#[derive(Debug, Clone)]
pub struct Inbox(mpsc::Sender<Input<'static>>);

/// Inputs that may wait.
const ROOM: usize = 4096;

/// An inbox and its far end.
#[must_use]
pub fn inbox() -> (Inbox, mpsc::Receiver<Input<'static>>) {
    let (sender, receiver) = mpsc::channel(ROOM);
    (Inbox(sender), receiver)
}

impl Inbox {
    /// Waits for room. A shard that has ended takes nothing: what it would have been told is in
    /// the stores, and the reaper reads it there.
    pub async fn send(&self, input: Input<'static>) {
        self.0.send(input).await.ok();
    }

    /// From a thread that is not a task.
    pub fn send_blocking(&self, input: Input<'static>) {
        self.0.blocking_send(input).ok();
    }
}
