//! The packs of a deployment as they change on disk while a process judges by them.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use dialer_policy::{Ruleset, RulesetVersion};

use super::{RulesError, Written};

/// Faults that are told one by one; a file of another kind under the name of a pack has a fault a
/// line.
const TOLD: usize = 20;

/// What a look at the packs found.
#[derive(Debug)]
pub enum Looked {
    /// Nothing new, or something that may still be being written.
    Same,
    /// Others are held from now on.
    Changed {
        /// Those that were held until now.
        before: RulesetVersion,
    },
    /// What is on disk has faults: what was held is held on. Said once for each change.
    Refused(RulesError),
    /// What was refused is gone, and what is held is on disk again.
    Mended,
}

/// What was on disk at a look.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Read(Written),
    /// A file or folder could not be read: which, and why.
    Unreadable(String),
}

/// The packs of a deployment as they change on disk. A change is taken whole, and only when two
/// looks in a row found the same: several files are not written at one moment, and one not at once.
#[derive(Debug)]
pub struct Packs {
    packs: Option<PathBuf>,
    house: Option<PathBuf>,
    held: Arc<Ruleset>,
    /// What `held` was read from.
    good: Written,
    /// What the last look found, where it was neither held nor refused yet.
    last: Option<Found>,
    /// What is on disk and not used.
    refused: Option<Found>,
}

impl Packs {
    /// Reads the packs of a folder, or takes those that ship, with the deployment's own pack.
    ///
    /// # Errors
    /// See [`RulesError`]: there is no last good copy yet.
    pub fn open(packs: Option<&Path>, house: Option<&Path>) -> Result<Self, RulesError> {
        let good = Written::read(packs, house)?;
        let held = Arc::new(good.in_force()?);
        tell_departures(&good);
        let (packs, house) = (packs.map(Path::to_owned), house.map(Path::to_owned));
        Ok(Self { packs, house, held, good, last: None, refused: None })
    }

    /// The rules to judge by: those that were read last without a fault.
    #[must_use]
    pub fn held(&self) -> Arc<Ruleset> {
        Arc::clone(&self.held)
    }

    /// Whether what is on disk is refused, so that older packs are held.
    #[must_use]
    pub const fn is_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// Reads what is on disk now, and says in the log what that changed. Blocks on the disk.
    pub fn look(&mut self) -> Looked {
        if self.packs.is_none() && self.house.is_none() {
            return Looked::Same; // what ships does not change
        }
        let read = Written::read(self.packs.as_deref(), self.house.as_deref());
        if read.as_ref().is_ok_and(|read| *read == self.good) {
            self.last = None;
            return if self.refused.take().is_some() {
                tracing::info!(rules = %self.held.version(), "the rule packs on disk are those in force again");
                Looked::Mended
            } else {
                Looked::Same
            };
        }
        let found = match &read {
            Ok(read) => Found::Read(read.clone()),
            Err(error) => Found::Unreadable(error.to_string()),
        };
        if self.refused.as_ref() == Some(&found) {
            self.last = None;
            return Looked::Same; // told already
        }
        if self.last.as_ref() != Some(&found) {
            self.last = Some(found);
            return Looked::Same;
        }
        self.last = None;
        let rules = read.and_then(|read| Ok((read.in_force()?, read)));
        match rules {
            Ok((rules, read)) => {
                let before = self.held.version();
                (self.held, self.good, self.refused) = (Arc::new(rules), read, None);
                tracing::warn!(rules = %self.held.version(), %before, "other rule packs are in force");
                tell_departures(&self.good);
                Looked::Changed { before }
            }
            Err(error) => {
                self.refused = Some(found);
                self.tell(&error);
                Looked::Refused(error)
            }
        }
    }

    /// A line for each fault, with file, line and field.
    fn tell(&self, error: &RulesError) {
        let rules = self.held.version();
        let RulesError::Faults(faults) = error else {
            tracing::error!(%error, %rules, "changed rule packs are refused: the last good ones go on");
            return;
        };
        for fault in faults.iter().take(TOLD) {
            tracing::error!(
                file = %fault.file, line = fault.line, field = %fault.field, fault = %fault.message, %rules,
                "changed rule packs are refused: the last good ones go on"
            );
        }
        if let Some(more) = faults.len().checked_sub(TOLD).filter(|more| *more > 0) {
            tracing::error!(more, "the rule packs have more faults than these");
        }
    }
}

/// A folder of packs takes the place of what ships, and two people answer for what it has otherwise: the
/// log says, whenever it comes into force, what that is.
fn tell_departures(written: &Written) {
    let departures = written.departures();
    for (rule, missing) in departures.iter().take(TOLD) {
        if *missing {
            tracing::warn!(
                rule,
                "the folder of packs does not have this rule, which ships with this build"
            );
        } else {
            tracing::warn!(
                rule,
                "the folder of packs has this rule otherwise than it ships with this build"
            );
        }
    }
    if let Some(more) = departures.len().checked_sub(TOLD).filter(|more| *more > 0) {
        tracing::warn!(more, "the folder of packs departs in more rules than these");
    }
}

#[cfg(test)]
mod tests;
