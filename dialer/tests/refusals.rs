//! Stores that the dialer does not start on: each is named with what is to be done, in one sentence.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::PathBuf, process::Command};

use schema::{
    config::Keys,
    testing::{PostgresOptions, PrivatePostgres, PrivateRedis, unfit_postgres, unfit_redis},
};
use sqlx::{Connection, PgConnection};

/// What a dialer says that was started on these stores; it must not stay.
fn said(postgres: &str, redis: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("refusals");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("keys.toml"), Keys::generate(&[7; 96], "test/audit")).unwrap();
    let file = folder.join("ringfence.toml");
    let text = format!(
        "[postgres]\nurl = \"{postgres}\"\n[redis]\nurl = \"{redis}\"\n[keys]\nfile = \"keys.toml\"\n\
         [dialer]\nsip = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\nprompts = \".\"\nlists = \".\"\n"
    );
    fs::write(&file, text).unwrap();
    let program = env!("CARGO_BIN_EXE_dialer");
    let ended = Command::new(program).args(["run", "--config"]).arg(file).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    said.lines().find(|line| line.starts_with("dialer: ")).unwrap().to_owned()
}

/// The standby costs a sentence at the start, the others a refusal: one server is made into all of them.
#[tokio::test]
async fn stores_that_cannot_be_used_are_refused_with_what_to_do() {
    let mut postgres = PrivatePostgres::start(PostgresOptions::default()).unwrap();
    let redis = PrivateRedis::start().unwrap();
    let good = postgres.new_database().unwrap();
    migrate(&postgres, &good).await;
    for unfit in unfit_redis().unwrap() {
        let said = said(&postgres.app_url(&good), &unfit.url);
        assert!(said.contains(unfit.remedy), "{}: {said}", unfit.what);
        assert!(said.contains("cannot use Redis at redis://") && !said.contains("wr0ng"), "{said}");
    }
    for unfit in unfit_postgres() {
        let database = postgres.new_database().unwrap();
        migrate(&postgres, &database).await;
        postgres.sql(&database, &unfit.sql.replace("{database}", &database)).unwrap();
        let said = said(&postgres.app_url(&database), &redis.url());
        assert!(said.contains(unfit.remedy), "{}: {said}", unfit.what);
    }
    let url = postgres.app_url(&good);
    for (wrong, why) in [
        (url.replace("//app:", "//app:wr0ng"), "password authentication failed"),
        (postgres.app_url("nowhere"), "does not exist"),
    ] {
        let told = said(&wrong, &redis.url());
        assert!(told.contains("cannot use PostgreSQL") && told.contains(why), "{told}");
        assert!(!told.contains("wr0ng"), "{told}");
    }
    let empty = postgres.new_database().unwrap();
    let told = said(&postgres.app_url(&empty), &redis.url());
    assert!(told.contains("run: campaign-api migrate"), "{told}");
    postgres.become_standby().unwrap();
    let told = said(&postgres.app_url(&good), &redis.url());
    assert!(told.contains("is a standby, which takes no writes: name the primary"), "{told}");
}

async fn migrate(postgres: &PrivatePostgres, database: &str) {
    let mut owner = PgConnection::connect(&postgres.owner_url(database)).await.unwrap();
    schema::MIGRATOR.run_direct(None, &mut owner, false).await.unwrap();
}
