//! A permit's decision and intent as two other records, and back.
//!
//! Most of a decision and an intent says the same in the next thousand placements: rules, lists,
//! places, trunk. That is recorded once, as [`Grounds`]; what is of one person and one moment is a
//! [`Permit`], which names its grounds by their leaf hash. Whoever reads gets decision and intent
//! back as they were ([`unfold`]). The whole hash, not a part of it: the operator writes both records,
//! so only a hash that nobody can find two inputs for binds them.

use chrono::{DateTime, FixedOffset, SecondsFormat, Utc};
use dialer_types::{PlacementId, UnixMillis};

use crate::{
    canonical::{self, CanonicalError},
    record::{
        Advance, Asked, Base, Body, Cap, Counter, Decision, Grounds, Input, Intent, Permit, Place,
        Record, Token, Verdict, ZonePlace,
    },
    tree::Hash,
};

/// Inputs that are the same for many persons. Any other is taken for a person's own: that is never
/// wrong, only longer.
const SHARED: [&str; 5] = ["consents", "places_from", "wishes", "licences", "counters"];

/// Why a permit and what it names as its grounds cannot be read together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// Another kind of record.
    #[error("one of the two is no permit, or the other no grounds")]
    Kind,
    /// Counts without caps or the other way round.
    #[error("it counts for {found} caps; its grounds have {expected}")]
    Counts {
        /// The permit's.
        found: usize,
        /// The grounds'.
        expected: usize,
    },
    /// Values without names or the other way round.
    #[error("it has values for {found} inputs; its grounds leave it {expected}")]
    Values {
        /// The permit's.
        found: usize,
        /// The grounds'.
        expected: usize,
    },
    /// Neither of them tells the Call-ID, or both do.
    #[error("its Call-ID is told by neither or by both of them")]
    CallId,
    /// A moment that no calendar has.
    #[error("one of its times is beyond the calendar")]
    Time,
}

/// A decision and its intent, parted into what is shared and what is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folded {
    grounds: Record,
    permit: Permit,
}

impl Folded {
    /// The same for the same grounds whenever they are recorded, and for no others.
    ///
    /// # Errors
    /// If they have no canonical bytes.
    pub fn key(&self) -> Result<Hash, CanonicalError> {
        canonical::timeless(&self.grounds).map(|said| Hash::of(&said))
    }

    /// The grounds, recorded at the moment of this permit.
    #[must_use]
    pub const fn grounds(&self) -> &Record {
        &self.grounds
    }

    /// The permit, on the grounds whose leaf has this hash: [`Folded::grounds`], or others with the
    /// same [`Folded::key`].
    #[must_use]
    pub fn permit(self, grounds: Hash) -> Record {
        // The node is that of the grounds.
        Record::new(None, Permit { grounds, ..self.permit }.into(), self.grounds.at)
    }
}

/// Parts a permitted decision and its intent; `None` where [`unfold`] would not give back exactly
/// these two.
#[must_use]
pub fn fold(decision: &Record, intent: &Record) -> Option<Folded> {
    let (Body::Decision(said), Body::Intent(meant)) = (&decision.body, &intent.body) else {
        return None;
    };
    if !belong_together(decision, said, intent, meant) {
        return None;
    }
    let apart = |from: UnixMillis, to: UnixMillis| u32::try_from(to.0.checked_sub(from.0)?).ok();
    let subjects: Vec<_> = meant.heads.iter().map(|head| head.subject).collect();
    let (inputs, values) = inputs(&said.inputs);
    let name = meant.placement.to_string();
    let end = meant.sip_call_id.strip_prefix(&name);
    let counts: Vec<_> = said.counters.iter().map(|counter| counter.count).collect();
    let permit = Permit {
        grounds: Hash([0; 32]),
        attempt: meant.attempt,
        placement: meant.placement,
        heads: meant
            .heads
            .iter()
            .map(|it| Base { subject: it.subject, judged: it.judged })
            .collect(),
        judged_ms: apart(decision.at, intent.at)?,
        valid_ms: apart(intent.at, meant.not_after)?,
        counts: (!counts.is_empty()).then_some(counts),
        values: (!values.is_empty()).then_some(values),
        subjects: (said.subjects != subjects).then(|| said.subjects.clone()),
        sip_call_id: end.is_none().then(|| meant.sip_call_id.clone()),
    };
    let grounds = Grounds {
        campaign: said.campaign,
        seller: said.seller,
        purpose: said.purpose,
        technology: said.technology,
        line_type: said.line_type,
        trunk: meant.trunk,
        ruleset: said.ruleset,
        rules_asked: said.rules_asked,
        rules_passed: said.rules_passed.clone(),
        exceptions: said.exceptions.clone(),
        obligations: said.obligations.clone(),
        lists: said.lists.clone(),
        places: places(&said.places, decision.at)?,
        caps: said.counters.iter().map(|it| Cap { rule: it.rule.clone(), cap: it.cap }).collect(),
        inputs,
        clock_bound_ms: meant.clock_bound_ms,
        clock_offset_ms: meant.clock_offset_ms,
        call_id_end: end.map(str::to_owned),
    };
    Some(Folded { grounds: Record::new(intent.node, grounds.into(), intent.at), permit })
}

/// Whether the two are a permit's, by one process, and say nothing that a permit cannot say.
fn belong_together(decision: &Record, said: &Decision, intent: &Record, meant: &Intent) -> bool {
    let Decision { attempt, placement, verdict, until, denied_by, .. } = said;
    *verdict == Verdict::Permit
        && until.is_none()
        && denied_by.is_empty()
        && *placement == Some(meant.placement)
        && *attempt == meant.attempt
        && meant.heads.iter().all(|head| head.token == Token(meant.placement.0))
        && decision.node == intent.node
        && decision.version == decision.body.version()
        && intent.version == intent.body.version()
}

/// What the inputs are called, with the values that many share; and the other values.
fn inputs(inputs: &[Input]) -> (Vec<Asked>, Vec<String>) {
    let (mut asked, mut values) = (Vec::with_capacity(inputs.len()), Vec::new());
    for Input { name, value } in inputs {
        let shared = SHARED.contains(&name.as_str());
        asked.push(Asked { name: name.clone(), value: shared.then(|| value.clone()) });
        if !shared {
            values.push(value.clone());
        }
    }
    (asked, values)
}

/// The places with the clock of each, if that tells their local times exactly.
fn places(places: &[Place], judged: UnixMillis) -> Option<Vec<ZonePlace>> {
    let place = |place: &Place| {
        let offset =
            DateTime::parse_from_rfc3339(&place.local_time).ok()?.offset().local_minus_utc();
        let offset_minutes = i64::from(offset / 60);
        (local_time(judged, offset_minutes)? == place.local_time).then(|| ZonePlace {
            jurisdiction: place.jurisdiction.clone(),
            zone: place.zone.clone(),
            offset_minutes,
        })
    };
    places.iter().map(place).collect()
}

/// A moment by a clock that is so far ahead of UTC: RFC 3339, to the second.
fn local_time(moment: UnixMillis, offset_minutes: i64) -> Option<String> {
    let seconds = i32::try_from(offset_minutes.checked_mul(60)?).ok()?;
    let offset = FixedOffset::east_opt(seconds)?;
    let utc: DateTime<Utc> = DateTime::from_timestamp_millis(moment.0)?;
    utc.naive_utc().checked_add_offset(offset)?;
    Some(utc.with_timezone(&offset).to_rfc3339_opts(SecondsFormat::Secs, false))
}

/// The decision and the intent of a permit, as they were before [`fold`].
///
/// # Errors
/// If the two do not fit together: [`fold`] did not make them. That `grounds` are those that the
/// permit names is for the caller to see to.
pub fn unfold(grounds: &Record, permit: &Record) -> Result<(Record, Record), Misfit> {
    let (Body::Grounds(shared), Body::Permit(own)) = (&grounds.body, &permit.body) else {
        return Err(Misfit::Kind);
    };
    let judged = permit.at.0.checked_sub(i64::from(own.judged_ms)).ok_or(Misfit::Time)?;
    let not_after = permit.at.0.checked_add(i64::from(own.valid_ms)).ok_or(Misfit::Time)?;
    let (judged, not_after) = (UnixMillis(judged), UnixMillis(not_after));
    let heads = || own.heads.iter().map(|head| head.subject);
    let decision = Decision {
        attempt: own.attempt,
        placement: Some(own.placement),
        campaign: shared.campaign,
        seller: shared.seller,
        subjects: own.subjects.clone().unwrap_or_else(|| heads().collect()),
        purpose: shared.purpose,
        technology: shared.technology,
        line_type: shared.line_type,
        verdict: Verdict::Permit,
        until: None,
        denied_by: Vec::new(),
        rules_asked: shared.rules_asked,
        ruleset: shared.ruleset,
        places: shown_places(shared, judged)?,
        counters: counters(shared, own)?,
        lists: shared.lists.clone(),
        obligations: shared.obligations.clone(),
        inputs: shown_inputs(shared, own)?,
        rules_passed: shared.rules_passed.clone(),
        exceptions: shared.exceptions.clone(),
    };
    let advance = |head: &Base| Advance {
        subject: head.subject,
        judged: head.judged,
        token: Token(own.placement.0),
    };
    let intent = Intent {
        placement: own.placement,
        attempt: own.attempt,
        trunk: shared.trunk,
        heads: own.heads.iter().map(advance).collect(),
        not_after,
        clock_bound_ms: shared.clock_bound_ms,
        clock_offset_ms: shared.clock_offset_ms,
        sip_call_id: call_id(shared, own)?,
    };
    let node = grounds.node;
    Ok((Record::new(node, decision.into(), judged), Record::new(node, intent.into(), permit.at)))
}

fn shown_places(shared: &Grounds, judged: UnixMillis) -> Result<Vec<Place>, Misfit> {
    let place = |place: &ZonePlace| {
        Some(Place {
            jurisdiction: place.jurisdiction.clone(),
            zone: place.zone.clone(),
            local_time: local_time(judged, place.offset_minutes)?,
        })
    };
    shared.places.iter().map(place).collect::<Option<_>>().ok_or(Misfit::Time)
}

fn counters(shared: &Grounds, own: &Permit) -> Result<Vec<Counter>, Misfit> {
    let counts = own.counts.as_deref().unwrap_or_default();
    let (found, expected) = (counts.len(), shared.caps.len());
    if found != expected {
        return Err(Misfit::Counts { found, expected });
    }
    let counter = |(cap, count): (&Cap, &u32)| Counter {
        rule: cap.rule.clone(),
        count: *count,
        cap: cap.cap,
    };
    Ok(shared.caps.iter().zip(counts).map(counter).collect())
}

fn shown_inputs(shared: &Grounds, own: &Permit) -> Result<Vec<Input>, Misfit> {
    let values = own.values.as_deref().unwrap_or_default();
    let expected = shared.inputs.iter().filter(|asked| asked.value.is_none()).count();
    let misfit = Misfit::Values { found: values.len(), expected };
    if values.len() != expected {
        return Err(misfit);
    }
    let mut values = values.iter();
    let input = |asked: &Asked| {
        let value = asked.value.as_ref().or_else(|| values.next())?;
        Some(Input { name: asked.name.clone(), value: value.clone() })
    };
    shared.inputs.iter().map(input).collect::<Option<_>>().ok_or(misfit)
}

fn call_id(shared: &Grounds, own: &Permit) -> Result<String, Misfit> {
    let named = |placement: PlacementId, end: &str| format!("{placement}{end}");
    match (&shared.call_id_end, &own.sip_call_id) {
        (Some(end), None) => Ok(named(own.placement, end)),
        (None, Some(id)) => Ok(id.clone()),
        _ => Err(Misfit::CallId),
    }
}

#[cfg(test)]
mod tests;
