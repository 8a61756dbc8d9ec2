//! Gathering what is known, judging it, and asking for the reservation.

use std::{sync::Arc, time::Duration};

use dialer_audit::Record;
use dialer_judge::{
    ContactFacts, Denied, HORIZON, Next, NumberFacts, Order, Outlook, Scene, decision, judge,
};
use dialer_limiter::{Demand, Entry, Head};
use dialer_policy::Verdict;
use dialer_types::{Now, Outcome, PlacementId, SubjectId, TrunkId, UnixMillis};

use crate::{
    attempt::{Attempt, Chosen, State},
    clearance::Judged,
    engine::Engine,
    fences::Fences,
    output::Output,
};

/// Judgements of one attempt that may lose their race before the contact goes back into `due`.
pub(crate) const MAX_ROUNDS: u8 = 5;

/// What came of judging every number in turn.
enum Judgement {
    Permitted(Box<Chosen>),
    Denied(Denied),
    /// No demand could be made: a head is full. Never lawful (G5).
    Unknown,
}

impl<F: Fences> Engine<F> {
    /// Everything is gathered: judge, and ask for what the verdict asks for.
    pub(crate) fn judge(
        &mut self,
        mut attempt: Attempt,
        heads: &[(SubjectId, Head)],
        facts: &ContactFacts,
        now: Now,
    ) {
        let preferred = &attempt.order.campaign.trunks;
        let Some(trunk) = self.trunks.pick(preferred, now.mono) else {
            self.give_back(&attempt.order, Duration::from_secs(2), "no_trunk", now);
            return;
        };
        let mut records = Vec::new();
        let mut outlook = Outlook::default();
        for (position, subject) in attempt.order.numbers.clone() {
            let Some(number) = facts.numbers.iter().find(|number| number.subject == subject) else {
                continue;
            };
            let asked = Asked { subject, position, number, trunk };
            let (placement, verdict, record) = self.ask(&mut attempt, &asked, facts, heads, now);
            records.push(record);
            if let Verdict::Permit(permit) = verdict {
                self.trunks.chosen(trunk, now.mono);
                let judged = Judged::new(placement, permit, self.config.permit_life, now.wall);
                let judgement = choose(&attempt.order, &asked, judged, heads, records, now.wall);
                self.follow(attempt, judgement, now);
                return;
            }
            outlook.add(&verdict);
        }
        let order = &attempt.order;
        let judgement = match outlook.into_next() {
            Some((next, rules)) => Judgement::Denied(Denied {
                attempt: order.attempt,
                campaign: order.campaign.id,
                next: self.spread(next, now.wall),
                records,
                rules,
                judged: heads.iter().map(|(subject, head)| (*subject, head.token())).collect(),
            }),
            None => Judgement::Unknown,
        };
        self.follow(attempt, judgement, now);
    }

    /// Judges one number, under a token of its own.
    fn ask(
        &mut self,
        attempt: &mut Attempt,
        asked: &Asked<'_>,
        facts: &ContactFacts,
        heads: &[(SubjectId, Head)],
        now: Now,
    ) -> (PlacementId, Verdict, Record) {
        let placement = match attempt.minted {
            Some(placement) if !F::FRESH_TOKEN => placement,
            _ => PlacementId(self.mint.ulid(now.wall)),
        };
        attempt.minted = Some(placement);
        let order = &attempt.order;
        let guard = if F::GUARD {
            self.config.permit_life + self.config.clock_bound
        } else {
            Duration::ZERO
        };
        let terms = order.terms();
        let verdict = judge(&self.ruleset, &terms, facts, asked.number, heads, guard, now.wall);
        let scene = Scene {
            node: self.config.node,
            order,
            subjects: terms.concerned(asked.subject),
            number: asked.number,
            supplied: &facts.supplied,
            ruleset: self.ruleset.version(),
            now: now.wall,
        };
        let permitted = matches!(verdict, Verdict::Permit(_));
        let record = decision(&scene, &verdict, permitted.then_some(placement));
        (placement, verdict, record)
    }

    fn follow(&mut self, mut attempt: Attempt, judgement: Judgement, now: Now) {
        match judgement {
            Judgement::Permitted(chosen) => {
                let placement = chosen.judged.placement;
                self.placements.insert(placement, attempt.order.attempt);
                self.outputs.push_back(Output::Reserve(chosen.trunk, Arc::clone(&chosen.demand)));
                attempt.state = State::Reserving(chosen);
                self.wait(attempt, now);
            }
            Judgement::Denied(denied) => {
                self.gauges.denied += 1;
                self.outputs.push_back(Output::Deny(Box::new(denied)));
            }
            Judgement::Unknown => {
                self.give_back(&attempt.order, Duration::from_secs(3600), "history_full", now);
            }
        }
    }

    /// Spreads what becomes due together a little, so that an opening window is no wall: by a tenth
    /// of the wait at most, so that a short one stays short.
    fn spread(&mut self, next: Next, now: UnixMillis) -> Next {
        match next {
            Next::Due { at, because } if at > now => {
                let spread = self.config.spread.min(at.since(now) / 10);
                let range = u64::try_from(spread.as_millis()).unwrap_or(0).max(1);
                let jitter = Duration::from_millis(self.mint.bits() % range);
                Next::Due { at: at.after(jitter), because }
            }
            next => next,
        }
    }
}

/// A number that is judged, and the trunk it would go to.
struct Asked<'a> {
    subject: SubjectId,
    position: u8,
    number: &'a NumberFacts,
    trunk: TrunkId,
}

fn choose(
    order: &Order,
    asked: &Asked<'_>,
    judged: Judged,
    heads: &[(SubjectId, Head)],
    records: Vec<Record>,
    now: UnixMillis,
) -> Judgement {
    let concerned = order.terms().concerned(asked.subject);
    let heads: Vec<_> = heads.iter().filter(|(id, _)| concerned.contains(id)).cloned().collect();
    let placement = judged.placement;
    let entry = Entry {
        key: Entry::key_of(placement),
        at_seconds: Entry::seconds(now),
        seller: order.campaign.seller_no,
        campaign: order.campaign.no,
        purpose: order.campaign.purpose,
        technology: order.campaign.technology,
        outcome: Outcome::Pending,
        inbound: false,
    };
    let Ok(demand) = Demand::new(placement, &heads, entry, now.before(HORIZON)) else {
        return Judgement::Unknown;
    };
    Judgement::Permitted(Box::new(Chosen {
        judged,
        number: asked.number.number,
        number_subject: asked.subject,
        position: asked.position,
        trunk: asked.trunk,
        demand: Arc::new(demand),
        sip_call_id: format!("{placement}@ringfence"),
        records,
        at: now,
    }))
}
