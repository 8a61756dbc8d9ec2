//! People who have had enough in the middle of the storm: told to the API, again and again until it
//! has answered.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::bail;

use crate::{
    demo::told::OptOut,
    stack::{Api, Refusal, clock},
};

/// Between two requests for one opt-out.
const AGAIN: Duration = Duration::from_millis(200);

/// An opt-out that was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    /// Its place in `suppressions.json`.
    pub(super) index: usize,
    /// When it was asked for first, ms of the deployment's clock.
    pub(super) at: i64,
    /// When the answer was read; `None`: never.
    pub(super) answered_at: Option<i64>,
}

/// Tells the API in a thread of its own, from `started` on.
pub(super) struct OptOuts {
    give_up: Arc<AtomicBool>,
    telling: JoinHandle<anyhow::Result<Vec<Asked>>>,
}

impl OptOuts {
    pub(super) fn start(
        api: Api,
        planned: Vec<OptOut>,
        started: Instant,
        offset_ms: i64,
    ) -> anyhow::Result<Self> {
        let give_up = Arc::<AtomicBool>::default();
        let given_up = Arc::clone(&give_up);
        let telling = thread::Builder::new().name("opt-outs".to_owned()).spawn(move || {
            let mut asked = Vec::with_capacity(planned.len());
            for opt_out in planned {
                while started.elapsed() < opt_out.after && !given_up.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(10));
                }
                if given_up.load(Ordering::Relaxed) {
                    break;
                }
                asked.push(tell(&api, &opt_out, offset_ms, &given_up)?);
            }
            Ok(asked)
        })?;
        Ok(Self { give_up, telling })
    }

    /// Whether all are told.
    pub(super) fn is_done(&self) -> bool {
        self.telling.is_finished()
    }

    /// Ends the telling; what was asked for, answered or not.
    pub(super) fn end(self) -> anyhow::Result<Vec<Asked>> {
        self.give_up.store(true, Ordering::Relaxed);
        self.telling.join().unwrap_or_else(|_| bail!("telling opt-outs panicked"))
    }
}

fn tell(
    api: &Api,
    opt_out: &OptOut,
    offset_ms: i64,
    given_up: &AtomicBool,
) -> anyhow::Result<Asked> {
    let now = || clock::real_unix_millis() + offset_ms;
    let mut asked = Asked { index: opt_out.index, at: now(), answered_at: None };
    loop {
        match api.post("/v1/suppressions", &opt_out.body) {
            Ok(_) => {
                asked.answered_at = Some(now());
                return Ok(asked);
            }
            // An error is an answer of the storm; that the request is wrong is our fault.
            Err(error) => match error.downcast_ref::<Refusal>() {
                Some(refusal) if refusal.status < 500 && refusal.status != 429 => {
                    return Err(error);
                }
                _ if given_up.load(Ordering::Relaxed) => return Ok(asked),
                _ => thread::sleep(AGAIN),
            },
        }
    }
}
