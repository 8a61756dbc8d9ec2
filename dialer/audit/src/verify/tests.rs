//! A made log, and everything that can be done to it.

use dialer_types::{
    AttemptId, CampaignId, ContactId, Disposition, LineType, PlacementId, Purpose, RuleId,
    SellerId, SubjectId, Technology, TrunkId, UnixMillis,
};
use proptest::prelude::*;

use super::{report::Counts, *};
use crate::{
    Body, Record, Signer,
    record::{
        Action, Advance, CampaignAction, Corrected, Counter, Decision, Denial, Ended, Intent,
        NotSent, Sent, Token, Verdict,
    },
};

mod parts;
mod permits;
mod promises;

const START: i64 = 1_764_000_000_000;

fn attempt(no: u128) -> AttemptId {
    AttemptId { contact: ContactId(no), try_no: 1 }
}

fn subjects(no: u128) -> Vec<SubjectId> {
    let no = i64::try_from(no).unwrap();
    vec![SubjectId(no), SubjectId(no + 1000)]
}

fn decision(no: u128, verdict: Verdict) -> Decision {
    let denial = Denial {
        rule: RuleId::new("house.person_day_cap"),
        citation: "house".into(),
        until: Some(UnixMillis(START + 3_600_000)),
        why: "3 of 3 today, \"all\"; used".into(),
    };
    let permit = verdict == Verdict::Permit;
    let passed = ["us.fcc.hours", "us.tsr.dnc", "house.person_day_cap"];
    let passed = passed.get(..if permit { 3 } else { 2 }).unwrap();
    Decision {
        attempt: attempt(no),
        placement: permit.then_some(PlacementId(no)),
        campaign: CampaignId(7),
        seller: SellerId(8),
        subjects: subjects(no),
        purpose: Purpose::Informational,
        technology: Technology::Prerecorded,
        line_type: LineType::Wireless,
        verdict,
        until: None,
        denied_by: if permit { vec![] } else { vec![denial] },
        rules_asked: 3,
        ruleset: Hash([3; 32]),
        places: vec![],
        counters: vec![Counter { rule: RuleId::new("house.person_day_cap"), count: 1, cap: 3 }],
        lists: vec![],
        obligations: vec!["identify".into()],
        inputs: vec![],
        rules_passed: Some(passed.iter().map(|rule| RuleId::new(rule)).collect()),
        exceptions: None,
    }
}

fn intent(no: u128) -> Intent {
    let advance = |subject| Advance { subject, judged: Token(no + 500), token: Token(no) };
    Intent {
        placement: PlacementId(no),
        attempt: attempt(no),
        trunk: TrunkId(9),
        heads: subjects(no).into_iter().map(advance).collect(),
        not_after: UnixMillis(START + 5_000),
        clock_bound_ms: 250,
        clock_offset_ms: 0,
        sip_call_id: format!("call-{no}"),
    }
}

fn sent(no: u128) -> Sent {
    let sip_call_id = format!("call-{no}");
    Sent { placement: PlacementId(no), sent_at: UnixMillis(START + 40), sip_call_id }
}

fn ended(no: u128, disposition: Disposition) -> Ended {
    Ended {
        attempt: attempt(no),
        placement: PlacementId(no),
        disposition,
        sip_code: Some(200),
        q850: None,
        ring_ms: Some(1_800),
        answered_at: Some(UnixMillis(START + 1_840)),
        ended_at: Some(UnixMillis(START + 9_000)),
        correction: false,
    }
}

/// Three placements (answered, not sent, unknown and then corrected), denials and a start.
fn story() -> Vec<Body> {
    let start = CampaignAction {
        campaign: CampaignId(7),
        seller: SellerId(8),
        action: Action::Started,
        actor: "user-1".into(),
        reason: None,
    };
    let corrected = Ended { correction: true, ..ended(3, Disposition::Busy) };
    vec![
        start.into(),
        decision(1, Verdict::Permit).into(),
        intent(1).into(),
        decision(4, Verdict::Refuse).into(),
        sent(1).into(),
        decision(2, Verdict::Permit).into(),
        intent(2).into(),
        ended(1, Disposition::Answered).into(),
        NotSent { placement: PlacementId(2), reason: "too late".into() }.into(),
        decision(3, Verdict::Permit).into(),
        intent(3).into(),
        sent(3).into(),
        ended(3, Disposition::Unknown).into(),
        decision(5, Verdict::Defer).into(),
        corrected.into(),
    ]
}

fn leaves(story: Vec<Body>) -> Vec<Vec<u8>> {
    let mut at = START;
    let mut encode = |body| {
        at += 10;
        canonical::encode(&Record::new(None, body, UnixMillis(at))).unwrap()
    };
    story.into_iter().map(&mut encode).collect()
}

fn signer() -> Signer {
    Signer::from_seed("audit.example.com", &[9; 32]).unwrap()
}

fn checkpoint(leaves: &[Vec<u8>]) -> String {
    let mut tree = Tree::new();
    leaves.iter().for_each(|leaf| tree.append(leaf_hash(leaf)));
    signer().sign(&Checkpoint::of("audit.example.com/log", &tree)).unwrap()
}

fn json(leaves: &[Vec<u8>]) -> Vec<Row> {
    (0..).zip(leaves).map(|(i, leaf)| row_of(&Source::of(i, leaf), leaves, false)).collect()
}

fn csv(leaves: &[Vec<u8>]) -> Vec<Row> {
    (0..).zip(leaves).map(|(i, leaf)| row_of(&Source::of(i, leaf), leaves, true)).collect()
}

/// The row of a leaf; a permit's with its grounds out of `log`, wherever they are.
fn row_of(source: &Source<'_>, log: &[Vec<u8>], csv_row: bool) -> Row {
    let wanted = canonical::grounds_of(source.leaf);
    let grounds = log.iter().find(|leaf| Some(leaf_hash(leaf)) == wanted);
    let grounds = grounds.map(|leaf| canonical::decode(leaf).unwrap());
    let source = Source { grounds: grounds.as_ref(), ..*source };
    if csv_row {
        Row::Csv(export::csv_row(&source).unwrap())
    } else {
        Row::Json(export::json_line(&source).unwrap())
    }
}

fn check(rows: Vec<Row>, checkpoint: &str) -> Result<Report, Break> {
    verify(rows, checkpoint, &signer().verifier())
}

#[test]
fn a_sound_export_verifies_in_both_formats_and_is_counted() {
    let leaves = leaves(story());
    let checkpoint = checkpoint(&leaves);
    let report = check(json(&leaves), &checkpoint).unwrap();
    assert_eq!(report, check(csv(&leaves), &checkpoint).unwrap());
    let counts = &report.counts;
    assert_eq!((counts.records, counts.permits, counts.refusals, counts.deferrals), (15, 3, 1, 1));
    assert_eq!((counts.placements, counts.sent, counts.not_sent, counts.open), (3, 2, 1, 0));
    assert_eq!(counts.dispositions.get(&Disposition::Busy), Some(&1));
    assert_eq!(counts.dispositions.get(&Disposition::Unknown), None);
    assert_eq!(counts.denied_by.get(&RuleId::new("house.person_day_cap")), Some(&2));
    let text = report.to_string();
    assert!(text.contains("3 placements") || text.contains("placements 3"), "{text}");
}

#[test]
fn an_empty_log_verifies_and_a_placement_under_way_is_counted_as_open() {
    assert_eq!(check(vec![], &checkpoint(&[])).unwrap().counts.records, 0);
    let leaves =
        leaves(vec![decision(1, Verdict::Permit).into(), intent(1).into(), sent(1).into()]);
    let counts = check(json(&leaves), &checkpoint(&leaves)).unwrap().counts;
    assert_eq!((counts.placements, counts.open, counts.sent), (1, 1, 1));
}

#[test]
fn a_truncated_or_longer_export_is_found() {
    let leaves = leaves(story());
    let signed = checkpoint(&leaves);
    let short = check(json(&leaves[..14]), &signed).unwrap_err();
    assert_eq!(short.fault, Fault::TooFew { found: 14, expected: 15 });
    let long = check(json(&leaves), &checkpoint(&leaves[..14])).unwrap_err();
    assert_eq!(long, Break { index: Some(14), fault: Fault::TooMany(14) });
    assert_eq!(long.to_string(), "record 14: the checkpoint covers 14 records only");
}

#[test]
fn another_key_or_a_changed_checkpoint_is_found() {
    let leaves = leaves(story());
    let signed = checkpoint(&leaves);
    let other = Signer::from_seed("audit.example.com", &[8; 32]).unwrap().verifier();
    let fault = verify(json(&leaves), &signed, &other).unwrap_err().fault;
    assert!(matches!(fault, Fault::Checkpoint(CheckpointError::NotSigned(_))), "{fault}");
    let fault = check(json(&leaves), &signed.replace("\n15\n", "\n14\n")).unwrap_err().fault;
    assert!(matches!(fault, Fault::Checkpoint(CheckpointError::BadSignature(_))), "{fault}");
}

#[test]
fn a_log_that_does_not_extend_an_earlier_checkpoint_is_found() {
    let all = leaves(story());
    let key = signer().verifier();
    let run = |earlier: &str, rows: Vec<Row>| {
        let mut verifier = Verifier::new(&checkpoint(&all), &key)?;
        verifier.extends(earlier, &key)?;
        rows.iter().try_for_each(|row| verifier.row(row))?;
        verifier.finish()
    };
    for size in 0..=all.len() {
        assert!(run(&checkpoint(&all[..size]), json(&all)).is_ok(), "{size}");
    }
    let mut rewritten = all[..7].to_vec();
    rewritten.swap(2, 3);
    let fault = run(&checkpoint(&rewritten), json(&all)).unwrap_err().fault;
    assert!(matches!(fault, Fault::Root { size: 7, .. }), "{fault}");
    let longer = [all.clone(), all[..1].to_vec()].concat();
    assert!(matches!(run(&checkpoint(&longer), json(&all)).unwrap_err().fault, Fault::Earlier(_)));
}

#[test]
fn a_readable_field_that_differs_from_the_leaf_is_found_and_named() {
    let leaves = leaves(story());
    let signed = checkpoint(&leaves);
    let mut rows = json(&leaves);
    let Row::Json(line) = &mut rows[7] else { unreachable!() };
    *line = line.replace("\"answered\"", "\"busy\"");
    let broken = check(rows, &signed).unwrap_err();
    let text = broken.to_string();
    assert_eq!(text, "record 7: its field disposition says \"busy\", its leaf says \"answered\"");

    let mut rows = csv(&leaves);
    let Row::Csv(cells) = &mut rows[7] else { unreachable!() };
    *cells.iter_mut().find(|cell| *cell == "answered").unwrap() = "busy".into();
    let broken = check(rows, &signed).unwrap_err();
    assert_eq!(
        broken.to_string(),
        "record 7: its field disposition says busy, its leaf says answered"
    );
}

#[test]
fn a_doubled_or_added_member_cannot_hide_in_a_line() {
    let leaves = leaves(story());
    let signed = checkpoint(&leaves);
    let tampered = |what: &str, with: &str| {
        let mut rows = json(&leaves);
        let Row::Json(line) = &mut rows[7] else { unreachable!() };
        *line = line.replacen(what, with, 1);
        check(rows, &signed).unwrap_err().fault
    };
    let doubled = "\"disposition\":\"busy\",\"disposition\":";
    assert_eq!(tampered("\"disposition\":", doubled), Fault::Form);
    assert!(matches!(tampered("{", "{\"note\":1,"), Fault::Field { field, .. } if field == "note"));
    assert_eq!(tampered(",", ", "), Fault::Form);
    assert!(matches!(tampered("{", ""), Fault::Row(_)));
}

/// The rows again, with indices made dense as a careful forger would.
fn forged(leaves: &[Vec<u8>], csv_rows: bool) -> Vec<Row> {
    if csv_rows { csv(leaves) } else { json(leaves) }
}

proptest! {
    #[test]
    fn removing_changing_adding_or_swapping_any_record_is_found(
        a in 0_usize..15, b in 0_usize..15, how in 0..5, csv_rows: bool,
    ) {
        let genuine = leaves(story());
        let signed = checkpoint(&genuine);
        let mut leaves = genuine.clone();
        match how {
            0 => drop(leaves.remove(a)),
            1 => {
                let mut record = canonical::decode(&leaves[a]).unwrap();
                record.at = record.at.after(std::time::Duration::from_millis(1));
                leaves[a] = canonical::encode(&record).unwrap();
            }
            2 => leaves.insert(a, genuine[b].clone()),
            3 => leaves.swap(a, b),
            _ => leaves[a] = genuine[b].clone(),
        }
        let result = check(forged(&leaves, csv_rows), &signed);
        prop_assert_eq!(result.is_ok(), leaves == genuine, "{:?}", result);
    }

    #[test]
    fn changing_any_byte_of_a_row_is_found(row in 0_usize..15, at in any::<prop::sample::Index>(), to: u8) {
        let leaves = leaves(story());
        let mut rows = json(&leaves);
        let Row::Json(line) = &mut rows[row] else { unreachable!() };
        let mut bytes = line.clone().into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        if let Ok(text) = String::from_utf8(bytes) {
            *line = text;
            prop_assert!(check(rows, &checkpoint(&leaves)).is_err());
        }
    }
}
