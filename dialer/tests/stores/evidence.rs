//! What a placement leaves in the audit: grounds once, then a permit each; and what becomes of them.

use std::{fs, time::Duration};

use chrono::{DateTime, FixedOffset, SecondsFormat};
use dialer::{
    cli::{self, audit::VerifiedRows},
    store::audit::Sequencer,
};
use dialer_audit::{
    Body, Record, canonical, fold, leaf_hash,
    record::{Counter, Decision, Input, ListSeen, NotSent, Place},
};
use dialer_engine::Commitment;
use dialer_types::{PlacementId, RuleId, UnixMillis};
use schema::{
    rows::{AuditEntry, append_audit},
    story,
    trail::Filter,
};
use sqlx::{Connection, PgConnection};

use crate::{
    audit::{ORIGIN, folder, part, sign, write},
    world::{NOW, World, keys, lost, stood},
};

fn clock(at: UnixMillis, minutes: i32) -> String {
    let zone = FixedOffset::east_opt(minutes * 60).unwrap();
    let at = DateTime::from_timestamp_millis(at.0).unwrap().with_timezone(&zone);
    at.to_rfc3339_opts(SecondsFormat::Secs, false)
}

/// As an American campaign has it: 25 rules passed, three caps, two lists, two zones.
fn american(mut commitment: Commitment) -> Commitment {
    let Body::Decision(decision) = &mut commitment.records[0].body else { panic!("no decision") };
    let text = |text: &str| text.to_owned();
    let place = |zone: &str, minutes| Place {
        jurisdiction: text("US-FL"),
        zone: text(zone),
        local_time: clock(NOW, minutes),
    };
    let list = |list: &str| ListSeen {
        list: text(list),
        version: String::new(),
        as_of: text("2026-11-20"),
        contains: false,
    };
    let input = |name: &str, value: &str| Input { name: text(name), value: text(value) };
    *decision = Decision {
        rules_asked: 25,
        rules_passed: Some((0..25).map(|no| RuleId::new(&format!("us.fl.a_rule_{no}"))).collect()),
        places: vec![place("America/New_York", -300), place("America/Chicago", -360)],
        counters: ["house.person_day_cap", "us.fl.three_a_day", "us.regf.seven_in_seven"]
            .map(|rule| Counter { rule: RuleId::new(rule), count: 1, cap: 3 })
            .to_vec(),
        lists: vec![list("us.national_dnc"), list("us.fl.no_sales")],
        obligations: vec![text("us.tcpa.identify"), text("us.tcpa.opt_out_key")],
        inputs: vec![
            input("consents", "1"),
            input("places_from", "address US-FL America/New_York America/Chicago"),
            input("look_ups", "us.rnd no 2026-11-10"),
        ],
        ..decision.clone()
    };
    commitment
}

/// Commits these placements in one batch, each on a contact of its own.
async fn place(world: &mut World, count: usize) -> Vec<Commitment> {
    let (mut batch, mut placed) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let contact = world.contact(None).await;
        let heads = world.heads(contact).await;
        let commitment = american(world.judged(contact, 1, &heads));
        placed.push(world.copy(&commitment));
        batch.push(commitment);
    }
    assert!(stood(&world.stores.commit(batch).await));
    placed
}

async fn leaves(world: &World) -> Vec<Vec<u8>> {
    sqlx::query_scalar("SELECT leaf FROM audit_entry ORDER BY id")
        .fetch_all(&world.owner)
        .await
        .unwrap()
}

const GROUNDS: &str = "SELECT count(*) FROM audit_entry WHERE kind = 14";
const PERMITS: &str = "SELECT count(*) FROM audit_entry WHERE kind = 15";

#[tokio::test]
async fn a_placement_has_at_most_300_bytes_of_evidence_once_its_grounds_are_on_record() {
    let mut world = World::new().await;
    let mut placed = place(&mut world, 1).await;
    placed.extend(place(&mut world, 5).await);
    for _ in 0..14 {
        placed.extend(place(&mut world, 1).await);
    }
    assert_eq!((world.count(GROUNDS).await, world.count(PERMITS).await), (1, 20));
    let leaves = leaves(&world).await;
    let all: usize = leaves.iter().map(Vec::len).sum();
    let grounds = leaves[0].len();
    let long: usize = placed[0].records.iter().map(|r| canonical::encode(r).unwrap().len()).sum();
    let (each, with) = ((all - grounds) / placed.len(), all / placed.len());
    println!("{each} bytes a placement, {with} with the grounds' {grounds} shared; {long} before");
    assert!(each <= 300 && with <= 300 && long > 859, "{each} {with} {long}");

    // They come back as they were judged and meant, and the row of the judgement points at the permit.
    let shared = canonical::decode(&leaves[0]).unwrap();
    for (leaf, commitment) in leaves[1..].iter().zip(&placed) {
        let permit = canonical::decode(leaf).unwrap();
        let (decision, intent) = dialer_audit::unfold(&shared, &permit).unwrap();
        assert_eq!(commitment.records, [decision, intent]);
    }
    // Another process has grounds of its own, with its own name in them.
    world.stores = world.another().await;
    place(&mut world, 2).await;
    assert_eq!((world.count(GROUNDS).await, world.count(PERMITS).await), (2, 22));
}

#[tokio::test]
async fn grounds_are_known_only_once_the_commit_that_wrote_them_was_acknowledged() {
    let mut world = World::new().await;
    let contact = world.contact(None).await;
    let heads = world.heads(contact).await;
    let (first, second) = (world.judged(contact, 1, &heads), world.judged(contact, 1, &heads));
    world
        .sql(
            "CREATE FUNCTION break_off() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN RAISE EXCEPTION 'no commit'; END $$;
             CREATE CONSTRAINT TRIGGER break_off AFTER INSERT ON placement
                 DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION break_off();",
        )
        .await;
    assert!(!stood(&world.stores.commit(vec![american(first)]).await));
    assert_eq!(world.count("SELECT count(*) FROM audit_entry").await, 0);
    world.sql("DROP TRIGGER break_off ON placement").await;
    assert!(stood(&world.stores.commit(vec![american(second)]).await));
    assert_eq!((world.count(GROUNDS).await, world.count(PERMITS).await), (1, 1));
    // What loses its race writes neither.
    let stale = world.judged(contact, 2, &heads);
    assert!(lost(&world.stores.commit(vec![american(stale)]).await));
    assert_eq!((world.count(GROUNDS).await, world.count(PERMITS).await), (1, 1));
}

#[tokio::test]
async fn what_no_permit_can_say_is_written_out_and_both_forms_verify_in_one_log() {
    let mut world = World::new().await;
    place(&mut world, 2).await;
    let contact = world.contact(None).await;
    let heads = world.heads(contact).await;
    let mut odd = american(world.judged(contact, 1, &heads));
    let Body::Decision(decision) = &mut odd.records[0].body else { panic!("no decision") };
    decision.places[0].local_time = "a quarter past nine".into();
    let attempt = odd.attempt;
    assert!(stood(&world.stores.commit(vec![odd]).await));
    let kinds: Vec<i16> = sqlx::query_scalar("SELECT kind FROM audit_entry ORDER BY id")
        .fetch_all(&world.owner)
        .await
        .unwrap();
    assert_eq!(kinds, [14, 15, 15, 1, 2]);
    assert_eq!(sign(&world).await, 5);
    let out = folder(&world);
    write(&world, Filter::default(), &out).await;
    let report = cli::audit_verify(&out, &out.join("key.pub")).unwrap().whole().unwrap();
    assert_eq!((report.counts.permits, report.counts.placements), (3, 3));
    let mut connection = world.stores.pool.acquire().await.unwrap();
    let page = story::read(&mut connection, &keys(), attempt).await.unwrap().unwrap();
    assert!(dialer_audit::page::write(&page).contains("a quarter past nine"));
    fs::remove_dir_all(&out).unwrap();
}

#[tokio::test]
async fn an_export_tells_a_permit_as_it_was_judged_and_a_part_brings_its_grounds() {
    let mut world = World::new().await;
    let first = place(&mut world, 1).await;
    world.stores = world.another().await;
    let second = place(&mut world, 2).await;
    assert_eq!(sign(&world).await, 5); // grounds 0, permit 1, grounds 2, permits 3 and 4
    let of = |lines: &str| -> Vec<serde_json::Value> {
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let out = folder(&world);
    write(&world, Filter::default(), &out).await;
    assert!(cli::audit_verify(&out, &out.join("key.pub")).is_ok());
    let rows = of(&fs::read_to_string(out.join("audit.jsonl")).unwrap());
    assert_eq!((&rows[1]["kind"], &rows[1]["verdict"]), (&"permit".into(), &"permit".into()));
    assert_eq!(rows[1]["grounds"], rows[0]["leaf_hash"]);
    assert_eq!(rows[1]["rules_passed"].as_array().unwrap().len(), 25);
    assert_eq!(rows[1]["sip_call_id"], first[0].sip_call_id);
    assert_eq!(rows[1]["places"][0]["local_time"], clock(NOW, -300));

    let person = "SELECT external_id FROM person ORDER BY subject_id DESC LIMIT 1";
    let person: String = sqlx::query_scalar(person).fetch_one(&world.owner).await.unwrap();
    let person = Filter { person: Some(person), ..Filter::default() };
    assert_eq!(
        part(&world, person.clone()).await,
        [2, 4],
        "of the second process, before its permit"
    );
    let verified = cli::audit_verify(&out, &out.join("key.pub")).unwrap();
    let said = verified.to_string();
    assert!(said.contains("1 rows, from record 4 to 4"), "{said}");
    assert!(said.contains("1 rows more, which permits among them rest on"), "{said}");
    let VerifiedRows::Part(report, _) = verified.rows else { panic!("a whole export") };
    assert_eq!((report.counts.permits, report.beside.grounds), (1, 1));
    // A part without them is refused, however well its manifest fits.
    let rule = Filter { rule: Some(RuleId::new("us.fl.a_rule_1")), ..Filter::default() };
    assert_eq!(part(&world, rule).await, [0; 0], "no permit, and no grounds without one");
    part(&world, person).await;
    let lines = fs::read_to_string(out.join("audit.jsonl")).unwrap();
    fs::write(out.join("audit.jsonl"), lines.lines().nth(1).unwrap().to_owned() + "\n").unwrap();
    let refused = format!("{:#}", cli::audit_verify(&out, &out.join("key.pub")).unwrap_err());
    assert!(refused.contains("no record before it is those"), "{refused}");

    let mut connection = world.stores.pool.acquire().await.unwrap();
    let story = story::read(&mut connection, &keys(), second[1].attempt).await.unwrap().unwrap();
    let page = dialer_audit::page::write(&story);
    for told in [
        "Judged: may be called (audit records 2 and 4)",
        "Reserved and committed (audit records 2 and 4)",
        "us.fl.a_rule_24",
        "trunk           trunk (",
    ] {
        assert!(page.contains(told), "{told} is not in:\n{page}");
    }
    fs::remove_dir_all(&out).unwrap();
}

#[tokio::test]
async fn grounds_that_are_gone_are_named_and_no_export_is_made_of_the_rest() {
    let mut world = World::new().await;
    let placed = place(&mut world, 2).await;
    sign(&world).await;
    world.sql("ALTER TABLE audit_entry DISABLE TRIGGER ALL; ALTER TABLE audit_leaf DISABLE TRIGGER ALL;
               UPDATE audit_entry SET kind = 9 WHERE kind = 14").await;
    let mut connection = world.stores.pool.acquire().await.unwrap();
    let error = story::read(&mut connection, &keys(), placed[0].attempt).await.unwrap_err();
    assert!(error.to_string().contains("somebody has removed them"), "{error}");
}

#[tokio::test]
async fn a_permit_never_gets_its_index_before_its_grounds_though_their_id_was_given_up() {
    let mut world = World::new().await;
    let url = world.postgres.app_url(&world.database);
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let mut sequencer = Sequencer::restore(&mut connection, ORIGIN).await.unwrap();
    let contact = world.contact(None).await;
    let heads = world.heads(contact).await;
    let commitment = american(world.judged(contact, 1, &heads));
    let [decision, intent] = &commitment.records[..] else { panic!("not two records") };
    let folded = fold(decision, intent).unwrap();
    let grounds = folded.grounds().clone();
    let permit = folded.permit(leaf_hash(&canonical::encode(&grounds).unwrap()));
    let entry = |record: &Record| [AuditEntry::of(record.clone())];
    let now = world.stores.clock.now();
    let later = now.after(Duration::from_secs(61));

    // Grounds take an id; what has a larger one becomes visible; their own is given up after a minute.
    let mut slow = world.owner.begin().await.unwrap();
    append_audit(&mut slow, &entry(&grounds)).await.unwrap();
    let more = NotSent { placement: PlacementId(9), reason: "something else".into() };
    let more = Record::new(None, more.into(), NOW);
    let mut owner = world.owner.acquire().await.unwrap();
    append_audit(&mut owner, &entry(&more)).await.unwrap();
    assert_eq!(sequencer.sequence(&mut connection, now).await.unwrap(), 1);
    assert_eq!(sequencer.sequence(&mut connection, later).await.unwrap(), 0);
    slow.commit().await.unwrap();
    append_audit(&mut owner, &entry(&permit)).await.unwrap();
    assert_eq!(sequencer.sequence(&mut connection, later).await.unwrap(), 2);
    let kinds: Vec<i16> = sqlx::query_scalar(
        "SELECT e.kind FROM audit_leaf l JOIN audit_entry e ON e.id = l.entry_id ORDER BY l.index",
    )
    .fetch_all(&world.owner)
    .await
    .unwrap();
    assert_eq!(kinds, [4, 14, 15]);
    // Nor does a sequencer that begins anew forget what is in the tree.
    let mut again = Sequencer::restore(&mut connection, ORIGIN).await.unwrap();
    assert_eq!(again.sequence(&mut connection, later).await.unwrap(), 0);
    append_audit(&mut owner, &entry(&permit)).await.unwrap();
    assert_eq!(again.sequence(&mut connection, later).await.unwrap(), 1);
}
