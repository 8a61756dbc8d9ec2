//! Payment card numbers: whatever brings them, no digit of them stays anywhere.

use std::{
    io::Write,
    sync::{Arc, Mutex, PoisonError},
};

use reqwest::{Method, StatusCode};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::{imports_files::report, world::World};

/// Every text of every table.
pub(crate) async fn dump(world: &World) -> String {
    let mut owner = PgConnection::connect(&world.owner_url).await.unwrap();
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class WHERE relkind = 'r'
         AND relnamespace = 'public'::regnamespace",
    )
    .fetch_all(&mut owner)
    .await
    .unwrap();
    assert!(tables.len() > 25, "{tables:?}");
    let mut dump = String::new();
    for table in tables {
        let sql = format!("SELECT t::text FROM {table} t");
        let rows: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut owner).await.unwrap();
        for row in rows {
            // Bytes are shown in hex: what they say as text is looked at too.
            for hex in row.split("\\x").skip(1) {
                let digits: Vec<u8> = hex.bytes().take_while(u8::is_ascii_hexdigit).collect();
                let bytes = digits.chunks_exact(2).filter_map(|pair| {
                    u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()
                });
                dump += &String::from_utf8_lossy(&bytes.collect::<Vec<u8>>());
                dump.push('\n');
            }
            dump += &row;
            dump.push('\n');
        }
    }
    dump
}

/// Bytes of the log that are kept.
const MOST: usize = 1024 * 1024;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        // The other tests of this process speak too: only what matters here is kept.
        let line = String::from_utf8_lossy(bytes);
        let heard = ["the log is heard", "INSERT INTO list_fault"];
        if heard.iter().any(|part| line.contains(part)) || pieces(&CARDS).any(|p| line.contains(p))
        {
            let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let room = MOST.saturating_sub(held.len());
            held.extend(bytes.iter().take(room));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

/// Seven digits in a row of each card.
fn pieces<'a>(cards: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
    cards
        .iter()
        .flat_map(|card| (0..card.len() - 6).map(|at| &card[at..at + 7]))
        .filter(|piece| *piece != "5555555")
}

/// None of them stands in a text, with or without what divides digits.
fn assert_clean(what: &str, text: &str, cards: &[&str]) {
    let plain: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '.' | '\u{A0}')).collect();
    for piece in pieces(cards) {
        assert!(!text.contains(piece) && !plain.contains(piece), "{what} holds {piece}");
    }
}

const CARDS: [&str; 6] = [
    "4539148803436467",
    "5555555555554444",
    "378282246310005",
    "6011514433546201",
    "30569309025904",
    "4222222222222",
];

/// The cards in every column there is, and in every writing.
fn rows() -> Vec<(String, &'static str)> {
    let [visa, master, amex, discover, diners, old] = CARDS;
    let grouped = |card: &str, by: &str| {
        let parts: Vec<&str> =
            card.as_bytes().chunks(4).map(|part| std::str::from_utf8(part).unwrap()).collect();
        parts.join(by)
    };
    let wide: String =
        visa.chars().map(|c| char::from_u32(u32::from(c) + 0xFEE0).unwrap()).collect();
    vec![
        (format!("{visa},+13055550101,,,,,"), "external_id"),
        (format!("b,{visa},,,,,"), "phone_1"),
        (format!("c,+{old},,,,,"), "phone_1"),
        (format!("d,+13055550101,{amex},,,,"), "phone_2"),
        (format!("e,+13055550101,,{},,,", grouped(master, " ")), "account"),
        (format!("f,+13055550101,,,{},,", grouped(master, "-")), "time_zone"),
        (format!("g,+13055550101,,,,\"see {}, ok\",", grouped(discover, ".")), "Notes"),
        (format!("h,+13055550101,,,,{wide},"), "Notes"),
        (format!("i,+13055550101,,,,,\"list of\n{diners}\""), "consent_source"),
        (format!("j,+13055550101,,,,\"=\"\"{visa}\"\"\","), "Notes"),
        (format!("k,+13055550101,,,,{}.0,", visa), "Notes"),
        (format!("l,+13055550101,,,,{} 12/28 123,", grouped(visa, "\u{A0}")), "Notes"),
        ("m,+13055550101,,,,4.539148803436467E+15,".to_owned(), "Notes"),
        (format!("n,+13055550101,,,,,,{visa}"), "column 8"),
        (format!("o,+13055550101,{}", grouped(visa, ",")), "phone_2"),
        (format!("p,nonsense,,,{},,", visa), "time_zone"),
        (format!("q,+13055550101,,{},{},,", &visa[..8], &visa[8..]), "account"),
        (format!("r,+13055550101,,,,=\"\"{}\"\",'{}", &visa[..6], &visa[6..]), "Notes"),
        ("s,+13055550101,,,,4.53914880343646E+15,".to_owned(), "Notes"),
        (format!("t,+13055550101,,,,000{visa},"), "Notes"),
        (format!("u,+13055550101,,,,{visa}1228123,"), "Notes"),
        (format!("v,+13055550101,,,,{},", grouped(visa, "&nbsp;")), "Notes"),
        (format!("w,+13055550101,,,,{},", grouped(visa, " * ")), "Notes"),
    ]
}

#[tokio::test]
async fn a_payment_card_number_is_quarantined_and_no_digit_of_it_is_stored_logged_or_echoed() {
    // For the whole process: the server answers in tasks of its own.
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let (world, answers) = quarantine().await;
    tracing::info!("the log is heard");
    let text = log.text();
    assert!(text.contains("the log is heard"), "the log was captured");
    assert!(text.contains("INSERT INTO list_fault"), "so are the statements of the server");
    assert_clean("the log", &text, &CARDS);
    assert_clean("an answer", &answers, &CARDS);
    assert_clean("the database", &dump(&world).await, &CARDS);
}

/// Imports the rows and everything else that may bring a card; returns every answer.
async fn quarantine() -> (World, String) {
    let world = World::start().await;
    let seller = world.seller("one").await;
    let campaign = world.campaign(&seller, "c", &[]).await;
    let path = format!("/v1/lists?campaign={campaign}&name=l");
    let header = "external_id,phone_1,phone_2,account,time_zone,Notes,consent_source\n";
    let mut csv = header.to_owned();
    for (row, _) in rows() {
        csv.push_str(&row);
        csv.push('\n');
    }
    // A number that exists stays a number, even if its digits pass for a card's.
    csv.push_str("good,+4915123456787,,,,,\n");
    let mut answers = String::new();
    let mut said = |answer: String| {
        answers += &answer;
        answers.push('\n');
    };
    let (status, list) = world.csv(&path, csv.clone()).await;
    assert_eq!(status, StatusCode::CREATED, "{list}");
    assert_eq!(list["rows"], rows().len() + 1, "{list}");
    assert_eq!(list["quarantined"], rows().len(), "{list}");
    assert_eq!((&list["rejected"], &list["imported"]), (&json!(rows().len()), &json!(1)), "{list}");
    said(list.to_string());
    let notes = report(&world, &list, "all").await;
    let mut line = 2;
    for (row, column) in rows() {
        let found: Vec<_> = notes.iter().filter(|note| note.0 == line).collect();
        assert_eq!(found.len(), 1, "{column}: {found:?}");
        assert_eq!((found[0].1.as_str(), found[0].3.as_str()), (column, "card"), "{found:?}");
        assert!(found[0].2.contains("payment card number"), "{found:?}");
        line += 1 + u64::try_from(row.matches('\n').count()).unwrap();
    }
    said(world.text(&format!("{}?about=all", list["faults"].as_str().unwrap())).await);
    let (status, preview) = world.csv(&format!("/v1/lists/preview?campaign={campaign}"), csv).await;
    assert_eq!(status, StatusCode::OK, "{preview}");
    assert_eq!(preview["rejected"], rows().len().min(20), "{preview}");
    said(preview.to_string());
    said(in_headers_and_addresses(&world, &campaign, &path).await);
    let metrics = world.request(
        Some("admin"),
        Method::GET,
        &format!("/v1/lists/{}", list["id"].as_str().unwrap()),
    );
    said(metrics.send().await.unwrap().text().await.unwrap());
    (world, answers)
}

/// Cards where no row is: each is refused with the whole request. Returns the answers.
async fn in_headers_and_addresses(world: &World, campaign: &str, path: &str) -> String {
    let mut answers = String::new();
    let mut said = |answer: String| {
        answers += &answer;
        answers.push('\n');
    };
    for card in CARDS {
        // In the header, as a column's name and in the first line of a file without one.
        for header in [format!("external_id,phone_1,{card}"), format!("{card},+13055550101")] {
            for path in [path, "/v1/lists/preview"] {
                let (status, problem) = world.csv(path, format!("{header}\n1,2,3\n")).await;
                assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
                said(problem.to_string());
            }
        }
        // In the name of the list and everywhere else in the address.
        for query in [
            format!("campaign={campaign}&name=cards {card}"),
            format!("campaign={campaign}&name=x&{card}=1"),
            format!("campaign={campaign}&name=x&columns={card}:phone_1"),
            format!("campaign={campaign}&name=x&region={card}"),
        ] {
            let path = format!("/v1/lists?{}", query.replace(' ', "%20"));
            let (status, problem) = world.csv(&path, "external_id,phone_1\n").await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
            assert!(problem.to_string().contains("payment card number"), "{problem}");
            said(problem.to_string());
        }
    }
    answers
}

#[tokio::test]
async fn a_number_that_exists_wins_in_a_column_of_numbers_and_nowhere_else() {
    let world = World::start().await;
    let seller = world.seller("one").await;
    let campaign = world.campaign(&seller, "c", &[]).await;
    // German mobile numbers of thirteen digits, one in ten of which passes the check of a card.
    let csv: String = (0..100).map(|n| format!("p{n},+49151234567{n:02},\n")).collect();
    let path = format!("/v1/lists?campaign={campaign}&name=l");
    let (_, list) = world.csv(&path, format!("external_id,phone_1,note\n{csv}")).await;
    assert_eq!((&list["imported"], &list["quarantined"]), (&json!(100), &json!(0)), "{list}");
    let copied: String =
        (0..100).map(|n| format!("q{n},+49151234567{n:02},49151234567{n:02}\n")).collect();
    let (_, list) = world.csv(&path, format!("external_id,phone_1,note\n{copied}")).await;
    // Thirteen digits that begin with 4 and pass the check: one in ten.
    assert_eq!((&list["rows"], &list["quarantined"]), (&json!(100), &json!(10)), "{list}");
}
