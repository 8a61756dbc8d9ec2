//! Reads TOML by hand, so that every fault is found at once and has its file, line and field.

use std::{cell::RefCell, ops::Range};

use chrono::NaiveDate;
use sha2::{Digest, Sha256};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::{PackFault, RuleHash};

fn digest_text(kind: u8, text: &str, hash: &mut Sha256) {
    hash.update([kind]);
    hash.update((text.len() as u64).to_be_bytes());
    hash.update(text);
}

fn digest_table(table: &DeTable<'_>, hash: &mut Sha256) {
    let mut fields: Vec<_> = table.iter().collect();
    fields.sort_unstable_by(|(one, _), (other, _)| one.get_ref().cmp(other.get_ref()));
    hash.update([b't']);
    hash.update((fields.len() as u64).to_be_bytes());
    for (name, value) in fields {
        digest_text(b'k', name.get_ref(), hash);
        digest(value.get_ref(), hash);
    }
}

fn digest(value: &DeValue<'_>, hash: &mut Sha256) {
    match value {
        DeValue::String(text) => digest_text(b's', text, hash),
        DeValue::Integer(number) => {
            hash.update(number.radix().to_be_bytes());
            digest_text(b'i', number.as_str(), hash);
        }
        DeValue::Float(number) => digest_text(b'f', number.as_str(), hash),
        DeValue::Boolean(flag) => hash.update([b'b', u8::from(*flag)]),
        DeValue::Datetime(moment) => digest_text(b'd', &moment.to_string(), hash),
        DeValue::Array(items) => {
            hash.update([b'a']);
            hash.update((items.len() as u64).to_be_bytes());
            items.iter().for_each(|item| digest(item.get_ref(), hash));
        }
        DeValue::Table(table) => digest_table(table, hash),
    }
}

/// One file, and what is wrong with it.
#[derive(Debug)]
pub(crate) struct File<'a> {
    pub(crate) name: &'a str,
    text: &'a str,
    faults: RefCell<Vec<PackFault>>,
}

impl<'a> File<'a> {
    pub(crate) fn new(name: &'a str, text: &'a str) -> Self {
        Self { name, text, faults: RefCell::default() }
    }

    pub(crate) fn fault(&self, offset: usize, field: &str, message: &str) {
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        self.faults.borrow_mut().push(PackFault {
            file: self.name.to_owned(),
            line,
            field: field.to_owned(),
            message: message.to_owned(),
        });
    }

    pub(crate) fn into_faults(self) -> Vec<PackFault> {
        self.faults.into_inner()
    }
}

/// A table being read. What is never asked for is a fault.
#[derive(Debug)]
pub(crate) struct Reader<'a, 'i> {
    file: &'a File<'a>,
    path: String,
    span: Range<usize>,
    table: &'a DeTable<'i>,
    read: Vec<String>,
}

impl<'a, 'i> Reader<'a, 'i> {
    pub(crate) fn new(
        file: &'a File<'a>,
        path: &str,
        span: Range<usize>,
        table: &'a DeTable<'i>,
    ) -> Self {
        Self { file, path: path.to_owned(), span, table, read: Vec::new() }
    }

    /// Names the table in faults, once its id is known.
    pub(crate) fn rename(&mut self, path: &str) {
        path.clone_into(&mut self.path);
    }

    /// A fault at a field, or at the table if it has no such field.
    pub(crate) fn fault(&self, key: &str, message: &str) {
        let offset = self.value(key).map_or(self.span.start, |value| value.span().start);
        self.file.fault(offset, &self.field(key), message);
    }

    fn field(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn value(&self, key: &str) -> Option<&'a Spanned<DeValue<'i>>> {
        self.table.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)
    }

    fn take(&mut self, key: &str) -> Option<&'a Spanned<DeValue<'i>>> {
        self.read.push(key.to_owned());
        self.value(key)
    }

    /// Whether the field is there.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }

    /// Whether the field is there and is a list.
    pub(crate) fn is_list(&self, key: &str) -> bool {
        self.value(key).is_some_and(|value| value.get_ref().is_array())
    }

    /// A field's text, without reading it.
    pub(crate) fn peek(&self, key: &str) -> Option<String> {
        self.value(key).and_then(|value| value.get_ref().as_str()).map(str::to_owned)
    }

    /// Leaves a field to somebody else.
    pub(crate) fn skip(&mut self, key: &str) {
        self.read.push(key.to_owned());
    }

    /// The hash over everything in the table, whatever the order and spacing of its fields.
    pub(crate) fn content(&self) -> RuleHash {
        let mut hash = Sha256::new();
        digest_table(self.table, &mut hash);
        RuleHash(hash.finalize().into())
    }

    /// The names of fields not yet read.
    pub(crate) fn unread(&self) -> Vec<String> {
        let names = self.table.keys().map(|name| name.get_ref().to_string());
        names.filter(|name| !self.read.contains(name)).collect()
    }

    pub(crate) fn text(&mut self, key: &str) -> Option<String> {
        let value = self.take(key)?.get_ref();
        if let DeValue::String(text) = value {
            return Some(text.to_string());
        }
        self.fault(key, &format!("expected a text, found {}", value.type_str()));
        None
    }

    pub(crate) fn required_text(&mut self, key: &str) -> Option<String> {
        if !self.has(key) {
            self.fault(key, "is missing");
        }
        self.text(key).filter(|text| {
            if text.is_empty() {
                self.fault(key, "is empty");
            }
            !text.is_empty()
        })
    }

    pub(crate) fn flag(&mut self, key: &str) -> bool {
        match self.take(key).map(Spanned::get_ref) {
            None => false,
            Some(DeValue::Boolean(flag)) => *flag,
            Some(other) => {
                self.fault(key, &format!("expected true or false, found {}", other.type_str()));
                false
            }
        }
    }

    /// A whole number within a range.
    pub(crate) fn number(&mut self, key: &str, range: Range<u32>) -> Option<u32> {
        let value = self.take(key)?.get_ref();
        let number = value
            .as_integer()
            .and_then(|number| u32::from_str_radix(number.as_str(), number.radix()).ok());
        if number.is_none_or(|number| !range.contains(&number)) {
            let (least, most) = (range.start, range.end - 1);
            self.fault(key, &format!("expected a whole number from {least} to {most}"));
            return None;
        }
        number
    }

    /// One word of a vocabulary.
    pub(crate) fn word<T>(&mut self, key: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.text(key)?;
        let found = parse(&text);
        if found.is_none() {
            self.fault(key, &format!("{text:?} is not understood here"));
        }
        found
    }

    /// A list of words of a vocabulary; empty if there is none.
    pub(crate) fn words<T>(&mut self, key: &str, parse: impl Fn(&str) -> Option<T>) -> Vec<T> {
        let Some(value) = self.take(key) else {
            return Vec::new();
        };
        let Some(list) = value.get_ref().as_array() else {
            self.fault(key, "expected a list of texts");
            return Vec::new();
        };
        let mut found = Vec::new();
        for (at, item) in list.iter().enumerate() {
            match item.get_ref().as_str().and_then(&parse) {
                Some(word) => found.push(word),
                None => self.file.fault(
                    item.span().start,
                    &format!("{}[{at}]", self.field(key)),
                    "is not understood here",
                ),
            }
        }
        found
    }

    /// A date, `YYYY-MM-DD` in quotes.
    pub(crate) fn date(&mut self, key: &str) -> Option<NaiveDate> {
        self.word(key, |text| text.parse().ok())
    }

    /// A time of day in seconds since midnight, up to `24:00`.
    pub(crate) fn clock(&mut self, key: &str) -> Option<u32> {
        if !self.has(key) {
            self.fault(key, "is missing");
        }
        self.word(key, |text| {
            let (hours, minutes) = text.split_once(':')?;
            let digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
            if !digits(hours) || !digits(minutes) {
                return None;
            }
            let (hours, minutes) = (hours.parse::<u32>().ok()?, minutes.parse::<u32>().ok()?);
            (minutes < 60 && hours * 60 + minutes <= 24 * 60).then_some(hours * 3600 + minutes * 60)
        })
    }

    /// The table of a field.
    pub(crate) fn table(&mut self, key: &str) -> Option<Self> {
        let value = self.take(key)?;
        let Some(table) = value.get_ref().as_table() else {
            self.fault(key, "expected a table");
            return None;
        };
        Some(Self::new(self.file, &self.field(key), value.span(), table))
    }

    /// The tables of a list of tables.
    pub(crate) fn tables(&mut self, key: &str) -> Vec<Self> {
        let Some(value) = self.take(key) else {
            return Vec::new();
        };
        let Some(list) = value.get_ref().as_array() else {
            self.fault(key, "expected a list of tables");
            return Vec::new();
        };
        let mut found = Vec::new();
        for (at, item) in list.iter().enumerate() {
            let path = format!("{}[{at}]", self.field(key));
            match item.get_ref().as_table() {
                Some(table) => found.push(Self::new(self.file, &path, item.span(), table)),
                None => self.file.fault(item.span().start, &path, "expected a table"),
            }
        }
        found
    }

    /// Reports every field nobody asked for.
    pub(crate) fn finish(&self) {
        for (name, _) in self.table {
            if !self.read.iter().any(|read| read == name.get_ref()) {
                let field = self.field(name.get_ref());
                self.file.fault(name.span().start, &field, "unknown field");
            }
        }
    }
}
