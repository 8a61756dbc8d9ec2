//! The audit from its entries to an export that verifies, and to one that does not.

use std::{fs, path::PathBuf};

use dialer::{
    cli,
    store::{audit::Sequencer, export},
};
use dialer_audit::Signer;
use dialer_engine::Next;
use dialer_types::Disposition;
use sqlx::{Connection, PgConnection};

use crate::world::{NOW, World};

const ORIGIN: &str = "ringfence.test/audit";

fn folder(world: &World) -> PathBuf {
    std::env::temp_dir().join(format!("rf-export-{}", world.database))
}

fn signer() -> Signer {
    Signer::from_seed(ORIGIN, &[9; 32]).unwrap()
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
    assert_eq!(sequencer.sequence(&mut connection, now).await.unwrap(), 12);
    sequencer.sign(&mut connection, &signer(), now, true).await.unwrap();

    let out = folder(&world);
    let checkpoint = export::write(&world.stores.pool, &signer(), &out).await.unwrap();
    assert_eq!(checkpoint.size, 12);
    let key = out.join("key.pub");
    let report = cli::audit_verify(&out, &key).unwrap();
    assert_eq!((report.counts.placements, report.counts.permits), (4, 4));

    for (file, from, to) in [
        ("audit.jsonl", "\"answered\"", "\"busy\""),
        ("audit.csv", ",answered,", ",busy,"),
        ("manifest.json", "\"size\": 12", "\"size\": 11"),
        ("checkpoint", "\n12\n", "\n11\n"),
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
async fn a_wait_for_records_is_no_reason_to_lose_one() {
    let mut world = World::new().await;
    let contact = world.contact(None).await;
    let placed = world.place(contact, 1).await;
    let sent = dialer_audit::record::Sent {
        placement: placed.demand.placement(),
        sent_at: NOW,
        sip_call_id: placed.sip_call_id.clone(),
    };
    let record = dialer_audit::Record::new(Some(world.stores.node), sent.into(), NOW);
    let items = [dialer::store::ledger::Item::Record(Box::new(record))];
    world.stores.write(world.stores.node, &items).await.unwrap();
    let found = "SELECT count(*) FROM audit_entry WHERE kind = 3 AND placement IS NOT NULL";
    assert_eq!(world.count(found).await, 1);
}
