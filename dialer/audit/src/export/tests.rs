use std::collections::BTreeSet;

use dialer_types::{CampaignId, PlacementId, SellerId, SubjectId, UnixMillis};

use super::*;
use crate::record::{Action, CampaignAction, NotSent, Suppressed, Token};

fn leaf(body: impl Into<Body>) -> Vec<u8> {
    canonical::encode(&Record::new(None, body.into(), UnixMillis(1_764_000_000_123))).unwrap()
}

fn cell(leaf: &[u8], name: &str) -> String {
    let at = csv_header().position(|column| column == name).unwrap();
    csv_row(&Source::of(3, leaf)).unwrap()[at].clone()
}

#[test]
fn a_json_line_has_the_head_then_the_fields_then_the_leaf() {
    let leaf = leaf(NotSent { placement: PlacementId(5), reason: "a \"late\" one".into() });
    let line = json_line(&Source::of(3, &leaf)).unwrap();
    let start = "{\"index\":3,\"version\":1,\"kind\":\"not_sent\",\"at\":\"2025-11-24T16:00:00.123Z\",\
        \"node\":null,\"placement\":\"00000000000000000000000005\",\"reason\":\"a \\\"late\\\" one\",\
        \"leaf_hash\":\"";
    assert!(line.starts_with(start), "{line}");
    assert!(line.ends_with(&format!("\"leaf\":\"{}\"}}", STANDARD.encode(&leaf))), "{line}");
}

#[test]
fn a_cell_that_a_spreadsheet_would_compute_is_defused() {
    for formula in ["=1+1", "+1", "-1", "@sum", "\tx", "\rx"] {
        let leaf = leaf(NotSent { placement: PlacementId(5), reason: formula.into() });
        assert_eq!(cell(&leaf, "reason"), format!("'{formula}"));
    }
    let suppressed = Suppressed {
        event: Token(1),
        subjects: vec![SubjectId(-4), SubjectId(5)],
        seller: None,
        source: "api".into(),
        effective_at: UnixMillis(0),
        purpose: None,
        reason: "asked = told".into(),
    };
    let leaf = leaf(suppressed);
    assert_eq!(cell(&leaf, "subjects"), "'-4 5");
    assert_eq!(cell(&leaf, "reason"), "asked = told");
    assert_eq!(cell(&leaf, "seller"), "");
    assert!(cell(&leaf, "fields").contains("\"effective_at\":\"1970-01-01T00:00:00.000Z\""));
}

#[test]
fn column_names_are_unique_and_rows_have_a_cell_for_each() {
    let names: BTreeSet<_> = csv_header().collect();
    assert_eq!(names.len(), COLUMNS.len());
    let action = CampaignAction {
        campaign: CampaignId(1),
        seller: SellerId(2),
        action: Action::Paused,
        actor: "user-7".into(),
        reason: Some("lunch".into()),
    };
    let leaf = leaf(action);
    assert_eq!(csv_row(&Source::of(0, &leaf)).unwrap().len(), COLUMNS.len());
    assert_eq!(cell(&leaf, "reason"), "lunch");
    assert_eq!(cell(&leaf, "index"), "3");
    assert_eq!(csv_row(&Source::of(0, b"no leaf")).ok(), None);
}

#[test]
fn times_beyond_the_calendar_are_shown_as_milliseconds() {
    assert_eq!(rfc3339(UnixMillis(i64::MAX)), i64::MAX.to_string());
}
