//! The table of `docs/metrics.md` and the registry say the same.
#![allow(clippy::indexing_slicing, reason = "a test may panic")]

use std::collections::BTreeMap;

use super::*;

const TABLE: &str = include_str!("../../../docs/metrics.md");

/// The rows of the table for one process: name, type, labels.
fn documented(process: &str) -> Vec<(String, String, String)> {
    let mut rows = Vec::new();
    for line in TABLE.lines().filter(|line| line.starts_with("| `")) {
        let row = line.strip_prefix('|').and_then(|row| row.strip_suffix('|')).unwrap();
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 6, "{line}");
        assert!(cells.iter().enumerate().all(|(at, cell)| at == 3 || !cell.is_empty()), "{line}");
        if cells[1] == process || cells[1] == "both" {
            rows.push((cells[0].replace('`', ""), cells[2].to_owned(), cells[3].replace('`', "")));
        }
    }
    rows.sort();
    rows
}

#[test]
fn every_metric_has_a_row_in_the_table_and_every_row_a_metric() {
    let metrics = Metrics::new().unwrap();
    let registered: Vec<_> = metrics
        .described()
        .iter()
        .map(|it| (it.name.clone(), it.kind.to_owned(), it.labels.join(", ")))
        .collect();
    assert_eq!(registered, documented("dialer"));
}

#[test]
fn what_has_a_fixed_set_of_labels_is_there_from_the_start() {
    let metrics = Metrics::new().unwrap();
    metrics.describe_rules(
        &dialer_policy::Ruleset::shipped(dialer_policy::Options { house: true }).unwrap(),
    );
    let text = metrics.text();
    for sample in [
        "ringfence_violations_total{promise=\"G1\"} 0",
        "ringfence_violations_total{promise=\"G9\"} 0",
        "ringfence_judgements_total{verdict=\"refuse\"} 0",
        "ringfence_denied_total{rule=\"house.min_gap\"} 0",
        "ringfence_campaigns{status=\"running\"} 0",
        "ringfence_store_errors_total{store=\"redis\"} 0",
        "ringfence_files_refused{kind=\"list\"} 0",
        "ringfence_files_refused{kind=\"pack\"} 0",
    ] {
        assert!(text.contains(sample), "no {sample} in\n{text}");
    }
    assert!(text.contains("ringfence_build_info{rules=\""));
    assert!(text.contains("process_resident_memory_bytes "));
}

#[test]
fn a_list_is_fresh_until_the_last_day_its_strictest_rule_allows_is_over() {
    let metrics = Metrics::new().unwrap();
    let bounds = |feed| Bounds {
        list_days: BTreeMap::from([(Arc::from("x"), 31)]),
        feed,
        ..Bounds::default()
    };
    metrics.bounds.store(Arc::new(bounds(None)));
    let as_of = NaiveDate::from_ymd_opt(2026, 11, 1).unwrap();
    let day = |days: i64| UnixMillis(1_793_491_200_000 + days * 86_400_000);
    for (now, age, fresh) in [
        (day(0), 0, 32 * 86_400),
        (day(31), 31 * 86_400, 86_400),
        (day(32), 32 * 86_400, 0),
        (day(40), 40 * 86_400, -8 * 86_400),
    ] {
        assert_eq!(metrics.show_list("x", as_of, now), Some(fresh));
        assert_eq!(metrics.list_age.with_label_values(&["x"]).get(), age);
        assert_eq!(metrics.list_fresh.with_label_values(&["x"]).get(), fresh);
    }
    metrics.keep_lists(&["x"]);
    assert!(metrics.text().contains("age_seconds{list=\"x\"}"));
    metrics.keep_lists(&[]);
    assert!(!metrics.text().contains("seconds{list=\"x\"}"), "a list whose file is gone");
    metrics.bounds.store(Arc::new(bounds(Some(3600))));
    for (as_of, age, fresh) in [(0, 0, 3600), (3600, 3600, 0), (4000, 4000, -400)] {
        metrics.show_feed(Some(UnixMillis(day(1).0 - as_of * 1000)), day(1));
        assert_eq!(metrics.feed_age.with_label_values(&["emergency"]).get(), age);
        assert_eq!(metrics.feed_fresh.with_label_values(&["emergency"]).get(), fresh);
    }
    metrics.show_feed(None, day(1));
    assert!(!metrics.text().contains("ringfence_feed_"), "a feed that is gone has no age");
    assert_eq!(metrics.show_list("unbounded", as_of, day(1)), None);
    assert!(!metrics.text().contains("fresh_seconds{list=\"unbounded\"}"));
}

#[test]
fn other_rules_take_the_place_of_those_that_were_shown() {
    use dialer_policy::{Options, PackSource, Ruleset};
    let metrics = Metrics::new().unwrap();
    let house = Options { house: true };
    let first = Ruleset::shipped(house).unwrap();
    let stricter = "[[override]]\nrule = \"house.min_gap\"\nhours = 4\n";
    let stricter = [PackSource { name: "house.toml", text: stricter }];
    let second = Ruleset::shipped_with(&stricter, house).unwrap();
    let shown =
        |rules: &Ruleset| metrics.text().contains(&format!("rules=\"{}\"", rules.version()));
    for (now, before) in [(&first, None), (&second, Some(&first)), (&first, Some(&second))] {
        metrics.describe_rules(now);
        metrics.describe_rules(now);
        assert!(shown(now) && !before.is_some_and(shown));
    }
    let as_of = NaiveDate::from_ymd_opt(2026, 11, 1).unwrap();
    let now = UnixMillis(1_793_491_200_000);
    assert!(metrics.show_list("us.national_dnc", as_of, now).is_some());
    metrics.show_feed(Some(now), now);
    assert!(metrics.text().contains("feed_fresh_seconds{"));
    let elsewhere = dialer_policy::SHIPPED.iter().filter(|pack| !pack.name.starts_with("us"));
    let elsewhere: Vec<_> = elsewhere.copied().collect();
    metrics.describe_rules(&Ruleset::load(&elsewhere, house).unwrap());
    assert_eq!(metrics.show_list("us.national_dnc", as_of, now), None, "no rule asks for it");
    metrics.show_feed(Some(now), now);
    assert!(!metrics.text().contains("fresh_seconds{"), "{}", metrics.text());
}
