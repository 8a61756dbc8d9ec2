//! The judge: reads what went over the wire, with rules of its own by brute force.
//!
//! It knows nothing of heads, tokens, verdicts or the engine. A person is reached through a number,
//! an account or themselves; nobody is called more than three times a local day or twice within the
//! gap; Great Britain is not called outside its hours; Florida's mobiles not without consent; and as
//! long as the quiet rules are in force at a node, it calls nobody.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use chrono::{DateTime, Datelike, Timelike, Utc};
use dialer_engine::{Fences, Transmit, TransmitKind};
use dialer_policy::RulesetVersion;
use dialer_sip::wire::{Message, text};
use dialer_types::{Disposition, PlacementId, SellerNo, SubjectId};

use crate::{
    people::{Number, PURPOSE, People},
    stores::{Incarnation, Place},
    world::{ANSWER_MS, HASTY_MS, World},
};

mod missed;

use missed::missed;

/// Seconds between two calls to one person in the simulator's house rules.
pub const GAP_S: u64 = 30;
/// Calls a local day.
const PER_DAY: usize = 3;

/// Which promise was broken, or what was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Violation {
    /// G1, G4: an INVITE without a committed placement or intent.
    NotCommitted,
    /// G2: one clearance, two INVITEs, or two placements of one attempt.
    Twice,
    /// G3: left after `not_after`.
    TooLate,
    /// G3: left outside the window.
    OutsideWindow,
    /// G3: called by rules that were not in force at its node any more.
    OtherRules,
    /// G6: one call too many.
    OverCap,
    /// G7: called after the opt-out was answered or heard, or committed after it.
    AfterOptOut,
    /// G7: rang on after the opt-out was heard.
    RangOn,
    /// G5, G7: called without a consent that stands.
    NoConsent,
    /// G8: no outcome, or two.
    Outcomes,
    /// G8: counted as not sent although it was.
    SentCalledUnsent,
    /// G10: placed while draining.
    WhileDraining,
    /// A trunk that fails was sent more INVITEs than it may.
    PastBreaker,
    /// Something is left behind.
    Leak,
}

/// A violation and where.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Which.
    pub violation: Violation,
    /// At what time of the run, in milliseconds.
    pub at_ms: u64,
    /// In words.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>7} ms {:?}: {}", self.at_ms, self.violation, self.what)
    }
}

/// What a seed came to.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Everything found.
    pub findings: Vec<Finding>,
    /// INVITEs that left.
    pub made: usize,
    /// Contacts that could lawfully have been called, were due, and were not.
    pub missed: usize,
    /// Contacts in all.
    pub contacts: usize,
    /// Opt-outs during the run.
    pub opt_outs: usize,
    /// What befell the stores and the ways to them, if the plan has weather.
    pub weather: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaving {
    Invite,
    /// Re-sent with credentials, or retransmitted.
    Again,
    Cancel,
    Other,
}

impl Leaving {
    pub(crate) fn of(transmit: &Transmit) -> Self {
        match transmit.kind {
            TransmitKind::InviteFirst => Self::Invite,
            TransmitKind::InviteResend | TransmitKind::InviteRetransmit => Self::Again,
            TransmitKind::Cancel => Self::Cancel,
            _ => Self::Other,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) at_ms: u64,
    pub(crate) by: Incarnation,
    pub(crate) leaving: Leaving,
    /// Over which trunk, from 1.
    pub(crate) trunk: u8,
    pub(crate) bytes: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) at_ms: u64,
    pub(crate) by: Incarnation,
    pub(crate) which: usize,
}

#[derive(Debug)]
pub(crate) struct OptOut {
    pub(crate) at_ms: u64,
    pub(crate) out: dialer_engine::OptOut,
    /// A consent taken back: binds only where a consent is needed.
    pub(crate) consent: bool,
}

/// Other rules came into force at a node.
#[derive(Debug)]
pub(crate) struct Ruled {
    pub(crate) at_ms: u64,
    pub(crate) by: Incarnation,
    pub(crate) rules: RulesetVersion,
}

#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) wire: Vec<Wire>,
    pub(crate) told: Vec<Told>,
    pub(crate) opt_outs: Vec<OptOut>,
    pub(crate) drains: Vec<(Incarnation, u64)>,
    pub(crate) ruled: Vec<Ruled>,
    /// What befell the stores and the ways to them.
    pub(crate) weather: usize,
    /// Placements whose receipt was swapped for another's on the way.
    pub(crate) crossed: Vec<PlacementId>,
    /// When a node heard of a called party, by its call.
    parties: Vec<(u64, Incarnation, String)>,
    provisional: BTreeMap<String, u64>,
    last: BTreeMap<String, u64>,
}

impl Log {
    /// The rules in force at a node at this moment.
    pub(crate) fn rules_of(&self, by: Incarnation, at_ms: u64) -> Option<RulesetVersion> {
        let until = self.ruled.iter().rev().find(|ruled| ruled.by == by && ruled.at_ms <= at_ms);
        until.map(|ruled| ruled.rules)
    }

    /// A response reached a node.
    pub(crate) fn heard(&mut self, at_ms: u64, by: Incarnation, bytes: &[u8]) {
        let Ok(message) = Message::parse(bytes) else {
            return;
        };
        let (Some(status), Some(call_id)) = (message.status(), message.call_id()) else {
            return;
        };
        if message.cseq().is_ok_and(|cseq| cseq.method == b"INVITE") {
            if status != 100 && status != 503 {
                self.parties.push((at_ms, by, text(call_id)));
            }
            let kept = if status < 200 { &mut self.provisional } else { &mut self.last };
            kept.entry(text(call_id)).or_insert(at_ms);
        }
    }
}

struct Call<'a> {
    at_ms: u64,
    by: Incarnation,
    call_id: String,
    placement: PlacementId,
    number: &'a Number,
    subjects: Vec<SubjectId>,
    committed_ms: u64,
    /// The rules of its permit, as the record says.
    rules: Option<RulesetVersion>,
    seller: SellerNo,
    person: usize,
}

/// Reads the wire.
pub(crate) fn check<F: Fences + fmt::Debug>(world: &World<F>) -> Summary {
    let mut found = Vec::new();
    let calls = calls(world, &mut found);
    caps(world, &calls, &mut found);
    for call in &calls {
        alone(world, call, &mut found);
    }
    breakers(world, &mut found);
    outcomes(world, &calls, &mut found);
    leaks(world, &mut found);
    Summary {
        missed: missed(world, &calls),
        made: calls.len(),
        findings: found,
        contacts: world.stores.contacts.len(),
        opt_outs: world.log.opt_outs.len(),
        weather: world.log.weather,
    }
}

fn find(found: &mut Vec<Finding>, violation: Violation, at_ms: u64, what: impl Into<String>) {
    found.push(Finding { violation, at_ms, what: what.into() });
}

/// Every first INVITE, joined with its placement.
fn calls<'a, F: Fences>(world: &'a World<F>, found: &mut Vec<Finding>) -> Vec<Call<'a>> {
    let mut calls = Vec::new();
    let (mut placements, mut attempts) = (BTreeSet::new(), BTreeSet::new());
    for wire in world.log.wire.iter().filter(|wire| wire.leaving == Leaving::Invite) {
        let Ok(message) = Message::parse(&wire.bytes) else {
            continue;
        };
        let call_id = message.call_id().map(text).unwrap_or_default();
        let placement = call_id.split('@').next().and_then(|id| id.parse::<PlacementId>().ok());
        let committed = placement.and_then(|id| Some((id, world.stores.placements.get(&id)?)));
        let Some((placement, placed)) = committed else {
            find(found, Violation::NotCommitted, wire.at_ms, "no such placement");
            continue;
        };
        if placed.committed_ms > wire.at_ms || !placed.intent {
            find(found, Violation::NotCommitted, wire.at_ms, "committed or recorded later");
        }
        if !placements.insert(placement) || !attempts.insert(placed.attempt) {
            find(found, Violation::Twice, wire.at_ms, placed.attempt.to_string());
        }
        let uri = message.request_uri().map(text).unwrap_or_default();
        let number =
            world.people.numbers.iter().find(|number| uri.contains(&number.number.expose()));
        let contact = world.stores.contacts.get(&placed.attempt.contact);
        let (Some(number), Some(contact)) = (number, contact) else {
            find(found, Violation::NotCommitted, wire.at_ms, "nobody's number");
            continue;
        };
        let seller = world.people.campaigns.get(contact.campaign).map(|c| c.seller_no);
        if world.base.wall_at(wire.at_ms).0 > placed.not_after.0 + 1_000 {
            find(found, Violation::TooLate, wire.at_ms, call_id.clone());
        }
        calls.push(Call {
            at_ms: wire.at_ms,
            by: wire.by,
            call_id,
            placement,
            number,
            subjects: reached(&world.people, contact.person, number),
            committed_ms: placed.committed_ms,
            rules: placed.rules,
            seller: seller.unwrap_or_default(),
            person: contact.person,
        });
    }
    calls
}

fn reached(people: &People, person: usize, number: &Number) -> Vec<SubjectId> {
    let person = people.persons.get(person);
    [Some(number.subject), person.map(|p| p.subject), person.and_then(|p| p.account)]
        .into_iter()
        .flatten()
        .collect()
}

/// No two calls to one person within the gap, no more than three a local day.
fn caps<F: Fences>(world: &World<F>, calls: &[Call<'_>], found: &mut Vec<Finding>) {
    for (index, call) in calls.iter().enumerate() {
        let same: Vec<&Call<'_>> = calls
            .iter()
            .take(index)
            .filter(|earlier| earlier.subjects.iter().any(|s| call.subjects.contains(s)))
            .collect();
        let day = |at_ms| local(world, call.number, at_ms).date_naive();
        let today = same.iter().filter(|other| day(other.at_ms) == day(call.at_ms)).count();
        if today >= PER_DAY {
            find(
                found,
                Violation::OverCap,
                call.at_ms,
                format!("{} today: {}", today + 1, call.call_id),
            );
        }
        if let Some(near) = same.iter().find(|other| call.at_ms < other.at_ms + GAP_S * 1_000) {
            let gap = call.at_ms - near.at_ms;
            find(found, Violation::OverCap, call.at_ms, format!("{gap} ms after {}", near.call_id));
        }
    }
}

/// Tries of a half-open breaker that the longest run has time for: after 5, 10, 20, 40, 80, 160 and
/// 320 s at the soonest, and after 300 s where OPTIONS is never answered.
const TRIES: usize = 9;

/// A node sends into a trunk no more INVITEs than its budget and single tries without hearing of a
/// called party in between.
fn breakers<F: Fences>(world: &World<F>, found: &mut Vec<Finding>) {
    // A call that an opt-out cancels says nothing of its trunk: another may go in its place.
    let most = crate::world::BUDGET as usize + TRIES + world.log.opt_outs.len();
    let mut in_a_row: BTreeMap<(Incarnation, u8), usize> = BTreeMap::new();
    let mut by_call: BTreeMap<String, u8> = BTreeMap::new();
    let mut parties = world.log.parties.iter().peekable();
    for wire in world.log.wire.iter().filter(|wire| wire.leaving == Leaving::Invite) {
        while let Some((_, by, call_id)) = parties.next_if(|(at_ms, ..)| *at_ms <= wire.at_ms) {
            if let Some(trunk) = by_call.get(call_id) {
                in_a_row.remove(&(*by, *trunk));
            }
        }
        let call_id = Message::parse(&wire.bytes).ok().and_then(|m| m.call_id().map(text));
        by_call.insert(call_id.unwrap_or_default(), wire.trunk);
        let count = in_a_row.entry((wire.by, wire.trunk)).or_default();
        *count += 1;
        if *count > most {
            let what = format!("{count} INVITEs in a row into trunk {}", wire.trunk);
            find(found, Violation::PastBreaker, wire.at_ms, what);
        }
    }
}

/// What one call broke by itself.
fn alone<F: Fences>(world: &World<F>, call: &Call<'_>, found: &mut Vec<Finding>) {
    if call.number.british && !british_hours(&local(world, call.number, call.at_ms)) {
        find(found, Violation::OutsideWindow, call.at_ms, call.call_id.clone());
    }
    ruled(world, call, found);
    if let Some((_, since)) =
        world.log.drains.iter().find(|(by, since)| *by == call.by && call.at_ms > *since)
    {
        find(found, Violation::WhileDraining, call.at_ms, format!("draining since {since}"));
    }
    if world.log.crossed.contains(&call.placement) {
        find(found, Violation::NotCommitted, call.at_ms, "cleared on another placement's receipt");
    }
    for (which, out) in world.log.opt_outs.iter().enumerate() {
        let OptOut { ref out, at_ms: said_ms, consent } = *out;
        let binds = out.binds(call.seller, PURPOSE);
        if !binds || !out.subjects.iter().any(|subject| call.subjects.contains(subject)) {
            continue;
        }
        if consent && call.number.british {
            continue; // no consent was needed
        }
        let told = world.log.told.iter().find(|told| told.which == which && told.by == call.by);
        answered(world, call, said_ms, found);
        if call.committed_ms > said_ms {
            let violation = if consent { Violation::NoConsent } else { Violation::AfterOptOut };
            find(found, violation, call.at_ms, format!("committed after {said_ms}"));
        } else if let Some(told) = told.filter(|told| call.at_ms > told.at_ms) {
            find(found, Violation::AfterOptOut, call.at_ms, format!("heard at {}", told.at_ms));
        } else if let Some(told) = told {
            ringing(world, call, told.at_ms, found);
        }
    }
    let consented =
        world.people.persons.get(call.person).is_some_and(|person| {
            person.consents.iter().any(|consent| consent.seller == call.seller)
        });
    if !call.number.british && !consented {
        find(found, Violation::NoConsent, call.at_ms, call.call_id.clone());
    }
}

/// It leaves by the rules that are in force when it does, and by the quiet ones none leaves. In the
/// millisecond of a change either may have been first.
fn ruled<F: Fences>(world: &World<F>, call: &Call<'_>, found: &mut Vec<Finding>) {
    let in_force =
        [call.at_ms, call.at_ms.saturating_sub(1)].map(|at_ms| world.log.rules_of(call.by, at_ms));
    let quiet = Some(world.rules.quiet.version());
    if in_force == [quiet; 2] || !in_force.contains(&call.rules) {
        find(found, Violation::OtherRules, call.at_ms, call.call_id.clone());
    }
}

/// Once the opt-out is answered no INVITE of the call leaves, be it the first, re-sent or repeated.
fn answered<F: Fences>(world: &World<F>, call: &Call<'_>, said_ms: u64, found: &mut Vec<Finding>) {
    let waits = world.stores.fences.answer_waits;
    let answered_ms = said_ms + if waits { ANSWER_MS } else { HASTY_MS };
    let late = world.log.wire.iter().filter(|wire| wire.at_ms > answered_ms).find(|wire| {
        matches!(wire.leaving, Leaving::Invite | Leaving::Again)
            && Message::parse(&wire.bytes)
                .ok()
                .and_then(|message| message.call_id().map(text))
                .is_some_and(|id| id == call.call_id)
    });
    if let Some(late) = late {
        let what = format!("answered at {answered_ms}: {}", call.call_id);
        find(found, Violation::AfterOptOut, late.at_ms, what);
    }
}

/// What rang when the opt-out was heard must be cancelled within a second.
fn ringing<F: Fences>(world: &World<F>, call: &Call<'_>, told_ms: u64, found: &mut Vec<Finding>) {
    let rang = world.log.provisional.get(&call.call_id).is_some_and(|at| *at < told_ms);
    let over = world.log.last.get(&call.call_id).is_some_and(|at| *at <= told_ms + 1_000);
    let gone = world.dead_by(call.by, told_ms + 1_000);
    if !rang || over || gone || call.at_ms + 15_000 < told_ms {
        return;
    }
    let cancelled = world.log.wire.iter().any(|wire| {
        wire.leaving == Leaving::Cancel
            && wire.at_ms <= told_ms + 1_000
            && Message::parse(&wire.bytes)
                .ok()
                .and_then(|message| message.call_id().map(text))
                .is_some_and(|id| id == call.call_id)
    });
    if !cancelled {
        find(found, Violation::RangOn, told_ms, call.call_id.clone());
    }
}

/// Every committed placement has one outcome in the end; what left is not called unsent.
fn outcomes<F: Fences>(world: &World<F>, calls: &[Call<'_>], found: &mut Vec<Finding>) {
    let sent: BTreeSet<PlacementId> = calls.iter().map(|call| call.placement).collect();
    for (id, placed) in &world.stores.placements {
        let ended = match placed.outcomes.as_slice() {
            [] => false,
            [_] => true,
            [Disposition::Unknown, _] => true, // corrected by a node that was only slow
            _ => false,
        };
        if !ended {
            let what = format!("{id}: {:?}", placed.outcomes);
            find(found, Violation::Outcomes, placed.committed_ms, what);
        }
        if sent.contains(id) && placed.outcomes.contains(&Disposition::NotSent) {
            find(found, Violation::SentCalledUnsent, placed.committed_ms, id.to_string());
        }
    }
}

fn leaks<F: Fences>(world: &World<F>, found: &mut Vec<Finding>) {
    for node in &world.nodes {
        if let Some(engine) = node.engine.as_ref().filter(|_| node.paused_until <= world.now_ms)
            && (engine.live_attempts() > 0 || engine.live_calls() > 0)
        {
            let what =
                format!("{} attempts, {} calls", engine.live_attempts(), engine.live_calls());
            find(found, Violation::Leak, world.now_ms, what);
        }
    }
    for (id, contact) in &world.stores.contacts {
        if matches!(contact.place, Place::Leased(_)) {
            find(found, Violation::Leak, world.now_ms, format!("contact {id} {:?}", contact.place));
        }
    }
}

fn local<F: Fences>(world: &World<F>, number: &Number, at_ms: u64) -> DateTime<chrono_tz::Tz> {
    let zone =
        if number.british { chrono_tz::Europe::London } else { chrono_tz::America::New_York };
    let utc: DateTime<Utc> =
        DateTime::from_timestamp_millis(world.base.wall_at(at_ms).0).unwrap_or_default();
    utc.with_timezone(&zone)
}

fn british_hours(at: &DateTime<chrono_tz::Tz>) -> bool {
    let opens = if at.weekday().number_from_monday() <= 5 { 8 } else { 9 };
    (opens..21).contains(&at.hour())
}

impl<F: Fences> World<F> {
    fn dead_by(&self, at: Incarnation, by_ms: u64) -> bool {
        let current = self.nodes.get(at.node);
        let alive = current.is_some_and(|node| node.at == at && node.engine.is_some());
        let paused = current.is_some_and(|node| node.at == at && node.paused_until > by_ms);
        !alive || paused
    }
}
