//! Refusals: people whose calls of today are enough, judged on the heads in Redis. Their facts are at hand;
//! what is written down of them is made, and would be written many at a time afterwards.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use dialer_engine::{Campaign, Order};
use dialer_facts::lists::Lists;
use dialer_judge::{GUARD, Scene, decision, judge};
use dialer_policy::{Ruleset, Verdict};
use dialer_types::{AttemptId, Mint, SubjectId};
use serde::Serialize;

use super::{
    cpu,
    fill::{self, People},
    report::each,
};
use crate::store::Stores;

/// How many people, in turn.
const PEOPLE: u32 = 4_096;
/// Heads are read for so many at once, as the gate does when it is busy.
const TOGETHER: usize = 256;

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Refusals {
    /// Refusals a second that one processor makes, Redis included.
    pub per_core: u64,
    /// Microseconds of processor time of the dialer, for each.
    pub dialer_us: f64,
    /// Microseconds of processor time of Redis, for each.
    pub redis_us: f64,
    /// Refusals made.
    pub made: u64,
    /// Transactions that Postgres had meanwhile, those of this measurement itself included.
    pub postgres_transactions: i64,
}

pub(super) async fn measure(
    stores: &Stores,
    redis: &redis::Client,
    (rules, campaign): (&Ruleset, &Arc<Campaign>),
    people: People,
    mint: &mut Mint,
    length: Duration,
) -> Result<Refusals> {
    let now = stores.clock.now().wall;
    let people: Vec<_> = (0..people.count.min(PEOPLE)).map(|index| people.at(index)).collect();
    let contacts: BTreeSet<_> = people.iter().map(|person| person.contact).collect();
    let facts = stores.facts(&contacts, &Lists::default()).await?;
    // A call an hour until now.
    let head = fill::past(mint, now, Duration::from_secs(3_600))?;
    let head = fill::called(mint, &head, now)?;
    let subjects = |part: &[fill::Person]| {
        part.iter().flat_map(|it| [it.person, it.number]).collect::<Vec<SubjectId>>()
    };
    for part in people.chunks(TOGETHER) {
        let copies = subjects(part).into_iter().map(|subject| (subject, head.clone(), true));
        stores.redis.load(&copies.collect::<Vec<_>>()).await?;
    }
    let transactions = transactions(stores).await?;
    let before = cpu::spent(&stores.pool, redis).await?;
    let (end, mut made, mut bytes) = (stores.clock.now().mono + length, 0_u64, 0);
    while stores.clock.now().mono < end {
        for part in people.chunks(TOGETHER) {
            let heads = stores.read_heads(&subjects(part)).await?;
            for person in part {
                let Some(known) = facts.get(&person.contact) else { continue };
                let Some(number) = known.numbers.first() else { continue };
                let of = |subject| heads.get(&subject).map(|head| (subject, head.clone()));
                let heads: Vec<_> =
                    [person.person, person.number].into_iter().filter_map(of).collect();
                let order = Order {
                    attempt: AttemptId { contact: person.contact, try_no: 1 },
                    made: 0,
                    campaign: Arc::clone(campaign),
                    person: person.person,
                    account: None,
                    numbers: vec![(0, person.number)],
                };
                let terms = order.terms();
                let verdict = judge(rules, &terms, known, number, &heads, GUARD, now);
                ensure!(!matches!(verdict, Verdict::Permit(_)), "nobody is called again so soon");
                let scene = Scene {
                    node: stores.node,
                    order: &order,
                    subjects: terms.concerned(person.number),
                    number,
                    supplied: &known.supplied,
                    ruleset: rules.version(),
                    now,
                };
                let record = decision(&scene, &verdict, None);
                bytes += dialer_audit::canonical::encode(&record)?.len();
                made += 1;
            }
        }
    }
    ensure!(made > 0 && bytes > 0, "nobody was judged");
    let spent = cpu::spent(&stores.pool, redis).await?.since(before);
    let postgres_transactions = self::transactions(stores).await? - transactions;
    stores.redis.forget(&subjects(&people)).await?;
    Ok(Refusals {
        per_core: made * 1_000_000 / (spent.dialer + spent.redis).max(1),
        dialer_us: each(spent.dialer, made),
        redis_us: each(spent.redis, made),
        made,
        postgres_transactions,
    })
}

async fn transactions(stores: &Stores) -> Result<i64> {
    Ok(sqlx::query_scalar(
        "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()",
    )
    .fetch_one(&stores.pool)
    .await?)
}
