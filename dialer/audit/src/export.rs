//! Rows of an export: JSON Lines and CSV, each with the leaf and its readable fields.
//!
//! A row is a function of index and leaf alone, byte for byte, so a verifier rebuilds and compares
//! it. The shell writes one row a line (JSON) or through a CSV writer (cells).

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    canonical::{self, CanonicalError},
    field::{Field, rfc3339},
    proof,
    record::{Body, Record},
    shown::Shown,
    tree::{Hash, leaf_hash},
};

/// The CSV columns in their order, each with what it holds: the data dictionary. JSON rows have
/// the same names, and the other fields of the record's kind where CSV has `fields`.
pub const COLUMNS: &[(&str, &str)] = &[
    ("index", "place in the tree, from 0, without gaps"),
    ("version", "layout version of the leaf"),
    ("kind", "what the record is: decision, intent, sent, not_sent, outcome, correction, ..."),
    ("at", "when it was recorded, RFC 3339, UTC"),
    ("node", "the dialer process that recorded it, ULID; empty for the API"),
    ("attempt", "the business try: contact ULID, '-', number of the try"),
    ("placement", "the placement (one INVITE), ULID"),
    ("campaign", "the campaign, ULID"),
    ("seller", "on whose behalf, ULID"),
    ("trunk", "by which trunk, ULID"),
    ("subjects", "surrogate ids of number, account and person"),
    ("verdict", "permit, defer or refuse"),
    ("until", "with a deferral: the first lawful moment, RFC 3339, UTC"),
    ("denied_by", "ids of every rule that denied"),
    ("rules_passed", "ids of the rules that were asked and passed, in the order of the packs"),
    ("not_after", "the INVITE may not leave later, RFC 3339, UTC"),
    ("sent_at", "when the INVITE left, RFC 3339, UTC"),
    ("sip_call_id", "the Call-ID of the INVITE"),
    ("disposition", "how the placement ended"),
    ("sip_code", "final SIP status"),
    ("q850", "Q.850 cause"),
    ("ring_ms", "milliseconds of ringing"),
    ("answered_at", "when it was answered, RFC 3339, UTC"),
    ("ended_at", "when it was over, RFC 3339, UTC"),
    ("correction", "true if the dialer corrects an earlier outcome_unknown of its own"),
    ("reason", "why, in words"),
    ("fields", "every field of the record's kind, as JSON"),
    ("leaf_hash", "SHA-256 of 0x00 and the leaf, hexadecimal (RFC 6962)"),
    ("leaf", "the leaf: canonical CBOR, base64"),
];

/// The column and member that rows of a part have after those of a whole export.
pub const PROOF: (&str, &str) = (
    "proof",
    "only in a part: the RFC 6962 inclusion proof of the leaf, nearest sibling first, hashes of 32 \
     bytes one after another, base64",
);

/// The header line of the CSV of a whole export.
pub fn csv_header() -> impl Iterator<Item = &'static str> {
    COLUMNS.iter().map(|(name, _)| *name)
}

/// The header line of the CSV of a part: a proof more.
pub fn csv_part_header() -> impl Iterator<Item = &'static str> {
    csv_header().chain([PROOF.0])
}

/// The line of the leaf at `index`, without a newline.
///
/// # Errors
/// If the bytes are no leaf.
pub fn json_line(index: u64, leaf: &[u8]) -> Result<String, CanonicalError> {
    Ok(json_row(index, leaf, &canonical::decode(leaf)?, None).json())
}

/// [`json_line`] of a part: with the proof that the leaf is at `index`.
///
/// # Errors
/// If the bytes are no leaf.
pub fn json_part_line(index: u64, leaf: &[u8], path: &[Hash]) -> Result<String, CanonicalError> {
    Ok(json_row(index, leaf, &canonical::decode(leaf)?, Some(path)).json())
}

/// The cells of the leaf at `index`, in the order of [`COLUMNS`]. A cell that a spreadsheet would
/// read as a formula starts with an apostrophe.
///
/// # Errors
/// If the bytes are no leaf.
pub fn csv_row(index: u64, leaf: &[u8]) -> Result<Vec<String>, CanonicalError> {
    Ok(csv_cells(index, leaf, &canonical::decode(leaf)?, None))
}

/// [`csv_row`] of a part: with the proof that the leaf is at `index`.
///
/// # Errors
/// If the bytes are no leaf.
pub fn csv_part_row(index: u64, leaf: &[u8], path: &[Hash]) -> Result<Vec<String>, CanonicalError> {
    Ok(csv_cells(index, leaf, &canonical::decode(leaf)?, Some(path)))
}

fn head(index: u64, record: &Record) -> Vec<(&'static str, Shown)> {
    vec![
        ("index", Shown::Int(i64::try_from(index).unwrap_or(i64::MAX))),
        ("version", record.version.show()),
        ("kind", Shown::Text(record.body.kind().as_str().to_owned())),
        ("at", Shown::Text(rfc3339(record.at))),
        ("node", record.node.show()),
    ]
}

fn tail(leaf: &[u8]) -> [(&'static str, Shown); 2] {
    [
        ("leaf_hash", Shown::Text(leaf_hash(leaf).to_string())),
        ("leaf", Shown::Text(STANDARD.encode(leaf))),
    ]
}

pub(crate) fn json_row(index: u64, leaf: &[u8], record: &Record, path: Option<&[Hash]>) -> Shown {
    let mut members = head(index, record);
    if let Shown::Object(fields) = record.body.show() {
        members.extend(fields);
    }
    members.extend(tail(leaf));
    members.extend(path.map(|path| (PROOF.0, Shown::Text(proof::write(path)))));
    Shown::Object(members)
}

pub(crate) fn csv_cells(
    index: u64,
    leaf: &[u8],
    record: &Record,
    path: Option<&[Hash]>,
) -> Vec<String> {
    let fields = record.body.show();
    let mut ends = head(index, record);
    ends.extend(tail(leaf));
    let ends = Shown::Object(ends);
    let cell = |name| match (name, &record.body) {
        ("fields", _) => fields.json(),
        ("denied_by", Body::Decision(decision)) => {
            let rules: Vec<_> =
                decision.denied_by.iter().map(|denial| denial.rule.as_str()).collect();
            rules.join(" ")
        }
        ("subjects", Body::Intent(intent)) => {
            Shown::List(intent.heads.iter().map(|head| head.subject.show()).collect()).cell()
        }
        _ => match ends.get(name) {
            Shown::Nothing => fields.get(name).cell(),
            value => value.cell(),
        },
    };
    csv_header().map(cell).chain(path.map(proof::write)).map(spreadsheet_safe).collect()
}

fn spreadsheet_safe(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell }
}

#[cfg(test)]
mod tests;
