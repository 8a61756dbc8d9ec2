//! The alerts: `promtool` runs their unit tests, and each has its page in the runbook.

use std::{collections::BTreeMap, process::Command};

use serde_json::Value;

/// The alerts of the rules, by name.
fn alerts() -> BTreeMap<String, Value> {
    let file: Value = serde_norway::from_str(&super::read("helm/rules/ringfence.yaml")).unwrap();
    let mut found = BTreeMap::new();
    for group in file["groups"].as_array().unwrap() {
        for rule in group["rules"].as_array().unwrap() {
            let name = rule["alert"].as_str().unwrap().to_owned();
            assert!(found.insert(name, rule.clone()).is_none(), "two alerts {}", rule["alert"]);
        }
    }
    found
}

/// The runbook's pages: anchor and text.
fn pages() -> BTreeMap<String, String> {
    let text = super::read("docs/runbook.md");
    text.split("\n## ")
        .skip(1)
        .map(|page| {
            let (title, body) = page.split_once('\n').unwrap();
            (title.to_lowercase(), body.to_owned())
        })
        .collect()
}

fn queries_of(page: &str) -> Vec<String> {
    let blocks = page.split("```promql\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap().trim().to_owned()).collect()
}

/// Every query of the runbook.
pub(crate) fn runbook_queries() -> Vec<String> {
    let queries: Vec<_> = pages().values().flat_map(|page| queries_of(page)).collect();
    assert!(queries.len() > 25, "{queries:?}");
    queries
}

fn promtool(arguments: &[&str]) -> (bool, String) {
    let output =
        Command::new("promtool").args(arguments).current_dir(super::root()).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn promtool_accepts_the_rules_and_their_unit_tests_pass() {
    let (good, said) = promtool(&["check", "rules", "helm/rules/ringfence.yaml"]);
    assert!(good && said.contains(&format!("{} rules found", alerts().len())), "{said}");
    let (good, said) = promtool(&["test", "rules", "helm/rules/tests/ringfence.yaml"]);
    assert!(good && said.contains("SUCCESS"), "{said}");
}

#[test]
fn every_alert_is_shown_firing_and_not_firing_by_a_unit_test() {
    let text = super::read("helm/rules/tests/ringfence.yaml");
    let file: Value = serde_norway::from_str(&text).unwrap();
    let mut seen: BTreeMap<String, [u32; 2]> = BTreeMap::new();
    for test in file["tests"].as_array().unwrap() {
        for case in test["alert_rule_test"].as_array().unwrap() {
            let name = case["alertname"].as_str().unwrap();
            let fires = !case["exp_alerts"].as_array().unwrap().is_empty();
            seen.entry(name.to_owned()).or_default()[usize::from(fires)] += 1;
        }
    }
    for name in alerts().keys() {
        // Where it fires, `exp_alerts` names every series that does: near ones that do not stand
        // in the same test.
        let [quiet, fires] = seen.get(name).copied().unwrap_or_default();
        assert!(fires > 0, "no test shows {name} firing");
        assert!(quiet > 0, "no test shows {name} not firing");
    }
}

#[test]
fn every_alert_has_a_page_in_the_runbook_with_meaning_impact_queries_and_what_to_do() {
    let (alerts, mut pages) = (alerts(), pages());
    assert!(alerts.len() >= 10);
    for (name, alert) in &alerts {
        let severity = alert["labels"]["severity"].as_str().unwrap();
        assert!(["critical", "warning"].contains(&severity), "{name}");
        for text in ["summary", "description"] {
            assert!(alert["annotations"][text].as_str().unwrap().len() > 10, "{name}: {text}");
        }
        let url = alert["annotations"]["runbook_url"].as_str().unwrap();
        let anchor = url.strip_prefix("docs/runbook.md#").unwrap();
        assert_eq!(name.to_lowercase(), format!("ringfence{anchor}"));
        let page = pages.remove(anchor).unwrap_or_else(|| panic!("no page {anchor}"));
        for part in ["**Meaning.** ", "**Impact.** ", "**Look at.**\n", "**Do.** "] {
            assert_eq!(page.matches(part).count(), 1, "{anchor}: {part}");
        }
        assert!(!queries_of(&page).is_empty(), "{anchor} has no query");
        for metric in super::metrics_of(alert["expr"].as_str().unwrap()) {
            assert!(super::documented().contains(&metric), "{name}: {metric}");
        }
    }
    assert!(pages.is_empty(), "pages of no alert: {:?}", pages.keys());
}

#[test]
fn links_within_and_into_the_runbook_lead_somewhere() {
    let pages = pages();
    let (runbook, metrics) = (super::read("docs/runbook.md"), super::read("docs/metrics.md"));
    let anchors = |text: &str, before: &str| -> Vec<String> {
        text.split(before).skip(1).map(|it| it.split(')').next().unwrap().to_owned()).collect()
    };
    let links = [anchors(&runbook, "](#"), anchors(&metrics, "](runbook.md#")].concat();
    assert!(links.len() > 20, "{links:?}");
    for link in links {
        assert!(pages.contains_key(&link), "#{link}");
    }
}
