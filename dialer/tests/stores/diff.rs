//! What a change of packs makes of a campaign's contacts.

use dialer::cli::effect_in;
use dialer_facts::lists::Lists;
use dialer_policy::{Options, PackSource, Ruleset};
use serde_json::{Value, json};

use crate::world::{NOW, World, keys};

fn rules(more: &str, to: &str) -> Ruleset {
    let rule = |id: &str, body: &str| {
        format!(
            "[[rule]]\nid = \"test.{id}\"\ntitle = \"T\"\ncitation = \"C\"\nforce = \"law\"\n\
             jurisdiction = \"US\"\npurposes = [\"any\"]\nverified = \"K\"\n{body}\n"
        )
    };
    let days = "[\"mon\", \"tue\", \"wed\", \"thu\", \"fri\", \"sat\", \"sun\"]";
    let hours = format!(
        "kind = \"time_window\"\nallow = [{{ days = {days}, from = \"08:00\", to = \"{to}\" }}]"
    );
    let mut text = rule("hours", &hours);
    if !more.is_empty() {
        text += &rule("more", more);
    }
    Ruleset::load(&[PackSource { name: "t.toml", text: &text }], Options { house: false }).unwrap()
}

async fn effect(world: &World, old: &Ruleset, new: &Ruleset) -> Value {
    let mut connection = world.owner.acquire().await.unwrap();
    let lists = Lists::default();
    let rules = [old, new];
    let effect =
        effect_in(&mut connection, &keys(), &lists, world.campaign, rules, NOW).await.unwrap();
    effect.json()
}

#[tokio::test]
async fn a_change_of_packs_is_told_by_the_contacts_that_it_stops_and_allows() {
    let mut world = World::new().await;
    for _ in 0..5 {
        world.contact(Some(NOW)).await;
    }
    world.sql("UPDATE number SET line_type = 2 WHERE subject_id IN (SELECT min(subject_id) FROM number)").await;
    let (plain, short) = (rules("", "21:00"), rules("", "12:00"));
    let banned = rules("kind = \"target_ban\"\nreach = [{ line = \"wireless\" }]", "21:00");
    let found = effect(&world, &plain, &banned).await;
    assert_eq!((&found["contacts"], &found["unreadable"]), (&json!(5), &json!(0)), "{found}");
    assert_eq!((&found["stopped"], &found["allowed"]), (&json!(4), &json!(0)), "{found}");
    assert_eq!(found["stopped_by"], json!({ "test.more": 4 }));
    assert_eq!((&found["callable_old"], &found["callable_new"]), (&json!(5), &json!(1)));
    let back = effect(&world, &banned, &plain).await;
    assert_eq!((&back["stopped"], &back["allowed"]), (&json!(0), &json!(4)), "{back}");
    assert_eq!(back["allowed_by"], json!({ "test.more": 4 }));
    let shorter = effect(&world, &plain, &short).await;
    assert_eq!((&shorter["shorter"], &shorter["longer"]), (&json!(5), &json!(0)), "{shorter}");
    assert_eq!(effect(&world, &plain, &plain).await["shorter"], 0);
    let mut connection = world.owner.acquire().await.unwrap();
    let nobody = dialer_types::CampaignId(7);
    let lists = Lists::default();
    let rules = [&plain, &short];
    let error = effect_in(&mut connection, &keys(), &lists, nobody, rules, NOW).await.unwrap_err();
    assert!(error.to_string().contains("no campaign"), "{error}");
}
