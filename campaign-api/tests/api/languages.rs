//! Sentences in the language that was asked for.

use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::world::{World, settings};

/// An answer with what it says of its language.
struct Told {
    body: Value,
    language: String,
    vary: String,
}

impl World {
    async fn told(
        &self,
        role: Option<&str>,
        path: &str,
        body: Option<&Value>,
        asked: &str,
    ) -> Told {
        let method = if body.is_some() { Method::POST } else { Method::GET };
        let mut request = self.request(role, method, path).header("accept-language", asked);
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = request.send().await.unwrap();
        let header = |name| response.headers()[name].to_str().unwrap().to_owned();
        let (language, vary) = (header(header::CONTENT_LANGUAGE), header(header::VARY));
        Told { body: response.json().await.unwrap(), language, vary }
    }
}

fn han(text: &Value) -> bool {
    text.as_str().unwrap().chars().any(|one| ('\u{4E00}'..='\u{9FFF}').contains(&one))
}

#[tokio::test]
async fn every_class_of_problem_is_told_in_the_language_that_was_asked_for() {
    let world = World::start().await;
    let seller = world.seller("acme").await;
    let campaign = world.campaign(&seller, "spring", &[]).await;
    let twice = json!({ "name": "acme" });
    let nobody = format!("/v1/campaigns/{}", "0".repeat(26));
    let bad = json!({ "seller": seller, "number": "1305", "reason": "" });
    let mut words = settings(&seller, "summer", &[]);
    words["announces"] = json!(["magic"]);
    words["max_tries"] = json!(0);
    let start = format!("/v1/campaigns/{campaign}/start");
    let pause = format!("/v1/campaigns/{campaign}/pause");
    let empty = json!({});
    let strange = json!({ "nam": "x" });
    let cases: [(&str, Option<&str>, &str, Option<&Value>); 11] = [
        ("key_required", None, "/v1/sellers", None),
        ("role_not_allowed", Some("operator"), "/v1/sellers", Some(&twice)),
        ("not_found", Some("admin"), &nobody, None),
        ("not_found", Some("admin"), "/v1/campaigns/x", None),
        ("not_found", Some("admin"), "/v1/nothing", None),
        ("seller_exists", Some("admin"), "/v1/sellers", Some(&twice)),
        ("invalid", Some("admin"), "/v1/suppressions", Some(&bad)),
        ("invalid", Some("admin"), "/v1/campaigns", Some(&words)),
        ("invalid", Some("admin"), "/v1/sellers", Some(&strange)),
        ("campaign_without_trunk", Some("admin"), &start, Some(&empty)),
        ("campaign_not_running", Some("admin"), &pause, Some(&empty)),
    ];
    for (code, role, path, body) in cases {
        let told = world.told(role, path, body, "zh-CN,zh;q=0.9,en;q=0.8").await;
        assert_eq!(told.body["code"], code, "{}", told.body);
        assert_eq!((told.language.as_str(), told.vary.as_str()), ("zh-CN", "accept-language"));
        assert!(han(&told.body["title"]) && han(&told.body["detail"]), "{}", told.body);
        for fault in told.body["faults"].as_array().into_iter().flatten() {
            assert!(han(&fault["reason"]), "{fault}");
        }
        let english = world.told(role, path, body, "fr, en;q=0.5").await;
        assert_eq!(english.body["code"], code);
        assert_eq!((english.language.as_str(), english.vary.as_str()), ("en", "accept-language"));
        assert!(!han(&english.body["title"]) && !han(&english.body["detail"]), "{}", english.body);
    }
}

#[tokio::test]
async fn faults_say_in_chinese_what_is_wrong_with_each_field() {
    let world = World::start().await;
    let seller = world.seller("acme").await;
    let bad = json!({ "seller": seller, "number": "1305", "reason": "" });
    let told = world.told(Some("admin"), "/v1/suppressions", Some(&bad), "zh").await;
    assert_eq!(
        told.body["faults"],
        json!([
            { "field": "reason", "reason": "不得为空" },
            { "field": "number", "reason": "缺少国家代码：请以“+”开头，例如 +13055550123，或说明属于哪个国家（region，例如 US）" },
        ])
    );
    assert_eq!(told.body["detail"], "共 2 处错误");
}

#[tokio::test]
async fn states_causes_and_counts_carry_their_sentence() {
    let world = World::start().await;
    let seller = world.seller("acme").await;
    let trunk = world.trunk().await;
    let campaign = world.campaign(&seller, "spring", &[&trunk]).await;
    let path = format!("/v1/campaigns/{campaign}");
    let list = format!("{path}/lists?name=a");
    let csv = "external_id,phone_1\na,+13055550101\nb,+13055550102\nc,+13055550103\n";
    let (status, answer) = world.csv(&list, csv).await;
    assert!(status.is_success(), "{answer}");
    world
        .execute(
            "UPDATE contact SET state = 4 WHERE id = (SELECT id FROM contact ORDER BY id LIMIT 1);
             INSERT INTO parked (contact_id, campaign_id, cause, rules, since)
             SELECT id, campaign_id, 'consent', ARRAY['us.fcc.hours'], 0 FROM contact WHERE state = 4;
             UPDATE contact SET state = 5, finished = 'tries_used_up' WHERE id = (
                 SELECT id FROM contact WHERE state = 1 ORDER BY id LIMIT 1);",
        )
        .await;
    let contacts = world.told(Some("admin"), &format!("{path}/contacts"), None, "zh").await;
    let said: Vec<&str> = contacts.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|contact| contact["sentence"].as_str().unwrap())
        .collect();
    assert_eq!(
        said,
        [
            "已搁置，情况改变之前不会拨打：需要取得涵盖此次呼叫的同意。",
            "已完成，不再拨打：外呼活动允许的拨打次数已用完",
            "等待外呼活动启动",
        ]
    );
    let shown = world.told(Some("admin"), &path, None, "zh").await;
    assert_eq!(shown.body["status"], "draft");
    assert_eq!(shown.body["status_text"], "外呼活动为草稿，尚未启动");
    let sentences = &shown.body["counts"]["sentences"];
    assert_eq!(sentences["consent"], "需要取得涵盖此次呼叫的同意。");
    assert_eq!(sentences["tries_used_up"], "外呼活动允许的拨打次数已用完");
    let english = world.told(Some("admin"), &path, None, "en").await;
    let sentences = &english.body["counts"]["sentences"];
    assert_eq!(sentences["consent"], "It takes a consent that covers the call.");
    assert_eq!(english.body["status_text"], "the campaign is a draft: it has not been started");
}

#[tokio::test]
async fn what_cannot_be_parsed_is_told_in_chinese_by_field() {
    let world = World::start().await;
    let seller = world.seller("acme").await;
    let mut type_of = settings(&seller, "summer", &[]);
    type_of["max_tries"] = json!("three");
    let mut missing = settings(&seller, "summer", &[]);
    missing.as_object_mut().unwrap().remove("prompt");
    let mut word = settings(&seller, "summer", &[]);
    word["purpose"] = json!("selling");
    let moment = json!({ "number": "+13055550101", "reason": "r", "at": "yesterday" });
    let strange = json!({ "name": "x", "colour": "red" });
    let earlier = json!([{ "seller": seller, "number": "+13055550101" }]);
    for (path, body, field, said) in [
        ("/v1/campaigns", &type_of, "max_tries", "必须是整数，而不是文本"),
        ("/v1/campaigns", &missing, "prompt", "缺失"),
        ("/v1/campaigns", &word, "purpose", "必须是以下之一：telemarketing"),
        ("/v1/suppressions", &moment, "at", "不是 RFC 3339 格式的时刻"),
        ("/v1/sellers", &strange, "colour", "此处不支持；可用的有：name"),
        ("/v1/earlier-attempts", &earlier, "at", "缺失"),
    ] {
        let told = world.told(Some("admin"), path, Some(body), "zh").await;
        let fault = &told.body["faults"][0];
        assert_eq!(
            (&told.body["status"], &fault["field"]),
            (&json!(422), &json!(field)),
            "{fault}"
        );
        assert!(fault["reason"].as_str().unwrap().starts_with(said), "{fault}");
    }
    for (path, said) in [
        ("/v1/eligibility", "无法理解查询参数：campaign：缺失"),
        ("/v1/attempts?limit=many", "无法理解查询参数：limit：必须是整数"),
        ("/v1/attempts?colour=red", "无法理解查询参数：colour：此处不支持；可用的有：campaign, "),
    ] {
        let told = world.told(Some("admin"), path, None, "zh").await;
        assert_eq!(told.body["status"], 400, "{}", told.body);
        assert!(told.body["detail"].as_str().unwrap().starts_with(said), "{}", told.body);
    }
}
