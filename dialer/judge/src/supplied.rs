//! What somebody looked up, wrote down or counted, beside what the list says of a contact. Absent is
//! not the same as harmless: the rules that ask for it say what follows.

use std::sync::Arc;

use dialer_policy::{CallerCounter, Licence, LineCheck, ReassignmentCheck, Wishes};

/// What is on record of a contact's person, and of its campaign and seller.
#[derive(Debug, Clone, Default)]
pub struct Supplied {
    /// When the person does not want to be called; `None` if nobody wrote it down.
    pub wishes: Option<Wishes>,
    /// What covers the calls of the campaign: of its seller, its script or itself.
    pub licences: Arc<[Licence]>,
    /// What the seller counts over all persons, the newest count of each.
    pub counters: Arc<[CallerCounter]>,
}

/// What look-ups said of one number.
#[derive(Debug, Clone, Default)]
pub struct Checks {
    /// Databases of reassigned numbers; the last recorded of a day stands last.
    pub reassignment: Vec<ReassignmentCheck>,
    /// The newest look-up of the line; `None` if there was none.
    pub line: Option<LineCheck>,
}
