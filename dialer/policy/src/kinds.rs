//! The kinds of rules. One kind, one file, with its table of cases.

use std::{collections::BTreeMap, sync::Arc};

use dialer_types::{RuleId, Say};

use crate::{
    Obligation, Wait,
    ask::{Ask, Notes, Ruling},
    calendar::Calendar,
    reader::Reader,
    verdict::Names,
};

mod consent_required;
mod cooldown;
mod count_cap;
mod emergency_suspension;
mod list_scrub;
mod number_reassignment_check;
mod number_type;
mod obligation;
mod on_unknown;
mod party_restriction;
mod precondition;
mod preference;
mod revocation;
mod suppression;
mod target_ban;
mod time_window;
mod uncovered_place;
mod unless;
mod volume_cap;

#[cfg(test)]
pub(crate) mod cases;

pub(crate) use obligation::Duty;
pub(crate) use suppression::{entries, holding as suppressions_holding, note as note_suppressions};
pub(crate) use uncovered_place::Uncovered;

use consent_required::ConsentRequired;
use cooldown::Cooldown;
use count_cap::Caps;
use emergency_suspension::EmergencySuspension;
use list_scrub::ListScrub;
use number_reassignment_check::ReassignmentRule;
use number_type::NumberType;
use party_restriction::PartyRestriction;
use precondition::Precondition;
use preference::Preference;
use time_window::Window;
use unless::Unless;
use volume_cap::VolumeCap;

/// What rules refer to: calendars by id.
pub(crate) type Shelf = BTreeMap<String, Arc<Calendar>>;

/// Id and names.
pub(crate) type Head = (RuleId, Arc<Names>);

/// What a rule demands.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    /// Calling hours, caps, or both (`us.wa.debt`).
    Timed {
        window: Option<Window>,
        caps: Option<Caps>,
    },
    Cooldown(Cooldown),
    Consent(ConsentRequired),
    Revocation,
    Suppression,
    List(ListScrub),
    Ban(Unless),
    Party(PartyRestriction),
    Emergency(EmergencySuspension),
    Uncovered(Uncovered),
    Preference(Preference),
    Reassignment(ReassignmentRule),
    NumberType(NumberType),
    Precondition(Precondition),
    Volume(VolumeCap),
    Duty(Duty),
    /// On record only: a case cannot show what it needs.
    Note,
}

impl Body {
    pub(crate) fn read(
        from: &mut Reader<'_, '_>,
        kind: &str,
        head: Option<Head>,
        shelf: &Shelf,
    ) -> Option<Self> {
        Some(match kind {
            "time_window" => {
                let window = Window::read(from, shelf);
                let caps = from.has("limits").then(|| Caps::read(from));
                Self::Timed { window: Some(window?), caps: caps.flatten() }
            }
            "count_cap" => {
                let window = from.has("allow").then(|| Window::read(from, shelf));
                Self::Timed { caps: Some(Caps::read(from)?), window: window.flatten() }
            }
            "cooldown" => Self::Cooldown(Cooldown::read(from)?),
            "consent_required" => Self::Consent(ConsentRequired::read(from)?),
            "revocation" => Self::Revocation,
            "suppression" => Self::Suppression,
            "list_scrub" => Self::List(ListScrub::read(from)?),
            "target_ban" => Self::Ban(Unless::read(from)),
            "party_restriction" => Self::Party(PartyRestriction::read(from)?),
            "emergency_suspension" => Self::Emergency(EmergencySuspension::read(from)?),
            "uncovered_place" => Self::Uncovered(Uncovered::default()),
            "preference" => Self::Preference(Preference::read(from, head.as_ref())?),
            "number_reassignment_check" => {
                Self::Reassignment(ReassignmentRule::read(from, head.as_ref())?)
            }
            "number_type" => Self::NumberType(NumberType::read(from, head.as_ref())?),
            "precondition" => Self::Precondition(Precondition::read(from, head.as_ref())?),
            "volume_cap" => Self::Volume(VolumeCap::read(from, head.as_ref())?),
            "note" => Self::Note,
            other => match Duty::kind(other) {
                Some(kind) => Self::Duty(Duty::read(from, kind, head.as_ref()?)),
                None => {
                    if !other.is_empty() {
                        from.fault("kind", &format!("{other:?} is no kind of rule"));
                    }
                    return None;
                }
            },
        })
    }

    /// Reads other parameters of the rule from a table; what the kind does not have stays unread
    /// there. With `prove` only such as are shown to be at least as strict.
    pub(crate) fn change(&mut self, from: &mut Reader<'_, '_>, prove: bool) {
        match self {
            Self::Timed { window, caps } => {
                if let Some(window) = window {
                    window.change(from, prove);
                }
                if let Some(caps) = caps {
                    caps.change(from, prove);
                }
            }
            Self::Cooldown(cooldown) => cooldown.change(from, prove),
            Self::Consent(consent) => consent.change(from, prove),
            Self::List(list) => list.change(from, prove),
            Self::Ban(unless) => unless.change(from),
            Self::Emergency(emergency) => emergency.change(from, prove),
            Self::Preference(preference) => preference.change(from),
            Self::Reassignment(check) => check.change(from, prove),
            Self::NumberType(line) => line.change(from, prove),
            Self::Precondition(precondition) => precondition.change(from),
            Self::Volume(volume) => volume.change(from, prove),
            Self::Revocation
            | Self::Suppression
            | Self::Party(_)
            | Self::Uncovered(_)
            | Self::Duty(_)
            | Self::Note => {}
        }
    }

    /// The facts beside the call that it asks somebody for, as what a contact waits for without them.
    pub(crate) fn facts_asked(&self) -> Vec<Wait> {
        match self {
            Self::Preference(_) => vec![Wait::Wishes],
            Self::Reassignment(check) => vec![Wait::Check(check.database())],
            Self::NumberType(_) => vec![Wait::Check("line".into())],
            Self::Precondition(precondition) => {
                precondition.asks_for().map(|id| Wait::Licence(Arc::clone(id))).collect()
            }
            Self::Volume(volume) => vec![Wait::Counter(volume.counter())],
            _ => Vec::new(),
        }
    }

    /// How far back it looks at placements, in milliseconds; `None` if it does not, or without end.
    pub(crate) fn memory(&self) -> Option<i64> {
        match self {
            Self::Timed { caps: Some(caps), .. } => Some(caps.longest()),
            Self::Cooldown(cooldown) => cooldown.longest(),
            _ => None,
        }
    }

    /// Whether the passage of time alone can change what the rule says.
    pub(crate) const fn is_timed(&self) -> bool {
        matches!(
            self,
            Self::Timed { .. }
                | Self::Cooldown(_)
                | Self::Preference(_)
                | Self::Precondition(_)
                | Self::Volume(_)
        )
    }

    /// What the rule says now.
    pub(crate) fn judge(
        &self,
        ask: &Ask<'_>,
        rule: &crate::rule::Rule,
        notes: &mut Notes,
    ) -> Ruling {
        match self {
            Self::Timed { window, caps } => {
                let hours = window.as_ref().map(|window| window.judge(ask, notes));
                let count = caps.as_ref().map(|caps| caps.judge(ask, &rule.id, notes));
                both(ask, hours.unwrap_or(Ruling::Pass), count.unwrap_or(Ruling::Pass))
            }
            Self::Cooldown(cooldown) => cooldown.judge(ask),
            Self::Consent(consent) => consent.judge(ask, rule.jurisdiction, notes),
            Self::Revocation => revocation::judge(ask, notes),
            Self::Suppression => suppression::judge(ask),
            Self::List(list) => list.judge(ask, notes),
            Self::Ban(unless) => target_ban::judge(unless, ask, notes),
            Self::Party(party) => party.judge(ask),
            Self::Emergency(emergency) => emergency.judge(ask, rule.jurisdiction, notes),
            Self::Uncovered(covered) => covered.judge(ask),
            Self::Preference(preference) => preference.judge(ask, notes),
            Self::Reassignment(check) => check.judge(ask, notes),
            Self::NumberType(line) => line.judge(ask, notes),
            Self::Precondition(precondition) => precondition.judge(ask, notes),
            Self::Volume(volume) => volume.judge(ask, &rule.id, notes),
            Self::Duty(duty) => duty.judge(ask),
            Self::Note => Ruling::Pass,
        }
    }

    /// The duty that goes along with a call which the rule lets pass.
    pub(crate) fn duty(&self, ask: &Ask<'_>) -> Option<&Arc<Obligation>> {
        match self {
            Self::Duty(duty) => Some(&duty.obligation).filter(|_| duty.applies(ask)),
            Self::Preference(preference) => preference.duty(ask),
            Self::Reassignment(check) => check.duty(ask),
            Self::NumberType(line) => line.duty(ask),
            Self::Precondition(precondition) => precondition.duty(ask),
            Self::Volume(volume) => volume.duty(ask),
            _ => None,
        }
    }

    /// The first moment at or after `from` at which a timed rule passes.
    pub(crate) fn first_pass(&self, ask: &Ask<'_>, from: i64) -> Option<i64> {
        match self {
            Self::Timed { window, caps } => {
                let mut at = from;
                loop {
                    let open = window.as_ref().map_or(Some(at), |w| w.first_open(ask, at))?;
                    let free = caps.as_ref().map_or(Some(open), |c| c.first_free(ask, open))?;
                    if free == at {
                        return Some(at);
                    }
                    at = free;
                }
            }
            Self::Cooldown(cooldown) => cooldown.first_free(ask, from),
            Self::Preference(_) => Preference::first_free(ask, from),
            Self::Precondition(precondition) => precondition.first_free(ask, from),
            Self::Volume(volume) => Some(volume.first_free(ask, from)),
            _ => Some(from),
        }
    }
}

/// Two parts of one rule.
fn both(ask: &Ask<'_>, one: Ruling, other: Ruling) -> Ruling {
    match (one, other) {
        (Ruling::Pass, ruling) | (ruling, Ruling::Pass) => ruling,
        (Ruling::NotNow { inputs, otherwise }, Ruling::NotNow { inputs: more, .. }) => {
            let inputs =
                ask.say(|| Say::of("{one}; {other}").with("one", inputs).with("other", more));
            Ruling::NotNow { inputs, otherwise }
        }
        (no @ Ruling::No { .. }, _) | (_, no) => no,
    }
}
