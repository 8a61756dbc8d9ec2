//! Ctrl-C and SIGTERM become a flag that every loop of the rig looks at, so that they end by the
//! ordinary way out: what was started is stopped, what was made is removed.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};

/// The longest sleep between two looks at the flag.
const PAUSE: Duration = Duration::from_millis(50);

/// Whether somebody asked us to stop. Clones share the flag.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

/// Somebody asked us to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stopped before the end")
    }
}

impl std::error::Error for Interrupted {}

impl Stop {
    /// A flag that SIGINT, SIGTERM and SIGHUP raise for the life of the process.
    ///
    /// # Errors
    /// If the handlers cannot be put in place.
    pub fn on_signals() -> anyhow::Result<Self> {
        let stop = Self::default();
        let raised = stop.clone();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("starting to listen for signals")?;
        let handlers = {
            let _inside = runtime.enter();
            [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal)
        };
        let [interrupt, terminate, hangup] = handlers;
        let (mut interrupt, mut terminate, mut hangup) = (interrupt?, terminate?, hangup?);
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! {
                        _ = interrupt.recv() => {}
                        _ = terminate.recv() => {}
                        _ = hangup.recv() => {}
                    }
                    raised.raise();
                }
            });
        })?;
        Ok(stop)
    }

    /// Raises the flag.
    pub fn raise(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it is raised.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// An error when it is raised.
    ///
    /// # Errors
    /// [`Interrupted`].
    pub fn check(&self) -> Result<(), Interrupted> {
        if self.is_raised() { Err(Interrupted) } else { Ok(()) }
    }

    /// Sleeps, unless or until the flag is raised.
    ///
    /// # Errors
    /// [`Interrupted`].
    pub fn sleep(&self, time: Duration) -> Result<(), Interrupted> {
        let mut left = time;
        while !left.is_zero() {
            self.check()?;
            let step = left.min(PAUSE);
            thread::sleep(step);
            left = left.saturating_sub(step);
        }
        self.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raised_flag_ends_a_sleep_at_once() {
        let stop = Stop::default();
        assert_eq!(stop.sleep(Duration::from_millis(1)), Ok(()));
        stop.clone().raise();
        assert_eq!(stop.sleep(Duration::from_secs(3600)), Err(Interrupted));
    }
}
