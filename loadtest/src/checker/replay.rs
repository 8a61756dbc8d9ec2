//! Lawful yield: replays every contact from the start of the run to its end and asks, second by
//! second, whether a placement was lawful and due; then looks whether it was made.

use std::collections::{HashMap, HashSet};

use super::{
    Timing,
    audit::Export,
    calls::Placement,
    judge::{Denial, Judge, Kind, Subject, View},
    world::{Campaign, World},
};

/// A placement that was lawful and due and was not made.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Missed {
    /// The campaign.
    pub campaign: String,
    /// The contact.
    pub external_id: String,
    /// Which try, from 1.
    pub try_no: u32,
    /// From when, ms.
    pub from: i64,
    /// Until when at least, ms.
    pub until: i64,
}

/// The two numbers whose quotient is the yield.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Yield {
    /// Placements that were lawful and due.
    pub expected: usize,
    /// Those of them that were made.
    pub made: usize,
    /// The others.
    pub missed: Vec<Missed>,
    /// Contacts nothing could be expected of, with the rule that stood in the way at the end.
    pub waiting: HashMap<&'static str, usize>,
}

/// What the replay looks at.
#[derive(Debug)]
pub struct Replay<'a> {
    /// Decides what is lawful.
    pub judge: &'a Judge<'a>,
    /// All placements of the log, in order.
    pub placements: &'a [Placement],
    /// Whether each of them was lawful.
    pub lawful: &'a [bool],
    /// Placements of each contact, as indexes, in order.
    pub of_contact: &'a [Vec<usize>],
    /// The dialer's own word on calls whose end the wire does not show.
    pub export: Option<&'a Export>,
    /// When the run began and ended.
    pub timing: Timing,
}

/// A stretch of time in which a placement was lawful and due throughout.
#[derive(Debug, Clone, Copy)]
struct Chance {
    from: i64,
    until: i64,
}

impl Replay<'_> {
    /// Replays all contacts.
    #[must_use]
    pub fn run(&self) -> Yield {
        let rates = self.invites_by_campaign();
        let mut result = Yield::default();
        for (index, contact) in self.judge.world.contacts.iter().enumerate() {
            let Some(campaign) = self.judge.world.campaign_of(contact) else {
                continue;
            };
            let subjects: Vec<_> = (0..contact.numbers.len())
                .filter_map(|position| self.judge.subject(contact, position))
                .collect();
            if subjects.iter().any(|subject| subject.places.partly) {
                continue; // the checker cannot say what is lawful there
            }
            let made = self.of_contact.get(index).map_or(&[][..], Vec::as_slice);
            let times = rates.get(campaign.name.as_str()).map_or(&[][..], Vec::as_slice);
            let one = One { replay: self, campaign, subjects: &subjects, made, times };
            one.run(&contact.external_id, &mut result);
        }
        result
    }

    fn invites_by_campaign(&self) -> HashMap<&str, Vec<i64>> {
        let mut times: HashMap<&str, Vec<i64>> = HashMap::new();
        for (contact, placements) in self.judge.world.contacts.iter().zip(self.of_contact) {
            let Some(campaign) = self.judge.world.campaign_of(contact) else {
                continue;
            };
            let entry = times.entry(campaign.name.as_str()).or_default();
            entry.extend(placements.iter().filter_map(|&i| Some(self.placements.get(i)?.at)));
        }
        times
    }
}

/// The replay of one contact.
struct One<'a> {
    replay: &'a Replay<'a>,
    campaign: &'a Campaign,
    subjects: &'a [Subject<'a>],
    made: &'a [usize],
    times: &'a [i64],
}

impl One<'_> {
    fn run(&self, external_id: &str, result: &mut Yield) {
        let mut due = self.replay.timing.start;
        let mut position = 0;
        for (tries, &index) in (1..).zip(self.made) {
            let Some(placement) = self.replay.placements.get(index) else {
                continue;
            };
            if self.replay.lawful.get(index).copied().unwrap_or(false) {
                result.expected += 1;
                result.made += 1;
            }
            position = self.position_after(placement, position);
            let Some(next) = self.due_after(placement, tries) else {
                return;
            };
            if tries >= self.campaign.max_tries {
                return;
            }
            due = next;
        }
        let try_no = u32::try_from(self.made.len()).unwrap_or(u32::MAX).saturating_add(1);
        match self.chance(due, position) {
            Ok(chance) => {
                result.expected += 1;
                result.missed.push(Missed {
                    campaign: self.campaign.name.clone(),
                    external_id: external_id.to_owned(),
                    try_no,
                    from: chance.from,
                    until: chance.until,
                });
            }
            Err(Some(rule)) => *result.waiting.entry(rule).or_default() += 1,
            Err(None) => {}
        }
    }

    /// The position tried after this one.
    fn position_after(&self, placement: &Placement, last: usize) -> usize {
        let dialled = self.subjects.iter().position(|s| s.number() == placement.number);
        let count = self.subjects.len().max(1);
        (dialled.unwrap_or(last) + 1) % count
    }

    /// When the next try is due after the `tries`-th; `None` if there is none.
    fn due_after(&self, placement: &Placement, tries: u32) -> Option<i64> {
        let told = self.replay.export.and_then(|export| export.disposition(&placement.call_id));
        let disposition = match told {
            Some(word @ ("outcome_unknown" | "cancelled")) => word,
            _ => placement.disposition(),
        };
        let untried = usize::try_from(tries).is_ok_and(|tries| tries < self.subjects.len());
        let delay = match disposition {
            // Not the person's doing: judged again at once.
            "cancelled" => 0,
            // The number is dead; the next one's turn comes at once.
            "invalid_number" | "disconnected" if untried => 0,
            "answered" | "invalid_number" | "disconnected" | "rejected" | "unwanted"
            | "blocked" => return None,
            word => *self.campaign.retry.get(word)?,
        };
        let ended = placement.ended_at().or(placement.cancelled_at)?;
        Some(ended + i64::from(delay) * 1000)
    }

    /// The first stretch in which a placement was lawful, due, long enough for any dialer, and
    /// within the campaign's rate. Otherwise the rule that stood in the way last.
    fn chance(&self, due: i64, position: usize) -> Result<Chance, Option<&'static str>> {
        let timing = self.replay.timing;
        let mut running: Option<Chance> = None;
        let mut rule = None;
        let mut at = due.max(timing.counts_from);
        while at <= timing.end {
            match self.denied(at, position) {
                None => {
                    let chance = running.get_or_insert(Chance { from: at, until: at });
                    chance.until = at;
                }
                Some(denial) => {
                    rule = Some(denial.rule);
                    if let Some(chance) = running.take()
                        && self.counts(chance)
                    {
                        return Ok(chance);
                    }
                }
            }
            at += 1000;
        }
        match running {
            Some(chance) if self.counts(chance) => Ok(chance),
            Some(_) => Err(None),
            None => Err(rule),
        }
    }

    fn counts(&self, chance: Chance) -> bool {
        let length = chance.until - chance.from;
        if length < self.replay.timing.slack {
            return false;
        }
        let inside = |at: &&i64| (chance.from..=chance.until).contains(*at);
        let used = self.times.iter().filter(inside).count();
        #[expect(clippy::cast_precision_loss, reason = "seconds and calls of one run")]
        let (used, seconds) = (used as f64, length as f64 / 1000.0);
        used < 0.8 * self.campaign.calls_per_second * seconds
    }

    /// What stands in the way: nothing, if any of the numbers may be called.
    fn denied(&self, at: i64, position: usize) -> Option<Denial> {
        let before = self.replay.judge.history.all.len();
        let mut first = None;
        for step in 0..self.subjects.len() {
            let turn = (position + step) % self.subjects.len();
            let subject = self.subjects.get(turn)?;
            let denials = self.replay.judge.denials(subject, at, before, View::AsKnown);
            let refused = denials.iter().position(|denial| !denial.passes_with_time);
            let reason = denials.into_iter().nth(refused.unwrap_or(0))?;
            first.get_or_insert(reason);
        }
        first.or(Some(Denial { rule: "no number", kind: Kind::Other, passes_with_time: false }))
    }
}

/// Gives every placement to one contact. Placements that the audit records for one contact stay
/// together, the most particular set of numbers first; what is left goes to the contact whose turn
/// and number it is, of several to the one with the fewest calls so far.
#[must_use]
pub fn assign(
    world: &World,
    placements: &[Placement],
    candidates: &[Vec<usize>],
    export: Option<&Export>,
) -> Vec<Vec<usize>> {
    let owners = owners(placements, candidates, export);
    let mut of_contact: Vec<Vec<usize>> = vec![Vec::new(); world.contacts.len()];
    for (index, (placement, candidates)) in placements.iter().zip(candidates).enumerate() {
        let owner = export.and_then(|export| export.contact(&placement.call_id));
        let owner = owner.and_then(|owner| owners.get(owner).copied());
        let chosen = owner.or_else(|| {
            candidates.iter().copied().min_by_key(|&contact| {
                let calls = of_contact.get(contact).map_or(0, Vec::len);
                let turn = world.contacts.get(contact).is_some_and(|contact| {
                    let count = contact.numbers.len().max(1);
                    contact.numbers.get(calls % count).is_some_and(|(n, _)| *n == placement.number)
                });
                (!turn, calls)
            })
        });
        if let Some(calls) = chosen.and_then(|contact| of_contact.get_mut(contact)) {
            calls.push(index);
        }
    }
    of_contact
}

/// Which contact of the lists each contact id of the audit is, as far as the numbers tell.
fn owners<'a>(
    placements: &[Placement],
    candidates: &[Vec<usize>],
    export: Option<&'a Export>,
) -> HashMap<&'a str, usize> {
    let mut possible: HashMap<&str, Vec<usize>> = HashMap::new();
    for (placement, candidates) in placements.iter().zip(candidates) {
        let Some(owner) = export.and_then(|export| export.contact(&placement.call_id)) else {
            continue;
        };
        possible
            .entry(owner)
            .and_modify(|left| left.retain(|contact| candidates.contains(contact)))
            .or_insert_with(|| candidates.clone());
    }
    let mut open: Vec<(&str, Vec<usize>)> = possible.into_iter().collect();
    open.sort_unstable();
    let mut owners = HashMap::new();
    let mut taken = HashSet::new();
    while let Some(next) = (0..open.len()).min_by_key(|&index| {
        open.get(index).map_or(0, |(_, left)| left.iter().filter(|c| !taken.contains(*c)).count())
    }) {
        let (owner, left) = open.swap_remove(next);
        if let Some(contact) = left.into_iter().find(|contact| !taken.contains(contact)) {
            taken.insert(contact);
            owners.insert(owner, contact);
        }
    }
    owners
}
