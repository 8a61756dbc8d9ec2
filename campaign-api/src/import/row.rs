//! A row of a contact list: its columns, and what may stand in them.

use std::{fmt::Display, str::FromStr};

use chrono::NaiveDate;
use dialer_types::{E164, LineType, PartyRole, PartyType, Purpose, Technology, UnixMillis};

use super::records::Record;
use crate::http::{consents::FORMS, error::Fault, time::Time};

/// The columns, in the order of the template. Only `external_id` and `phone_1` must be there.
pub(crate) const COLUMNS: [&str; 24] = [
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
];

/// The published template: the header line.
pub(crate) fn template() -> String {
    format!("{}\n", COLUMNS.join(","))
}

/// Numbers of one contact.
const PHONES: [(&str, &str); 4] =
    [("phone_1", "line_1"), ("phone_2", "line_2"), ("phone_3", "line_3"), ("phone_4", "line_4")];

/// Which field of a file stands in which column.
#[derive(Debug)]
pub(crate) struct Header {
    names: Vec<String>,
}

impl Header {
    /// Reads the first record.
    pub(crate) fn read(
        record: Record<'_>,
        known: &[&str],
        needed: &[&str],
    ) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let mut names: Vec<String> = Vec::with_capacity(record.len());
        for index in 0..record.len() {
            let name = String::from_utf8_lossy(record.get(index).unwrap_or_default());
            let name = name.trim().to_ascii_lowercase();
            if !known.contains(&name.as_str()) {
                faults
                    .push(Fault::of(&name, format!("unknown column; known: {}", known.join(", "))));
            } else if names.contains(&name) {
                faults.push(Fault::of(&name, "the column is there twice"));
            }
            names.push(name);
        }
        for name in needed {
            if !names.iter().any(|held| held == name) {
                faults.push(Fault::of(name, "the column is missing"));
            }
        }
        for fault in &mut faults {
            fault.line = Some(record.line);
        }
        if faults.is_empty() { Ok(Self { names }) } else { Err(faults) }
    }

    /// The fields of a record by name.
    pub(crate) fn fields<'a>(&'a self, record: Record<'a>) -> Result<Fields<'a>, Vec<Fault>> {
        let mut fields = Fields {
            names: &self.names,
            values: Vec::new(),
            faults: Vec::new(),
            line: record.line,
        };
        if record.len() != self.names.len() {
            let over = if record.lines > 1 {
                format!(", over {} lines: is a quote not closed?", record.lines)
            } else {
                String::new()
            };
            fields.fault(
                "row",
                format!("has {} columns, the header has {}{over}", record.len(), self.names.len()),
            );
            return Err(fields.faults);
        }
        for (index, name) in self.names.iter().enumerate() {
            let bytes = record.get(index).unwrap_or_default();
            let text = std::str::from_utf8(bytes).unwrap_or_else(|_| {
                fields.faults.push(Fault {
                    line: Some(record.line),
                    field: name.clone(),
                    reason: "is not UTF-8".into(),
                });
                ""
            });
            let text = text.trim();
            if text.contains('\0') {
                fields.fault(name, "holds a zero byte");
            }
            fields.values.push(text);
        }
        Ok(fields)
    }
}

/// The fields of one record, and what is wrong with them.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    names: &'a [String],
    values: Vec<&'a str>,
    faults: Vec<Fault>,
    /// The line it begins on.
    pub(crate) line: u64,
}

impl<'a> Fields<'a> {
    /// The text of a column; `None` if it is empty or not there.
    pub(crate) fn get(&self, column: &str) -> Option<&'a str> {
        let index = self.names.iter().position(|name| name == column)?;
        self.values.get(index).copied().filter(|text| !text.is_empty())
    }

    /// Notes a fault.
    pub(crate) fn fault(&mut self, field: &str, reason: impl Into<dialer_types::Say>) {
        self.faults.push(Fault {
            line: Some(self.line),
            field: field.to_owned(),
            reason: reason.into(),
        });
    }

    /// A text of at most `most` characters that must be there.
    pub(crate) fn needed(&mut self, column: &str, most: usize) -> String {
        match self.get(column) {
            None => self.fault(column, "is missing"),
            Some(text) if text.chars().count() > most => {
                self.fault(column, format!("has more than {most} characters"));
            }
            Some(text) => return text.to_owned(),
        }
        String::new()
    }

    /// A text of at most `most` characters that may be there.
    pub(crate) fn optional(&mut self, column: &str, most: usize) -> Option<String> {
        self.get(column)?;
        Some(self.needed(column, most))
    }

    /// A value that may be there.
    pub(crate) fn parse<T: FromStr<Err: Display>>(&mut self, column: &str) -> Option<T> {
        let text = self.get(column)?;
        text.parse().map_err(|error: T::Err| self.fault(column, error.to_string())).ok()
    }

    /// A value that must be there.
    pub(crate) fn must<T: FromStr<Err: Display>>(&mut self, column: &str) -> Option<T> {
        if self.get(column).is_none() {
            self.fault(column, "is missing");
        }
        self.parse(column)
    }

    /// A moment that may be there.
    pub(crate) fn time(&mut self, column: &str) -> Option<UnixMillis> {
        let text = self.get(column)?;
        Time::read(text).map(|time| time.0).map_err(|reason| self.fault(column, reason)).ok()
    }

    /// The value, if nothing was wrong.
    pub(crate) fn finish<T>(self, value: T) -> Result<T, Vec<Fault>> {
        if self.faults.is_empty() { Ok(value) } else { Err(self.faults) }
    }
}

/// A consent that came with a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowConsent {
    pub(crate) form: &'static str,
    pub(crate) purpose: Purpose,
    pub(crate) technology: Option<Technology>,
    pub(crate) at: UnixMillis,
    pub(crate) source: Option<String>,
    pub(crate) revoked_at: Option<UnixMillis>,
}

/// A good row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) external_id: String,
    pub(crate) numbers: Vec<(E164, LineType)>,
    pub(crate) country: Option<String>,
    pub(crate) region: Option<String>,
    pub(crate) postal_code: Option<String>,
    pub(crate) time_zone: Option<String>,
    pub(crate) account: Option<String>,
    pub(crate) party_type: PartyType,
    pub(crate) party_role: PartyRole,
    pub(crate) relationship: Option<(&'static str, NaiveDate)>,
    pub(crate) consent: Option<RowConsent>,
}

impl Row {
    /// Reads a record, or says everything that is wrong with it.
    pub(crate) fn read(
        header: &Header,
        record: Record<'_>,
        now: UnixMillis,
    ) -> Result<Self, Vec<Fault>> {
        let mut fields = header.fields(record)?;
        let row = Self {
            external_id: fields.needed("external_id", 200),
            numbers: numbers(&mut fields),
            country: country(&mut fields),
            region: region(&mut fields),
            postal_code: fields.optional("postal_code", 20),
            time_zone: time_zone(&mut fields),
            account: fields.optional("account", 200),
            party_type: fields.parse("party_type").unwrap_or(PartyType::Consumer),
            party_role: fields.parse("party_role").unwrap_or(PartyRole::Principal),
            relationship: relationship(&mut fields),
            consent: consent(&mut fields, now),
        };
        fields.finish(row)
    }
}

fn numbers(fields: &mut Fields<'_>) -> Vec<(E164, LineType)> {
    let mut numbers: Vec<(E164, LineType)> = Vec::new();
    let before = fields.faults.len();
    for (phone, line) in PHONES {
        let number = fields.parse::<E164>(phone);
        let kind = fields.parse::<LineType>(line);
        if kind.is_some() && fields.get(phone).is_none() {
            fields.fault(line, format!("is given, and {phone} is empty"));
        }
        if let Some(number) = number
            && !numbers.iter().any(|(held, _)| *held == number)
        {
            numbers.push((number, kind.unwrap_or(LineType::Unknown)));
        }
    }
    if numbers.is_empty() && fields.faults.len() == before {
        fields.fault("phone_1", "is missing: a contact needs a number");
    }
    numbers
}

fn country(fields: &mut Fields<'_>) -> Option<String> {
    let text = fields.get("country")?;
    if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Some(text.to_owned());
    }
    fields.fault("country", "must be two capital letters (ISO 3166-1), like US");
    None
}

fn region(fields: &mut Fields<'_>) -> Option<String> {
    let text = fields.get("region")?;
    if fields.get("country").is_none() {
        fields.fault("region", "is given, and country is empty");
    }
    let plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    if (1..=3).contains(&text.len()) && text.bytes().all(plain) {
        return Some(text.to_owned());
    }
    fields.fault("region", "must be an ISO 3166-2 code without the country, like FL");
    None
}

fn time_zone(fields: &mut Fields<'_>) -> Option<String> {
    let text = fields.get("time_zone")?;
    if text.parse::<chrono_tz::Tz>().is_err() {
        fields.fault(
            "time_zone",
            format!("{text:?} is not an IANA time zone, like America/New_York"),
        );
        return None;
    }
    Some(text.to_owned())
}

fn relationship(fields: &mut Fields<'_>) -> Option<(&'static str, NaiveDate)> {
    let since = fields.get("relationship_since");
    let Some(text) = fields.get("relationship") else {
        if since.is_some() {
            fields.fault("relationship", "is missing, and relationship_since is given");
        }
        return None;
    };
    let kind = ["existing_customer", "inquiry"].into_iter().find(|kind| *kind == text);
    if kind.is_none() {
        fields.fault("relationship", "must be existing_customer or inquiry");
    }
    let since = match since {
        Some(since) => NaiveDate::parse_from_str(since, "%Y-%m-%d").ok(),
        None => None,
    };
    if since.is_none() {
        fields.fault("relationship_since", "must be a date, like 2026-03-01");
    }
    kind.zip(since)
}

const CONSENT: [&str; 6] = [
    "consent_form",
    "consent_purpose",
    "consent_technology",
    "consent_at",
    "consent_source",
    "consent_revoked_at",
];

fn consent(fields: &mut Fields<'_>, now: UnixMillis) -> Option<RowConsent> {
    CONSENT.iter().find_map(|column| fields.get(column))?;
    let form = fields.needed("consent_form", 40);
    let known = FORMS.into_iter().find(|known| *known == form);
    if known.is_none() && !form.is_empty() {
        fields.fault("consent_form", format!("must be one of {}", FORMS.join(", ")));
    }
    let purpose = fields.must("consent_purpose");
    let technology = fields.parse("consent_technology");
    if fields.get("consent_at").is_none() {
        fields.fault("consent_at", "is missing");
    }
    let at = fields.time("consent_at");
    let revoked_at = fields.time("consent_revoked_at");
    for (column, time) in [("consent_at", at), ("consent_revoked_at", revoked_at)] {
        if time.is_some_and(|time| time > now) {
            fields.fault(column, "is in the future");
        }
    }
    if let (Some(at), Some(revoked_at)) = (at, revoked_at)
        && revoked_at < at
    {
        fields.fault("consent_revoked_at", "is before consent_at");
    }
    let source = fields.optional("consent_source", 500);
    Some(RowConsent { form: known?, purpose: purpose?, technology, at: at?, source, revoked_at })
}
