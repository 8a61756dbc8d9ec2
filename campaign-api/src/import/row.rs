//! A row of a file by the names of its columns, and what is wrong with it.

use std::str::FromStr;

use dialer_types::{Filling, Say, UnixMillis, say};

use super::{columns::masked, records::Record};
use crate::http::{error::Fault, time::Time};

/// Which field of a file stands in which column; for files whose columns are known by name only.
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
                let known = known.join(", ");
                let reason = say!("unknown column; known: {known}", known);
                faults.push(Fault::of(&masked(&name), reason));
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
        let mut fields = Fields::of(&self.names, Vec::new(), record.line);
        if let Some(reason) = wrong_shape(record, self.names.len()) {
            fields.fault("row", reason);
            return Err(fields.faults);
        }
        for (index, name) in self.names.iter().enumerate() {
            let bytes = record.get(index).unwrap_or_default();
            let text = std::str::from_utf8(bytes).unwrap_or_else(|_| {
                fields.fault(name, "is not UTF-8");
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

/// Why a record cannot be a row of so many columns.
pub(crate) fn wrong_shape(record: Record<'_>, columns: usize) -> Option<Say> {
    if let Some(broken) = record.broken {
        return Some(broken.say());
    }
    let (found, lines) = (record.len(), record.lines);
    match (found == columns, lines > 1) {
        (true, _) => None,
        (false, false) => {
            Some(say!("has {found} columns, the header has {columns}", found, columns))
        }
        (false, true) => Some(say!(
            "has {found} columns, the header has {columns}, over {lines} lines: is a quote not closed?",
            found,
            columns,
            lines
        )),
    }
}

/// A sentence whose fillings hold at most six digits in a row: a word may be somebody's number.
fn unlike_number(said: &Say) -> Say {
    said.fillings().iter().fold(Say::of(said.template()), |say, (name, filling)| {
        let filling = match filling {
            Filling::Text(text) => Filling::Text(masked(text)),
            Filling::Said(said) => Filling::Said(unlike_number(said)),
        };
        say.with(name, filling)
    })
}

/// The fields of one record, and what is wrong with them.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    names: &'a [String],
    values: Vec<&'a str>,
    pub(super) faults: Vec<Fault>,
    pub(super) repairs: Vec<Fault>,
    /// The line it begins on.
    pub(crate) line: u64,
}

impl<'a> Fields<'a> {
    /// The fields of a row; columns without a name are never found.
    pub(crate) const fn of(names: &'a [String], values: Vec<&'a str>, line: u64) -> Self {
        Self { names, values, faults: Vec::new(), repairs: Vec::new(), line }
    }

    /// The text of a column; `None` if it is empty or not there.
    pub(crate) fn get(&self, column: &str) -> Option<&'a str> {
        let index = self.names.iter().position(|name| name == column)?;
        self.values.get(index).copied().filter(|text| !text.is_empty())
    }

    /// Notes a fault.
    pub(crate) fn fault(&mut self, field: &str, reason: impl Into<Say>) {
        let line = Some(self.line);
        self.faults.push(Fault { line, field: field.to_owned(), reason: reason.into() });
    }

    /// Notes what was changed to read a field.
    pub(crate) fn repair(&mut self, field: &str, what: impl Into<Say>) {
        let line = Some(self.line);
        self.repairs.push(Fault { line, field: field.to_owned(), reason: what.into() });
    }

    /// A text of at most `most` characters that must be there.
    pub(crate) fn needed(&mut self, column: &str, most: usize) -> String {
        match self.get(column) {
            None => self.fault(column, "is missing"),
            Some(text) if text.chars().count() > most => {
                self.fault(column, say!("has more than {most} characters", most));
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
    pub(crate) fn parse<T: FromStr<Err: Into<Say>>>(&mut self, column: &str) -> Option<T> {
        let text = self.get(column)?;
        text.parse().map_err(|error: T::Err| self.fault(column, unlike_number(&error.into()))).ok()
    }

    /// A value that must be there.
    pub(crate) fn must<T: FromStr<Err: Into<Say>>>(&mut self, column: &str) -> Option<T> {
        if self.get(column).is_none() {
            self.fault(column, "is missing");
        }
        self.parse(column)
    }

    /// A word of a vocabulary that may be there, whatever its case.
    pub(crate) fn word<T: FromStr>(&mut self, column: &str, known: &str) -> Option<T> {
        let text = self.get(column)?;
        let word = text.to_ascii_lowercase().replace([' ', '-'], "_").parse().ok();
        if word.is_none() {
            self.fault(column, say!("must be one of {known}", known));
        }
        word
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
