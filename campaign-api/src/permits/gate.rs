//! From a leased contact to a permit or a denial: the gate's own way.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use dialer_audit::{Receipt, Record};
use dialer_judge::{
    CLOCK_BOUND, Commitment, ContactFacts, Denied, GUARD, HORIZON, Handover, NumberFacts, Order,
    Outlook, PERMIT_LIFE, Permitted, Released, Returned, Scene, decision, intent, judge,
    stands_until,
};
use dialer_limiter::{Demand, Entry, Head, Reservation};
use dialer_policy::{Permit, Ruleset, Verdict};
use dialer_stores::{By, Item, commit, placed, reserve};
use dialer_types::{
    Disposition, Language, NodeId, Outcome, PlacementId, SubjectId, TrunkId, UnixMillis,
};
use uuid::Uuid;

use super::{end::settle, finish, forget, heads::heads, in_time, lease::agree, read::look};
use crate::{
    app::App,
    http::{eligibility::duty_of, error::Problem},
    judging::Case,
};

/// Judgements that may lose their race before the caller is told to come back: as many as the
/// dialer's.
const MAX_ROUNDS: usize = 5;

/// What the gate decided.
#[derive(Debug)]
pub(crate) enum Decided {
    /// It may be handed over.
    Permitted(Handover),
    /// The rules deny every number that was asked for; on record.
    Denied(Box<Denial>),
}

/// A denial as it is told.
#[derive(Debug)]
pub(crate) struct Denial {
    pub(crate) order: Order,
    pub(crate) case: Case,
    pub(crate) verdicts: Vec<(SubjectId, Verdict)>,
}

/// One contact on its way.
struct Way<'a> {
    app: &'a App,
    by: By,
    order: &'a Order,
    language: Language,
}

/// A permitted placement that nobody has asked the stores for yet.
struct Chosen {
    placement: PlacementId,
    permit: Permit,
    number: SubjectId,
    demand: Arc<Demand>,
    not_after: UnixMillis,
    call_id: String,
    records: Vec<Record>,
    at: UnixMillis,
}

enum Judgement {
    Permitted(Box<Chosen>),
    Denied(Box<(Denied, Denial)>),
    /// No demand could be made: a head is full. Never lawful (G5).
    Full,
}

/// Decides about a contact that this process has leased. `asked`: the id the permit was asked for
/// under. Whatever comes of it, the contact is not left leased but for a permit.
///
/// # Errors
/// 409 if others are judged at the same heads all the time, 503 if a store is not there: no permit.
pub(crate) async fn decide(
    app: &App,
    node: NodeId,
    order: &Order,
    mut asked: PlacementId,
    language: Language,
) -> Result<Decided, Problem> {
    let way = Way { app, by: By { node, owner: node }, order, language };
    for _ in 0..MAX_ROUNDS {
        let chosen = match way.judged().await {
            Err(problem) => return way.back("gate_unavailable", Some(asked), problem).await,
            Ok(Judgement::Full) => {
                let detail =
                    "the history of its calls is full: it is not judged until entries have lapsed";
                let problem = Problem::conflict("history_full", detail);
                return way.back("history_full", Some(asked), problem).await;
            }
            Ok(Judgement::Denied(denied)) => return way.denied(asked, *denied).await,
            Ok(Judgement::Permitted(chosen)) => chosen,
        };
        let reservation = match reserve(&app.redis, &chosen.demand).await {
            Ok(Some(reservation)) => reservation,
            Ok(None) => {
                way.lost(chosen.records).await;
                continue;
            }
            Err(error) => {
                way.drop_copies(&chosen).await;
                way.lost(chosen.records).await;
                return way.back("gate_unavailable", Some(asked), error.into()).await;
            }
        };
        if let Err(problem) = way.name(asked, &chosen).await {
            way.drop_copies(&chosen).await;
            way.lost(chosen.records).await;
            return way.back("gate_unavailable", Some(asked), problem).await;
        }
        asked = chosen.placement;
        let batch = [way.commitment(&chosen)];
        match in_time(commit(&app.pool, node, &batch, &app.permits.grounds)).await {
            Ok(mut committed) => match committed.receipt(chosen.placement) {
                Some(receipt) => return way.hand_over(*chosen, reservation, receipt).await,
                None => {
                    way.drop_copies(&chosen).await;
                    way.lost(chosen.records).await;
                }
            },
            Err(error) => return way.unknown(&chosen, error.into()).await,
        }
    }
    let detail = "others are judged at the same heads: nothing was permitted; ask again";
    let problem = Problem::conflict("contended", detail).retry_after(1);
    way.back("contended", Some(asked), problem).await
}

impl Way<'_> {
    /// Heads first, facts second; then every number in turn.
    async fn judged(&self) -> Result<Judgement, Problem> {
        let heads = heads(self.app, &self.order.subjects()).await?;
        let unreadable =
            || Problem::unavailable("unknown_facts", "what the rules need cannot be read");
        let heads = heads.ok_or_else(unreadable)?;
        let lists = self.app.judging.lists().await?;
        let ids = BTreeSet::from([self.order.attempt.contact]);
        let mut connection = self.app.pool.acquire().await?;
        let mut facts =
            dialer_facts::contacts(&mut connection, &self.app.keys, &lists, &ids).await?;
        drop(connection);
        let facts = facts.remove(&self.order.attempt.contact).ok_or_else(unreadable)?;
        let ruleset = self.app.judging.ruleset();
        Ok(self.judge(&ruleset, heads, facts, self.app.now()))
    }

    fn judge(
        &self,
        ruleset: &Ruleset,
        heads: Vec<(SubjectId, Head)>,
        facts: ContactFacts,
        now: UnixMillis,
    ) -> Judgement {
        let (mut records, mut verdicts) = (Vec::new(), Vec::new());
        let mut outlook = Outlook::default();
        let terms = self.order.terms();
        for (_, subject) in &self.order.numbers {
            let Some(number) = facts.numbers.iter().find(|it| it.subject == *subject) else {
                continue;
            };
            let placement = PlacementId(self.app.ulid());
            let verdict = judge(ruleset, &terms, &facts, number, &heads, GUARD, now);
            let permitted = matches!(verdict, Verdict::Permit(_)).then_some(placement);
            records.push(self.record(ruleset, number, &facts, &verdict, permitted, now));
            if let Verdict::Permit(permit) = verdict {
                return self.choose(number, placement, permit, &heads, records, now);
            }
            outlook.add(&verdict);
            verdicts.push((*subject, verdict));
        }
        let Some((next, rules)) = outlook.into_next() else { return Judgement::Full };
        let denied = Denied {
            attempt: self.order.attempt,
            campaign: self.order.campaign.id,
            next,
            records,
            rules,
            judged: heads.iter().map(|(subject, head)| (*subject, head.token())).collect(),
        };
        let order = self.order.numbers.iter().map(|(_, subject)| *subject).collect();
        let case = Case { terms, order, facts: Some(facts), heads: Some(heads) };
        Judgement::Denied(Box::new((denied, Denial { order: self.order.clone(), case, verdicts })))
    }

    fn record(
        &self,
        ruleset: &Ruleset,
        number: &NumberFacts,
        facts: &ContactFacts,
        verdict: &Verdict,
        placement: Option<PlacementId>,
        now: UnixMillis,
    ) -> Record {
        let scene = Scene {
            node: self.by.node,
            order: self.order,
            subjects: self.order.terms().concerned(number.subject),
            number,
            supplied: &facts.supplied,
            ruleset: ruleset.version(),
            now,
        };
        decision(&scene, verdict, placement)
    }

    fn choose(
        &self,
        number: &NumberFacts,
        placement: PlacementId,
        permit: Permit,
        heads: &[(SubjectId, Head)],
        mut records: Vec<Record>,
        now: UnixMillis,
    ) -> Judgement {
        let concerned = self.order.terms().concerned(number.subject);
        let heads: Vec<_> =
            heads.iter().filter(|(id, _)| concerned.contains(id)).cloned().collect();
        let campaign = &self.order.campaign;
        let entry = Entry {
            key: Entry::key_of(placement),
            at_seconds: Entry::seconds(now),
            seller: campaign.seller_no,
            campaign: campaign.no,
            purpose: campaign.purpose,
            technology: campaign.technology,
            outcome: Outcome::Pending,
            inbound: false,
        };
        let Ok(demand) = Demand::new(placement, &heads, entry, now.before(HORIZON)) else {
            return Judgement::Full;
        };
        let not_after = stands_until(&permit, PERMIT_LIFE, now);
        let call_id = format!("{placement}@ringfence");
        let told = Permitted {
            placement,
            trunk: TrunkId::NONE,
            demand: &demand,
            not_after,
            sip_call_id: &call_id,
        };
        let bound = u32::try_from(CLOCK_BOUND.as_millis()).unwrap_or(u32::MAX);
        let offset = self.app.clock.offset_ms();
        records.push(intent(self.by.node, self.order, &told, bound, offset, now));
        let number = number.subject;
        let demand = Arc::new(demand);
        let chosen =
            Chosen { placement, permit, number, demand, not_after, call_id, records, at: now };
        Judgement::Permitted(Box::new(chosen))
    }

    fn commitment(&self, chosen: &Chosen) -> Commitment {
        Commitment {
            demand: Arc::clone(&chosen.demand),
            attempt: self.order.attempt,
            campaign: self.order.campaign.id,
            seller: self.order.campaign.seller,
            number: chosen.number,
            person: self.order.person,
            account: self.order.account,
            trunk: TrunkId::NONE,
            at: chosen.at,
            not_after: chosen.not_after,
            sip_call_id: chosen.call_id.clone(),
            records: chosen.records.clone(),
        }
    }

    /// The permit is asked for under the id of this judgement from here on, with its duties: who
    /// repeats the request is told the same ones.
    async fn name(&self, asked: PlacementId, chosen: &Chosen) -> Result<(), Problem> {
        let duties = chosen.permit.obligations().iter().map(|duty| duty_of(duty, self.language));
        let duties =
            serde_json::to_string(&duties.collect::<Vec<_>>()).map_err(Problem::internal)?;
        let close_at = chosen.not_after.after(CLOCK_BOUND);
        let named =
            sqlx::query("UPDATE permit SET id = $2, duties = $3, close_at = $4 WHERE id = $1")
                .bind(Uuid::from_u128(asked.0))
                .bind(Uuid::from_u128(chosen.placement.0))
                .bind(duties)
                .bind(close_at.0)
                .execute(&self.app.pool)
                .await?;
        if named.rows_affected() == 1 {
            return Ok(());
        }
        let detail =
            "the request took so long that it was cleaned up: nothing was permitted; ask again";
        Err(Problem::unavailable("too_slow", detail))
    }

    /// Durable: put the proofs together and look once more, as late as can be.
    async fn hand_over(
        &self,
        chosen: Chosen,
        reservation: Reservation,
        receipt: Receipt,
    ) -> Result<Decided, Problem> {
        let asked = self.app.now();
        let looked = look(self.app, chosen.placement).await;
        let now = self.app.now();
        let refused = match looked {
            Err(problem) => ("gate_unavailable", problem),
            Ok(None) => ("gate_unavailable", Problem::internal("a permit that is not there")),
            Ok(Some(seen)) => match (agree(seen.postgres, asked, now), seen.revoked) {
                (Err(problem), _) => ("clock_off", problem),
                (Ok(()), Some(why)) => {
                    let detail = "it was revoked before it could be handed over; ask again";
                    (why, Problem::conflict("revoked", detail).retry_after(1))
                }
                (Ok(()), None) => {
                    let rules = self.app.judging.ruleset().version();
                    let (id, not_after) = (chosen.placement, chosen.not_after);
                    let made = Handover::new(
                        id,
                        &chosen.permit,
                        not_after,
                        reservation,
                        receipt,
                        rules,
                        now,
                    );
                    match made {
                        Ok(handover) => return Ok(Decided::Permitted(handover)),
                        Err(error) => {
                            let detail = "it could not be handed over in its life; ask again";
                            let problem = Problem::unavailable("not_handed_over", detail);
                            (error.word(), problem)
                        }
                    }
                }
            },
        };
        let (because, problem) = refused;
        self.unsent(chosen.placement, because).await;
        Err(problem)
    }

    /// Committed, and never handed over: it stops counting.
    async fn unsent(&self, placement: PlacementId, because: &'static str) {
        let open = match self.app.pool.acquire().await {
            Ok(mut connection) => placed(&mut connection, placement).await.ok().flatten(),
            Err(_) => None,
        };
        // What cannot be read is closed later, as outcome unknown: it counts.
        let Some(open) = open else { return };
        let told = (Disposition::NotSent, dialer_judge::Spoken::default());
        if settle(self.app, &open, told, because, self.by.node).await.is_ok()
            && let Err(error) = forget(self.app, placement).await
        {
            tracing::debug!(%error, "a permit that was not handed over is cleaned up later");
        }
    }

    /// Every number is denied: that is on record before anybody is told.
    async fn denied(
        &self,
        asked: PlacementId,
        (denied, denial): (Denied, Denial),
    ) -> Result<Decided, Problem> {
        let stale = finish(self.app, self.by, vec![Item::Deny(Box::new(denied))]).await?;
        forget(self.app, asked).await?;
        if stale {
            let detail = "others are judged at the same heads: nothing was permitted; ask again";
            return Err(Problem::conflict("contended", detail).retry_after(1));
        }
        Ok(Decided::Denied(Box::new(denial)))
    }

    /// The commit's answer never came: nothing is handed over, and Postgres is told so for certain.
    async fn unknown(&self, chosen: &Chosen, problem: Problem) -> Result<Decided, Problem> {
        self.drop_copies(chosen).await;
        let now = self.app.now();
        let released = Released {
            placement: chosen.placement,
            attempt: self.order.attempt,
            campaign: self.order.campaign.id,
            subjects: chosen.demand.claims().iter().map(|claim| claim.subject).collect(),
            due_at: now.after(Duration::from_secs(1)),
            because: "commit_unavailable",
            at: now,
        };
        let items = vec![Item::Release(Box::new(released))];
        finish(self.app, self.by, items).await.ok();
        Err(problem)
    }

    /// No judgement could be made, or none that stood: the contact is due again, as it was.
    async fn back(
        &self,
        because: &'static str,
        asked: Option<PlacementId>,
        problem: Problem,
    ) -> Result<Decided, Problem> {
        let returned = Returned {
            attempt: self.order.attempt,
            campaign: self.order.campaign.id,
            at: self.app.now(),
            because,
        };
        finish(self.app, self.by, vec![Item::Return(returned)]).await.ok();
        if let Some(asked) = asked {
            forget(self.app, asked).await.ok();
        }
        Err(problem)
    }

    /// A judgement that led to no placement is a judgement all the same: it goes on record, without
    /// the intent, which was never written.
    async fn lost(&self, records: Vec<Record>) {
        let judged =
            records.into_iter().filter(|it| matches!(it.body, dialer_audit::Body::Decision(_)));
        let items: Vec<_> = judged.map(|record| Item::Record(Box::new(record))).collect();
        finish(self.app, self.by, items).await.ok();
    }

    async fn drop_copies(&self, chosen: &Chosen) {
        let subjects: Vec<_> = chosen.demand.claims().iter().map(|claim| claim.subject).collect();
        if let Err(error) = self.app.redis.forget(&subjects).await {
            tracing::debug!(%error, "copies that Postgres disagreed with are left to lapse");
        }
    }
}
