//! Why not: the gate's own engine and the API say the same of everybody.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use dialer_audit::Body;
use dialer_engine::{
    Answer, Campaign, Config, Engine, Input, Next, Order, Output, RetryRules, SipConfig, Timers,
    Trunk,
};
use dialer_facts::{campaign_terms, lists::Folder};
use dialer_policy::{Options, Ruleset};
use dialer_types::{
    AttemptId, CampaignId, CampaignNo, ContactId, NodeId, Now, SellerId, SubjectId, TrunkId,
    UnixMillis,
};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::Row as _;
use uuid::Uuid;

use crate::{
    people::{CAMPAIGNS, People},
    world::World,
};

const TRUNK: TrunkId = TrunkId(7);

/// What the gate said of one number: verdict, rules, until.
type Said = (String, Vec<String>, Option<i64>);

/// What the gate did: permitted, or denied each number and put the contact there.
#[derive(Debug)]
enum Did {
    Permitted,
    Denied(Vec<Said>, Next),
}

/// The engine of the dialer, fed from the world's database.
struct Gate {
    engine: Engine,
    mono: Instant,
}

impl Gate {
    #[expect(clippy::disallowed_methods, reason = "an engine wants a moment to start at")]
    fn new() -> Self {
        let here = "127.0.0.1:5070".parse().unwrap();
        let config = Config {
            node: NodeId(1),
            sip: SipConfig {
                advertised: here,
                user_agent: "test".to_owned(),
                timers: Timers::default(),
                max_calls: 100,
            },
            rtp_address: here.ip(),
            rtp_ports: (20_000..20_100).collect(),
            permit_life: dialer_judge::PERMIT_LIFE,
            clock_bound: dialer_judge::CLOCK_BOUND,
            store_patience: Duration::from_secs(5),
            spread: Duration::ZERO,
            clock_offset_ms: 0,
            campaign_header: false,
        };
        let rules = Arc::new(Ruleset::shipped(Options { house: true }).unwrap());
        let mut gate = Self { engine: Engine::new(config, rules, [5; 32]), mono: Instant::now() };
        let trunk = Trunk {
            id: TRUNK,
            address: here,
            credentials: None,
            max_concurrent: 100,
            budget: dialer_engine::BUDGET,
        };
        gate.input(Input::Trunks(vec![trunk]), UnixMillis(0));
        gate
    }

    fn input(&mut self, input: Input<'_>, wall: UnixMillis) -> Vec<Output> {
        self.engine.handle_input(input, Now { wall, mono: self.mono });
        std::iter::from_fn(|| self.engine.poll_output()).collect()
    }

    /// Takes a contact as the scheduler would, at a moment.
    async fn judge(&mut self, people: &People, contact: ContactId, at: UnixMillis) -> Did {
        let order = order(&people.world, contact).await;
        let (attempt, subjects) = (order.attempt, order.subjects());
        self.input(Input::Due(Box::new(order)), at);
        let mut connection = people.world.app.pool.acquire().await.unwrap();
        let heads = dialer_facts::heads(&mut connection, &subjects).await.unwrap();
        self.input(Input::Heads(attempt, Answer::Given(heads.into_iter().collect())), at);
        let lists = Folder::open(&people.lists).lists().load_full();
        let keys = &people.world.app.keys;
        let ids = BTreeSet::from([contact]);
        let mut facts = dialer_facts::contacts(&mut connection, keys, &lists, &ids).await.unwrap();
        let facts = Box::new(facts.remove(&contact).unwrap());
        let outputs = self.input(Input::Facts(attempt, Answer::Given(facts)), at);
        for output in outputs {
            match output {
                Output::Reserve(..) => return Did::Permitted,
                Output::Deny(denied) => {
                    let said = denied.records.iter().map(|record| match &record.body {
                        Body::Decision(said) => (
                            said.verdict.as_str().to_owned(),
                            said.denied_by.iter().map(|by| by.rule.to_string()).collect(),
                            said.until.map(|until| until.0),
                        ),
                        other => panic!("{other:?}"),
                    });
                    return Did::Denied(said.collect(), denied.next);
                }
                _ => {}
            }
        }
        panic!("the gate said nothing")
    }
}

async fn order(world: &World, contact: ContactId) -> Order {
    let row = sqlx::query(
        "SELECT a.id, a.no, s.id, s.no, a.purpose, a.technology, a.announces, a.caller_id,
                a.ring_timeout_ms, c.person_subject, c.account_subject,
                ARRAY(SELECT n.number_subject FROM contact_number n
                      WHERE n.contact_id = c.id ORDER BY n.position)
         FROM contact c JOIN campaign a ON a.id = c.campaign_id JOIN seller s ON s.id = a.seller_id
         WHERE c.id = $1",
    )
    .bind(Uuid::from_u128(contact.0))
    .fetch_one(&world.app.pool)
    .await
    .unwrap();
    let caller: String = row.get(7);
    let ring = Duration::from_millis(u64::try_from(row.get::<i32, _>(8)).unwrap());
    let announces: Vec<String> = row.get(6);
    let terms =
        campaign_terms(row.get(3), row.get(4), row.get(5), &announces, &caller, ring).unwrap();
    let numbers: Vec<i64> = row.get(11);
    Order {
        attempt: AttemptId { contact, try_no: 1 },
        made: 0,
        campaign: Arc::new(Campaign {
            id: CampaignId(row.get::<Uuid, _>(0).as_u128()),
            no: CampaignNo(u32::try_from(row.get::<i32, _>(1)).unwrap()),
            name: "c".to_owned(),
            seller: SellerId(row.get::<Uuid, _>(2).as_u128()),
            seller_no: terms.seller_no,
            purpose: terms.purpose,
            technology: terms.technology,
            abilities: terms.abilities,
            caller_id: caller.parse().unwrap(),
            ring_timeout: ring,
            max_tries: 3,
            retry: RetryRules::default(),
            trunks: vec![TRUNK],
            prompt: Arc::from("p.wav"),
        }),
        person: SubjectId(row.get(9)),
        account: row.get::<Option<i64>, _>(10).map(SubjectId),
        numbers: (0u8..).zip(numbers.into_iter().map(SubjectId)).collect(),
    }
}

fn millis(time: &Value) -> Option<i64> {
    time.as_str()
        .map(|text| text.parse::<chrono::DateTime<chrono::Utc>>().unwrap().timestamp_millis())
}

fn said(number: &Value) -> Said {
    let rules = number["reasons"].as_array().unwrap().iter();
    (
        number["verdict"].as_str().unwrap().to_owned(),
        rules.map(|reason| reason["rule"].as_str().unwrap().to_owned()).collect(),
        millis(&number["first_lawful_at"]),
    )
}

#[tokio::test]
async fn of_everybody_in_a_made_world_the_gate_and_the_api_say_the_same() {
    let people = People::start("why-all").await;
    let trunk = people.world.trunk().await;
    let mut gate = Gate::new();
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    let mut rules = BTreeSet::new();
    let mut campaigns = Vec::new();
    for terms in CAMPAIGNS {
        campaigns.push(people.campaign(terms, &trunk).await.0);
    }
    people.past().await;
    let before: Vec<i64> = tables(&people.world).await;
    for campaign in &campaigns {
        for contact in people.contacts(campaign).await {
            let answer = people.why(campaign, &contact).await;
            let at = UnixMillis(millis(&answer["at"]).unwrap());
            let id: ContactId = contact["id"].as_str().unwrap().parse().unwrap();
            let verdict = answer["verdict"].as_str().unwrap();
            *seen.entry(verdict.to_owned()).or_default() += 1;
            let numbers: Vec<Said> =
                answer["numbers"].as_array().unwrap().iter().map(said).collect();
            rules.extend(numbers.iter().flat_map(|(_, rules, _)| rules.clone()));
            match gate.judge(&people, id, at).await {
                Did::Permitted => assert_eq!(verdict, "permit", "{answer}"),
                Did::Denied(by_gate, next) => {
                    assert_eq!(numbers, by_gate, "{answer}");
                    let first = millis(&answer["first_lawful_at"]);
                    match next {
                        Next::Due { at, .. } => {
                            assert_eq!((verdict, first), ("defer", Some(at.0)), "{answer}");
                        }
                        _ => assert_eq!((verdict, first), ("refuse", None), "{answer}"),
                    }
                }
            }
        }
    }
    assert!(["permit", "defer", "refuse"].iter().all(|word| seen[*word] > 3), "{seen:?}");
    assert!(rules.len() > 10, "{rules:?}");
    assert_eq!(tables(&people.world).await, before, "asking changed something");
}

/// How many rows there are in what a judgement might write.
async fn tables(world: &World) -> Vec<i64> {
    let mut counts = Vec::new();
    for table in ["decision", "audit_entry", "attempt", "parked", "due", "subject", "number"] {
        counts.push(world.sql(&format!("SELECT count(*) FROM {table}")).await);
    }
    counts
}

#[tokio::test]
async fn a_denial_is_told_with_citation_sentence_local_time_moment_and_what_it_waits_for() {
    let people = People::start("why-told").await;
    let trunk = people.world.trunk().await;
    let (campaign, _) = people.campaign(CAMPAIGNS[1], &trunk).await;
    let (debts, _) = people.campaign(CAMPAIGNS[2], &trunk).await;
    let world = &people.world;
    // A debt in Los Angeles: too early there.
    let path = format!("/v1/eligibility?campaign={debts}&number=%2B12135550005");
    let (status, answer) = world.get(&path).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(answer["verdict"], "defer", "{answer}");
    assert_eq!(answer["first_lawful_at"], "2026-12-01T16:00:00.000Z", "{answer}");
    let number = &answer["numbers"][0];
    assert!(number["number"].as_str().unwrap().contains('*'), "{number}");
    assert!(!answer.to_string().contains("2135550005"), "{answer}");
    let reason = &number["reasons"][0];
    for field in ["rule", "title", "citation", "sentence"] {
        assert!(!reason[field].as_str().unwrap().is_empty(), "{reason}");
    }
    let times = reason["local_times"].as_array().unwrap();
    assert!(
        times.iter().any(|at| at["zone"] == "America/Los_Angeles"
            && at["text"].as_str().unwrap().contains("07:")),
        "{reason}"
    );
    assert_eq!(answer["state"]["word"], "waiting", "{answer}");
    assert_eq!(answer["campaign_status"], "draft");
    // New York without a consent: waits for one.
    let (_, answer) = world.get(&format!("/v1/eligibility?campaign={campaign}&person=p0")).await;
    assert_eq!(answer["verdict"], "refuse", "{answer}");
    let reasons = answer["numbers"][0]["reasons"].as_array().unwrap();
    assert!(reasons.iter().any(|reason| reason["waits_for"] == "consent"), "{answer}");
    // With one: permitted, and with what duties.
    let (_, answer) = world.get(&format!("/v1/eligibility?campaign={campaign}&person=p1")).await;
    assert_eq!(answer["verdict"], "permit", "{answer}");
    assert!(!answer["numbers"][0]["obligations"].as_array().unwrap().is_empty(), "{answer}");
    // In Chinese.
    let request = world.request(
        Some("compliance"),
        Method::GET,
        &format!("/v1/eligibility?campaign={campaign}&person=p0"),
    );
    let answer: Value =
        request.header("accept-language", "zh-CN").send().await.unwrap().json().await.unwrap();
    for sentence in
        [&answer["sentence"], &answer["state"]["sentence"], &answer["numbers"][0]["sentence"]]
    {
        let text = sentence.as_str().unwrap();
        assert!(!text.chars().any(|c| c.is_ascii_lowercase()), "{text}");
    }
}

#[tokio::test]
async fn strangers_are_said_and_so_is_where_a_contact_stands() {
    let people = People::start("why-state").await;
    let trunk = people.world.trunk().await;
    let (campaign, _) = people.campaign(CAMPAIGNS[1], &trunk).await;
    let world = &people.world;
    let ask = |rest: &str| format!("/v1/eligibility?campaign={campaign}&{rest}");
    let (status, answer) = world.get(&ask("number=+13055559999")).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!((&answer["contact"], &answer["state"]["word"]), (&Value::Null, &json!("unknown")));
    assert_eq!(answer["verdict"], "refuse", "{answer}");
    assert!(answer["sentence"].as_str().unwrap().contains("in no list"), "{answer}");
    // A number of two people.
    world
        .csv(
            &format!("/v1/campaigns/{campaign}/lists?name=two"),
            "external_id,phone_1\nq,+13055550001\n",
        )
        .await;
    let (_, answer) = world.get(&ask("number=%2B13055550001")).await;
    assert_eq!((&answer["person"], &answer["others"][0]["person"]), (&json!("p1"), &json!("q")));
    // States, as the dialer writes them.
    for (person, change, word, said) in [
        (
            "p2",
            "UPDATE contact SET state = 3, node = gen_random_uuid() WHERE id = $id",
            "leased",
            "right now",
        ),
        (
            "p3",
            "UPDATE contact SET state = 5, made = 3, finished = 'tries_used_up' WHERE id = $id",
            "finished",
            "3 of 3",
        ),
        (
            "p4",
            "UPDATE contact SET state = 4 WHERE id = $id; INSERT INTO parked SELECT id, campaign_id, 'consent', '{x}', 1000 FROM contact WHERE id = $id",
            "parked",
            "consent",
        ),
        (
            "p5",
            "UPDATE contact SET state = 2 WHERE id = $id; INSERT INTO due (contact_id, campaign_id, due_at, because) SELECT id, campaign_id, 1798800000000, 'busy' FROM contact WHERE id = $id",
            "due",
            "2027",
        ),
    ] {
        let (_, answer) = world.get(&ask(&format!("person={person}"))).await;
        let id = answer["contact"].as_str().unwrap();
        let id: ContactId = id.parse().unwrap();
        world.execute(&change.replace("$id", &format!("'{}'", Uuid::from_u128(id.0)))).await;
        let (_, answer) = world.get(&ask(&format!("person={person}"))).await;
        assert_eq!(answer["state"]["word"], word, "{answer}");
        assert!(answer["state"]["sentence"].as_str().unwrap().contains(said), "{answer}");
    }
    for status in ["paused", "stopped", "ended"] {
        world.execute(&format!("UPDATE campaign SET status = '{status}'")).await;
        let (_, answer) = world.get(&ask("person=p1")).await;
        let sentence = answer["sentence"].as_str().unwrap();
        assert!(
            sentence.contains("nobody is called") && answer["campaign_status"] == status,
            "{answer}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_and_what_is_not_there_is_said() {
    let people = People::start("why-damaged").await;
    let trunk = people.world.trunk().await;
    let (campaign, _) = people.campaign(CAMPAIGNS[1], &trunk).await;
    let world = &people.world;
    let ask = |rest: &str| format!("/v1/eligibility?campaign={campaign}&{rest}");
    // What cannot be read is never permitted.
    for damage in ["UPDATE subject_head SET head = '\\x00'", "UPDATE number SET cipher = '\\x00'"] {
        world.execute(damage).await;
        let (status, answer) = world.get(&ask("person=p1")).await;
        assert_eq!((status, &answer["verdict"]), (StatusCode::OK, &json!("refuse")), "{answer}");
        assert_eq!(answer["numbers"][0]["reasons"][0]["rule"], "unknown", "{answer}");
    }
    for (path, code) in [
        (ask("person=nobody"), StatusCode::NOT_FOUND),
        (ask("contact=01ARZ3NDEKTSV4RRFFQ69G5FAV"), StatusCode::NOT_FOUND),
        (ask("number=12"), StatusCode::UNPROCESSABLE_ENTITY),
        (ask("number=%2B13055550001&person=p1"), StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let (status, answer) = world.get(&path).await;
        assert_eq!(status, code, "{path}: {answer}");
    }
    let refused = world.request(Some("operator"), Method::GET, &ask("person=p1"));
    assert_eq!(refused.send().await.unwrap().status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_sentence_says_when_it_is_judged_again_and_that_a_finished_contact_is_not_called() {
    let people = People::start("why-words").await;
    let trunk = people.world.trunk().await;
    let (campaign, _) = people.campaign(CAMPAIGNS[2], &trunk).await;
    let world = &people.world;
    world.execute("UPDATE campaign SET status = 'running'").await;
    let ask = |person: &str| format!("/v1/eligibility?campaign={campaign}&person={person}");
    let place = async |person: &str, sql: &str| {
        let (_, answer) = world.get(&ask(person)).await;
        let id: ContactId = answer["contact"].as_str().unwrap().parse().unwrap();
        world.execute(&sql.replace("$id", &format!("'{}'", Uuid::from_u128(id.0)))).await;
        world.get(&ask(person)).await.1
    };
    // In Los Angeles it is 07:00: tried again at 07:30, and lawful from 08:00 on.
    let due = |at: i64| {
        format!(
            "UPDATE contact SET state = 2 WHERE id = $id; DELETE FROM due WHERE contact_id = $id;
             INSERT INTO due (contact_id, campaign_id, due_at, because)
             SELECT id, campaign_id, {at}, 'busy' FROM contact WHERE id = $id"
        )
    };
    let half_past = 1_796_139_000_000;
    let answer = place("p5", &due(half_past)).await;
    let sentence = answer["sentence"].as_str().unwrap();
    assert_eq!(answer["verdict"], "defer", "{answer}");
    assert!(
        sentence.contains("is judged again at 2026-12-01T15:30:00.000Z: the line was busy"),
        "{sentence}"
    );
    assert!(sentence.contains("first lawful moment is 2026-12-01T16:00:00.000Z (Tue 2026-12-01 08:00:00 in America/Los_Angeles)"), "{sentence}");
    let answer = place("p5", &due(half_past + 3_600_000)).await;
    let sentence = answer["sentence"].as_str().unwrap();
    assert!(sentence.contains("is tried at 2026-12-01T16:30:00.000Z"), "{sentence}");
    let finished = "DELETE FROM due WHERE contact_id = $id;
        UPDATE contact SET state = 5, made = 3, finished = 'tries_used_up' WHERE id = $id";
    let answer = place("p5", finished).await;
    assert_eq!(
        answer["sentence"],
        "nobody will call it any more: it is done with (every attempt that the campaign allows has been made) after 3 of 3 attempts"
    );
    let number = answer["numbers"][0]["sentence"].as_str().unwrap();
    assert!(number.starts_with("by the rules alone: "), "{number}");
}

#[tokio::test]
async fn a_first_lawful_moment_after_every_rule_has_ended_names_the_rule_that_closes_in_between() {
    let people = People::start("why-gap").await;
    let trunk = people.world.trunk().await;
    let (campaign, _) = people.campaign(CAMPAIGNS[2], &trunk).await;
    let world = &people.world;
    // Seven calls about a debt at night: a week later, at night, the cap ends and nobody may call.
    let calls: Vec<Value> = (0..7)
        .map(|minute| {
            json!({ "seller": people.seller, "number": "+13055550002", "person": "p2",
                "account": "acc-2", "at": format!("2026-11-26T07:{minute:02}:00Z"),
                "outcome": "no_answer", "purpose": "debt_collection", "technology": "manual" })
        })
        .collect();
    let (status, said) = world.post("/v1/earlier-attempts", &json!(calls)).await;
    assert_eq!(status, StatusCode::OK, "{said}");
    let path = format!("/v1/eligibility?campaign={campaign}&person=p2");
    let (_, answer) = world.get(&path).await;
    assert_eq!(answer["verdict"], "defer", "{answer}");
    let first = millis(&answer["first_lawful_at"]).unwrap();
    let ends = answer["numbers"][0]["reasons"].as_array().unwrap().iter();
    let ends = ends.filter_map(|reason| millis(&reason["first_lawful_at"])).max().unwrap();
    assert!(ends < first, "the cap ends before the hours begin: {answer}");
    for sentence in [&answer["sentence"], &answer["numbers"][0]["sentence"]] {
        let sentence = sentence.as_str().unwrap();
        assert!(sentence.contains("the rules that deny now end at 2026-12-0"), "{sentence}");
        assert!(
            sentence.contains("and then it is ") && sentence.contains("that denies"),
            "{sentence}"
        );
    }
}

#[tokio::test]
async fn of_many_zones_a_sentence_names_three_and_the_answer_has_all() {
    let people = People::start("why-zones").await;
    let trunk = people.world.trunk().await;
    let (campaign, _) = people.campaign(CAMPAIGNS[2], &trunk).await;
    let world = &people.world;
    let csv = "external_id,phone_1,country\nz,+18005550123,US\n";
    world.csv(&format!("/v1/campaigns/{campaign}/lists?name=z"), csv).await;
    let (_, answer) = world.get(&format!("/v1/eligibility?campaign={campaign}&person=z")).await;
    let reasons = answer["numbers"][0]["reasons"].as_array().unwrap();
    let timed: Vec<&Value> =
        reasons.iter().filter(|it| it["local_times"].as_array().unwrap().len() > 10).collect();
    assert!(!timed.is_empty(), "{answer}");
    let zones =
        |text: &str| text.matches(" in America/").count() + text.matches(" in Pacific/").count();
    for reason in timed {
        let sentence = reason["sentence"].as_str().unwrap();
        assert!(sentence.contains("more zones"), "{sentence}");
        assert!(zones(sentence) <= 6, "{sentence}");
    }
    let sentence = answer["sentence"].as_str().unwrap();
    assert!(zones(sentence) <= 3, "{sentence}");
}
