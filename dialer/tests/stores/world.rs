//! A database, a Redis and a campaign with people in it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use dialer::{
    clock::Clock,
    gate::Gate,
    metrics::Metrics,
    store::{Stores, commits::Answers, ledgers::Item, redis::Redis},
};
use dialer_audit::{
    Hash, Record,
    record::{Decision, Ended, Intent, Verdict},
};
use dialer_engine::{Answer, Commitment, Next, Settlement, Spoken};
use dialer_limiter::{Demand, Entry, Head};
use dialer_types::{
    AttemptId, CampaignId, CampaignNo, ContactId, Disposition, E164, LineType, Mint, NodeId,
    Outcome, PlacementId, Purpose, RuleId, SellerId, SellerNo, SubjectId, Technology, TrunkId,
    UnixMillis,
};
use schema::{
    numbers::NumberKeys,
    rows,
    testing::{PrivatePostgres, PrivateRedis},
};
use sqlx::{AssertSqlSafe, PgPool, postgres::PgPoolOptions};
use uuid::Uuid;

pub(crate) struct World {
    pub(crate) postgres: Arc<PrivatePostgres>,
    pub(crate) database: String,
    pub(crate) redis: PrivateRedis,
    pub(crate) owner: PgPool,
    pub(crate) stores: Arc<Stores>,
    pub(crate) seller: SellerId,
    pub(crate) campaign: CampaignId,
    pub(crate) trunk: TrunkId,
    pub(crate) mint: Mint,
    people: u64,
}

/// Somebody in the campaign's list.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Contact {
    pub(crate) id: ContactId,
    pub(crate) person: SubjectId,
    pub(crate) number: SubjectId,
}

pub(crate) fn keys() -> NumberKeys {
    NumberKeys { cipher: [1; 32], lookup: [2; 32] }
}

pub(crate) const NOW: UnixMillis = UnixMillis(1_795_000_000_000);

impl World {
    pub(crate) async fn new() -> Self {
        let postgres = PrivatePostgres::shared().unwrap();
        let database = postgres.new_database().unwrap();
        let owner = PgPoolOptions::new()
            .max_connections(4)
            .connect(&postgres.owner_url(&database))
            .await
            .unwrap();
        schema::MIGRATOR.run(&owner).await.unwrap();
        let redis = PrivateRedis::start().unwrap();
        let mut mint = Mint::new(rand());
        let stores = stores(&postgres, &database, &redis).await;
        let (seller, campaign, trunk) = (mint.ulid(NOW), mint.ulid(NOW), mint.ulid(NOW));
        let world = Self {
            postgres,
            database,
            redis,
            owner,
            stores,
            seller: SellerId(seller),
            campaign: CampaignId(campaign),
            trunk: TrunkId(trunk),
            mint,
            people: 0,
        };
        world.fill().await;
        world
    }

    async fn fill(&self) {
        let (seller, campaign) = (Uuid::from_u128(self.seller.0), Uuid::from_u128(self.campaign.0));
        let trunk = Uuid::from_u128(self.trunk.0);
        self.sql(&format!(
            "INSERT INTO seller (id, name, created_at) VALUES ('{seller}', 'seller', 0);
             INSERT INTO trunk (id, name, address, milli_cps, max_concurrent, created_at)
             VALUES ('{trunk}', 'trunk', '127.0.0.1:5060', 10000, 10, 0);
             INSERT INTO campaign (id, seller_id, name, purpose, technology, status, caller_id,
                 announces, prompt, milli_cps, max_concurrent, max_tries, ring_timeout_ms, retry, created_at)
             VALUES ('{campaign}', '{seller}', 'campaign', 1, 4, 'running', '+13055550100',
                 '{{identity}}', 'hello', 10000, 10, 3, 20000, '{{\"outcome_unknown\": 60}}', 0);
             INSERT INTO campaign_trunk VALUES ('{campaign}', '{trunk}', 1);
             INSERT INTO contact_list (id, campaign_id, name, state, created_at)
             VALUES ('{campaign}', '{campaign}', 'list', 'imported', 0);"
        ))
        .await;
    }

    /// Several statements, as the owner of the database.
    pub(crate) async fn sql(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&self.owner).await.unwrap();
    }

    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.owner).await.unwrap()
    }

    /// A contact, due at `due`, or leased by `stores`' node where there is no moment.
    pub(crate) async fn contact(&mut self, due: Option<UnixMillis>) -> Contact {
        self.people += 1;
        let digits = 13_055_550_000 + self.people;
        let mut connection = self.owner.acquire().await.unwrap();
        let number = E164::from_digits(digits).unwrap();
        let lines = [(number, LineType::Wireless)];
        let number =
            rows::numbers(&mut connection, &keys(), &lines, &mut self.mint, NOW).await.unwrap()[0]
                .subject;
        let id = self.mint.ulid(NOW);
        let name = id.to_string();
        let person =
            rows::persons(&mut connection, self.seller, &[name.as_str()], &mut self.mint, NOW)
                .await
                .unwrap()[0]
                .subject;
        let (uuid, campaign) = (Uuid::from_u128(id), Uuid::from_u128(self.campaign.0));
        let (state, node) = match due {
            Some(_) => (2, "NULL".to_owned()),
            None => (3, format!("'{}'", Uuid::from_u128(self.stores.node.0))),
        };
        self.sql(&format!(
            "INSERT INTO contact (id, campaign_id, list_id, person_subject, party_type, party_role,
                                  country, region, state, node)
             VALUES ('{uuid}', '{campaign}', '{campaign}', {}, 1, 1, 'US', 'FL', {state}, {node});
             INSERT INTO contact_number VALUES ('{uuid}', 0, {});",
            person.0, number.0
        ))
        .await;
        if let Some(at) = due {
            self.sql(&format!(
                "INSERT INTO due (contact_id, campaign_id, due_at) VALUES ('{uuid}', '{campaign}', {})",
                at.0
            ))
            .await;
        }
        Contact { id: ContactId(id), person, number }
    }

    /// What a judgement on these heads would commit.
    pub(crate) fn judged(
        &mut self,
        contact: Contact,
        try_no: u16,
        heads: &[(SubjectId, Head)],
    ) -> Commitment {
        let placement = PlacementId(self.mint.ulid(NOW));
        let attempt = AttemptId { contact: contact.id, try_no };
        let demand = Demand::new(placement, heads, entry(placement), UnixMillis(0)).unwrap();
        let decision = self.decision(contact, attempt, placement);
        let intent = Intent {
            placement,
            attempt,
            trunk: self.trunk,
            heads: demand
                .claims()
                .iter()
                .map(|claim| dialer_audit::record::Advance {
                    subject: claim.subject,
                    judged: dialer_audit::record::Token(claim.base.0),
                    token: dialer_audit::record::Token(placement.0),
                })
                .collect(),
            not_after: NOW.after(Duration::from_secs(5)),
            clock_bound_ms: 1_000,
            clock_offset_ms: 0,
            sip_call_id: placement.to_string(),
        };
        let node = Some(self.stores.node);
        Commitment {
            demand: Arc::new(demand),
            attempt,
            campaign: self.campaign,
            seller: self.seller,
            number: contact.number,
            person: contact.person,
            account: None,
            trunk: self.trunk,
            at: NOW,
            not_after: NOW.after(Duration::from_secs(5)),
            sip_call_id: placement.to_string(),
            records: vec![
                Record::new(node, decision.into(), NOW),
                Record::new(node, intent.into(), NOW),
            ],
        }
    }

    /// What was said of another number of the contact, before the one that is called.
    pub(crate) fn denial(&self, of: &Commitment) -> Record {
        let contact = Contact { id: of.attempt.contact, person: of.person, number: of.number };
        let denied = |rule: &str| dialer_audit::record::Denial {
            rule: RuleId::new(rule),
            citation: "16 CFR 310.4(b)(1)(iii)(B)".to_owned(),
            until: None,
            why: "on the list".to_owned(),
        };
        let decision = Decision {
            placement: None,
            verdict: Verdict::Refuse,
            denied_by: vec![denied("us.national_dnc"), denied("us.fl.no_sales")],
            ..self.decision(contact, of.attempt, of.demand.placement())
        };
        Record::new(Some(self.stores.node), decision.into(), NOW)
    }

    fn decision(&self, contact: Contact, attempt: AttemptId, placement: PlacementId) -> Decision {
        let mut subjects = vec![contact.number, contact.person];
        subjects.sort_unstable();
        Decision {
            attempt,
            placement: Some(placement),
            campaign: self.campaign,
            seller: self.seller,
            subjects,
            purpose: Purpose::Telemarketing,
            technology: Technology::Prerecorded,
            line_type: LineType::Wireless,
            verdict: Verdict::Permit,
            until: None,
            denied_by: Vec::new(),
            rules_asked: 3,
            ruleset: Hash::of(b"rules"),
            places: Vec::new(),
            counters: Vec::new(),
            lists: Vec::new(),
            obligations: Vec::new(),
            inputs: Vec::new(),
            rules_passed: Some(
                ["us.fcc.hours", "us.tsr.dnc", "house.day_cap"].map(RuleId::new).into(),
            ),
            exceptions: None,
        }
    }

    /// Reads a contact's heads through both stores, as a judgement does.
    pub(crate) async fn heads(&self, contact: Contact) -> Vec<(SubjectId, Head)> {
        let mut subjects = vec![contact.number, contact.person];
        subjects.sort_unstable();
        self.stores.read_heads(&subjects).await.unwrap().into_iter().collect()
    }

    /// The heads in Postgres.
    pub(crate) async fn truth(&self) -> BTreeMap<SubjectId, Head> {
        let rows: Vec<(i64, Vec<u8>)> = sqlx::query_as("SELECT subject_id, head FROM subject_head")
            .fetch_all(&self.owner)
            .await
            .unwrap();
        rows.into_iter().map(|(id, head)| (SubjectId(id), Head::decode(&head).unwrap())).collect()
    }

    /// Judges, reserves and commits.
    pub(crate) async fn place(&mut self, contact: Contact, try_no: u16) -> Commitment {
        let heads = self.heads(contact).await;
        let commitment = self.judged(contact, try_no, &heads);
        assert!(self.stores.redis.reserve(&commitment.demand).await.unwrap());
        let again = self.copy(&commitment);
        assert!(stood(&self.stores.commit(vec![commitment]).await));
        again
    }

    /// Another value with the same contents.
    pub(crate) fn copy(&self, of: &Commitment) -> Commitment {
        Commitment {
            demand: Arc::clone(&of.demand),
            sip_call_id: of.sip_call_id.clone(),
            records: of.records.clone(),
            ..*of
        }
    }

    pub(crate) fn ended(&self, of: &Commitment, disposition: Disposition, next: Next) -> Item {
        let placement = of.demand.placement();
        let ended = Ended {
            attempt: of.attempt,
            placement,
            disposition,
            sip_code: None,
            q850: None,
            ring_ms: None,
            answered_at: None,
            ended_at: Some(NOW),
            correction: false,
        };
        Item::Settle(Box::new(Settlement {
            placement,
            attempt: of.attempt,
            campaign: of.campaign,
            subjects: of.demand.claims().iter().map(|claim| claim.subject).collect(),
            disposition,
            spoken: Spoken::default(),
            next,
            made: 1,
            next_position: 0,
            record: Record::new(Some(self.stores.node), ended.into(), NOW),
            at: NOW,
        }))
    }

    /// Another process on the same stores.
    pub(crate) async fn another(&self) -> Arc<Stores> {
        stores(&self.postgres, &self.database, &self.redis).await
    }
}

async fn stores(postgres: &PrivatePostgres, database: &str, redis: &PrivateRedis) -> Arc<Stores> {
    let pool =
        PgPoolOptions::new().max_connections(8).connect(&postgres.app_url(database)).await.unwrap();
    let metrics = Metrics::new().unwrap();
    let mut mint = Mint::new(rand());
    let node = NodeId(mint.ulid(NOW));
    let redis = Redis::new(&redis.url()).unwrap();
    let gate = Gate::new(metrics.clone());
    let stores = Stores::new(pool, redis, Clock::default(), gate, metrics, node, keys(), mint);
    stores.register(&node.to_string()).await.unwrap();
    Arc::new(stores)
}

fn rand() -> [u8; 32] {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).unwrap();
    seed
}

pub(crate) fn entry(placement: PlacementId) -> Entry {
    Entry {
        key: Entry::key_of(placement),
        at_seconds: Entry::seconds(NOW),
        seller: SellerNo(1),
        campaign: CampaignNo(1),
        purpose: Purpose::Telemarketing,
        technology: Technology::Prerecorded,
        outcome: Outcome::Pending,
        inbound: false,
    }
}

/// Whether every one of these is durable now.
pub(crate) fn stood(answers: &Answers) -> bool {
    answers.iter().all(|(_, answer)| matches!(answer, Answer::Given(Ok(_))))
}

/// Whether every one of these lost its race.
pub(crate) fn lost(answers: &Answers) -> bool {
    answers.iter().all(|(_, answer)| matches!(answer, Answer::Given(Err(_))))
}
