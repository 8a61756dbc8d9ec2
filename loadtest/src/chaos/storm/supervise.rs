//! What starts programs again that ended, as Kubernetes would.

use std::time::Duration;

use super::Storm;
use crate::{chaos::plan::DIALERS, view::Teller};

/// A program that ended by itself is started again after this.
const RESTART: Duration = Duration::from_millis(500);

/// A process that may be down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Program {
    Dialer(usize),
    Api,
}

impl Storm<'_> {
    /// Starts again what has ended and is not kept down.
    pub(super) fn supervise(&mut self, teller: &mut Teller) -> anyhow::Result<()> {
        let now = self.started.elapsed();
        let programs = (0..DIALERS).map(Program::Dialer).chain([Program::Api]);
        for program in programs {
            if self.down.contains(&program) {
                continue;
            }
            let process = match program {
                Program::Dialer(number) => self.stack.nth_dialer(number),
                Program::Api => self.stack.api_process(),
            };
            let ended = match process {
                Some(process) => process.ended()?,
                None => {
                    // It was kept down until now.
                    self.restart(program)?;
                    continue;
                }
            };
            let Some(status) = ended else { continue };
            if let Some(at) = self.restarts.get(&program).copied() {
                if now >= at {
                    self.restarts.remove(&program);
                    self.restarted += 1;
                    self.restart(program)?;
                }
            } else {
                self.restarts.insert(program, now + RESTART);
                if !status.success() {
                    let what = format!("{program:?} ended by itself ({status})");
                    teller.step(&format!("{:.1} s", now.as_secs_f64()), &what);
                }
            }
        }
        Ok(())
    }

    fn restart(&mut self, program: Program) -> anyhow::Result<()> {
        match program {
            Program::Dialer(number) => self.stack.launch_nth_dialer(number),
            Program::Api => self.stack.launch_api(),
        }
    }
}
