//! The audit from its entries to an export that verifies, and to one that does not.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use dialer::{
    cli::{self, audit::VerifiedRows},
    store::{
        audit::{self, Sequencer},
        export::{self, Written},
    },
};
use dialer_audit::{
    Record, Signer,
    record::{Corrected, Suppressed, Token},
};
use dialer_engine::Next;
use dialer_types::{Disposition, E164, RuleId};
use schema::{rows::AuditEntry, story, trail::Filter};
use sqlx::{Connection, PgConnection};
use tokio_util::sync::CancellationToken;

use crate::world::{NOW, World, keys};

pub(crate) const ORIGIN: &str = "ringfence.test/audit";

pub(crate) fn folder(world: &World) -> PathBuf {
    std::env::temp_dir().join(format!("rf-export-{}", world.database))
}

fn signer() -> Signer {
    Signer::from_seed(ORIGIN, &[9; 32]).unwrap()
}

pub(crate) async fn write(world: &World, filter: Filter, out: &Path) -> Written {
    export::write(&world.stores.pool, &keys(), &signer(), filter, out).await.unwrap()
}

/// Puts everything into the tree and signs it.
pub(crate) async fn sign(world: &World) -> u64 {
    let url = world.postgres.app_url(&world.database);
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let mut sequencer = Sequencer::restore(&mut connection, ORIGIN).await.unwrap();
    let now = world.stores.clock.now();
    while sequencer.sequence(&mut connection, now).await.unwrap() > 0 {}
    sequencer.sign(&mut connection, &signer(), now, true).await.unwrap();
    sequencer.size()
}

async fn some_calls(world: &mut World, calls: usize) {
    for _ in 0..calls {
        let contact = world.contact(None).await;
        let placed = world.place(contact, 1).await;
        let next = Next::Finished { why: "answered".into() };
        let item = [world.ended(&placed, Disposition::Answered, next)];
        world.stores.write(world.stores.node, &item).await.unwrap();
    }
}

#[tokio::test]
async fn an_export_verifies_and_a_changed_one_does_not() {
    let mut world = World::new().await;
    some_calls(&mut world, 4).await;
    let url = world.postgres.app_url(&world.database);
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let mut sequencer = Sequencer::restore(&mut connection, ORIGIN).await.unwrap();
    let now = world.stores.clock.now();
    assert_eq!(sequencer.sequence(&mut connection, now).await.unwrap(), 9);
    sequencer.sign(&mut connection, &signer(), now, true).await.unwrap();

    let out = folder(&world);
    let written = write(&world, Filter::default(), &out).await;
    assert_eq!((written.checkpoint.size, written.rows, written.part), (9, 9, false));
    let key = out.join("key.pub");
    let report = cli::audit_verify(&out, &key).unwrap().whole().unwrap();
    assert_eq!((report.counts.placements, report.counts.permits), (4, 4));

    for (file, from, to) in [
        ("audit.jsonl", "\"answered\"", "\"busy\""),
        ("audit.csv", ",answered,", ",busy,"),
        ("manifest.json", "\"size\": 9", "\"size\": 8"),
        ("checkpoint", "\n9\n", "\n8\n"),
    ] {
        let good = fs::read_to_string(out.join(file)).unwrap();
        let bad = good.replacen(from, to, 1);
        assert_ne!(good, bad, "{file} holds no {from}");
        fs::write(out.join(file), bad).unwrap();
        assert!(cli::audit_verify(&out, &key).is_err(), "{file}");
        fs::write(out.join(file), good).unwrap();
    }
    assert!(cli::audit_verify(&out, &key).is_ok());
    fs::remove_dir_all(&out).unwrap();
}

#[tokio::test]
async fn an_entry_that_becomes_visible_late_gets_its_place_and_the_tree_is_read_back() {
    let mut world = World::new().await;
    some_calls(&mut world, 1).await;
    let url = world.postgres.app_url(&world.database);
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let mut sequencer = Sequencer::restore(&mut connection, ORIGIN).await.unwrap();
    let now = world.stores.clock.now();
    sequencer.sequence(&mut connection, now).await.unwrap();

    // A transaction takes an id and commits after one that took a larger id.
    let insert = "INSERT INTO audit_entry (at, kind, leaf) SELECT at, kind, leaf FROM audit_entry
                  ORDER BY id LIMIT 1";
    let mut slow = world.owner.begin().await.unwrap();
    sqlx::query(insert).execute(&mut *slow).await.unwrap();
    sqlx::query(insert).execute(&world.owner).await.unwrap();
    assert_eq!(sequencer.sequence(&mut connection, now).await.unwrap(), 1);
    slow.commit().await.unwrap();
    assert_eq!(sequencer.sequence(&mut connection, now).await.unwrap(), 1);
    assert_eq!(sequencer.sequence(&mut connection, now).await.unwrap(), 0);
    sequencer.sign(&mut connection, &signer(), now, true).await.unwrap();

    let again = Sequencer::restore(&mut connection, ORIGIN).await.unwrap();
    assert_eq!(again.size(), sequencer.size());
    let dense = "SELECT count(*) FROM audit_leaf WHERE index < (SELECT count(*) FROM audit_leaf)";
    assert_eq!(world.count(dense).await, 5);
}

#[tokio::test]
async fn a_tree_that_is_not_the_signed_one_is_refused_and_told_as_a_broken_promise() {
    let mut world = World::new().await;
    some_calls(&mut world, 1).await;
    let url = world.postgres.app_url(&world.database);
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let mut sequencer = Sequencer::restore(&mut connection, ORIGIN).await.unwrap();
    let now = world.stores.clock.now();
    sequencer.sequence(&mut connection, now).await.unwrap();
    sequencer.sign(&mut connection, &signer(), now, true).await.unwrap();
    let told = || world.stores.metrics.violations.with_label_values(&["G9"]).get();

    let stop = CancellationToken::new();
    let run = || audit::serve(world.stores.clone(), signer(), ORIGIN.into(), stop.clone());
    tokio::time::timeout(Duration::from_millis(500), run()).await.unwrap_err();
    assert_eq!(told(), 0);

    for sql in [
        "ALTER TABLE audit_leaf DISABLE TRIGGER append_only",
        "UPDATE audit_leaf SET leaf_hash = sha256('another') WHERE index = 1",
    ] {
        sqlx::query(sql).execute(&world.owner).await.unwrap();
    }
    assert!(Sequencer::restore(&mut connection, ORIGIN).await.is_err());
    tokio::time::timeout(Duration::from_millis(1500), run()).await.unwrap_err();
    assert!(told() > 0);
}

#[tokio::test]
async fn a_sequencer_begins_at_a_checkpoint_and_grows_the_tree_of_one_that_read_everything() {
    let mut world = World::new().await;
    for _ in 0..2 {
        some_calls(&mut world, 2).await;
        sign(&world).await;
    }
    some_calls(&mut world, 1).await;
    let url = world.postgres.app_url(&world.database);
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let now = world.stores.clock.now();
    let mut whole = Sequencer::restore(&mut connection, ORIGIN).await.unwrap();
    whole.sequence(&mut connection, now).await.unwrap();
    for leaves in [0, 1, 6, 7] {
        let again = Sequencer::restore_reading(&mut connection, ORIGIN, leaves).await.unwrap();
        assert_eq!(again.tree(), whole.tree(), "{leaves} leaves read");
    }
    // A leaf before the newest checkpoint is read by who goes back so far.
    for sql in [
        "ALTER TABLE audit_leaf DISABLE TRIGGER append_only",
        "UPDATE audit_leaf SET leaf_hash = sha256('another') WHERE index = 7",
    ] {
        sqlx::query(sql).execute(&world.owner).await.unwrap();
    }
    assert!(Sequencer::restore_reading(&mut connection, ORIGIN, 0).await.is_ok());
    assert!(Sequencer::restore_reading(&mut connection, ORIGIN, 6).await.is_err());
    // Peaks that do not come to the signed root are not believed: everything is read.
    for sql in [
        "ALTER TABLE audit_checkpoint DISABLE TRIGGER append_only",
        "UPDATE audit_checkpoint SET peaks = sha256('x') || sha256('y') WHERE peaks IS NOT NULL",
    ] {
        sqlx::query(sql).execute(&world.owner).await.unwrap();
    }
    assert!(Sequencer::restore_reading(&mut connection, ORIGIN, 0).await.is_err(), "leaf 7");
}

#[tokio::test]
async fn a_wait_for_records_is_no_reason_to_lose_one() {
    let mut world = World::new().await;
    let contact = world.contact(None).await;
    let placed = world.place(contact, 1).await;
    let sent = dialer_audit::record::Sent {
        placement: placed.demand.placement(),
        sent_at: NOW,
        sip_call_id: placed.sip_call_id.clone(),
    };
    let record = Record::new(Some(world.stores.node), sent.into(), NOW);
    let items = [dialer::store::ledgers::Item::Record(Box::new(record))];
    world.stores.write(world.stores.node, &items).await.unwrap();
    let found = "SELECT count(*) FROM audit_entry WHERE kind = 3 AND placement IS NOT NULL";
    assert_eq!(world.count(found).await, 1);
}

/// Exports what the filter lets through and verifies it; the indexes of its rows.
pub(crate) async fn part(world: &World, filter: Filter) -> Vec<u64> {
    let out = folder(world);
    let written = write(world, filter, &out).await;
    assert!(written.part);
    let verified = cli::audit_verify(&out, &out.join("key.pub")).unwrap();
    let VerifiedRows::Part(report, part) = verified.rows else { panic!("a whole export") };
    assert_eq!((report.counts.records, part.rows), (written.rows, written.rows));
    assert_eq!((report.beside.grounds, part.grounds), (written.grounds, written.grounds));
    let lines = fs::read_to_string(out.join("audit.jsonl")).unwrap();
    let index = |line: &str| {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        row["index"].as_u64().unwrap()
    };
    lines.lines().map(index).collect()
}

#[tokio::test]
async fn a_part_holds_what_its_filter_says_and_verifies_by_itself() {
    let mut world = World::new().await;
    some_calls(&mut world, 3).await; // grounds 0, then permits 1, 3, 5 each with its outcome
    let of_number = |n: u64| E164::from_digits(13_055_550_000 + n).unwrap();
    let suppressed = Suppressed {
        purpose: None,
        event: Token(1),
        subjects: vec![subject_of(&world, of_number(2)).await],
        seller: None,
        source: "api".into(),
        effective_at: NOW,
        reason: "asked".into(),
    };
    let later = NOW.after(Duration::from_secs(60));
    let entry = AuditEntry::of(Record::new(None, suppressed.into(), later));
    let mut owner = world.owner.acquire().await.unwrap();
    schema::rows::append_audit(&mut owner, &[entry]).await.unwrap();
    assert_eq!(sign(&world).await, 8);

    let number = Filter { number: Some(of_number(2)), ..Filter::default() };
    assert_eq!(part(&world, number.clone()).await, [0, 3, 4, 7]);
    let manifest = fs::read_to_string(folder(&world).join("manifest.json")).unwrap();
    assert!(!manifest.contains("3055550002") && manifest.contains("is not proven"), "{manifest}");
    let until = Filter { to: Some(later), ..number };
    assert_eq!(part(&world, until).await, [0, 3, 4]);
    let from = Filter { from: Some(later), ..Filter::default() };
    assert_eq!(part(&world, from).await, [7]);
    let campaign = Filter { campaign: Some(world.campaign), ..Filter::default() };
    assert_eq!(part(&world, campaign).await, (0..7).collect::<Vec<_>>());
    let name = "SELECT external_id FROM person ORDER BY subject_id LIMIT 1";
    let person: String = sqlx::query_scalar(name).fetch_one(&world.owner).await.unwrap();
    let person = Filter { person: Some(person), ..Filter::default() };
    assert_eq!(part(&world, person).await, [0, 1, 2]);
    for nothing in [
        Filter { number: Some(of_number(99)), ..Filter::default() },
        Filter { person: Some("nobody".into()), ..Filter::default() },
        Filter { rule: Some(RuleId::new("us.national_dnc")), ..Filter::default() },
    ] {
        assert_eq!(part(&world, nothing).await, [0; 0], "an empty part is legal");
    }
    fs::remove_dir_all(folder(&world)).unwrap();
}

async fn subject_of(world: &World, number: E164) -> dialer_types::SubjectId {
    let id = sqlx::query_scalar("SELECT subject_id FROM number WHERE keyed_hash = $1")
        .bind(keys().lookup_hash(&number).to_vec())
        .fetch_one(&world.owner)
        .await
        .unwrap();
    dialer_types::SubjectId(id)
}

#[tokio::test]
async fn a_changed_file_of_a_part_is_found_and_a_changed_database_gives_none() {
    let mut world = World::new().await;
    some_calls(&mut world, 3).await;
    sign(&world).await;
    let campaign = Filter { campaign: Some(world.campaign), ..Filter::default() };
    assert_eq!(part(&world, campaign.clone()).await.len(), 7);
    let out = folder(&world);
    let key = out.join("key.pub");
    for (file, from, to) in [
        ("audit.jsonl", "\"answered\"", "\"busy\""),
        ("audit.csv", ",answered,", ",busy,"),
        ("audit.jsonl", "\"index\":1,", "\"index\":2,"),
        ("manifest.json", "\"rows\": 6", "\"rows\": 7"),
        ("manifest.json", "\"grounds\": 1", "\"grounds\": 0"),
        ("manifest.json", "\"part\"", "\"past\""),
        ("checkpoint", "\n7\n", "\n6\n"),
        ("dictionary.md", "milliseconds", "seconds"),
    ] {
        let good = fs::read_to_string(out.join(file)).unwrap();
        let bad = good.replacen(from, to, 1);
        assert_ne!(good, bad, "{file} holds no {from}");
        fs::write(out.join(file), bad).unwrap();
        assert!(cli::audit_verify(&out, &key).is_err(), "{file}: {from}");
        fs::write(out.join(file), good).unwrap();
    }
    assert!(cli::audit_verify(&out, &key).is_ok());
    world
        .sql(
            "ALTER TABLE audit_leaf DISABLE TRIGGER ALL;
             UPDATE audit_leaf SET leaf_hash = sha256('x') WHERE index = 4",
        )
        .await;
    let tampered = export::write(&world.stores.pool, &keys(), &signer(), campaign, &out).await;
    assert!(tampered.unwrap_err().to_string().contains("somebody has changed them"));
    fs::remove_dir_all(&out).unwrap();
}

#[tokio::test]
async fn the_page_of_an_attempt_tells_all_of_it() {
    let mut world = World::new().await;
    let contact = world.contact(None).await;
    let placed = world.place(contact, 1).await;
    let sent = dialer_audit::record::Sent {
        placement: placed.demand.placement(),
        sent_at: NOW,
        sip_call_id: placed.sip_call_id.clone(),
    };
    let record = Record::new(Some(world.stores.node), sent.into(), NOW);
    let next = Next::Finished { why: "no_answer".into() };
    let items = [
        dialer::store::ledgers::Item::Record(Box::new(record)),
        world.ended(&placed, Disposition::NoAnswer, next),
    ];
    world.stores.write(world.stores.node, &items).await.unwrap();
    let corrected = Corrected {
        attempt: placed.attempt,
        placement: placed.demand.placement(),
        was: Disposition::NoAnswer,
        disposition: Disposition::Answered,
        actor: "somebody".into(),
        reason: Some("they remember".into()),
    };
    let entry = AuditEntry {
        attempt: Some(placed.attempt),
        ..AuditEntry::of(Record::new(None, corrected.into(), NOW.after(Duration::from_secs(9))))
    };
    let mut owner = world.owner.acquire().await.unwrap();
    schema::rows::append_audit(&mut owner, &[entry]).await.unwrap();
    let read = async || {
        let mut connection = world.stores.pool.acquire().await.unwrap();
        let story = story::read(&mut connection, &keys(), placed.attempt).await.unwrap();
        dialer_audit::page::write(&story.unwrap())
    };
    assert!(read().await.contains("none covers all of them yet"));
    let size = sign(&world).await;
    let page = read().await;
    for told in [
        "the number +130******01",
        "Judged: may be called",
        "Reserved and committed",
        "INVITE sent",
        "answered, was no_answer",
        "because         they remember",
        &format!("checkpoint      of {size} records"),
        "trunk           trunk (",
    ] {
        assert!(page.contains(told), "{told} is not in:\n{page}");
    }
    assert!(!page.contains("3055550001"), "{page}");
    let nobody = dialer_types::AttemptId { try_no: 9, ..placed.attempt };
    let mut connection = world.stores.pool.acquire().await.unwrap();
    let name = "SELECT external_id FROM person ORDER BY subject_id LIMIT 1";
    let person: String = sqlx::query_scalar(name).fetch_one(&world.owner).await.unwrap();
    let newest = story::newest(&mut connection, &person).await.unwrap();
    let newest: Vec<_> = newest.into_iter().map(|(attempt, _)| attempt).collect();
    assert_eq!(newest, [placed.attempt]);
    assert!(story::newest(&mut connection, "nobody").await.unwrap().is_empty());
    assert!(story::read(&mut connection, &keys(), nobody).await.unwrap().is_none());
}
