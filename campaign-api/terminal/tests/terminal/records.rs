//! Opt-outs, consents, attempts, the audit.

use std::fs;

use dialer_audit::{
    Checkpoint, Row, Signer, Tree, leaf_hash,
    manifest::{FileDigest, Manifest},
};
use sqlx::{Connection as _, PgConnection, Row as _};

use crate::world::World;

#[test]
fn opt_outs_and_consents_are_recorded_by_name_or_number() {
    let world = World::start();
    world.campaign("Spring");
    let told = world.does(&["suppress", "+13055550199", "--reason", "asked on the phone"]);
    assert!(told.contains("for every seller"), "{told}");
    let seller = "Seller of Spring";
    let told = world.does(&["suppress", "--person", "ann", "--seller", seller, "--reason", "mail"]);
    assert!(told.contains("for this seller"), "{told}");
    assert!(told.contains("check the id"), "no list has her, which may be a slip:\n{told}");
    let json = world.json(&["suppress", "+13055550199", "--reason", "x", "--lift"]);
    assert!(json["event"].is_string(), "{json}");
    let of = ["ann", "--seller", seller, "--purpose", "telemarketing", "--source", "form 12"];
    let told = world.does(&[&["consent", "grant", "--person"], of.as_slice()].concat());
    assert!(told.contains("The consent is on record"), "{told}");
    let told =
        world.does(&[&["consent", "revoke", "+13055550101", "--person"], of.as_slice()].concat());
    assert!(told.contains("taken back"), "{told}");
}

const PLACEMENT: &str = "01990000-0000-0000-0000-000000000077";

/// One contact with one attempt that was placed and rang out.
fn placed(world: &World) {
    world.campaign("Spring");
    world.file("people.csv", "external_id,phone_1\nann,+13055550101\n");
    world.does(&["list", "import", "people.csv", "--campaign", "Spring"]);
    world.execute(&format!(
        "INSERT INTO attempt SELECT c.id, 1, c.campaign_id, k.seller_id, 1000
             FROM contact c JOIN campaign k ON k.id = c.campaign_id;
         INSERT INTO placement SELECT '{PLACEMENT}', c.id, 1, c.campaign_id, n.number_subject,
             c.person_subject, NULL, t.id, gen_random_uuid(), 1000, 9000, 'call-1@x'
             FROM contact c JOIN contact_number n ON n.contact_id = c.id, trunk t;
         INSERT INTO decision (contact_id, try_no, campaign_id, at, verdict, rules, entry_id)
             SELECT c.id, 1, c.campaign_id, 1000, 'permit', '{{}}', min(e.id)
             FROM contact c, audit_entry e GROUP BY c.id, c.campaign_id;
         INSERT INTO outcome (placement_id, disposition, ended_at, recorded_by)
             VALUES ('{PLACEMENT}', 3, 2000, gen_random_uuid());"
    ));
}

#[test]
fn attempts_are_listed_shown_and_corrected() {
    let world = World::start();
    placed(&world);
    let does = |words: &[&str]| {
        let done = world.run_as("compliance", words);
        assert_eq!((done.code, done.err.as_str()), (0, ""), "{words:?} {done:?}");
        done
    };
    let table = does(&["attempts", "--campaign", "Spring"]).out;
    assert!(table.contains("no answer") && table.contains("+130******01"), "{table}");
    let json = does(&["attempts", "--json"]).json();
    let id = json["items"][0]["id"].as_str().unwrap();
    let shown = does(&["attempts", "show", id]).out;
    assert!(shown.contains("call-1@x") && shown.contains("permit"), "{shown}");
    let corrected = does(&["attempts", "correct", id, "busy"]).out;
    assert!(corrected.contains("both versions are on record"), "{corrected}");
    assert!(corrected.contains("no answer") && corrected.contains("busy"), "{corrected}");
    let none = does(&["attempts", "--campaign", "Spring", "--after", id]).out;
    assert!(none.contains("No attempt fits"), "{none}");
}

#[test]
fn attempts_made_elsewhere_are_imported_and_faults_named_by_line() {
    let world = World::start();
    world.campaign("Spring");
    let seller = world.json(&["seller", "list"])["items"][0]["id"].as_str().unwrap().to_owned();
    world.file(
        "earlier.csv",
        &format!("seller,number,at,outcome,purpose,technology\n{seller},+13055550101,2026-01-02T03:04:05Z,no_answer,telemarketing,prerecorded\n{seller},nobody,2026-01-02T03:04:05Z,no_answer,telemarketing,prerecorded\n"),
    );
    let done = world.run_as("compliance", &["earlier", "import", "earlier.csv"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.out.contains("number") && done.out.contains('3'), "{done:?}");
    let json = world.run_as("compliance", &["earlier", "import", "earlier.csv", "--json"]).json();
    let counts = ["recorded", "duplicates", "rejected"].map(|name| json[name].as_i64());
    assert_eq!(counts, [Some(0), Some(1), Some(1)], "a second time it is on record already");
    world.file(
        "bad.csv",
        &format!("seller,number,at,outcome,purpose,technology\n{seller},nobody,2026-01-02T03:04:05Z,no_answer,telemarketing,prerecorded\n"),
    );
    let none = world.run_as("compliance", &["earlier", "import", "bad.csv"]);
    assert_eq!((none.code, none.err.as_str()), (1, ""), "nothing was recorded: {none:?}");
}

/// What the dialer's sequencer does: leaves, a tree, a signed checkpoint.
fn sequence(world: &World) -> usize {
    world.runtime.block_on(async {
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
    })
}

#[test]
fn an_export_is_saved_whole_and_its_manifest_and_rows_verify() {
    let world = World::start();
    world.campaign("Spring");
    let early = world.run_as("compliance", &["export", "--out", "early"]);
    assert_eq!(early.code, 1, "there is no checkpoint yet: {early:?}");
    for n in 0..5 {
        world.does(&["suppress", &format!("+1305555010{n}"), "--reason", "asked"]);
    }
    let entries = sequence(&world);
    let done = world.run_as("compliance", &["export", "--out", "taken"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.out.contains("audit verify taken --key taken/key.pub"), "{done:?}");
    let read = |name: &str| fs::read_to_string(world.folder.join("taken").join(name)).unwrap();
    let key = read("key.pub").trim().parse().unwrap();
    let note = read("checkpoint");
    let manifest = Manifest::parse(&read("manifest.json")).unwrap();
    manifest.check_checkpoint(&Checkpoint::open(&note, &key).unwrap()).unwrap();
    for name in ["audit.jsonl", "audit.csv", "dictionary.md"] {
        let mut digest = FileDigest::default();
        digest.update(read(name).as_bytes());
        manifest.check_file(name, &digest.finish()).unwrap();
    }
    let rows = read("audit.jsonl");
    assert_eq!(rows.lines().count(), entries);
    let report =
        dialer_audit::verify(rows.lines().map(|line| Row::Json(line.to_owned())), &note, &key);
    assert!(report.is_ok(), "{report:?}");
    let part = world
        .run_as("compliance", &["export", "--out", "part", "--number", "+13055550101", "--json"]);
    assert_eq!(part.json()["rows"], 1, "{part:?}");
    let manifest = fs::read_to_string(world.folder.join("part/manifest.json")).unwrap();
    assert!(!manifest.contains("3055550101"), "{manifest}");
    assert_eq!(Manifest::parse(&manifest).unwrap().part.unwrap().rows, 1);
}
