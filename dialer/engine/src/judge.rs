//! Gathering what is known, judging it, and asking for the reservation.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use dialer_audit::Record;
use dialer_limiter::{Demand, Entry, Head, MarkKind};
use dialer_policy::{
    Call, Consent, Evaluation, Facts, Past, Suppression, SuppressionScope, Verdict, Wait,
};
use dialer_types::{Now, Outcome, PlacementId, RuleId, SellerNo, SubjectId, TrunkId, UnixMillis};

use crate::{
    attempt::{Attempt, Chosen, State},
    clearance::Judged,
    engine::Engine,
    fences::Fences,
    output::{Denied, Next, Output},
    record::{Scene, decision},
    terms::{ContactFacts, NumberFacts, Order},
};

/// Entries older than this may be dropped from heads: longer than the longest horizon of the packs
/// (61 days in France, a calendar month in Australia).
const HORIZON: Duration = Duration::from_secs(70 * 24 * 3600);

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
        let Some(trunk) = self.trunks.pick(preferred, now.mono).map(|trunk| trunk.id) else {
            self.give_back(&attempt.order, Duration::from_secs(2), "no_trunk", now);
            return;
        };
        let mut records = Vec::new();
        let mut best: Option<(Next, Vec<RuleId>)> = None;
        for (position, subject) in attempt.order.numbers.clone() {
            let Some(number) = facts.numbers.iter().find(|number| number.subject == subject) else {
                continue;
            };
            let asked = Asked { subject, position, number, trunk };
            let (placement, verdict, record) = self.ask(&mut attempt, &asked, facts, heads, now);
            records.push(record);
            if let Verdict::Permit(permit) = verdict {
                let judged = Judged::new(placement, permit, self.config.permit_life, now.wall);
                let judgement = choose(&attempt.order, &asked, judged, heads, records, now.wall);
                self.follow(attempt, judgement, now);
                return;
            }
            best = sooner(best, &verdict);
        }
        let order = &attempt.order;
        let judgement = match best {
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
        let terms = Evaluation {
            guard: if F::GUARD {
                self.config.permit_life + self.config.clock_bound
            } else {
                Duration::ZERO
            },
            abilities: order.campaign.abilities,
        };
        let policy_facts = policy_facts(order, asked, facts, heads, now.wall);
        let verdict = self.ruleset.evaluate(&policy_facts, &terms, now.wall);
        let scene = Scene {
            node: self.config.node,
            order,
            subjects: concerned(order, asked.subject),
            number: asked.number,
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

/// The rule a deferred contact is waiting for: the one that passes last.
fn blocking(denials: &[dialer_policy::Denial], until: UnixMillis) -> String {
    denials
        .iter()
        .max_by_key(|denial| denial.first_lawful.unwrap_or(until))
        .map_or_else(String::new, |denial| denial.rule.to_string())
}

/// The word a parked contact is woken by.
fn cause(wait: &Wait) -> String {
    match wait {
        Wait::Consent => "consent".into(),
        Wait::List(list) => format!("list:{list}"),
        Wait::Suppression => "suppression".into(),
        Wait::Address => "address".into(),
        Wait::Pack => "pack".into(),
        Wait::Feed => "feed".into(),
        Wait::Obligation(word) => format!("obligation:{word}"),
        Wait::Contact => "contact".into(),
        Wait::Never => "never".into(),
    }
}

/// The subjects a placement to this number counts for.
fn concerned(order: &Order, number: SubjectId) -> Vec<SubjectId> {
    let mut subjects: Vec<_> = [number, order.person].into_iter().chain(order.account).collect();
    subjects.sort_unstable();
    subjects.dedup();
    subjects
}

/// A number that is judged, and the trunk it would go to.
struct Asked<'a> {
    subject: SubjectId,
    position: u8,
    number: &'a NumberFacts,
    trunk: TrunkId,
}

/// Of two denials the one that ends first; a deferral before any refusal.
fn sooner(best: Option<(Next, Vec<RuleId>)>, verdict: &Verdict) -> Option<(Next, Vec<RuleId>)> {
    let rules = || verdict.denials().iter().map(|denial| denial.rule.clone()).collect();
    match (verdict, &best) {
        (Verdict::Permit(_), _) => best,
        (Verdict::Defer(deferral), Some((Next::Due { at, .. }, _))) if *at <= deferral.until => {
            best
        }
        (Verdict::Defer(deferral), _) => {
            let because = blocking(&deferral.denials, deferral.until);
            Some((Next::Due { at: deferral.until, because }, rules()))
        }
        (Verdict::Refuse(_), Some(_)) => best,
        (Verdict::Refuse(refusal), None) => {
            let wakes = |wait: &&Wait| **wait != Wait::Never;
            let wait = refusal.waits_for.iter().find(wakes).unwrap_or(&Wait::Never);
            let cause = cause(wait);
            Some((Next::Park { cause }, rules()))
        }
    }
}

fn choose(
    order: &Order,
    asked: &Asked<'_>,
    judged: Judged,
    heads: &[(SubjectId, Head)],
    records: Vec<Record>,
    now: UnixMillis,
) -> Judgement {
    let concerned = concerned(order, asked.subject);
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

/// The facts of a call to one number, relative to its seller, number, account and person.
fn policy_facts(
    order: &Order,
    asked: &Asked<'_>,
    facts: &ContactFacts,
    heads: &[(SubjectId, Head)],
    now: UnixMillis,
) -> Facts {
    let (subject, number) = (asked.subject, asked.number);
    let seller = order.campaign.seller_no;
    let mut call = Call::manual(number.number, order.campaign.purpose);
    call.line = number.line;
    call.party = facts.party;
    call.address.clone_from(&facts.address);
    call.technology = order.campaign.technology;
    call.has_account = order.account.is_some();
    call.relationship = facts.relationship;
    call.role = facts.role;
    Facts {
        call,
        consents: consents(number, now),
        suppressions: suppressions(&concerned(order, subject), seller, heads),
        lists: number.lists.clone(),
        history: history(order, subject, heads, now),
        emergency: facts.emergency.clone(),
    }
}

/// The consents as they stand. A revocation that was recorded holds now, whatever the clock of
/// the process that recorded it said.
fn consents(number: &NumberFacts, now: UnixMillis) -> Vec<Consent> {
    let clamped = |consent: &Consent| Consent {
        revoked_at: consent.revoked_at.map(|at| at.min(now)),
        ..*consent
    };
    number.consents.iter().map(clamped).collect()
}

/// The do-not-call marks that bind this seller. They carry no date: they hold from now on.
fn suppressions(
    subjects: &[SubjectId],
    seller: SellerNo,
    heads: &[(SubjectId, Head)],
) -> Vec<Suppression> {
    heads
        .iter()
        .filter(|(subject, _)| subjects.contains(subject))
        .flat_map(|(_, head)| head.marks())
        .filter(|mark| mark.kind == MarkKind::Suppressed && mark.binds(seller))
        .map(|mark| Suppression {
            scope: if mark.seller == SellerNo(0) {
                SuppressionScope::Global
            } else {
                SuppressionScope::Seller
            },
            added_at: UnixMillis(0),
        })
        .collect()
}

/// Distinct placements over the union of the number, the account and the person. None is in the
/// future: entries are rounded up to seconds and come from clocks that may be ahead of ours, and
/// the evaluator does not count what has not happened yet.
fn history(
    order: &Order,
    number: SubjectId,
    heads: &[(SubjectId, Head)],
    now: UnixMillis,
) -> Vec<Past> {
    let mut distinct: BTreeMap<u64, Past> = BTreeMap::new();
    for (subject, head) in heads {
        let (same_number, same_account, same_person) =
            (*subject == number, Some(*subject) == order.account, *subject == order.person);
        if !(same_number || same_account || same_person) {
            continue;
        }
        for entry in head.entries() {
            let past = distinct.entry(entry.key).or_insert_with(|| Past {
                at: entry.at().min(now),
                same_number: false,
                same_account: false,
                same_person: false,
                same_seller: entry.seller == order.campaign.seller_no,
                purpose: entry.purpose,
                technology: entry.technology,
                outcome: entry.outcome,
                inbound: entry.inbound,
            });
            past.same_number |= same_number;
            past.same_account |= same_account;
            past.same_person |= same_person;
        }
    }
    distinct.into_values().collect()
}
