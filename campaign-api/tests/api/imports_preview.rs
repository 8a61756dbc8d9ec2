//! The first rows of a file, before anything of it is stored.

use encoding_rs::GB18030;
use reqwest::StatusCode;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{imports_cards::dump, world::World};

#[tokio::test]
async fn consents_are_found_by_name_and_number_and_a_block_that_is_there_again_is_the_next() {
    let world = World::start().await;
    let header = "id,tel,Consent 1 form,Consent-1-Purpose,consent_1_at,Consent 2 type,Consent Date 2,\
                  Consent form,Consent purpose,Consent 9 form";
    let (_, preview) = world.csv("/v1/lists/preview", format!("{header}\n1,+13055550101\n")).await;
    let fields: Vec<_> = preview["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column["field"].as_str().unwrap_or("-"))
        .collect();
    assert_eq!(
        fields.join(" "),
        "external_id phone_1 consent_form consent_purpose consent_at consent_2_form consent_2_at \
         consent_3_form consent_2_purpose -"
    );
}

#[tokio::test]
async fn a_preview_guesses_columns_judges_rows_masks_numbers_and_stores_nothing() {
    let world = World::start().await;
    let seller = world.seller("one").await;
    let campaign = world.campaign(&seller, "c", &[]).await;
    let path = format!("/v1/lists?campaign={campaign}&name=l");
    let (status, _) = world.csv(&path, "id,tel\nheld,+13055550190\n").await;
    assert_eq!(status, StatusCode::CREATED);
    let before = dump(&world).await;

    let mut csv = "Customer ID;First Name;Mobile;Home Phone;State;Country\r\n\
        1;Ann;305-555-0101;;FL;US\r\n\
        2;Bob;'3055550102;;Florida;USA\r\n\
        3;Cy;3.05E+09;;FL;US\r\n\
        1;Ann;305-555-0101;;FL;US\r\n\
        held;Dee;3055550190;;;\r\n\
        ;;;;;\r\n\
        4;call 305-555-0199;+44 7911 123456;;;\r\n"
        .to_owned();
    for n in 10..60 {
        csv.push_str(&format!("{n};x;30555502{n};;;\r\n"));
    }
    let told = format!("/v1/lists/preview?campaign={campaign}&region=US");
    let (status, preview) = world.csv(&told, csv.clone()).await;
    assert_eq!(status, StatusCode::OK, "{preview}");
    assert_eq!((&preview["encoding"], &preview["delimiter"]), (&json!("utf-8"), &json!(";")));
    let columns: Vec<_> = preview["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["header"].as_str().unwrap(), c["field"].as_str(), c["sure"].as_bool().unwrap()))
        .collect();
    assert_eq!(
        columns,
        [
            ("Customer ID", Some("external_id"), true),
            ("First Name", None, true),
            ("Mobile", Some("phone_1"), true),
            ("Home Phone", Some("phone_2"), true),
            ("State", Some("region"), true),
            ("Country", Some("country"), true),
        ]
    );
    let rows = preview["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 20);
    let verdicts: Vec<_> =
        rows.iter().take(6).map(|row| row["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["good", "repaired", "rejected", "duplicate", "duplicate", "good"]);
    assert_eq!(rows[5]["line"], 8, "the blank row is passed over");
    let counts = ["sampled", "good", "repaired", "rejected", "duplicate"];
    let counts = counts.map(|name| preview[name].as_u64().unwrap());
    assert_eq!(counts, [20, 16, 1, 1, 2], "{preview}");
    assert_eq!(rows[0]["fields"]["phone_1"], "+130******01");
    assert_eq!(rows[0]["fields"]["First Name"], "Ann");
    assert_eq!(rows[1]["repairs"][0]["field"], "phone_1");
    assert!(
        rows[2]["faults"][0]["reason"].as_str().unwrap().contains("last digits"),
        "{}",
        rows[2]
    );
    let text = preview.to_string();
    for number in ["5550101", "555-0101", "5550102", "555-0199", "7911123456", "123456\""] {
        assert!(!text.contains(number), "{number} in {text}");
    }
    assert!(dump(&world).await == before, "a preview stores nothing, in no table");

    // What the preview promises is what the import does.
    let (_, list) = world
        .csv(&format!("{path}&region=US"), csv.lines().take(8).collect::<Vec<_>>().join("\n"))
        .await;
    let found = ["rows", "imported", "repaired", "rejected", "duplicates"]
        .map(|name| list[name].as_u64().unwrap());
    assert_eq!(found, [6, 3, 1, 1, 2], "{list}");
}

#[tokio::test]
async fn a_preview_needs_no_campaign_and_reads_what_a_file_begins_with_in_any_encoding() {
    let world = World::start().await;
    let csv = "客户编号,姓名,手机\r\n1,王小明,13800138000\r\n";
    let bytes = GB18030.encode(csv).0.into_owned();
    let (status, preview) = world.csv("/v1/lists/preview?region=CN", bytes).await;
    assert_eq!(status, StatusCode::OK, "{preview}");
    assert_eq!(preview["encoding"], "gb18030", "{preview}");
    assert_eq!(preview["rows"][0]["fields"]["姓名"], "王小明", "{preview}");
    assert_eq!((&preview["sampled"], &preview["good"]), (&json!(1), &json!(1)), "{preview}");
    for (path, bytes, code) in [
        ("/v1/lists/preview", &b""[..], "malformed"),
        ("/v1/lists/preview", b"PK\x03\x04xlsx", "malformed"),
        ("/v1/lists/preview", b"a,b\n1,2\n", "invalid"),
        ("/v1/lists/preview?region=x", b"id,tel\n", "invalid"),
    ] {
        let (_, problem) = world.csv(path, bytes.to_vec()).await;
        assert_eq!(problem["code"], code, "{problem}");
    }
}

#[tokio::test]
async fn ids_are_shown_as_they_will_be_stored_and_numbers_are_not() {
    let world = World::start().await;
    let csv = "id,tel,account\ncrm-0012345678,+13055550101,ACC20260001234\n\
               +13055550102,+13055550102,123456789012\nK00123456789,garbage,\n";
    let (_, preview) = world.csv("/v1/lists/preview", csv).await;
    let field = |row: usize, name: &str| preview["rows"][row]["fields"][name].as_str().unwrap();
    assert_eq!(field(0, "external_id"), "crm-0012345678", "{preview}");
    assert_eq!(field(0, "account"), "ACC20260001234", "{preview}");
    let code = field(1, "external_id");
    let hex = code.strip_prefix("number-").unwrap();
    assert!(hex.len() == 24 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()), "{preview}");
    assert_eq!(field(1, "account"), "123456******", "may be a number: {preview}");
    assert_eq!(field(2, "external_id"), "K00123456789", "of a rejected row too: {preview}");
}

/// Sends all of a body before it reads the answer, as most clients do.
async fn upload(world: &World, path: &str, head: &str) -> String {
    const SIZE: usize = 20 * 1024 * 1024;
    let address = world.base.strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(address).await.unwrap();
    let key = &world.keys["admin"];
    let begin = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\
         Content-Length: {SIZE}\r\n\r\n{head}"
    );
    socket.write_all(begin.as_bytes()).await.unwrap();
    let row = b"1,+13055550101,some text that fills the row up\n".repeat(1000);
    let mut left = SIZE - head.len();
    while left > 0 {
        let piece = &row[..left.min(row.len())];
        let sent = socket.write_all(piece).await;
        assert!(sent.is_ok(), "{path}: {sent:?} with {left} bytes to go");
        left -= piece.len();
    }
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn an_answer_that_is_known_early_is_heard_by_who_sends_much_more() {
    let world = World::start().await;
    let seller = world.seller("one").await;
    let campaign = world.campaign(&seller, "c", &[]).await;
    let import = format!("/v1/lists?campaign={campaign}&name=l");
    let nowhere = "/v1/campaigns/01ARZ3NDEKTSV4RRFFQ69G5FAV/lists?name=l";
    for (path, head, status) in [
        ("/v1/lists/preview", "id,tel,note\n", "200 OK"),
        ("/v1/lists/preview", "a,b,c\n", "422 "),
        ("/v1/lists/preview?region=x", "id,tel,note\n", "422 "),
        (import.as_str(), "a,b,c\n", "422 "),
        (import.as_str(), "PK\u{3}\u{4}", "400 "),
        ("/v1/lists?name=l", "id,tel,note\n", "422 "),
        (nowhere, "id,tel,note\n", "404 "),
    ] {
        let answer = upload(&world, path, head).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {answer}");
    }
}
