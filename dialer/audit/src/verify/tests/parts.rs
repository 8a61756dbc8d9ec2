//! Parts: rows that a filter let through, each with its proof.

use super::*;
use crate::proof::Survey;

/// The rows of these indexes, as a part of the log writes them.
pub(super) fn part(leaves: &[Vec<u8>], indexes: &[usize], csv_rows: bool) -> Vec<Row> {
    let mut survey = Survey::default();
    leaves.iter().for_each(|leaf| survey.append(leaf_hash(leaf)));
    let mut prover = survey.into_prover();
    assert!(leaves.is_empty() || prover.hold(0, leaves.iter().map(|l| leaf_hash(l)).collect()));
    indexes
        .iter()
        .map(|at| {
            let (index, leaf) = (u64::try_from(*at).unwrap(), &leaves[*at]);
            let path = prover.prove(index).unwrap();
            row_of(&Source { path: Some(&path), ..Source::of(index, leaf) }, leaves, csv_rows)
        })
        .collect()
}

pub(super) fn check_part(rows: &[Row], checkpoint: &str) -> Result<PartReport, Break> {
    let mut verifier = PartVerifier::new(checkpoint, &signer().verifier())?;
    rows.iter().try_for_each(|row| verifier.row(row))?;
    verifier.finish()
}

#[test]
fn a_part_verifies_in_both_formats_and_says_whether_it_has_gaps() {
    let leaves = leaves(story());
    let signed = checkpoint(&leaves);
    for csv_rows in [false, true] {
        let report = check_part(&part(&leaves, &[1, 3, 13], csv_rows), &signed).unwrap();
        assert_eq!((report.counts.records, report.between), (3, Some((1, 13))));
        let Counts { permits, refusals, deferrals, .. } = &report.counts;
        assert_eq!((*permits, *refusals, *deferrals), (1, 1, 1));
        assert!(!report.is_contiguous());
        let text = report.to_string();
        assert!(text.contains("3 rows, from record 1 to 13, with records left out"), "{text}");
        assert!(text.contains("is not proven by these rows"), "{text}");
        let report = check_part(&part(&leaves, &[4, 5, 6], csv_rows), &signed).unwrap();
        assert!(report.is_contiguous(), "{report}");
    }
}

#[test]
fn a_part_without_rows_is_legal() {
    let report = check_part(&[], &checkpoint(&leaves(story()))).unwrap();
    assert_eq!((report.counts.records, report.is_contiguous()), (0, true));
    assert!(report.to_string().contains("no rows"));
    assert!(check_part(&[], &checkpoint(&[])).is_ok());
}

#[test]
fn rows_of_a_whole_export_are_no_part_and_the_other_way_round() {
    let leaves = leaves(story());
    let signed = checkpoint(&leaves);
    for whole in [json(&leaves), csv(&leaves)] {
        assert_eq!(check_part(&whole, &signed).unwrap_err().fault, Fault::NoProof);
    }
    let all: Vec<usize> = (0..leaves.len()).collect();
    for csv_rows in [false, true] {
        assert!(check(part(&leaves, &all, csv_rows), &signed).is_err());
        assert!(check_part(&part(&leaves, &all, csv_rows), &signed).is_ok());
    }
}

#[test]
fn a_permit_that_contradicts_its_evidence_is_found_in_a_part_too() {
    let full = vec![Counter { rule: RuleId::new("r"), count: 3, cap: 3 }];
    let body = Decision { counters: full, ..decision(1, Verdict::Permit) };
    let leaves = leaves(vec![body.into()]);
    let fault = check_part(&part(&leaves, &[0], false), &checkpoint(&leaves)).unwrap_err().fault;
    assert!(matches!(fault, Fault::Story(StoryFault::PermitOverCap { .. })), "{fault}");
}

proptest! {
    #[test]
    fn a_changed_added_doubled_or_reordered_row_of_a_part_is_found(
        a in 0_usize..5, b in 0_usize..5, how in 0..5, csv_rows: bool,
    ) {
        let genuine = leaves(story());
        let signed = checkpoint(&genuine);
        let indexes = [2, 5, 6, 9, 14];
        let rows = part(&genuine, &indexes, csv_rows);
        let mut tampered = rows.clone();
        match how {
            // A changed record with the proof of the genuine one.
            0 => {
                let mut leaves = genuine.clone();
                let mut record = canonical::decode(&leaves[indexes[a]]).unwrap();
                record.at = record.at.after(std::time::Duration::from_millis(1));
                leaves[indexes[a]] = canonical::encode(&record).unwrap();
                // Proofs of a forged log: they lead to another root.
                tampered[a] = part(&leaves, &indexes, csv_rows)[a].clone();
            }
            // A record that is in no log, at a place of its own.
            1 => {
                let longer: Vec<_> = genuine.iter().cloned().chain([genuine[0].clone()]).collect();
                tampered.push(part(&longer, &[15], csv_rows)[0].clone());
            }
            2 => tampered.swap(a, b),
            3 => tampered.insert(a, rows[b].clone()),
            _ => tampered[a] = rows[b].clone(),
        }
        let result = check_part(&tampered, &signed);
        prop_assert_eq!(result.is_ok(), tampered == rows, "{:?}", result);
    }

    #[test]
    fn changing_any_byte_of_a_row_of_a_part_is_found(
        row in 0_usize..3, at in any::<prop::sample::Index>(), to: u8,
    ) {
        let leaves = leaves(story());
        let mut rows = part(&leaves, &[1, 7, 14], false);
        let Row::Json(line) = &mut rows[row] else { unreachable!() };
        let mut bytes = line.clone().into_bytes();
        let at = at.index(bytes.len());
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        if let Ok(text) = String::from_utf8(bytes) {
            *line = text;
            prop_assert!(check_part(&rows, &checkpoint(&leaves)).is_err());
        }
    }
}
