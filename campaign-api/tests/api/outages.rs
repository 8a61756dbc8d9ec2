//! Stores that are missing at the start or go away.

use campaign_api::app::App;
use reqwest::{Method, StatusCode};
use schema::testing::{PostgresOptions, PrivatePostgres, PrivateRedis};
use serde_json::json;

use crate::world::{World, config};

#[tokio::test]
async fn a_store_that_is_missing_at_the_start_is_named_with_its_place_and_without_its_password() {
    let redis = PrivateRedis::start().unwrap();
    let missing = "postgres://app:s3cret@127.0.0.1:1/ringfence";
    let error = App::start(&config(missing, &redis.url())).await.unwrap_err().to_string();
    assert!(error.contains("Postgres at postgres://app:***@127.0.0.1:1/ringfence"), "{error}");
    assert!(!error.contains("s3cret"), "{error}");

    let postgres = PrivatePostgres::shared().unwrap();
    let database = postgres.new_database().unwrap();
    let url = postgres.owner_url(&database);
    let error = App::start(&config(&url, &redis.url())).await.unwrap_err().to_string();
    assert!(error.contains("campaign-api migrate"), "{error}");

    let world = World::start().await;
    let error = App::start(&config(&world.owner_url, "redis://:s3cret@127.0.0.1:1"))
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("Redis at redis://:***@127.0.0.1:1"), "{error}");
    assert!(!error.contains("s3cret"), "{error}");
}

#[tokio::test]
async fn a_clock_offset_moves_the_demo_and_is_impossible_outside_it() {
    let world = World::start().await;
    world.execute("UPDATE deployment SET mode = 'demo', clock_offset_ms = 86400000").await;
    let config = config(&world.owner_url, &world.redis.url());
    let moved = App::start(&config).await.unwrap().now().0 - world.app.now().0;
    assert!((86_390_000..86_410_000).contains(&moved), "{moved}");
    world
        .execute(
            "ALTER TABLE deployment DROP CONSTRAINT deployment_check;
             UPDATE deployment SET mode = 'production'",
        )
        .await;
    let error = App::start(&config).await.unwrap_err().to_string();
    assert!(error.contains("outside the demo"), "{error}");
}

#[tokio::test]
async fn postgres_gone_in_the_middle_is_a_503_and_the_api_recovers_by_itself() {
    let mut postgres = PrivatePostgres::start(PostgresOptions::default()).unwrap();
    postgres.create_database("ringfence").unwrap();
    let urls = (postgres.app_url("ringfence"), postgres.owner_url("ringfence"));
    let world = World::on(urls, None).await;
    world.seller("one").await;
    postgres.stop(true);
    let (status, problem) = world.get("/v1/sellers").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{problem}");
    assert_eq!(problem["code"], "postgres_unavailable", "{problem}");
    let opt_out = json!({ "number": "+13055550102", "reason": "asked" });
    let (status, problem) = world.post("/v1/suppressions", &opt_out).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "never an empty success: {problem}");
    let health = world.request(None, Method::GET, "/healthz").send().await.unwrap();
    assert_eq!(health.status(), StatusCode::SERVICE_UNAVAILABLE);
    postgres.start_again().unwrap();
    let (status, sellers) = world.get("/v1/sellers").await;
    assert_eq!(status, StatusCode::OK, "{sellers}");
    let names: Vec<_> = sellers["items"].as_array().unwrap().iter().map(|s| &s["name"]).collect();
    assert_eq!(names, [&json!("one")]);
}
