//! Which column of a file is which of ours, guessed from its header; the rest is kept as the file's own.

mod names;

use std::collections::BTreeSet;

use dialer_types::{Say, say};

use super::{
    cards,
    clean::Holds,
    contact::{COLUMNS, CONSENTS},
    records::Record,
    source::Told,
};
use crate::http::error::Fault;

/// Columns of the file itself that are kept: more is a table of another kind.
const MAX_OWN: usize = 64;
/// Characters of such a column's name.
const MAX_NAME: usize = 80;
/// Columns that are named where others are missing.
const NAMED: usize = 20;

/// The columns of a file, in its order.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) columns: Vec<Column>,
    /// By column: ours, or empty.
    pub(crate) names: Vec<String>,
    /// The consents that have a column, by the names of their six.
    pub(crate) consents: Vec<[&'static str; 6]>,
}

/// A column of a file.
#[derive(Debug)]
pub(crate) struct Column {
    /// As the file calls it, without digits that may be somebody's number.
    pub(crate) header: String,
    pub(crate) is: Is,
    /// Whether the guess is certain.
    pub(crate) sure: bool,
    pub(crate) why: Say,
}

/// What a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Is {
    /// One of ours.
    Ours(&'static str),
    /// The file's own, kept with the contact.
    Own,
    /// Not read.
    LeftOut,
}

impl Column {
    /// How its cells are cleaned.
    pub(crate) fn holds(&self) -> Holds {
        match self.is {
            Is::Own | Is::LeftOut => Holds::Own,
            Is::Ours(name) if is_phone(name) => Holds::Digits,
            Is::Ours("external_id" | "account" | "postal_code") => Holds::Digits,
            Is::Ours("street" | "city") => Holds::Own,
            Is::Ours(_) => Holds::Words,
        }
    }

    /// What faults of it are called by.
    pub(crate) fn name(&self) -> &str {
        match self.is {
            Is::Ours(name) => name,
            Is::Own | Is::LeftOut => &self.header,
        }
    }
}

/// Whether one of our columns holds a telephone number.
pub(crate) fn is_phone(name: &str) -> bool {
    name.starts_with("phone_")
}

/// What a name of a column means, if it is one that is known.
pub(crate) fn field_of(header: &str) -> Option<&'static str> {
    let plain = header.trim().to_ascii_lowercase();
    if let Some(known) = ours(&plain) {
        return Some(known);
    }
    let folded = folded(header);
    let meaning = |name: &str| {
        names::NAMES.iter().find(|(_, names)| names.contains(&name)).map(|(field, _)| *field)
    };
    let numbered = numbered(&folded).and_then(|(name, no)| consent_part(meaning(&name)?, no));
    numbered.or_else(|| meaning(&folded)).or_else(|| {
        let bare = folded.trim_end_matches(|c: char| c.is_ascii_digit());
        meaning(bare).filter(|field| is_phone(field) && !bare.is_empty())
    })
}

/// One of our columns by its exact name; `consent_1_...` is `consent_...`.
fn ours(name: &str) -> Option<&'static str> {
    let first = name.strip_prefix("consent_1_").map(|part| format!("consent_{part}"));
    let name = first.as_deref().unwrap_or(name);
    COLUMNS.into_iter().chain(CONSENTS.into_iter().flatten()).find(|known| *known == name)
}

/// A name with one number in it, `consent2form`: without it, and the number.
fn numbered(folded: &str) -> Option<(String, usize)> {
    let digits = |c: char| c.is_ascii_digit();
    let begin = folded.find(digits)?;
    let (before, rest) = folded.split_at_checked(begin)?;
    let after = rest.trim_start_matches(digits);
    let number = rest.strip_suffix(after)?.parse().ok()?;
    (!after.contains(digits)).then(|| (format!("{before}{after}"), number))
}

/// The same part of the `no`-th consent, counted from 1.
fn consent_part(field: &str, no: usize) -> Option<&'static str> {
    let part = CONSENTS.first()?.iter().position(|part| *part == field)?;
    CONSENTS.get(no.checked_sub(1)?)?.get(part).copied()
}

/// Whether a column is called after payment cards.
pub(crate) fn is_card(header: &str) -> bool {
    const WORDS: [&str; 9] =
        ["card", "creditc", "debitc", "ccn", "ccnum", "karte", "carte", "tarjeta", "卡"];
    let folded = folded(header);
    matches!(folded.as_str(), "cc" | "pan") || WORDS.iter().any(|word| folded.contains(word))
}

/// Letters and digits only, small, wide ones made plain.
fn folded(header: &str) -> String {
    header
        .chars()
        .map(|c| match c {
            '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c),
            other => other,
        })
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

/// A header cell as it may be repeated: short, on one line, with at most six digits in a row.
pub(crate) fn shown(cell: &str) -> String {
    masked(&cell.trim().chars().take(MAX_NAME).collect::<String>())
}

/// Text of others on one line, with at most six digits in a row.
pub(crate) fn masked(text: &str) -> String {
    let (given, mut text) = (text, String::new());
    let mut digits = 0;
    for character in given.chars() {
        digits = match character {
            c if c.is_numeric() => digits + 1,
            ' ' | '-' | '.' => digits,
            _ => 0,
        };
        text.push(match character {
            c if c.is_control() => ' ',
            c if digits > 6 && c.is_numeric() => '*',
            c => c,
        });
    }
    text
}

impl Plan {
    /// Reads the first record. `told`: what the sender says a header is (`-`: not read). `read_as`:
    /// encoding and delimiter, which are said if columns are missing.
    pub(crate) fn guess(
        record: Record<'_>,
        told: &Told,
        read_as: [&str; 2],
    ) -> Result<Self, Vec<Fault>> {
        let cells: Vec<String> = (0..record.len())
            .map(|at| String::from_utf8_lossy(record.get(at).unwrap_or_default()).trim().to_owned())
            .collect();
        let mut faults = quarantined(&cells);
        if faults.is_empty() {
            let guessed = Guess::of(&cells, told, read_as);
            match guessed {
                Ok(plan) => return Ok(plan),
                Err(found) => faults = found,
            }
        }
        for fault in &mut faults {
            fault.line = Some(record.line);
        }
        Err(faults)
    }

    /// Is one of the columns this one of ours?
    pub(crate) fn has(&self, name: &str) -> bool {
        self.columns.iter().any(|column| matches!(column.is, Is::Ours(ours) if ours == name))
    }

    /// Headers that are kept as the file's own.
    pub(crate) fn own(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().filter(|c| c.is == Is::Own).map(|column| column.header.as_str())
    }
}

/// A card number in the header stops the file: every row would be read by it.
fn quarantined(cells: &[String]) -> Vec<Fault> {
    let whole =
        cells.iter().enumerate().filter(|(_, cell)| cards::holds_card(cell)).map(|(at, _)| at);
    let split = cards::split_card(cells.iter().map(String::as_str), |_| false, |_| false);
    whole
        .chain(split)
        .map(|at| {
            Fault::of(
                &format!("column {}", at + 1),
                "the header holds what passes for a payment card number; nothing of the file was kept",
            )
        })
        .collect()
}

struct Guess<'a> {
    told: &'a Told,
    taken: BTreeSet<&'static str>,
    faults: Vec<Fault>,
    own: usize,
    own_names: BTreeSet<String>,
}

impl<'a> Guess<'a> {
    fn of(cells: &[String], told: &'a Told, read_as: [&str; 2]) -> Result<Plan, Vec<Fault>> {
        let mut guess = Self {
            told,
            taken: BTreeSet::new(),
            faults: Vec::new(),
            own: 0,
            own_names: BTreeSet::new(),
        };
        guess.check_told(cells);
        // What was said and exact names first; other names fill what is free, from left to right.
        let mut columns: Vec<Option<Column>> = cells.iter().map(|cell| guess.exact(cell)).collect();
        for (cell, column) in cells.iter().zip(&mut columns) {
            if column.is_none() {
                *column = guess.by_name(cell);
            }
        }
        let columns: Vec<Column> = (1..)
            .zip(cells.iter().zip(columns))
            .map(|(place, (cell, column))| column.unwrap_or_else(|| guess.rest(place, cell)))
            .collect();
        guess.needed(cells, read_as);
        if !guess.faults.is_empty() {
            return Err(guess.faults);
        }
        let names = columns
            .iter()
            .map(|column| match column.is {
                Is::Ours(name) => name.to_owned(),
                Is::Own | Is::LeftOut => String::new(),
            })
            .collect();
        let consents = CONSENTS
            .into_iter()
            .filter(|parts| parts.iter().any(|part| guess.taken.contains(part)))
            .collect();
        Ok(Plan { columns, names, consents })
    }

    fn check_told(&mut self, cells: &[String]) {
        for (header, field) in &self.told.columns {
            if !cells.iter().any(|cell| same(cell, header)) {
                let reason = say!("the file has no column {header}", header = shown(header));
                self.faults.push(Fault::of("columns", reason));
            }
            if ours(field).is_none() && !matches!(field.as_str(), "-" | "own") {
                let known = COLUMNS.join(", ");
                let reason = say!(
                    "{field} is no column of ours; known: {known}, own and - (not read)",
                    field = shown(field),
                    known
                );
                self.faults.push(Fault::of("columns", reason));
            }
        }
    }

    /// What the sender said, or our own name.
    fn exact(&mut self, cell: &str) -> Option<Column> {
        let header = shown(cell);
        if let Some((_, field)) = self.told.columns.iter().find(|(header, _)| same(cell, header)) {
            let is = match (field.as_str(), ours(field)) {
                (_, Some(field)) => {
                    self.take(field);
                    Is::Ours(field)
                }
                ("own", None) => Is::Own,
                _ => Is::LeftOut,
            };
            return Some(Column { header, is, sure: true, why: "you said so".into() });
        }
        let field = ours(&cell.to_ascii_lowercase())?;
        self.take(field);
        Some(Column {
            header,
            is: Is::Ours(field),
            sure: true,
            why: "is the name of this column".into(),
        })
    }

    fn take(&mut self, field: &'static str) {
        if !self.taken.insert(field) {
            self.faults.push(Fault::of(field, "the column is there twice"));
        }
    }

    /// Another name of one of ours that no other column has.
    fn by_name(&mut self, cell: &str) -> Option<Column> {
        let field = field_of(cell)?;
        let header = shown(cell);
        if is_phone(field) {
            let free = ["phone_1", "phone_2", "phone_3", "phone_4"]
                .into_iter()
                .find(|field| !self.taken.contains(field))?;
            self.taken.insert(free);
            let why = "is a usual name for a telephone number".into();
            return Some(Column { header, is: Is::Ours(free), sure: true, why });
        }
        // A block of consents that is there again is the next consent.
        let again = (2..=CONSENTS.len()).filter_map(|no| consent_part(field, no));
        let mut free = std::iter::once(field).chain(again);
        let field = free.find(|field| !self.taken.contains(field))?;
        self.taken.insert(field);
        let why = say!("is a usual name for {field}", field);
        Some(Column {
            header,
            is: Is::Ours(field),
            sure: !names::DOUBTFUL.contains(&folded(cell).as_str()),
            why,
        })
    }

    /// What is none of ours.
    fn rest(&mut self, place: usize, cell: &str) -> Column {
        let known = field_of(cell).is_some();
        let header = if cell.is_empty() { format!("column {place}") } else { shown(cell) };
        self.own += 1;
        let mut header = header;
        if !self.own_names.insert(header.clone()) {
            header = format!("{header} ({place})");
            self.own_names.insert(header.clone());
        }
        if self.own > MAX_OWN {
            let why =
                say!("is none of our columns, and only {most} others are kept", most = MAX_OWN);
            return Column { header, is: Is::LeftOut, sure: true, why };
        }
        let why = if cell.is_empty() {
            "has no name; what is in it is kept with the contact, encrypted"
        } else if known {
            "means the same as another column; it is kept with the contact, encrypted"
        } else {
            "is none of our columns; it is kept with the contact, encrypted"
        };
        Column { header, is: Is::Own, sure: !known, why: Say::of(why) }
    }

    fn needed(&mut self, cells: &[String], read_as: [&str; 2]) {
        if self.taken.is_empty() && cells.iter().any(|cell| looks_like_a_value(cell)) {
            self.faults.push(Fault::of(
                "header",
                "the first line looks like a row: put a line with the names of the columns before it, like external_id,phone_1",
            ));
            return;
        }
        let before = self.faults.len();
        if !self.taken.contains("external_id") && !self.told.by_number {
            self.faults.push(Fault::of(
                "external_id",
                "the column is missing, and no other name for it is there; say which column it is (columns=NAME:external_id), or that the number names the person (identify=number)",
            ));
        }
        if !self.taken.contains("phone_1") {
            self.faults.push(Fault::of(
                "phone_1",
                "the column is missing, and no other name for it is there; say which column it is (columns=NAME:phone_1)",
            ));
        }
        if self.faults.len() > before {
            self.faults.push(Fault::of("header", how_it_was_read(cells, read_as)));
        }
    }
}

/// What was found where columns are missing: most often it was read otherwise than it was written.
fn how_it_was_read(cells: &[String], [encoding, delimiter]: [&str; 2]) -> Say {
    let mut columns: Vec<String> = cells.iter().take(NAMED).map(|cell| shown(cell)).collect();
    if cells.len() > NAMED {
        columns.push("…".to_owned());
    }
    let columns = columns.join(" | ");
    if cells.len() == 1 {
        return say!(
            "read as {encoding}, with columns divided by {delimiter}, the line has one column: {columns}; if it is a title, remove the lines above the names of the columns; if it is several, say the delimiter or the encoding",
            encoding,
            delimiter,
            columns
        );
    }
    say!(
        "read as {encoding}, with columns divided by {delimiter}, these columns were found: {columns}; if they are a title, remove the lines above the names of the columns; if they look wrong, say the delimiter or the encoding",
        encoding,
        delimiter,
        columns
    )
}

fn same(cell: &str, header: &str) -> bool {
    cell == header.trim() || (!folded(header).is_empty() && folded(cell) == folded(header))
}

fn looks_like_a_value(cell: &str) -> bool {
    cell.chars().filter(|c| c.is_numeric()).count() >= 7
}
