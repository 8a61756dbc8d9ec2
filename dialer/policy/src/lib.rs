//! Rule packs and their evaluator: facts, history and now give a verdict. Pure.
//!
//! Rules are data (`schema/rules/*.toml`); this crate reads them, decides which apply to a call and
//! judges every one of them, with no short circuit. What the words mean is fixed by `VECTORS.md`.
#![warn(missing_docs)]

mod ability;
mod ask;
mod blocked;
mod calendar;
mod cards;
pub mod check;
mod checked;
mod chinese;
mod dossier;
mod evaluate;
mod explain;
mod facts;
mod index;
mod judgement;
mod kinds;
mod own;
mod place;
mod places;
mod reader;
mod rule;
mod ruleset;
mod shipped;
mod stands;
mod verdict;
mod zone;

pub use ability::{Abilities, Ability};
pub use cards::{Card, CardKind, Change, ChangeKind, FieldChange, cards, compare};
pub use checked::{
    Blocked, CallerCounter, Licence, LineCheck, LineClass, Reassigned, ReassignmentCheck, Wishes,
};
pub use chinese::{chinese, in_language};
pub use chrono::NaiveDate;
pub use dossier::Dossier;
pub use evaluate::Evaluation;
pub use explain::{explain, obligation_sentence, times_in, waits_sentence};
pub use facts::{
    Address, AddressBasis, Area, Call, Consent, ConsentForm, Evidenced, Facts, Feed, Lift,
    ListFact, Past, Piece, Relationship, RelationshipKind, Suppression, SuppressionScope,
};
pub use judgement::Judgement;
pub use own::{Departure, Mark, NamedException, RuleHash, Signature};
pub use place::Place;
pub use places::{Basis, Grounds, PostalCode};
pub use ruleset::{Options, PackFault, PackSource, Ruleset, RulesetVersion};
pub use shipped::PACKS as SHIPPED;
pub use verdict::{
    Counter, Deferral, Denial, Evidence, ListAge, LocalTime, Obligation, Permit, Refusal, Verdict,
    Wait, local_time,
};
