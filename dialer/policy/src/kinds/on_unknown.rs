//! What follows where the fact that a rule asks for is not on record: it denies, or, where the rule
//! says so, goes along with the permit as a duty.

use std::sync::Arc;

use crate::{
    Abilities, Obligation, Wait,
    ask::{Ask, Ruling},
    kinds::{Head, obligation::duty},
    reader::Reader,
};
use dialer_types::Say;

/// What follows from an unknown fact.
#[derive(Debug, Clone)]
pub(crate) enum OnUnknown {
    Deny,
    Oblige(Arc<Obligation>),
}

impl OnUnknown {
    /// Reads `on_unknown`; left out: it denies.
    pub(crate) fn read(
        from: &mut Reader<'_, '_>,
        kind: &'static str,
        head: Option<&Head>,
    ) -> Option<Self> {
        let obliges = from.word("on_unknown", |word| match word {
            "deny" => Some(false),
            "oblige" => Some(true),
            _ => None,
        });
        if obliges == Some(true) {
            return Some(Self::Oblige(duty(head?, kind, Abilities::NONE)));
        }
        Some(Self::Deny)
    }

    /// `on_unknown = "deny"`: from now on an unknown fact denies.
    pub(crate) fn change(&mut self, from: &mut Reader<'_, '_>) {
        if from.word("on_unknown", |word| (word == "deny").then_some(())).is_some() {
            *self = Self::Deny;
        }
    }

    pub(crate) fn ruling(
        &self,
        ask: &Ask<'_>,
        inputs: impl FnOnce() -> Say,
        waits_for: impl FnOnce() -> Wait,
    ) -> Ruling {
        match self {
            Self::Deny => Ruling::No { inputs: ask.say(inputs), waits_for: waits_for() },
            Self::Oblige(_) => Ruling::Pass,
        }
    }

    /// The duty that an unknown fact leaves.
    pub(crate) const fn duty(&self) -> Option<&Arc<Obligation>> {
        match self {
            Self::Deny => None,
            Self::Oblige(duty) => Some(duty),
        }
    }
}
