//! Lists and earlier attempts, good and bad.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::world::World;

/// What is wrong in each line of a list, or nothing.
const FAULTS: &[(&str, &[(&str, &str)])] = &[
    // line 2 on
    ("ok-1,+13055550101,landline,US,FL,America/New_York,existing_customer,2026-01-31,,,,", &[]),
    ("bad-number,13055550101,,,,,,,,,,", &[("phone_1", "starting with '+'")]),
    ("letters,+1305555o1o1,,,,,,,,,,", &[("phone_1", "only digits")]),
    ("none,,,,,,,,,,,", &[("phone_1", "needs a number")]),
    (",+13055550102,,,,,,,,,,", &[("external_id", "is missing")]),
    ("zone,+13055550103,,US,FL,America/Miami,,,,,,", &[("time_zone", "not an IANA time zone")]),
    ("line,+13055550104,pigeon,,,,,,,,,", &[("line_1", "wireless, landline")]),
    ("country,+13055550105,,Atlantis,,,,,,,,", &[("country", "ISO 3166-1")]),
    ("region,+13055550106,,,FL,,,,,,,", &[("region", "country is empty")]),
    ("since,+13055550107,,,,,inquiry,3/4/2026,,,,", &[("relationship_since", "day/month")]),
    ("kin,+13055550108,,,,,friend,2026-01-31,,,,", &[("relationship", "existing_customer")]),
    (
        "form,+13055550109,,,,,,,nod,telemarketing,2026-01-01T00:00:00Z,",
        &[("consent_form", "prior_express")],
    ),
    ("when,+13055550110,,,,,,,opt_in,telemarketing,yesterday,", &[("consent_at", "RFC 3339")]),
    (
        "half,+13055550111,,,,,,,opt_in,,,",
        &[("consent_purpose", "is missing"), ("consent_at", "is missing")],
    ),
    (
        "back,+13055550112,,,,,,,opt_in,survey,2026-01-02T00:00:00Z,2026-01-01T00:00:00Z",
        &[("consent_revoked_at", "before consent_at")],
    ),
    ("short,+13055550113", &[("row", "has 2 columns, the header has 12")]),
    ("long,+13055550114,,,,,,,,,,,more", &[("row", "has 13 columns")]),
    (
        "\"ok, 2\",+13055550115,,,,,,,opt_in,survey,2026-01-01T00:00:00+01:00,2026-02-01T00:00:00Z",
        &[],
    ),
    ("two,12,fax,,,,,,,,,", &[("phone_1", "starting with '+'"), ("line_1", "must be one of")]),
    ("ok-1,+13055550116,,,,,,,,,,", &[]),
];

const HEADER: &str = "external_id,phone_1,line_1,country,region,time_zone,relationship,relationship_since,consent_form,consent_purpose,consent_at,consent_revoked_at";

#[tokio::test]
async fn good_rows_are_kept_and_each_bad_one_is_reported_with_line_column_and_reason() {
    let world = World::start().await;
    let seller = world.seller("one").await;
    let campaign = world.campaign(&seller, "c", &[]).await;
    let mut csv = format!("\u{FEFF}{HEADER}\r\n");
    for (row, _) in FAULTS {
        csv.push_str(row);
        csv.push_str("\r\n");
    }
    let (status, list) = world.csv(&format!("/v1/campaigns/{campaign}/lists?name=l"), csv).await;
    assert_eq!(status, StatusCode::CREATED, "{list}");
    let rejected = FAULTS.iter().filter(|(_, faults)| !faults.is_empty()).count();
    assert_eq!(list["rows"], FAULTS.len(), "{list}");
    assert_eq!(list["imported"], 2, "{list}");
    assert_eq!(list["duplicates"], 1, "{list}");
    assert_eq!(list["rejected"], rejected, "{list}");

    let report = world.text(list["faults"].as_str().unwrap()).await;
    let mut reader = csv::Reader::from_reader(report.as_bytes());
    assert_eq!(reader.headers().unwrap(), &["line", "column", "reason", "kind"][..]);
    let mut found: Vec<(usize, String, String, String)> =
        reader.deserialize().map(Result::unwrap).collect();
    assert!(found.iter().all(|fault| fault.3 == "fault"), "{report}");
    for (line, (row, faults)) in (2..).zip(FAULTS) {
        for (column, reason) in *faults {
            let place = found
                .iter()
                .position(|f| f.0 == line && f.1 == *column && f.2.contains(reason))
                .unwrap_or_else(|| panic!("line {line} {row:?}: {column} {reason} in {report}"));
            found.remove(place);
        }
    }
    assert!(found.is_empty(), "faults that nobody made: {found:?}");
    assert!(!report.contains("13055550101"), "the report repeats no number");
    let events = "SELECT string_agg(kind, ',' ORDER BY id) FROM consent_event";
    assert_eq!(world.sql::<String>(events).await, "grant,revoke");
    let (_, contacts) = world.get(&format!("/v1/campaigns/{campaign}/contacts")).await;
    assert_eq!(contacts["items"].as_array().unwrap().len(), 2);
    let items = contacts["items"].as_array().unwrap();
    let first = items.iter().find(|contact| contact["person"] == "ok-1").unwrap();
    assert_eq!(first["numbers"], json!(["+130******01"]));
}

#[tokio::test]
async fn files_that_are_no_lists_are_refused_and_an_unclosed_quote_costs_its_own_row() {
    let world = World::start().await;
    let seller = world.seller("one").await;
    let campaign = world.campaign(&seller, "c", &[]).await;
    let path = format!("/v1/campaigns/{campaign}/lists?name=l");
    for (csv, code, text) in [
        ("", "malformed", "empty"),
        ("\n\n", "malformed", "empty"),
        ("name,phone\n", "invalid", "external_id"),
        ("1,+13055550101\n", "invalid", "looks like a row"),
        ("PK\u{3}\u{4}", "malformed", "save it as CSV"),
        ("external_id\n", "invalid", "phone_1"),
        ("external_id,phone_1,phone_1\n", "invalid", "twice"),
    ] {
        let (_, problem) = world.csv(&path, csv).await;
        assert_eq!(problem["code"], code, "{csv:?}: {problem}");
        assert!(problem.to_string().contains(text), "{csv:?}: {problem}");
    }
    assert_eq!(world.sql::<i64>("SELECT count(*) FROM contact_list").await, 0);

    let mut csv = "external_id,phone_1\na,+13055550101\nb,\"+1305".to_owned();
    csv.push_str(&"x,+13055550199\n".repeat(20_000));
    let (status, list) = world.csv(&path, csv).await;
    assert_eq!(status, StatusCode::CREATED, "{list}");
    assert_eq!((&list["rows"], &list["imported"]), (&json!(20_001), &json!(2)), "{list}");
    assert_eq!((&list["rejected"], &list["duplicates"]), (&json!(1), &json!(19_998)), "{list}");
    let report = world.text(list["faults"].as_str().unwrap()).await;
    assert!(report.contains("3,row,"), "{report}");

    let mut bytes = b"external_id,phone_1\n".to_vec();
    bytes.extend(b"caf\xE9,+13055550108\n");
    let told = path.replace("name=l", "name=latin&encoding=utf-8");
    let (_, list) = world.csv(&told, bytes.clone()).await;
    assert_eq!((&list["rejected"], &list["imported"]), (&json!(1), &json!(0)), "{list}");
    let report = world.text(list["faults"].as_str().unwrap()).await;
    assert!(report.contains("2,external_id,holds bytes that are not UTF-8"), "{report}");
    let (_, list) = world.csv(&path.replace("name=l", "name=latin"), bytes).await;
    assert_eq!((&list["rejected"], &list["imported"]), (&json!(0), &json!(1)), "{list}");
    let (status, _) = world
        .csv("/v1/campaigns/01ARZ3NDEKTSV4RRFFQ69G5FAV/lists?name=l", "external_id,phone_1\n")
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let template = world.text("/v1/lists/template").await;
    let (status, list) = world.csv(&path.replace("name=l", "name=t"), template).await;
    assert_eq!((status, &list["rows"]), (StatusCode::CREATED, &json!(0)), "the template is a list");
}

fn earlier(seller: &str, number: &str, at: &str) -> Value {
    json!({ "seller": seller, "number": number, "person": "p", "account": "a", "at": at,
        "outcome": "no_answer", "purpose": "telemarketing", "technology": "manual" })
}

#[tokio::test]
async fn earlier_attempts_enter_the_heads_of_number_person_and_account() {
    let world = World::start().await;
    let seller = world.seller("one").await;
    let recent = "2026-11-20T10:00:00Z";
    let two =
        json!([earlier(&seller, "+13055550101", recent), earlier(&seller, "+13055550102", recent)]);
    let now = world.app.now();
    let recent_ms = 1_795_514_400_000_i64.min(now.0 - 1000);
    let two = serde_json::from_str::<Value>(&two.to_string().replace(recent, &rfc3339(recent_ms)))
        .unwrap();
    let (status, report) = world.post("/v1/earlier-attempts", &two).await;
    assert_eq!((status, &report["recorded"]), (StatusCode::OK, &json!(2)), "{report}");
    let heads = crate::opt_outs::heads(&world).await;
    let mut entries: Vec<(i16, usize)> =
        heads.iter().map(|(kind, head)| (*kind, head.entries().len())).collect();
    entries.sort_unstable();
    assert_eq!(
        entries,
        [(1, 1), (1, 1), (2, 2), (3, 2)],
        "numbers one each, account and person both"
    );

    let future = rfc3339(now.0 + 86_400_000);
    let bad = json!([
        earlier(&seller, "+13055550101", &rfc3339(recent_ms)),
        earlier(&seller, "12", &future)
    ]);
    let (status, problem) = world.post("/v1/earlier-attempts", &bad).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["faults"][0]["line"], 2, "{problem}");
    assert_eq!(world.sql::<i64>("SELECT count(*) FROM earlier_contact").await, 2, "all or nothing");

    let csv = format!(
        "seller,number,at,outcome,purpose,technology,inbound\n\
         {seller},+13055550101,{},conversation,survey,manual,true\n\
         {seller},+13055550101,{},conversation,survey,manual,maybe\n\
         {seller},+13055550101,{},conversation,survey,manual,\n",
        rfc3339(recent_ms),
        rfc3339(recent_ms),
        rfc3339(now.0 - 500 * 86_400_000),
    );
    let (status, report) = world.csv("/v1/earlier-attempts", csv).await;
    assert_eq!(status, StatusCode::OK, "{report}");
    assert_eq!((&report["recorded"], &report["rejected"]), (&json!(2), &json!(1)), "{report}");
    assert_eq!(report["faults"][0]["line"], 3, "{report}");
    let entries: usize =
        crate::opt_outs::heads(&world).await.iter().map(|(_, head)| head.entries().len()).sum();
    assert_eq!(entries, 7, "what is older than the horizon is recorded and counts for nothing");
}

fn rfc3339(millis: i64) -> String {
    chrono::DateTime::from_timestamp_millis(millis).unwrap().to_rfc3339()
}

#[tokio::test]
async fn a_consent_that_a_known_person_brings_is_recorded_once_and_wakes_who_waits() {
    let world = World::start().await;
    let seller = world.seller("one").await;
    let campaign = world.campaign(&seller, "c", &[]).await;
    let path = format!("/v1/lists?campaign={campaign}&name=l");
    let header = "id,tel,consent_form,consent_purpose,consent_at\n";
    let first = format!("{header}a,+13055550101,,,\nb,+13055550102,,,\n");
    let (_, list) = world.csv(&path, first).await;
    assert_eq!(list["imported"], 2, "{list}");
    world
        .execute(
            "UPDATE contact SET state = 4;
             INSERT INTO parked SELECT id, campaign_id, 'consent', '{us.tcpa.consent}', 0 FROM contact;",
        )
        .await;
    let heads = crate::opt_outs::heads(&world).await;
    let given = "prior_express_written,telemarketing,2026-01-01T00:00:00Z";
    let again = format!("{header}a,+13055550101,{given}\nb,+13055550102,,,\n");
    let (_, list) = world.csv(&path, again.clone()).await;
    assert_eq!((&list["imported"], &list["duplicates"]), (&json!(0), &json!(2)), "{list}");
    let notes = world.text(&format!("{}?about=duplicate", list["faults"].as_str().unwrap())).await;
    let added: Vec<bool> =
        notes.lines().skip(1).map(|line| line.contains("its consent was added")).collect();
    assert_eq!(added, [true, false], "{notes}");
    let grants = "SELECT count(*) FROM consent_event WHERE kind = 'grant'";
    assert_eq!(world.sql::<i64>(grants).await, 1);
    assert_eq!(world.sql::<i64>("SELECT count(*) FROM audit_entry WHERE kind = 7").await, 1);
    assert_eq!(world.sql::<i64>("SELECT count(*) FROM parked").await, 1, "a is awake, b is not");
    let after = crate::opt_outs::heads(&world).await;
    let moved = heads.iter().zip(&after).filter(|(b, a)| b.1.token() != a.1.token()).count();
    assert_eq!(moved, 2, "the person and the number: what was judged before no longer commits");

    // Once more: it is on file. Then with its end, of which only the end is new.
    let (_, list) = world.csv(&path, again).await;
    let notes = world.text(&format!("{}?about=duplicate", list["faults"].as_str().unwrap())).await;
    assert!(!notes.contains("its consent was added"), "{notes}");
    let back = format!(
        "id,tel,consent_form,consent_purpose,consent_at,consent_revoked_at\n\
         a,+13055550101,{given},2026-02-01T00:00:00Z\na,+13055550101,{given},2026-02-01T00:00:00Z\n"
    );
    world.csv(&path, back).await;
    let events = "SELECT string_agg(kind, ',' ORDER BY id) FROM consent_event";
    assert_eq!(world.sql::<String>(events).await, "grant,revoke");
    let told = crate::opt_outs::told(&world).await;
    assert_eq!(told.len(), 1, "what was taken back ends calls: {told:?}");
}

#[tokio::test]
async fn who_is_not_to_be_called_is_imported_and_suppressed_for_the_seller() {
    let world = World::start().await;
    let seller = world.seller("one").await;
    let campaign = world.campaign(&seller, "c", &[]).await;
    let path = format!("/v1/lists?campaign={campaign}&name=l");
    let csv = "id,tel,tel2,Do Not Call\na,+13055550101,+13055550111,Y\nb,+13055550102,,no\n\
               c,+13055550103,,\nd,+13055550104,,maybe\ne,+13055550105,,\ne,+13055550105,,是\n";
    let (_, list) = world.csv(&path, csv).await;
    let found = ["imported", "rejected", "duplicates"].map(|name| list[name].as_u64().unwrap());
    assert_eq!(found, [4, 1, 1], "{list}");
    assert!(list["remarks"].to_string().contains("suppressed for the seller"), "{list}");
    let report = world.text(&format!("{}?about=all", list["faults"].as_str().unwrap())).await;
    assert!(report.contains("5,do_not_call,") && report.contains("must be yes"), "{report}");
    assert!(report.contains("that nobody is to call was recorded"), "{report}");
    let persons =
        "SELECT string_agg(p.external_id || ' ' || e.kind || ' ' || e.reason, ',' ORDER BY 1)
        FROM suppression_event e JOIN person p ON p.subject_id = e.person_subject
        WHERE e.seller_id IS NOT NULL AND e.number_subject IS NULL";
    let reason = "do not call: in the list";
    let expected = format!("a add {reason},e add {reason}");
    assert_eq!(world.sql::<String>(persons).await, expected);
    let mark = dialer_limiter::Mark::suppressed(Some(dialer_types::SellerNo(1)));
    let heads = crate::opt_outs::heads(&world).await;
    let marked = heads.iter().filter(|(_, head)| head.marks().contains(&mark)).count();
    assert_eq!(marked, 5, "two persons and three numbers");
    assert_eq!(world.sql::<i64>("SELECT count(*) FROM audit_entry WHERE kind = 6").await, 2);
    let told = crate::opt_outs::told(&world).await;
    assert_eq!(told.iter().map(|it| it.0.as_array().unwrap().len()).collect::<Vec<_>>(), [5]);
    // As by POST, it can be lifted.
    let lift = json!({ "seller": seller, "person": "a", "reason": "asked again", "kind": "lift" });
    let (status, lifted) = world.post("/v1/suppressions", &lift).await;
    assert_eq!(status, StatusCode::OK, "{lifted}");
    let heads = crate::opt_outs::heads(&world).await;
    assert_eq!(heads.iter().filter(|(_, head)| head.marks().contains(&mark)).count(), 2);
}

#[tokio::test]
async fn a_state_without_a_country_is_of_the_lists_country_where_the_number_is() {
    let world = World::start().await;
    let seller = world.seller("one").await;
    let campaign = world.campaign(&seller, "c", &[]).await;
    let path = format!("/v1/lists?campaign={campaign}&name=l");
    let csv = "id,tel,State,phone_2\n1,3055550101,FL,-\n2,+14165550102,ON,n/a\n3,3055550103,ZZ,k.A.\n\
               4,3055550104,Florida,无\n5,-,FL,\n";
    let (_, list) = world.csv(&format!("{path}&region=US"), csv).await;
    assert_eq!((&list["imported"], &list["rejected"]), (&json!(2), &json!(3)), "{list}");
    assert!(list["remarks"].to_string().contains("states and provinces are of US"), "{list}");
    let places = "SELECT string_agg(country || '-' || region, ',') FROM contact";
    assert_eq!(world.sql::<String>(places).await, "US-FL,US-FL");
    let report = world.text(&format!("{}?about=all", list["faults"].as_str().unwrap())).await;
    for (line, said) in [
        (2, "phone_2,held a word for nothing"),
        (3, "region,\"is given, and country is empty, and the first number is not of US"),
        (4, "region,\"is no region of US; expected is its name or one of: AL, AK"),
        (6, "phone_1,\"is no number of US"),
    ] {
        assert!(report.contains(&format!("{line},{said}")), "{line} {said}: {report}");
    }
    let (_, list) = world.csv(&path, "id,tel,State\n7,+13055550107,FL\n").await;
    assert_eq!(list["rejected"], 1, "{list}");
    let report = world.text(list["faults"].as_str().unwrap()).await;
    assert!(report.contains("add a column country") && report.contains("region=US"), "{report}");
}

#[tokio::test]
async fn a_header_without_our_columns_is_told_with_what_was_found_and_what_to_do() {
    let world = World::start().await;
    let seller = world.seller("one").await;
    let campaign = world.campaign(&seller, "c", &[]).await;
    let path = format!("/v1/lists?campaign={campaign}&name=l");
    let (_, problem) = world.csv(&path, "Customers 2026\nid,tel\n1,+13055550101\n").await;
    let text = problem.to_string();
    for said in [
        "columns=NAME:external_id",
        "identify=number",
        "columns=NAME:phone_1",
        "read as utf-8, with columns divided by ,",
        "one column: Customers 2026",
        "remove the lines above",
    ] {
        assert!(text.contains(said), "{said}: {problem}");
    }
    let (_, problem) = world.csv(&path, "Kunde;Anruf\n1;+13055550101\n").await;
    assert!(problem.to_string().contains("found: Kunde | Anruf"), "{problem}");
}
