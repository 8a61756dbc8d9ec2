//! Rows of an export: JSON Lines and CSV, each with the leaf and its readable fields.
//!
//! A row is a function of index and leaf alone, that of a permit of its grounds too, byte for byte, so
//! a verifier rebuilds and compares it. The shell writes one row a line (JSON) or through a CSV writer
//! (cells). A permit's row tells the decision and the intent that it stands for.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    canonical::{self, CanonicalError},
    dictionary::Member,
    field::{Field, rfc3339},
    fold::{self, Misfit},
    proof,
    record::{Body, Kind, Record},
    shown::Shown,
    tree::{Hash, leaf_hash},
};

/// The CSV columns in their order, each with what it holds: the data dictionary. JSON rows have
/// the same names, and the other fields of the record's kind where CSV has `fields`.
pub const COLUMNS: &[(&str, &str)] = &[
    ("index", "place in the tree, from 0, without gaps"),
    ("version", "layout version of the leaf"),
    (
        "kind",
        "what the record is: decision, permit, grounds, sent, not_sent, outcome, correction, ...",
    ),
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

/// What a row is written from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Place in the tree.
    pub index: u64,
    /// The leaf there.
    pub leaf: &'a [u8],
    /// Of a permit: the record that it names as its grounds.
    pub grounds: Option<&'a Record>,
    /// In a part: the proof that the leaf is at `index`.
    pub path: Option<&'a [Hash]>,
}

impl<'a> Source<'a> {
    /// Of a record that rests on no other, in a whole export.
    #[must_use]
    pub const fn of(index: u64, leaf: &'a [u8]) -> Self {
        Self { index, leaf, grounds: None, path: None }
    }
}

/// Why there is no row.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// The bytes are no leaf.
    #[error(transparent)]
    Leaf(#[from] CanonicalError),
    /// A permit without its grounds.
    #[error("a permit cannot be told without its grounds, the record with the leaf hash {0}")]
    NoGrounds(Hash),
    /// A permit with grounds that are not its own.
    #[error(transparent)]
    Misfit(#[from] Misfit),
}

/// The line of a leaf, without a newline.
///
/// # Errors
/// See [`RowError`].
pub fn json_line(source: &Source<'_>) -> Result<String, RowError> {
    json_row(source, &canonical::decode(source.leaf)?).map(|row| row.json())
}

/// The cells of a leaf, in the order of [`COLUMNS`]. A cell that a spreadsheet would read as a
/// formula starts with an apostrophe.
///
/// # Errors
/// See [`RowError`].
pub fn csv_row(source: &Source<'_>) -> Result<Vec<String>, RowError> {
    csv_cells(source, &canonical::decode(source.leaf)?)
}

/// What a row tells of a record: its node and its fields. A permit tells its decision and its intent.
fn told(source: &Source<'_>, record: &Record) -> Result<(Shown, Shown), RowError> {
    let Body::Permit(permit) = &record.body else {
        return Ok((record.node.show(), record.body.show()));
    };
    let grounds = source.grounds.ok_or(RowError::NoGrounds(permit.grounds))?;
    let (decision, intent) = fold::unfold(grounds, record)?;
    let (Shown::Object(mut fields), Shown::Object(more)) =
        (decision.body.show(), intent.body.show())
    else {
        return Err(Misfit::Kind.into());
    };
    for (name, value) in more {
        if fields.iter().all(|(known, _)| *known != name) {
            fields.push((name, value));
        }
    }
    fields.push((JUDGED_AT.1, decision.at.show()));
    fields.push((GROUNDS.1, permit.grounds.show()));
    Ok((grounds.node.show(), Shown::Object(fields)))
}

/// Members of a permit's row beside those of its decision and its intent, as a layout has them.
const JUDGED_AT: Member =
    (0, "judged_at", "UnixMillis", "When it was judged; it was committed at `at`.");
const GROUNDS: Member = (
    0,
    "grounds",
    "Hash",
    "The leaf hash of its grounds: an earlier row, which says what many permits have in common.",
);

/// Key, name, type and meaning of each member that rows of a kind have between head and leaf.
pub(crate) fn members(kind: Kind) -> Vec<Member> {
    if kind != Kind::Permit {
        return Body::layout(kind).to_vec();
    }
    let mut members = Body::layout(Kind::Decision).to_vec();
    for more in Body::layout(Kind::Intent) {
        if members.iter().all(|known| known.1 != more.1) {
            members.push(*more);
        }
    }
    members.extend([JUDGED_AT, GROUNDS]);
    members
}

fn head(index: u64, record: &Record, node: Shown) -> Vec<(&'static str, Shown)> {
    vec![
        ("index", Shown::Int(i64::try_from(index).unwrap_or(i64::MAX))),
        ("version", record.version.show()),
        ("kind", Shown::Text(record.body.kind().as_str().to_owned())),
        ("at", Shown::Text(rfc3339(record.at))),
        ("node", node),
    ]
}

fn tail(leaf: &[u8]) -> [(&'static str, Shown); 2] {
    [
        ("leaf_hash", Shown::Text(leaf_hash(leaf).to_string())),
        ("leaf", Shown::Text(STANDARD.encode(leaf))),
    ]
}

pub(crate) fn json_row(source: &Source<'_>, record: &Record) -> Result<Shown, RowError> {
    let (node, fields) = told(source, record)?;
    let mut members = head(source.index, record, node);
    if let Shown::Object(fields) = fields {
        members.extend(fields);
    }
    members.extend(tail(source.leaf));
    members.extend(source.path.map(|path| (PROOF.0, Shown::Text(proof::write(path)))));
    Ok(Shown::Object(members))
}

pub(crate) fn csv_cells(source: &Source<'_>, record: &Record) -> Result<Vec<String>, RowError> {
    let (node, fields) = told(source, record)?;
    let mut ends = head(source.index, record, node);
    ends.extend(tail(source.leaf));
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
    let cells = csv_header().map(cell).chain(source.path.map(proof::write));
    Ok(cells.map(spreadsheet_safe).collect())
}

fn spreadsheet_safe(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell }
}

#[cfg(test)]
mod tests;
