//! Files as spreadsheets, databases and people write them, byte by byte.

use std::collections::BTreeMap;

use dialer_types::ContactId;
use encoding_rs::{GB18030, WINDOWS_1252};
use reqwest::StatusCode;
use schema::numbers::NumberKeys;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, Row};

use crate::world::World;

/// A contact as it is stored, decrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) numbers: Vec<String>,
    pub(crate) account: Option<String>,
    pub(crate) place: [Option<String>; 4],
    pub(crate) own: Value,
}

/// The contacts of a campaign by the id of their person.
pub(crate) async fn stored(world: &World, campaign: &str) -> BTreeMap<String, Stored> {
    let keys = NumberKeys { cipher: [1; 32], lookup: [2; 32] };
    let mut owner = PgConnection::connect(&world.owner_url).await.unwrap();
    let id = campaign.parse::<ContactId>().unwrap().0;
    let rows = sqlx::query(
        "SELECT p.external_id, a.external_id, c.country, c.region, c.postal_code, c.time_zone,
                f.cipher, array(SELECT n.cipher FROM contact_number cn JOIN number n
                    ON n.subject_id = cn.number_subject WHERE cn.contact_id = c.id
                    ORDER BY cn.position)
         FROM contact c JOIN person p ON p.subject_id = c.person_subject
         LEFT JOIN account a ON a.subject_id = c.account_subject
         LEFT JOIN contact_field f ON f.contact_id = c.id WHERE c.campaign_id = $1",
    )
    .bind(sqlx::types::Uuid::from_u128(id))
    .fetch_all(&mut owner)
    .await
    .unwrap();
    rows.into_iter()
        .map(|row| {
            let numbers: Vec<Vec<u8>> = row.get(7);
            let own: Option<Vec<u8>> = row.get(6);
            let own = own.map(|sealed| keys.decrypt_secret(&sealed).unwrap());
            let own = own.map(|text| serde_json::from_slice(&text).unwrap());
            let stored = Stored {
                numbers: numbers.iter().map(|n| keys.decrypt(n).unwrap().expose()).collect(),
                account: row.get(1),
                place: [row.get(2), row.get(3), row.get(4), row.get(5)],
                own: own.unwrap_or(Value::Null),
            };
            (row.get(0), stored)
        })
        .collect()
}

/// The report of a list as line, column, reason, kind.
pub(crate) async fn report(
    world: &World,
    list: &Value,
    about: &str,
) -> Vec<(u64, String, String, String)> {
    let text = world.text(&format!("{}?about={about}", list["faults"].as_str().unwrap())).await;
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.deserialize().map(Result::unwrap).collect()
}

fn utf16(text: &str, big: bool, mark: bool) -> Vec<u8> {
    let units = mark.then_some(0xFEFF).into_iter().chain(text.encode_utf16());
    units.flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
}

/// The same three people, in every form a file has.
fn forms() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let latin = "Customer ID,Name,Mobile,City\r\n1,\"Müller, Jörg\",+4915123456789,Köln\r\n2,\"said \"\"no\"\"\",+4915123456790,Bonn\r\n3,\"two\r\nlines\",+4915123456791,\r\n";
    let chinese = "客户编号,姓名,手机号码,城市\r\n1,王小明,13800138000,上海\r\n2,\"李娜,女士\",13900139000,北京\r\n3,\"两\r\n行\",13700137000,\r\n";
    let other = |from: &str, by: &str| {
        // Cells hold no delimiter but in quotes; the quoted comma stays.
        from.replace(", ", "\u{1}")
            .replace(",女", "\u{2}")
            .replace(',', by)
            .replace('\u{1}', ", ")
            .replace('\u{2}', ",女")
    };
    vec![
        ("comma, UTF-8, CRLF", "", latin.into()),
        ("byte order mark", "", [b"\xEF\xBB\xBF", latin.as_bytes()].concat()),
        ("LF", "", latin.replace("\r\n", "\n").into()),
        ("CR", "", latin.replace("\r\n", "\r").into()),
        ("semicolon", "", other(latin, ";").into()),
        ("tab", "", other(latin, "\t").into()),
        ("pipe", "", other(latin, "|").into()),
        ("sep=", "", format!("sep=;\r\n{}", other(latin, ";")).into()),
        ("tab, told", "&delimiter=tab", other(latin, "\t").into()),
        ("Latin-1", "", WINDOWS_1252.encode(latin).0.into_owned()),
        ("Latin-1, told", "&encoding=latin1", WINDOWS_1252.encode(latin).0.into_owned()),
        ("UTF-16 LE of Excel", "", utf16(&other(latin, "\t"), false, true)),
        ("UTF-16 BE", "", utf16(latin, true, true)),
        ("UTF-16 LE without mark", "", utf16(latin, false, false)),
        ("UTF-16 BE without mark", "", utf16(latin, true, false)),
        ("GBK", "&region=CN", GB18030.encode(chinese).0.into_owned()),
        ("GBK, told", "&region=CN&encoding=gbk", GB18030.encode(chinese).0.into_owned()),
        ("Chinese UTF-8", "&region=CN", chinese.into()),
        ("Chinese UTF-16", "&region=CN", utf16(&other(chinese, ";"), false, true)),
    ]
}

#[tokio::test]
async fn a_file_says_the_same_in_every_delimiter_quoting_and_encoding() {
    let world = World::start().await;
    let seller = world.seller("one").await;
    for (n, (form, query, bytes)) in forms().into_iter().enumerate() {
        let campaign = world.campaign(&seller, &format!("c{n}"), &[]).await;
        let path = format!("/v1/lists?campaign={campaign}&name=l{query}");
        let (status, list) = world.csv(&path, bytes).await;
        assert_eq!(status, StatusCode::CREATED, "{form}: {list}");
        assert_eq!((&list["rows"], &list["imported"]), (&json!(3), &json!(3)), "{form}: {list}");
        assert_eq!(list["repaired"], 0, "{form}: {list}");
        let people = stored(&world, &campaign).await;
        let text = |id: &str, column: &str| {
            people[id].own[column].as_str().unwrap().replace("\r\n", "\n").replace('\r', "\n")
        };
        if form.contains("GBK") || form.contains("Chinese") {
            assert_eq!(people["1"].numbers, ["+8613800138000"], "{form}");
            assert_eq!(text("1", "姓名"), "王小明", "{form}");
            assert_eq!(text("1", "city"), "上海", "{form}");
            assert_eq!(text("2", "姓名"), "李娜,女士", "{form}");
            assert_eq!(text("3", "姓名"), "两\n行", "{form}");
        } else {
            assert_eq!(people["1"].numbers, ["+4915123456789"], "{form}");
            assert_eq!(text("1", "Name"), "Müller, Jörg", "{form}");
            assert_eq!(text("1", "city"), "Köln", "{form}");
            assert_eq!(text("2", "Name"), "said \"no\"", "{form}");
            assert_eq!(text("3", "Name"), "two\nlines", "{form}");
        }
    }
}

/// A row of a spreadsheet, and what becomes of it: the number and the columns that were repaired,
/// or the column and part of the reason why it is refused.
type Damage =
    (&'static str, Result<(&'static str, &'static [&'static str]), (&'static str, &'static str)>);

const DAMAGE: &[Damage] = &[
    ("1,3055550101,33101,", Ok(("+13055550101", &[]))),
    ("2,3.05E+09,33101,", Err(("phone_1", "lost its last digits"))),
    ("3,3.055550103E+09,33101,", Ok(("+13055550103", &["phone_1"]))),
    ("4,\"=\"\"3055550104\"\"\",33101,", Ok(("+13055550104", &["phone_1"]))),
    ("5,'3055550105,33101,", Ok(("+13055550105", &["phone_1"]))),
    ("6,3055550106.0,33101,", Ok(("+13055550106", &["phone_1"]))),
    ("7,\u{A0}3055550107\u{200B},33101,", Ok(("+13055550107", &["phone_1"]))),
    ("8,３０５５５５０１０８,33101,", Ok(("+13055550108", &["phone_1"]))),
    ("9,  3055550109   ,33101,", Ok(("+13055550109", &[]))),
    ("10,3055550110,2134,", Ok(("+13055550110", &["postal_code"]))),
    ("11,3/5/2026,33101,", Err(("phone_1", "date"))),
    ("12,#REF!,33101,", Err(("phone_1", "error of the spreadsheet"))),
    ("13,3055550113,#N/A,", Err(("postal_code", "error of the spreadsheet"))),
    ("14,3055550114,33101,45000", Ok(("+13055550114", &["relationship_since"]))),
    ("15,3055550115,33101,31.12.2025", Ok(("+13055550115", &["relationship_since"]))),
    ("16,3055550116,33101,3/4/2026", Err(("relationship_since", "day/month"))),
    ("1.23457E+12,3055550117,33101,", Err(("external_id", "lost its last digits"))),
    ("18.0,3055550118,33101,", Ok(("+13055550118", &["external_id"]))),
    ("5-Mar,3055550119,33101,", Err(("external_id", "date"))),
    ("20,305-555-0120 x9,33101,", Err(("phone_1", "extension"))),
    ("21,3055550121 / 3055550122,33101,", Err(("phone_1", "several"))),
    ("22,+44 7911 123456,33101,", Ok(("+447911123456", &[]))),
    ("23,4915123456789,33101,", Ok(("+4915123456789", &["phone_1"]))),
    ("24,5550124,33101,", Err(("phone_1", "no number of US"))),
    ("25,NULL,33101,", Err(("phone_1", "needs a number"))),
    ("26,=A1+B2,33101,", Err(("phone_1", "formula"))),
    ("3055550127,3055550127,33101,", Ok(("+13055550127", &["external_id"]))),
];

#[tokio::test]
async fn what_spreadsheets_do_is_repaired_or_refused_by_row_with_the_reason() {
    let world = World::start().await;
    let seller = world.seller("one").await;
    let campaign = world.campaign(&seller, "c", &[]).await;
    let mut csv = "ID,Phone Number,ZIP,Customer Since,Relationship,Country,,\r\n".to_owned();
    for (row, _) in DAMAGE {
        let kind = if row.ends_with(',') { "" } else { "Existing Customer" };
        csv.push_str(&format!("{row},{kind},usa,,,\r\n"));
    }
    csv.push_str(",,,,,,,\r\n,, ,,,,,\r\n\r\n,,,,,,,\r\n");
    let path = format!("/v1/lists?campaign={campaign}&name=l&region=GB");
    let (status, list) = world.csv(&path, csv.replace(",,,\r\n", ",,\r\n")).await;
    assert_eq!(status, StatusCode::CREATED, "{list}");
    let good = DAMAGE.iter().filter(|(_, outcome)| outcome.is_ok()).count();
    assert_eq!(list["rows"], DAMAGE.len(), "{list}");
    assert_eq!(list["imported"], good, "{list}");
    assert_eq!(list["rejected"], DAMAGE.len() - good, "{list}");
    assert_eq!(list["repaired"], good, "every row wrote usa for US: {list}");
    assert_eq!(list["blank"], 3, "{list}");
    assert!(list["remarks"].to_string().contains("blank rows, which are not counted: 3"), "{list}");

    let people = stored(&world, &campaign).await;
    let numbers: Vec<&String> = people.values().flat_map(|person| &person.numbers).collect();
    let faults = report(&world, &list, "rejected").await;
    let repairs = report(&world, &list, "repaired").await;
    for (line, (row, outcome)) in (2..).zip(DAMAGE) {
        match outcome {
            Ok((number, columns)) => {
                assert!(numbers.iter().any(|held| held == number), "{row}: {numbers:?}");
                let mut found: Vec<&str> =
                    repairs.iter().filter(|r| r.0 == line).map(|r| r.1.as_str()).collect();
                found.retain(|column| *column != "country");
                found.dedup();
                assert_eq!(&found, columns, "{row}");
            }
            Err((column, part)) => {
                let found: Vec<_> = faults.iter().filter(|fault| fault.0 == line).collect();
                assert!(
                    found.len() == 1 && found[0].1 == *column && found[0].2.contains(part),
                    "{row}: {found:?}"
                );
            }
        }
    }
    assert!(repairs.iter().all(|repair| repair.3 == "repair"), "{repairs:?}");
    assert_eq!(people["10"].place[2].as_deref(), Some("02134"));
    assert_eq!(people["10"].place[0].as_deref(), Some("US"));
    assert!(people.contains_key("18"), "18.0 is 18");
    let coded = people.keys().filter(|id| id.starts_with("number-")).count();
    assert_eq!(coded, 1, "an id that is a number is kept as a code");
    let since =
        "SELECT string_agg(relationship_since::text, ',' ORDER BY relationship_since) FROM contact";
    assert_eq!(world.sql::<String>(since).await, "2023-03-15,2025-12-31");
}

#[tokio::test]
async fn the_country_of_a_row_wins_over_the_region_of_the_file() {
    let world = World::start().await;
    let seller = world.seller("one").await;
    let campaign = world.campaign(&seller, "c", &[]).await;
    let csv = "id,tel,land,phone type\n1,07911 123456,,mobile\n2,0151 23456789,DE,Landline\n3,138 0013 8000,中国,home\n4,07911 123456,US,\n";
    let path = format!("/v1/lists?campaign={campaign}&name=l&region=gb");
    let (_, list) = world.csv(&path, csv).await;
    assert_eq!((&list["imported"], &list["rejected"]), (&json!(3), &json!(1)), "{list}");
    let people = stored(&world, &campaign).await;
    let numbers: Vec<&str> = people.values().map(|p| p.numbers[0].as_str()).collect();
    assert_eq!(numbers, ["+447911123456", "+4915123456789", "+8613800138000"]);
    let lines = "SELECT string_agg(line_type::text, ',' ORDER BY line_type) FROM number";
    assert_eq!(world.sql::<String>(lines).await, "1,2,4", "mobile, landline, not known");
    let (_, lists) = world.get(&format!("/v1/campaigns/{campaign}/lists")).await;
    assert_eq!(lists["items"].as_array().unwrap().len(), 1, "{lists}");
    assert_eq!((&lists["items"][0]["id"], &lists["items"][0]["rows"]), (&list["id"], &json!(4)));
    // Without any country a national number is refused, and told what to do.
    let campaign = world.campaign(&seller, "d", &[]).await;
    let path = format!("/v1/lists?campaign={campaign}&name=l");
    let (_, list) = world.csv(&path, "id,tel\n1,07911 123456\n").await;
    let faults = report(&world, &list, "rejected").await;
    assert!(faults[0].2.contains("region=US"), "{faults:?}");
}

#[tokio::test]
async fn a_row_has_several_numbers_an_address_an_account_consents_and_columns_of_its_own() {
    let world = World::start().await;
    let seller = world.seller("one").await;
    let campaign = world.campaign(&seller, "c", &[]).await;
    let csv = "Customer ID,Mobile,Home Phone,Work Phone,Phone 4,Account Number,Address,Town,State,Zip,Country,Time Zone,\
        consent_1_form,consent_1_purpose,consent_1_at,consent_2_form,consent_2_purpose,consent_2_technology,consent_2_at,consent_2_revoked_at,\
        First Name,Notes,Notes\n\
        7,305-555-0101,305-555-0102,305-555-0103,305-555-0104,A-1,\"1 Main St, Apt 2\",Miami,Florida,33101,USA,America/New_York,\
        opt_in,survey,2026-01-05 10:00,prior_express_written,telemarketing,prerecorded,2026-01-05T10:00:00Z,2026-02-01,\
        Ann,\"likes \"\"tea\"\"\",x\n";
    let path = format!("/v1/lists?campaign={campaign}&name=l");
    let (status, list) = world.csv(&path, csv).await;
    assert_eq!(status, StatusCode::CREATED, "{list}");
    assert_eq!((&list["imported"], &list["repaired"]), (&json!(1), &json!(1)), "{list}");
    let people = stored(&world, &campaign).await;
    let person = &people["7"];
    assert_eq!(person.numbers, ["+13055550101", "+13055550102", "+13055550103", "+13055550104"]);
    assert_eq!(person.account.as_deref(), Some("A-1"));
    let place = person.place.clone().map(Option::unwrap);
    assert_eq!(place, ["US", "FL", "33101", "America/New_York"]);
    assert_eq!(
        person.own,
        json!({ "street": "1 Main St, Apt 2", "city": "Miami", "First Name": "Ann",
                "Notes": "likes \"tea\"", "Notes (23)": "x" })
    );
    let consents =
        "SELECT string_agg(kind || ' ' || form || ' ' || at, ',' ORDER BY id) FROM consent_event";
    assert_eq!(
        world.sql::<String>(consents).await,
        "grant opt_in 1767625200000,grant prior_express_written 1767607200000,\
         revoke prior_express_written 1769922000000"
    );
    // Nothing of it is readable where it is stored.
    let dump = crate::imports_cards::dump(&world).await;
    for secret in ["Main St", "Ann", "likes", "3055550101", "Miami"] {
        assert!(!dump.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn columns_are_what_the_sender_says_and_too_many_are_left_out() {
    let world = World::start().await;
    let seller = world.seller("one").await;
    let campaign = world.campaign(&seller, "c", &[]).await;
    let path = |more: &str| format!("/v1/lists?campaign={campaign}&name=l{more}");
    let csv = "Kunde Nr.,Anruf,Tel,Geheim\n1,+13055550101,nonsense,x\n";
    let (status, problem) = world.csv(&path(""), csv).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    let reason = problem["faults"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("columns=NAME:external_id"), "{problem}");
    let told = "&columns=Kunde%20Nr.:external_id,Anruf:phone_1,Tel:own,Geheim:-";
    let (status, list) = world.csv(&path(told), csv).await;
    assert_eq!((status, &list["imported"]), (StatusCode::CREATED, &json!(1)), "{list}");
    let people = stored(&world, &campaign).await;
    assert_eq!(people["1"].numbers, ["+13055550101"]);
    assert_eq!(people["1"].own, json!({ "Tel": "nonsense" }));
    for wrong in [
        "&columns=Nobody:phone_1",
        "&columns=Tel:nothing",
        "&columns=Tel",
        "&region=XX",
        "&encoding=ebcdic",
        "&delimiter=x",
        "&identify=me",
        "&other=1",
    ] {
        let (status, problem) = world.csv(&path(wrong), csv).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}: {problem}");
    }
    // Whoever has no ids can let the number say who it is.
    let campaign = world.campaign(&seller, "d", &[]).await;
    let path = format!("/v1/lists?campaign={campaign}&name=l&identify=number");
    let (_, list) = world.csv(&path, "tel\n+13055550101\n+13055550102\n+13055550101\n").await;
    assert_eq!((&list["imported"], &list["duplicates"]), (&json!(2), &json!(1)), "{list}");
    // Seventy columns of its own: six too many are left out, and it is said which.
    let campaign = world.campaign(&seller, "e", &[]).await;
    let own: String = (0..70).map(|n| format!(",own{n}")).collect();
    let csv = format!("id,tel{own}\n1,+13055550101{}\n", ",v".repeat(70));
    let (_, list) = world.csv(&format!("/v1/lists?campaign={campaign}&name=l"), csv).await;
    assert_eq!(list["imported"], 1, "{list}");
    let people = stored(&world, &campaign).await;
    assert_eq!(people["1"].own.as_object().unwrap().len(), 64);
    let long = format!("id,tel,notes\n2,+13055550102,{}\n", "x".repeat(2001));
    let (_, list) = world.csv(&format!("/v1/lists?campaign={campaign}&name=l"), long).await;
    assert_eq!((&list["imported"], &list["repaired"]), (&json!(1), &json!(1)), "{list}");
}

#[tokio::test]
async fn duplicates_in_the_file_and_against_what_is_there_are_told_by_line() {
    let world = World::start().await;
    let seller = world.seller("one").await;
    let campaign = world.campaign(&seller, "c", &[]).await;
    let path = format!("/v1/lists?campaign={campaign}&name=l");
    let csv = "id,tel\na,+13055550101\na,+13055550101\na,+13055550102\nb,+13055550101\n";
    let (_, list) = world.csv(&path, csv).await;
    assert_eq!((&list["imported"], &list["duplicates"]), (&json!(2), &json!(2)), "{list}");
    let told = report(&world, &list, "duplicate").await;
    let told: Vec<(u64, &str)> = told.iter().map(|note| (note.0, note.2.as_str())).collect();
    assert_eq!(told[0], (3, "its person is in line 2 already"));
    assert_eq!((told[1].0, told[1].1.contains("other numbers")), (4, true), "{told:?}");
    assert!(report(&world, &list, "rejected").await.is_empty());

    let (_, list) = world.csv(&path, "id,tel\na,+13055550101\nb,+13055550199\n").await;
    assert_eq!((&list["imported"], &list["duplicates"]), (&json!(0), &json!(2)), "{list}");
    let told = report(&world, &list, "all").await;
    assert_eq!(told[0].2, "its person is in the campaign already");
    assert!(told[1].2.contains("with other numbers"), "{told:?}");
    let people = stored(&world, &campaign).await;
    assert_eq!(people["b"].numbers, ["+13055550101"], "the first row counts");
}

#[tokio::test]
async fn faults_repairs_and_failures_are_told_in_the_language_that_is_asked_for() {
    let world = World::start().await;
    let seller = world.seller("one").await;
    let campaign = world.campaign(&seller, "c", &[]).await;
    let path = format!("/v1/lists?campaign={campaign}&name=l");
    let (_, list) = world.csv(&path, "id,tel\na,3.05E+09\nb,'+13055550101\n").await;
    let read = async |language: &str| {
        let path = format!("{}?about=all", list["faults"].as_str().unwrap());
        let request = world.request(Some("admin"), reqwest::Method::GET, &path);
        request.header("accept-language", language).send().await.unwrap().text().await.unwrap()
    };
    let english = read("en").await;
    assert!(
        english.contains("lost its last digits") && english.contains("apostrophe"),
        "{english}"
    );
    let chinese = read("zh-CN").await;
    assert!(chinese.contains("科学记数") && chinese.contains("撇号"), "{chinese}");
    world.execute("UPDATE contact_list SET state = 'importing', touched_at = 0").await;
    let path = format!("/v1/lists/{}", list["id"].as_str().unwrap());
    let request = world.request(Some("admin"), reqwest::Method::GET, &path);
    let text = request.header("accept-language", "zh").send().await.unwrap().text().await.unwrap();
    let list: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(list["state"], "failed", "an import that was interrupted: {list}");
    assert!(list["failure"].as_str().unwrap().contains("中断"), "{list}");
    // One that is under way stays as it is.
    let now = world.app.now().0;
    let alive = format!("UPDATE contact_list SET state = 'importing', touched_at = {now}");
    world.execute(&alive).await;
    let (_, list) = world.get(&path).await;
    assert_eq!(list["state"], "importing", "{list}");
}
