//! A user with the fewest rights: all that is written down is needed, and it is enough.

use dialer_stores::{CAMPAIGN, RIGHTS, Redis, RedisError};
use dialer_types::SubjectId;
use schema::testing::PrivateRedis;

use crate::{demand, head, moved};

/// Everything that the processes ask of one server.
async fn all(url: &str) -> Result<(), RedisError> {
    let redis = Redis::new(url)?;
    redis.check().await?;
    redis.probe().await?;
    redis.times().await?;
    redis.load(&[(SubjectId(1), head(11, 2), true), (SubjectId(2), head(22, 2), false)]).await?;
    redis.read(&[SubjectId(1)]).await?;
    redis.reserve(&demand(100, &[(1, 11)])).await?;
    redis.follow(&[moved(1, 100, 101), moved(2, 9, 10)]).await?;
    redis.forget(&[SubjectId(1)]).await?;
    let mut heard = redis.subscription().await?;
    heard.subscribe(CAMPAIGN).await?;
    let (mut sink, _heard) = heard.split();
    sink.ping::<Vec<String>>().await?;
    redis.publish(CAMPAIGN, "{}").await
}

#[tokio::test]
async fn the_rights_that_the_manual_lists_are_enough_and_none_of_them_is_needless() {
    let server = PrivateRedis::start().unwrap();
    let url = format!("redis://ringfence:secret@127.0.0.1:{}", server.port());
    let become_user = |rights: &str| {
        let user = format!("ACL SETUSER ringfence reset on >secret {rights}");
        let said = server.ask(&["FLUSHALL", "FUNCTION FLUSH", &user]).unwrap();
        assert_eq!(said, "+OK\r\n+OK\r\n+OK\r\n", "{rights}");
    };
    become_user(RIGHTS);
    all(&url).await.unwrap();
    let needed_elsewhere = ["+cluster|slots", "+asking", "+select"];
    let words: Vec<_> = RIGHTS.split_whitespace().collect();
    let given = words.iter().filter(|word| word.starts_with(['+', '~', '&']));
    for word in given.filter(|word| !needed_elsewhere.contains(word)) {
        let fewer: Vec<_> = words.iter().filter(|other| *other != word).copied().collect();
        become_user(&fewer.join(" "));
        assert!(all(&url).await.is_err(), "{word} is needless");
    }
    become_user(RIGHTS);
    let client = redis::Client::open(url).unwrap();
    let mut user = client.get_multiplexed_async_connection().await.unwrap();
    for (command, argument) in [
        ("FLUSHALL", ""),
        ("CONFIG", "RESETSTAT"),
        ("KEYS", "*"),
        ("MGET", "cart:17"),
        ("DEL", "cart:17"),
    ] {
        let asked = redis::cmd(command).arg(argument).query_async::<redis::Value>(&mut user).await;
        assert_eq!(asked.unwrap_err().code(), Some("NOPERM"), "{command}");
    }
}

#[tokio::test]
async fn a_database_with_a_number_needs_the_right_to_select_it() {
    let server = PrivateRedis::start().unwrap();
    let url = format!("redis://ringfence:secret@127.0.0.1:{}/3", server.port());
    let user = |rights: &str| format!("ACL SETUSER ringfence reset on >secret {rights}");
    let fewer = RIGHTS.replace(" +select", "");
    assert_ne!(fewer, RIGHTS);
    server.ask(&[&user(&fewer)]).unwrap();
    let error = all(&url).await.unwrap_err();
    assert!(error.is_lasting() && error.to_string().contains("docs/operations.md"), "{error}");
    server.ask(&[&user(RIGHTS)]).unwrap();
    all(&url).await.unwrap();
    let redis = Redis::new(&url).unwrap();
    redis.load(&[(SubjectId(7), head(77, 2), true)]).await.unwrap();
    let keys = server.ask(&["INFO keyspace"]).unwrap();
    assert!(keys.contains("db3:keys=") && !keys.contains("db0:"), "{keys}");
}

#[test]
fn the_manual_lists_these_rights() {
    let manual = include_str!("../../../../docs/operations.md");
    let manual = manual.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(manual.contains(RIGHTS), "docs/operations.md has other rights than {RIGHTS}");
}
