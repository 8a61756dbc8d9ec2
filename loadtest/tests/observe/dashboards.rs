//! The dashboards as files: whole, explained, and on metrics that exist.

use std::collections::BTreeSet;

use serde_json::Value;

pub(crate) const FILES: [&str; 2] =
    ["helm/dashboards/overview.json", "helm/dashboards/trunks.json"];

pub(crate) fn dashboard(file: &str) -> Value {
    serde_json::from_str(&super::read(file)).unwrap()
}

/// Every panel with something in it.
pub(crate) fn panels(board: &Value) -> Vec<&Value> {
    board["panels"].as_array().unwrap().iter().filter(|it| it["type"] != "row").collect()
}

/// Every query, with the title of its panel.
pub(crate) fn queries(board: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for panel in panels(board) {
        for target in panel["targets"].as_array().unwrap() {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            found.push((text(&panel["title"]), text(&target["expr"])));
        }
    }
    found
}

#[test]
fn every_panel_says_what_it_shows_and_in_what_unit_and_none_lies_on_another() {
    for file in FILES {
        let board = dashboard(file);
        assert!(board["schemaVersion"].as_u64().unwrap() >= 39, "{file}");
        assert!(board["id"].is_null() && board["uid"].is_string(), "{file}");
        let variables = board["templating"]["list"].as_array().unwrap();
        assert_eq!(
            (&variables[0]["name"], &variables[0]["type"]),
            (&"datasource".into(), &"datasource".into())
        );
        let (mut ids, mut cells) = (BTreeSet::new(), BTreeSet::new());
        for panel in board["panels"].as_array().unwrap() {
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{file}: {}", panel["title"]);
            let at = |name: &str| panel["gridPos"][name].as_u64().unwrap();
            assert!(at("x") + at("w") <= 24, "{file}: {}", panel["title"]);
            for x in at("x")..at("x") + at("w") {
                for y in at("y")..at("y") + at("h") {
                    assert!(cells.insert((x, y)), "{file}: {} lies on another", panel["title"]);
                }
            }
        }
        let mut titles = BTreeSet::new();
        for panel in panels(&board) {
            let title = panel["title"].as_str().unwrap();
            assert!(titles.insert(title), "{file}: two panels {title}");
            assert!(panel["description"].as_str().unwrap().len() > 15, "{file}: {title}");
            assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{file}: {title}");
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{file}: {title}");
            for target in panel["targets"].as_array().unwrap() {
                assert_eq!(target["datasource"]["uid"], "${datasource}", "{file}: {title}");
            }
        }
    }
}

#[test]
fn dashboards_and_runbook_query_only_metrics_of_the_table() {
    let known: BTreeSet<_> = super::documented().into_iter().collect();
    let mut used = BTreeSet::new();
    for file in FILES {
        for (title, query) in queries(&dashboard(file)) {
            for metric in super::metrics_of(&query) {
                assert!(known.contains(&metric), "{file}: {title}: {metric}");
                used.insert(metric);
            }
        }
    }
    for query in super::alerts::runbook_queries() {
        for metric in super::metrics_of(&query) {
            assert!(known.contains(&metric), "docs/runbook.md: {metric}");
        }
    }
    assert!(used.len() > 40, "{used:?}");
}
