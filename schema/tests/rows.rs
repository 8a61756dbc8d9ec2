//! Subjects are found or made once, and heads move under lock.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use dialer_limiter::{Head, Mark, Token};
use dialer_types::{E164, LineType, Mint, SellerId, SubjectId, UnixMillis};
use schema::{
    heads::{HeadsError, move_heads, read_heads},
    numbers::NumberKeys,
    rows,
    testing::PrivatePostgres,
};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
const KEYS: NumberKeys = NumberKeys { cipher: [1; 32], lookup: [2; 32] };

async fn database(postgres: &PrivatePostgres) -> String {
    let name = postgres.new_database().unwrap();
    let mut owner = PgConnection::connect(&postgres.owner_url(&name)).await.unwrap();
    schema::MIGRATOR.run_direct(None, &mut owner, false).await.unwrap();
    postgres.app_url(&name)
}

fn number(last: u64) -> E164 {
    E164::from_digits(13_055_550_000 + last).unwrap()
}

#[tokio::test]
async fn a_number_is_made_once_with_its_head_and_found_ever_after() {
    let postgres = PrivatePostgres::shared().unwrap();
    let url = database(&postgres).await;
    let mut app = PgConnection::connect(&url).await.unwrap();
    let mut mint = Mint::new([1; 32]);
    let wanted = [
        (number(1), LineType::Unknown),
        (number(2), LineType::Voip),
        (number(1), LineType::Wireless),
    ];
    let first = rows::numbers(&mut app, &KEYS, &wanted, &mut mint, NOW).await.unwrap();
    assert_eq!(first[0], first[2]);
    assert_ne!(first[0].subject, first[1].subject);
    assert!(first.iter().all(|found| found.new));
    let again = rows::numbers(&mut app, &KEYS, &wanted, &mut mint, NOW).await.unwrap();
    assert!(again.iter().all(|found| !found.new));
    assert_eq!(again[1].subject, first[1].subject);

    let (cipher, line): (Vec<u8>, i16) =
        sqlx::query_as("SELECT cipher, line_type FROM number WHERE subject_id = $1")
            .bind(first[0].subject.0)
            .fetch_one(&mut app)
            .await
            .unwrap();
    assert_eq!(KEYS.decrypt(&cipher), Ok(number(1)));
    assert_eq!(line, i16::from(LineType::Wireless.code()), "a known line type replaces unknown");
    rows::numbers(&mut app, &KEYS, &[(number(2), LineType::Wireless)], &mut mint, NOW)
        .await
        .unwrap();
    let line: i16 = sqlx::query_scalar("SELECT line_type FROM number WHERE subject_id = $1")
        .bind(first[1].subject.0)
        .fetch_one(&mut app)
        .await
        .unwrap();
    assert_eq!(line, i16::from(LineType::Unknown.code()), "two that differ make it unknown");
}

#[tokio::test]
async fn many_connections_that_make_the_same_subjects_at_once_agree() {
    let postgres = PrivatePostgres::shared().unwrap();
    let url = database(&postgres).await;
    let seller = SellerId(7);
    let mut app = PgConnection::connect(&url).await.unwrap();
    sqlx::query("INSERT INTO seller (id, name, created_at) VALUES ($1, 's', 0)")
        .bind(Uuid::from_u128(seller.0))
        .execute(&mut app)
        .await
        .unwrap();
    let mut running = tokio::task::JoinSet::new();
    for worker in 0..8u8 {
        let url = url.clone();
        running.spawn(async move {
            let mut app = PgConnection::connect(&url).await.unwrap();
            let mut mint = Mint::new([worker; 32]);
            let mut transaction = app.begin().await.unwrap();
            let mut wanted: Vec<_> = (0..200).map(|n| (number(n), LineType::Voip)).collect();
            let mut names: Vec<String> = (0..200).map(|n| format!("p{n}")).collect();
            if worker % 2 == 1 {
                wanted.reverse();
                names.reverse();
            }
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let numbers =
                rows::numbers(&mut transaction, &KEYS, &wanted, &mut mint, NOW).await.unwrap();
            let persons =
                rows::persons(&mut transaction, seller, &names, &mut mint, NOW).await.unwrap();
            let accounts =
                rows::accounts(&mut transaction, seller, &names, &mut mint, NOW).await.unwrap();
            transaction.commit().await.unwrap();
            let mut all: Vec<i64> = numbers.iter().map(|n| n.subject.0).collect();
            all.extend(persons.iter().map(|p| p.subject.0));
            all.extend(accounts.iter().map(|a| a.subject.0));
            all.sort_unstable();
            all
        });
    }
    let answers = running.join_all().await;
    assert_eq!(answers[0].len(), 600);
    assert!(answers.iter().all(|answer| *answer == answers[0]), "all found the same subjects");
    let heads: i64 =
        sqlx::query_scalar("SELECT count(*) FROM subject_head").fetch_one(&mut app).await.unwrap();
    assert_eq!(heads, 600, "each has one head");
}

#[tokio::test]
async fn moving_heads_tells_where_each_came_from_and_a_missing_head_is_an_error() {
    let postgres = PrivatePostgres::shared().unwrap();
    let url = database(&postgres).await;
    let mut app = PgConnection::connect(&url).await.unwrap();
    let mut mint = Mint::new([1; 32]);
    let wanted = [(number(1), LineType::Voip), (number(2), LineType::Voip)];
    let found = rows::numbers(&mut app, &KEYS, &wanted, &mut mint, NOW).await.unwrap();
    let mut subjects: Vec<SubjectId> = found.iter().map(|found| found.subject).collect();
    subjects.sort_unstable();
    let before = read_heads(&mut app, &subjects).await.unwrap();

    let mut transaction = app.begin().await.unwrap();
    let event = Token(mint.ulid(NOW));
    let moved = move_heads(&mut transaction, &subjects, |subject, head: &Head| {
        (subject == subjects[0]).then(|| head.with_mark(event, Mark::suppressed(None)).unwrap())
    })
    .await
    .unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(moved.len(), 1);
    assert_eq!(moved[0].from, before[0].1.token());
    let after = read_heads(&mut app, &subjects).await.unwrap();
    assert_eq!(after[0].1, moved[0].head);
    assert_eq!(after[1], before[1]);
    let token: Uuid = sqlx::query_scalar("SELECT token FROM subject_head WHERE subject_id = $1")
        .bind(subjects[0].0)
        .fetch_one(&mut app)
        .await
        .unwrap();
    assert_eq!(token.as_u128(), event.0, "the column that compare-and-set compares moved too");

    let missing = move_heads(&mut app, &[SubjectId(999_999)], |_, _| None).await;
    assert!(matches!(missing, Err(HeadsError::Missing(SubjectId(999_999)))), "{missing:?}");
}
