//! Logs with permits: every check that a permit adds to those of a decision and an intent.

use super::{
    parts::{check_part, part},
    *,
};
use crate::{
    fold,
    record::{Input, Permit},
};

/// The leaf of the grounds of these placements, and the leaves of their permits.
fn permits(numbers: &[u128], technology: Technology) -> (Vec<u8>, Vec<Vec<u8>>) {
    let folded = |no: u128| {
        let decision = Decision { technology, ..decision(no, Verdict::Permit) };
        let record = |body| Record::new(None, body, UnixMillis(START + 20));
        fold(&record(decision.into()), &record(intent(no).into())).unwrap()
    };
    let first = folded(numbers[0]);
    let grounds = canonical::encode(first.grounds()).unwrap();
    let hash = leaf_hash(&grounds);
    let permit = |no: &u128| {
        let folded = folded(*no);
        assert_eq!(folded.key(), first.key(), "these tests name grounds once for all");
        canonical::encode(&folded.permit(hash)).unwrap()
    };
    (grounds, numbers.iter().map(permit).collect())
}

/// 0 grounds, 1 and 2 permits, 3 sent, 4 a refusal, 5 other grounds, 6 and 7 permits on them and on the
/// first, 8 and 9 a permit as earlier layouts have it, 10 an outcome.
fn log() -> Vec<Vec<u8>> {
    let (first, on_first) = permits(&[1, 2, 6], Technology::Prerecorded);
    let (second, on_second) = permits(&[3], Technology::Manual);
    let mut log = vec![first, on_first[0].clone(), on_first[1].clone()];
    log.extend(leaves(vec![sent(1).into(), decision(4, Verdict::Refuse).into()]));
    log.extend([second, on_second[0].clone(), on_first[2].clone()]);
    log.extend(leaves(vec![decision(5, Verdict::Permit).into(), intent(5).into()]));
    log.extend(leaves(vec![ended(1, Disposition::Answered).into()]));
    log
}

/// The fault of a log that its operator signed as it is; its rows are written with the grounds that
/// the permits name, wherever they come from.
fn fault_of(leaves: &[Vec<u8>]) -> Fault {
    let known = [leaves.to_vec(), log()].concat();
    let rows = (0..).zip(leaves).map(|(i, leaf)| row_of(&Source::of(i, leaf), &known, false));
    check(rows.collect(), &checkpoint(leaves)).unwrap_err().fault
}

/// A leaf with something else in its body.
fn with(leaf: &[u8], change: impl FnOnce(&mut Body)) -> Vec<u8> {
    let mut record = canonical::decode(leaf).unwrap();
    change(&mut record.body);
    canonical::encode(&record).unwrap()
}

fn own(leaf: &[u8], change: impl FnOnce(&mut Permit)) -> Vec<u8> {
    with(leaf, |body| {
        let Body::Permit(permit) = body else { panic!("{body:?}") };
        change(permit);
    })
}

#[test]
fn permits_verify_among_records_of_earlier_layouts_and_are_counted_as_those_are() {
    let log = log();
    let signed = checkpoint(&log);
    let report = check(json(&log), &signed).unwrap();
    assert_eq!(report, check(csv(&log), &signed).unwrap());
    let counts = &report.counts;
    assert_eq!((counts.records, counts.permits, counts.refusals), (11, 5, 1));
    assert_eq!((counts.placements, counts.sent, counts.open), (5, 1, 4));
}

#[test]
fn grounds_that_are_missing_late_or_changed_are_found() {
    let log = log();
    let hash = leaf_hash(&log[0]);
    let missing = [&log[1..]].concat();
    assert_eq!(fault_of(&missing), Fault::NoGrounds(hash));
    let mut late = log.clone();
    late.swap(0, 1);
    assert_eq!(fault_of(&late), Fault::NoGrounds(hash));
    let mut changed = log.clone();
    changed[0] = with(&log[0], |body| {
        let Body::Grounds(grounds) = body else { panic!("{body:?}") };
        grounds.rules_asked = 4;
    });
    assert_eq!(fault_of(&changed), Fault::NoGrounds(hash), "the permits name other grounds");
}

#[test]
fn a_permit_put_on_other_grounds_is_another_record() {
    let log = log();
    let signed = checkpoint(&log);
    let mut swapped = log.clone();
    swapped[2] = own(&log[2], |permit| permit.grounds = leaf_hash(&log[0]));
    assert_eq!(swapped, log, "it was on them");
    // A forger moves it to the other grounds: the tree is another.
    swapped.swap(2, 5);
    swapped[5] = own(&log[2], |permit| permit.grounds = leaf_hash(&log[5]));
    swapped[2] = log[5].clone();
    let fault = check(json(&swapped), &signed).unwrap_err().fault;
    assert!(matches!(fault, Fault::Root { .. }), "{fault}");
    // Or he leaves the leaf and shows the fields by other grounds.
    let grounds = canonical::decode(&log[5]).unwrap();
    let source = Source { grounds: Some(&grounds), ..Source::of(2, &log[2]) };
    for (shown, csv_rows) in [
        (Row::Json(export::json_line(&source).unwrap()), false),
        (Row::Csv(export::csv_row(&source).unwrap()), true),
    ] {
        let mut rows = forged(&log, csv_rows);
        rows[2] = shown;
        let fault = check(rows, &signed).unwrap_err().fault;
        assert!(matches!(fault, Fault::Field { .. }), "{fault}");
    }
}

#[test]
fn a_permit_that_its_grounds_do_not_fit_is_found() {
    let log = log();
    let mut rows = json(&log);
    let mut misfit = log.clone();
    misfit[1] = own(&log[1], |permit| permit.counts = Some(vec![1, 1]));
    rows[1] =
        Row::Json("{\"index\":1,\"leaf\":\"".to_owned() + &STANDARD.encode(&misfit[1]) + "\"}");
    let fault = check(rows, &checkpoint(&misfit)).unwrap_err().fault;
    assert_eq!(fault, Fault::Misfit(Misfit::Counts { found: 2, expected: 1 }));
    assert!(fault.to_string().starts_with("it does not fit the grounds that it names"), "{fault}");
}

#[test]
fn the_promises_hold_for_permits_too() {
    let log = log();
    let story = |fault: Fault| match fault {
        Fault::Story(fault) => fault,
        other => panic!("{other}"),
    };
    let twice = [&log[..2], &log[1..2]].concat();
    assert_eq!(story(fault_of(&twice)), StoryFault::JudgedTwice(PlacementId(1)));
    let full = own(&log[1], |permit| permit.counts = Some(vec![3]));
    let full = story(fault_of(&[log[0].clone(), full]));
    assert!(matches!(full, StoryFault::PermitOverCap { count: 3, cap: 3, .. }), "{full}");
    let others = own(&log[1], |permit| permit.subjects = Some(subjects(2)));
    let others = story(fault_of(&[log[0].clone(), others]));
    assert_eq!(others, StoryFault::OtherSubjects(PlacementId(1)));
    let forked = own(&log[2], |permit| {
        permit.heads = intent(1)
            .heads
            .iter()
            .map(|it| crate::record::Base { subject: it.subject, judged: it.judged })
            .collect();
    });
    let forked = story(fault_of(&[log[0].clone(), log[1].clone(), forked]));
    assert_eq!(forked, StoryFault::Fork(SubjectId(1)));
    let short = own(&log[1], |permit| permit.valid_ms = 19);
    let late = [log[0].clone(), short, log[3].clone()];
    assert!(matches!(story(fault_of(&late)), StoryFault::SentLate { .. }));
    let unfit = with(&log[0], |body| {
        let Body::Grounds(grounds) = body else { panic!("{body:?}") };
        grounds.rules_asked = 4;
    });
    let permit = own(&log[1], |permit| permit.grounds = leaf_hash(&unfit));
    let unfit = story(fault_of(&[unfit, permit]));
    assert_eq!(unfit, StoryFault::RulesDoNotAddUp { asked: 4, passed: 3, denied: 0 });
}

#[test]
fn a_part_brings_the_grounds_of_its_permits_and_counts_them_apart() {
    let log = log();
    let signed = checkpoint(&log);
    for csv_rows in [false, true] {
        let rows = part(&log, &[0, 1, 2, 3, 5, 6, 7], csv_rows);
        let report = check_part(&rows, &signed).unwrap();
        assert_eq!((report.counts.records, report.beside.grounds), (5, 2));
        assert_eq!((report.between, report.counts.permits), (Some((1, 7)), 4));
        assert!(!report.is_contiguous(), "record 4 is left out");
        let text = report.to_string();
        assert!(text.contains("5 rows, from record 1 to 7"), "{text}");
        assert!(text.contains("2 rows more, which permits among them rest on"), "{text}");
        let whole = part(&log, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10], csv_rows);
        assert!(check_part(&whole, &signed).unwrap().is_contiguous());
        // Grounds come late where the first permit on them does.
        let late = part(&log, &[4, 5, 6, 0, 7], csv_rows);
        let report = check_part(&late, &signed).unwrap();
        assert_eq!((report.counts.records, report.beside.grounds), (3, 2));
        assert!(report.is_contiguous(), "4, 6 and 7, and the grounds 5 between them: {report}");
    }
}

#[test]
fn a_part_whose_grounds_are_missing_doubled_or_idle_is_refused() {
    let log = log();
    let signed = checkpoint(&log);
    for (indexes, fault) in [
        (&[1][..], Fault::NoGrounds(leaf_hash(&log[0]))),
        (&[1, 0], Fault::NoGrounds(leaf_hash(&log[0]))),
        (&[0, 1, 6], Fault::NoGrounds(leaf_hash(&log[5]))),
        (&[0], Fault::GroundsOutOfPlace),
        (&[0, 3], Fault::GroundsOutOfPlace),
        (&[0, 5, 6], Fault::GroundsOutOfPlace),
        (&[0, 1, 5, 7], Fault::GroundsOutOfPlace),
        (&[0, 0, 1], Fault::GroundsOutOfPlace),
        (&[0, 1, 0, 2], Fault::GroundsOutOfPlace),
        (&[0, 2, 1], Fault::Order(2)),
    ] {
        for csv_rows in [false, true] {
            let rows = part(&log, indexes, csv_rows);
            assert_eq!(check_part(&rows, &signed).unwrap_err().fault, fault, "{indexes:?}");
        }
    }
    // The log has them after the permit: proven to be in it, and not before it.
    let mut late = log.clone();
    late.swap(0, 1);
    let fault = check_part(&part(&late, &[1, 0], false), &checkpoint(&late)).unwrap_err().fault;
    assert_eq!(fault, Fault::NoGrounds(leaf_hash(&log[0])));
    // Grounds that are in no log lead to another root.
    let mut foreign = part(&late, &[1, 2], false);
    foreign[1] = part(&log, &[2], false)[0].clone();
    assert_eq!(check_part(&foreign, &signed).unwrap_err().fault, Fault::Inclusion);
    let full = own(&log[1], |permit| permit.counts = Some(vec![3]));
    let full = [log[0].clone(), full];
    let fault = check_part(&part(&full, &[0, 1], false), &checkpoint(&full)).unwrap_err().fault;
    assert!(matches!(fault, Fault::Story(StoryFault::PermitOverCap { .. })), "{fault}");
}

#[test]
fn a_value_of_a_persons_own_stays_out_of_the_grounds() {
    let entry = "01ARZ3NDEKTSV4RRFFQ69G5FAV lifted by consent 01ARZ3NDEKTSV4RRFFQ69G5FAW";
    let input = Input { name: "suppressions".into(), value: entry.into() };
    let one = Decision { inputs: vec![input], ..decision(1, Verdict::Permit) };
    let record = |body| Record::new(None, body, UnixMillis(START));
    let folded = fold(&record(one.into()), &record(intent(1).into())).unwrap();
    let leaf = canonical::encode(folded.grounds()).unwrap();
    let holds = |what: &str| leaf.windows(what.len()).any(|bytes| bytes == what.as_bytes());
    assert!(holds("suppressions") && !holds(entry));
}

proptest! {
    #[test]
    fn removing_changing_adding_or_swapping_any_record_is_found_among_permits(
        a in 0_usize..11, b in 0_usize..11, how in 0..5, csv_rows: bool,
    ) {
        let genuine = log();
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
        let known = [leaves.clone(), genuine.clone()].concat();
        let rows = (0..).zip(&leaves).map(|(i, leaf)| row_of(&Source::of(i, leaf), &known, csv_rows));
        let result = check(rows.collect(), &signed);
        prop_assert_eq!(result.is_ok(), leaves == genuine, "{:?}", result);
    }

    #[test]
    fn a_changed_added_doubled_or_reordered_row_of_a_part_with_permits_is_found(
        a in 0_usize..6, b in 0_usize..6, how in 0..3, csv_rows: bool,
    ) {
        let log = log();
        let rows = part(&log, &[0, 2, 4, 5, 6, 7], csv_rows);
        let mut tampered = rows.clone();
        match how {
            0 => tampered.swap(a, b),
            1 => tampered.insert(a, rows[b].clone()),
            _ => tampered[a] = rows[b].clone(),
        }
        let result = check_part(&tampered, &checkpoint(&log));
        prop_assert_eq!(result.is_ok(), tampered == rows, "{:?}", result);
    }
}
