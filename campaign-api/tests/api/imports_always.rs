//! imported + rejected + duplicate = rows, always: for any bytes, and when a store or a sender dies.

use std::time::Duration;

use futures_util::stream;
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use reqwest::{Method, StatusCode};
use schema::testing::{PostgresOptions, PrivatePostgres};
use serde_json::{Value, json};

use crate::world::World;

/// Files to import: each takes some milliseconds.
const FILES: usize = 60;

fn sum(list: &Value) -> i64 {
    ["imported", "rejected", "duplicates"].iter().map(|name| list[name].as_i64().unwrap()).sum()
}

/// A row as people write it, or not: with how many rows it is, where that is certain.
fn row() -> impl Strategy<Value = Vec<u8>> {
    let cell = prop_oneof![
        4 => "[a-z]{1,3}".prop_map(String::into_bytes),
        4 => "\\+1305555[0-9]{4}".prop_map(String::into_bytes),
        1 => "\"[a-z,;\n]{0,6}\"".prop_map(String::into_bytes),
        1 => "[-+0-9.E' #=/\"]{0,9}".prop_map(String::into_bytes),
        1 => Just(b"4111 1111 1111 1111".to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..12),
    ];
    proptest::collection::vec(cell, 0..5).prop_map(|cells| cells.join(&b','))
}

fn file() -> impl Strategy<Value = Vec<u8>> {
    let header = prop_oneof![
        6 => Just(&b"external_id,phone_1,note\n"[..]),
        1 => Just(&b"\xEF\xBB\xBFid,Tel,x\r\n"[..]),
        1 => Just(&b"sep=,\nid,Tel,x\r\n"[..]),
    ];
    let end = prop_oneof![Just(&b"\n"[..]), Just(&b"\r\n"[..]), Just(&b"\r"[..])];
    let rows = proptest::collection::vec((row(), end), 0..60);
    (header, rows).prop_map(|(header, rows)| {
        let mut file = header.to_vec();
        for (row, end) in rows {
            file.extend(row);
            file.extend(end);
        }
        file
    })
}

#[tokio::test]
async fn whatever_a_file_holds_every_row_is_imported_rejected_or_a_duplicate() {
    let world = World::start().await;
    let seller = world.seller("one").await;
    let campaign = world.campaign(&seller, "c", &[]).await;
    let path = format!("/v1/lists?campaign={campaign}&name=l&region=US");
    let mut runner = TestRunner::default();
    let (mut read, mut contacts, mut quarantined) = (0, 0, 0);
    for _ in 0..FILES {
        let bytes = file().new_tree(&mut runner).unwrap().current();
        let (status, list) = world.csv(&path, bytes.clone()).await;
        if status != StatusCode::CREATED {
            // The whole may be no list; then none of it is there.
            assert!(status.is_client_error(), "{status} {list} for {bytes:?}");
            continue;
        }
        assert_eq!(sum(&list), list["rows"].as_i64().unwrap(), "{list} for {bytes:?}");
        contacts += list["imported"].as_i64().unwrap();
        quarantined += list["quarantined"].as_i64().unwrap();
        let held = world.sql::<i64>("SELECT count(*) FROM contact").await;
        assert_eq!(held, contacts, "{list} for {bytes:?}");
        let told = "SELECT count(DISTINCT line) FROM list_fault f JOIN contact_list l ON l.id = f.list_id
            WHERE f.kind IN ('fault', 'card') AND l.id = (SELECT max(id::text)::uuid FROM contact_list)";
        assert_eq!(world.sql::<i64>(told).await, list["rejected"].as_i64().unwrap(), "{bytes:?}");
        read += 1;
    }
    assert!(
        read > FILES / 2 && contacts > 10 && quarantined > 10,
        "{read} {contacts} {quarantined}"
    );
}

#[tokio::test]
async fn a_file_whose_rows_are_known_is_counted_row_by_row() {
    let world = World::start().await;
    let seller = world.seller("one").await;
    let mut runner = TestRunner::default();
    let kinds = proptest::collection::vec(0..6_u8, 1..2500);
    for n in 0..6 {
        let campaign = world.campaign(&seller, &format!("c{n}"), &[]).await;
        let kinds = kinds.new_tree(&mut runner).unwrap().current();
        let mut csv = b"external_id,phone_1,note\n".to_vec();
        let (mut good, mut bad, mut twice, mut blank) = (0, 0, 0, 0);
        for (at, kind) in kinds.iter().enumerate() {
            match kind {
                0 => {
                    good += 1;
                    csv.extend(format!("p{at},305555{:04},x\n", at).bytes());
                }
                1 => {
                    good += 1;
                    csv.extend(format!("\"p{at}\",'305555{:04},\"a\n\"\"b\"\n", at).bytes());
                }
                2 => {
                    bad += 1;
                    csv.extend(b"x,3.05E+09,\n");
                }
                3 => {
                    bad += 1;
                    csv.extend(b"y\xFF\xFE\x80,+13055550101,\n");
                }
                4 if good > 0 => {
                    twice += 1;
                    csv.extend(b"dup,+13055550101,\n");
                }
                _ => {
                    blank += 1;
                    csv.extend(b",,\n");
                }
            }
        }
        let first = i64::from(twice > 0);
        let path = format!("/v1/lists?campaign={campaign}&name=l&region=US&encoding=utf-8");
        let (_, list) = world.csv(&path, csv).await;
        assert_eq!(list["rows"], good + bad + twice, "{list}");
        assert_eq!(list["imported"], good + first, "{list}");
        assert_eq!(list["duplicates"], twice - first, "{list}");
        assert_eq!((&list["rejected"], &list["blank"]), (&json!(bad), &json!(blank)), "{list}");
    }
}

fn rows(from: u64) -> String {
    (from..from + 500).map(|n| format!("p{n},+1{}\n", 3_055_550_000 + n)).collect()
}

#[tokio::test]
async fn postgres_dying_in_the_middle_leaves_a_list_whose_counters_are_its_contacts() {
    let mut postgres = PrivatePostgres::start(PostgresOptions::default()).unwrap();
    postgres.create_database("ringfence").unwrap();
    let urls = (postgres.app_url("ringfence"), postgres.owner_url("ringfence"));
    let world = World::on(urls, None).await;
    let seller = world.seller("one").await;
    let campaign = world.campaign(&seller, "c", &[]).await;
    let path = format!("/v1/lists?campaign={campaign}&name=l");
    let (send, receive) = tokio::sync::mpsc::channel::<Result<String, std::io::Error>>(4);
    let body = reqwest::Body::wrap_stream(stream::unfold(receive, |mut receive| async move {
        receive.recv().await.map(|piece| (piece, receive))
    }));
    let request = world.request(Some("admin"), Method::POST, &path).body(body).send();
    let feed = async {
        send.send(Ok("external_id,phone_1\n".to_owned())).await.unwrap();
        for n in 0..8 {
            send.send(Ok(rows(n * 500))).await.unwrap();
        }
        for _ in 0..100 {
            if world.sql::<i64>("SELECT count(*) FROM contact").await >= 1000 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        postgres.stop(true);
        for n in 8..12 {
            if send.send(Ok(rows(n * 500))).await.is_err() {
                break;
            }
        }
        drop(send);
        postgres.start_again().unwrap();
    };
    let (answer, ()) = tokio::join!(request, feed);
    assert!(answer.unwrap().status().is_server_error(), "nobody is told that all is well");
    let agree = "SELECT rows = imported + rejected + duplicates AND imported =
        (SELECT count(*) FROM contact) AND imported BETWEEN 1 AND 4000 FROM contact_list";
    assert!(world.sql::<bool>(agree).await);
    // The import is known to have failed, at once or when nothing came for long; another brings the rest.
    world.execute("UPDATE contact_list SET touched_at = 0").await;
    let all: String = (0..12).map(|n| rows(n * 500)).collect();
    let (status, again) = world.csv(&path, format!("external_id,phone_1\n{all}")).await;
    assert_eq!(status, StatusCode::CREATED, "{again}");
    assert_eq!(again["rows"], 6000, "{again}");
    assert_eq!(world.sql::<i64>("SELECT count(*) FROM contact").await, 6000);
    let open = "SELECT count(*) FROM contact_list WHERE state = 'importing'";
    assert_eq!(world.sql::<i64>(open).await, 0);
}

#[tokio::test]
async fn an_upload_that_breaks_off_keeps_what_came_and_the_list_does_not_stay_open() {
    let world = World::start().await;
    let seller = world.seller("one").await;
    let campaign = world.campaign(&seller, "c", &[]).await;
    let path = format!("/v1/lists?campaign={campaign}&name=l");
    let pieces = [
        // More than what is looked at before the first row is read.
        Ok("external_id,phone_1\n".to_owned()
            + &(0..16).map(|n| rows(n * 500)).collect::<String>()),
        Err(std::io::Error::other("the cable is out")),
    ];
    // The second piece comes when the first is on its way.
    let body = stream::unfold(pieces.into_iter(), |mut pieces| async move {
        let piece = pieces.next()?;
        if piece.is_err() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        Some((piece, pieces))
    });
    let request = world.request(Some("admin"), Method::POST, &path);
    let answer = request.body(reqwest::Body::wrap_stream(body)).send().await;
    assert!(answer.is_err() || !answer.unwrap().status().is_success());
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        world.execute("UPDATE contact_list SET touched_at = 0 WHERE state = 'importing'").await;
        let id = "SELECT coalesce(max(id::text), '') FROM contact_list";
        let id: String = world.sql(id).await;
        if let Ok(id) = id.parse::<sqlx::types::Uuid>() {
            let id = dialer_types::ListId(id.as_u128());
            let (_, list) = world.get(&format!("/v1/lists/{id}")).await;
            assert_eq!(sum(&list), list["rows"].as_i64().unwrap(), "{list}");
            // On a slow machine the import may go on for a while after it was given up.
            let held = world.sql::<i64>("SELECT count(*) FROM contact").await;
            if list["state"] == "failed" && list["imported"] == held && held > 0 {
                return;
            }
        }
    }
    panic!("the list stayed open");
}
