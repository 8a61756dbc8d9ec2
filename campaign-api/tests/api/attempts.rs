//! Attempts with their evidence, corrections, and the audit to take away.

use dialer_audit::{Checkpoint, PartVerifier, Row, Signer, Tree, leaf_hash};
use dialer_limiter::{Entry, Head, Token};
use dialer_types::{CampaignNo, Outcome, PlacementId, Purpose, SellerNo, Technology, UnixMillis};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, Row as _};
use uuid::Uuid;

use crate::world::World;

const PLACEMENT: PlacementId = PlacementId(0x0199_0000_0000_0000_0000_0000_0000_0077);

/// One contact with one attempt that was placed and ended as unknown; returns the attempt's id.
async fn placed(world: &World) -> String {
    let (seller, trunk) = (world.seller("one").await, world.trunk().await);
    let campaign = world.campaign(&seller, "c", &[&trunk]).await;
    let path = format!("/v1/campaigns/{campaign}");
    world.csv(&format!("{path}/lists?name=l"), "external_id,phone_1\nann,+13055550101\n").await;
    let id = Uuid::from_u128(PLACEMENT.0);
    world
        .execute(&format!(
            "INSERT INTO attempt SELECT c.id, 1, c.campaign_id, k.seller_id, 1000
                 FROM contact c JOIN campaign k ON k.id = c.campaign_id;
             INSERT INTO placement SELECT '{id}', c.id, 1, c.campaign_id, n.number_subject,
                 c.person_subject, NULL, t.id, gen_random_uuid(), 1000, 9000, 'call-1@x'
                 FROM contact c JOIN contact_number n ON n.contact_id = c.id, trunk t;
             INSERT INTO decision (contact_id, try_no, campaign_id, at, verdict, rules, entry_id)
                 SELECT c.id, 1, c.campaign_id, 1000, 'permit', '{{}}', min(e.id)
                 FROM contact c, audit_entry e GROUP BY c.id, c.campaign_id;
             INSERT INTO outcome (placement_id, disposition, ended_at, recorded_by)
                 VALUES ('{id}', 19, 2000, gen_random_uuid());"
        ))
        .await;
    let entry = Entry {
        key: Entry::key_of(PLACEMENT),
        at_seconds: 1,
        seller: SellerNo(1),
        campaign: CampaignNo(1),
        purpose: Purpose::Telemarketing,
        technology: Technology::Prerecorded,
        outcome: Outcome::Unknown,
        inbound: false,
    };
    let head = Head::new(Token(1)).with_entry(Token(PLACEMENT.0), entry, UnixMillis(0)).unwrap();
    let mut owner = PgConnection::connect(&world.owner_url).await.unwrap();
    sqlx::query("UPDATE subject_head SET token = $1, head = $2")
        .bind(id)
        .bind(head.encode())
        .execute(&mut owner)
        .await
        .unwrap();
    let (_, attempts) = world.get("/v1/attempts").await;
    attempts["items"][0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_attempt_shows_its_evidence_and_a_masked_number() {
    let world = World::start().await;
    let id = placed(&world).await;
    let (status, attempt) = world.get(&format!("/v1/attempts/{id}")).await;
    assert_eq!(status, StatusCode::OK, "{attempt}");
    assert_eq!(attempt["decisions"][0]["verdict"], "permit", "{attempt}");
    assert_eq!(attempt["placements"][0]["number"], "+130******01", "{attempt}");
    assert_eq!(attempt["placements"][0]["outcomes"][0]["disposition"], "outcome_unknown");
    assert!(!attempt.to_string().contains("3055550101"), "{attempt}");
    let page = format!("/v1/attempts?limit=1&after={id}");
    assert_eq!(world.get(&page).await.1["items"], json!([]));
    let (_, campaigns) = world.get("/v1/campaigns").await;
    let campaign = campaigns["items"][0]["id"].as_str().unwrap();
    let (_, campaign) = world.get(&format!("/v1/campaigns/{campaign}")).await;
    assert_eq!(campaign["counts"]["attempts"], 1);
    assert_eq!(campaign["counts"]["dispositions"], json!({ "outcome_unknown": 1 }));
    let other = "/v1/attempts/01ARZ3NDEKTSV4RRFFQ69G5FAV-1";
    assert_eq!(world.get(other).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_correction_is_a_revision_that_rules_count_and_both_stay() {
    let world = World::start().await;
    let id = placed(&world).await;
    let path = format!("/v1/attempts/{id}/correction");
    let (status, _) = world.post(&path, &json!({ "disposition": "not_sent" })).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "only the dialer can prove that");
    let (status, attempt) = world.post(&path, &json!({ "disposition": "busy" })).await;
    assert_eq!(status, StatusCode::OK, "{attempt}");
    let outcomes = attempt["placements"][0]["outcomes"].as_array().unwrap();
    let words: Vec<_> = outcomes.iter().map(|outcome| &outcome["disposition"]).collect();
    assert_eq!(words, [&json!("outcome_unknown"), &json!("busy")]);
    for (_, head) in crate::opt_outs::heads(&world).await {
        assert_eq!(head.entries()[0].outcome, Outcome::Busy);
        assert_ne!(head.token(), Token(PLACEMENT.0), "the event moved the head");
    }
    let (_, campaigns) = world.get("/v1/campaigns").await;
    let campaign = campaigns["items"][0]["id"].as_str().unwrap();
    let (_, campaign) = world.get(&format!("/v1/campaigns/{campaign}")).await;
    assert_eq!(campaign["counts"]["dispositions"], json!({ "busy": 1 }), "counted once");
}

#[tokio::test]
async fn who_was_reached_after_all_is_not_called_again_and_the_same_correction_is_none() {
    let world = World::start().await;
    let id = placed(&world).await;
    let path = format!("/v1/attempts/{id}/correction");
    let waits = || async {
        let due: Option<String> = world.sql("SELECT max(because) FROM due").await;
        let (_, contacts) = world.get("/v1/campaigns").await;
        let campaign = contacts["items"][0]["id"].as_str().unwrap().to_owned();
        let (_, contacts) = world.get(&format!("/v1/campaigns/{campaign}/contacts")).await;
        (due, contacts["items"][0]["state"].as_str().unwrap().to_owned())
    };
    // As the dialer leaves it: the next try is due.
    world
        .execute(
            "UPDATE contact SET state = 2, try_no = 2, last_disposition = 19;
             INSERT INTO due SELECT id, campaign_id, 0, 9, 'outcome_unknown' FROM contact;
             UPDATE campaign SET status = 'running', retry = '{\"busy\": 600}';",
        )
        .await;
    let (status, said) = world.post(&path, &json!({ "disposition": "busy" })).await;
    assert_eq!(status, StatusCode::OK, "{said}");
    assert_eq!(waits().await, (Some("busy".to_owned()), "due".to_owned()));
    let (status, said) = world.post(&path, &json!({ "disposition": "busy" })).await;
    assert_eq!((status, &said["code"]), (StatusCode::CONFLICT, &json!("nothing_to_correct")));
    let (status, said) = world.post(&path, &json!({ "disposition": "answered" })).await;
    assert_eq!(status, StatusCode::OK, "{said}");
    assert_eq!(waits().await, (None, "finished".to_owned()));
    assert_eq!(world.sql::<String>("SELECT finished FROM contact").await, "answered");
    // Nobody answered after all: the next try is due as the campaign has it.
    world.execute("UPDATE contact SET made = 1").await;
    let (status, said) = world.post(&path, &json!({ "disposition": "busy" })).await;
    assert_eq!(status, StatusCode::OK, "{said}");
    assert_eq!(waits().await, (Some("busy".to_owned()), "due".to_owned()));
    assert_eq!(world.sql::<i64>("SELECT count(*) FROM contact WHERE finished IS NULL").await, 1);
    // Not if its tries are used up, and what finished it is said as it is now.
    world.post(&path, &json!({ "disposition": "answered" })).await;
    world.execute("UPDATE contact SET made = 100").await;
    world.post(&path, &json!({ "disposition": "busy" })).await;
    assert_eq!(waits().await, (None, "finished".to_owned()));
    assert_eq!(world.sql::<String>("SELECT finished FROM contact").await, "tries_used_up");
}

#[tokio::test]
async fn who_waits_for_another_try_waits_on_after_a_stop_and_a_start() {
    let world = World::start().await;
    placed(&world).await;
    let campaign =
        world.get("/v1/campaigns").await.1["items"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/campaigns/{campaign}");
    // Its end at 2000, and three thousand million seconds: far ahead.
    world
        .execute(
            "UPDATE contact SET state = 2, try_no = 2, last_disposition = 2;
             INSERT INTO due SELECT id, campaign_id, 0, 3000000002000, 'busy' FROM contact;
             UPDATE campaign SET status = 'running', retry = '{\"busy\": 3000000000}';",
        )
        .await;
    world.post(&format!("{path}/stop"), &json!({})).await;
    assert_eq!(world.sql::<i64>("SELECT count(*) FROM due").await, 0);
    world.post(&format!("{path}/start"), &json!({})).await;
    assert_eq!(world.sql::<i64>("SELECT due_at FROM due").await, 3_000_000_002_000);
    assert_eq!(world.sql::<String>("SELECT because FROM due").await, "busy");
    // A wait that is over, or that the campaign no longer has, holds nobody up.
    world.post(&format!("{path}/stop"), &json!({})).await;
    world.execute("UPDATE campaign SET retry = '{\"busy\": 60}'").await;
    world.post(&format!("{path}/start"), &json!({})).await;
    assert!(world.sql::<i64>("SELECT due_at FROM due").await < 3_000_000_002_000);
    assert_eq!(world.sql::<i64>("SELECT count(because) FROM due").await, 0);
}

#[tokio::test]
async fn a_campaign_manager_exports_one_campaign_at_a_time() {
    let world = World::start().await;
    placed(&world).await;
    signed(&world).await;
    let campaign =
        world.get("/v1/campaigns").await.1["items"][0]["id"].as_str().unwrap().to_owned();
    let ask = async |path: String| {
        let request = world.request(Some("campaign_manager"), Method::GET, &path);
        request.send().await.unwrap()
    };
    let whole = ask("/v1/audit/export".to_owned()).await;
    assert_eq!(whole.status(), StatusCode::FORBIDDEN);
    assert!(whole.text().await.unwrap().contains("one campaign at a time"));
    let part = ask(format!("/v1/audit/export?campaign={campaign}")).await;
    assert_eq!(part.status(), StatusCode::OK);
    assert!(part.text().await.unwrap().contains("\"kind\":\"campaign\""));
}

/// What the dialer's sequencer does; returns how many leaves there are.
pub(crate) async fn signed(world: &World) -> usize {
    let mut owner = PgConnection::connect(&world.owner_url).await.unwrap();
    let entries = sqlx::query("SELECT id, leaf FROM audit_entry ORDER BY id")
        .fetch_all(&mut owner)
        .await
        .unwrap();
    let mut tree = Tree::new();
    for (index, row) in (0_i64..).zip(&entries) {
        let hash = leaf_hash(row.get(1));
        sqlx::query("INSERT INTO audit_leaf VALUES ($1, $2, $3)")
            .bind(index)
            .bind(row.get::<i64, _>(0))
            .bind(hash.0.as_slice())
            .execute(&mut owner)
            .await
            .unwrap();
        tree.append(hash);
    }
    let signer = Signer::from_seed("ringfence.test/audit", &[3; 32]).unwrap();
    let note = signer.sign(&Checkpoint::of("ringfence.test/audit", &tree)).unwrap();
    sqlx::query("INSERT INTO audit_checkpoint VALUES ($1, $2, $3, 0)")
        .bind(i64::try_from(entries.len()).unwrap())
        .bind(tree.root().0.as_slice())
        .bind(&note)
        .execute(&mut owner)
        .await
        .unwrap();
    entries.len()
}

#[tokio::test]
async fn a_part_of_the_export_verifies_row_by_row_and_a_changed_row_does_not() {
    let world = World::start().await;
    placed(&world).await;
    for number in ["+13055550101", "+13055550102"] {
        world.post("/v1/suppressions", &json!({ "number": number, "reason": "asked" })).await;
    }
    let all = signed(&world).await;
    let key = world.text("/v1/audit/key").await.trim().parse().unwrap();
    let note = world.text("/v1/audit/checkpoint").await;
    let check = |text: &str| {
        let mut verifier = PartVerifier::new(&note, &key)?;
        text.lines().try_for_each(|line| verifier.row(&Row::Json(line.to_owned())))?;
        verifier.finish()
    };
    let part = world.text("/v1/audit/export?number=%2B13055550102").await;
    let report = check(&part).unwrap();
    assert_eq!(report.counts.records, 1, "the one suppression of that number: {part}");
    assert!(part.contains("\"kind\":\"suppression\"") && all > 2);
    assert!(check(&part.replace("asked", "never")).is_err());
    for nothing in ["number=%2B13055559999", "person=nobody", "from=2999-01-01T00:00:00Z"] {
        assert_eq!(world.text(&format!("/v1/audit/export?{nothing}")).await, "", "{nothing}");
    }
    // An empty part would pass for proof of absence where the question was a slip of the pen.
    for (slip, said) in [
        ("rule=us.regf.hour", "did you mean us.regf.hours?"),
        ("rule=us.x", "no rule pack has this rule"),
        ("campaign=01ARZ3NDEKTSV4RRFFQ69G5FAV", "no campaign has this id"),
        ("from=2026-12-02T00:00:00Z&to=2026-12-01T00:00:00Z", "must be before 'to'"),
    ] {
        let (status, problem) = world.get(&format!("/v1/audit/export?{slip}")).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{slip}: {problem}");
        assert!(problem.to_string().contains(said), "{slip}: {problem}");
    }
    let csv = world.text("/v1/audit/export?format=csv&person=nobody").await;
    assert!(csv.trim_end().ends_with(",proof"), "a header alone: {csv}");
    let bad = world.get("/v1/audit/export?number=12&from=yesterday").await;
    assert_eq!(bad.0, StatusCode::UNPROCESSABLE_ENTITY, "{}", bad.1);
    assert!(world.text("/v1/audit/dictionary").await.contains("| `denied_by[].citation` |"));
}

#[tokio::test]
async fn corrections_come_as_csv_too_and_both_versions_stay_in_the_audit() {
    let world = World::start().await;
    let id = placed(&world).await;
    let csv = format!(
        "attempt,disposition,reason\n{id},answered,the agent noted it\n{id},no_answer,\n\
         {id},not_sent,x\n{id},busy,call 305 555 0101\n01ARZ3NDEKTSV4RRFFQ69G5FAV-1,busy,x\n\
         {id},nonsense,x\n"
    );
    let (status, report) = world.csv("/v1/corrections", csv).await;
    assert_eq!(status, StatusCode::OK, "{report}");
    assert_eq!((&report["recorded"], &report["rejected"]), (&json!(2), &json!(4)), "{report}");
    let lines: Vec<_> = report["faults"].as_array().unwrap().iter().map(|f| &f["line"]).collect();
    assert_eq!(lines, [4, 5, 6, 7]);
    for (_, head) in crate::opt_outs::heads(&world).await {
        assert_eq!(head.entries()[0].outcome, Outcome::NoAnswer, "the last one counts");
    }
    signed(&world).await;
    let export = world.text("/v1/audit/export").await;
    let corrections: Vec<Value> = export
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|row| row["kind"] == "correction")
        .collect();
    let told: Vec<_> = corrections.iter().map(|row| (&row["was"], &row["disposition"])).collect();
    let (unknown, answered) = (json!("outcome_unknown"), json!("answered"));
    assert_eq!(told, [(&unknown, &answered), (&answered, &json!("no_answer"))]);
    assert_eq!(corrections[0]["reason"], "the agent noted it");
    let page = world.text(&format!("/v1/attempts/{id}/story")).await;
    assert!(page.contains("answered, was outcome_unknown"), "{page}");
    assert!(page.contains("admin (") && page.contains("How it stands"), "{page}");
    assert!(!page.contains("3055550101"), "{page}");
    let nobody = world.get("/v1/attempts/01ARZ3NDEKTSV4RRFFQ69G5FAV-1/story").await;
    assert_eq!(nobody.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_export_verifies_against_the_checkpoint_and_the_key_that_the_api_gives() {
    let world = World::start().await;
    assert_eq!(world.get("/v1/audit/checkpoint").await.0, StatusCode::NOT_FOUND);
    placed(&world).await;
    for n in 0..700 {
        let body = json!({ "number": format!("+1305555{n:04}"), "reason": "asked" });
        if n % 100 == 0 {
            world.post("/v1/suppressions", &body).await;
        }
    }
    let rows = signed(&world).await;

    let key = world.text("/v1/audit/key").await.trim().parse().unwrap();
    let note = world.text("/v1/audit/checkpoint").await;
    let export = world.text("/v1/audit/export?format=jsonl").await;
    assert_eq!(export.lines().count(), rows);
    let lines = export.lines().map(|line| Row::Json(line.to_owned()));
    let report = dialer_audit::verify(lines, &note, &key);
    assert!(report.is_ok(), "{report:?}");
    let csv = world.text("/v1/audit/export?format=csv").await;
    assert_eq!(csv::Reader::from_reader(csv.as_bytes()).records().count(), rows);
    let bad = world.request(Some("admin"), Method::GET, "/v1/audit/export?format=xml");
    assert_eq!(bad.send().await.unwrap().status(), StatusCode::BAD_REQUEST);
}
