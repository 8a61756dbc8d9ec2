//! People who have had enough in the middle of the storm: told to the API, again and again until it
//! has answered.
//!
//! An answer rests on Postgres and on the API itself. While one of them is away nobody can promise
//! when it comes; at any other time, whatever else fails, it comes soon. So the two are told apart.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::bail;

use super::storm::Trouble;
use crate::{
    demo::told::OptOut,
    spread::Spread,
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

/// How long answers took that came while Postgres and the API were well, and the others.
pub(super) fn spreads(asked: &[Asked], troubled: &[Trouble]) -> [Spread; 2] {
    let (mut well, mut hit) = (Vec::new(), Vec::new());
    for one in asked {
        let Some(answered_at) = one.answered_at else { continue };
        let meets = |trouble: &Trouble| trouble.from <= answered_at && one.at <= trouble.to;
        let kind = if troubled.iter().any(meets) { &mut hit } else { &mut well };
        kind.push(answered_at - one.at);
    }
    [well, hit].map(Spread::of)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::Kind;

    #[test]
    fn an_answer_that_a_trouble_touches_is_told_apart() {
        let asked = |at, answered_at| Asked { index: 0, at, answered_at };
        let all = [
            asked(0, Some(110)),
            asked(890, Some(1000)),
            asked(1500, Some(1800)),
            asked(2000, Some(2900)),
            asked(2001, Some(2113)),
            asked(1600, None),
        ];
        let [well, hit] = spreads(&all, &[Trouble { kind: Kind::ApiKill, from: 1000, to: 2000 }]);
        assert_eq!((well.count, well.max_ms), (2, 112));
        assert_eq!((hit.count, hit.max_ms), (3, 900));
    }
}
