//! A row of a contact list: its columns, what may stand in them, and what is made of it.

mod consent;
mod numbers;
mod place;

use std::{borrow::Cow, fmt::Display, str::FromStr};

use chrono::NaiveDate;
use dialer_types::{E164, LineType, PartyRole, PartyType, Say, UnixMillis, say};
use schema::numbers::NumberKeys;
use serde_json::{Map, Value};

use super::{
    cards,
    clean::{self, Cleaned, Holds},
    columns::{self, Is, Plan},
    dates,
    decode::{self, Found},
    phones::{self, Region},
    places,
    records::Record,
    row::{Fields, wrong_shape},
};
use crate::http::error::Fault;

pub(crate) use consent::{RowConsent, holds_number};

/// The columns, in the order of the template. A person has up to four consents: the columns of the
/// others are named in [`CONSENTS`].
pub(crate) const COLUMNS: [&str; 28] = [
    "external_id",
    "phone_1",
    "phone_2",
    "phone_3",
    "phone_4",
    "line_1",
    "line_2",
    "line_3",
    "line_4",
    "country",
    "region",
    "postal_code",
    "time_zone",
    "address_verified",
    "street",
    "city",
    "account",
    "party_type",
    "party_role",
    "relationship",
    "relationship_since",
    "consent_form",
    "consent_purpose",
    "consent_technology",
    "consent_at",
    "consent_source",
    "consent_revoked_at",
    "do_not_call",
];

/// The columns of each consent: form, purpose, technology, at, source, revoked at. Those of the
/// first may be called `consent_1_form` and so on too.
pub(crate) const CONSENTS: [[&str; 6]; 4] = [
    [
        "consent_form",
        "consent_purpose",
        "consent_technology",
        "consent_at",
        "consent_source",
        "consent_revoked_at",
    ],
    [
        "consent_2_form",
        "consent_2_purpose",
        "consent_2_technology",
        "consent_2_at",
        "consent_2_source",
        "consent_2_revoked_at",
    ],
    [
        "consent_3_form",
        "consent_3_purpose",
        "consent_3_technology",
        "consent_3_at",
        "consent_3_source",
        "consent_3_revoked_at",
    ],
    [
        "consent_4_form",
        "consent_4_purpose",
        "consent_4_technology",
        "consent_4_at",
        "consent_4_source",
        "consent_4_revoked_at",
    ],
];

/// Characters of a value of the file's own columns.
const MAX_OWN: usize = 2000;

/// The published template: the header line.
pub(crate) fn template() -> String {
    format!("{}\n", COLUMNS.join(","))
}

/// What the rows of a file are read by.
#[derive(Debug)]
pub(crate) struct Sheet<'k> {
    pub(crate) plan: Plan,
    pub(crate) region: Option<Region>,
    pub(crate) by_number: bool,
    pub(crate) found: Found,
    pub(crate) keys: &'k NumberKeys,
}

/// A good row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// The line it begins on.
    pub(crate) line: u64,
    pub(crate) external_id: String,
    pub(crate) numbers: Vec<(E164, LineType)>,
    pub(crate) country: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) postal_code: Option<String>,
    pub(crate) time_zone: Option<String>,
    /// The seller checked that the person lives there.
    pub(crate) address_verified: bool,
    pub(crate) account: Option<String>,
    pub(crate) party_type: PartyType,
    pub(crate) party_role: PartyRole,
    pub(crate) relationship: Option<(&'static str, NaiveDate)>,
    pub(crate) consents: Vec<RowConsent>,
    /// The person asked not to be called, as the list says.
    pub(crate) do_not_call: bool,
    /// Personal data that no rule needs, by name; stored encrypted.
    pub(crate) own: Map<String, Value>,
}

/// What a record is.
#[derive(Debug)]
pub(crate) enum Read {
    /// Nothing stands in it: it is no row.
    Blank,
    /// A contact, and what was changed to read it.
    Good(Box<Row>, Vec<Fault>),
    /// Everything that is wrong with it.
    Bad(Vec<Fault>),
    /// Something in it passes for a payment card number; nothing else is said of it.
    Card(Vec<Fault>),
}

impl Sheet<'_> {
    /// Reads a record.
    pub(crate) fn read(&self, record: Record<'_>, now: UnixMillis) -> Read {
        let fault = |field: &str, reason: Say| Fault {
            line: Some(record.line),
            field: field.to_owned(),
            reason,
        };
        if let Some(broken) = record.broken {
            return Read::Bad(vec![fault("row", broken.say())]);
        }
        let cells: Vec<Cow<'_, str>> = (0..record.len())
            .map(|at| String::from_utf8_lossy(record.get(at).unwrap_or_default()))
            .collect();
        let cards = self.cards(&cells);
        if !cards.is_empty() {
            let reason = "holds what passes for a payment card number; nothing of the row was kept";
            return Read::Card(cards.iter().map(|column| fault(column, reason.into())).collect());
        }
        let width = self.plan.columns.len();
        let (row, over) = cells.split_at(width.min(cells.len()));
        if row.iter().chain(over).all(|cell| is_blank(cell)) {
            return Read::Blank;
        }
        // Spreadsheets write empty columns after the last.
        if row.len() < width || !over.iter().all(|cell| is_blank(cell)) {
            return Read::Bad(
                wrong_shape(record, width).map(|said| fault("row", said)).into_iter().collect(),
            );
        }
        self.read_cells(row, record.line, now)
    }

    fn read_cells(&self, cells: &[Cow<'_, str>], line: u64, now: UnixMillis) -> Read {
        let mut cleaned = Vec::with_capacity(cells.len());
        let (mut faults, mut repairs) = (Vec::new(), Vec::new());
        for (column, cell) in self.plan.columns.iter().zip(cells) {
            let note = |reason| Fault { line: Some(line), field: column.name().to_owned(), reason };
            if column.is == Is::LeftOut {
                cleaned.push(Cow::Borrowed(""));
                continue;
            }
            if let Some(reason) = self.undecoded(cell) {
                faults.push(note(reason));
            }
            match clean::clean(cell, column.holds()) {
                Ok(Cleaned { text, repairs: done }) => {
                    repairs.extend(done.into_iter().map(note));
                    cleaned.push(text);
                }
                Err(reason) => {
                    faults.push(note(reason));
                    cleaned.push(Cow::Borrowed(""));
                }
            }
        }
        let values = cleaned.iter().map(|text| &**text).collect();
        let mut fields = Fields::of(&self.plan.names, values, line);
        fields.repairs = repairs;
        // A cell that was refused is not called missing too.
        let refused: Vec<String> = faults.iter().map(|fault| fault.field.clone()).collect();
        let own = self.own(&cleaned, &mut fields);
        let row = self.row(&mut fields, own, now);
        faults.extend(fields.faults.into_iter().filter(|fault| !refused.contains(&fault.field)));
        if faults.is_empty() {
            Read::Good(Box::new(row), fields.repairs)
        } else {
            Read::Bad(faults)
        }
    }

    fn row(&self, fields: &mut Fields<'_>, own: Map<String, Value>, now: UnixMillis) -> Row {
        let country = place::country(fields);
        let plan = country.as_deref().and_then(Region::read).or(self.region);
        let numbers = numbers::read(fields, plan);
        let first = numbers.first().map(|(number, _)| number);
        let (country, region) = place::region(fields, country, self.region, first);
        let zone = place::time_zone(fields);
        let postal_code = place::postal_code(fields, country.as_deref());
        Row {
            line: fields.line,
            external_id: self.external_id(fields, &numbers),
            account: self.account(fields, &numbers),
            numbers,
            country,
            region,
            postal_code,
            time_zone: zone.map(|zone| zone.name().to_owned()),
            address_verified: yes(fields, "address_verified", VERIFIED),
            party_type: one_of(fields, "party_type", PartyType::ALL).unwrap_or(PartyType::Consumer),
            party_role: one_of(fields, "party_role", PartyRole::ALL)
                .unwrap_or(PartyRole::Principal),
            relationship: relationship(fields),
            consents: self
                .plan
                .consents
                .iter()
                .filter_map(|columns| consent::read(fields, columns, zone, now))
                .collect(),
            do_not_call: yes(fields, "do_not_call", DO_NOT_CALL),
            own,
        }
    }

    /// The columns that hold what passes for a card number. A telephone number that exists wins, in
    /// a column of telephone numbers.
    fn cards(&self, cells: &[Cow<'_, str>]) -> Vec<String> {
        let name = |at: usize| match self.plan.columns.get(at) {
            Some(column) => column.name().to_owned(),
            None => format!("column {}", at + 1),
        };
        let split = cards::split_card(
            cells.iter().map(|cell| &**cell),
            |at| cells.get(at).is_some_and(|cell| self.is_number(at, cell, cells)),
            |at| self.plan.columns.get(at).is_some_and(|column| columns::is_card(&column.header)),
        );
        cells
            .iter()
            .enumerate()
            .filter(|(at, cell)| cards::holds_card(cell) && !self.is_number(*at, cell, cells))
            .map(|(at, _)| at)
            .chain(split)
            .map(name)
            .collect()
    }

    fn is_number(&self, at: usize, cell: &str, cells: &[Cow<'_, str>]) -> bool {
        let is = |at: usize| self.plan.columns.get(at).map(|column| column.is);
        if !matches!(is(at), Some(Is::Ours(name)) if columns::is_phone(name)) {
            return false;
        }
        let country = (0..cells.len()).find(|at| is(*at) == Some(Is::Ours("country")));
        let country = country.and_then(|at| cells.get(at)).and_then(|cell| places::country(cell));
        let region = country.and_then(Region::read).or(self.region);
        clean::clean(cell, Holds::Digits)
            .ok()
            .and_then(|cleaned| phones::read(&cleaned.text, region).ok())
            .is_some_and(|read| phones::is_valid(&read.number))
    }

    fn undecoded(&self, cell: &str) -> Option<Say> {
        if cell.is_ascii() {
            return cell.contains('\0').then(|| "holds a zero byte".into());
        }
        let encoding = decode::of(&self.found).name();
        cell.contains('\u{FFFD}').then(|| say!("holds bytes that are not {encoding}", encoding))
    }

    /// What is kept encrypted: the address and the columns of the file itself.
    fn own(&self, cleaned: &[Cow<'_, str>], fields: &mut Fields<'_>) -> Map<String, Value> {
        let mut own = Map::new();
        for (column, text) in self.plan.columns.iter().zip(cleaned) {
            if !matches!(column.is, Is::Own | Is::Ours("street" | "city")) || text.is_empty() {
                continue;
            }
            if text.chars().count() > MAX_OWN {
                let most = MAX_OWN;
                fields.repair(
                    column.name(),
                    say!("has more than {most} characters; nothing of it is kept", most),
                );
                continue;
            }
            own.insert(column.name().to_owned(), Value::String(text.clone().into_owned()));
        }
        own
    }

    fn external_id(&self, fields: &mut Fields<'_>, numbers: &[(E164, LineType)]) -> String {
        if self.by_number {
            return numbers.first().map(|(number, _)| self.code(number)).unwrap_or_default();
        }
        let id = fields.needed("external_id", 200);
        self.unlike_number(fields, "external_id", id, numbers)
    }

    fn account(&self, fields: &mut Fields<'_>, numbers: &[(E164, LineType)]) -> Option<String> {
        let account = fields.optional("account", 200)?;
        Some(self.unlike_number(fields, "account", account, numbers))
    }

    /// Ids are kept readable, telephone numbers are not: an id that is the number becomes a code.
    fn unlike_number(
        &self,
        fields: &mut Fields<'_>,
        column: &str,
        id: String,
        numbers: &[(E164, LineType)],
    ) -> String {
        if id
            .chars()
            .any(|c| !(c.is_ascii_digit() || matches!(c, '+' | '-' | ' ' | '(' | ')' | '.')))
        {
            return id;
        }
        let digits: String = id.chars().filter(char::is_ascii_digit).collect();
        let digits = digits.trim_start_matches('0');
        let same = |number: &E164| digits.len() >= 7 && number.expose().ends_with(digits);
        match numbers.iter().find(|(number, _)| same(number)) {
            Some((number, _)) => {
                fields.repair(column, "is the telephone number itself, which is not kept readable; a code stands for it");
                self.code(number)
            }
            None => id,
        }
    }

    fn code(&self, number: &E164) -> String {
        code_of(self.keys, number)
    }
}

/// Stands for a number where ids are kept readable: always the same, and nobody gets the number
/// out of it.
pub(crate) fn code_of(keys: &NumberKeys, number: &E164) -> String {
    let hash = keys.lookup_hash(number);
    let hex: String = hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    format!("number-{hex}")
}

/// Nothing that can be seen.
fn is_blank(cell: &str) -> bool {
    cell.chars().all(|c| {
        c.is_whitespace() || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2060}' | '\u{FEFF}')
    })
}

fn words<T: Display>(all: &[T]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A word of a vocabulary; most rows have none.
fn one_of<T: FromStr + Display>(fields: &mut Fields<'_>, column: &str, all: &[T]) -> Option<T> {
    fields.get(column)?;
    fields.word(column, &words(all))
}

const DO_NOT_CALL: &str = "must be yes (then nobody calls the person for this seller), no or empty";
const VERIFIED: &str =
    "must be yes (then the seller checked that the person lives there), no or empty";

/// Whether a column says yes. What is neither yes nor no is never taken for either.
fn yes(fields: &mut Fields<'_>, column: &str, otherwise: &'static str) -> bool {
    const YES: [&str; 9] = ["y", "yes", "true", "t", "1", "x", "✓", "✔", "是"];
    const NO: [&str; 6] = ["n", "no", "false", "f", "0", "否"];
    let Some(word) = fields.get(column).map(str::to_lowercase) else { return false };
    if !YES.contains(&word.as_str()) && !NO.contains(&word.as_str()) {
        fields.fault(column, otherwise);
    }
    YES.contains(&word.as_str())
}

fn relationship(fields: &mut Fields<'_>) -> Option<(&'static str, NaiveDate)> {
    let since = fields.get("relationship_since");
    let Some(text) = fields.get("relationship") else {
        if since.is_some() {
            fields.fault("relationship", "is missing, and relationship_since is given");
        }
        return None;
    };
    let word = text.to_ascii_lowercase().replace([' ', '-'], "_");
    let kind = ["existing_customer", "inquiry"].into_iter().find(|kind| *kind == word);
    if kind.is_none() {
        fields.fault("relationship", "must be existing_customer or inquiry");
    }
    let since = match dates::date(since.unwrap_or_default()) {
        Ok((date, repair)) => {
            if let Some(what) = repair {
                fields.repair("relationship_since", what);
            }
            Some(date)
        }
        Err(reason) => {
            fields.fault("relationship_since", reason);
            None
        }
    };
    kind.zip(since)
}
