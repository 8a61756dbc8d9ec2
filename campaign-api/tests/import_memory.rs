//! A long list, in a process of its own: its memory is measured.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]
#![allow(clippy::disallowed_methods, reason = "the speed of an import is printed")]

use std::convert::Infallible;

use futures_util::stream;
use reqwest::StatusCode;

use world::World;

#[path = "api/world.rs"]
#[allow(dead_code, reason = "the world of the other tests, of which this needs little")]
mod world;

/// Resident memory of this process, which is the API too, in bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[tokio::test]
async fn a_hundred_thousand_rows_are_streamed_in_bounded_memory() {
    const ROWS: u64 = 100_000;
    let world = World::start().await;
    let seller = world.seller("one").await;
    let campaign = world.campaign(&seller, "c", &[]).await;
    let path = format!("/v1/campaigns/{campaign}/lists?name=big");
    let piece = |n: u64| -> Result<String, Infallible> {
        if n == 0 {
            return Ok("external_id,phone_1,country,region,note_free\n".replace(",note_free", ""));
        }
        let rows = (n * 1000 - 1000)..(n * 1000);
        Ok(rows
            .map(|row| match row % 1000 {
                500 => format!("p{row},garbage,US,FL\n"),
                501 => format!("p{},+1{},US,FL\n", row - 2, 2_000_000_000 + row),
                _ => format!("p{row},+1{},US,FL\n", 2_000_000_000 + row),
            })
            .collect())
    };
    // The first small import warms pools and caches up.
    world.csv(&path.replace("big", "small"), "external_id,phone_1\nx,+13055550101\n").await;
    let before = resident();
    let body = reqwest::Body::wrap_stream(stream::iter((0..=ROWS / 1000).map(piece)));
    let began = std::time::Instant::now();
    let (status, list) = world.csv(&path, body).await;
    println!("{ROWS} rows in {:?}", began.elapsed());
    let grown = resident().saturating_sub(before);
    assert_eq!(status, StatusCode::CREATED, "{list}");
    assert_eq!(list["rows"], ROWS, "{list}");
    assert_eq!(list["rejected"], ROWS / 1000, "{list}");
    assert_eq!(list["duplicates"], ROWS / 1000, "{list}");
    assert_eq!(list["imported"], ROWS - ROWS / 500, "{list}");
    assert!(grown < 48 * 1024 * 1024, "memory grew by {grown} bytes");
    let report = world.text(list["faults"].as_str().unwrap()).await;
    assert_eq!(u64::try_from(report.lines().count()).unwrap(), ROWS / 1000 + 1);
}
